//! The agent's socket: who may open it, and what those who are slow or greedy cost the agent.

use crate::node::{Hypervisor, Node, wait_until};
use link::frame::{receive, send};
use link::protocol::{Answer, Request};
use live::config::Listen;
use live::socket::{Asked, Limits, Reports, connect, listen};
use model::id::NodeId;
use model::report::{Outcome, Report};
use model::time::Time;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing here waits for so long unless it is broken.
const LIMIT: Duration = Duration::from_secs(60);

/// Small enough to be reached, and no message of a test that is meant to come through takes so long,
/// however busy the machine.
const LIMITS: Limits = Limits {
    connections: 2,
    reports: 4,
    message: Duration::from_secs(5),
    idle: Duration::from_secs(60),
};

/// A socket behind which every request is heard, and those who follow are handed out.
struct Door {
    at: Listen,
    followers: Receiver<Reports>,
    folder: tempfile::TempDir,
}

impl Door {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = Listen::Unix(folder.path().join("agent.sock"));
        let (sender, followers) = channel();
        let ask = move |asked: Asked| {
            asked.reports.map(|reports| sender.send(reports));
            asked.answer.try_send(Answer::Heard).expect("room for one");
        };
        listen(&at, LIMITS, ask).expect("a socket");
        Self {
            at,
            followers,
            folder,
        }
    }

    fn connect(&self) -> UnixStream {
        let stream = connect(&self.at).expect("somebody listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
        stream
    }

    /// A connection that has a place; earlier ones are given back a moment after they end.
    fn heard(&self) -> UnixStream {
        let begun = Instant::now();
        loop {
            let mut stream = self.connect();
            if ask(&mut stream, &Request::Status) == Some(Answer::Heard) {
                return stream;
            }
            assert!(begun.elapsed() < LIMIT, "no place is given back");
        }
    }

    fn follower(&self) -> (UnixStream, Reports) {
        let mut stream = self.heard();
        assert_eq!(ask(&mut stream, &Request::Follow), Some(Answer::Heard));
        let reports = self.followers.recv_timeout(LIMIT).expect("a follower");
        (stream, reports)
    }
}

fn ask(stream: &mut UnixStream, request: &Request) -> Option<Answer> {
    send(stream, request).ok()?;
    receive(stream).ok().flatten()
}

/// A report of some hundred KiB: a few of them fill what the kernel holds for a reader.
fn long() -> Arc<Report> {
    let reason = "x".repeat(256 << 10);
    Arc::new(Report {
        node: NodeId(1),
        at: Time(0),
        vm: None,
        operation: None,
        outcome: Outcome::Failed { reason },
    })
}

/// The socket is its owner's alone, and one that was left behind is replaced.
#[test]
fn the_socket_is_its_owners() {
    let door = Door::new();
    let Listen::Unix(path) = &door.at;
    let mode = || path.metadata().expect("a socket").permissions().mode();
    assert_eq!(mode() & 0o777, 0o600);
    let ask = |asked: Asked| drop(asked.answer.try_send(Answer::Heard));
    listen(&door.at, LIMITS, ask).expect("it is replaced");
    assert_eq!(mode() & 0o777, 0o600);
    let left = door.folder.path().read_dir().expect("a folder").count();
    assert_eq!(left, 1);
}

/// A follower that reads nothing is cut off: the agent never waits for it, holds no more than the
/// limit for it, and has its place back.
#[test]
fn a_stalled_reader_is_cut_off() {
    let door = Door::new();
    let (mut stalled, reports) = door.follower();
    let (report, mut told) = (long(), 0);
    while reports.try_send(report.clone()).is_ok() {
        told += 1;
        assert!(told < 100, "nothing bounds what waits for a stalled reader");
    }
    // As the agent does with a follower that does not keep up.
    drop(reports);
    let mut rest = Vec::new();
    let _one = door.heard();
    let _two = door.heard();
    // What had come through is read to its end, and then the connection has one too.
    stalled.read_to_end(&mut rest).expect("it is closed");
    let whole = rest.len() as u64 / (256 << 10);
    assert!(whole < told, "{whole} of {told} reports came through");
    assert_eq!(Arc::strong_count(&report), 1, "it is still held");
}

/// A follower that goes leaves no thread and keeps no place, though there is nothing to tell it.
#[test]
fn a_follower_that_goes_leaves_nothing() {
    let door = Door::new();
    for _ in 0..2 * LIMITS.connections {
        let (stream, reports) = door.follower();
        drop(stream);
        wait_until("the follower to be known to have gone", || {
            reports.is_gone()
        });
        assert!(reports.try_send(long()).is_err(), "it is told to nobody");
    }
}

/// A node that has no more files lets nobody in and rests meanwhile, and does once it has some.
#[test]
fn an_agent_without_files_waits_for_some() {
    let mut node = Node::new(Hypervisor::Uml);
    node.start(None);
    node.status();
    node.assert_clean("before");
    let files = node.limit_files(Some(3));
    let mut stream = node.connect().expect("the kernel lets it wait");
    let said = || fs::read_to_string(node.log()).unwrap_or_default();
    wait_until("the agent to tell", || said().contains("let nobody in"));
    let begun = (node.cpu_time(), Instant::now());
    let second = Duration::from_secs(1);
    wait_until("a second to pass", || begun.1.elapsed() >= second);
    let busy = node.cpu_time() - begun.0;
    let passed = begun.1.elapsed();
    assert!(busy < passed / 4, "{busy:?} of {passed:?}");
    assert_eq!(said().matches("let nobody in").count(), 1);
    node.limit_files(files);
    send(&mut stream, &Request::Status).expect("it is heard");
    let told: Option<Answer> = receive(&mut stream).expect("an answer");
    assert!(matches!(told, Some(Answer::Status { .. })), "{told:?}");
}

/// A connection follows once.
#[test]
fn a_connection_follows_once() {
    let door = Door::new();
    let (mut stream, reports) = door.follower();
    let refused = ask(&mut stream, &Request::Follow);
    let reason = "this connection follows already".to_owned();
    assert_eq!(refused, Some(Answer::Refused { reason }));
    reports.try_send(long()).expect("room");
    let told: Option<Answer> = receive(&mut stream).expect("a report");
    assert_eq!(told, Some(Answer::Reported { report: long() }));
    assert_eq!(ask(&mut stream, &Request::Status), Some(Answer::Heard));
}

/// Whoever begins a message and does not end it loses its connection, and others are served
/// meanwhile; one that is silent between two messages keeps it.
#[test]
fn a_slow_message_ends_its_connection() {
    let door = Door::new();
    let mut quiet = door.heard();
    let mut slow = door.connect();
    slow.write_all(&[0, 0, 1, 0, b'{']).expect("it is heard");
    assert_eq!(ask(&mut quiet, &Request::Status), Some(Answer::Heard));
    let told: Option<Answer> = receive(&mut slow).expect("an answer");
    assert!(matches!(told, Some(Answer::Refused { .. })), "{told:?}");
    assert_eq!(slow.read(&mut [0]).expect("an end"), 0);
    assert_eq!(ask(&mut quiet, &Request::Status), Some(Answer::Heard));
    door.heard();
}

/// There are as many connections as are allowed, and whoever ends one makes room.
#[test]
fn connections_are_bounded() {
    let door = Door::new();
    let (one, _two) = (door.heard(), door.heard());
    let told: Option<Answer> = receive(&mut door.connect()).expect("an answer");
    let reason = "2 connections are open already".to_owned();
    assert_eq!(told, Some(Answer::Refused { reason }));
    drop(one);
    door.heard();
}
