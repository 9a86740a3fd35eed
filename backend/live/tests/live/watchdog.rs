//! The watchdog alone, with commands that only say what they would stop.

use crate::node::wait_until;
use drivers::process;
use live::journal::replace;
use live::watchdog::{Orders, agent_lock, is_held, watch, watchdog_lock};
use model::id::VmId;
use model::time::Span;
use std::fs::{self, File};
use std::path::Path;
use std::thread::{self, JoinHandle};

/// A watchdog of a node without an agent, unless a test takes the agent's lock.
struct Watched {
    folder: tempfile::TempDir,
    watchdog: Option<JoinHandle<()>>,
}

impl Watched {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let watchdog = None;
        Self { folder, watchdog }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Orders of which the lease has lapsed.
    fn order(&self, vms: &[u64]) {
        let told = self.root().join("stopped").display().to_string();
        let stop = ["sh", "-c", "echo \"$1\" >> \"$0\"", &told];
        let orders = Orders {
            boot: process::boot().expect("a boot"),
            until: Some(Span(0)),
            vms: vms.iter().copied().map(VmId).collect(),
            stop: stop.map(str::to_owned).to_vec(),
        };
        let orders = serde_json::to_vec(&orders).expect("JSON");
        replace(&self.root().join("watchdog.json"), &orders).expect("orders");
    }

    fn start(&mut self) {
        let root = self.root().to_owned();
        let watchdog = thread::spawn(move || watch(&root).expect("a folder that can be read"));
        self.watchdog = Some(watchdog);
    }

    /// How often a VM was stopped.
    fn stops(&self, vm: u64) -> usize {
        let told = fs::read_to_string(self.root().join("stopped")).unwrap_or_default();
        told.lines().filter(|line| **line == vm.to_string()).count()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.order(&[]);
        if let Some(watchdog) = self.watchdog.take()
            && watchdog.join().is_err()
            && !thread::panicking()
        {
            panic!("the watchdog panicked");
        }
    }
}

/// What a dead agent had begun may come up after a halt that found nothing: there are others.
#[test]
fn a_late_start_is_stopped_too() {
    let mut node = Watched::new();
    node.order(&[7]);
    node.start();
    wait_until("a second halt", || node.stops(7) > 1);
}

/// An agent that hangs is given no more time because VMs have come and gone since its lease lapsed.
#[test]
fn orders_about_other_vms_put_nothing_off() {
    let mut node = Watched::new();
    let agent = File::create(agent_lock(node.root())).expect("a lock");
    agent.lock().expect("nobody else has it");
    node.order(&[7]);
    node.start();
    let mut other = 8;
    wait_until("a halt", || {
        other += 1;
        node.order(&[7, other]);
        node.stops(7) > 0
    });
    drop(agent);
}

/// A watchdog that comes up while somebody looks at its lock stays.
#[test]
fn a_look_at_the_lock_keeps_no_watchdog_away() {
    let mut node = Watched::new();
    node.order(&[7]);
    let path = watchdog_lock(node.root());
    let look = File::create(&path).expect("a lock");
    look.lock_shared().expect("nobody else has it");
    node.start();
    wait_until("the watchdog to come by", || {
        let files = fs::read_dir("/proc/self/fd").expect("proc").flatten();
        let files = files.filter_map(|file| fs::read_link(file.path()).ok());
        files.filter(|file| *file == path).count() > 1
    });
    drop(look);
    wait_until("the watchdog to be there", || {
        is_held(&path).expect("a lock")
    });
}
