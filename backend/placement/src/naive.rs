//! The oracle: every node from scratch, by the shortest code that is plainly right.

use crate::chance::Chance;
use crate::facts::asked_of;
use crate::filter::Filter;
use crate::group::Groups;
use crate::mix::{Fragmenting, Mix, Stranding};
use crate::nova::nova;
use crate::policy::Policy;
use crate::rule::key::CompiledChain;
use crate::score::{Chained, Cosine, Dot, L2, Score, Spot};
use crate::shape::{Shape, static_refusal};
use crate::state::{DEVICE_MILLI, Request, State};
use crate::topsis::topsis;
use model::grid::NodeState;
use model::id::NodeId;
use model::units::Resources;
use model::vm::AcceleratorAmount;

/// What the oracle looks at.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) state: &'a State,
    pub(crate) groups: &'a Groups,
    pub(crate) shapes: &'a [Shape],
    pub(crate) mix: &'a Mix,
    /// The policy's chain, where it is one.
    pub(crate) chain: Option<&'a CompiledChain>,
}

impl<'a> Scene<'a> {
    fn shape(&self, request: Request<'_>) -> &'a Shape {
        &self.shapes[request.shape.0 as usize]
    }

    /// The first filter that keeps a node from taking a VM.
    pub(crate) fn refusal(&self, request: Request<'_>, node: NodeId) -> Option<Filter> {
        let (state, grid) = (self.state, &self.state.grid);
        let (spec, class) = (&self.shape(request).spec, grid.class_of(node));
        if state.state(node) != NodeState::Up {
            return Some(Filter::NodeState);
        }
        let legal = static_refusal(spec, grid, class, grid.site_of(node));
        let grouped = || self.groups.refusal(request.groups, grid, node);
        if let Some(filter) = legal.or_else(grouped) {
            return Some(filter);
        }
        let asked = asked_of(spec, class).expect("the model was found legal");
        if let Some(short) = asked.first_shortage(state.free(node)) {
            return Some(Filter::Free(short));
        }
        let devices = state.devices(node);
        let whole = devices.iter().filter(|free| **free == DEVICE_MILLI).count();
        let accelerators = self.shape(request).asks[state.kind(node)].accelerators;
        let served = match accelerators {
            None => true,
            Some(AcceleratorAmount::ShareMilli(milli)) => {
                devices.iter().any(|free| u32::from(*free) >= milli)
            }
            Some(AcceleratorAmount::Devices(count)) => whole as u32 >= count,
        };
        (!served).then_some(Filter::AcceleratorDevice)
    }

    /// The nodes that fit, or the filter after which none was left: the last of the filters that
    /// nodes failed first.
    pub(crate) fn fitting(&self, request: Request<'_>) -> Result<Vec<NodeId>, Filter> {
        let mut last = Filter::NodeState;
        let mut nodes = Vec::new();
        for node in self.state.grid.node_ids() {
            match self.refusal(request, node) {
                Some(filter) => last = last.max(filter),
                None => nodes.push(node),
            }
        }
        if nodes.is_empty() {
            Err(last)
        } else {
            Ok(nodes)
        }
    }

    /// The node that a policy takes.
    pub(crate) fn decide(
        &self,
        policy: &Policy,
        chance: &mut Chance,
        request: Request<'_>,
    ) -> Result<NodeId, Filter> {
        let nodes = self.fitting(request)?;
        let shape = self.shape(request);
        let Self { state, mix, .. } = *self;
        let best_fit = |node: &NodeId| (self.left(request, *node), *node);
        let chosen = match policy {
            Policy::FirstFit => nodes.first().copied(),
            Policy::BestFit => nodes.into_iter().min_by_key(best_fit),
            Policy::WorstFit => nodes
                .into_iter()
                .min_by_key(|node| (std::cmp::Reverse(self.left(request, *node)), *node)),
            Policy::RandomFit => Some(nodes[chance.below(nodes.len() as u32) as usize]),
            Policy::BestOf { k } => (0..*k)
                .map(|_| nodes[chance.below(nodes.len() as u32) as usize])
                .min_by_key(best_fit),
            Policy::DotProduct => self.least(&Dot, shape, &nodes),
            Policy::L2 => self.least(&L2, shape, &nodes),
            Policy::Cosine => self.least(&Cosine, shape, &nodes),
            Policy::StrandedAware => self.least(&Stranding { state, mix }, shape, &nodes),
            Policy::FragmentationGradient => self.least(&Fragmenting { state, mix }, shape, &nodes),
            Policy::Chain(_) => self.least(&self.chained(), shape, &nodes),
            Policy::Nova => nova(state, &nodes),
            Policy::Topsis => topsis(state, shape, &nodes),
        };
        Ok(chosen.expect("some node fits"))
    }

    /// The score of a policy that is a chain.
    pub(crate) fn chained(&self) -> Chained<'a> {
        Chained {
            state: self.state,
            chain: self.chain.expect("a chain is compiled with its placer"),
        }
    }

    /// What is left of a node, each dimension as a share of the largest node's, in sum.
    fn left(&self, request: Request<'_>, node: NodeId) -> u64 {
        let asked = asked_of(&self.shape(request).spec, self.state.grid.class_of(node));
        let left: Resources = self
            .state
            .free(node)
            .checked_sub(asked.expect("the node fits"))
            .expect("the node fits");
        self.state.weigh(left)
    }

    fn least(&self, score: &impl Score, shape: &Shape, nodes: &[NodeId]) -> Option<NodeId> {
        let key = |node: &NodeId| {
            let (block, lane) = self.state.block(*node);
            let ask = &shape.asks[self.state.kind(*node)];
            score.key(
                shape,
                Spot {
                    node: *node,
                    block,
                    lane,
                    ask,
                },
            )
        };
        nodes.iter().copied().min_by_key(|node| (key(node), *node))
    }
}
