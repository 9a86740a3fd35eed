//! The states of a VM and what each act does to them, as one table.
//!
//! ```text
//!            define              start                pause
//!  absent ───────────▶ stopped ─────────▶ running ◀─────────▶ paused
//!     ▲  ▲                │  ◀─────────── │   │      resume     │
//!     │  └── destroy ─────┘     stop      │   └─ send ─▶ stopped│ stop ─▶ stopped
//!     └────────── destroy, from any state ┴─────────────────────┘
//!  absent ── receive ─▶ migrating ── the other node sends ─▶ running
//!  running ── the guest gives up ─▶ failed ── start ─▶ running, stop ─▶ stopped
//! ```

use crate::driver::ActKind;
use model::report::VmState;

/// An act that a state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{act} is not possible while {}", state_word(*state))]
pub struct Illegal {
    /// The act.
    pub act: ActKind,
    /// The state; `None`: there is no such VM.
    pub state: Option<VmState>,
}

/// A state in words, `absent` for none.
pub fn state_word(state: Option<VmState>) -> &'static str {
    state.map_or("absent", Into::into)
}

/// The state that an act leads to; the state itself where it changes nothing. Starting and stopping
/// are passed through within an act and allow none but [`ActKind::Destroy`]. A driver answers a
/// repeated send of a VM that it has sent as it did the first.
///
/// # Errors
/// Where the state does not allow the act.
pub fn after(state: Option<VmState>, act: ActKind) -> Result<Option<VmState>, Illegal> {
    use ActKind as A;
    use VmState as S;
    match (state, act) {
        (_, A::Destroy) => Ok(None),
        (None | Some(S::Stopped), A::Define) => Ok(Some(S::Stopped)),
        (None | Some(S::Migrating), A::Receive) => Ok(Some(S::Migrating)),
        (Some(S::Stopped | S::Running | S::Failed), A::Start) => Ok(Some(S::Running)),
        (Some(S::Stopped | S::Running | S::Paused | S::Failed), A::Stop) => Ok(Some(S::Stopped)),
        (Some(S::Running), A::Reboot | A::Configure) => Ok(Some(S::Running)),
        (Some(S::Running | S::Paused), A::Pause) => Ok(Some(S::Paused)),
        (Some(S::Running | S::Paused), A::Resume) => Ok(Some(S::Running)),
        (Some(S::Stopped | S::Running), A::Scale) => Ok(state),
        (
            Some(S::Stopped | S::Running | S::Paused),
            A::Snapshot | A::Restore | A::DropSnapshot | A::Copy | A::SaveImage | A::Rekey,
        ) => Ok(state),
        (Some(S::Running), A::Send) => Ok(Some(S::Stopped)),
        (state, act) => Err(Illegal { act, state }),
    }
}
