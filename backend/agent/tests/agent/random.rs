//! Several VMs, orders right and wrong, kills, cancels and broken steps, in any order.

use crate::node::{Meanwhile, Node, naming};
use crate::orders::{about, verbs};
use agent::message::Input;
use model::id::{OperationId, VmId};
use model::order::{Storage, Verb};
use proptest::prelude::*;
use std::collections::VecDeque;

/// What happens next.
#[derive(Clone, Debug)]
enum Happening {
    Ordered { vm: u64, verb: usize },
    CalledOff { operation: u64 },
    Kill,
    Break { after: usize },
    Turns { count: usize },
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        6 => (1..4_u64, 0..48_usize).prop_map(|(vm, verb)| Happening::Ordered { vm, verb }),
        1 => (1..40_u64).prop_map(|operation| Happening::CalledOff { operation }),
        1 => Just(Happening::Kill),
        1 => (1..9_usize).prop_map(|after| Happening::Break { after }),
        6 => (1..60_usize).prop_map(|count| Happening::Turns { count }),
    ];
    proptest::collection::vec(one, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order, every order that was taken ends once, the node holds what
    /// the ledger says and nothing else, and nothing runs twice.
    #[test]
    fn any_interleaving_ends_well(
        happenings in happenings(),
        choices in proptest::collection::vec(0..4_usize, 200),
    ) {
        let mut node = Node::new();
        node.meanwhile = Meanwhile::Nothing;
        node.choices = VecDeque::from(choices);
        node.world.elsewhere.insert(GUEST);
        let mut operation = 0;
        for happening in happenings {
            match happening {
                Happening::Ordered { vm, verb } => {
                    operation += 1;
                    order(&mut node, operation, vm, verb);
                }
                Happening::CalledOff { operation } => {
                    let operation = OperationId(operation);
                    node.tell(Input::CalledOff { operation });
                }
                Happening::Kill => node.restart(),
                Happening::Break { after } => node.break_after(after),
                Happening::Turns { count } => {
                    for _ in 0..count {
                        node.turn().expect("no point was named");
                    }
                }
            }
        }
        node.settle();
        node.world.check(node.agent.ledger(), &naming());
        for (operation, ends) in &node.ends {
            prop_assert!(ends.iter().all(|end| *end == ends[0]), "{operation}: {ends:?}");
        }
        prop_assert_eq!(node.ends.len() as u64, operation, "ends of all orders");
    }
}

/// The VM that lives elsewhere at first and comes and goes; the others are made here.
const GUEST: VmId = VmId(3);

fn order(node: &mut Node, operation: u64, vm: u64, verb: usize) {
    let vm = VmId(vm);
    let mut verbs = verbs(vm, VmId(vm.0 + 1));
    verbs.retain(|verb| match verb {
        // Shared disks come from a world that these nodes do not have.
        Verb::Receive { storage, .. } | Verb::Migrate { storage, .. } => {
            vm == GUEST && *storage == Storage::Local
        }
        Verb::Create { .. } => vm != GUEST,
        Verb::Copy { to } => to.vm != GUEST,
        _ => true,
    });
    let verb = verbs.swap_remove(verb % verbs.len());
    node.order(&about(vm, operation, verb));
}
