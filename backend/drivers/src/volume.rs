//! Volumes of one node in a VM of another: NBD over TLS, whose one key the two nodes have.
//!
//! ```text
//!  the VM's node                                          a node that lends
//!  QEMU ─▶ socket ─▶ joined ─▶ qemu-storage-daemon ══════▶ qemu-storage-daemon ─▶ volume.raw
//!                    └─ server ─┘             └═══════════▶ of another node
//! ```
//! A server is a process of its own that outlives whoever started it: it holds the key in memory, and
//! what listens, and starts QEMU's storage daemon again where that ends. QEMU has no driver that joins
//! disks end to end, so that [`joined`] does.
//!
//! - [`nbd`]: the protocol, as far as it is spoken here
//! - [`joined`]: disks end to end, as one
//! - [`server`]: the process

pub mod joined;
pub mod nbd;
pub mod server;

use crate::folder::{failed, replace};
use crate::handover::key::text;
use crate::process::{Process, kill_all};
use crate::shell;
use crate::wait::pause;
use agent::driver::{DriverError, NativeCall};
use agent::secret::Keys;
use agent::watch::Watch;
use model::blueprint::Extent;
use model::id::KeyId;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A server is up within this where the nodes of its volumes answer.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How often a server that starts is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One that listens, and whose storage daemon is just beginning again, speaks within this.
const GREETING_PATIENCE: Duration = Duration::from_millis(500);

/// What a server does, in its folder.
const STATE: &str = "server.json";

/// What a server complained of.
const LOG: &str = "server.log";

/// The socket of a disk that was joined.
const SOCKET: &str = "disk";

/// The daemon that speaks NBD over TLS.
const DAEMON: &str = "qemu-storage-daemon";

/// The word that makes our program a server; its folder follows.
pub const WORD: &str = "serve-volume";

/// What a server serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case")]
pub enum Task {
    /// A volume of this node, to another.
    Lend {
        /// Its file.
        volume: PathBuf,
        /// What it is called.
        name: String,
        /// The node's address on which it is served.
        host: String,
        /// By which key.
        key: KeyId,
    },
    /// Volumes of others as one disk, to a VM of this node.
    Join {
        /// In order.
        extents: Vec<Extent>,
    },
}

impl Task {
    fn keys(&self) -> Vec<KeyId> {
        let mut keys = match self {
            Self::Lend { key, .. } => vec![*key],
            Self::Join { extents } => extents.iter().map(|extent| extent.key).collect(),
        };
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// A server as it tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    task: Task,
    process: Process,
    /// Where a lent volume is served; the same as long as it is lent.
    address: Option<SocketAddr>,
}

/// How servers are started.
#[derive(Clone, Debug)]
pub struct Servers {
    /// The words that become one; [`WORD`] and its folder follow.
    pub program: Vec<String>,
}

impl Servers {
    /// The call to which a task comes, for a person to read.
    pub fn told(&self, folder: &Path, task: &Task) -> NativeCall {
        let daemon = server::daemon(folder, task, "<fd>");
        NativeCall {
            interface: "exec".to_owned(),
            call: shell::line(daemon.iter().map(String::as_str)),
        }
    }

    fn words(&self, folder: &Path) -> Vec<String> {
        let more = [WORD.to_owned(), folder.to_string_lossy().into_owned()];
        self.program.iter().cloned().chain(more).collect()
    }

    /// Has a task done by a server in a folder, which is made, and by no other; where one does it
    /// already, nothing happens. Done once it serves.
    ///
    /// # Errors
    /// Where a key is missing or too short, or it does not come up, with what it complained of.
    pub fn serve(
        &self,
        folder: &Path,
        task: &Task,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<Option<SocketAddr>, DriverError> {
        if let Some(state) = running(folder).filter(|state| state.task == *task) {
            wait_for(folder, &state, watch)?;
            return Ok(state.address);
        }
        end(folder)?;
        let brief = brief(task, keys)?;
        fs::create_dir_all(folder).map_err(failed("make", folder))?;
        let state = self.begin(folder, &brief, watch)?;
        if let Err(error) = wait_for(folder, &state, watch) {
            end(folder)?;
            return Err(error);
        }
        Ok(state.address)
    }

    fn begin(&self, folder: &Path, brief: &str, watch: &dyn Watch) -> Result<State, DriverError> {
        let words = self.words(folder);
        let log = folder.join(LOG);
        let stderr = File::create(&log).map_err(failed("make", &log))?;
        let [program, arguments @ ..] = words.as_slice() else {
            unreachable!("there are a word and a folder")
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .map_err(failed("start", Path::new(program)))?;
        // One that ends at once has its own words in its log.
        let mut stdin = child.stdin.take().expect("it was asked for");
        stdin.write_all(brief.as_bytes()).ok();
        drop(stdin);
        let begun = Instant::now();
        loop {
            let state = running(folder).filter(|state| state.process.pid == child.id());
            if let Some(state) = state {
                // Somebody must hear of its end, or it stays in the list of processes.
                thread::spawn(move || child.wait());
                return Ok(state);
            }
            let ended = child.try_wait().map_err(failed("wait for", folder))?;
            if ended.is_some() || begun.elapsed() > START_PATIENCE {
                end(folder)?;
                child.wait().ok();
                return Err(broken(folder));
            }
            if let Err(called_off) = pause("start the server of a volume", LOOK_EVERY, watch) {
                end(folder)?;
                child.wait().ok();
                return Err(called_off);
            }
        }
    }
}

/// What a server hears from its standard input: its task, and a line for each key.
fn brief(task: &Task, keys: &Keys) -> Result<Zeroizing<String>, DriverError> {
    let mut lines = vec![serde_json::to_string(task).expect("a task is JSON").into()];
    for key in task.keys() {
        let bytes = keys.bytes(key);
        let text = text(key, bytes.ok_or(DriverError::KeyMissing { key })?)?;
        lines.push(Zeroizing::new(format!("{} {}", key.0, *text)));
    }
    let length = lines.iter().map(|line: &Zeroizing<String>| line.len() + 1);
    // In full length at once, as a text that grows leaves copies behind.
    let mut brief = Zeroizing::new(String::with_capacity(length.sum()));
    for line in &lines {
        brief.push_str(line.trim_end());
        brief.push('\n');
    }
    Ok(brief)
}

/// The socket of the disk that a server has joined.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join(SOCKET)
}

/// Ends whatever serves from a folder.
///
/// # Errors
/// Where something survives.
pub fn end(folder: &Path) -> Result<(), DriverError> {
    kill_all(|| found(folder))
}

/// As [`end`], and removes the folder.
///
/// # Errors
/// Where something survives, or the disk refuses.
pub fn remove(folder: &Path) -> Result<(), DriverError> {
    end(folder)?;
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// The processes that serve from a folder: the server, and its daemon.
pub fn found(folder: &Path) -> Vec<Process> {
    let folder = folder.as_os_str().as_bytes();
    let inside = [folder, b"/"].concat();
    let is_ours = |process: &Process| {
        let words = process.words();
        let server = [WORD.as_bytes(), folder];
        let daemon = || {
            let is_daemon = words.iter().take(4).any(|word| word == DAEMON.as_bytes());
            let holds = |word: &Vec<u8>| word.windows(inside.len()).any(|part| part == inside);
            is_daemon && words.iter().any(holds)
        };
        words.ends_with(&server.map(<[u8]>::to_vec)) || daemon()
    };
    Process::all().filter(is_ours).collect()
}

fn load(folder: &Path) -> Option<State> {
    let text = fs::read(folder.join(STATE)).ok()?;
    serde_json::from_slice(&text).ok()
}

fn running(folder: &Path) -> Option<State> {
    load(folder).filter(|state| state.process.runs())
}

fn save(folder: &Path, state: &State) -> Result<(), DriverError> {
    let path = folder.join(STATE);
    let text = serde_json::to_vec_pretty(state).expect("a state is JSON");
    replace(&path, &text).map_err(failed("write", &path))
}

/// Waits until a server answers as one that has all its volumes does.
fn wait_for(folder: &Path, state: &State, watch: &dyn Watch) -> Result<(), DriverError> {
    let begun = Instant::now();
    while !greets(folder, state.address) {
        if !state.process.runs() || begun.elapsed() > START_PATIENCE {
            return Err(broken(folder));
        }
        pause("wait for the server of a volume", LOOK_EVERY, watch)?;
    }
    Ok(())
}

/// Whether it speaks first, as NBD wants it.
fn greets(folder: &Path, address: Option<SocketAddr>) -> bool {
    let mut bytes = [0; 8];
    let heard = match address {
        Some(address) => TcpStream::connect(address).and_then(|mut stream| {
            stream.set_read_timeout(Some(GREETING_PATIENCE))?;
            stream.read_exact(&mut bytes)
        }),
        None => UnixStream::connect(socket(folder)).and_then(|mut stream| {
            stream.set_read_timeout(Some(GREETING_PATIENCE))?;
            stream.read_exact(&mut bytes)
        }),
    };
    heard.is_ok() && bytes == nbd::MAGIC
}

fn broken(folder: &Path) -> DriverError {
    let log = fs::read(folder.join(LOG)).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    DriverError::Hypervisor {
        doing: "serve a volume".to_owned(),
        said: log.lines().last().unwrap_or("nothing").to_owned(),
    }
}
