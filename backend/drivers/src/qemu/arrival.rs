//! What a word of a sender does here: a VM that has come whole runs.

use super::qmp::Qmp;
use super::record::{self, Move};
use super::secure;
use crate::folder::Folder;
use crate::handover::book::{self, Page};
use crate::handover::door::Host;
use crate::handover::word::{Answer, digest};
use crate::hold::Hold;
use crate::killpoint;
use agent::driver::DriverError;
use agent::handover::{Arrival, Book, Hearing, hear};
use agent::watch::{CalledOff, Unwatched, Watch};
use model::id::VmId;
use model::order::Storage;
use std::time::{Duration, Instant};

/// Another act on the VM is over within this.
const HOLD_PATIENCE: Duration = Duration::from_secs(5);

/// Whom senders of running VMs find behind the door.
pub(super) struct Arrivals(pub(super) Folder);

impl Host for Arrivals {
    fn hear(&self, run: &str) -> Result<Answer, DriverError> {
        heard(&self.0, run)
    }
}

/// Does what a word asks for, if it is known.
fn heard(folder: &Folder, run: &str) -> Result<Answer, DriverError> {
    let digest = digest(run);
    // Read before the VM is held, which makes its folder: strangers make none.
    let Some(page) = book::page(folder, &digest)? else {
        let why = "no VM comes by this word".to_owned();
        return Ok(Answer::Refused { why });
    };
    let vm = page.vm;
    let _hold = Hold::take(folder, vm, record::MACHINE, &Patience(Instant::now()))?;
    // What it has become meanwhile.
    let page = book::page(folder, &digest)?.unwrap_or(page);
    let mut arrived = Arrived::find(folder, vm, &digest)?;
    let hearing = hear(page.book, arrived.arrival);
    match hearing {
        Hearing::Refuse => {
            let why = format!("{vm} is not whole");
            return Ok(Answer::Refused { why });
        }
        Hearing::Take => book::settle(folder, &digest, Book::Taken)?,
        Hearing::Drop => book::settle(folder, &digest, Book::Dropped)?,
        Hearing::Run | Hearing::SayTaken | Hearing::SayDropped => {}
    }
    let mut running_micros = None;
    if let (Hearing::Take | Hearing::Run, Some(qmp)) = (hearing, &mut arrived.qmp) {
        killpoint::around(
            || format!("letting {vm} run"),
            || qmp.execute("cont", None, &Unwatched),
        )?;
        let runs = Instant::now();
        settle_in(folder, &page, qmp)?;
        running_micros = u64::try_from(runs.elapsed().as_micros()).ok();
    } else if let (Hearing::SayTaken, Some(qmp)) = (hearing, &mut arrived.qmp) {
        settle_in(folder, &page, qmp)?;
    }
    Ok(match hearing {
        Hearing::Drop | Hearing::SayDropped => Answer::Dropped { word: page.dropped },
        _ => Answer::Taken {
            word: page.taken,
            running_micros,
        },
    })
}

/// What came by a word, as it is now.
struct Arrived {
    arrival: Arrival,
    qmp: Option<Qmp>,
}

impl Arrived {
    fn find(folder: &Folder, vm: VmId, digest: &str) -> Result<Self, DriverError> {
        let gone = Self {
            arrival: Arrival::Gone,
            qmp: None,
        };
        let place = folder.load(vm, record::MOVE)?;
        let comes = matches!(place, Some(Move::Receiving { digest: kept }) if kept == digest);
        if !comes || record::running(folder, vm)?.is_none() {
            return Ok(gone);
        }
        let mut qmp = Qmp::connect(&folder.of(vm).join(record::ACT_SOCKET), &Unwatched)?;
        let status = qmp.execute("query-status", None, &Unwatched)?;
        let arrival = match status["status"].as_str() {
            Some("inmigrate") => Arrival::Loading,
            Some("paused" | "prelaunch") => Arrival::Whole,
            _ => Arrival::Runs,
        };
        let qmp = Some(qmp);
        Ok(Self { arrival, qmp })
    }
}

/// What is left to do once a VM runs here: nobody writes to its disks from outside any more, and the
/// key of its move is forgotten.
fn settle_in(folder: &Folder, page: &Page, qmp: &mut Qmp) -> Result<(), DriverError> {
    if page.storage == Storage::Local {
        match qmp.execute("nbd-server-stop", None, &Unwatched) {
            Err(error) if error.to_string().contains("not running") => {}
            stopped => drop(stopped?),
        }
    }
    secure::remove(folder, page.vm, qmp);
    killpoint::around(
        || format!("forgetting the move of {}", page.vm),
        || folder.forget(page.vm, record::MOVE),
    )
}

struct Patience(Instant);

impl Watch for Patience {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, _call: &agent::driver::NativeCall) {}

    fn checkpoint(&self) -> Result<(), CalledOff> {
        match self.0.elapsed() < HOLD_PATIENCE {
            true => Ok(()),
            false => Err(CalledOff::Expired),
        }
    }
}
