//! Moves of VMs that stand still, disturbed while a disk is half over.

use super::cold::{OFF, SHUT_DOWN, data};
use super::kind::Kind;
use super::node::wait_for;
use super::order::{End, Ends, Move};
use super::pair::Pair;
use model::order::{Passage, Storage, Verb};
use model::report::{Outcome, VmState};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;

/// Blocks of a disk of which some have come, and most have not.
const SOME_BLOCKS: u64 = (1 << 20) / 512;

/// Over a slow way, a move of the VM is disturbed as soon as some of its disk is there.
fn disturb(pair: &mut Pair, passage: Passage, how: impl FnOnce(&Move)) -> Ends {
    let this = Move::begin(pair, passage, 1);
    let there = pair.nodes[1].root().join("vms/vm-7/root.raw");
    let [from, to] = pair.ends(0);
    thread::scope(|scope| {
        let ends = scope.spawn(|| this.go(from, to));
        let blocks = || fs::metadata(&there).map_or(0, |data| data.blocks());
        wait_for("some of the disk", || blocks() > SOME_BLOCKS);
        how(&this);
        ends.join().expect("it ends")
    })
}

fn pair() -> Pair {
    let mut pair = Pair::with(Kind::Uml, Storage::Local);
    pair.nodes[0].slow_down(40);
    pair.create();
    pair
}

/// Whichever agent dies, the disk is sent again to or by the next, and the move ends well.
#[test]
fn a_disk_is_sent_again_where_an_agent_dies_half_way() {
    for end in [0, 1] {
        let mut pair = pair();
        let (before, _) = data(Kind::Uml, &pair.nodes[0]);
        let kill = pair.nodes[end].killer();
        let ends = disturb(&mut pair, OFF, |_| kill());
        assert_eq!(ends, (Outcome::Done, Outcome::Done));
        assert_eq!(pair.nodes[end].killed_at(), ["any"]);
        assert!(!pair.has(0) && pair.has(1));
        assert!(
            data(Kind::Uml, &pair.nodes[1]).0 == before,
            "other data have arrived"
        );
    }
}

/// Whichever order is called off, the VM is as it was before, and of what had come nothing is left.
#[test]
fn a_move_is_called_off_half_way() {
    let mut pair = pair();
    pair.order(0, Verb::Start);
    for end in [End::Sender, End::Receiver] {
        let roots = pair.nodes.each_ref().map(|node| node.root().to_owned());
        let (sent, received) = disturb(&mut pair, SHUT_DOWN, |this| match end {
            End::Sender => this.call_off(end, &roots[0]),
            End::Receiver => this.call_off(end, &roots[1]),
        });
        match (end, sent) {
            (End::Sender, sent) => assert_eq!(sent, Outcome::Cancelled),
            (End::Receiver, Outcome::Failed { reason }) => {
                assert!(reason.contains("not expected there any more"), "{reason}");
                assert!(reason.contains("hint: "), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(received, Outcome::Cancelled);
        assert!(pair.has(0) && !pair.has(1));
        assert_eq!(pair.state(0), Some(VmState::Running));
    }
    pair.nodes[0].says("GUEST-UP");
}
