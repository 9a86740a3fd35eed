//! The score table of an explanation: what each policy made of each node that fits.

use crate::mix::{Fragmenting, MIX_PARTS, Stranding};
use crate::naive::Scene;
use crate::nova::{NOVA_COLUMNS, nova_weights};
use crate::policy::Policy;
use crate::score::{Best, Cosine, Dot, L2, Score, Spot, Worst};
use crate::shape::{Ask, Shape};
use crate::state::{Request, State};
use crate::topsis;
use model::id::NodeId;
use model::units::{DIMENSIONS, Dimension};

/// A node and its values by column.
type Row = (NodeId, Vec<f64>);

/// The heads of the columns, and a row for each of the nodes, best first.
pub(crate) fn table(
    scene: Scene<'_>,
    policy: &Policy,
    request: Request<'_>,
    nodes: &[NodeId],
) -> (Vec<String>, Vec<Row>) {
    let Scene {
        state, shapes, mix, ..
    } = scene;
    let shape = &shapes[request.shape.0 as usize];
    let plain = |f: &dyn Fn(NodeId) -> Vec<f64>| -> Vec<Row> {
        nodes.iter().map(|node| (*node, f(*node))).collect()
    };
    match policy {
        Policy::FirstFit => (
            heads(&["place, low"]),
            plain(&|node| vec![f64::from(node.0)]),
        ),
        Policy::RandomFit => {
            let chance = 1.0 / nodes.len() as f64;
            (heads(&["chance"]), plain(&|_| vec![chance]))
        }
        Policy::BestFit | Policy::BestOf { .. } => {
            let rows = rows_by(scene, shape, nodes, &Best, |spot| {
                left(state, shape, spot.node)
            });
            (left_heads(state, "low"), rows)
        }
        Policy::WorstFit => {
            let rows = rows_by(scene, shape, nodes, &Worst, |spot| {
                left(state, shape, spot.node)
            });
            (left_heads(state, "high"), rows)
        }
        Policy::DotProduct => terms(scene, shape, nodes, &Dot, "high", |ask, free, d| {
            ask.share[d] * (free * ask.inverse[d])
        }),
        Policy::L2 => terms(scene, shape, nodes, &L2, "low", |ask, free, d| {
            (free * ask.inverse[d] - ask.share[d]).powi(2)
        }),
        Policy::Cosine => terms(
            scene,
            shape,
            nodes,
            &Cosine,
            "near equal",
            |ask, free, d| {
                let has = f64::from(u8::from(ask.inverse[d] > 0.0));
                has - free * ask.inverse[d] + ask.share[d]
            },
        ),
        Policy::StrandedAware => {
            let score = Stranding { state, mix };
            let rows = rows_by(scene, shape, nodes, &score, |spot| {
                let (growth, left) = score.parts(spot);
                vec![share_of_nodes(growth), share_of_nodes(left)]
            });
            (heads(&["stranded growth, low", "left, low"]), rows)
        }
        Policy::FragmentationGradient => {
            let score = Fragmenting { state, mix };
            let rows = rows_by(scene, shape, nodes, &score, |spot| {
                let (fragments, stranded) = score.parts(spot);
                let milli = fragments as f64 / f64::from(MIX_PARTS);
                vec![milli, share_of_nodes(stranded)]
            });
            (
                heads(&["fragment growth milli, low", "stranded growth, low"]),
                rows,
            )
        }
        Policy::Nova => {
            let weights = nova_weights(state, nodes);
            let rows = nodes.iter().copied().zip(weights);
            let rows = rows.map(|(node, weights)| (node, with_sum(weights.to_vec())));
            let columns = NOVA_COLUMNS.iter().copied().chain(["sum, high"]);
            (
                columns.map(str::to_owned).collect(),
                by_last(rows.collect()),
            )
        }
        Policy::Topsis => {
            let rated = nodes.iter().zip(topsis::rate(state, shape, nodes));
            let mut rated: Vec<_> = rated.collect();
            // By what the policy compares: rounding may make the closeness of unlike nodes equal.
            rated.sort_by(|(a, (_, x)), (b, (_, y))| x.total_cmp(y).then(a.cmp(b)));
            let rows = rated.into_iter().map(|(node, (criteria, remoteness))| {
                let closeness = topsis::closeness(remoteness);
                (*node, criteria.into_iter().chain([closeness]).collect())
            });
            let columns = topsis::COLUMNS.iter().copied().chain(["closeness, high"]);
            (columns.map(str::to_owned).collect(), rows.collect())
        }
        Policy::Chain(chain) => {
            let chained = scene.chained();
            let rows = rows_by(scene, shape, nodes, &chained, |spot| {
                let facts = spot.ask.facts.as_ref().expect("the node fits");
                let values = chained.chain.values(facts, &state.facts(spot.node));
                values.into_iter().map(|rule| rule.value).collect()
            });
            (chain.columns(), rows)
        }
    }
}

fn heads(heads: &[&str]) -> Vec<String> {
    heads.iter().map(|head| (*head).to_owned()).collect()
}

/// Rows by their last column, highest first, then by node.
fn by_last(mut rows: Vec<Row>) -> Vec<Row> {
    let last = |row: &Row| row.1.last().copied().unwrap_or(0.0);
    rows.sort_by(|a, b| last(b).total_cmp(&last(a)).then(a.0.cmp(&b.0)));
    rows
}

fn with_sum(mut values: Vec<f64>) -> Vec<f64> {
    values.push(values.iter().sum());
    values
}

/// Dimensions that any node has.
fn dimensions(state: &State) -> impl Iterator<Item = usize> {
    let scale = state.scale;
    (0..DIMENSIONS).filter(move |d| scale[*d] > 0)
}

fn left_heads(state: &State, better: &str) -> Vec<String> {
    let left = dimensions(state).map(|d| format!("{} left", Dimension::ALL[d]));
    left.chain([format!("sum, {better}")]).collect()
}

/// What is left by dimension, as shares of the largest node.
fn left(state: &State, shape: &Shape, node: NodeId) -> Vec<f64> {
    let demand = shape.asks[state.kind(node)].demand;
    let (free, largest) = (state.free(node).to_array(), state.largest.to_array());
    let left = dimensions(state).map(|d| f64::from(free[d] - demand[d]) / f64::from(largest[d]));
    with_sum(left.collect())
}

fn share_of_nodes(amount: i64) -> f64 {
    amount as f64 / crate::mix::node_parts()
}

/// One column a dimension, then the score as the policy reckons it.
fn terms(
    scene: Scene<'_>,
    shape: &Shape,
    nodes: &[NodeId],
    score: &impl Score,
    better: &str,
    term: impl Fn(&Ask, f64, usize) -> f64,
) -> (Vec<String>, Vec<Row>) {
    let state = scene.state;
    let rows = rows_by(scene, shape, nodes, score, |spot| {
        let free = state.free(spot.node).to_array();
        let values = dimensions(state).map(|d| term(spot.ask, f64::from(free[d]), d));
        values.collect()
    });
    let columns = dimensions(state).map(|d| format!("{}, {better}", Dimension::ALL[d]));
    (columns.collect(), rows)
}

/// Rows in the order of a score's keys.
fn rows_by(
    scene: Scene<'_>,
    shape: &Shape,
    nodes: &[NodeId],
    score: &impl Score,
    values: impl Fn(Spot<'_>) -> Vec<f64>,
) -> Vec<Row> {
    let spot = |node: NodeId| {
        let (block, lane) = scene.state.block(node);
        let ask = &shape.asks[scene.state.kind(node)];
        Spot {
            node,
            block,
            lane,
            ask,
        }
    };
    let mut keyed: Vec<(u64, NodeId)> = nodes
        .iter()
        .map(|node| (score.key(shape, spot(*node)), *node))
        .collect();
    keyed.sort_unstable();
    let rows = keyed
        .into_iter()
        .map(|(_, node)| (node, values(spot(node))));
    rows.collect()
}
