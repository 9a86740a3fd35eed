//! What runs on each node, without its hands: the agent as a pure step function, and the contracts
//! of those that act for it.
//!
//! - [`machine`]: a VM as its node holds it, every path and name decided
//! - [`build`]: the steps of building a disk, as data
//! - [`mod@shared`]: what VMs of a node share of their disks
//! - [`layout`]: where the partitions of a disk lie
//! - [`guest`]: what makes an image the guest of one blueprint
//! - [`seed`](mod@seed): the same for images in which cloud-init runs
//! - [`edit`]: what is changed in a guest's files, as data
//! - [`modify`]: what makes one VM of another on its system disk
//! - [`secret`]: keys that are never shown or written down
//! - [`watch`]: how a long act is followed and called off
//! - [`lifecycle`]: the states of a VM and what each act does to them, as one table
//! - [`handover`]: who may run a VM that moves, and who never
//! - [`driver`]: the plug-in that turns acts into one hypervisor's own calls
//! - [`naming`]: what the files, taps and bridges of a VM are called on its node
//! - [`step`]: one act of an order on a node, as data, with its way back
//! - [`refusal`]: why an order is not carried out
//! - [`steps`]: turns an order into steps
//! - [`space`]: how much disk space orders may come to take
//! - [`scaling`]: the steps of giving a VM more or less
//! - [`lending`]: volumes that are lent to VMs of other nodes
//! - [`rotation`]: the steps of giving its disks another key
//! - [`journal`]: what is written down before it is acted on
//! - [`ledger`]: the sum of a journal
//! - [`tally`]: how often a VM has stopped and was rebooted
//! - [`settings`]: what an agent is told of its node
//! - [`message`]: what an agent is told, and what it answers
//! - [`mod@agent`]: the agent itself
//! - [`modelled`]: hands that are none, for tests and the simulated world
//! - `planted`: bugs for the simulated world to find, where tests ask for them
//! - `own`: operations that the agent begins by itself
//! - `retry`: when a broken step without a way back is begun again
//!
//! ```text
//!  Input ─▶ Agent::step ─▶ Output::Write ─▶ journal on disk     (live, or modelled)
//!    ▲                  └▶ Output::Begin ─▶ hands ─▶ Driver, disks, network
//!    └───── Ended, Progressed, Called ◀──────┘
//! ```

pub mod agent;
pub mod build;
pub mod driver;
pub mod edit;
pub mod guest;
pub mod handover;
pub mod journal;
pub mod layout;
pub mod ledger;
pub mod lending;
pub mod lifecycle;
pub mod machine;
pub mod message;
pub mod modelled;
pub mod modify;
pub mod naming;
mod own;
#[cfg(not(feature = "planted"))]
mod planted;
#[cfg(feature = "planted")]
pub mod planted;
pub mod refusal;
mod retry;
pub mod rotation;
pub mod scaling;
pub mod secret;
pub mod seed;
pub mod settings;
pub mod shared;
pub mod space;
pub mod step;
pub mod steps;
pub mod tally;
pub mod watch;
