//! Why a decision fell as it did: which nodes were refused by which filter, and the scores of the rest.

use crate::filter::Filter;
use crate::naive::Scene;
use crate::placer::Placer;
use crate::scoretable;
use crate::state::{Request, SHARE, WHOLE};
use model::grid::NodeState;
use model::id::NodeId;
use model::units::Resources;
use model::vm::{AcceleratorAmount, Affinity, Demand, GroupRule, VmSpec};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// Rows of each table that [`Explanation`]'s `Display` writes.
pub const ROWS_SHOWN: usize = 12;

/// A decision taken apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The policy's name.
    pub policy: String,
    /// What the VM asks, where that is the same on every node.
    pub asked: Option<Resources>,
    /// Filters that refused nodes, in their order.
    pub refused: Vec<RefusedBy>,
    /// Heads of the columns of [`ScoreRow::values`]; each says which end is better.
    pub columns: Vec<String>,
    /// The nodes that fit, the best first.
    pub scores: Vec<ScoreRow>,
    /// How many nodes fit, also where fewer rows are kept.
    pub fitting: usize,
    /// The node that the policy takes.
    pub chosen: Option<Chosen>,
    /// What the user can do where none fits.
    pub hint: Option<String>,
}

/// The node taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chosen {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Device and thousandths of each accelerator that the VM gets.
    pub devices: Vec<(u8, u16)>,
}

/// The nodes that a filter refused, having passed all filters before it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RefusedBy {
    /// The filter.
    pub filter: Filter,
    /// How many nodes it refused, also where fewer are kept.
    pub count: usize,
    /// Those nodes, by id.
    pub nodes: Vec<RefusedNode>,
}

/// One node refused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RefusedNode {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// What the VM asks of it.
    pub asked: Value,
    /// What it has.
    pub found: Value,
}

/// What was asked or found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// In the filter's unit.
    Amount(u32),
    /// Words of the grid.
    Words(Arc<str>),
}

/// One node that fits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreRow {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// By column.
    pub values: Vec<f64>,
}

impl Placer {
    /// Takes the decision for a request apart, without taking it: every node is looked at.
    ///
    /// Policies that draw lots draw the ones that the next [`Placer::decide`] will draw.
    pub fn explain(&self, request: Request<'_>) -> Explanation {
        self.explain_within(request, usize::MAX)
    }

    /// As [`Self::explain`], keeping at most so many nodes of each filter and of the scores: what is
    /// kept for long, of many VMs on many nodes, need not name them all.
    pub fn explain_within(&self, request: Request<'_>, rows: usize) -> Explanation {
        let scene = self.scene();
        let spec = self.spec(request.shape);
        let mut refused: Vec<(usize, Vec<NodeId>)> = vec![(0, Vec::new()); Filter::ALL.len()];
        let mut fitting = Vec::new();
        for node in self.grid().node_ids() {
            match scene.refusal(request, node) {
                None => fitting.push(node),
                Some(filter) => {
                    let (count, nodes) = &mut refused[filter.order()];
                    *count += 1;
                    if nodes.len() < rows {
                        nodes.push(node);
                    }
                }
            }
        }
        let refused = Filter::ALL.into_iter().zip(refused);
        let refused = refused.filter(|(_, (count, _))| *count > 0);
        let refused: Vec<RefusedBy> = refused
            .map(|(filter, (count, nodes))| RefusedBy {
                filter,
                count,
                nodes: nodes
                    .into_iter()
                    .map(|node| self.refused_node(request, filter, node))
                    .collect(),
            })
            .collect();
        let last = refused.last().map(|by| by.filter);
        let hint = last.filter(|_| fitting.is_empty());
        let hint = hint.map(|filter| self.hint(scene, request, filter));
        let (columns, scores) = scoretable::table(scene, self.policy(), request, &fitting);
        let row = |(node, values): (NodeId, Vec<f64>)| ScoreRow {
            node,
            name: self.name(node),
            values,
        };
        Explanation {
            policy: self.policy().name(),
            asked: match &spec.demand {
                Demand::ShareOfModel(_) => None,
                Demand::Fixed(_) => self
                    .grid()
                    .node_ids()
                    .next()
                    .map(|n| self.demand(request.shape, n)),
            },
            refused,
            columns,
            scores: scores.into_iter().take(rows).map(row).collect(),
            fitting: fitting.len(),
            chosen: self.would_choose(request).map(|decision| Chosen {
                node: decision.node,
                name: self.name(decision.node),
                devices: decision.devices,
            }),
            hint,
        }
    }

    fn name(&self, node: NodeId) -> String {
        self.grid().nodes[node.index()].name.clone()
    }

    fn refused_node(&self, request: Request<'_>, filter: Filter, node: NodeId) -> RefusedNode {
        let (asked, found) = match filter {
            Filter::Free(dimension) => (
                Value::Amount(self.demand(request.shape, node).in_dimension(dimension)),
                Value::Amount(self.free(node).in_dimension(dimension)),
            ),
            Filter::AcceleratorDevice => self.device_values(request, node),
            Filter::Affinity | Filter::AntiAffinity => self.group_values(request, filter, node),
            _ => self.static_values(self.spec(request.shape), filter, node),
        };
        RefusedNode {
            node,
            name: self.name(node),
            asked,
            found,
        }
    }

    /// What is asked of single devices, and the most that is free.
    fn device_values(&self, request: Request<'_>, node: NodeId) -> (Value, Value) {
        let ask = &self.shapes[request.shape.0 as usize].asks[self.state.kind(node)];
        let (block, lane) = self.state.block(node);
        let column = match ask.accelerators {
            Some(AcceleratorAmount::Devices(_)) => WHOLE,
            _ => SHARE,
        };
        (
            Value::Amount(ask.demand[column]),
            Value::Amount(block.free[column][lane]),
        )
    }

    fn group_values(&self, request: Request<'_>, filter: Filter, node: NodeId) -> (Value, Value) {
        let grid = self.grid();
        let kind = match filter {
            Filter::Affinity => Affinity::Together,
            _ => Affinity::Apart,
        };
        let rules = request.groups.iter().map(|group| self.groups.rule(*group));
        let wished = |rule: &GroupRule| format!("{} by {}", rule.kind, rule.scope);
        let rules = rules.filter(|rule| rule.kind == kind);
        let wished: Vec<String> = rules.map(|rule| wished(&rule)).collect();
        let rack = &grid.racks[grid.nodes[node.index()].rack.index()].name;
        let site = &grid.sites[grid.site_of(node).index()].name;
        (
            words(wished.iter()),
            Value::Words(format!("rack {rack}, site {site}").into()),
        )
    }

    /// What a filter that never changes compared.
    fn static_values(&self, spec: &VmSpec, filter: Filter, node: NodeId) -> (Value, Value) {
        let grid = self.grid();
        let (class, hypervisor) = (grid.class_of(node), grid.hypervisor_of(node));
        let models = match &spec.demand {
            Demand::Fixed(_) => words::<String>([].iter()),
            Demand::ShareOfModel(models) => words(models.keys()),
        };
        match filter {
            Filter::NodeState => (word(NodeState::Up), word(self.state(node))),
            Filter::Model => (models, word(&class.model)),
            Filter::Arch => (words(spec.arch.iter()), word(class.arch)),
            Filter::Guest => (word(spec.guest), words(hypervisor.guests.iter())),
            Filter::Virtualisation => (
                words(spec.virtualisation.iter()),
                words(hypervisor.virtualisation.iter()),
            ),
            Filter::Capability => (
                words(spec.capabilities.iter()),
                words(hypervisor.capabilities.iter()),
            ),
            Filter::Licence => (words(spec.licences.iter()), words(class.licences.iter())),
            Filter::Site => (
                words(spec.sites.iter()),
                word(&grid.sites[grid.site_of(node).index()].name),
            ),
            Filter::Role => (words(spec.roles.iter()), words(class.roles.iter())),
            Filter::Label => {
                let label = |(key, value): (&String, &String)| format!("{key} = {value}");
                let asked: Vec<String> = spec.labels.iter().map(label).collect();
                let found: Vec<String> = class.labels.iter().map(label).collect();
                (words(asked.iter()), words(found.iter()))
            }
            Filter::Risk => (word(spec.risk), word(class.risk)),
            Filter::AcceleratorModel => {
                let asked = spec.accelerators.iter().flat_map(|ask| &ask.models);
                let found = class.accelerators.iter().map(|has| &has.model);
                (words(asked), words(found))
            }
            Filter::Affinity
            | Filter::AntiAffinity
            | Filter::Free(_)
            | Filter::AcceleratorDevice => unreachable!("these change, and are told elsewhere"),
        }
    }

    /// What the user can do where `filter` refused the last nodes.
    fn hint(&self, scene: Scene<'_>, request: Request<'_>, filter: Filter) -> String {
        let nodes = self.grid().node_ids();
        let last: Vec<NodeId> = nodes
            .filter(|node| scene.refusal(request, *node) == Some(filter))
            .collect();
        let first = last
            .first()
            .map(|node| self.refused_node(request, filter, *node));
        let Some(first) = first else {
            return "the grid has no node".to_owned();
        };
        let Value::Amount(_) = first.found else {
            let RefusedNode { asked, found, .. } = &first;
            return format!(
                "{filter}: asked {asked}, and {} has {found}; {} nodes came this far",
                first.name,
                last.len()
            );
        };
        let all = last
            .iter()
            .map(|node| self.refused_node(request, filter, *node));
        // The first of the largest.
        let largest = all.reduce(|best, next| match (&best.found, &next.found) {
            (Value::Amount(most), Value::Amount(more)) if more > most => next,
            _ => best,
        });
        let largest = largest.unwrap_or(first);
        let RefusedNode { name, found, .. } = largest;
        match filter {
            Filter::Free(dimension) => format!(
                "the largest node, {name}, has {found} {} free",
                dimension.unit()
            ),
            _ => format!("the roomiest node, {name}, has {found} free on single accelerators"),
        }
    }
}

fn word(word: impl fmt::Display) -> Value {
    Value::Words(word.to_string().into())
}

/// Words with commas between.
fn words<'a, T: fmt::Display + 'a>(words: impl Iterator<Item = &'a T>) -> Value {
    let words: Vec<String> = words.map(ToString::to_string).collect();
    if words.is_empty() {
        return Value::Words("none".into());
    }
    Value::Words(words.join(", ").into())
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amount(amount) => write!(f, "{amount}"),
            Self::Words(words) => f.write_str(words),
        }
    }
}

/// The unit of a filter's amounts; `None` of those that compare words.
fn unit(filter: Filter) -> Option<&'static str> {
    match filter {
        Filter::Free(dimension) => Some(dimension.unit()),
        Filter::AcceleratorDevice => Some("on single accelerators"),
        _ => None,
    }
}

impl fmt::Display for Explanation {
    /// Text tables: filters with some of their nodes, then the best scores.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.chosen {
            Some(chosen) => write!(f, "{} takes {}", self.policy, chosen.name)?,
            None => write!(f, "no node fits")?,
        }
        match self.asked {
            Some(asked) => writeln!(f, " for {asked}")?,
            None => writeln!(f)?,
        }
        for by in &self.refused {
            let (key, count) = (by.filter.key(), by.count);
            let nodes = if count == 1 { "node" } else { "nodes" };
            writeln!(f, "refused by {key}: {count} {nodes} ({})", by.filter)?;
            let shown = ROWS_SHOWN.min(by.nodes.len());
            for node in &by.nodes[..shown] {
                let (asked, found) = (&node.asked, &node.found);
                write!(f, "  {}: asked {asked}, has {found}", node.name)?;
                match unit(by.filter) {
                    Some(unit) => writeln!(f, " {unit}")?,
                    None => writeln!(f)?,
                }
            }
            if by.count > shown {
                writeln!(f, "  … {} more", by.count - shown)?;
            }
        }
        self.write_scores(f)?;
        match &self.hint {
            Some(hint) => writeln!(f, "hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Explanation {
    fn write_scores(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scores.is_empty() {
            return Ok(());
        }
        let shown = &self.scores[..self.scores.len().min(ROWS_SHOWN)];
        let names = shown.iter().map(|row| row.name.chars().count());
        let first = names.max().unwrap_or(0).max("node".len());
        write!(f, "{:first$}", "node")?;
        for column in &self.columns {
            write!(f, "  {column}")?;
        }
        writeln!(f)?;
        for row in shown {
            write!(f, "{:first$}", row.name)?;
            for (column, value) in self.columns.iter().zip(&row.values) {
                let width = column.chars().count();
                write!(f, "  {value:>width$.4}")?;
            }
            writeln!(f)?;
        }
        if self.fitting > shown.len() {
            writeln!(f, "… {} more", self.fitting - shown.len())?;
        }
        Ok(())
    }
}
