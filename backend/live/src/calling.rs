//! The call to the controller: the agent dials, and the controller asks as if it were at the agent's own
//! socket. Whoever watches that socket over the network is known by its certificate; see `link`.

use crate::config::Listen;
use link::AGENT;
use link::identity::Identity;
use link::membership::{Membership, Role};
use link::tls::connect;
use link::token::Token;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{self, Runtime};
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

/// How long to wait after a call that failed: twice as long each time, within these.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// A controller asks for the node's state three times in a minute; one that says nothing for so long is
/// not there, whatever the network believes.
const SILENCE: Duration = Duration::from_secs(60);

/// Bytes carried at once.
const BUFFER: usize = 64 << 10;

/// The folder of what is between an agent and its controller, in the node's folder.
pub fn folder(root: &Path) -> PathBuf {
    root.join("link")
}

/// Joins the grid of a controller at `HOST:PORT`; the node's name there. A running agent calls it soon.
///
/// # Errors
/// Where the controller is not there, is another one, or does not take the token as one of a node.
pub fn join(root: &Path, at: &str, token: &Token) -> io::Result<String> {
    let folder = folder(root);
    match runtime()?.block_on(link::join::join(&folder, at, token))? {
        Role::Node(name) => Ok(name),
        Role::Admin(name) => {
            // Nobody is to be called as an admin.
            fs::remove_file(folder.join(Membership::FILE))?;
            let told = format!("expected a token of a node, found that of admin {name}");
            Err(io::Error::new(io::ErrorKind::PermissionDenied, told))
        }
    }
}

/// Calls the controller that the node has joined, on a thread of its own and again whenever the call
/// ends; waits for the node to join one where it has not.
///
/// # Errors
/// Where the thread cannot be started.
pub fn start(root: &Path, listen: &Listen) -> io::Result<()> {
    let folder = folder(root);
    let Listen::Unix(socket) = listen.clone();
    let runtime = runtime()?;
    thread::Builder::new()
        .name("controller".to_owned())
        .spawn(move || runtime.block_on(stay(&folder, &socket)))?;
    Ok(())
}

fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
}

async fn stay(folder: &Path, socket: &Path) {
    let (first, most) = PAUSES;
    let mut pause = first;
    let mut told = String::new();
    loop {
        let begun = Instant::now();
        let why = match call(folder, socket).await {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        // The same once is enough.
        if why != told && !why.is_empty() {
            eprintln!("{why}; it is called again");
        }
        told = why;
        pause = match begun.elapsed() > most {
            true => first,
            false => (pause * 2).min(most),
        };
        sleep(pause).await;
    }
}

/// One call, until either end has enough.
async fn call(folder: &Path, socket: &Path) -> io::Result<()> {
    let Some(membership) = Membership::read(folder)? else {
        return Ok(());
    };
    let identity = Identity::open(folder)?;
    let far = connect(&identity, &membership.address, membership.controller, AGENT).await?;
    let near = UnixStream::connect(socket).await?;
    let (mut far_in, mut far_out) = tokio::io::split(far);
    let (mut near_in, mut near_out) = near.into_split();
    tokio::select! {
        asked = carry(&mut far_in, &mut near_out, Some(SILENCE)) => asked,
        told = carry(&mut near_in, &mut far_out, None) => told,
    }
}

/// Carries bytes until there are no more, or there were none for so long.
async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    silence: Option<Duration>,
) -> io::Result<()> {
    // Keys pass here.
    let mut buffer = Zeroizing::new(vec![0; BUFFER]);
    loop {
        let read = from.read(&mut buffer);
        let read = match silence {
            Some(silence) => timeout(silence, read).await.map_err(|_| {
                io::Error::new(io::ErrorKind::TimedOut, "the controller says nothing")
            })?,
            None => read.await,
        }?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
    }
}
