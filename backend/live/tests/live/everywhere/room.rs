//! Network namespaces, one for each node and each neighbour of a guest.

use crate::node::wait_until;
use std::fs;
use std::process::{Child, Command, Output};

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
}

impl Drop for Room {
    fn drop(&mut self) {
        self.holder.kill().ok();
        self.holder.wait().ok();
    }
}
