//! A grid under trial: whatever is asked of it and seen, the promises of every instant are looked at.

use super::ground::{Ground, NODES};
use control::backend::{Backend, Command, Refused, Standing};
use control::shown::EventShown;
use model::event::Happening;
use model::grid::NodeState;
use model::id::{NodeId, OperationId, VmId};
use model::report::VmState;
use model::units::Resources;
use model::view::View;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many moments something may take: five minutes of a live grid, on a machine that has much else to do.
const PATIENCE: u32 = 3_000;

/// How many events are read at once.
const MOST_EVENTS: usize = 10_000;

pub struct Trial<G: Ground> {
    ground: G,
    last: u64,
    accepted: Vec<OperationId>,
    refused: Vec<OperationId>,
    history: Vec<EventShown>,
    seen: Option<Arc<View>>,
}

impl<G: Ground> Trial<G> {
    pub fn new(ground: G) -> Self {
        Self {
            ground,
            last: 0,
            accepted: Vec::new(),
            refused: Vec::new(),
            history: Vec::new(),
            seen: None,
        }
    }

    /// Waits until something is there.
    pub fn until<T>(&mut self, what: &str, mut found: impl FnMut(&mut Self) -> Option<T>) -> T {
        for _ in 0..PATIENCE {
            if let Some(found) = found(self) {
                return found;
            }
            self.ground.pass();
        }
        panic!("waited too long for {what}: {:#?}", self.history());
    }

    /// Waits for all nodes to be up and for the view to stay as it is.
    pub fn is_reached(&mut self) {
        self.until("all nodes to be reached", |trial| {
            let view = trial.view();
            assert_eq!(view.nodes.len(), NODES.len());
            let mut nodes = view.nodes.iter();
            nodes.all(|node| node.state == NodeState::Up).then_some(())
        });
    }

    /// The view, which is whole and consistent, and not older than the last.
    pub fn view(&mut self) -> Arc<View> {
        let view = self.ground.grid().view();
        is_consistent(&view);
        if let Some(seen) = &self.seen {
            assert!(
                view.generation >= seen.generation && view.at >= seen.at,
                "it has gone back from {} to {}",
                seen.generation,
                view.generation
            );
        }
        self.seen = Some(Arc::clone(&view));
        view
    }

    /// The view of a grid at rest, which is the same one however often it is asked for.
    pub fn view_at_rest(&mut self) -> Arc<View> {
        self.until("the same view twice", |trial| {
            let (one, other) = (trial.view(), trial.view());
            Arc::ptr_eq(&one, &other).then_some(one)
        })
    }

    /// All that has happened; what was once told is told again.
    pub fn history(&mut self) -> &[EventShown] {
        let grid = self.ground.grid();
        let all = grid.events(0, MOST_EVENTS);
        assert!(
            all.starts_with(&self.history),
            "what had happened has changed"
        );
        let times = all.windows(2).all(|two| two[0].event.at <= two[1].event.at);
        assert!(times, "events are not in their order");
        let middle = all.len() / 2;
        let page = grid.events(middle as u64, 3);
        let rest = &all[middle..];
        assert_eq!(page, rest[..rest.len().min(3)], "numbers lead elsewhere");
        assert_eq!(grid.events(0, 0), []);
        assert_eq!(grid.events(u64::MAX, 5), []);
        self.history = all;
        &self.history
    }

    fn next(&mut self) -> OperationId {
        self.last += 1;
        OperationId(self.last)
    }

    /// Asks for what is accepted.
    pub fn asked(&mut self, command: &Command) -> OperationId {
        let id = self.next();
        // A node that another process keeps busy is away for a moment, and nothing fits then.
        let id = self.until("it to be accepted", |trial| {
            match trial.ground.grid().submit(id, command.clone()) {
                Ok(()) => Some(id),
                Err(why) => panic!("{command:?}: {why}"),
            }
        });
        self.accepted.push(id);
        id
    }

    /// Asks for something, and waits for its end; why it failed, where it did.
    pub fn ended(&mut self, command: &Command) -> Result<(), String> {
        let id = self.asked(command);
        self.end_of(id)
    }

    /// Waits for an operation's end; why it failed, where it did.
    pub fn end_of(&mut self, id: OperationId) -> Result<(), String> {
        self.until("the operation to end", |trial| {
            trial.view();
            let mut events = trial.history().iter().rev();
            events.find_map(|event| match &event.event.happening {
                Happening::Ended { failed, .. } if event.event.operation == Some(id) => {
                    Some(failed.clone().map_or(Ok(()), Err))
                }
                _ => None,
            })
        })
    }

    /// Asks for something that is done.
    pub fn done(&mut self, command: &Command) -> OperationId {
        let id = self.asked(command);
        assert_eq!(self.end_of(id), Ok(()), "{command:?}");
        id
    }

    /// Asks for what is refused: nothing has happened then, and to ask again gives the same answer,
    /// whatever is asked under that id.
    pub fn refused(&mut self, command: &Command) -> Refused {
        let id = self.next();
        let why = self.refused_as(id, command);
        let state = NodeState::Up;
        let node = NodeId(0);
        let other = Command::Node { node, state };
        assert_eq!(self.ground.grid().submit(id, other), Err(why.clone()));
        self.refused.push(id);
        why
    }

    /// The same under an id of one's own.
    pub fn refused_as(&mut self, id: OperationId, command: &Command) -> Refused {
        let before = self.view();
        let grid = self.ground.grid();
        let why = grid.submit(id, command.clone());
        let why = why.expect_err("it cannot be");
        assert!(!why.to_string().is_empty() && !why.hint().is_empty());
        assert_eq!(grid.submit(id, command.clone()), Err(why.clone()));
        assert_eq!(self.view().generation, before.generation, "{command:?}");
        why
    }

    /// Asks once more under an id that was accepted: the answer is the first one, and nothing happens.
    pub fn again(&mut self, id: OperationId, command: &Command) {
        let before = (self.view_at_rest(), self.history().len());
        let said = self.ground.grid().submit(id, command.clone());
        assert_eq!(said, Ok(()), "{command:?}");
        for _ in 0..3 {
            self.ground.pass();
        }
        let after = (self.view(), self.history().len());
        assert_eq!(after.0.generation, before.0.generation, "{command:?}");
        let of_it = self.history[before.1..].iter();
        let of_it = of_it.filter(|event| event.event.operation == Some(id));
        assert_eq!(of_it.count(), 0, "{command:?}");
    }

    /// Where a VM is seen last, and how.
    pub fn seen(&mut self, vm: VmId) -> Option<(NodeId, VmState)> {
        let mut events = self.history().iter().rev();
        events.find_map(|event| match event.event.happening {
            Happening::Seen {
                vm: of,
                node,
                state,
            } if of == vm => Some(state.map(|state| (node, state))),
            _ => None,
        })?
    }

    /// Waits for a VM to be seen in a state.
    pub fn comes_to(&mut self, vm: VmId, state: VmState) {
        self.until(&format!("{vm} to be {state}"), |trial| {
            trial
                .seen(vm)
                .filter(|(_, seen)| *seen == state)
                .map(|_| ())
        });
    }

    /// The only VM under a hypervisor, with its node.
    pub fn vm_under(&mut self, hypervisor: &str) -> (VmId, NodeId) {
        let view = self.view();
        let nodes = view.grid.node_ids();
        let here = nodes.filter(|node| view.grid.hypervisor_of(*node).name == hypervisor);
        let vms = here.flat_map(|node| {
            let vms = view.nodes[node.index()].vms.iter();
            vms.map(move |vm| (vm.id, node))
        });
        let vms: Vec<(VmId, NodeId)> = vms.collect();
        assert_eq!(vms.len(), 1, "under {hypervisor}: {vms:?}");
        vms[0]
    }

    /// What the grid says stands and goes on.
    pub fn standing(&mut self) -> Standing {
        self.ground.grid().standing()
    }

    /// Asks that an operation end early.
    pub fn call_off(&mut self, operation: OperationId) {
        self.ground.grid().call_off(operation);
    }

    /// What was accepted was told once, and ended once; of what was refused nothing is told.
    pub fn every_operation_ended_once(&mut self) {
        self.history();
        let told = |id: OperationId| {
            let events = self.history.iter();
            let events = events.filter(move |event| event.event.operation == Some(id));
            let ends = events
                .clone()
                .filter(|event| matches!(event.event.happening, Happening::Ended { .. }));
            let begun =
                events.filter(|event| matches!(event.event.happening, Happening::Accepted { .. }));
            (begun.count(), ends.count())
        };
        for id in &self.accepted {
            assert_eq!(told(*id), (1, 1), "{id}");
        }
        for id in &self.refused {
            assert_eq!(told(*id), (0, 0), "{id}");
        }
    }
}

fn is_consistent(view: &View) {
    assert_eq!(view.nodes.len(), view.grid.nodes.len());
    for (node, shown) in view.grid.node_ids().zip(&view.nodes) {
        let sum = shown.vms.iter().fold(Resources::default(), |sum, vm| {
            sum.checked_add(vm.resources).expect("it can be counted")
        });
        assert_eq!(shown.used, sum, "{node}");
        let capacity = view.grid.class_of(node).capacity;
        assert!(
            shown.used.first_shortage(capacity).is_none(),
            "{node} is over its capacity"
        );
        let ids: BTreeSet<VmId> = shown.vms.iter().map(|vm| vm.id).collect();
        assert_eq!(ids.len(), shown.vms.len(), "{node} has a VM twice");
        assert!(
            shown.vms.is_sorted_by_key(|vm| vm.id),
            "{node} has its VMs out of order"
        );
    }
}
