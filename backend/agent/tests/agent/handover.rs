//! Everything that can happen between a sender and a receiver, in every order.

use agent::handover::{Arrival, Book, Duty, Hearing, Process, Record, duty, hear};
use std::collections::{BTreeSet, VecDeque};

/// What has come of a VM's process on the receiving node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum There {
    Loading,
    Whole,
    Runs,
    Ended,
    Forgotten,
}

/// Both nodes, the disks of which hold `record` and `book`, and the wire between them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    /// Whether the guest runs at the sender's.
    runs_here: bool,
    here: Process,
    record: Option<Record>,
    /// Whether the sender knows that it is rid of the VM.
    sent: bool,
    book: Book,
    there: There,
    /// The word is on its way.
    asked: bool,
    /// What is on its way back.
    answer: Option<Book>,
    /// Whether the guest has ever run at the receiver's.
    has_run_there: bool,
}

impl Pair {
    /// The copy has begun.
    fn begun() -> Self {
        Self {
            runs_here: true,
            here: Process::Here,
            record: Some(Record::Sending),
            sent: false,
            book: Book::Expected,
            there: There::Loading,
            asked: false,
            answer: None,
            has_run_there: false,
        }
    }

    fn changed(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = self.clone();
        change(&mut next);
        next
    }

    /// Whatever may happen next: what hypervisors do, what dies, what is lost, what is called off,
    /// and what the agents do, each of whose steps may be the last before it is killed.
    fn nexts(&self) -> Vec<Self> {
        let mut nexts = self.happenings();
        nexts.extend(self.senders_step());
        nexts.extend(self.receivers_step());
        nexts
    }

    fn happenings(&self) -> Vec<Self> {
        let mut nexts = Vec::new();
        if self.here == Process::Here {
            // All is over there; the sender learns it, or the link breaks before and it goes on.
            if self.there == There::Loading && self.record == Some(Record::Sending) {
                nexts.push(self.changed(|pair| {
                    (pair.there, pair.runs_here) = (There::Whole, false);
                }));
            }
            if self.there == There::Whole && self.record == Some(Record::Sending) {
                nexts.push(self.changed(|pair| {
                    (pair.here, pair.runs_here) = (Process::Finished, false);
                }));
            }
            nexts.push(self.changed(|pair| pair.runs_here = true));
        }
        // Processes are killed.
        nexts.push(self.changed(|pair| {
            (pair.here, pair.runs_here) = (Process::Gone, false);
        }));
        if self.there != There::Forgotten {
            nexts.push(self.changed(|pair| pair.there = There::Ended));
        }
        // Words are lost.
        nexts.push(self.changed(|pair| pair.asked = false));
        nexts.push(self.changed(|pair| pair.answer = None));
        nexts
    }

    /// What the sender's agent may do now.
    fn senders_step(&self) -> Vec<Self> {
        let mut nexts = Vec::new();
        let Some(record) = self.record else {
            return nexts;
        };
        match duty(record, self.here) {
            // It goes on with the copy, or calls it off.
            Duty::Keep => nexts.push(self.changed(Self::keep)),
            Duty::Decide => {
                nexts.push(self.changed(|pair| pair.record = Some(Record::Given)));
                nexts.push(self.changed(Self::keep));
            }
            Duty::Say => match self.answer {
                None => nexts.push(self.changed(|pair| pair.asked = true)),
                Some(Book::Taken) => nexts.push(self.changed(|pair| {
                    (pair.record, pair.sent) = (None, true);
                    (pair.here, pair.runs_here) = (Process::Gone, false);
                })),
                Some(Book::Dropped) => nexts.push(self.changed(Self::keep)),
                Some(Book::Expected) => unreachable!("nobody says so"),
            },
        }
        nexts
    }

    /// The VM is the sender's; where its process has ended it is started again.
    fn keep(&mut self) {
        self.record = None;
        self.runs_here = true;
        self.here = Process::Here;
    }

    /// What the receiver's agent may do now.
    fn receivers_step(&self) -> Vec<Self> {
        let mut nexts = Vec::new();
        // The order to receive is called off, or a taken VM deleted.
        nexts.push(self.changed(|pair| {
            if pair.book == Book::Expected {
                pair.book = Book::Dropped;
            }
            pair.there = There::Forgotten;
        }));
        if !self.asked {
            return nexts;
        }
        let arrival = match self.there {
            There::Loading => Arrival::Loading,
            There::Whole => Arrival::Whole,
            There::Runs => Arrival::Runs,
            There::Ended | There::Forgotten => Arrival::Gone,
        };
        let hearing = hear(self.book, arrival);
        let mut next = self.clone();
        match hearing {
            Hearing::Refuse => panic!("asked too early: {self:?}"),
            Hearing::Take => next.book = Book::Taken,
            Hearing::Drop => next.book = Book::Dropped,
            Hearing::Run | Hearing::SayTaken | Hearing::SayDropped => {}
        }
        // It may be killed between each of these.
        nexts.push(next.clone());
        if matches!(hearing, Hearing::Take | Hearing::Run) {
            (next.there, next.has_run_there) = (There::Runs, true);
            nexts.push(next.clone());
        }
        next.answer = Some(match hearing {
            Hearing::Drop | Hearing::SayDropped => Book::Dropped,
            _ => Book::Taken,
        });
        nexts.push(next);
        nexts
    }

    fn check(&self) {
        let runs_there = self.there == There::Runs;
        assert!(!(self.runs_here && runs_there), "it runs twice: {self:?}");
        assert!(
            !(self.runs_here && self.has_run_there),
            "it goes on from an old instant: {self:?}"
        );
        if self.sent {
            assert_eq!(self.book, Book::Taken, "given up too early: {self:?}");
        }
    }

    /// Nothing dies any more and every word is heard: how it ends.
    fn healed(&self) -> Self {
        let mut pair = self.clone();
        // Far more rounds than there are steps.
        for _ in 0..10 {
            if let Some(next) = pair.senders_step().into_iter().next() {
                pair = next;
            }
            if pair.asked
                && let Some(next) = pair.receivers_step().into_iter().last()
            {
                pair = next;
                pair.asked = false;
            }
        }
        pair
    }

    /// How many nodes call the VM theirs.
    fn owners(&self) -> u32 {
        let here = self.record.is_none() && !self.sent;
        u32::from(here) + u32::from(self.book == Book::Taken)
    }
}

/// In no order of events do two copies run, or does a guest go on from an instant that another copy
/// has left behind; and from wherever it stands, once nothing dies any more, exactly one node has the
/// VM.
#[test]
fn a_vm_runs_once_and_is_never_lost() {
    let mut seen = BTreeSet::from([Pair::begun()]);
    let mut waiting = VecDeque::from([Pair::begun()]);
    while let Some(pair) = waiting.pop_front() {
        pair.check();
        let healed = pair.healed();
        assert_eq!(healed.owners(), 1, "{pair:?} became {healed:?}");
        for next in pair.nexts() {
            if seen.insert(next.clone()) {
                waiting.push_back(next);
            }
        }
    }
    println!("{} states", seen.len());
    assert!(seen.iter().any(|pair| pair.sent), "it never moves");
    let dropped = |pair: &Pair| pair.book == Book::Dropped && pair.record == Some(Record::Given);
    assert!(seen.iter().any(dropped), "it is never dropped");
}
