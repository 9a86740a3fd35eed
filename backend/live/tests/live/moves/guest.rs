//! What a guest of QEMU does and says while it moves.

use super::node::{Node, wait_for};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// A guest that comes is there for longer than this before it runs.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What the guest's shell says when it takes a line.
pub const PROMPT: &str = "/ # ";

/// What the guest counts on its console, and in a file, from the first line on this node.
pub fn ticks(node: &Node) -> Vec<u64> {
    counted(&node.console())
}

fn counted(console: &str) -> Vec<u64> {
    let whole = console.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let ticks = whole
        .lines()
        .filter_map(|line| line.trim().strip_prefix("tick "));
    ticks.filter_map(|number| number.parse().ok()).collect()
}

pub fn wait_tick(node: &Node, beyond: u64) -> u64 {
    let last = || ticks(node).last().copied().unwrap_or(0);
    wait_for("the guest to count on", || last() > beyond);
    last()
}

/// What a command in the guest prints, whose files are read from the disk anew; once the guest's shell
/// asks for the next line, as what is typed before is lost at times.
pub fn reads(node: &Node, command: &str) -> String {
    let asked = node.console().matches("read=").count();
    let found = || {
        let console = node.console();
        let (said, rest) = console.split("read=").nth(asked + 1)?.split_once('.')?;
        rest.contains(PROMPT).then(|| said.to_owned())
    };
    let _open = node.type_line(&format!(
        "sync; echo 3 >/proc/sys/vm/drop_caches; echo rea''d=$({command})."
    ));
    wait_for(command, || found().is_some());
    found().expect("it was just there")
}

/// The guest counts from here on, on its console and in a file.
pub fn begin_to_count(node: &Node) {
    let count = "while :; do i=$((i+1)); echo $i >>/srv/count; echo tick $i; sleep 0.1; done &";
    let _open = node.type_line(count);
    wait_tick(node, 0);
}

/// Whether every number is in the guest's file, once.
pub fn has_counted(node: &Node) -> bool {
    let whole =
        "n=$(wc -l </srv/count); [ \"$(head -n $n /srv/count)\" = \"$(seq $n)\" ] && echo whole";
    reads(node, whole) == "whole"
}

/// Listens to the consoles of all nodes until it is over: what the guest has counted on each since it
/// came there, also where it has gone from meanwhile.
pub fn overhear(consoles: &[PathBuf], over: &AtomicBool) -> Vec<u64> {
    let mut heard = BTreeMap::new();
    loop {
        let is_last = over.load(Ordering::Relaxed);
        for console in consoles {
            if let Ok(console) = File::open(console) {
                let number = console.metadata().expect("an open file").ino();
                // It can be read as long as it is open, whoever removes it.
                heard.entry(number).or_insert(console);
            }
        }
        if is_last {
            break;
        }
        thread::sleep(LOOK_EVERY);
    }
    let said = heard.into_values().flat_map(|mut console| {
        let mut said = Vec::new();
        console.read_to_end(&mut said).expect("an open file");
        counted(&String::from_utf8_lossy(&said))
    });
    said.collect()
}
