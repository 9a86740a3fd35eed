//! Who may run a VM that moves, at every instant and whoever dies: one permission, which its sender
//! keeps until it gives it.
//!
//! ```text
//!  sender's record   sender's process             receiver's book, process   may run
//!  ───────────────   ──────────────────────────   ────────────────────────   ────────
//!  none              runs                         –                          sender
//!  sending           runs, copies                 expected, loads            sender
//!  sending           frozen, copies the rest      expected, loads or whole   sender, by itself once the copy fails
//!  sending           has finished                 expected, whole            nobody: the sender decides
//!  given             has finished                 expected, whole            receiver, once it hears the word
//!  given             has finished                 taken, runs                receiver
//!  sent              gone                         taken, runs or has ended   receiver
//!  given             has finished                 dropped, gone              sender, once it hears so
//! ```
//!
//! Four rules hold it together.
//! 1. A VM that has arrived stays frozen until its receiver hears the *word*, which only the sender
//!    has: the receiver keeps nothing but its digest.
//! 2. The sender says the word only after it has written *given* to its disk, and it writes that
//!    only once its hypervisor has proved that it is finished: the receiver has told that it has
//!    everything, and the process here runs no more unless it is told to. Until then it may take the
//!    VM back at any time without asking, as nobody else may run it.
//! 3. The receiver answers the word once and for all: it writes *taken* to its disk before the VM
//!    runs, or *dropped* before it forgets a VM that it never ran, and says so as often as it is asked.
//! 4. Once *given* is written the sender lets the VM run only where the receiver has said *dropped*,
//!    and repeats the word until it has an answer, keeping all that it has of the VM.
//!
//! So nobody has to guess what a broken link has swallowed:
//!
//! | What dies | Before *given* is written | After |
//! |---|---|---|
//! | the link | the copy fails and the sender goes on by itself; what arrived hears no word | the word is repeated |
//! | the sender's agent | its successor finds the process running: it goes on, or finished: it decides | its successor repeats the word |
//! | the sender's process | the VM has ended, as if its guest had; it starts here again | the word is repeated |
//! | the receiver's agent | nothing: the copy goes on without it | its successor hears the word |
//! | the receiver's process | the copy fails and the sender goes on by itself | before *taken*, it is dropped and the sender takes it back; after, it starts there again |
//! | the order to receive it | the copy fails and the sender goes on by itself | it is dropped, and the sender takes it back |
//! | a node, for ever | what it may run is lost with it | the other waits for who has proof of the death |
//!
//! A VM that stands still goes by the same rules: the sender's record is its agent's journal, where the
//! beginning of [`Cede`](crate::step::Step::Cede) is *given*, and the VM is *whole* once its disks have
//! been copied, which the sender alone knows and says by its word.
//!
//! [`duty`] and [`hear`] are the rules. Drivers act by them, and a test walks through all that can
//! happen between two nodes.

/// What the sender has on its disk of a VM that moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// It is being sent.
    Sending,
    /// Its receiver may run it.
    Given,
}

/// What the sender sees of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// There is none.
    Gone,
    /// The guest is here: it runs, or does so by itself where the copy fails.
    Here,
    /// The receiver has told that it has everything; nothing runs here unless told to.
    Finished,
}

/// What the sender has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// The VM is here; what was begun for its move is ended, where there is anything.
    Keep,
    /// Write that it is given, or take it back.
    Decide,
    /// Say the word until it is answered.
    Say,
}

/// What the sender has to do, by its record and what it sees.
pub const fn duty(record: Record, process: Process) -> Duty {
    match (record, process) {
        (Record::Given, _) => Duty::Say,
        (Record::Sending, Process::Finished) => Duty::Decide,
        (Record::Sending, Process::Here | Process::Gone) => Duty::Keep,
    }
}

/// What the receiver has on its disk of a VM that moves here, long after it has come.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Book {
    /// It is to come.
    Expected,
    /// It is this node's, whatever became of it since.
    Taken,
    /// It never ran here and never will.
    Dropped,
}

/// What the receiver sees of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arrival {
    /// There is none.
    Gone,
    /// Something is still to come.
    Loading,
    /// It has everything, and stands still.
    Whole,
    /// It runs, or stands still for another reason.
    Runs,
}

/// What the receiver does about a word that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// Nothing: no sender says the word of a VM that is not whole.
    Refuse,
    /// Write it in the book as taken, let it run, and say so.
    Take,
    /// Let it run, and say that it is taken.
    Run,
    /// Say that it is taken.
    SayTaken,
    /// Write it in the book as dropped, and say so.
    Drop,
    /// Say that it is dropped.
    SayDropped,
}

/// What the receiver does about a word that fits, by its book and what it sees.
pub const fn hear(book: Book, arrival: Arrival) -> Hearing {
    match (book, arrival) {
        (Book::Expected, Arrival::Loading) => Hearing::Refuse,
        (Book::Expected, Arrival::Whole | Arrival::Runs) => Hearing::Take,
        (Book::Expected, Arrival::Gone) => Hearing::Drop,
        (Book::Taken, Arrival::Whole) => Hearing::Run,
        (Book::Taken, Arrival::Gone | Arrival::Loading | Arrival::Runs) => Hearing::SayTaken,
        (Book::Dropped, _) => Hearing::SayDropped,
    }
}
