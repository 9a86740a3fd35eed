//! Kills a driver program at every message, and sees that nothing is lost by it.
//!
//! For each act that the driver can do: once undisturbed, to learn its messages and its effect; then
//! once for each [`Point`]. After each death a new program must see the VM in a state that the act
//! allows, and the same order, sent again, must end as the undisturbed one did.

use crate::conformance::{acts, clear, keep_snapshot, reach};
use crate::raw::{Outsider, Raw};
use agent::driver::{Act, ActKind, Effect};
use agent::lifecycle::after;
use drivers::outside::wire::FromDriver;
use model::id::VmId;
use model::report::VmState;
use std::sync::Mutex;
use std::thread;
use strum::VariantArray;

/// When the program dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Before the request.
    Before,
    /// After the request and as many messages about it.
    After(usize),
    /// After the answer.
    Answered,
}

/// One act in one state.
#[derive(Clone, Copy, Debug)]
struct Case {
    kind: ActKind,
    /// Which of the acts of that kind that the suite knows.
    index: usize,
    state: Option<VmState>,
    /// The first of its VMs.
    first: u64,
}

/// What an act leaves: its effect, and which of its VM and the one after it are there.
type Left = (Effect, Vec<u64>);

/// Acts at once: most of their time goes into waiting for the hypervisor.
const AT_ONCE: usize = 6;

/// Room between the VMs of two acts; an act has at most a tenth of it as points.
const STRIDE: u64 = 10_000;

/// Every act that the driver can do, at every point; sending and receiving take two nodes and are
/// left out. Gives how many times the program was killed.
pub fn survives_every_kill(outsider: &dyn Outsider) -> usize {
    let cases = Mutex::new(cases(outsider).into_iter());
    let next = || cases.lock().expect("nobody panics while taking").next();
    let kills = thread::scope(|scope| {
        let workers = (0..AT_ONCE).map(|_| {
            scope.spawn(|| {
                std::iter::from_fn(next)
                    .map(|case| try_case(outsider, case))
                    .sum::<usize>()
            })
        });
        let workers: Vec<_> = workers.collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("its panic tells what was expected"))
            .sum()
    });
    let driver = outsider.driver();
    assert_eq!(driver.list().expect("a list"), [], "VMs are left over");
    kills
}

/// All that is tried.
fn cases(outsider: &dyn Outsider) -> Vec<Case> {
    let declared = outsider.driver().capabilities();
    let mut cases = Vec::new();
    for &kind in ActKind::VARIANTS {
        if matches!(kind, ActKind::Send | ActKind::Receive) {
            continue;
        }
        for (index, act) in acts(outsider, VmId(1), kind).iter().enumerate() {
            if act.needs().is_none_or(|needed| declared.contains(&needed)) {
                cases.push(Case {
                    kind,
                    index,
                    state: state_before(kind),
                    first: STRIDE * (cases.len() as u64 + 1),
                });
            }
        }
    }
    cases
}

/// The state in which an act has the most to do.
fn state_before(kind: ActKind) -> Option<VmState> {
    match kind {
        ActKind::Define => None,
        ActKind::Start => Some(VmState::Stopped),
        ActKind::Resume => Some(VmState::Paused),
        _ => Some(VmState::Running),
    }
}

/// An act at all its points.
fn try_case(outsider: &dyn Outsider, case: Case) -> usize {
    let (expected, messages) = undisturbed(outsider, case);
    let mut kills = 0;
    let points = (0..=messages).map(Point::After);
    for point in std::iter::once(Point::Before)
        .chain(points)
        .chain([Point::Answered])
    {
        kills += 1;
        let vm = VmId(case.first + 10 * kills as u64);
        let left = disturbed(outsider, case, vm, point);
        assert_eq!(left, expected, "{case:?}, killed {point:?}");
    }
    kills
}

/// What an act leaves, and how many messages about it come before its answer.
fn undisturbed(outsider: &dyn Outsider, case: Case) -> (Left, usize) {
    let vm = VmId(case.first);
    let act = begin(outsider, case, vm);
    let (mut raw, _) = Raw::greeted(&outsider.program());
    raw.order(vm, &act, vm.0);
    let mut messages = 0;
    let effect = loop {
        match raw.hear() {
            Some(FromDriver::Progressed(_) | FromDriver::Calling(_)) => messages += 1,
            Some(FromDriver::Answered(answered)) => break answered.answer,
            heard => panic!("{case:?} was answered by {heard:?}"),
        }
    };
    let drivers::outside::wire::Answer::Performed(effect) = effect else {
        panic!("{case:?} was answered by {effect:?}");
    };
    (end(outsider, vm, effect), messages)
}

/// What an act leaves whose program was killed at a point, and that was then sent again.
fn disturbed(outsider: &dyn Outsider, case: Case, vm: VmId, point: Point) -> Left {
    let act = begin(outsider, case, vm);
    let (mut raw, _) = Raw::greeted(&outsider.program());
    if point != Point::Before {
        raw.order(vm, &act, vm.0);
        let mut messages = 0;
        while point != Point::After(messages) {
            match raw.hear() {
                Some(FromDriver::Progressed(_) | FromDriver::Calling(_)) => messages += 1,
                Some(FromDriver::Answered(_)) => break,
                heard => panic!("{case:?} was answered by {heard:?}"),
            }
        }
    }
    raw.kill();
    let (mut raw, _) = Raw::greeted(&outsider.program());
    let seen = raw.recover().into_iter().find(|seen| seen.vm == vm);
    let state = seen.map(|seen| seen.state);
    let allowed = allowed(case, point);
    assert!(
        allowed.contains(&state),
        "{case:?}, killed {point:?}: it is {state:?}, expected one of {allowed:?}"
    );
    let effect = raw
        .perform(vm, &act, vm.0)
        .unwrap_or_else(|error| panic!("{case:?}, killed {point:?}, sent again: {error}"));
    end(outsider, vm, effect)
}

/// Brings a VM into the state before an act, and gives the act.
fn begin(outsider: &dyn Outsider, case: Case, vm: VmId) -> Act {
    assert!(reach(outsider, vm, case.state), "{case:?}");
    keep_snapshot(outsider, vm, case.state, case.kind);
    acts(outsider, vm, case.kind).swap_remove(case.index)
}

/// Checks that the VM is as the effect says, and clears it away.
fn end(outsider: &dyn Outsider, vm: VmId, effect: Effect) -> Left {
    let driver = outsider.driver();
    let seen = driver.inspect(vm).expect("an answer");
    assert_eq!(seen.map(|seen| seen.state), effect.state, "{vm}");
    let there = driver.list().expect("a list");
    let there = (0..2).filter(|next| there.contains(&VmId(vm.0 + next)));
    let left = (effect, there.collect());
    clear(outsider, &[vm, VmId(vm.0 + 1)]);
    left
}

/// States in which a VM may be found: the one before, the one after, and one that the act leads
/// through.
fn allowed(case: Case, point: Point) -> Vec<Option<VmState>> {
    let then = after(case.state, case.kind).expect("chosen so that it is allowed");
    match point {
        Point::Before => vec![case.state],
        Point::Answered => vec![then],
        Point::After(_) => {
            let through = match case.kind {
                ActKind::Reboot | ActKind::Restore | ActKind::Destroy => Some(VmState::Stopped),
                ActKind::Snapshot | ActKind::Copy | ActKind::SaveImage => Some(VmState::Paused),
                _ => case.state,
            };
            vec![case.state, then, through]
        }
    }
}
