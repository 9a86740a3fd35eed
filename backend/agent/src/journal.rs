//! What an agent writes down before it acts, so that another that reads it can go on.

use crate::driver::NativeCall;
use crate::lending::Volume;
use crate::settings::Lease;
use crate::step::{Gained, Planned};
use crate::steps::Record;
use model::id::{Generation, KeyId, OperationId, VmId};
use model::order::Order;
use model::report::{Outcome, VmState};
use serde::{Deserialize, Serialize};

/// One line of the journal. Keys are named by id only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
    /// An order was taken and will end.
    Accepted {
        /// The order.
        order: Box<Order>,
        /// Keys that came beside it.
        keys: Vec<KeyId>,
    },
    /// An order's turn has come; this is all that it will do.
    Planned {
        /// Its operation.
        operation: OperationId,
        /// Its steps.
        steps: Vec<Planned>,
    },
    /// The next step is about to be begun.
    Begun {
        /// Its operation.
        operation: OperationId,
        /// Its place in the list, from 0.
        step: u32,
    },
    /// The step that was begun has succeeded.
    Ended {
        /// Its operation.
        operation: OperationId,
        /// Its place in the list.
        step: u32,
        /// What came of it.
        gained: Gained,
    },
    /// Somebody wants the operation to end early.
    CalledOff {
        /// Which.
        operation: OperationId,
    },
    /// From here the operation undoes what it has done.
    TurnedBack {
        /// Which.
        operation: OperationId,
        /// How it will end.
        outcome: Outcome,
        /// The steps back.
        steps: Vec<Planned>,
    },
    /// An operation has ended.
    Finished {
        /// Which.
        operation: OperationId,
        /// How: [`Outcome::Done`], [`Outcome::Failed`] or [`Outcome::Cancelled`].
        outcome: Outcome,
    },
    /// The node may run highly available VMs until then. By the clock of one boot, as the wall's may
    /// be set back between two agents: that would lengthen the lease.
    Leased {
        /// When it lapses.
        lease: Lease,
    },
    /// A VM was seen to run, or not to, that was last heard of otherwise.
    Saw {
        /// Which.
        vm: VmId,
        /// Its state.
        state: VmState,
    },
    /// A call to the hypervisor was about to be made; for people, nothing follows from it.
    Called {
        /// By which operation.
        operation: OperationId,
        /// The call.
        call: NativeCall,
    },
    /// In place of older lines: a VM as they left it.
    Kept {
        /// Which.
        vm: VmId,
        /// All of it.
        record: Box<Record>,
    },
    /// In place of older lines: the volumes that are lent to a VM.
    Lent {
        /// Which.
        vm: VmId,
        /// They.
        volumes: Vec<Volume>,
    },
    /// In place of older lines: how an operation has ended.
    Past {
        /// Which.
        operation: OperationId,
        /// The generation of its order.
        generation: Generation,
        /// How.
        outcome: Outcome,
        /// Where the volume is served that it has lent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serving: Option<String>,
    },
    /// In place of older lines: the newest generation.
    Newest {
        /// Of all orders.
        generation: Generation,
    },
}
