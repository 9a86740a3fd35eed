//! What an agent that was killed within an act has left at work in a running QEMU. The verdict on it
//! was that act's own, so nobody asks for it.

use super::disks::{COPY_JOB, COPY_NODE};
use super::look::Look;
use super::qmp::Qmp;
use super::record;
use super::snapshot;
use crate::folder::Folder;
use crate::wait::pause;
use agent::driver::DriverError;
use agent::watch::Watch;
use model::id::VmId;
use serde_json::{Value, json};
use std::time::Duration;

/// How often a job is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits for a snapshot, so that what is kept can be told.
///
/// # Errors
/// Where QEMU does not answer, or the wait is called off.
pub(super) fn end_snapshot(
    folder: &Folder,
    vm: VmId,
    watch: &dyn Watch,
) -> Result<(), DriverError> {
    match connect(folder, vm, watch)? {
        Some(mut qemu) => end_jobs(&mut qemu, |id| id == snapshot::JOB, Wish::Done, watch),
        None => Ok(()),
    }
}

/// Calls copies off and closes their files: they are begun anew, or not wanted any more.
///
/// # Errors
/// As [`end_snapshot`].
pub(super) fn end_copies(folder: &Folder, vm: VmId, watch: &dyn Watch) -> Result<(), DriverError> {
    let Some(mut qemu) = connect(folder, vm, watch)? else {
        return Ok(());
    };
    end_jobs(&mut qemu, |id| is_numbered(id, COPY_JOB), Wish::Gone, watch)?;
    let nodes = qemu.execute(
        "query-named-block-nodes",
        Some(&json!({ "flat": true })),
        watch,
    )?;
    for node in names(&nodes, "node-name").filter(|node| is_numbered(node, COPY_NODE)) {
        qemu.execute("blockdev-del", Some(&json!({ "node-name": node })), watch)?;
    }
    Ok(())
}

/// What is to become of a job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Done,
    Gone,
}

fn end_jobs(
    qemu: &mut Qmp,
    is_meant: impl Fn(&str) -> bool,
    wish: Wish,
    watch: &dyn Watch,
) -> Result<(), DriverError> {
    loop {
        let jobs = qemu.execute("query-jobs", None, watch)?;
        let mut left = jobs.as_array().into_iter().flatten();
        let Some(job) = left.find(|job| job["id"].as_str().is_some_and(&is_meant)) else {
            return Ok(());
        };
        let id = json!({ "id": job["id"] });
        if job["status"] == "concluded" {
            qemu.execute("job-dismiss", Some(&id), watch)?;
            continue;
        }
        if wish == Wish::Gone {
            // It may have concluded since it was looked at, and is looked at again.
            let _ = qemu.execute("job-cancel", Some(&id), watch);
        }
        pause("wait for what was begun before", LOOK_EVERY, watch)?;
    }
}

fn connect(folder: &Folder, vm: VmId, watch: &dyn Watch) -> Result<Option<Qmp>, DriverError> {
    match record::running(folder, vm)? {
        Some(_) => Look::connect_under(folder, vm, watch).map(Some),
        None => Ok(None),
    }
}

fn names<'a>(list: &'a Value, field: &'a str) -> impl Iterator<Item = &'a str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(move |item| item[field].as_str())
}

fn is_numbered(name: &str, prefix: &str) -> bool {
    let number = name.strip_prefix(prefix);
    number.is_some_and(|number| number.parse::<usize>().is_ok())
}
