//! One suite for every driver: the whole state × act table, capabilities declared = capabilities
//! shown, dry runs that tell what is then called, repeats, recovery.

mod particulars;

use crate::guest::wait_to_see;
use agent::driver::{Act, ActKind, Driver, DriverError, NativeCall, SavedDisk};
use agent::lifecycle::after;
use agent::machine::Machine;
use agent::secret::Keys;
use agent::watch::{CalledOff, Watch};
use model::hypervisor::Capability;
use model::id::{KeyId, VmId};
use model::order::Shutdown;
use model::report::VmState;
use particulars::{scales, with_remote_disk};
use std::sync::Mutex;
use std::time::Duration;
use strum::VariantArray;

/// How long a VM may take to answer a look, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A driver with machines that really boot under it.
pub trait Subject {
    /// A driver over the same folder each time: a second one finds the VMs of the first.
    fn driver(&self) -> Box<dyn Driver>;

    /// A small machine, its disks or root folder freshly made.
    fn machine(&self, vm: VmId) -> Machine;

    /// Waits until the guest says that it is up.
    fn wait_booted(&self, vm: VmId);

    /// A file that an image may be saved as.
    fn image_file(&self, vm: VmId) -> std::path::PathBuf;
}

/// Notes the calls that a driver makes.
#[derive(Default)]
struct Notes(Mutex<Vec<NativeCall>>);

impl Watch for Notes {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, call: &NativeCall) {
        self.0
            .lock()
            .expect("nobody panics here")
            .push(call.clone());
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        Ok(())
    }
}

/// States into which the suite brings a VM by itself.
const STATES: [Option<VmState>; 4] = [
    None,
    Some(VmState::Stopped),
    Some(VmState::Running),
    Some(VmState::Paused),
];

/// Every state × every act; sending and receiving take two nodes and have a test of their own. A VM
/// that an act has left in the state it was in serves for the next act too, for guests boot slowly.
pub fn follows_the_table(subject: &dyn Subject) {
    let driver = subject.driver();
    let mut vm = VmId(1_000);
    for state in STATES {
        let mut is_there = false;
        for kind in kinds() {
            is_there = is_there || reach(subject, vm, state);
            if !is_there {
                break;
            }
            keep_snapshot(subject, vm, state, kind);
            for act in acts(subject, vm, kind) {
                try_one(subject, vm, state, &act);
            }
            let seen = driver.inspect(vm).expect("an answer");
            is_there = seen.map(|seen| seen.state) == state;
            clear(subject, &[VmId(vm.0 + 1)]);
            if !is_there {
                clear(subject, &[vm]);
                vm = VmId(vm.0 + 10);
            }
        }
        clear(subject, &[vm]);
        vm = VmId(vm.0 + 10);
    }
    assert_eq!(driver.list().expect("a list"), [], "VMs are left over");
}

/// All kinds of acts but those of two nodes; a reboot last, for its guest is then not yet up.
fn kinds() -> Vec<ActKind> {
    let two_nodes = |kind: &ActKind| matches!(kind, ActKind::Send | ActKind::Receive);
    let mut kinds = ActKind::VARIANTS.to_vec();
    kinds.retain(|kind| !two_nodes(kind) && *kind != ActKind::Reboot);
    kinds.push(ActKind::Reboot);
    kinds
}

/// The driver answers one act as the table and its capabilities say, and then sees what it promised.
fn try_one(subject: &dyn Subject, vm: VmId, state: Option<VmState>, act: &Act) {
    let driver = subject.driver();
    let kind = ActKind::from(act);
    let case = format!("{}: {kind} while {state:?}: {act:?}", driver.name());
    let declared = act
        .needs()
        .is_none_or(|needed| driver.capabilities().contains(&needed));
    let dry = driver.translate(vm, act);
    let notes = Notes::default();
    let done = driver.perform(vm, act, &Keys::default(), &notes);
    let expected = after(state, kind);
    match (&expected, &done) {
        _ if !declared => {
            assert!(
                matches!(done, Err(DriverError::Unsupported { .. })),
                "{case}: an undeclared capability gave {done:?}"
            );
            assert!(
                matches!(dry, Err(DriverError::Unsupported { .. })),
                "{case}: {dry:?}"
            );
        }
        (Ok(then), Ok(effect)) => {
            assert_eq!(effect.state, *then, "{case}: the effect");
            check_calls(&case, &dry.expect("a dry run of what was done"), &notes);
        }
        (Err(_), Err(DriverError::Illegal { .. })) => {
            assert!(
                matches!(dry, Err(DriverError::Illegal { .. })),
                "{case}: {dry:?}"
            );
        }
        _ => panic!("{case}: gave {done:?}, expected {expected:?}"),
    }
    let expected = if declared {
        expected.unwrap_or(state)
    } else {
        state
    };
    let seen = subject.driver().inspect(vm).expect("an answer");
    assert_eq!(
        seen.map(|seen| seen.state),
        expected,
        "{case}: seen afterwards"
    );
}

/// What was called is what the dry run told; `<name>` in it stands for anything.
fn check_calls(case: &str, dry: &[NativeCall], notes: &Notes) {
    let made = notes.0.lock().expect("nobody panics here");
    let told: Vec<_> = dry.iter().map(|call| &call.call).collect();
    let calls: Vec<_> = made.iter().map(|call| &call.call).collect();
    assert_eq!(
        dry.len(),
        made.len(),
        "{case}: told {told:#?}, called {calls:#?}"
    );
    for (told, called) in dry.iter().zip(made.iter()) {
        assert_eq!(told.interface, called.interface, "{case}");
        assert!(
            is_pattern_of(&told.call, &called.call),
            "{case}: told {:?}, called {:?}",
            told.call,
            called.call
        );
    }
}

/// Whether a told call, with `<name>` for anything, is the call made.
fn is_pattern_of(told: &str, made: &str) -> bool {
    let mut rest = made;
    let mut pieces = told.split('<').enumerate();
    let Some((_, head)) = pieces.next() else {
        return told == made;
    };
    let Some(after_head) = rest.strip_prefix(head) else {
        return false;
    };
    rest = after_head;
    let mut open_end = false;
    for (_, piece) in pieces {
        let Some((_, literal)) = piece.split_once('>') else {
            return false;
        };
        open_end = literal.is_empty();
        let Some(at) = rest.find(literal) else {
            return false;
        };
        rest = &rest[at + literal.len()..];
    }
    rest.is_empty() || open_end
}

/// Brings a VM into a state; `false` where the driver has no way there.
pub(crate) fn reach(subject: &dyn Subject, vm: VmId, state: Option<VmState>) -> bool {
    let driver = subject.driver();
    let Some(state) = state else { return true };
    if state == VmState::Paused && !driver.capabilities().contains(&Capability::Pause) {
        return false;
    }
    act(
        subject,
        vm,
        &Act::Define {
            machine: Box::new(subject.machine(vm)),
        },
    );
    if state != VmState::Stopped {
        act(subject, vm, &Act::Start);
        subject.wait_booted(vm);
    }
    if state == VmState::Paused {
        act(subject, vm, &Act::Pause);
    }
    true
}

/// Restoring and dropping need a snapshot.
pub(crate) fn keep_snapshot(
    subject: &dyn Subject,
    vm: VmId,
    state: Option<VmState>,
    kind: ActKind,
) {
    let can = subject
        .driver()
        .capabilities()
        .contains(&Capability::Snapshot);
    let needs = matches!(kind, ActKind::Restore | ActKind::DropSnapshot);
    if can && needs && state.is_some() {
        act(
            subject,
            vm,
            &Act::Snapshot {
                name: "kept".into(),
            },
        );
    }
}

/// Does what must succeed.
fn act(subject: &dyn Subject, vm: VmId, act: &Act) {
    let driver = subject.driver();
    driver
        .perform(vm, act, &Keys::default(), &Notes::default())
        .unwrap_or_else(|error| panic!("{}: {act:?}: {error}", driver.name()));
}

/// The acts of a kind that are tried; scaling has one for each resource.
pub(crate) fn acts(subject: &dyn Subject, vm: VmId, kind: ActKind) -> Vec<Act> {
    let name = || "kept".to_owned();
    let machine = |vm| Box::new(subject.machine(vm));
    match kind {
        // It is defined whether its remote disk is there or not, and then without.
        ActKind::Define => vec![
            Act::Define {
                machine: Box::new(with_remote_disk(subject.machine(vm))),
            },
            Act::Define {
                machine: machine(vm),
            },
        ],
        ActKind::Start => vec![Act::Start],
        ActKind::Stop => vec![Act::Stop {
            shutdown: Shutdown::Forced,
        }],
        ActKind::Destroy => vec![Act::Destroy],
        ActKind::Reboot => vec![Act::Reboot],
        ActKind::Pause => vec![Act::Pause],
        ActKind::Resume => vec![Act::Resume],
        ActKind::Snapshot => vec![Act::Snapshot { name: name() }],
        ActKind::Restore => vec![Act::Restore { name: name() }],
        ActKind::DropSnapshot => vec![Act::DropSnapshot { name: name() }],
        ActKind::Copy => {
            let mut to = machine(VmId(vm.0 + 1));
            to.name = "the-copy".into();
            vec![Act::Copy { to }]
        }
        ActKind::SaveImage => vec![Act::SaveImage {
            disks: vec![SavedDisk {
                disk: first_disk(subject, vm),
                file: subject.image_file(vm),
            }],
        }],
        ActKind::Scale => scales(subject, vm),
        // Nothing to take, for whatever guest: what it takes is tried with one that has an agent.
        ActKind::Configure => vec![Act::Configure {
            configuration: Box::default(),
        }],
        // No disk of it is encrypted, so that it is as it was.
        ActKind::Rekey => vec![Act::Rekey {
            old: KeyId(1),
            new: KeyId(2),
        }],
        ActKind::Receive | ActKind::Send => Vec::new(),
    }
}

/// The disk that is saved; a container's root is none of its machine's.
fn first_disk(subject: &dyn Subject, vm: VmId) -> String {
    let disks = subject.machine(vm).disks;
    let first = disks.into_iter().next().map(|disk| disk.name);
    first.unwrap_or_else(|| "root".to_owned())
}

/// Every act that the driver can do, done twice, leaves what it left the first time; and a second
/// driver over the same folder sees the same VMs.
pub fn repeats_and_recovers(subject: &dyn Subject) {
    let vm = VmId(7);
    let driver = subject.driver();
    let machine = Box::new(subject.machine(vm));
    let acts = [
        Act::Define { machine },
        Act::Start,
        Act::Pause,
        Act::Resume,
        Act::Stop {
            shutdown: Shutdown::Forced,
        },
        Act::Destroy,
    ];
    for act in acts {
        if act
            .needs()
            .is_some_and(|needed| !driver.capabilities().contains(&needed))
        {
            continue;
        }
        let perform = || {
            subject
                .driver()
                .perform(vm, &act, &Keys::default(), &Notes::default())
                .unwrap_or_else(|error| panic!("{}: {act:?}: {error}", driver.name()))
        };
        let (first, second) = (perform(), perform());
        assert_eq!(first, second, "{}: {act:?} repeated", driver.name());
        let expected = Vec::from_iter(first.state.map(|state| (vm, state)));
        // One that is slow to answer is left out of a look, and found by a later one.
        wait_to_see(
            &format!("{}: {expected:?} after {act:?}", driver.name()),
            PATIENCE,
            || {
                let found = subject.driver().recover().expect("an answer");
                Vec::from_iter(found.iter().map(|seen| (seen.vm, seen.state)))
            },
            |found| *found == expected,
        );
    }
}

/// The driver's probe works, and declares what the driver declares.
pub fn fingerprints(subject: &dyn Subject) {
    let driver = subject.driver();
    let found = driver
        .fingerprint(&Notes::default())
        .unwrap_or_else(|error| panic!("{}: {error}", driver.name()));
    assert_eq!(found.driver, driver.name());
    assert_eq!(found.capabilities, driver.capabilities());
    assert!(!found.version.is_empty(), "a hypervisor has a version");
    assert!(!found.evidence.is_empty(), "a probe has something to tell");
}

/// Destroys VMs, there or not.
pub(crate) fn clear(subject: &dyn Subject, vms: &[VmId]) {
    for &vm in vms {
        subject
            .driver()
            .perform(vm, &Act::Destroy, &Keys::default(), &Notes::default())
            .unwrap_or_else(|error| panic!("{vm}: {error}"));
    }
}
