//! Agents killed at points of a move: in the end one node has the VM, and the other nothing of it.

use super::guest::{PROMPT, begin_to_count, has_counted, overhear, wait_tick};
use super::kind::Kind;
use super::node::{Node, VM};
use super::order::{End, Ends, Move};
use super::pair::Pair;
use crate::crash::apart;
use model::order::{Passage, Storage, Verb};
use model::report::{Outcome, VmState};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

/// A VM that moves to and fro between two agents, each of which may be killed.
pub struct Trial {
    pair: Pair,
    passage: Passage,
    /// The node that has it.
    at: usize,
}

impl Trial {
    /// It is made, and runs unless it is to move standing still.
    pub fn new(kind: Kind, storage: Storage, passage: Passage) -> Self {
        let mut pair = Pair::with(kind, storage);
        pair.create();
        if passage != (Passage::Cold { shutdown: None }) {
            pair.order(0, Verb::Start);
        }
        let at = 0;
        Self { pair, passage, at }
    }

    /// The node that has it.
    pub fn home(&self) -> &Node {
        &self.pair.nodes[self.at]
    }

    /// Moves it with an agent that is killed at this point; where it has none, that is a fault.
    pub fn kill_at(&mut self, end: End, point: &str) {
        let killed_at = self.kill(end, point);
        assert_eq!(killed_at, Some(point.to_owned()), "{end:?}");
    }

    /// As [`Self::kill_at`], where the point is a number too; `None`: the agent was through before.
    fn kill(&mut self, end: End, point: &str) -> Option<String> {
        let (from, to) = (self.at, 1 - self.at);
        let victim = match end {
            End::Sender => from,
            End::Receiver => to,
        };
        let runs = self.pair.state(from) == Some(VmState::Running);
        self.pair.nodes[victim].restart(Some(point));
        let ends = self.go(from, to);
        if self.pair.nodes[victim].killed_at().is_empty() {
            // Its point would still come, of something else.
            self.pair.nodes[victim].restart(None);
        }
        let has = [from, to].map(|node| self.pair.has(node));
        let killed_at = self.pair.nodes[victim].killed_at().to_owned();
        let case = format!("{end:?} killed {killed_at:?}: {ends:?}");
        assert!(has[0] != has[1], "{case}: {has:?}");
        match &ends.0 {
            Outcome::Done => assert!(has[1], "{case}"),
            Outcome::Failed { reason } => assert!(has[0] && reason.contains("hint: "), "{case}"),
            _ => panic!("{case}"),
        }
        assert!(killed_at.len() <= 1, "{case}");
        if has[1] {
            self.at = to;
        }
        let processes = self.home().processes();
        assert_eq!(self.home().connections(), Vec::<String>::new(), "{case}");
        match runs {
            true => {
                assert_eq!(self.pair.state(self.at), Some(VmState::Running), "{case}");
                assert!(!processes.is_empty(), "{case}");
            }
            false => assert_eq!(processes, Vec::<String>::new(), "{case}"),
        }
        println!("{case}");
        killed_at.into_iter().next()
    }

    /// Moves it; a guest that goes on meanwhile counts every number once, on whichever node.
    fn go(&mut self, from: usize, to: usize) -> Ends {
        let consoles = self.pair.nodes.each_ref().map(Node::console_log);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let heard = scope.spawn(|| overhear(&consoles, &over));
            let over = Over(&over);
            let this = Move::begin(&mut self.pair, self.passage, to);
            let [from, to] = self.pair.ends(from);
            let ends = this.go(from, to);
            drop(over);
            let mut heard = heard.join().expect("it listens");
            heard.sort_unstable();
            let twice = heard.windows(2).find(|pair| pair[0] == pair[1]);
            assert_eq!(twice, None, "{VM} ran twice at once: {ends:?}");
            ends
        })
    }

    /// Tries points of both ends that are so far apart, unless all are asked for.
    pub fn try_points(mut self, sample: usize, check: impl Fn(&Trial, &str)) {
        let apart = apart(sample as u64);
        let (begun, mut kills, mut names) = (Instant::now(), 0, BTreeSet::new());
        for end in [End::Sender, End::Receiver] {
            let mut point = 1 + apart / 2;
            while let Some(name) = self.kill(end, &point.to_string()) {
                check(&self, &name);
                names.insert((end as u8, name));
                kills += 1;
                point += apart;
            }
        }
        let (names, passed) = (names.len(), begun.elapsed());
        println!(
            "{:?}: {kills} kills at {names} named points in {passed:?}",
            self.passage
        );
        assert!(kills > 4 && names > 3, "{kills} kills at {names} points");
    }
}

/// It is over once this is dropped, whether the test goes on or not.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A guest that counts, and moves live.
fn counts(storage: Storage) -> Trial {
    let trial = Trial::new(Kind::Qemu, storage, Passage::Live);
    trial.home().says("GUEST-UP");
    trial.home().says(PROMPT);
    begin_to_count(trial.home());
    trial
}

/// The guest has gone on all the time, and its file has every number.
fn goes_on(trial: &Trial, point: &str) {
    let last = super::guest::ticks(trial.home()).last().copied();
    wait_tick(trial.home(), last.unwrap_or(0));
    assert!(has_counted(trial.home()), "{point}");
}

/// Whichever agent is killed while a VM moves with its disk, the guest goes on, on one node alone.
#[test]
fn a_running_vm_is_never_lost_or_doubled() {
    counts(Storage::Local).try_points(17, goes_on);
}

/// The same where both nodes see its disk.
#[test]
fn a_running_vm_on_a_shared_disk_is_never_lost_or_doubled() {
    counts(Storage::Shared).try_points(19, goes_on);
}

/// The same at the points between which it changes hands.
#[test]
fn a_running_vm_is_handed_over_once() {
    let mut trial = counts(Storage::Local);
    let sender = ["noting vm 7 as Given", "noting vm 7 as Sent"];
    let receiver = [
        "booking vm 7 as Taken",
        "letting vm 7 run",
        "forgetting the move of vm 7",
    ];
    let sender = sender.map(|act| (End::Sender, act));
    let receiver = receiver.map(|act| (End::Receiver, act));
    for (end, act) in sender.into_iter().chain(receiver) {
        for side in ["before", "after"] {
            let point = format!("{side} {act}");
            trial.kill_at(end, &point);
            goes_on(&trial, &point);
        }
    }
}
