//! Disks on their way to another node: QEMU's own programs copy them, by NBD over TLS.

mod program;

use agent::driver::DriverError;
use agent::machine::{AttachedDisk, DiskFormat};
use agent::watch::Watch;
use drivers::folder::failed;
use drivers::handover::key::{CREDENTIALS_FILE, USER, credentials};
use drivers::handover::word::{Announced, Line, Words, digest};
use model::id::KeyId;
use program::Program;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How often what waits looks whether it has an end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A server of a disk listens within this: it opens one file.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// The receiver's agent, having died, is followed by another within this; a node that starts anew takes
/// about as long. The VM may be shut down for its move, so no longer is waited.
const BACK_PATIENCE: Duration = Duration::from_secs(120);

/// A receiver that breaks off more often than this at one disk does so for a reason that stays.
const MOST_BREAKS: usize = 8;

/// Bytes that are carried at a time.
const PORTION: usize = 256 << 10;

/// What QEMU's programs call the key.
const CREDENTIALS: &str = "move";

/// One end of a connection: its socket, and the key for the program there.
struct End {
    folder: TempDir,
    /// Open as long as a program may read it, and in memory alone.
    _credentials: File,
}

impl End {
    fn new(ends: &Path, credentials: File) -> Result<Self, DriverError> {
        let folder = TempDir::new_in(ends).map_err(failed("make a folder in", ends))?;
        let link = folder.path().join(CREDENTIALS_FILE);
        let process = std::process::id();
        let memory = format!("/proc/{process}/fd/{}", credentials.as_raw_fd());
        symlink(memory, &link).map_err(failed("make", &link))?;
        Ok(Self {
            folder,
            _credentials: credentials,
        })
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("nbd")
    }

    fn object(&self, endpoint: &str) -> String {
        let folder = escaped(self.folder.path());
        format!("tls-creds-psk,id={CREDENTIALS},dir={folder},endpoint={endpoint}")
    }
}

/// A disk that the other node may write.
pub(super) struct Server {
    _program: Program,
    end: End,
}

impl Server {
    /// Lets whoever has the key write a disk.
    ///
    /// # Errors
    /// Where the program is missing or cannot open the disk, or the watch calls off.
    pub(super) fn start(
        ends: &Path,
        disk: &AttachedDisk,
        credentials: File,
        watch: &dyn Watch,
    ) -> Result<Self, DriverError> {
        let end = End::new(ends, credentials)?;
        let socket = end.socket();
        let (object, socket_word) = (end.object("server"), socket.display().to_string());
        let mut words = vec!["--object", &object, "--tls-creds", CREDENTIALS];
        words.extend(["--format", format(disk), "--export-name", &disk.name]);
        // Holes stay holes, and a sender that is cut off comes again.
        words.extend(["--discard", "unmap", "--persistent", "--shared", "0"]);
        let path = disk.path.display().to_string();
        words.extend(["--socket", &socket_word, &path]);
        let mut program = Program::start("qemu-nbd", &words, watch)?;
        let begun = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            let ended = program.ended()?;
            if ended || begun.elapsed() > START_PATIENCE {
                return Err(program.failed());
            }
            watch
                .checkpoint()
                .map_err(|why| DriverError::called_off("let a disk in", why))?;
            thread::sleep(LOOK_EVERY);
        }
        Ok(Self {
            _program: program,
            end,
        })
    }

    /// Where its bytes go.
    pub(super) fn socket(&self) -> PathBuf {
        self.end.socket()
    }
}

/// Copies disks to where they are expected, one after the other; a disk at which the receiver breaks off
/// is begun again once its agent is back.
///
/// # Errors
/// Where one of them cannot be, or the watch calls off.
pub(super) fn send(
    ends: &Path,
    disks: &[AttachedDisk],
    address: &str,
    (id, key): (KeyId, &[u8]),
    watch: &dyn Watch,
) -> Result<Option<String>, DriverError> {
    let digest = digest(&Words::of(key).run);
    let all_mib: u64 = disks.iter().map(|disk| disk.size_mib).sum();
    let mut done_mib = 0;
    for disk in disks {
        let told = |milli: u16| {
            let done = done_mib * 1_000 + disk.size_mib * u64::from(milli);
            watch.progressed((done / all_mib.max(1)) as u16);
        };
        let mut breaks = 0;
        loop {
            let end = End::new(ends, credentials(id, key)?)?;
            match copy(&end, disk, (address, &digest), &told, watch)? {
                Copied::Whole => break,
                Copied::BrokenOff(error) if breaks == MOST_BREAKS => return Err(error),
                Copied::BrokenOff(_) => breaks += 1,
            }
            Line::reach(address, BACK_PATIENCE, watch)?;
        }
        done_mib += disk.size_mib;
    }
    Ok(None)
}

/// What came of copying a disk.
enum Copied {
    Whole,
    /// The receiver, or the way to it, has broken off.
    BrokenOff(DriverError),
}

fn copy(
    end: &End,
    disk: &AttachedDisk,
    (address, digest): (&str, &str),
    told: &dyn Fn(u16),
    watch: &dyn Watch,
) -> Result<Copied, DriverError> {
    let socket = end.socket();
    let listener = UnixListener::bind(&socket).map_err(failed("listen on", &socket))?;
    listener
        .set_nonblocking(true)
        .map_err(failed("listen on", &socket))?;
    let object = format!("{},username={USER}", end.object("client"));
    let (path, socket_word) = (escaped(&disk.path), escaped(&socket));
    let from = format!(
        "driver={},file.driver=file,file.filename={path}",
        format(disk)
    );
    let name = &disk.name;
    let to = format!(
        "driver=nbd,server.type=unix,server.path={socket_word},export={name},tls-creds={CREDENTIALS}"
    );
    // The disk's data are on the other's disk once it ends.
    let mut words = vec!["convert", "-n", "-p", "-W", "-m", "8", "-t", "writeback"];
    words.extend(["--object", &object, "--image-opts", &from]);
    words.extend(["--target-image-opts", &to]);
    let mut program = Program::start("qemu-img", &words, watch)?;
    let (over, done_milli) = (AtomicBool::new(false), AtomicU16::new(0));
    let out = program.output();
    let way = OnceLock::new();
    let copied = thread::scope(|scope| {
        scope.spawn(|| carry(&listener, (address, digest, name), &way, &over));
        scope.spawn(|| out.map(|out| follow(out, &done_milli)));
        let copied = wait(
            &mut program,
            &|| told(done_milli.load(Ordering::Relaxed)),
            watch,
        );
        over.store(true, Ordering::Relaxed);
        drop(program);
        copied
    });
    match (copied, way.into_inner()) {
        (Ok(()), _) => Ok(Copied::Whole),
        (Err(error @ DriverError::Hypervisor { .. }), Some(Trouble::Broken)) => {
            Ok(Copied::BrokenOff(error))
        }
        (Err(DriverError::Hypervisor { doing, .. }), Some(Trouble::Refused(said))) => {
            Err(DriverError::Hypervisor { doing, said })
        }
        (Err(error), _) => Err(error),
    }
}

/// What is wrong with the way to the receiver.
enum Trouble {
    Broken,
    Refused(String),
}

fn wait(program: &mut Program, told: &dyn Fn(), watch: &dyn Watch) -> Result<(), DriverError> {
    while !program.ended()? {
        watch
            .checkpoint()
            .map_err(|why| DriverError::called_off("copy a disk", why))?;
        told();
        thread::sleep(LOOK_EVERY);
    }
    match program.has_succeeded()? {
        true => Ok(()),
        false => Err(program.failed()),
    }
}

/// Joins every connection of our program to one of the receiver's, until it is over. A program whose
/// connection breaks ends; why it broke is told first.
fn carry(
    listener: &UnixListener,
    (address, digest, disk): (&str, &str, &str),
    way: &OnceLock<Trouble>,
    over: &AtomicBool,
) {
    let closed = || over.load(Ordering::Relaxed);
    while !closed() {
        let Ok((ours, _)) = listener.accept() else {
            thread::sleep(LOOK_EVERY);
            continue;
        };
        let line = Line::open(address).map_err(io::Error::other);
        let announced = line.and_then(|line| line.announce(digest, disk, &closed));
        let trouble = match announced {
            Ok(Announced::Refused(why)) => Some(Trouble::Refused(why)),
            Ok(Announced::Open(theirs)) => match pump(&theirs, &ours, &closed) {
                Ok(Side::Near) => None,
                Ok(Side::Far) | Err(_) => Some(Trouble::Broken),
            },
            Err(_) => Some(Trouble::Broken),
        };
        if let Some(trouble) = trouble {
            // The first is the cause of all others.
            way.set(trouble).ok();
        }
    }
}

/// An end of what is carried.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Near,
    Far,
}

/// Carries bytes both ways until either end has hung up, or is closed; which was the first.
pub(super) fn pump(
    far: &TcpStream,
    near: &UnixStream,
    closed: &dyn Fn() -> bool,
) -> io::Result<Side> {
    far.set_read_timeout(Some(LOOK_EVERY))?;
    far.set_write_timeout(None)?;
    near.set_nonblocking(false)?;
    let first = OnceLock::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let ended = move_bytes((near, Side::Near), (far, Side::Far), &|| false);
            first.set(ended).ok();
            far.shutdown(Shutdown::Both).ok();
        });
        let over = || closed() || first.get().is_some();
        let ended = move_bytes((far, Side::Far), (near, Side::Near), &over);
        first.set(ended).ok();
        near.shutdown(Shutdown::Both).ok();
        far.shutdown(Shutdown::Both).ok();
    });
    Ok(first.into_inner().unwrap_or(Side::Near))
}

/// Gives the end that has hung up; where it is over, that is here.
fn move_bytes(
    (mut from, reads): (impl Read, Side),
    (mut to, writes): (impl Write, Side),
    over: &dyn Fn() -> bool,
) -> Side {
    let mut bytes = vec![0; PORTION];
    while !over() {
        match from.read(&mut bytes) {
            Ok(0) => return reads,
            Ok(count) => {
                if to.write_all(&bytes[..count]).is_err() {
                    return writes;
                }
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                _ => return reads,
            },
        }
    }
    Side::Near
}

/// Reads how far `qemu-img` is, which it tells as `(12.34/100%)`.
fn follow(mut out: impl Read, done_milli: &AtomicU16) {
    let mut bytes = [0; 256];
    while let Ok(count @ 1..) = out.read(&mut bytes) {
        let said = String::from_utf8_lossy(&bytes[..count]);
        let told = said
            .rsplit_once('(')
            .and_then(|(_, rest)| rest.split_once('/'));
        if let Some(percent) = told.and_then(|(percent, _)| percent.parse::<f32>().ok()) {
            done_milli.store((percent * 10.0) as u16, Ordering::Relaxed);
        }
    }
}

/// How a disk's bytes are read and written. An encrypted one goes as it is.
fn format(disk: &AttachedDisk) -> &'static str {
    match disk.format {
        DiskFormat::Raw | DiskFormat::Luks => "raw",
        DiskFormat::Qcow2 => "qcow2",
    }
}

/// A path within options of QEMU's, where a comma ends it unless it stands twice.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
