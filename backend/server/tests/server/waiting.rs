//! Waiting for what a grid comes to.

use client::call::Client;
use control::shown::{NodeShown, OperationShown, VmShown};
use model::grid::NodeState;
use model::id::OperationId;
use model::report::VmState;
use std::thread;
use std::time::{Duration, Instant};

/// Emulated guests are built and booted beside all other tests, on two cores.
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until something is there.
pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Waits for all nodes to be reached.
pub fn all_reached(client: &mut Client, nodes: usize) {
    until("the agents to call", || {
        let shown: Vec<NodeShown> = client.get("/v1/nodes").ok()?;
        let reached = shown.iter().filter(|node| node.state == NodeState::Up);
        (reached.count() == nodes).then_some(())
    });
}

/// Waits for an operation's end.
pub fn ended(client: &mut Client, id: OperationId) -> OperationShown {
    until("the operation to end", || {
        let path = format!("/v1/operations/{}", id.0);
        let shown: OperationShown = client.get(&path).ok()?;
        shown.state.is_over().then_some(shown)
    })
}

/// VMs in a state.
pub fn in_state(client: &mut Client, state: VmState) -> Vec<VmShown> {
    let all: Vec<VmShown> = client.get("/v1/vms").unwrap_or_default();
    let all = all.into_iter();
    all.filter(|vm| vm.state == Some(state)).collect()
}
