//! How those who speak with a controller and the controller know each other, over whatever network is
//! between them.
//!
//! ```text
//!  agent, admin                                controller
//!   Identity ── TLS 1.3, both show theirs ──▶  Identity
//!      │  first: gridwright-join/1, with a Token, once      ──▶ its fingerprint is kept
//!      ├─ then:  gridwright-agent/1, the controller asks    ──▶ as at the agent's own socket
//!      └─ or:    http/1.1, the API
//! ```
//!
//! There is no authority that signs: everybody makes a key and a certificate of it, and is known by the
//! certificate's SHA-256, as an SSH host is. Names and dates in certificates say nothing.
//!
//! - [`identity`]: a key, its certificate, and what it is known by
//! - [`token`]: what lets somebody in once
//! - [`tls`]: connections on which both ends are known
//! - [`join`]: how a stranger becomes a peer
//! - [`membership`]: what a peer keeps of its controller
//! - [`mod@frame`]: framed JSON
//! - [`protocol`]: what is asked of an agent, and what it says

pub mod frame;
pub mod identity;
pub mod join;
pub mod membership;
pub mod protocol;
pub mod tls;
pub mod token;

/// What an agent's connection speaks, told by ALPN: the controller asks, as at the agent's own socket.
pub const AGENT: &[u8] = b"gridwright-agent/1";

/// What a connection speaks on which somebody joins.
pub const JOIN: &[u8] = b"gridwright-join/1";

/// What a connection to the API speaks.
pub const HTTP: &[u8] = b"http/1.1";

/// The port of a controller, unless told.
pub const PORT: u16 = 7_443;
