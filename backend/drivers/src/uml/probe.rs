//! A guest of a few hundred bytes that shows whether guests really run here.
//!
//! That the kernel comes up proves little: on a processor whose registers it cannot keep, it is the
//! first program of the guest that dies. So the probe's guest has one: it says a word and powers off.

use super::registers::Registers;
use super::run::Run;
use crate::folder::failed;
use crate::probe_guest::{self, WORD};
use crate::process::kill_all;
use agent::driver::DriverError;
use agent::watch::Watch;
use model::id::VmId;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Given up after this; it takes a second on an idle node.
const LIMIT: Duration = Duration::from_secs(120);

/// What the folders of probes begin with.
const PREFIX: &str = "probe-";

/// What the probe saw.
pub struct Found {
    /// The kernel's release.
    pub version: String,
    /// What was done and what came of it.
    pub evidence: String,
}

/// Boots the guest.
///
/// # Errors
/// Where the kernel is missing, or its guest did not say its word.
pub fn probe(
    root: &Path,
    program: &Path,
    registers: Registers,
    watch: &dyn Watch,
) -> Result<Found, DriverError> {
    let version = version(program)?;
    sweep(root)?;
    let folder = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(root)
        .map_err(failed("make a folder in", root))?;
    let initrd = folder.path().join("initrd");
    fs::write(&initrd, archive("init", &probe_guest::program()))
        .map_err(failed("write", &initrd))?;
    let run = Run::of(folder.path().to_owned(), VmId(0));
    let mut kernel = vec![program.display().to_string(), "mem=64M".to_owned()];
    kernel.extend(run.words());
    kernel.extend(["con=null", "con0=null,fd:1", "ssl=null", "quiet"].map(str::to_owned));
    kernel.push(format!("initrd={}", initrd.display()));
    let begun = Instant::now();
    run.begin(&run.command(&kernel), registers)?;
    let ended = run.await_end(None, LIMIT, watch);
    run.kill(watch)?;
    let said = fs::read_to_string(run.console()).unwrap_or_default();
    if !ended? || !said.contains(WORD) {
        return Err(DriverError::Hypervisor {
            doing: "boot a probe".into(),
            said: format!("its program said nothing; the console: {}", said.trim()),
        });
    }
    let kept = match registers {
        Registers::Whole => "all registers of its programs",
        Registers::Legacy => {
            "the SSE registers of its programs only, as the processor has more than it can keep"
        }
    };
    Ok(Found {
        version,
        evidence: format!(
            "a probe booted, ran a program and powered off in {} ms; the kernel keeps {kept}",
            begun.elapsed().as_millis()
        ),
    })
}

/// Removes what killed agents have left of their probes.
fn sweep(root: &Path) -> Result<(), DriverError> {
    for entry in fs::read_dir(root).map_err(failed("read", root))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let folder = entry.path();
            let run = Run::of(folder.clone(), VmId(0));
            kill_all(|| run.processes())?;
            fs::remove_dir_all(&folder).map_err(failed("remove", &folder))?;
        }
    }
    Ok(())
}

fn version(program: &Path) -> Result<String, DriverError> {
    let missing = |_| DriverError::Missing {
        what: program.display().to_string(),
        hint: "install user-mode-linux".into(),
    };
    let out = Command::new(program)
        .arg("--version")
        .output()
        .map_err(missing)?;
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// An initial RAM disk with one executable, in cpio's `newc` format.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, mode, content) in [(name, 0o100_755, content), ("TRAILER!!!", 0, &[][..])] {
        let fields = [
            1, // inode
            mode,
            0, // user
            0, // group
            1, // links
            0, // time
            content.len(),
            0, // device, and of a device file, two numbers each
            0,
            0,
            0,
            name.len() + 1,
            0, // no checksum
        ];
        bytes.extend(b"070701");
        bytes.extend(fields.iter().flat_map(|f| format!("{f:08x}").into_bytes()));
        for part in [format!("{name}\0").as_bytes(), content] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}
