//! The fast path of every policy.

use crate::chance::Chance;
use crate::filter::Filter;
use crate::index::{Fitting, Journal, Minima, ranked};
use crate::mix::{Fragmenting, Stranding};
use crate::naive::Scene;
use crate::policy::{Path, Policy};
use crate::reason::{Reason, Refusals, told};
use crate::score::{
    Best, Cosine, Dot, First, L2, REFUSED, Score, Worst, evaluate, evaluate_block, least, refusal,
};
use crate::state::{LANES, Request, State};
use crate::sweep::{Ranges, Uses};
use model::id::NodeId;

/// What is kept between decisions to find the next one fast.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    journal: Journal,
    /// By shape; made at its first decision.
    minima: Vec<Option<Minima>>,
    /// By shape; made at its first decision.
    fitting: Vec<Option<Fitting>>,
    /// By shape; made at its first decision under Nova.
    ranges: Vec<Option<Ranges>>,
    /// By shape; made when its first reason is asked for.
    refusals: Vec<Option<Refusals>>,
    /// Made at the first decision under TOPSIS.
    uses: Option<Uses>,
    /// A bit for each node that groups leave to the request in hand.
    allowed: Vec<u64>,
}

impl Index {
    pub(crate) fn new(blocks: usize) -> Self {
        Self {
            journal: Journal::new(blocks),
            minima: Vec::new(),
            fitting: Vec::new(),
            ranges: Vec::new(),
            refusals: Vec::new(),
            uses: None,
            allowed: vec![!0; blocks],
        }
    }

    /// A node changed.
    pub(crate) fn note(&mut self, node: NodeId) {
        self.journal.note(node);
    }

    /// Keys have lost their meaning: the scores read something new.
    pub(crate) fn forget(&mut self) {
        self.minima.clear();
        self.fitting.clear();
        self.ranges.clear();
        self.refusals.clear();
    }

    /// The reason of a decision that was made just before, and is not taken yet.
    pub(crate) fn reason(
        &mut self,
        scene: Scene<'_>,
        policy: &Policy,
        chosen: NodeId,
        request: Request<'_>,
        among: Among<'_>,
    ) -> Reason {
        let state = scene.state;
        let nodes = state.grid.nodes.len();
        let refusals = entry(&mut self.refusals, request, || Refusals::new(nodes));
        refusals.refresh(
            state,
            &scene.shapes[request.shape.0 as usize],
            &self.journal,
        );
        let mut others = vec![!0; state.blocks.len()];
        write_allowed(scene, request, among, &mut others);
        let counts = refusals.count(scene, request, among, &others);
        let (fitting, refused) = told(&counts);
        others[chosen.index() / LANES] &= !(1 << (chosen.index() % LANES));
        let has_second = fitting > 1 && policy.entry().path == Path::Minima;
        let runner_up = has_second.then(|| {
            // Such policies draw no lots.
            let mut lots = Chance::new(0);
            self.decide_among(scene, policy, &mut lots, request, Some(&others))
        });
        Reason {
            policy: policy.name(),
            fitting,
            runner_up: runner_up.and_then(Result::ok),
            refused,
        }
    }

    /// The node that a policy takes.
    pub(crate) fn decide(
        &mut self,
        scene: Scene<'_>,
        policy: &Policy,
        chance: &mut Chance,
        request: Request<'_>,
    ) -> Result<NodeId, Filter> {
        self.decide_among(scene, policy, chance, request, None)
    }

    /// The node that a policy takes of those with a bit in `among`, where that is given.
    pub(crate) fn decide_among(
        &mut self,
        scene: Scene<'_>,
        policy: &Policy,
        chance: &mut Chance,
        request: Request<'_>,
        among: Among<'_>,
    ) -> Result<NodeId, Filter> {
        let Scene {
            state, shapes, mix, ..
        } = scene;
        match policy {
            Policy::FirstFit => self.least(scene, &First, request, among),
            Policy::BestFit => self.least(scene, &Best, request, among),
            Policy::WorstFit => self.least(scene, &Worst, request, among),
            Policy::DotProduct => self.least(scene, &Dot, request, among),
            Policy::L2 => self.least(scene, &L2, request, among),
            Policy::Cosine => self.least(scene, &Cosine, request, among),
            Policy::StrandedAware => self.least(scene, &Stranding { state, mix }, request, among),
            Policy::FragmentationGradient => {
                self.least(scene, &Fragmenting { state, mix }, request, among)
            }
            Policy::Chain(_) => self.least(scene, &scene.chained(), request, among),
            Policy::RandomFit => {
                let fits = self.fitting(scene, request, among)?;
                Ok(ranked(fits.words, chance.below(fits.total)))
            }
            Policy::BestOf { k } => {
                let shape = &shapes[request.shape.0 as usize];
                let fits = self.fitting(scene, request, among)?;
                let drawn = (0..*k).map(|_| ranked(fits.words, chance.below(fits.total)));
                let best = drawn.min_by_key(|node| (evaluate(&Best, state, shape, *node), *node));
                Ok(best.expect("at least one lot is drawn"))
            }
            Policy::Nova => {
                let blocks = state.blocks.len();
                let mut tables = std::mem::take(&mut self.ranges);
                let ranges = entry(&mut tables, request, || Ranges::new(blocks));
                let chosen = self.fitting(scene, request, among).map(|fits| {
                    ranges.refresh(state, fits.all, fits.journal);
                    ranges.best(state, fits.all, fits.words)
                });
                self.ranges = tables;
                Ok(chosen?.expect("some node fits"))
            }
            Policy::Topsis => {
                let shape = &shapes[request.shape.0 as usize];
                let uses = self.uses.take();
                let mut uses = uses.unwrap_or_else(|| Uses::new(state.blocks.len()));
                let chosen = self.fitting(scene, request, among).map(|fits| {
                    uses.refresh(state, fits.journal);
                    uses.best(state, shape, fits.words)
                });
                self.uses = Some(uses);
                Ok(chosen?.expect("some node fits"))
            }
        }
    }

    /// The node of the least key, by block minima.
    fn least<S: Score>(
        &mut self,
        scene: Scene<'_>,
        score: &S,
        request: Request<'_>,
        among: Among<'_>,
    ) -> Result<NodeId, Filter> {
        let state = scene.state;
        let shape = &scene.shapes[request.shape.0 as usize];
        let blocks = state.blocks.len();
        let minima = entry(&mut self.minima, request, || Minima::new(blocks));
        minima.refresh(score, state, shape, &self.journal);
        if among.is_none() && !scene.groups.bind(request.groups) {
            let (key, node) = minima.best(score, state, shape);
            return refusal(key).map_or(Ok(node), Err);
        }
        write_allowed(scene, request, among, &mut self.allowed);
        let (key, node) = minima.best_of(score, state, shape, &self.allowed);
        match refusal(key) {
            None => Ok(node),
            Some(_) => Err(refused_by(scene, request, among)),
        }
    }

    /// The nodes that fit; some do.
    fn fitting(
        &mut self,
        scene: Scene<'_>,
        request: Request<'_>,
        among: Among<'_>,
    ) -> Result<Fits<'_>, Filter> {
        let state = scene.state;
        let shape = &scene.shapes[request.shape.0 as usize];
        let blocks = state.blocks.len();
        let fitting = entry(&mut self.fitting, request, || Fitting::new(blocks));
        fitting.refresh(state, shape, &self.journal);
        let (all, journal) = (fitting.words(), &self.journal);
        if among.is_none() && !scene.groups.bind(request.groups) {
            return match fitting.total() {
                0 => Err(first_refusal(state, scene, request)),
                total => Ok(Fits {
                    words: all,
                    total,
                    all,
                    journal,
                }),
            };
        }
        write_allowed(scene, request, among, &mut self.allowed);
        for (allowed, fits) in self.allowed.iter_mut().zip(all) {
            *allowed &= fits;
        }
        match self.allowed.iter().map(|word| word.count_ones()).sum() {
            0 => Err(refused_by(scene, request, among)),
            total => Ok(Fits {
                words: &self.allowed,
                total,
                all,
                journal,
            }),
        }
    }
}

/// A bit for each node that may be taken, block by block; `None`: all may.
type Among<'a> = Option<&'a [u64]>;

/// The nodes that fit a request.
struct Fits<'a> {
    /// A bit each, block by block.
    words: &'a [u64],
    /// How many.
    total: u32,
    /// As `words`, but for groups.
    all: &'a [u64],
    /// What changed.
    journal: &'a Journal,
}

fn entry<'a, T>(
    tables: &'a mut Vec<Option<T>>,
    request: Request<'_>,
    make: impl FnOnce() -> T,
) -> &'a mut T {
    let shape = request.shape.0 as usize;
    if tables.len() <= shape {
        tables.resize_with(shape + 1, || None);
    }
    tables[shape].get_or_insert_with(make)
}

/// The filter after which no node was left, where groups do not matter.
fn first_refusal(state: &State, scene: Scene<'_>, request: Request<'_>) -> Filter {
    let shape = &scene.shapes[request.shape.0 as usize];
    let blocks = 0..state.blocks.len();
    let keys = blocks.map(|block| least(&evaluate_block(&First, state, shape, block)).0);
    let key = keys.min().unwrap_or(u64::MAX).max(REFUSED);
    refusal(key).unwrap_or(Filter::NodeState)
}

/// Writes a bit for each node that may be taken, as far as groups and `among` go.
fn write_allowed(scene: Scene<'_>, request: Request<'_>, among: Among<'_>, allowed: &mut [u64]) {
    scene.groups.write_allowed(request.groups, allowed);
    for (allowed, among) in allowed.iter_mut().zip(among.unwrap_or_default()) {
        *allowed &= among;
    }
}

/// The filter after which no node was left, node by node.
fn refused_by(scene: Scene<'_>, request: Request<'_>, among: Among<'_>) -> Filter {
    if among.is_some() {
        // Nobody is told which it was.
        return Filter::NodeState;
    }
    let refused = scene.fitting(request);
    refused.expect_err("the index found no node that fits")
}
