//! The steps of orders that are one act of the driver: start, stop, pause, snapshots.

use super::{Planner, act, by_act, plain};
use crate::driver::{Act, ActKind};
use crate::lending::{refuse_remote, starting_keys};
use crate::lifecycle::after;
use crate::refusal::{Refusal, check_name, keys_of};
use crate::shared::bases;
use crate::step::{Planned, Step, Undo};
use model::id::VmId;
use model::order::{Shutdown, Verb};
use model::report::VmState;

impl Planner<'_> {
    /// The orders that are one act of the driver.
    pub(super) fn control(&self, vm: VmId, verb: &Verb) -> Result<Vec<Planned>, Refusal> {
        let record = self.record(vm)?;
        let state = self.state(vm);
        let keys = keys_of(&record.blueprint);
        let has = |name: &String| record.snapshots.contains(name);
        let unknown = |name: &String| Refusal::UnknownPart {
            vm,
            what: "snapshot",
            name: name.clone(),
        };
        let undone_by = |from: &[VmState], act| match state {
            Some(state) if from.contains(&state) => by_act(vm, act),
            _ => Undo::Nothing,
        };
        let (what, keys, undo) = match verb {
            Verb::Start => {
                self.check_lease(&record.blueprint)?;
                let shutdown = Shutdown::Forced;
                let halted = [VmState::Stopped, VmState::Failed];
                (
                    Act::Start,
                    starting_keys(&record.blueprint),
                    undone_by(&halted, Act::Stop { shutdown }),
                )
            }
            Verb::Stop { shutdown } => {
                let shutdown = *shutdown;
                (Act::Stop { shutdown }, Vec::new(), Undo::AskAgain)
            }
            Verb::Pause => {
                let undo = undone_by(&[VmState::Running], Act::Resume);
                (Act::Pause, Vec::new(), undo)
            }
            Verb::Resume => {
                self.check_lease(&record.blueprint)?;
                let undo = undone_by(&[VmState::Paused], Act::Pause);
                (Act::Resume, Vec::new(), undo)
            }
            Verb::Reboot => {
                self.check_lease(&record.blueprint)?;
                (Act::Reboot, keys, Undo::AskAgain)
            }
            Verb::Snapshot { name } => {
                check_name("snapshot", name)?;
                refuse_remote(
                    &record.blueprint,
                    "keep no snapshot; hint: let its guest make one",
                )?;
                if has(name) {
                    let name = name.clone();
                    return Err(Refusal::SnapshotExists { vm, name });
                }
                let (name, again) = (name.clone(), name.clone());
                let undo = by_act(vm, Act::DropSnapshot { name: again });
                (Act::Snapshot { name }, keys, undo)
            }
            Verb::Restore { name } if has(name) => {
                self.check_lease(&record.blueprint)?;
                let name = name.clone();
                (Act::Restore { name }, keys, Undo::AskAgain)
            }
            Verb::DropSnapshot { name } if has(name) => {
                let name = name.clone();
                (Act::DropSnapshot { name }, keys, Undo::AskAgain)
            }
            Verb::Restore { name } | Verb::DropSnapshot { name } => return Err(unknown(name)),
            _ => unreachable!("steps sends no other verb here"),
        };
        let kind = ActKind::from(&what);
        after(state, kind)?;
        let boots = matches!(kind, ActKind::Start | ActKind::Reboot | ActKind::Restore);
        let stands = bases(&record.blueprint).next().is_some();
        let check = (boots && stands).then(|| plain(Step::CheckBases { vm }));
        let act = act(vm, what, keys, undo);
        Ok(check.into_iter().chain([act]).collect())
    }
}
