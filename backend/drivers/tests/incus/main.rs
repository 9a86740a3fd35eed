//! Incus where it cannot be brought to do something at a given instant: a server that says what a test
//! wants.

use agent::driver::Driver;
use agent::watch::Unwatched;
use drivers::incus::{Incus, Server};
use model::id::VmId;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;

/// A container has ended between Incus's answer and the look at its process, whose id is another's by
/// then: that one lives on.
#[test]
fn a_reused_id_is_not_killed() {
    let mut stranger = Command::new("sleep").arg("600").spawn().expect("sleep");
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server {
        socket: folder.path().join("unix.socket"),
        ..Server::default()
    };
    let listener = UnixListener::bind(&server.socket).expect("a socket");
    let first = i64::from(stranger.id());
    thread::spawn(move || {
        let pids = [first].into_iter().chain(std::iter::repeat(-1));
        for (stream, pid) in listener.incoming().zip(pids) {
            let mut stream = stream.expect("somebody asks");
            let asked = BufReader::new(stream.try_clone().expect("a handle"));
            let asked = asked.lines().map_while(Result::ok);
            let path = asked.take_while(|line| !line.is_empty()).next();
            assert!(path.is_some_and(|line| line.contains("/state")));
            let told = format!("{{\"type\":\"sync\",\"metadata\":{{\"pid\":{pid}}}}}");
            let length = told.len();
            let said = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{told}");
            stream.write_all(said.as_bytes()).expect("it listens");
        }
    });
    let halted = Incus::new(server).halt(VmId(7), &Unwatched);
    let lives = stranger.try_wait().expect("a child").is_none();
    stranger.kill().expect("a child");
    stranger.wait().expect("a child");
    assert!(halted.is_ok(), "{halted:?}");
    assert!(lives, "a process of somebody else was killed");
}
