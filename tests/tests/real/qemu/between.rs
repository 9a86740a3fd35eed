//! A way between two nodes that breaks when a test says so.

use super::migration::HOST;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// What a way between two nodes does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Open,
    /// All connections are closed, and new ones too.
    Cut,
    /// What is sent arrives, and answers are swallowed.
    Unanswered,
}

/// Ports in front of a node's own, with a way between that breaks.
pub struct Between {
    way: Arc<AtomicU8>,
}

const WAYS: [Way; 3] = [Way::Open, Way::Cut, Way::Unanswered];

impl Between {
    /// Puts itself between; gives the address as it is from the far side.
    pub fn put(address: &str) -> (Self, String) {
        let way = Arc::new(AtomicU8::new(0));
        let mut seen = Vec::new();
        for part in address.split(',') {
            let at = part.rfind([':', '=']).expect("a port") + 1;
            let port: u16 = part[at..].parse().expect("a port");
            let listener = TcpListener::bind((HOST, 0)).expect("a port");
            let own = listener.local_addr().expect("an address").port();
            seen.push(format!("{}{own}", &part[..at]));
            let way = way.clone();
            std::thread::spawn(move || {
                for near in listener.incoming().flatten() {
                    let Ok(far) = TcpStream::connect((HOST, port)) else {
                        continue;
                    };
                    let clone = |stream: &TcpStream| stream.try_clone().expect("a handle");
                    let (back, forth) = (clone(&far), clone(&near));
                    let (there, answers) = (way.clone(), way.clone());
                    std::thread::spawn(move || carry(near, far, &there, false));
                    std::thread::spawn(move || carry(back, forth, &answers, true));
                }
            });
        }
        (Self { way }, seen.join(","))
    }

    pub fn set(&self, way: Way) {
        let place = WAYS
            .iter()
            .position(|known| *known == way)
            .expect("one of all");
        self.way.store(place as u8, Ordering::SeqCst);
    }
}

/// Carries bytes one way for as long as the way is open.
fn carry(mut from: TcpStream, mut to: TcpStream, way: &AtomicU8, answers: bool) {
    from.set_read_timeout(Some(Duration::from_millis(1)))
        .expect("a stream");
    from.set_nodelay(true).expect("a stream");
    to.set_nodelay(true).expect("a stream");
    let mut bytes = vec![0; 1 << 16];
    loop {
        let is = || WAYS[usize::from(way.load(Ordering::SeqCst))];
        if is() == Way::Cut {
            break;
        }
        let count = match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => break,
        };
        let swallowed = answers && is() == Way::Unanswered;
        if !swallowed && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // Either end may have closed it already.
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}
