//! The messages between the agent and a driver program, as `OUTSIDE.md` shows them.

use agent::driver::{Act, Console, DriverError, Effect, NativeCall, Reading, Seen};
use agent::machine::Machine;
use agent::secret::Keys;
use agent::watch::CalledOff;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::fingerprint::FoundHypervisor;
use model::hypervisor::Capability;
use model::id::{Generation, KeyId, OperationId, VmId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use zeroize::Zeroizing;

/// The versions of the protocol that this agent speaks.
pub const VERSIONS: Versions = Versions {
    oldest: 1,
    newest: 1,
};

/// Requests that may be open at once; more are refused without being sent.
pub const MAX_OPEN_REQUESTS: usize = 64;

/// What the agent says.
#[derive(Clone, Debug, Serialize, Deserialize, strum::VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ToDriver {
    /// The first message.
    Hello(Hello),
    /// Do or tell something.
    Request(Box<Request>),
    /// Call a request off; its answer is still awaited.
    Cancel(Cancel),
}

/// What a driver program says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, strum::VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum FromDriver {
    /// The answer to [`Hello`].
    Welcome(Welcome),
    /// The last message of a program that cannot go on: no common version, or a message that is
    /// none.
    Refused(Refused),
    /// Part of a request is done.
    Progressed(Progressed),
    /// A call to the hypervisor is about to be made.
    Calling(Calling),
    /// A request was done.
    Answered(Answered),
    /// A request was not done.
    Failed(Failed),
}

/// A range of versions of the protocol, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest that is spoken.
    pub oldest: u32,
    /// The newest that is spoken.
    pub newest: u32,
}

impl Versions {
    /// The newest version that both speak.
    pub fn common(self, other: Self) -> Option<u32> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.oldest, self.newest)
    }
}

/// How the agent begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// What it speaks.
    pub versions: Versions,
}

/// How a driver program begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that both now speak.
    pub version: u32,
    /// The driver's name, as profiles have it.
    pub driver: String,
    /// What it can do beyond the mandatory part.
    pub capabilities: Vec<Capability>,
}

/// Why a driver program cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// In words for a person.
    pub reason: String,
}

/// Something to be done or told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Names the request in all messages about it; never used twice over one pipe.
    pub id: u64,
    /// The time for it, in milliseconds from now; after it comes a [`Cancel`], and then the end.
    pub within_millis: u64,
    /// The order behind it; `None`: there is none, as for a probe.
    pub order: Option<Order>,
    /// What.
    pub ask: Ask,
}

/// The order behind a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The operation; the same act of the same operation may come again.
    pub operation: OperationId,
    /// The grid's generation when it was made.
    pub generation: Generation,
}

/// What is asked: the methods of [`agent::driver::Driver`].
#[derive(Clone, Debug, Serialize, Deserialize, strum::VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Ask {
    /// Try what works here.
    Fingerprint,
    /// Could this machine be run?
    Validate {
        /// The machine.
        machine: Box<Machine>,
    },
    /// Which calls would an act make?
    Translate {
        /// On this VM.
        vm: VmId,
        /// The act.
        act: Act,
    },
    /// Do it.
    Perform {
        /// To this VM.
        vm: VmId,
        /// The act.
        act: Act,
        /// The keys it needs; they are here and nowhere else.
        keys: SentKeys,
    },
    /// How is this VM now?
    Inspect {
        /// The VM.
        vm: VmId,
    },
    /// Which VMs are defined?
    List,
    /// What can be measured?
    Statistics {
        /// Of this VM.
        vm: VmId,
    },
    /// How are all VMs, after the agent was restarted?
    Recover,
    /// Where is the console?
    Console {
        /// Of this VM.
        vm: VmId,
    },
}

/// Why a request is called off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Somebody cancelled the operation.
    Cancelled,
    /// Its time is over.
    Expired,
}

impl From<CalledOff> for Why {
    fn from(why: CalledOff) -> Self {
        match why {
            CalledOff::Cancelled => Self::Cancelled,
            CalledOff::Expired => Self::Expired,
        }
    }
}

impl From<Why> for CalledOff {
    fn from(why: Why) -> Self {
        match why {
            Why::Cancelled => Self::Cancelled,
            Why::Expired => Self::Expired,
        }
    }
}

/// Calls a request off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// The request.
    pub id: u64,
    /// Why.
    pub why: Why,
}

/// Part of a request is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progressed {
    /// The request.
    pub id: u64,
    /// How much, in thousandths.
    pub done_milli: u16,
}

/// A call to the hypervisor is about to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calling {
    /// The request.
    pub id: u64,
    /// The call, keys left out.
    pub call: NativeCall,
}

/// A request was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The request.
    pub id: u64,
    /// What came of it.
    pub answer: Answer,
}

/// A request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The request.
    pub id: u64,
    /// Why.
    pub error: DriverError,
}

/// What came of an [`Ask`], each in its own word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, strum::VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Answer {
    /// Of [`Ask::Fingerprint`].
    Fingerprinted(Box<FoundHypervisor>),
    /// Of [`Ask::Validate`]: it could be run.
    Valid,
    /// Of [`Ask::Translate`].
    Translated(Vec<NativeCall>),
    /// Of [`Ask::Perform`].
    Performed(Effect),
    /// Of [`Ask::Inspect`]; `None`: there is no such VM.
    Inspected(Option<Seen>),
    /// Of [`Ask::List`], by id.
    Listed(Vec<VmId>),
    /// Of [`Ask::Statistics`].
    Measured(Vec<Reading>),
    /// Of [`Ask::Recover`].
    Recovered(Vec<Seen>),
    /// Of [`Ask::Console`].
    Console(Console),
}

/// Keys on their way to a driver program: base64 on the pipe, their ids alone to a reader of
/// `Debug`.
#[derive(Clone, Debug, Default)]
pub struct SentKeys(pub Keys);

/// One key on the pipe.
#[derive(Serialize, Deserialize)]
struct SentKey {
    key: KeyId,
    base64: Zeroizing<String>,
}

impl Serialize for SentKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.ids().filter_map(|key| {
            let base64 = Zeroizing::new(STANDARD.encode(self.0.bytes(key)?));
            Some(SentKey { key, base64 })
        }))
    }
}

impl<'de> Deserialize<'de> for SentKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = Keys::default();
        for sent in Vec::<SentKey>::deserialize(deserializer)? {
            let bytes = STANDARD
                .decode(sent.base64.as_bytes())
                // The decoder's own words would quote a byte of the key.
                .map_err(|_| serde::de::Error::custom(format!("{} is not base64", sent.key)))?;
            keys.insert(sent.key, bytes);
        }
        Ok(Self(keys))
    }
}
