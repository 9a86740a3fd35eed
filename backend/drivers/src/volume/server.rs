//! The process that serves: what it is told it hears once, and then it depends on nobody.

use super::joined::Joined;
use super::{DAEMON, State, Task, load, save, socket};
use crate::folder::failed;
use crate::handover::key::{CREDENTIALS_FILE, USER, in_memory};
use crate::process::Process;
use agent::driver::DriverError;
use model::blueprint::Extent;
use model::id::KeyId;
use rustix::io::{FdFlags, fcntl_setfd};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, BufRead, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use zeroize::Zeroizing;

/// A daemon that ends is started again after this: often enough for its clients, seldom enough for
/// the node where it cannot start.
const BEGIN_AGAIN: Duration = Duration::from_millis(200);

/// How long a VM waits for a volume whose node is away, in seconds, before it is told that it cannot
/// be read: longer than a node takes to boot and its controller to send the key again.
const RECONNECT_SECONDS: u32 = 3_600;

/// How long a starting daemon waits for a node, in seconds; it is then started again.
const OPEN_SECONDS: u32 = 5;

/// How much of what the daemons complain of is kept: strangers may cause any amount.
const MOST_LOG_BYTES: usize = 64 << 10;

/// The most that is told to a server, in bytes: a task of some hundred volumes.
const MOST_BRIEF_BYTES: u64 = 1 << 20;

/// Serves from a folder what its standard input says, until it is killed, or, of a joined disk, until
/// its user hangs up.
///
/// # Errors
/// Where it cannot begin.
pub fn run(folder: &Path) -> Result<(), DriverError> {
    let (task, keys) = heard(io::stdin().lock())?;
    let held = keys
        .iter()
        .map(|(id, text)| hold(folder, *id, text))
        .collect::<Result<Vec<File>, _>>()?;
    drop(keys);
    match &task {
        Task::Lend { host, .. } => {
            let listener = listen(folder, &task, host)?;
            inherit(&listener).map_err(failed("share the socket of", folder))?;
            let address = listener.local_addr().map_err(failed("listen in", folder))?;
            save_state(folder, &task, Some(address))?;
            let descriptor = listener.as_raw_fd().to_string();
            keep(&daemon(folder, &task, &descriptor));
        }
        Task::Join { extents } => {
            let path = socket(folder);
            remove_file(&path)?;
            let listener = UnixListener::bind(&path).map_err(failed("listen on", &path))?;
            save_state(folder, &task, None)?;
            let sizes = extents.iter().map(|extent| extent.size_mib << 20).collect();
            let joined = Joined::new(near(folder), sizes);
            thread::spawn(move || accept(&joined, &listener));
            keep(&daemon(folder, &task, "none"));
        }
    }
    drop(held);
    Ok(())
}

/// A key, with what the file of it holds.
type TextOfKey = (KeyId, Zeroizing<String>);

/// The task, and its keys as QEMU's programs take them.
fn heard(input: impl Read) -> Result<(Task, Vec<TextOfKey>), DriverError> {
    let wrong = |why: &str| DriverError::Hypervisor {
        doing: "hear what is to be served".to_owned(),
        said: why.to_owned(),
    };
    // In full length at once, as a text that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BRIEF_BYTES as usize + 1));
    let read = input.take(MOST_BRIEF_BYTES).read_to_end(&mut bytes);
    read.map_err(|error| wrong(&error.to_string()))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("no text"))?;
    let mut lines = text.lines();
    let task = serde_json::from_str(lines.next().unwrap_or_default());
    let task: Task = task.map_err(|error| wrong(&error.to_string()))?;
    let keys = lines.map(|line| {
        let (id, text) = line.split_once(' ')?;
        Some((KeyId(id.parse().ok()?), Zeroizing::new(format!("{text}\n"))))
    });
    let keys: Option<Vec<_>> = keys.collect();
    let keys = keys.ok_or_else(|| wrong("no key"))?;
    let ids: Vec<KeyId> = keys.iter().map(|(id, _)| *id).collect();
    // Whoever told it may have died on the way.
    match ids == task.keys() {
        true => Ok((task, keys)),
        false => Err(wrong("not all keys")),
    }
}

/// Keeps a key in memory, in a file that the daemons inherit.
fn hold(folder: &Path, id: KeyId, text: &str) -> Result<File, DriverError> {
    let file = in_memory(id, text.as_bytes())?;
    inherit(&file).map_err(failed("share a key in", folder))?;
    let place = credentials(folder, id);
    fs::create_dir_all(&place).map_err(failed("make", &place))?;
    let link = place.join(CREDENTIALS_FILE);
    remove_file(&link)?;
    let memory = format!("/proc/self/fd/{}", file.as_raw_fd());
    symlink(memory, &link).map_err(failed("make", &link))?;
    Ok(file)
}

/// Leaves a file open in the programs that this process starts. It starts its daemons alone, from one
/// thread.
fn inherit(file: &impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfd(file, FdFlags::empty())?)
}

fn credentials(folder: &Path, key: KeyId) -> PathBuf {
    folder.join(format!("key-{}", key.0))
}

/// Where the daemon of a joined disk has its volumes.
fn near(folder: &Path) -> PathBuf {
    folder.join("near")
}

/// Listens where the volume was served before, as its users know it by that address.
fn listen(folder: &Path, task: &Task, host: &str) -> Result<TcpListener, DriverError> {
    let host: IpAddr = host.parse().map_err(|_| DriverError::Invalid {
        field: "host".to_owned(),
        found: host.to_owned(),
        expected: "an address".to_owned(),
    })?;
    let same = |state: &State| match (&state.task, task) {
        (Task::Lend { volume: old, .. }, Task::Lend { volume: new, .. }) => old == new,
        _ => false,
    };
    let before = load(folder).filter(same).and_then(|state| state.address);
    let before = before.filter(|address| address.ip() == host);
    let address = before.unwrap_or(SocketAddr::new(host, 0));
    TcpListener::bind(address).map_err(|error| DriverError::Hypervisor {
        doing: format!("listen on {address}"),
        said: error.to_string(),
    })
}

fn save_state(folder: &Path, task: &Task, address: Option<SocketAddr>) -> Result<(), DriverError> {
    let process = Process::of(std::process::id()).ok_or_else(|| DriverError::Missing {
        what: "/proc".to_owned(),
        hint: "mount it".to_owned(),
    })?;
    let task = task.clone();
    save(
        folder,
        &State {
            task,
            process,
            address,
        },
    )
}

/// The daemon's command line; `listener`: the descriptor on which a lent volume's is to listen.
pub(super) fn daemon(folder: &Path, task: &Task, listener: &str) -> Vec<String> {
    let key = |key: KeyId| format!("key-{}", key.0);
    let mut words: Vec<String> = ["setpriv", "--pdeathsig", "KILL", DAEMON]
        .map(str::to_owned)
        .into();
    let mut json =
        |option: &str, value: Value| words.extend([option.to_owned(), value.to_string()]);
    for id in task.keys() {
        let mut object = json!({
            "qom-type": "tls-creds-psk",
            "id": key(id),
            "dir": credentials(folder, id),
        });
        match task {
            Task::Lend { .. } => object["endpoint"] = "server".into(),
            Task::Join { .. } => {
                object["endpoint"] = "client".into();
                object["username"] = USER.into();
            }
        }
        json("--object", object);
    }
    match task {
        Task::Lend {
            volume,
            name,
            key: id,
            ..
        } => {
            json("--blockdev", file(volume));
            let address = json!({ "type": "fd", "str": listener });
            json(
                "--nbd-server",
                json!({ "addr": address, "tls-creds": key(*id) }),
            );
            json("--export", export("volume", name));
        }
        Task::Join { extents } => {
            for (index, extent) in extents.iter().enumerate() {
                json("--blockdev", remote(index, extent, &key(extent.key)));
            }
            let address = json!({ "type": "unix", "path": near(folder) });
            json(
                "--nbd-server",
                json!({ "addr": address, "max-connections": 0 }),
            );
            for index in 0..extents.len() {
                json(
                    "--export",
                    export(&format!("volume{index}"), &index.to_string()),
                );
            }
        }
    }
    words
}

fn file(volume: &Path) -> Value {
    json!({
        "driver": "file",
        "node-name": "volume",
        "filename": volume,
        "discard": "unmap",
    })
}

fn remote(index: usize, extent: &Extent, credentials: &str) -> Value {
    json!({
        "driver": "nbd",
        "node-name": format!("volume{index}"),
        "server": {
            "type": "inet",
            "host": extent.address.ip().to_string(),
            "port": extent.address.port().to_string(),
        },
        "export": extent.volume,
        "tls-creds": credentials,
        "reconnect-delay": RECONNECT_SECONDS,
        "open-timeout": OPEN_SECONDS,
        "discard": "unmap",
    })
}

fn export(node: &str, name: &str) -> Value {
    json!({
        "type": "nbd",
        "id": format!("of-{node}"),
        "node-name": node,
        "name": name,
        "writable": true,
    })
}

/// Starts the daemon, again and again: it ends with this process, and by itself only where something
/// has gone wrong.
fn keep(words: &[String]) {
    let mut left = MOST_LOG_BYTES;
    loop {
        match start(words) {
            Ok(mut child) => {
                if let Some(said) = child.stderr.take() {
                    pass_on(said, &mut left);
                }
                child.wait().ok();
            }
            Err(error) => eprintln!(
                "start {DAEMON}: {error}; hint: install qemu-utils and qemu-system-common"
            ),
        }
        thread::sleep(BEGIN_AGAIN);
    }
}

fn start(words: &[String]) -> io::Result<Child> {
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.stderr(Stdio::piped()).spawn()
}

/// Writes what a daemon says into our log, as much as there is room for.
fn pass_on(said: impl Read, left: &mut usize) {
    let mut said = io::BufReader::new(said);
    let mut line = Vec::new();
    while let Ok(count @ 1..) = said.read_until(b'\n', &mut line) {
        if let Some(rest) = left.checked_sub(count) {
            *left = rest;
            eprint!("{}", String::from_utf8_lossy(&line));
        }
        line.clear();
    }
}

/// Serves the disk to whoever opens the socket, once it is there. Its one user is a VM, after which
/// there is nothing more to do.
fn accept(joined: &Joined, listener: &UnixListener) {
    let wait = || loop {
        match joined.check() {
            Ok(()) => return,
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                eprintln!("{error}");
                std::process::exit(1);
            }
            Err(_) => thread::sleep(BEGIN_AGAIN),
        }
    };
    wait();
    thread::scope(|scope| {
        for client in listener.incoming().flatten() {
            scope.spawn(|| serve(joined, client));
        }
    });
}

fn serve(joined: &Joined, client: UnixStream) {
    // What it still waited for must not be written later, when the VM may be elsewhere. A client that
    // says nonsense is hung up on.
    joined.serve(client, || std::process::exit(0)).ok();
}

fn remove_file(path: &Path) -> Result<(), DriverError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}
