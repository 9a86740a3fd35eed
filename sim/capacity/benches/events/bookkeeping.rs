//! The least that any simulator must do: who is where, what is free, and one index to find a node by.

use capacity::trace::Trace;
use model::grid::Grid;
use model::units::Resources;
use model::vm::Demand;
use std::collections::BTreeSet;

/// Cores and memory alone.
#[derive(Clone, Copy)]
struct Pair {
    cores: u32,
    mem_mib: u32,
}

/// Best fit by free cores over sets of nodes with equally many, on events sorted beforehand; no
/// figures, no filters, no policy. Returns the events handled.
pub fn replay(trace: &Trace, grid: &Grid) -> u64 {
    let mut free: Vec<Pair> = grid
        .node_ids()
        .map(|node| pair(grid.class_of(node).capacity))
        .collect();
    let most = free.iter().map(|node| node.cores).max().unwrap_or(0);
    let mut with_free = vec![BTreeSet::new(); most as usize + 1];
    for (node, has) in (0u32..).zip(&free) {
        with_free[has.cores as usize].insert(node);
    }
    let asks: Vec<Pair> = trace
        .shapes
        .iter()
        .map(|spec| pair(fixed(&spec.demand)))
        .collect();
    let mut places = vec![u32::MAX; trace.vms.len()];
    let mut events = 0;
    for (vm, came) in sorted_events(trace) {
        let asked = asks[trace.vms[vm as usize].shape as usize];
        let place = if came {
            let levels = with_free[asked.cores as usize..].iter();
            let mut nodes = levels.flatten().copied();
            let fits = |node: &u32| free[*node as usize].mem_mib >= asked.mem_mib;
            let node = nodes.find(fits).expect("the workload fits the grid");
            places[vm as usize] = node;
            node
        } else {
            places[vm as usize]
        };
        let has = &mut free[place as usize];
        with_free[has.cores as usize].remove(&place);
        if came {
            has.cores -= asked.cores;
            has.mem_mib -= asked.mem_mib;
        } else {
            has.cores += asked.cores;
            has.mem_mib += asked.mem_mib;
        }
        with_free[has.cores as usize].insert(place);
        events += 1;
    }
    events
}

/// Arrivals and departures up to the end of the trace: (VM, whether it comes), departures first.
fn sorted_events(trace: &Trace) -> Vec<(u32, bool)> {
    let mut events = Vec::with_capacity(trace.vms.len() * 2);
    for (vm, request) in (0u32..).zip(&trace.vms) {
        events.push((request.arrival, true, vm));
        let leaves = request.duration.map(|stay| request.arrival + stay);
        if let Some(leaves) = leaves.filter(|leaves| *leaves <= trace.end) {
            events.push((leaves, false, vm));
        }
    }
    events.sort_unstable();
    events.into_iter().map(|(_, came, vm)| (vm, came)).collect()
}

fn pair(resources: Resources) -> Pair {
    Pair {
        cores: resources.cpu_milli.0 / 1_000,
        mem_mib: resources.mem_mib.0,
    }
}

fn fixed(demand: &Demand) -> Resources {
    match demand {
        Demand::Fixed(resources) => *resources,
        Demand::ShareOfModel(_) => unreachable!("the workload asks for fixed amounts"),
    }
}
