//! The key of a move inside QEMU: both ends of its connections prove by TLS that they have it, and
//! nobody else reads or writes what goes over them.
//!
//! QEMU reads such a key from a file of a folder. The file here is a link to memory that QEMU itself
//! holds open, so the key is on no disk and goes with QEMU.

use super::qmp::Qmp;
use crate::folder::{Folder, failed};
use crate::handover::key::{CREDENTIALS_FILE, USER, credentials};
use agent::driver::DriverError;
use agent::watch::{Unwatched, Watch};
use model::id::{KeyId, VmId};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

/// What QEMU calls the key.
pub(super) const CREDENTIALS: &str = "move";

/// The folder within the VM's.
const FOLDER: &str = "tls";

/// An end of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It connects.
    Sender,
    /// It listens.
    Receiver,
}

/// Gives QEMU a key, in place of one that it has.
///
/// # Errors
/// Where the key is too short, or QEMU refuses it.
pub(super) fn give(
    folder: &Folder,
    vm: VmId,
    qmp: &mut Qmp,
    (id, key): (KeyId, &[u8]),
    end: End,
    watch: &dyn Watch,
) -> Result<(), DriverError> {
    let file = credentials(id, key)?;
    remove(folder, vm, qmp);
    let opaque = json!({ "opaque": CREDENTIALS });
    let given = qmp.give_file("add-fd", &opaque, &file, watch)?;
    let place = folder.of(vm).join(FOLDER);
    fs::create_dir_all(&place).map_err(failed("make", &place))?;
    let link = place.join(CREDENTIALS_FILE);
    symlink(format!("/proc/self/fd/{}", given["fd"]), &link).map_err(failed("make", &link))?;
    let mut object = json!({
        "qom-type": "tls-creds-psk",
        "id": CREDENTIALS,
        "dir": place,
        "endpoint": match end {
            End::Sender => "client",
            End::Receiver => "server",
        },
    });
    if end == End::Sender {
        object["username"] = USER.into();
    }
    qmp.execute("object-add", Some(&object), watch)?;
    Ok(())
}

/// Takes the key away again, there or not.
pub(super) fn remove(folder: &Folder, vm: VmId, qmp: &mut Qmp) {
    let mut ask =
        |command, arguments: Value| qmp.execute(command, Some(&arguments), &Unwatched).ok();
    ask("object-del", json!({ "id": CREDENTIALS }));
    let sets = ask("query-fdsets", json!({})).unwrap_or_default();
    for set in sets.as_array().map(Vec::as_slice).unwrap_or_default() {
        if set["fds"][0]["opaque"] == CREDENTIALS {
            ask("remove-fd", json!({ "fdset-id": set["fdset-id"] }));
        }
    }
    // A link that leads nowhere tells nothing; it goes with the VM's folder at the latest.
    let _ = fs::remove_dir_all(folder.of(vm).join(FOLDER));
}
