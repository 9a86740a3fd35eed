//! Operations that the agent begins by itself: their ids are kept apart from the controller's.

use crate::ledger::Ledger;
use model::id::{OperationId, VmId};
use model::order::{Order, Shutdown, Verb};
use model::time::Time;

/// The first id of the agent's own operations.
const FIRST: u64 = 1 << 63;

/// Whether an operation is the agent's own.
pub fn is_own(operation: OperationId) -> bool {
    operation.0 >= FIRST
}

/// The agent's own order to stop a highly available VM now that its lease has lapsed.
pub fn stop(ledger: &Ledger, node: model::id::NodeId, vm: VmId) -> Order {
    let ids = ledger.past.keys().chain(ledger.open.keys());
    let last = ids.copied().filter(|id| is_own(*id)).max();
    Order {
        operation: last.map_or(OperationId(FIRST), |id| OperationId(id.0.saturating_add(1))),
        generation: ledger.newest,
        node,
        vm,
        verb: Verb::Stop {
            shutdown: Shutdown::Forced,
        },
        deadline: Time::NEVER,
    }
}
