//! What a repeated query waits for, and how long.

use super::look::FINISHED;
use agent::driver::DriverError;
use serde_json::Value;
use std::time::Duration;

/// A guest that neither takes memory nor lets go of a vCPU within this has no driver for it; a
/// loaded node with an emulated guest takes some seconds.
const GUEST_PATIENCE: Duration = Duration::from_secs(30);

/// While a guest stands still nothing is waited for longer: what is left takes milliseconds, and a
/// link that swallows it would hold the guest until TCP gives up, after a quarter of an hour.
const STILL_PATIENCE: Duration = Duration::from_secs(5);

/// QEMU's word for a VM that is halted, so that its disks may be handed over.
const PAUSED: &str = "pre-switchover";

/// What of a VM's memory is little: sent in a second at the last.
const NEAR_BYTES: u64 = 16 << 20;

/// A query is repeated after an event that may change its answer, and after this where none comes.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The same, of what no event tells, as how much memory is left, which falls by some MiB meanwhile; and
/// while the guest stands still.
const ASK_SOON: Duration = Duration::from_millis(5);

/// The same, of what is over in less than that.
const ASK_AT_ONCE: Duration = Duration::from_micros(500);

/// What a repeated query waits for.
#[derive(Clone, Debug)]
pub(super) enum Until {
    /// The job has concluded; its error is the step's.
    JobEnded {
        /// The job.
        id: String,
    },
    /// These jobs have copied everything and follow every write.
    JobsReady {
        /// The jobs.
        ids: Vec<String>,
    },
    /// As [`Self::JobEnded`], while the guest stands still.
    MirrorEnded {
        /// The job.
        id: String,
    },
    /// Little of its memory is left to send.
    MemoryNear,
    /// The VM is halted and all but its last pages are over there.
    MigrationPaused,
    /// The receiver has told that it has everything.
    MigrationDone,
    /// Nothing runs here unless it is told to; a moment later than the receiver's word for it.
    Finished,
    /// The guest has given back or taken the memory.
    Balloon {
        /// Its memory, in bytes.
        bytes: u64,
        /// How near is near enough, in bytes.
        slack: u64,
    },
    /// The guest has let go of vCPUs.
    Cpus {
        /// vCPUs that are left.
        count: usize,
    },
}

impl Until {
    /// The query that tells.
    pub(super) const fn query(&self) -> &'static str {
        match self {
            Self::JobEnded { .. } | Self::MirrorEnded { .. } | Self::JobsReady { .. } => {
                "query-jobs"
            }
            Self::MemoryNear | Self::MigrationPaused | Self::MigrationDone => "query-migrate",
            Self::Finished => "query-status",
            Self::Balloon { .. } => "query-balloon",
            Self::Cpus { .. } => "query-cpus-fast",
        }
    }

    /// Whether an answer tells what is waited for.
    pub(super) fn holds(&self, answer: &Value) -> Result<bool, DriverError> {
        let jobs = || answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let job = |id: &String| jobs().iter().find(|job| job["id"] == id.as_str());
        match self {
            Self::JobEnded { id } | Self::MirrorEnded { id } => {
                let Some(job) = job(id) else { return Ok(false) };
                job_error(job)?;
                Ok(job["status"] == "concluded")
            }
            Self::JobsReady { ids } => {
                for id in ids {
                    match job(id) {
                        Some(job) => job_error(job)?,
                        None => return Err(broken(id, "it is gone")),
                    }
                }
                let ready = |id| job(id).is_some_and(|job| job["status"] == "ready");
                Ok(ids.iter().all(ready))
            }
            Self::MemoryNear => {
                let left = answer["ram"]["remaining"].as_u64();
                Ok(migration_is(answer, PAUSED)? || left.is_some_and(|left| left < NEAR_BYTES))
            }
            Self::MigrationPaused => migration_is(answer, PAUSED),
            Self::MigrationDone => migration_is(answer, "completed"),
            Self::Finished => Ok(answer["status"] == FINISHED),
            Self::Balloon { bytes, slack } => Ok(answer["actual"]
                .as_u64()
                .is_some_and(|actual| actual.abs_diff(*bytes) <= *slack)),
            Self::Cpus { count } => Ok(answer.as_array().is_some_and(|cpus| cpus.len() == *count)),
        }
    }

    /// Whether this may change the answer.
    pub(super) fn is_told_by(&self, event: &Value) -> bool {
        let (name, data) = (&event["event"], &event["data"]);
        match self {
            Self::MigrationPaused | Self::MigrationDone => name == "MIGRATION",
            Self::MirrorEnded { id } | Self::JobEnded { id } => {
                name == "JOB_STATUS_CHANGE"
                    && data["id"] == id.as_str()
                    && data["status"] == "concluded"
            }
            _ => true,
        }
    }

    /// How long no event is waited for before the query is repeated.
    pub(super) const fn again(&self) -> Duration {
        match self {
            // While the guest stands still no event is relied upon alone.
            Self::MemoryNear | Self::MirrorEnded { .. } | Self::MigrationDone => ASK_SOON,
            Self::Finished => ASK_AT_ONCE,
            _ => ASK_AGAIN,
        }
    }

    /// How long it may take, and what to think of where it takes longer; `None`: as long as it takes.
    pub(super) fn patience(&self) -> Option<(Duration, &'static str)> {
        let guest = |hint| Some((GUEST_PATIENCE, hint));
        match self {
            Self::Balloon { .. } => guest("hint: does the guest have the virtio_balloon driver?"),
            Self::Cpus { .. } => guest("hint: the guest may still run something on that vCPU"),
            Self::MirrorEnded { .. } | Self::MigrationDone | Self::Finished => Some((
                STILL_PATIENCE,
                "hint: the way to the other node may be broken",
            )),
            _ => None,
        }
    }
}

fn job_error(job: &Value) -> Result<(), DriverError> {
    match job["error"].as_str() {
        Some(error) => Err(broken(job["id"].as_str().unwrap_or_default(), error)),
        None => Ok(()),
    }
}

fn broken(job: &str, said: &str) -> DriverError {
    DriverError::Hypervisor {
        doing: format!("job {job}"),
        said: said.to_owned(),
    }
}

fn migration_is(answer: &Value, wanted: &str) -> Result<bool, DriverError> {
    let status = answer["status"].as_str().unwrap_or("none");
    if matches!(status, "failed" | "cancelled" | "cancelling") {
        return Err(DriverError::Hypervisor {
            doing: "move the VM".to_owned(),
            said: answer["error-desc"].as_str().unwrap_or(status).to_owned(),
        });
    }
    Ok(status == wanted)
}
