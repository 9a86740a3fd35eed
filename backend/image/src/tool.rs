//! One call of a user-space tool: followed, called off, bounded, and caged unless it need not be.

use crate::error::Error;
use crate::sandbox::{Limits, Sight, cage};
use crate::utility::{self, Utility};
use agent::driver::NativeCall;
use agent::watch::Watch;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How often a waiting call asks whether it is called off: a tenth of what [`Watch`] allows.
pub(crate) const ASK_EVERY: Duration = Duration::from_millis(10);

/// What a tool may say: an archive of modules is the longest. More is read and dropped, so that it
/// cannot block, and the call fails.
const MAX_SAID_BYTES: usize = 256 << 20;

/// Lines of a failed tool that an error repeats.
const TOLD_LINES: usize = 6;

/// What a tool said.
#[derive(Debug)]
pub(crate) struct Said {
    /// On its output.
    pub(crate) out: Vec<u8>,
    /// On its error output.
    pub(crate) err: String,
    /// The exit code.
    pub(crate) code: i32,
}

/// One call of a tool, being put together.
pub(crate) struct Tool {
    program: &'static str,
    arguments: Vec<OsString>,
    input: Zeroizing<Vec<u8>>,
    names_input: bool,
    accepted: &'static [i32],
    sight: Sight,
    limits: Limits,
    caged: bool,
    foreign: bool,
    scratch: Option<PathBuf>,
}

impl Tool {
    /// Calls a program that is found in the system's folders.
    pub(crate) fn new(program: &'static str) -> Self {
        Self {
            program,
            arguments: Vec::new(),
            input: Zeroizing::default(),
            names_input: false,
            accepted: &[0],
            sight: Sight::default(),
            limits: Limits::default(),
            caged: true,
            foreign: false,
            scratch: None,
        }
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        let arguments = arguments.into_iter().map(|a| a.as_ref().to_owned());
        self.arguments.extend(arguments);
        self
    }

    /// Says this on its input, which is wiped afterwards: the only way for a key to reach a tool.
    pub(crate) fn input(mut self, bytes: &[u8]) -> Self {
        self.input = Zeroizing::new(bytes.to_vec());
        self
    }

    /// Lets it open its input by name, as `/dev/stdin`: a pipe of this process is not its to open, so
    /// that one of the cage's own stands between.
    pub(crate) const fn names_input(mut self) -> Self {
        self.names_input = true;
        self
    }

    /// Takes these exit codes for success.
    pub(crate) const fn accept(mut self, codes: &'static [i32]) -> Self {
        self.accepted = codes;
        self
    }

    /// Lets it read this file or folder.
    pub(crate) fn reads(mut self, path: &Path) -> Self {
        self.sight.reads.push(path.to_owned());
        self
    }

    /// Lets it write this file or folder.
    pub(crate) fn writes(mut self, path: &Path) -> Self {
        self.sight.writes.push(path.to_owned());
        self
    }

    /// Bounds it otherwise than by default.
    pub(crate) const fn within(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Gives it this folder for its root, to read and to write, in place of the node's programs.
    pub(crate) fn rooted(mut self, root: &Path) -> Self {
        self.sight.root = Some(root.to_owned());
        self
    }

    /// Lets it keep its own temporary files here.
    pub(crate) fn scratch(mut self, folder: &Path) -> Self {
        self.scratch = Some(folder.to_owned());
        self
    }

    /// Runs it outside of the cage: for what opens nothing foreign and needs more than the cage has.
    pub(crate) const fn uncaged(mut self) -> Self {
        self.caged = false;
        self
    }

    /// Runs it in the node's utility VM, where it has one: for what opens or runs what others wrote.
    pub(crate) const fn foreign(mut self) -> Self {
        self.foreign = true;
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self, watch: &dyn Watch) -> Result<Said, Error> {
        watch.checkpoint()?;
        let vm = match self.foreign {
            true => utility::at_hand(),
            false => None,
        };
        let _turn = vm.map(|vm| vm.turn(watch)).transpose()?;
        watch.calling(&self.native_call(vm));
        let mut child = self.spawn(vm)?;
        let mut stdin = child.stdin.take();
        let input = self.input.clone();
        let writer = thread::spawn(move || {
            // A tool that ends without reading all is judged by its exit code.
            stdin.as_mut().map(|stdin| stdin.write_all(&input))
        });
        let (out, err) = (gather(child.stdout.take()), gather(child.stderr.take()));
        let wall_seconds = match vm {
            Some(_) => self.limits.wall_seconds + utility::BOOT_SECONDS,
            None => self.limits.wall_seconds,
        };
        let deadline = Instant::now() + Duration::from_secs(wall_seconds);
        let ended = wait(&mut child, watch, deadline);
        if ended.is_err() {
            // The namespaces die with their first process, and all in them with it.
            drop(child.kill());
            drop(child.wait());
        }
        drop(writer.join());
        let said = Said {
            out: out.recv().unwrap_or_default(),
            err: String::from_utf8_lossy(&err.recv().unwrap_or_default()).into_owned(),
            code: 0,
        };
        let status = ended?.ok_or_else(|| self.failed("its time limit", &said))?;
        if said.out.len() > MAX_SAID_BYTES {
            return Err(self.failed("more to say than it may", &said));
        }
        match status.code() {
            Some(code) if self.accepted.contains(&code) => Ok(Said { code, ..said }),
            _ => Err(self.failed(&status.to_string(), &said)),
        }
    }

    fn spawn(&self, vm: Option<&Utility>) -> Result<Child, Error> {
        let missing = || Error::Missing {
            program: self.program,
            package: package(self.program),
        };
        if self.sight.root.is_none() && find(self.program).is_none() {
            return Err(missing());
        }
        let mut tool = vec![OsString::from(self.program)];
        tool.extend(self.arguments.iter().cloned());
        let words = match vm {
            Some(vm) => vm.command(&tool, &self.sight, &self.limits),
            None => {
                let mut words = match self.caged {
                    true => cage(&self.sight, &self.limits),
                    false => Vec::new(),
                };
                if self.names_input {
                    words.extend(["sh", "-c", "cat | \"$0\" \"$@\""].map(OsString::from));
                }
                words.extend(tool);
                words
            }
        };
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(folder) = &self.scratch {
            command.env("TMPDIR", folder);
        }
        command.spawn().map_err(|_| missing())
    }

    fn native_call(&self, vm: Option<&Utility>) -> NativeCall {
        let mut call = self.program.to_owned();
        for argument in &self.arguments {
            call.push(' ');
            call.push_str(&argument.to_string_lossy());
        }
        NativeCall {
            interface: vm.map_or("exec", |_| "utility").to_owned(),
            call,
        }
    }

    fn failed(&self, status: &str, said: &Said) -> Error {
        let told: Vec<&str> = said.err.lines().collect();
        Error::Tool {
            program: self.program,
            status: status.to_owned(),
            told: told[told.len().saturating_sub(TOLD_LINES)..].join("; "),
        }
    }
}

fn wait(
    child: &mut Child,
    watch: &dyn Watch,
    deadline: Instant,
) -> Result<Option<ExitStatus>, Error> {
    // Its end is polled: a thread that waited could not be taken back when it is called off.
    let mut pause = Duration::from_micros(200);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(Some(status)),
            Ok(None) if Instant::now() > deadline => {
                drop(child.kill());
                drop(child.wait());
                return Ok(None);
            }
            Ok(None) => thread::sleep(pause),
            Err(source) => {
                let path = "/proc/self".into();
                return Err(Error::File { path, source });
            }
        }
        pause = (pause * 2).min(ASK_EVERY);
        watch.checkpoint()?;
    }
}

/// Reads a stream to its end beside all else; what it held comes then.
pub(crate) fn gather(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (told, heard) = channel();
    thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut stream) = stream {
            // What was read before an error is all there is to tell.
            drop(
                stream
                    .by_ref()
                    .take(MAX_SAID_BYTES as u64 + 1)
                    .read_to_end(&mut kept),
            );
            drop(std::io::copy(&mut stream, &mut std::io::sink()));
        }
        drop(told.send(kept));
    });
    heard
}

/// Where the system has a program.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
}

/// The Debian package that a program comes from.
pub(crate) fn package(program: &str) -> &'static str {
    match program {
        "mke2fs" | "e2fsck" | "debugfs" | "resize2fs" | "dumpe2fs" | "e2image" => "e2fsprogs",
        "sfdisk" => "fdisk",
        "mkfs.xfs" | "xfs_repair" | "xfs_db" => "xfsprogs",
        "mkfs.btrfs" | "btrfs" => "btrfs-progs",
        "mkfs.vfat" | "fsck.fat" => "dosfstools",
        "mcopy" | "mmd" => "mtools",
        "mkntfs" | "ntfscp" | "ntfsfix" | "ntfscat" => "ntfs-3g",
        "qemu-img" | "qemu-storage-daemon" => "qemu-utils",
        "cryptsetup" => "cryptsetup-bin",
        "grub-mkimage" => "grub-common",
        "extlinux" => "extlinux",
        "mmdebstrap" => "mmdebstrap",
        "cpio" => "cpio",
        "bwrap" => "bubblewrap",
        "depmod" => "kmod",
        "qemu-system-x86_64" => "qemu-system-x86",
        "qemu-system-aarch64" => "qemu-system-arm",
        "qemu-system-riscv64" => "qemu-system-riscv",
        "dpkg-deb" => "dpkg",
        "apt-get" => "apt",
        _ => "util-linux",
    }
}

#[cfg(test)]
mod tests {
    use super::package;
    use std::process::Command;

    /// Whoever lacks a tool is told the package that really brings it.
    #[test]
    fn packages_bring_their_tools() {
        for tool in [
            "e2image",
            "setpriv",
            "qemu-storage-daemon",
            "qemu-img",
            "grub-mkimage",
            "cryptsetup",
            "sfdisk",
            "depmod",
            "mkswap",
            "mmdebstrap",
        ] {
            let list = Command::new("dpkg").args(["-L", package(tool)]).output();
            let list = list.expect("Debian's dpkg").stdout;
            let list = String::from_utf8_lossy(&list);
            let found = list
                .lines()
                .any(|path| path.rsplit('/').next() == Some(tool));
            assert!(found, "{tool} is not in {}", package(tool));
        }
    }
}
