//! What there is of a node's VMs: processes, files, and what the driver says.

use super::{Hypervisor, Node, wait_until};
use drivers::process::Process;
use model::report::VmState;
use std::fs;
use std::path::{Path, PathBuf};

/// Where drivers keep the guests with which they probe.
const PROBES: [&str; 3] = ["/driver/probe-", "/driver/runsc/", "/driver/tmp"];

/// The program of a driver outside, which is there as long as its agent.
const DRIVER: &str = "/assets/drivers/";

impl Node {
    /// VMs of the node of which anything runs, by the driver.
    pub fn guests(&self) -> usize {
        let seen = self.driver().recover().expect("the driver answers");
        let runs = |state| !matches!(state, VmState::Stopped | VmState::Failed);
        seen.iter().filter(|seen| runs(seen.state)).count()
    }

    /// First processes of VMs, by the kernel alone: with more than one a VM would run twice.
    pub fn firsts(&self) -> usize {
        let place = match self.hypervisor {
            Hypervisor::Incus => self.folder.path().to_owned(),
            _ => self.root(),
        };
        let guests = naming(&place).into_iter();
        let guests = guests.filter(|(_, words)| !words.contains(PROBES[0]));
        guests
            .filter(|guest| self.hypervisor.is_first(guest))
            .count()
    }

    /// Processes that name a file of the node, with their command lines.
    pub fn processes(&self) -> Vec<(Process, String)> {
        naming(&self.root())
    }

    /// Files of the node, but its store and what an agent keeps for itself.
    fn files(&self) -> Vec<PathBuf> {
        let own = [
            "images",
            "journal",
            "agent.lock",
            "agent.sock",
            "signing.key",
            // What a driver outside keeps for itself.
            "driver/driver.log",
            "driver/locks",
            "driver/probe.json",
        ];
        let own = own.map(|name| self.root().join(name));
        let mut files = Vec::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                match path.is_dir() {
                    _ if own.contains(&path) => {}
                    true => folders.push(path),
                    false => files.push(path),
                }
            }
        }
        files
    }

    /// That nothing of any VM is left: no file, no process, and nothing that the driver knows. A
    /// probe of the hypervisor by the agent that is there is waited for, and those of killed ones are
    /// to be gone with it.
    pub fn assert_clean(&self, case: &str) {
        let named = |path: &PathBuf| {
            let path = path.to_string_lossy();
            PROBES.iter().any(|probe| path.contains(probe))
        };
        wait_until("probes to be over", || !self.files().iter().any(named));
        assert_eq!(self.files(), Vec::<PathBuf>::new(), "{case}");
        let left: Vec<String> = self
            .processes()
            .into_iter()
            .map(|(_, words)| words)
            .filter(|words| !words.contains(DRIVER))
            .collect();
        assert_eq!(left, Vec::<String>::new(), "{case}");
        let listed = self.driver().list().expect("the driver answers");
        assert_eq!(listed, [], "{case}");
    }
}

/// Processes that name a place, with their command lines.
fn naming(place: &Path) -> Vec<(Process, String)> {
    let place = place.display().to_string();
    let with_words = |process: Process| {
        let words = process.words();
        let words = words.iter().map(|word| String::from_utf8_lossy(word));
        (process, words.collect::<Vec<_>>().join(" "))
    };
    let all = Process::all().map(with_words);
    all.filter(|(_, words)| words.contains(&place)).collect()
}
