//! The real agent with real guests of User-mode Linux: from order to running, found again, and told.

use crate::node::{Hypervisor, Node, VM, order, wait_until};
use agent::driver::Act;
use agent::secret::Keys;
use agent::watch::Unwatched;
use link::protocol::{Answer, Request};
use model::id::{OperationId, VmId};
use model::order::{Shutdown, Verb};
use model::report::{Outcome, Report, VmState};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::{Command, Stdio};

/// A guest goes from order to running; the agent ends when asked and leaves it running, finds it
/// again, tells the calls that were made, and deletes it without a trace.
#[test]
fn a_guest_outlives_the_agent_and_is_found_again() {
    let mut node = Node::new(Hypervisor::Uml);
    node.start(None);
    let Answer::DryRun { steps } = node.ask(&Request::DryRun {
        order: order(VM, 1, &node.create()),
    }) else {
        panic!("no dry run");
    };
    let steps: Vec<String> = steps.into_iter().map(|step| step.step).collect();
    assert_eq!(steps.first().map(String::as_str), Some("reserve 64 MiB"));
    assert_eq!(steps.last().map(String::as_str), Some("define vm 7"));
    assert_eq!(node.order(&node.create()), Some(Outcome::Done));
    assert_eq!(node.order(&Verb::Start), Some(Outcome::Done));
    assert!(node.terminate(), "it ends well");
    assert_eq!(node.guests(), 1);
    node.start(None);
    let status = node.status();
    assert_eq!(status.vms[0].state, Some(VmState::Running));
    assert_eq!(status.vms[0].name.as_deref(), Some("web-7"));
    let operation = Some(OperationId(2));
    let Answer::Log { calls } = node.ask(&Request::Log { operation }) else {
        panic!("no log");
    };
    assert!(!calls.is_empty(), "starting makes calls");
    assert_eq!(node.repeat(VM, &Verb::Start), Some(Outcome::Done));
    assert_eq!(node.order(&Verb::Delete), Some(Outcome::Done));
    assert_eq!(node.guests(), 0);
    node.assert_clean("deleted");
}

/// A guest that dies by itself is noticed and told.
#[test]
fn a_guest_that_dies_is_noticed() {
    let mut node = Node::new(Hypervisor::Uml);
    node.start(None);
    assert_eq!(node.order(&node.create()), Some(Outcome::Done));
    assert_eq!(node.order(&Verb::Start), Some(Outcome::Done));
    let forced = Act::Stop {
        shutdown: Shutdown::Forced,
    };
    let keys = Keys::default();
    let stopped = node.driver().perform(VM, &forced, &keys, &Unwatched);
    stopped.expect("somebody else stops it");
    wait_until("the agent to notice", || {
        node.status().vms[0].state != Some(VmState::Running)
    });
}

/// A guest whose QEMU hangs ends no agent's start and holds up no other guest; once its QEMU goes on,
/// it is found too.
#[test]
fn a_guest_that_hangs_holds_up_no_other() {
    let other = VmId(8);
    let mut node = Node::new(Hypervisor::Qemu);
    node.start(None);
    let blueprint = node.blueprint(other);
    for (vm, create) in [(VM, node.create()), (other, Verb::Create { blueprint })] {
        assert_eq!(node.order_about(vm, &create), Some(Outcome::Done));
        assert_eq!(node.order_about(vm, &Verb::Start), Some(Outcome::Done));
    }
    let hanging = node.processes().into_iter();
    let mut hanging =
        hanging.filter(|(_, words)| words.contains("vm-7") && words.contains("-pidfile"));
    let (hanging, _) = hanging.next().expect("the QEMU of the VM");
    let hanging = i32::try_from(hanging.pid).ok().and_then(Pid::from_raw);
    let hanging = hanging.expect("a process");
    assert!(node.terminate(), "it ends well");
    kill_process(hanging, Signal::STOP).expect("it is there");
    node.start(None);
    let state = |node: &mut Node, vm| {
        let vms = node.status().vms;
        vms.iter()
            .find(|told| told.vm == vm)
            .expect("it is told")
            .state
    };
    assert_eq!(state(&mut node, VM), None);
    assert_eq!(state(&mut node, other), Some(VmState::Running));
    assert_eq!(node.order_about(other, &Verb::Pause), Some(Outcome::Done));
    kill_process(hanging, Signal::CONT).expect("it is there");
    wait_until("the agent to find it", || {
        node.status()
            .vms
            .iter()
            .any(|told| told.vm == VM && told.state == Some(VmState::Running))
    });
}

/// A second agent in the same folder refuses to start, and the first goes on.
#[test]
fn one_node_has_one_agent() {
    let mut node = Node::new(Hypervisor::Uml);
    node.start(None);
    node.status();
    let second = node.command().output().expect("it runs");
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("another agent has"), "{told}");
    node.status();
}

/// Whoever orders by the agent's own command is told once that the order was accepted, once of each
/// step, and how it has ended.
#[test]
fn an_order_is_told_step_by_step() {
    let mut node = Node::new(Hypervisor::Uml);
    node.start(None);
    node.status();
    let file = node.root().join("../order.json");
    let order = serde_json::to_vec(&*order(VM, 1, &node.create())).expect("an order");
    fs::write(&file, order).expect("a file");
    let mut command = node.command();
    let run = command.arg("order").arg(&file).stdout(Stdio::piped());
    let run = run.output().expect("it runs");
    assert!(run.status.success(), "{run:?}");
    let told = String::from_utf8(run.stdout).expect("text");
    let reports = told
        .lines()
        .map(|line| serde_json::from_str(line).expect("a report"));
    let outcomes: Vec<Outcome> = reports.map(|report: Report| report.outcome).collect();
    let count = |wanted: &Outcome| outcomes.iter().filter(|found| *found == wanted).count();
    assert_eq!(outcomes.first(), Some(&Outcome::Accepted));
    assert_eq!(outcomes.last(), Some(&Outcome::Done));
    assert_eq!(
        (count(&Outcome::Accepted), count(&Outcome::Done)),
        (1, 1),
        "{told}"
    );
    let steps: Vec<&String> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Progressed { step, .. } => Some(step),
            _ => None,
        })
        .collect();
    assert_eq!(
        steps.first().map(|step| step.as_str()),
        Some("reserve 64 MiB")
    );
    assert!(steps.windows(2).all(|pair| pair[0] != pair[1]), "{told}");
}

/// A configuration is read whole; what it cannot be is told with what it may be.
#[test]
fn a_wrong_configuration_is_told() {
    let check = |more: &str, expected: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("agent.toml");
        let root = folder.path().join("node");
        let text = format!("node = 1\nroot = {root:?}\n{more}\n");
        fs::write(&file, text).expect("a configuration");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridwright-agent"));
        let run = command.arg("--config").arg(&file).output();
        let run = run.expect("it runs");
        let told = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(!run.status.success() && told.contains(expected), "{told}");
    };
    check("driver = \"vax\"", "driver is vax, expected one of");
    check("driver = \"outside\"", "expected the driver's path");
    check(
        "driver = \"uml\"\nlisten = \"127.0.0.1:7000\"",
        "listen is 127.0.0.1:7000, expected unix:PATH",
    );
    check(
        "driver = \"uml\"\nhost = \"127.0.0.1\"",
        "host is 127.0.0.1 and plugging is user, expected one of them",
    );
    check("driver = \"uml\"\nhost_name = \"a\"", "unknown field");
    check(
        "driver = \"uml\"\nplugging = \"tap\"\nhost = \"here\"\npeers = [\"192.0.2.2\"]",
        "host is here, expected an address",
    );
}
