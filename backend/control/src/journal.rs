//! What a controller writes down before it acts, so that another that reads it can go on.

use crate::backend::Refused;
use crate::operation::{Task, TaskState};
use crate::record::{Deployment, VmRecord};
use model::grid::NodeState;
use model::id::{Generation, NodeId, OperationId, VmId};
use model::order::Verb;
use model::report::Outcome;
use model::time::Time;
use model::units::Resources;
use placement::reason::Reason;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;

/// One line of the journal. Keys are named by id only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
    /// A command was taken; the operation will end.
    Accepted {
        /// Its id, chosen by whoever asked.
        operation: OperationId,
        /// What was asked, in words.
        what: String,
        /// When.
        at: Time,
        /// When it has to have ended.
        deadline: Time,
        /// Its orders.
        tasks: Vec<Task>,
        /// What the grid is from now on.
        changes: Vec<Change>,
    },
    /// A command was not taken.
    Refused {
        /// Its id.
        operation: OperationId,
        /// Why.
        why: Refused,
    },
    /// An order is about to be sent.
    Ordered {
        /// Its operation.
        operation: OperationId,
        /// Its place among the tasks.
        task: u32,
        /// To which node: where the VM is by now.
        node: NodeId,
        /// Its own id.
        order: OperationId,
        /// The grid's generation that it is of.
        generation: Generation,
        /// What it says.
        verb: Box<Verb>,
    },
    /// A piece of a VM's remote disk is served.
    Lent {
        /// The VM.
        vm: VmId,
        /// Which piece.
        piece: u32,
        /// Where.
        address: SocketAddr,
    },
    /// Nothing more comes of an order.
    Closed {
        /// Its operation.
        operation: OperationId,
        /// Its place among the tasks.
        task: u32,
        /// How it ended: done, failed or dropped.
        end: TaskState,
        /// When.
        at: Time,
    },
    /// From here the operation undoes what it has done.
    TurnedBack {
        /// Which.
        operation: OperationId,
        /// How it will end.
        outcome: Outcome,
    },
    /// Its end is told.
    Ended {
        /// Which.
        operation: OperationId,
        /// How: [`Outcome::Done`], [`Outcome::Failed`] or [`Outcome::Cancelled`].
        outcome: Outcome,
        /// When.
        at: Time,
    },
    /// The lease of a node has lapsed, and its highly available VMs are to run elsewhere. What it may
    /// still hold of them is wiped before it gets another lease.
    GivenUp {
        /// Which.
        node: NodeId,
    },
    /// A node that was given up is back before this VM was made anew elsewhere: it stays.
    Retaken {
        /// The node.
        node: NodeId,
        /// The VM.
        vm: VmId,
    },
    /// In place of older lines: all that stands.
    Kept {
        /// The sum of the older lines.
        ledger: Box<crate::ledger::Ledger>,
    },
}

/// A change of what is recorded of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// A VM is to be.
    Vm {
        /// All of it.
        record: Box<VmRecord>,
    },
    /// It is to be elsewhere too, until it has moved.
    Arriving {
        /// Which.
        vm: VmId,
        /// Where.
        to: NodeId,
        /// Which accelerators it gets there, with thousandths of each.
        devices: Vec<(u8, u16)>,
        /// Why there; `None`: whoever asked named the node.
        #[serde(default)]
        why: Option<Arc<Reason>>,
    },
    /// It is to be made anew elsewhere; what is left of it is wiped once its old node is back.
    Relocated {
        /// Which.
        vm: VmId,
        /// Where.
        to: NodeId,
        /// Which accelerators it gets there, with thousandths of each.
        devices: Vec<(u8, u16)>,
        /// Why there; `None`: whoever asked named the node.
        #[serde(default)]
        why: Option<Arc<Reason>>,
    },
    /// It may take this much of its node until an order has ended.
    Promised {
        /// Which.
        vm: VmId,
        /// How much.
        resources: Resources,
    },
    /// It is to be gone.
    Leaving {
        /// Which.
        vm: VmId,
    },
    /// A node's state is another one.
    Node {
        /// Which.
        node: NodeId,
        /// Its state.
        state: NodeState,
    },
    /// A design stands as this.
    Deployed {
        /// Its place among the deployments.
        place: u32,
        /// All of it.
        deployment: Box<Deployment>,
    },
    /// A design stands no more.
    Withdrawn {
        /// Its place among the deployments.
        deployment: u32,
    },
    /// The grid has changed: plans of an older generation are refused.
    Generation {
        /// The new one.
        generation: Generation,
    },
}
