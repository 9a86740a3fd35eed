//! The hand on VMs that go to another node standing still: their disks, and the words by which they
//! are handed over ([`agent::handover`]), whatever hypervisor is to run them.
//!
//! ```text
//!  sender                                        receiver
//!  qemu-img ──▶ socket ──▶ connection ──▶ door ──▶ socket ──▶ qemu-nbd ──▶ disk
//!      └──────────────── NBD over TLS with the key ────────────────┘
//! ```
//! The receiver's book is on its disk; the sender's record is its agent's journal.

mod copy;

use crate::hands::{Hand, broken, failure, refused};
use agent::driver::{Driver, DriverError, NativeCall};
use agent::handover::{Arrival, Book, Hearing, hear};
use agent::machine::{AttachedDisk, Machine};
use agent::secret::Keys;
use agent::step::{Failure, FailureKind, Gained, Step};
use agent::watch::{Unwatched, Watch};
use copy::{Server, pump, send};
use drivers::folder::{Folder, failed};
use drivers::handover::book::{self, Coming};
use drivers::handover::door::{Door, Host};
use drivers::handover::key::credentials;
use drivers::handover::word::{Answer, Line, Said, Words, digest, stays, tell};
use model::hypervisor::Capability;
use model::id::{KeyId, VmId};
use model::order::Storage;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often the book is looked at for a VM that is to come.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A sender waits no longer than this for a disk's server to be up.
const SERVE_PATIENCE: Duration = Duration::from_secs(60);

/// An agent that has died is followed by another within this.
const KNOCK_PATIENCE: Duration = Duration::from_secs(20);

/// The folder of the ends of connections, in ours.
const ENDS: &str = "ends";

/// VMs that go from here and come here.
pub struct Moves {
    driver: Arc<dyn Driver>,
    arrivals: Arc<Arrivals>,
    door: Mutex<Option<Door>>,
}

/// What is known of those that are to come.
struct Arrivals {
    folder: Folder,
    /// Held by whoever changes the book.
    turn: Mutex<()>,
    /// Where the bytes of a disk go, by the digest of its VM's word and its name.
    open: Mutex<BTreeMap<(String, String), PathBuf>>,
}

impl Moves {
    /// Those of the node with this folder; whoever was told to come is heard again.
    ///
    /// # Errors
    /// Where the folder can neither be made nor read.
    pub fn open(root: &Path, driver: Arc<dyn Driver>) -> Result<Self, DriverError> {
        let folder = Folder::open(&root.join("moves"))?;
        let ends = folder.root().join(ENDS);
        // What a killed agent has left; the programs that used it died with it.
        match fs::remove_dir_all(&ends) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed("remove", &ends)(error));
            }
            _ => {}
        }
        fs::create_dir_all(&ends).map_err(failed("make", &ends))?;
        let arrivals = Arc::new(Arrivals {
            folder: folder.clone(),
            turn: Mutex::default(),
            open: Mutex::default(),
        });
        let door = Door::reopen(&folder, arrivals.clone())?;
        Ok(Self {
            driver,
            arrivals,
            door: Mutex::new(door),
        })
    }
}

impl Hand for Moves {
    fn perform(&self, step: &Step, keys: &Keys, watch: &dyn Watch) -> Result<Gained, Failure> {
        match step {
            Step::Expect {
                machine,
                disks,
                host,
                key,
            } => self.expect(machine, disks, host, bytes(keys, *key)?),
            Step::Arrive { vm, disks, key } => {
                self.arrive(*vm, disks, (*key, keys.bytes(*key)), watch)
            }
            Step::Dismiss { vm } => self.arrivals.dismiss(*vm).map_err(failure),
            Step::Knock { vm, address } => self.knock(*vm, address, watch),
            Step::Ship {
                disks,
                address,
                key,
                ..
            } => {
                let ends = self.arrivals.folder.root().join(ENDS);
                let key = (*key, bytes(keys, *key)?);
                let sent = send(&ends, disks, address, key, watch);
                sent.map_err(|error| failure(stays(error)))
            }
            Step::Cede { address, key, .. } => return cede(address, keys.bytes(*key), watch),
            _ => return Err(refused(&format!("no move can {step}"))),
        }
        .map(|gained: Option<String>| Gained {
            listening: gained,
            ..Gained::default()
        })
    }
}

impl Moves {
    fn check(&self) -> Result<(), Failure> {
        let needed = Capability::ColdMigration;
        if self.driver.capabilities().contains(&needed) {
            return Ok(());
        }
        let driver = self.driver.name();
        Err(refused(&format!(
            "{driver} cannot move a VM (it lacks {needed})"
        )))
    }

    fn expect(
        &self,
        machine: &Machine,
        disks: &[AttachedDisk],
        host: &str,
        key: &[u8],
    ) -> Result<Option<String>, Failure> {
        self.check()?;
        self.driver.validate(machine).map_err(failure)?;
        let coming = Coming {
            vm: machine.vm,
            storage: match disks {
                [] => Storage::Shared,
                _ => Storage::Local,
            },
            files: disks.iter().map(|disk| disk.path.clone()).collect(),
        };
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        if door.as_ref().is_none_or(|door| !door.is_on(host)) {
            // The former one is closed before, as it may have the port.
            *door = None;
            let opened = Door::open(&self.arrivals.folder, host, self.arrivals.clone());
            *door = Some(opened.map_err(failure)?);
        }
        let address = door.as_ref().map(|door| door.address().to_string());
        let _turn = self.arrivals.turn();
        book::expect(&self.arrivals.folder, coming, &Words::of(key)).map_err(failure)?;
        Ok(address)
    }

    /// Without its key, as after a crash, it cannot come any more, but it may have been taken.
    fn arrive(
        &self,
        vm: VmId,
        disks: &[AttachedDisk],
        (id, key): (KeyId, Option<&[u8]>),
        watch: &dyn Watch,
    ) -> Result<Option<String>, Failure> {
        let arrivals = &self.arrivals;
        let Some((digest, page)) = book::last(&arrivals.folder, vm).map_err(failure)? else {
            return Err(broken("it is in no book"));
        };
        let expected = page.book == Book::Expected;
        let _servers = match key {
            Some(key) if expected => self.serve(&digest, disks, (id, key), watch)?,
            _ => Vec::new(),
        };
        loop {
            // Asked before the look: one that is taken while it is called off is seen.
            let called_off = watch.checkpoint();
            if called_off.is_err() {
                arrivals.dismiss(vm).map_err(failure)?;
            }
            let page = book::page(&arrivals.folder, &digest).map_err(failure)?;
            match page.map(|page| page.book) {
                Some(Book::Taken) => return Ok(None),
                Some(Book::Expected) => {}
                Some(Book::Dropped) | None => {
                    let (kind, reason) = match called_off {
                        Err(why) => (FailureKind::CalledOff, why.to_string()),
                        Ok(()) => (FailureKind::Broken, "it was dropped".to_owned()),
                    };
                    return Err(Failure { kind, reason });
                }
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Lets the disks of a VM in, until what is given back is dropped.
    fn serve<'a>(
        &'a self,
        digest: &str,
        disks: &[AttachedDisk],
        (id, key): (KeyId, &[u8]),
        watch: &dyn Watch,
    ) -> Result<Vec<Letting<'a>>, Failure> {
        let ends = self.arrivals.folder.root().join(ENDS);
        let mut letting = Vec::new();
        for disk in disks {
            let credentials = credentials(id, key).map_err(failure)?;
            let server = Server::start(&ends, disk, credentials, watch).map_err(failure)?;
            let name = (digest.to_owned(), disk.name.clone());
            let arrivals = &self.arrivals;
            arrivals
                .open()
                .insert(name.clone(), server.socket().to_owned());
            letting.push(Letting {
                arrivals,
                name,
                _server: server,
            });
        }
        Ok(letting)
    }

    fn knock(&self, vm: VmId, address: &str, watch: &dyn Watch) -> Result<Option<String>, Failure> {
        self.check()?;
        if self.driver.inspect(vm).map_err(failure)?.is_none() {
            return Err(refused(&format!("{vm} is not there")));
        }
        let reached = Line::reach(address, KNOCK_PATIENCE, watch);
        reached.map_err(|error| failure(stays(error)))?;
        Ok(None)
    }
}

/// The receiver is asked until it has said for good what it has done: whoever calls off, it may have
/// taken the VM already.
fn cede(address: &str, key: Option<&[u8]>, watch: &dyn Watch) -> Result<Gained, Failure> {
    let unfinished = |reason: String| Failure {
        kind: FailureKind::Unfinished,
        reason,
    };
    let key = key.ok_or_else(|| unfinished("its key was not sent".to_owned()))?;
    watch.calling(&NativeCall {
        interface: "tcp".to_owned(),
        call: format!("hand over to {address}"),
    });
    let saying = Words::of(key).saying();
    let said = Line::open(address).and_then(|line| line.say(&saying, &Unwatched));
    match said.map_err(|error| unfinished(error.to_string()))? {
        Said::Taken { .. } => Ok(Gained::default()),
        Said::Dropped => Err(broken(
            "the other node has dropped it, it is this one's again",
        )),
    }
}

fn bytes(keys: &Keys, key: KeyId) -> Result<&[u8], Failure> {
    let missing = || failure(DriverError::KeyMissing { key });
    keys.bytes(key).ok_or_else(missing)
}

/// A disk that is let in.
struct Letting<'a> {
    arrivals: &'a Arrivals,
    name: (String, String),
    _server: Server,
}

impl Drop for Letting<'_> {
    fn drop(&mut self) {
        self.arrivals.open().remove(&self.name);
    }
}

impl Arrivals {
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<(String, String), PathBuf>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A VM that has not been taken never will be.
    fn dismiss(&self, vm: VmId) -> Result<Option<String>, DriverError> {
        let _turn = self.turn();
        if let Some((digest, _)) = book::last(&self.folder, vm)? {
            book::settle(&self.folder, &digest, Book::Dropped)?;
        }
        Ok(None)
    }
}

impl Host for Arrivals {
    fn hear(&self, run: &str) -> Result<Answer, DriverError> {
        let digest = digest(run);
        let _turn = self.turn();
        let Some(page) = book::page(&self.folder, &digest)? else {
            let why = "no VM comes by this word".to_owned();
            return Ok(Answer::Refused { why });
        };
        // Its sender says the word of a VM only once all of its disks are here.
        let arrival = match page.files.iter().all(|file| file.exists()) {
            true => Arrival::Whole,
            false => Arrival::Gone,
        };
        Ok(match hear(page.book, arrival) {
            Hearing::Take => {
                for file in &page.files {
                    let synced = File::open(file).and_then(|disk| disk.sync_all());
                    synced.map_err(failed("write", file))?;
                }
                book::settle(&self.folder, &digest, Book::Taken)?;
                taken(page.taken)
            }
            Hearing::Run | Hearing::SayTaken => taken(page.taken),
            Hearing::Drop => {
                book::settle(&self.folder, &digest, Book::Dropped)?;
                Answer::Dropped { word: page.dropped }
            }
            Hearing::SayDropped => Answer::Dropped { word: page.dropped },
            Hearing::Refuse => Answer::Refused {
                why: format!("{} is not whole", page.vm),
            },
        })
    }

    fn carry(
        &self,
        digest: &str,
        disk: &str,
        stream: &TcpStream,
        closed: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        let name = (digest.to_owned(), disk.to_owned());
        let begun = Instant::now();
        // Its sender may hear sooner that it is expected than its servers are up.
        let socket = loop {
            if let Some(socket) = self.open().get(&name).cloned() {
                break socket;
            }
            let page = book::page(&self.folder, digest).ok().flatten();
            if page.is_none_or(|page| page.book != Book::Expected) {
                let why = "it is not expected there any more".to_owned();
                return tell(stream, &Answer::Refused { why });
            }
            if closed() || begun.elapsed() > SERVE_PATIENCE {
                // Its agent may still wait for the key.
                return Err(io::Error::from(ErrorKind::NotFound));
            }
            thread::sleep(LOOK_EVERY);
        };
        let near = UnixStream::connect(socket)?;
        tell(stream, &Answer::Open)?;
        pump(stream, &near, closed)?;
        Ok(())
    }
}

/// What stood still does so until its agent starts it.
fn taken(word: String) -> Answer {
    Answer::Taken {
        word,
        running_micros: None,
    }
}
