//! A VM that stands still goes from one agent to another, whatever runs it and whoever dies.

use super::node::{Kind, Node, Pair, VM, call_off, wait_for};
use crate::planted::{held, is_holed, plant};
use model::id::{KeyId, OperationId};
use model::order::{Passage, Shutdown, Storage, Verb};
use model::report::{Outcome, VmState};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;

/// How a VM that is off moves.
const OFF: Passage = Passage::Cold { shutdown: None };

/// How one that runs moves.
const SHUT_DOWN: Passage = Passage::Cold {
    shutdown: Some(Shutdown::Forced),
};

/// One end of a move, of which a controller has sent the order.
type Sent<'a> = (OperationId, &'a Verb, KeyId);

/// The two orders of a move.
struct Move {
    key: KeyId,
    receive: (OperationId, Verb),
    migrate: OperationId,
    passage: Passage,
}

impl Move {
    fn new(pair: &mut Pair, passage: Passage) -> Self {
        let (key, received, migrate) = pair.numbers();
        let receive = Verb::Receive {
            blueprint: pair.blueprint(),
            storage: Storage::Local,
            key,
            passage,
        };
        Self {
            key,
            receive: (received, receive),
            migrate,
            passage,
        }
    }

    /// Carries both orders out, and calls the receiver off where the sender does not succeed; how the
    /// sender's and the receiver's ended.
    fn go(&self, from: &mut Node, to: &mut Node) -> (Outcome, Outcome) {
        let (received, receive) = &self.receive;
        let receive: Sent = (*received, receive, self.key);
        let listens = |outcome: &Outcome| matches!(outcome, Outcome::Listening { .. });
        let Outcome::Listening { address } = to.outlives(receive, listens) else {
            unreachable!("it was just matched")
        };
        let migrate = Verb::Migrate {
            to: to.id,
            address,
            storage: Storage::Local,
            key: self.key,
            passage: self.passage,
        };
        let migrate: Sent = (self.migrate, &migrate, self.key);
        thread::scope(|scope| {
            let receiver = to.root().to_owned();
            // Whoever dies, somebody waits for it and starts another.
            let sent = scope.spawn(move || {
                let sent = from.outlives(migrate, is_end);
                if sent != Outcome::Done {
                    wait_for("the receiver to be called off", || {
                        call_off(&receiver, receive.0)
                    });
                }
                sent
            });
            let received = to.outlives(receive, is_end);
            (sent.join().expect("it ends"), received)
        })
    }
}

fn is_end(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Done | Outcome::Failed { .. } | Outcome::Refused { .. } | Outcome::Cancelled
    )
}

/// Puts files of all kinds where a container has its own.
fn fill(kind: Kind, node: &Node) {
    if kind == Kind::Incus {
        plant(&node.container());
    }
}

/// All that a VM's disk or root folder holds on this node, and how much of a disk is no hole, in KiB.
fn data(kind: Kind, node: &Node) -> (Vec<u8>, u64) {
    if kind == Kind::Incus {
        assert!(is_holed(&node.container()), "its hole was filled");
        return (held(&node.container()), 0);
    }
    let path = node.root().join("vms/vm-7/root.raw");
    let kib = fs::metadata(&path).expect("a disk").blocks() / 2;
    (fs::read(&path).expect("a disk"), kib)
}

/// Whether the node has the VM; one that has not has nothing of it.
fn has(node: &Node) -> bool {
    let has = node.status().vms.iter().any(|status| status.vm == VM);
    assert!(has || node.traces().is_empty(), "{:?}", node.traces());
    has
}

fn state(node: &Node) -> Option<VmState> {
    let status = node.status();
    status.vms.iter().find(|status| status.vm == VM)?.state
}

/// One that is off arrives bit by bit, with its holes, and boots there; one that runs is shut down and
/// runs again on its way back; and neither leaves anything behind.
fn goes_there_and_back(kind: Kind) {
    let mut pair = Pair::new(kind);
    let blueprint = pair.blueprint();
    pair.order(0, Verb::Create { blueprint });
    fill(kind, &pair.nodes[0]);
    let (before, kib) = data(kind, &pair.nodes[0]);
    let there = Move::new(&mut pair, OFF);
    let [home, away] = &mut pair.nodes;
    assert_eq!(there.go(home, away), (Outcome::Done, Outcome::Done));
    assert!(!has(home));
    assert_eq!(state(away), Some(VmState::Stopped));
    let (arrived, arrived_kib) = data(kind, away);
    assert!(arrived == before, "other data have arrived");
    assert!(arrived_kib <= kib, "{kib} KiB became {arrived_kib}");
    pair.order(1, Verb::Start);
    pair.nodes[1].says("GUEST-UP host=web-7");
    let back = Move::new(&mut pair, SHUT_DOWN);
    let [home, away] = &mut pair.nodes;
    assert_eq!(back.go(away, home), (Outcome::Done, Outcome::Done));
    assert!(!has(away));
    assert_eq!(state(home), Some(VmState::Running));
    home.says("GUEST-UP host=web-7");
    pair.order(0, Verb::Delete);
    assert!(pair.nodes.iter().all(|node| !has(node)));
}

#[test]
fn a_still_vm_of_qemu_goes_there_and_back() {
    goes_there_and_back(Kind::Qemu);
}

#[test]
fn a_still_vm_of_uml_goes_there_and_back() {
    goes_there_and_back(Kind::Uml);
}

#[test]
fn a_container_goes_there_and_back() {
    goes_there_and_back(Kind::Incus);
}

/// Whichever agent is killed, and at whichever of these steps of the sender and of the receiver, one node
/// has the VM in the end with all of its data, and the other has nothing of it.
fn is_never_lost_or_doubled(kind: Kind, steps: [&[&str]; 2]) {
    let mut pair = Pair::new(kind);
    let blueprint = pair.blueprint();
    pair.order(0, Verb::Create { blueprint });
    fill(kind, &pair.nodes[0]);
    let (before, _) = data(kind, &pair.nodes[0]);
    let mut at = 0;
    let [sender, receiver] = steps.map(|steps| steps.iter());
    let steps = sender.map(|step| (0, step));
    for (end, step) in steps.chain(receiver.map(|step| (1, step))) {
        for side in ["before", "after"] {
            let point = format!("{side} {step}");
            let this = Move::new(&mut pair, OFF);
            let (first, second) = pair.nodes.split_at_mut(1);
            let (from, to) = match at {
                0 => (&mut first[0], &mut second[0]),
                _ => (&mut second[0], &mut first[0]),
            };
            match end {
                0 => from.restart(Some(&point)),
                _ => to.restart(Some(&point)),
            }
            let ends = this.go(from, to);
            let (stayed, moved) = (has(from), has(to));
            assert!(stayed != moved, "{point}: {ends:?}: {stayed}, {moved}");
            let killed = match end {
                0 => from.died(),
                _ => to.died(),
            };
            assert_eq!(killed, 1, "{point} was not passed");
            if moved {
                at = 1 - at;
            }
            println!("{point}: {ends:?}");
            let found = data(kind, &pair.nodes[at]).0;
            assert!(found == before, "{point}: other data");
        }
    }
}

#[test]
fn a_still_vm_is_never_lost_or_doubled() {
    let sender = ["knock for vm 7", "ship vm 7", "cede vm 7", "destroy vm 7"];
    let receiver = ["expect vm 7", "let in vm 7", "define vm 7"];
    is_never_lost_or_doubled(Kind::Uml, [&sender, &receiver]);
}

#[test]
fn a_container_is_never_lost_or_doubled() {
    let sender = ["save-image vm 7", "ship vm 7", "cede vm 7", "destroy vm 7"];
    let receiver = ["let in vm 7", "unpack root", "define vm 7"];
    is_never_lost_or_doubled(Kind::Incus, [&sender, &receiver]);
}
