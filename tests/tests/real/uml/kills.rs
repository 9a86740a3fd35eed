//! Drivers that are killed within a start.

use super::{LIMIT, Node, PROGRAM, processes_of};
use crate::conformance::Subject;
use crate::guest::{wait_for, wait_to_see};
use agent::driver::{Act, Driver, NativeCall};
use agent::secret::Keys;
use agent::watch::{CalledOff, Watch};
use drivers::uml::Uml;
use model::id::VmId;
use model::order::Shutdown;
use model::report::VmState;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Parks before a call, for ever, once it has told its parent so.
struct ParksBefore {
    call: AtomicUsize,
    marker: PathBuf,
}

impl Watch for ParksBefore {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, _call: &NativeCall) {
        if self.call.fetch_sub(1, Ordering::Relaxed) == 0 {
            File::create(&self.marker).expect("a marker");
            loop {
                std::thread::park();
            }
        }
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        Ok(())
    }
}

/// A driver that is killed before any call of a start leaves a guest that the next driver finds, and
/// completes; once it is destroyed, no process of it is left. The test drives itself as the victim.
#[test]
fn killed_drivers_leak_nothing() {
    const FOLDER: &str = "GRIDWRIGHT_TEST_FOLDER";
    const CALL: &str = "GRIDWRIGHT_TEST_CALL";
    let vm = VmId(1);
    if let (Ok(folder), Ok(call)) = (std::env::var(FOLDER), std::env::var(CALL)) {
        let folder = Path::new(&folder);
        let parks = ParksBefore {
            call: call.parse::<usize>().expect("a number").into(),
            marker: folder.join(format!("marker-{call}")),
        };
        let uml = Uml::open(&folder.join("uml"), Path::new(PROGRAM)).expect("a driver");
        let done = uml.perform(vm, &Act::Start, &Keys::default(), &parks);
        panic!("call {call} was not reached: {done:?}");
    }
    let node = Node::new();
    let machine = Box::new(node.machine(vm));
    node.perform(vm, &Act::Define { machine });
    let calls = node.uml().translate(vm, &Act::Start).expect("a dry run");
    for call in 0..calls.len() {
        let mut victim = Command::new(std::env::current_exe().expect("this test"))
            .args(["uml::kills::killed_drivers_leak_nothing", "--exact"])
            .env(FOLDER, node.folder.path())
            .env(CALL, call.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test");
        let marker = node.path(&format!("marker-{call}"));
        wait_for("the call to be reached", LIMIT, || {
            let ended = victim.try_wait().expect("a child");
            assert_eq!(ended, None, "the driver ended before call {call}");
            marker.exists().then_some(())
        });
        victim.kill().expect("a child");
        victim.wait().expect("a child");

        wait_to_see(
            &format!("it to be found before call {call}"),
            LIMIT,
            || node.uml().recover().expect("an answer"),
            |found| found.len() == 1,
        );
        assert_eq!(node.perform(vm, &Act::Start), Some(VmState::Running));
        let seen = node.uml().inspect(vm).expect("an answer").expect("a VM");
        assert_eq!(seen.mem_mib, Some(96), "before call {call}");
        let shutdown = Shutdown::Forced;
        node.perform(vm, &Act::Stop { shutdown });
        assert_eq!(processes_of(node.folder.path()), 0, "before call {call}");
    }
}
