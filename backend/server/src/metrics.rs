//! How the controller fares, in the text format of Prometheus.

use crate::agents::Agents;
use control::controller::Controller;
use model::grid::NodeState;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use strum::VariantArray;

/// What is counted from the start of the process on.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Orders sent, repeated ones counted again.
    pub orders: AtomicU64,
    steps: AtomicU64,
    step_micros: AtomicU64,
}

/// What is counted in the controller.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    nodes: Vec<(NodeState, usize)>,
    vms: usize,
    operations: usize,
    designs: usize,
}

impl Counts {
    /// Of a controller.
    pub fn of(controller: &Controller) -> Self {
        let ledger = controller.ledger();
        let nodes = &controller.view().nodes;
        let in_state = |state| nodes.iter().filter(|node| node.state == state).count();
        Self {
            nodes: NodeState::VARIANTS
                .iter()
                .map(|&state| (state, in_state(state)))
                .collect(),
            vms: ledger.vms.len(),
            operations: ledger.open.len(),
            designs: ledger.deployments.len(),
        }
    }
}

impl Metrics {
    /// The controller took so many messages in.
    pub fn stepped(&self, steps: u64, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.steps.fetch_add(steps, Ordering::Relaxed);
        self.step_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// All of it as text.
    pub fn written(&self, counts: &Counts, agents: &Agents) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, rows: &[(String, f64)]| {
            let head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
            text += &head;
            for (labels, value) in rows {
                writeln!(text, "{name}{labels} {value}").expect("a text takes all");
            }
        };
        let one = |value: f64| vec![(String::new(), value)];
        let count = |value: &AtomicU64| value.load(Ordering::Relaxed) as f64;
        let states: Vec<(String, f64)> = counts
            .nodes
            .iter()
            .map(|(state, count)| (format!("{{state=\"{state}\"}}"), *count as f64))
            .collect();
        family(
            "gridwright_nodes",
            "gauge",
            "Nodes by their states.",
            &states,
        );
        let agents = one(agents.count() as f64);
        family(
            "gridwright_agents",
            "gauge",
            "Agents that are connected.",
            &agents,
        );
        let vms = one(counts.vms as f64);
        family(
            "gridwright_vms",
            "gauge",
            "VMs, those being deleted included.",
            &vms,
        );
        let designs = one(counts.designs as f64);
        family("gridwright_designs", "gauge", "Deployed designs.", &designs);
        let open = one(counts.operations as f64);
        family(
            "gridwright_operations_open",
            "gauge",
            "Operations under way.",
            &open,
        );
        let orders = one(count(&self.orders));
        family(
            "gridwright_orders_total",
            "counter",
            "Orders sent to agents.",
            &orders,
        );
        let steps = one(count(&self.steps));
        family(
            "gridwright_steps_total",
            "counter",
            "Messages that were taken in.",
            &steps,
        );
        let seconds = one(count(&self.step_micros) / 1e6);
        let help = "Time that the controller took over them.";
        family("gridwright_step_seconds_total", "counter", help, &seconds);
        text
    }
}
