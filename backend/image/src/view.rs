//! A disk of any format as a raw file, while nobody runs it.
//!
//! qemu-storage-daemon opens the disk and shows what its guest would see as one file, by FUSE: so
//! tools that know raw disks alone work on encrypted disks and on those that stand on a base, and
//! nothing is copied or lies anywhere in the clear.

use crate::error::{At, Error};
use crate::sandbox::{hand_over, let_through};
use crate::tool::{find, gather, package};
use crate::work::Work;
use agent::driver::NativeCall;
use agent::watch::Watch;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

/// How long the daemon may take until it shows the disk; it takes milliseconds, and on a busy node a
/// few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the daemon may take to end; what was written is on the disk before it is asked to.
const ENDING: Duration = Duration::from_secs(60);

/// How the bytes of a disk lie in its file.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// As they are.
    Raw,
    /// A qcow2 overlay on this raw base; `None`: on none.
    Overlay {
        /// The base.
        base: Option<&'a Path>,
    },
    /// Encrypted by LUKS.
    Sealed {
        /// What opens it.
        key: &'a [u8],
    },
}

/// A disk that is shown as a raw file.
#[derive(Debug)]
pub struct View {
    daemon: Child,
    said: Receiver<Vec<u8>>,
    file: PathBuf,
    // Dropped last, once nothing is mounted in it.
    _folder: Work,
}

impl View {
    /// Shows a disk, or a range of what its guest sees, to be read and written. The file is the
    /// tools' user's.
    ///
    /// # Errors
    /// Where the disk cannot be opened so, or the node has no FUSE.
    pub fn open(
        disk: &Path,
        shape: Shape<'_>,
        range: Option<Range<u64>>,
        watch: &dyn Watch,
    ) -> Result<Self, Error> {
        watch.checkpoint()?;
        let folder = Work::beside(disk)?;
        let_through(folder.path())?;
        let file = folder.path().join("view");
        File::create(&file).at(&file)?;
        let words = words(disk, shape, range, &file);
        let call = format!("{DAEMON} {}", words.join(" "));
        watch.calling(&NativeCall {
            interface: "exec".to_owned(),
            call,
        });
        let key = match shape {
            Shape::Sealed { key } => key,
            Shape::Raw | Shape::Overlay { .. } => &[],
        };
        let mut daemon = start(&words, key)?;
        let mut view = Self {
            // Read all the time: a daemon whose pipe is full stands still.
            said: gather(daemon.stderr.take()),
            daemon,
            file,
            _folder: folder,
        };
        view.wait(watch)?;
        hand_over(&view.file)?;
        Ok(view)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// Ends it, once all that was written is in the disk.
    ///
    /// # Errors
    /// Where the daemon did not end well.
    pub fn close(mut self) -> Result<(), Error> {
        File::open(&self.file)
            .and_then(|file| file.sync_all())
            .at(&self.file)?;
        match self.end(ENDING).at(&self.file)? {
            status if status.success() => Ok(()),
            status => Err(self.failed(&status.to_string())),
        }
    }

    /// Until something is mounted in place of the empty file.
    fn wait(&mut self, watch: &dyn Watch) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            if is_mounted(&self.file) {
                return Ok(());
            }
            if let Some(status) = self.daemon.try_wait().at(&self.file)? {
                return Err(self.failed(&status.to_string()));
            }
            if begun.elapsed() > PATIENCE {
                return Err(self.failed("its time limit"));
            }
            watch.checkpoint()?;
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn failed(&mut self, status: &str) -> Error {
        drop(self.daemon.kill());
        let told = self.said.recv().unwrap_or_default();
        let told = String::from_utf8_lossy(&told);
        Error::Tool {
            program: DAEMON,
            status: status.to_owned(),
            told: told.trim().replace('\n', "; "),
        }
    }

    /// It takes its file away when it is asked to end; one that does not within this time is killed.
    fn end(&mut self, within: Duration) -> std::io::Result<ExitStatus> {
        if self.daemon.try_wait()?.is_none()
            && let Some(pid) = rustix::process::Pid::from_raw(self.daemon.id().cast_signed())
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let begun = Instant::now();
        while begun.elapsed() <= within {
            if let Some(status) = self.daemon.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.daemon.kill()?;
        self.daemon.wait()
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // After a close there is nothing left to end.
        drop(self.end(ENDING));
        unmount(&self.file);
    }
}

/// Takes away what a killed daemon left mounted at a file.
pub fn unmount(file: &Path) {
    if is_mounted(file) {
        // Busy or gone: what is left then is told by whoever removes the folder.
        let _ = rustix::mount::unmount(file, rustix::mount::UnmountFlags::DETACH);
    }
}

/// Whether a file is another file system's than its folder; one whose daemon was killed cannot even
/// be looked at.
fn is_mounted(file: &Path) -> bool {
    let device = |path: &Path| rustix::fs::lstat(path).map(|about| about.st_dev);
    match (device(file), file.parent().map(device)) {
        (Ok(inside), Some(Ok(outside))) => inside != outside,
        (Err(rustix::io::Errno::NOTCONN), _) => true,
        _ => false,
    }
}

const DAEMON: &str = "qemu-storage-daemon";

fn start(words: &[String], key: &[u8]) -> Result<Child, Error> {
    let missing = |program| Error::Missing {
        program,
        package: package(program),
    };
    if find(DAEMON).is_none() {
        return Err(missing(DAEMON));
    }
    let mut child = Command::new("setpriv")
        // It ends with the thread that works on the disk, whatever ends that.
        .args(["--pdeathsig", "TERM", "--", DAEMON])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|_| missing("setpriv"))?;
    let mut stdin = child.stdin.take();
    // A daemon that ends without reading is judged by its exit code; a key is shorter than a pipe.
    drop(stdin.as_mut().map(|stdin| stdin.write_all(key)));
    Ok(child)
}

fn words(disk: &Path, shape: Shape<'_>, range: Option<Range<u64>>, file: &Path) -> Vec<String> {
    let mut words = Vec::new();
    let mut say = |option: &str, value: String| words.extend([option.to_owned(), value]);
    let plain = |path: &Path, writable: bool| json!({ "driver": "file", "filename": path, "read-only": !writable, "discard": "unmap" });
    let mut node: Value = match shape {
        Shape::Raw => json!({ "driver": "raw", "file": plain(disk, true) }),
        Shape::Overlay { base } => {
            let base = base.map(
                |base| json!({ "driver": "raw", "read-only": true, "file": plain(base, false) }),
            );
            json!({ "driver": "qcow2", "file": plain(disk, true), "backing": base })
        }
        Shape::Sealed { .. } => {
            say("--object", "secret,id=key,file=/dev/stdin".to_owned());
            json!({ "driver": "luks", "key-secret": "key", "file": plain(disk, true) })
        }
    };
    node["discard"] = "unmap".into();
    if let Some(range) = range {
        let size = range.end - range.start;
        node = json!({ "driver": "raw", "offset": range.start, "size": size, "file": node });
    }
    node["node-name"] = "disk".into();
    say("--blockdev", node.to_string());
    let export = json!({
        "type": "fuse", "id": "view", "node-name": "disk", "mountpoint": file,
        "writable": true, "allow-other": "on",
    });
    say("--export", export.to_string());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent::watch::Unwatched;
    use rustix::process::{Pid, Signal, kill_process};

    /// A daemon that hangs is not waited for without end, and nothing of it stays.
    #[test]
    fn a_daemon_that_hangs_is_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = folder.path().join("disk");
        let made = File::create(&disk).and_then(|file| file.set_len(1 << 20));
        made.expect("a disk");
        let_through(folder.path()).expect("ours");
        let mut view = View::open(&disk, Shape::Raw, None, &Unwatched).expect("shown");
        let pid = Pid::from_raw(view.daemon.id().cast_signed()).expect("a process");
        kill_process(pid, Signal::STOP).expect("ours");
        let status = view.end(Duration::from_millis(50)).expect("it ends");
        assert!(!status.success(), "{status}");
        let file = view.path().to_owned();
        drop(view);
        assert!(!is_mounted(&file) && !file.exists());
    }
}
