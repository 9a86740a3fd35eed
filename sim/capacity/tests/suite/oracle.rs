//! The oracle of the figures: the state of the grid in each millisecond, from the log alone.

use crate::property::{Scene, demand, end_of};
use capacity::outcome::{Fate, Outcome};
use model::id::NodeId;
use model::units::DIMENSIONS;
use proptest::prelude::*;

/// The state of the grid in each millisecond.
pub struct Slow<'a> {
    scene: &'a Scene,
    /// By millisecond: who is on each node.
    pub places: Vec<Vec<Vec<usize>>>,
}

impl<'a> Slow<'a> {
    pub fn new(scene: &'a Scene, outcome: &Outcome) -> Self {
        let end = end_of(&scene.trace).0;
        let mut now = vec![Vec::new(); scene.grid.nodes.len()];
        let mut log = outcome.log.iter().peekable();
        let mut places = Vec::new();
        for millis in 0..end {
            while let Some(entry) = log.next_if(|entry| entry.at.0 <= millis) {
                match entry.fate {
                    Fate::Placed(NodeId(node)) => now[node as usize].push(entry.vm as usize),
                    Fate::Released(NodeId(node)) => {
                        now[node as usize].retain(|&vm| vm != entry.vm as usize);
                    }
                    Fate::Refused(_) | Fate::Queued | Fate::GaveUp => {}
                }
            }
            places.push(now.clone());
        }
        Self { scene, places }
    }

    pub fn check(&self, outcome: &Outcome) -> Result<(), TestCaseError> {
        let summary = &outcome.summary;
        let whole = 0..self.places.len();
        let mean = |part: &dyn Fn(&[Vec<usize>]) -> f64, millis: std::ops::Range<usize>| {
            let length = millis.len() as f64;
            self.places[millis].iter().map(|now| part(now)).sum::<f64>() / length
        };
        let empty = |now: &[Vec<usize>]| now.iter().filter(|vms| vms.is_empty()).count() as f64;
        let nodes = self.scene.grid.nodes.len() as f64;
        close(summary.empty_nodes, mean(&empty, whole.clone()) / nodes)?;
        for d in 0..DIMENSIONS {
            let capacity: f64 = self
                .scene
                .grid
                .node_ids()
                .map(|node| self.has(node, d))
                .sum();
            let allocated = |now: &[Vec<usize>]| self.each(now, |node, _| self.used(now, node, d));
            let open = |now: &[Vec<usize>]| {
                self.each(
                    now,
                    |node, vms| if vms == 0 { 0.0 } else { self.has(node, d) },
                )
            };
            let stranded = |now: &[Vec<usize>]| {
                self.each(now, |node, _| {
                    (self.has(node, d) - self.used(now, node, d)) * self.unfit(now, node)
                })
            };
            let (all, open) = (mean(&allocated, whole.clone()), mean(&open, whole.clone()));
            close(summary.allocated[d], part(all, capacity))?;
            close(summary.density[d], part(all, open))?;
            close(
                summary.stranded[d],
                part(mean(&stranded, whole.clone()), capacity),
            )?;
            let starts = outcome.series.start.iter().map(|at| at.0 as usize);
            let ends = starts.clone().skip(1).chain([whole.end]);
            for (bin, bounds) in starts.zip(ends).enumerate() {
                let millis = bounds.0..bounds.1;
                let series = &outcome.series;
                close(
                    series.allocated[bin][d],
                    part(mean(&allocated, millis.clone()), capacity),
                )?;
                close(
                    series.stranded[bin][d],
                    part(mean(&stranded, millis.clone()), capacity),
                )?;
                close(series.empty_nodes[bin], mean(&empty, millis) / nodes)?;
            }
            for node in self.scene.grid.node_ids() {
                let used = |now: &[Vec<usize>]| self.used(now, node, d);
                let found = &outcome.nodes[node.index()];
                close(
                    found.allocated[d],
                    part(mean(&used, whole.clone()), self.has(node, d)),
                )?;
            }
        }
        Ok(())
    }

    fn each(&self, now: &[Vec<usize>], part: impl Fn(NodeId, usize) -> f64) -> f64 {
        let nodes = self.scene.grid.node_ids();
        nodes.map(|node| part(node, now[node.index()].len())).sum()
    }

    fn has(&self, node: NodeId, d: usize) -> f64 {
        f64::from(self.scene.grid.class_of(node).capacity.to_array()[d])
    }

    fn used(&self, now: &[Vec<usize>], node: NodeId, d: usize) -> f64 {
        let asked = |&vm: &usize| f64::from(demand(&self.scene.trace, vm).to_array()[d]);
        now[node.index()].iter().map(asked).sum()
    }

    /// The share of the trace's VMs whose shape has no room on a node.
    fn unfit(&self, now: &[Vec<usize>], node: NodeId) -> f64 {
        let trace = &self.scene.trace;
        let fits = |vm: &usize| {
            let asked = demand(trace, *vm).to_array();
            let free = |d: usize| self.has(node, d) - self.used(now, node, d);
            (0..DIMENSIONS).all(|d| f64::from(asked[d]) <= free(d))
        };
        let vms = 0..trace.vms.len();
        let unfit = vms.clone().filter(|vm| !fits(vm)).count();
        unfit as f64 / vms.len().max(1) as f64
    }
}

fn part(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

/// The oracle adds floats up; the product divides once.
fn close(found: f64, expected: f64) -> Result<(), TestCaseError> {
    prop_assert!(
        (found - expected).abs() < 1e-12,
        "found {}, expected {}",
        found,
        expected
    );
    Ok(())
}
