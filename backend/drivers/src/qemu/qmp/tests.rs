//! Peers that are not as QEMU is, and events that come when they are not waited for.

use super::*;
use crate::outside::Hasty;
use agent::watch::Unwatched;
use rustix::net::{bind, listen};
use std::thread;

fn hasty() -> Hasty<'static> {
    Hasty {
        until: Instant::now() + Duration::from_millis(200),
        watch: &Unwatched,
    }
}

/// An event that overtakes an answer which does not know of it yet is not waited for once more.
#[test]
fn an_event_before_its_answer_is_heard() {
    let (ours, mut theirs) = UnixStream::pair().expect("two ends");
    let mut qmp = Qmp::over(ours).expect("a connection");
    let told = "{\"event\": \"MIGRATION\"}\n{\"return\": {\"status\": \"device\"}}\n";
    theirs.write_all(told.as_bytes()).expect("somebody listens");
    let answer = qmp.execute("query-migrate", None, &Unwatched);
    assert_eq!(answer.expect("an answer")["status"], "device");
    let begun = Instant::now();
    let limit = Duration::from_secs(60);
    let migration = |event: &Value| event["event"] == "MIGRATION";
    let rested = qmp.rest(limit, migration, &Unwatched);
    rested.expect("nobody calls it off");
    assert!(begun.elapsed() < limit / 2, "it was waited for");
}

/// Who lets nobody in holds up nobody who is called off.
#[test]
fn a_full_queue_is_not_waited_for_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let address = SocketAddrUnix::new(&path).expect("a short path");
    let made = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    );
    let made = made.expect("a socket");
    bind(&made, &address).expect("a free name");
    listen(&made, 0).expect("a socket");
    let mut inside = Vec::new();
    let refused = loop {
        match Qmp::open(&path, &hasty()) {
            Ok(qmp) => inside.push(qmp),
            Err(error) => break error,
        }
        assert!(inside.len() < 16, "there is room for all");
    };
    assert!(
        matches!(refused, DriverError::CalledOff { .. }),
        "{refused}"
    );
}

/// Who takes nothing, or answers without end, holds up nobody either.
#[test]
fn hostile_ends_are_given_up() {
    let (near, far) = UnixStream::pair().expect("a pair");
    let mut qmp = Qmp::over(near).expect("a stream");
    let stuck = qmp.send("say much", &vec![b' '; 16 << 20], &hasty());
    let stuck = stuck.expect_err("nobody reads it");
    assert!(matches!(stuck, DriverError::CalledOff { .. }), "{stuck}");
    drop(far);
    let (near, mut far) = UnixStream::pair().expect("a pair");
    let mut qmp = Qmp::over(near).expect("a stream");
    let told = thread::spawn(move || {
        let portion = [b'x'; 1 << 16];
        // It breaks where nobody listens any more.
        while far.write_all(&portion).is_ok() {}
    });
    let endless = qmp.answer("ask", &Unwatched).expect_err("no end");
    assert!(endless.to_string().contains("more than"), "{endless}");
    drop(qmp);
    told.join().expect("it does not panic");
}
