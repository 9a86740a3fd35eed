//! The agent's sockets: a thread for each connection that reads, one that writes.

use crate::config::Listen;
use crate::frame;
use crate::protocol::{Answer, Request};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, mpsc};
use std::thread;
use std::{fs, net};

/// Connections at once: a controller, some peers and admins need a handful.
const MOST_CONNECTIONS: usize = 64;

/// Answers that wait for a slow reader; one that lets more come up is cut off.
const MOST_WAITING: usize = 4_096;

/// A request and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// The request.
    pub request: Request,
    /// Its answers.
    pub answers: SyncSender<Answer>,
}

/// Listens, and hands on what is asked.
///
/// # Errors
/// Where nobody can listen there.
pub fn listen<T>(at: &Listen, ask: T) -> io::Result<()>
where
    T: Fn(Asked) + Clone + Send + 'static,
{
    let open = Arc::new(AtomicUsize::new(0));
    match at {
        Listen::Unix(path) => {
            let listener = bind(path)?;
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let reader = stream.try_clone();
                    serve(reader, stream, &open, &ask);
                }
            });
        }
        Listen::Loopback(address) => {
            let listener = TcpListener::bind(address)?;
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let reader = stream.try_clone();
                    serve(reader, stream, &open, &ask);
                }
            });
        }
    }
    Ok(())
}

/// The client's end of a connection.
pub trait Stream: Read + Write + Send {}
impl Stream for UnixStream {}
impl Stream for net::TcpStream {}

/// Connects to an agent.
///
/// # Errors
/// Where none listens.
pub fn connect(to: &Listen) -> io::Result<Box<dyn Stream>> {
    Ok(match to {
        Listen::Unix(path) => Box::new(UnixStream::connect(path)?),
        Listen::Loopback(address) => Box::new(net::TcpStream::connect(address)?),
    })
}

/// Binds a socket that only its owner may open; one that a killed agent left is replaced.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn serve<R, W, T>(reader: io::Result<R>, mut writer: W, open: &Arc<AtomicUsize>, ask: &T)
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
    T: Fn(Asked) + Clone + Send + 'static,
{
    let Ok(mut reader) = reader else {
        return;
    };
    if open.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
        open.fetch_sub(1, Ordering::SeqCst);
        let reason = format!("{MOST_CONNECTIONS} connections are open already");
        frame::send(&mut writer, &Answer::Refused { reason }).ok();
        return;
    }
    let (answers, waiting): (SyncSender<Answer>, Receiver<Answer>) = sync_channel(MOST_WAITING);
    thread::spawn(move || {
        for answer in waiting {
            if frame::send(&mut writer, &answer).is_err() {
                break;
            }
        }
    });
    let (open, ask) = (open.clone(), ask.clone());
    thread::spawn(move || {
        loop {
            match frame::receive::<Request>(&mut reader) {
                Ok(Some(request)) => ask(Asked {
                    request,
                    answers: answers.clone(),
                }),
                Ok(None) => break,
                Err(error) => {
                    let reason = error.to_string();
                    answers.try_send(Answer::Refused { reason }).ok();
                    break;
                }
            }
        }
        open.fetch_sub(1, Ordering::SeqCst);
    });
}

/// Whether a reader is still there and keeps up.
pub fn reaches(answers: &SyncSender<Answer>, answer: Answer) -> bool {
    match answers.try_send(answer) {
        Ok(()) => true,
        Err(mpsc::TrySendError::Full(_) | mpsc::TrySendError::Disconnected(_)) => false,
    }
}
