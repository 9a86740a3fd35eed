//! Network namespaces, one for each node and each neighbour of a guest.

use crate::node::wait_until;
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Output};
use std::time::Instant;

/// A network namespace that is kept by a process.
pub struct Room {
    holder: Child,
}

impl Room {
    pub fn new() -> Self {
        let mut unshare = Command::new("unshare");
        let holder = unshare.args(["--net", "sleep", "infinity"]).spawn();
        let holder = holder.expect("unshare, of util-linux");
        let own = fs::read_link("/proc/self/ns/net").expect("a namespace");
        let theirs = format!("/proc/{}/ns/net", holder.id());
        wait_until("a network namespace", || {
            fs::read_link(&theirs).is_ok_and(|theirs| theirs != own)
        });
        let room = Self { holder };
        assert!(
            room.run(&["ip", "link", "set", "lo", "up"])
                .status
                .success()
        );
        room
    }

    /// The process that keeps it.
    pub fn holder(&self) -> u32 {
        self.holder.id()
    }

    /// A command in it.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id()));
        command.args(words);
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words)
            .output()
            .expect("nsenter, of util-linux")
    }

    /// How long its device takes to receive this many bytes, after as many as come `first`.
    pub fn seconds_of(&self, bytes: u64, first: u64) -> f64 {
        let received = || -> u64 {
            let told = self.run(&["ip", "-json", "-statistics", "link", "show", "dev", "eth0"]);
            let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
            told[0]["stats64"]["rx"]["bytes"].as_u64().expect("a count")
        };
        let await_more = |bytes| {
            let until = received() + bytes;
            wait_until("bytes to arrive", || received() >= until);
        };
        await_more(first);
        let begun = Instant::now();
        await_more(bytes);
        begun.elapsed().as_secs_f64()
    }
}

/// A process that ends with its owner.
pub struct Ends(pub Child);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.holder.kill().ok();
        self.holder.wait().ok();
    }
}
