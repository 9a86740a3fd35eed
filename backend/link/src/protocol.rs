//! What an agent's sockets speak: framed JSON ([`crate::frame`]), a request and its answer in turn;
//! after [`Request::Follow`], once a connection, reports come as well, whenever there are some.
//!
//! Nothing is lost with a report that nobody heard: an order that is sent again is answered by its
//! first result. The unix socket admits its owner only, and there is no other: a controller asks over
//! the call that the agent has made to it, where both ends are known.

use agent::driver::NativeCall;
use agent::secret::Keys;
use model::id::{Generation, KeyId, NodeId, OperationId, VmId};
use model::order::Order;
use model::report::{Report, VmState};
use model::time::{Span, Time};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The version of all this; a peer that sends another is refused.
pub const VERSION: u32 = 1;

/// What somebody asks of an agent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// Carry this out; answered by [`Answer::Taken`].
    Order {
        /// The order.
        order: Box<Order>,
        /// Its keys in hex.
        #[serde(default)]
        keys: Vec<(KeyId, HexKey)>,
    },
    /// End an operation early.
    CallOff {
        /// Which.
        operation: OperationId,
    },
    /// Renew the lease.
    Renew {
        /// For how long.
        span: Span,
        /// From when on, by the agent's clock, as its [`Status::now`] said; `None`: from now. A lease that
        /// counts from the status that asked for it is lengthened by no message that was late.
        #[serde(default)]
        from: Option<Time>,
    },
    /// What the agent knows.
    Status,
    /// What an order would do now, down to the hypervisor's own calls.
    DryRun {
        /// The order.
        order: Box<Order>,
    },
    /// The calls that were made.
    Log {
        /// Of which operation; `None`: of all that are kept.
        operation: Option<OperationId>,
    },
    /// Send all reports from now on.
    Follow,
}

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// A report, after [`Request::Follow`].
    Reported {
        /// The report, which all who follow share.
        report: Arc<Report>,
    },
    /// Of [`Request::Order`], once it is on disk.
    Taken {
        /// The first report: that it was accepted or refused, or how it has ended before.
        report: Arc<Report>,
    },
    /// It was heard.
    Heard,
    /// Of [`Request::Status`].
    Status {
        /// All of it.
        status: Box<Status>,
    },
    /// Of [`Request::DryRun`].
    DryRun {
        /// Its steps.
        steps: Vec<DryStep>,
    },
    /// Of [`Request::Log`].
    Log {
        /// The calls, oldest first.
        calls: Vec<(OperationId, NativeCall)>,
    },
    /// It cannot be.
    Refused {
        /// Why.
        reason: String,
    },
}

/// What an agent knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the protocol.
    pub version: u32,
    /// Which node.
    pub node: NodeId,
    /// Its clock.
    pub now: Time,
    /// The newest generation that it knows.
    pub newest: Generation,
    /// When its lease lapses; `None`: there was none.
    pub leased_until: Option<Time>,
    /// Its VMs, by id.
    pub vms: Vec<VmStatus>,
    /// Operations that have not ended, by id, each with the step that is next.
    pub open: Vec<(OperationId, String)>,
}

/// What an agent knows of a VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VmStatus {
    /// Which.
    pub vm: VmId,
    /// Its host name; `None`: the hypervisor has it and the agent has not made it.
    pub name: Option<String>,
    /// Its state as last seen; `None`: the hypervisor does not have it.
    pub state: Option<VmState>,
}

/// A step of a dry run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DryStep {
    /// The step in words.
    pub step: String,
    /// The calls to the hypervisor that it would make now; what only earlier steps make possible
    /// is told in words in place of the calls.
    pub calls: Result<Vec<NativeCall>, String>,
}

/// A key in hex, wiped when dropped and never shown.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct HexKey(Zeroizing<String>);

impl HexKey {
    /// Writes a key.
    pub fn new(bytes: &[u8]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        Self(text)
    }

    /// Reads it.
    ///
    /// # Errors
    /// Where it is not hexadecimal; the key is not told.
    pub fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, NotHex> {
        let digits = self.0.as_bytes().chunks(2);
        let byte = |pair: &[u8]| {
            let text = std::str::from_utf8(pair).ok().filter(|t| t.len() == 2)?;
            u8::from_str_radix(text, 16).ok()
        };
        // In full length at once: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len()));
        for pair in digits {
            bytes.push(byte(pair).ok_or(NotHex)?);
        }
        Ok(bytes)
    }
}

impl fmt::Debug for HexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HexKey(…)")
    }
}

/// A key that is not hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is not an even number of hexadecimal digits")]
pub struct NotHex;

/// The keys of a request.
///
/// # Errors
/// Where one is not hexadecimal.
pub fn read_keys(keys: &[(KeyId, HexKey)]) -> Result<Keys, NotHex> {
    let mut read = Keys::default();
    for (id, key) in keys {
        read.insert(*id, std::mem::take(&mut *key.bytes()?));
    }
    Ok(read)
}
