//! Plans that somebody brings.

use super::designs::{component, design, withdraw};
use super::ground::Ground;
use super::trial::Trial;
use control::backend::{Command, Refused};
use model::id::{Generation, NodeId};
use model::plan::{Placement, Plan};

/// A plan of the grid as it is is followed to the letter; one of another grid, for other VMs, or that asks
/// what cannot be is refused.
pub fn plans_are_followed_or_refused<G: Ground>(trial: &mut Trial<G>) {
    let solo = || design("Solo", &[component("solo", 1, "full", "qemu-tcg")]);
    let now = trial.view_at_rest().generation;
    let on = |nodes: &[u32], generation: Generation| {
        let placement = |(vm, node): (u32, &u32)| Placement {
            vm,
            node: NodeId(*node),
            devices: Vec::new(),
            loans: Vec::new(),
        };
        let plan = Plan {
            generation,
            placements: (0..).zip(nodes).map(placement).collect(),
        };
        let (design, plan) = (solo(), Some(plan));
        Command::Deploy { design, plan }
    };
    let (found, expected) = (Generation(now.0 - 1), now);
    let why = trial.refused(&on(&[0], found));
    assert_eq!(why, Refused::Outdated { found, expected });
    let (found, expected) = (Generation(now.0 + 1), now);
    let why = trial.refused(&on(&[0], found));
    assert_eq!(why, Refused::Outdated { found, expected });
    for nodes in [&[][..], &[0, 1]] {
        let why = trial.refused(&on(nodes, now));
        let (found, expected) = (nodes.len(), 1);
        assert_eq!(why, Refused::Unmatched { found, expected });
    }
    let node = NodeId(77);
    let why = trial.refused(&on(&[77], now));
    assert_eq!(why, Refused::UnknownNode { node });
    // A node that cannot run it.
    let why = trial.refused(&on(&[2], now));
    assert!(matches!(why, Refused::Unplaced { .. }), "{why:?}");
    let (_, here) = trial.vm_under("qemu-tcg");
    let other = NodeId(1 - here.0);
    trial.done(&on(&[other.0], now));
    let view = trial.view_at_rest();
    assert_eq!(view.nodes[other.index()].vms.len(), 1);
    trial.done(&withdraw("Solo"));
}
