//! A recorded run keeps the promises of a grid.

use crate::fixture::run;
use capacity::outcome::Fate;
use control::backend::{Backend, Command, Refused};
use control::shown::EventShown;
use lab::recorded::Recorded;
use lab::run::RunResult;
use model::event::Happening;
use model::id::{NodeId, OperationId, VmId};
use model::order::Verb;
use model::time::Time;
use model::units::Resources;
use model::view::View;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The run with the word, looked at from its start.
fn recorded(policy: &str) -> (RunResult, Recorded) {
    let result = run(&[policy]).remove(0);
    assert!(
        result.outcome.summary.rejected > 0,
        "the fixture is crowded"
    );
    let recorded = Recorded::new(&result).expect("the fixture keeps its log");
    (result, recorded)
}

/// Who is where at an instant, by the log alone.
fn by_log(result: &RunResult, at: Time) -> BTreeMap<VmId, NodeId> {
    let mut alive = BTreeMap::new();
    for entry in result.outcome.log.iter().filter(|entry| entry.at <= at) {
        let vm = VmId(u64::from(entry.vm));
        match entry.fate {
            Fate::Placed(node) => drop(alive.insert(vm, node)),
            Fate::Released(node) => assert_eq!(alive.remove(&vm), Some(node)),
            Fate::Refused(_) | Fate::Queued | Fate::GaveUp => {}
        }
    }
    alive
}

/// `used` is the sum of the VMs and within the capacity, and no accelerator is given away twice.
fn check_sums(view: &View) {
    for (id, node) in view.grid.node_ids().zip(&view.nodes) {
        let mut sum = Resources::default();
        let mut devices: BTreeMap<u8, u32> = BTreeMap::new();
        for vm in &node.vms {
            sum = sum.checked_add(vm.resources).expect("sums fit the type");
            for (device, milli) in &vm.devices {
                *devices.entry(*device).or_default() += u32::from(*milli);
            }
        }
        assert_eq!(node.used, sum, "{id} at {}", view.at);
        let capacity = view.grid.class_of(id).capacity;
        assert_eq!(sum.first_shortage(capacity), None, "{id} at {}", view.at);
        assert!(
            devices.values().all(|milli| *milli <= 1000),
            "{id}: {devices:?}"
        );
    }
}

fn placements(view: &View) -> BTreeMap<VmId, NodeId> {
    let nodes = view.grid.node_ids().zip(&view.nodes);
    nodes
        .flat_map(|(id, node)| node.vms.iter().map(move |vm| (vm.id, id)))
        .collect()
}

/// At many instants, in and out of order, the view is what the log says, and adds up.
#[test]
fn views_are_those_of_the_log() {
    for policy in ["best-fit", "worst-fit", "fragmentation-gradient"] {
        let (result, mut recorded) = recorded(policy);
        let (first, last) = recorded.span();
        let instants = (0..=40).map(|step| first.0 + (last.0 - first.0) * (step * 17 % 41) / 40);
        for at in instants.map(Time).chain([last, first]) {
            recorded.seek(at);
            let view = recorded.view();
            assert_eq!(view.at, at);
            check_sums(&view);
            assert_eq!(placements(&view), by_log(&result, at), "{policy} at {at}");
        }
    }
}

/// The last view has those VMs that were placed and not released.
#[test]
fn the_last_view_has_who_is_left() {
    let (result, mut recorded) = recorded("best-fit");
    recorded.seek(Time::NEVER);
    assert_eq!(
        recorded.at(),
        recorded.span().1,
        "an instant outside is moved to the nearest"
    );
    let summary = &result.outcome.summary;
    let left = summary.placed - summary.released;
    assert_eq!(placements(&recorded.view()).len() as u64, left);
}

/// A view is made once and handed out again until the source is moved.
#[test]
fn an_unmoved_view_is_the_same() {
    let (_, mut recorded) = recorded("best-fit");
    recorded.seek(Time(1_000_000));
    let view = recorded.view();
    recorded.seek(Time(1_000_000));
    assert!(Arc::ptr_eq(&view, &recorded.view()));
    recorded.seek(Time(2_000_000));
    assert!(!Arc::ptr_eq(&view, &recorded.view()));
}

/// Every command is refused and changes nothing.
#[test]
fn commands_are_refused_and_change_nothing() {
    let (_, mut recorded) = recorded("best-fit");
    recorded.seek(Time(1_500_000));
    let (view, events) = (recorded.view(), recorded.events(0, usize::MAX));
    let stop = Command::Vm {
        vm: VmId(0),
        verb: Verb::Pause,
    };
    let drain = Command::Node {
        node: NodeId(0),
        state: model::grid::NodeState::Draining,
    };
    for (number, command) in [stop, drain].into_iter().enumerate() {
        let answer = recorded.submit(OperationId(number as u64), command);
        assert_eq!(answer, Err(Refused::ReadOnly));
    }
    assert!(Arc::ptr_eq(&view, &recorded.view()));
    assert_eq!(recorded.events(0, usize::MAX), events);
}

/// Events come in order, page by page, and none from after the instant looked at.
#[test]
fn events_end_at_the_instant() {
    let (result, mut recorded) = recorded("best-fit");
    recorded.seek(Time(2_000_000));
    let until = result
        .outcome
        .log
        .iter()
        .filter(|entry| entry.at <= recorded.at())
        .count();
    let all = recorded.events(0, usize::MAX);
    assert_eq!(all.len(), until);
    assert!(all.is_sorted_by_key(|told| told.event.at));
    let mut paged = Vec::new();
    loop {
        let page = recorded.events(paged.len() as u64, 37);
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 37);
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let refused = |told: &&EventShown| matches!(told.event.happening, Happening::Refused { .. });
    let expected = result.outcome.log[..until].iter();
    let expected = expected
        .filter(|entry| matches!(entry.fate, Fate::Refused(_)))
        .count();
    assert_eq!(all.iter().filter(refused).count(), expected);
}

/// A run without a log says how to get one.
#[test]
fn without_a_log_there_is_no_replay() {
    let mut result = run(&["best-fit"]).remove(0);
    Arc::make_mut(&mut result.outcome).log.clear();
    let error = Recorded::new(&result).expect_err("nothing can be replayed");
    assert!(error.to_string().contains("hint: "), "{error}");
}
