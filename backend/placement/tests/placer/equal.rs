//! Random worlds: the fast path decides as the oracle does, and the books balance.

use crate::world::{Deed, World, world};
use model::grid::NodeState;
use model::id::{GroupId, NodeId};
use model::units::Resources;
use model::vm::{AcceleratorAmount, Affinity, Scope};
use placement::filter::Filter;
use placement::placer::{Decision, Placer, Search};
use placement::policy::{Path, Policy};
use placement::rule::RuleChain;
use placement::rule::sample::CHAINS;
use placement::state::{Request, ShapeId};
use proptest::prelude::*;
use std::sync::Arc;

/// A VM that was placed.
struct Placed {
    shape: ShapeId,
    groups: Vec<GroupId>,
    decision: Decision,
}

/// Two placers side by side, and books of our own.
struct Pair {
    world: World,
    fast: Placer,
    naive: Placer,
    shapes: Vec<ShapeId>,
    alive: Vec<Placed>,
    decided: usize,
}

/// One decision of so many is explained too; to explain costs more than to decide.
const EXPLAINED_EVERY: usize = 7;

impl Pair {
    fn new(world: World, policy: &Policy) -> Self {
        let grid = Arc::new(world.grid.clone());
        let make = |search| {
            let mut placer = Placer::new(Arc::clone(&grid), policy.clone(), search, 7);
            let shapes: Vec<ShapeId> = world.shapes.iter().map(|s| placer.shape(s)).collect();
            let weights = shapes.iter().enumerate();
            let mix: Vec<_> = weights.map(|(w, shape)| (*shape, w as u64 + 1)).collect();
            placer.set_mix(&mix);
            for rule in &world.groups {
                placer.group(*rule);
            }
            (placer, shapes)
        };
        let (fast, shapes) = make(Search::Indexed);
        let (naive, _) = make(Search::Naive);
        Self {
            fast,
            naive,
            shapes,
            alive: Vec::new(),
            decided: 0,
            world,
        }
    }

    fn act(&mut self, deed: &Deed) -> Result<(), TestCaseError> {
        match deed {
            Deed::Place { shape, groups } => {
                let groups: Vec<GroupId> = groups.iter().map(|g| GroupId(*g)).collect();
                self.place(self.shapes[*shape], groups)
            }
            Deed::Release(_) if self.alive.is_empty() => Ok(()),
            Deed::Release(which) => {
                let placed = self.alive.swap_remove(which.index(self.alive.len()));
                self.release(&placed);
                self.check_node(placed.decision.node)
            }
            Deed::SetState(which, state) => {
                let node = NodeId(which.index(self.world.grid.nodes.len()) as u32);
                self.fast.set_state(node, *state);
                self.naive.set_state(node, *state);
                Ok(())
            }
        }
    }

    fn place(&mut self, shape: ShapeId, groups: Vec<GroupId>) -> Result<(), TestCaseError> {
        let request = Request {
            shape,
            groups: &groups,
        };
        self.decided += 1;
        if self.decided.is_multiple_of(EXPLAINED_EVERY) {
            self.check_explanation(request)?;
        }
        let decision = self.fast.decide(request);
        prop_assert_eq!(
            &decision,
            &self.naive.decide(request),
            "{}",
            self.fast.policy()
        );
        self.check_refusal(request, decision.as_ref().err())?;
        let Ok(decision) = decision else {
            return Ok(());
        };
        prop_assert_eq!(self.fast.state(decision.node), NodeState::Up);
        prop_assert!(self.fast.fits(shape, decision.node));
        self.fast.place(request, &decision);
        self.naive.place(request, &decision);
        let node = decision.node;
        self.alive.push(Placed {
            shape,
            groups,
            decision,
        });
        self.check_groups()?;
        self.check_node(node)
    }

    fn release(&mut self, placed: &Placed) {
        let request = Request {
            shape: placed.shape,
            groups: &placed.groups,
        };
        self.fast.release(request, &placed.decision);
        self.naive.release(request, &placed.decision);
    }

    /// The explanation tells the coming decision: every node once, the chosen one on top.
    fn check_explanation(&self, request: Request<'_>) -> Result<(), TestCaseError> {
        let told = self.fast.explain(request);
        let refused: usize = told.refused.iter().map(|by| by.nodes.len()).sum();
        prop_assert_eq!(refused + told.scores.len(), self.world.grid.nodes.len());
        let decided = self.naive.clone().decide(request);
        let last = told.refused.last().map(|by| by.filter);
        prop_assert_eq!(
            decided.as_ref().err().copied(),
            last.filter(|_| told.scores.is_empty())
        );
        prop_assert_eq!(told.hint.is_some(), decided.is_err());
        let chosen = told.chosen.map(|chosen| Decision {
            node: chosen.node,
            devices: chosen.devices,
        });
        prop_assert_eq!(chosen.as_ref(), decided.as_ref().ok());
        for row in &told.scores {
            prop_assert_eq!(row.values.len(), told.columns.len());
        }
        if let (Some(chosen), false) = (chosen, draws_lots(self.fast.policy())) {
            prop_assert_eq!(told.scores[0].node, chosen.node);
        }
        Ok(())
    }

    /// A VM without groups is refused exactly where no node says that it fits.
    fn check_refusal(
        &self,
        request: Request<'_>,
        refused: Option<&Filter>,
    ) -> Result<(), TestCaseError> {
        let mut nodes = self.world.grid.node_ids();
        let fits = nodes.any(|node| self.fast.fits(request.shape, node));
        if request.groups.is_empty() {
            prop_assert_eq!(fits, refused.is_none());
        }
        Ok(())
    }

    /// What the VMs on a node take, and what is free there, add up to what it has.
    fn check_node(&self, node: NodeId) -> Result<(), TestCaseError> {
        let here = || self.alive.iter().filter(|p| p.decision.node == node);
        let mut used = Resources::default();
        let mut devices = vec![0_u32; self.fast.devices(node).len()];
        for placed in here() {
            let asked = self.fast.demand(placed.shape, node);
            used = used.checked_add(asked).expect("use stays in range");
            let ask = &self.fast.spec(placed.shape).accelerators;
            match ask.as_ref().map(|ask| ask.amount) {
                None => prop_assert!(placed.decision.devices.is_empty()),
                Some(AcceleratorAmount::ShareMilli(milli)) => {
                    prop_assert_eq!(placed.decision.devices.len(), 1);
                    prop_assert_eq!(u32::from(placed.decision.devices[0].1), milli);
                }
                Some(AcceleratorAmount::Devices(count)) => {
                    prop_assert_eq!(placed.decision.devices.len(), count as usize);
                }
            }
            for (device, milli) in &placed.decision.devices {
                devices[usize::from(*device)] += u32::from(*milli);
            }
        }
        let capacity = self.world.grid.class_of(node).capacity;
        let left = capacity.checked_sub(used);
        prop_assert_eq!(left, Some(self.fast.free(node)));
        prop_assert_eq!(self.fast.vms(node) as usize, here().count());
        for (used, free) in devices.into_iter().zip(self.fast.devices(node)) {
            prop_assert_eq!(used + u32::from(*free), 1_000);
        }
        Ok(())
    }

    /// Members of a group are together, or apart, as its rule says.
    fn check_groups(&self) -> Result<(), TestCaseError> {
        for (g, rule) in self.world.groups.iter().enumerate() {
            let members = self.alive.iter();
            let members = members.filter(|p| p.groups.contains(&GroupId(g as u32)));
            let scope = |placed: &Placed| {
                let node = placed.decision.node;
                match rule.scope {
                    Scope::Node => node.0,
                    Scope::Rack => self.world.grid.nodes[node.index()].rack.0,
                    Scope::Site => self.world.grid.site_of(node).0,
                }
            };
            let mut scopes: Vec<u32> = members.map(scope).collect();
            let count = scopes.len();
            scopes.sort_unstable();
            scopes.dedup();
            match rule.kind {
                Affinity::Together => prop_assert!(scopes.len() <= 1),
                Affinity::Apart => prop_assert_eq!(scopes.len(), count),
            }
        }
        Ok(())
    }
}

fn draws_lots(policy: &Policy) -> bool {
    policy.entry().path == Path::Lots
}

fn check(world: World, policy: &Policy) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(world, policy);
    let deeds = pair.world.deeds.clone();
    for deed in &deeds {
        pair.act(deed)?;
    }
    for placed in std::mem::take(&mut pair.alive) {
        pair.release(&placed);
    }
    for node in pair.world.grid.node_ids() {
        let capacity = pair.world.grid.class_of(node).capacity;
        prop_assert_eq!(pair.fast.free(node), capacity);
        prop_assert_eq!(pair.fast.vms(node), 0);
        prop_assert_eq!(pair.fast.expected_load_milli(node), 0);
        prop_assert!(pair.fast.devices(node).iter().all(|free| *free == 1_000));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// For every policy of the catalogue, on random grids and histories: fast and naive search
    /// decide and refuse alike, no node is over its capacity, groups are kept, and releasing every
    /// VM leaves every node as it was.
    #[test]
    fn fast_and_naive_agree(world in world(250)) {
        let chains = CHAINS.iter().map(|sample| {
            let chain = RuleChain::read(sample.name, sample.text);
            Policy::Chain(chain.expect("the samples are right"))
        });
        for policy in Policy::all().into_iter().chain(chains) {
            check(world.clone(), &policy)?;
        }
    }
}
