//! Networks of nodes: each node in a namespace of its own, all wired to a bridge where the test is.

use crate::sys::sees_its_network;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long `unshare` may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A network namespace that is kept by a process.
pub struct Room(Child);

impl Room {
    fn new() -> Self {
        let mut unshare = Command::new("unshare");
        let holder = unshare.args(["--net", "sleep", "infinity"]).spawn();
        let room = Self(holder.expect("unshare, of util-linux"));
        let own = fs::read_link("/proc/thread-self/ns/net").expect("a namespace");
        let begun = Instant::now();
        while !fs::read_link(room.path()).is_ok_and(|theirs| theirs != own) {
            assert!(begun.elapsed() < PATIENCE, "no network namespace");
            thread::sleep(Duration::from_millis(10));
        }
        room.ip("link set lo up");
        room
    }

    /// A bridge to which nodes are wired; this thread, and what it starts, is there from now on.
    pub fn hub() -> Self {
        let room = Self::new();
        let namespace = File::open(room.path()).expect("a namespace");
        let network = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(namespace.as_fd(), network).expect("we are root");
        room.ip("link add lan type bridge");
        room.ip(&format!("addr add {HUB}/24 dev lan"));
        room.ip("link set lan up");
        room
    }

    /// A node's network, wired to the hub.
    pub fn wired(&self, place: usize) -> Self {
        let room = Self::new();
        let there = room.0.id();
        self.ip(&format!(
            "link add node{place} type veth peer name uplink netns {there}"
        ));
        self.ip(&format!("link set node{place} master lan up"));
        room.ip(&format!("addr add {}/24 dev uplink", address(place)));
        room.ip("link set uplink up");
        room
    }

    /// Words before a program that is to run in it; `sys` is an empty folder.
    pub fn inside(&self, sys: &Path) -> Vec<String> {
        let mut words = vec!["nsenter".to_owned(), format!("--net={}", self.path())];
        words.extend(sees_its_network(sys));
        words
    }

    /// Somebody outside, who is plugged into a bridge of this network.
    pub fn outside(&self, bridge: &str, address: &str) -> Self {
        let room = Self::new();
        let there = room.0.id();
        self.ip(&format!(
            "link add outside type veth peer name in netns {there}"
        ));
        self.ip(&format!("link set outside master {bridge} up"));
        room.ip(&format!("addr add {address} dev in"));
        room.ip("link set in up");
        room
    }

    /// What whoever listens at an address answers to a text; nothing where nobody does.
    pub fn call(&self, at: &str, text: &str) -> String {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path()));
        command.args([
            "socat",
            "-t10",
            "-",
            &format!("TCP:{at},connect-timeout=10"),
        ]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().expect("socat");
        let mut pipe = child.stdin.take().expect("piped");
        // Where nobody is there, the answer tells.
        pipe.write_all(text.as_bytes()).ok();
        drop(pipe);
        let answer = child.wait_with_output().expect("socat ends");
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    fn ip(&self, words: &str) -> Output {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path())).arg("ip");
        let run = command.args(words.split(' ')).output();
        let run = run.expect("ip, of iproute2");
        assert!(run.status.success(), "ip {words}: {run:?}");
        run
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The hub's address.
pub const HUB: &str = "198.51.100.1";

/// A node's address.
pub fn address(place: usize) -> String {
    format!("198.51.100.{}", 10 + place)
}
