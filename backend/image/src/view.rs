//! A disk of any format as a raw file, while nobody runs it.
//!
//! qemu-storage-daemon opens the disk and shows what its guest would see as one file, by FUSE: so
//! tools that know raw disks alone work on encrypted disks and on those that stand on a base, and
//! nothing is copied or lies anywhere in the clear.

use crate::error::{At, Error};
use crate::sandbox::{hand_over, let_through};
use agent::driver::NativeCall;
use agent::watch::Watch;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long the daemon may take until it shows the disk; it takes milliseconds, and on a busy node a
/// few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

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
    file: PathBuf,
    // Dropped last, once nothing is mounted in it.
    _folder: tempfile::TempDir,
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
        let folder = crate::ext4::work_folder(disk)?;
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
        let mut view = Self {
            daemon: start(&words, key)?,
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
        match self.end().at(&self.file)? {
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
        let mut told = String::new();
        if let Some(mut said) = self.daemon.stderr.take() {
            drop(self.daemon.kill());
            // What it said before an error is all there is to tell.
            drop(said.read_to_string(&mut told));
        }
        Error::Tool {
            program: DAEMON,
            status: status.to_owned(),
            told: told.trim().replace('\n', "; "),
        }
    }

    /// It takes its file away when it is asked to end, and asked again by nothing.
    fn end(&mut self) -> std::io::Result<std::process::ExitStatus> {
        if self.daemon.try_wait()?.is_none()
            && let Some(pid) = rustix::process::Pid::from_raw(self.daemon.id().cast_signed())
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        self.daemon.wait()
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // After a close there is nothing left to end.
        drop(self.end());
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
    let missing = |_| Error::Missing {
        program: "setpriv",
        package: "util-linux",
    };
    let mut child = Command::new("setpriv")
        // It ends with the thread that works on the disk, whatever ends that.
        .args(["--pdeathsig", "TERM", "--", DAEMON])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
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
