//! A chain made ready for one grid: facts in, one key out.

use super::term::{LocalTerm, Measured, Over, Term, measure};
use super::{Rule, RuleChain, pack};
use crate::facts::{NodeFacts, ShapeFacts};
use model::grid::Grid;

/// A chain for one grid; allocates nothing while it decides.
///
/// The key reads the facts alone, so a fast index may keep it until one of them changes.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledChain {
    steps: Box<[Step]>,
}

/// What one rule made of one pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleValue {
    /// The measure, in the term's unit.
    pub value: f64,
    /// Its bucket, from 0 at the low end.
    pub bucket: u32,
    /// The bucket turned so that lower is better: what the key is packed from.
    pub rank: u32,
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    /// Keeps the buckets and the preferred end.
    rule: Rule,
    reads: Reads,
    bits: u32,
}

#[derive(Clone, Debug, PartialEq)]
enum Reads {
    Facts(LocalTerm),
    /// The place of each site of the grid in the user's list.
    Sites(Box<[u32]>),
}

impl RuleChain {
    /// The chain for a grid. A site that the grid has not is no node's, so it changes nothing.
    pub fn compile(&self, grid: &Grid) -> CompiledChain {
        let steps = self.rules().iter().map(|rule| Step {
            reads: reads(&rule.term, grid),
            bits: rule.buckets.bits(),
            rule: rule.clone(),
        });
        CompiledChain {
            steps: steps.collect(),
        }
    }

    /// The heads of the score table's columns, one a rule, with the unit where there is one:
    /// `leftover mem (mem_mib), low`.
    pub fn columns(&self) -> Vec<String> {
        let head = |rule: &Rule| match rule.term.unit() {
            Some(unit) => format!("{} ({unit}), {}", rule.term, rule.prefer),
            None => format!("{}, {}", rule.term, rule.prefer),
        };
        self.rules().iter().map(head).collect()
    }
}

impl CompiledChain {
    /// The key of a node for a shape: the lowest is best.
    pub fn key(&self, shape: &ShapeFacts, node: &NodeFacts) -> u64 {
        let field = |step: &Step| (step.bits, step.rule.rank(step.measure(shape, node)));
        pack(self.steps.iter().map(field))
    }

    /// What each rule made of a pair, in the order of the rules.
    pub fn values(&self, shape: &ShapeFacts, node: &NodeFacts) -> Vec<RuleValue> {
        let value = |step: &Step| {
            let measured = step.measure(shape, node);
            RuleValue {
                value: measured.value(),
                bucket: step.rule.buckets.of(measured),
                rank: step.rule.rank(measured),
            }
        };
        self.steps.iter().map(value).collect()
    }
}

impl Step {
    fn measure(&self, shape: &ShapeFacts, node: &NodeFacts) -> Measured {
        match &self.reads {
            Reads::Facts(term) => measure(*term, shape, node),
            Reads::Sites(places) => Measured::Units(u64::from(places[node.site.index()])),
        }
    }
}

fn reads(term: &Term, grid: &Grid) -> Reads {
    Reads::Facts(match term {
        Term::Site(liked) => {
            let place = |name: &String| {
                let found = liked.iter().position(|site| site == name);
                found.unwrap_or(liked.len()) as u32
            };
            return Reads::Sites(grid.sites.iter().map(|site| place(&site.name)).collect());
        }
        Term::Leftover(Over::One(dimension)) => LocalTerm::Leftover(*dimension),
        Term::Leftover(Over::All) => LocalTerm::LeftoverAll,
        Term::Fullness(Over::One(dimension)) => LocalTerm::Fullness(*dimension),
        Term::Fullness(Over::All) => LocalTerm::FullnessAll,
        Term::Fullest => LocalTerm::Fullest,
        Term::Efficiency => LocalTerm::Efficiency,
        Term::LicenceCost => LocalTerm::LicenceCost,
        Term::UnusedLicences => LocalTerm::UnusedLicences,
        Term::NodeCost => LocalTerm::NodeCost,
        Term::TenantRiskGap => LocalTerm::TenantRiskGap,
        Term::TenantRiskMix => LocalTerm::TenantRiskMix,
        Term::ExpectedLoad => LocalTerm::ExpectedLoad,
        Term::Vms => LocalTerm::Vms,
        Term::EmptyNode => LocalTerm::EmptyNode,
        Term::DotProduct => LocalTerm::DotProduct,
        Term::Cosine => LocalTerm::Cosine,
        Term::L2 => LocalTerm::L2,
        Term::Stranded => LocalTerm::Stranded,
    })
}
