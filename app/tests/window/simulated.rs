//! The simulated grid in the window: designs go on to it and off it, nodes are emptied and lose their power.

use crate::harness::{settle, window};
use app::window::backend::simulated::clock::{ClockShown, Going, Speed};
use app::window::backend::simulated::command::ClockCommand;
use app::window::backend::snapshot::Snapshot;
use app::window::command::Command;
use app::window::design::command::DesignCommand;
use app::window::kept::Page;
use app::window::shell::Shell;
use control::shown::{OperationState, VmShown};
use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use model::grid::NodeState;
use model::id::NodeId;
use model::report::VmState;
use std::sync::Arc;

type Window = Harness<'static, Shell>;

/// Steps that are tried before something must have come.
const MANY: usize = 2_000;

/// The window on a page, with the simulated sample grid, whose time stands.
fn paused(page: Page) -> Window {
    let mut harness = window(page);
    settle(&mut harness);
    ask(&mut harness, Command::Clock(ClockCommand::Pause));
    assert_eq!(clock(&harness).going, Going::Paused);
    harness
}

/// The same with the sample shop deployed on it, all of whose VMs run.
fn with_shop() -> Window {
    let mut harness = paused(Page::Design);
    click(&mut harness, "Deploy");
    skip(&mut harness);
    let shop = shop(&harness).expect("it is deployed");
    assert!(!shop.is_empty() && shop.iter().all(VmShown::is_running));
    harness
}

fn live(harness: &Window) -> Arc<Snapshot> {
    let attached = harness.state().attached.as_ref().expect("simulated");
    Arc::clone(attached.latest().expect("it has begun"))
}

fn clock(harness: &Window) -> ClockShown {
    live(harness).clock.clone().expect("it is simulated")
}

fn shop(harness: &Window) -> Option<Vec<VmShown>> {
    let live = live(harness);
    live.design("acme", "Web shop")?;
    Some(live.vms_of("acme", "Web shop").cloned().collect())
}

fn vm(harness: &Window, name: &str) -> VmShown {
    let shop = shop(harness).expect("deployed");
    let mut vms = shop.into_iter();
    vms.find(|vm| vm.name == name).expect("there")
}

fn node_of(harness: &Window, vm: &VmShown) -> NodeId {
    live(harness).node_of(vm).expect("it is somewhere")
}

fn ask(harness: &mut Window, command: Command) {
    let ctx = harness.ctx.clone();
    harness.state_mut().carry_out(&ctx, command);
    settle(harness);
}

fn click(harness: &mut Window, name: &str) {
    harness.get_by_label(name).click();
    harness.run_steps(2);
    settle(harness);
}

/// Lets time pass until all operations have ended.
fn skip(harness: &mut Window) {
    ask(harness, Command::Clock(ClockCommand::Skip));
}

/// Steps from event to event until something holds.
fn step_until(harness: &mut Window, holds: impl Fn(&Window) -> bool) {
    for _ in 0..MANY {
        if holds(harness) {
            return;
        }
        ask(harness, Command::Clock(ClockCommand::Step));
    }
    panic!("it never came");
}

fn choose(harness: &mut Window, node: NodeId) {
    ask(harness, Command::Show(Page::Grid));
    ask(harness, Command::Reveal(node));
}

/// The sample shop is planned and deployed by one click; stepping brings all of its VMs up, and they are
/// where the plan says; withdrawn, nothing of it is left.
#[test]
fn a_design_goes_on_and_off() {
    let mut harness = paused(Page::Design);
    let before: usize = live(&harness).vms.len();
    click(&mut harness, "Deploy");
    let begun = live(&harness);
    let deploy = &begun.operations[0];
    assert_eq!(
        (deploy.what.as_str(), deploy.state.is_over()),
        ("deploy Web shop", false)
    );
    let placed = shop(&harness).expect("it is being made");
    assert!(placed.iter().all(|vm| !vm.is_running()));
    step_until(&mut harness, |harness| {
        shop(harness).is_some_and(|shop| shop.iter().all(VmShown::is_running))
    });
    skip(&mut harness);
    let all = placed.len();
    harness.get_by_label(&format!("{all} of {all} VMs run"));
    let planned = match harness.state().design.planning().outcome() {
        Some((app::window::design::planning::Outcome::Planned { planned, .. }, _)) => {
            planned.clone()
        }
        other => panic!("{other:?}"),
    };
    for (placement, planned) in planned.plan.placements.iter().zip(&planned.vms) {
        let shown = vm(&harness, &planned.name);
        assert_eq!(
            node_of(&harness, &shown),
            placement.node,
            "{}",
            planned.name
        );
    }
    click(&mut harness, "Withdraw");
    harness.get_by_label("Withdraw Web shop?");
    click(&mut harness, "Withdraw it");
    skip(&mut harness);
    assert_eq!(shop(&harness), None);
    assert_eq!(live(&harness).vms.len(), before);
    let ended: Vec<_> = live(&harness).operations.iter().take(2).cloned().collect();
    assert_eq!(ended[0].what, "withdraw Web shop");
    assert!(
        ended
            .iter()
            .all(|shown| shown.state == OperationState::Done)
    );
    assert_eq!(clock(&harness).violations, Vec::<String>::new());
}

/// Of a design that stands it is shown first what would change, and only that changes.
#[test]
fn a_change_is_shown_before_it_is_made() {
    let mut harness = with_shop();
    let before = shop(&harness).expect("deployed");
    click(&mut harness, "Component web");
    harness
        .get_by_role_and_label(Role::SpinButton, "Instances")
        .click();
    harness.run_steps(2);
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    harness.run_steps(2);
    harness.event(egui::Event::Text("2".to_owned()));
    harness.run_steps(2);
    harness.key_press(egui::Key::Enter);
    harness.run_steps(2);
    ask(&mut harness, Command::Design(DesignCommand::Deploy));
    harness.get_by_label("Change Web shop where it stands?");
    harness.get_by_label("1 to be deleted, with what is on their disks");
    harness.get_by_label(&format!("{} stay as they are.", before.len() - 1));
    assert_eq!(
        shop(&harness),
        Some(before.clone()),
        "nothing has changed yet"
    );
    click(&mut harness, "Change it");
    skip(&mut harness);
    let after = shop(&harness).expect("deployed");
    let names = |shop: &[VmShown]| {
        let names = shop.iter().map(|vm| vm.name.clone());
        names.collect::<Vec<_>>()
    };
    let mut expected = names(&before);
    expected.retain(|name| name != "web-2");
    assert_eq!(names(&after), expected);
    assert!(after.iter().all(VmShown::is_running));
}

/// A node is drained once that is confirmed: its VMs go on elsewhere, and it has none.
#[test]
fn a_node_is_drained() {
    let mut harness = with_shop();
    let before = movable(&harness);
    let (id, node) = (before.id, node_of(&harness, &before));
    choose(&mut harness, node);
    click(&mut harness, "Drain");
    assert_eq!(live(&harness).vms[&id], before, "it is asked first");
    click(&mut harness, "Drain it");
    skip(&mut harness);
    let after = &live(&harness).vms[&id];
    let told = &harness.state().notices.open;
    assert_ne!(after.node, before.node, "{told:?}");
    assert_eq!(after.state, Some(VmState::Running));
    let drained = &live(&harness).view.nodes[node.index()];
    assert_eq!((drained.state, drained.vms.len()), (NodeState::Draining, 0));
    click(&mut harness, "Open");
    let state = live(&harness).view.nodes[node.index()].state;
    assert_eq!(state, NodeState::Up);
}

/// A VM of the shop on a node with none that might not find another one, as accelerators are few.
fn movable(harness: &Window) -> VmShown {
    let (live, shop) = (live(harness), shop(harness).expect("deployed"));
    let moves = |vm: &VmShown| {
        let mut here = live.vms.values().filter(|other| other.node == vm.node);
        here.all(|vm| vm.design.as_deref() != Some("Inference service"))
    };
    shop.into_iter().find(moves).expect("one can move")
}

/// A highly available VM whose node loses its power runs on another one while that is dark.
#[test]
fn a_vm_outlives_its_node() {
    let mut harness = with_shop();
    let before = vm(&harness, "balancer-0");
    let (id, node) = (before.id, node_of(&harness, &before));
    assert!(before.highly_available);
    choose(&mut harness, node);
    click(&mut harness, "Trouble");
    click(&mut harness, "Cut the power");
    let troubles = clock(&harness).troubles;
    assert_eq!(troubles.len(), 1);
    assert_eq!(troubles[0].node, Some(node));
    step_until(&mut harness, |harness| {
        let live = live(harness);
        let vm = &live.vms[&id];
        vm.node != before.node && vm.state == Some(VmState::Running)
    });
    let now = live(&harness);
    assert!(
        now.at < troubles[0].until,
        "{} is back by {}",
        troubles[0].text,
        now.at
    );
    assert_eq!(now.view.nodes[node.index()].state, NodeState::Down);
    assert_eq!(clock(&harness).violations, Vec::<String>::new());
    assert!(
        now.events
            .iter()
            .any(|event| event.text.contains("lease of"))
    );
}

/// A VM is stopped, started, moved and deleted by its buttons.
#[test]
fn a_vm_is_acted_on() {
    let mut harness = with_shop();
    let before = vm(&harness, "web-1");
    let (id, node) = (before.id, node_of(&harness, &before));
    choose(&mut harness, node);
    click(&mut harness, "web-1");
    click(&mut harness, "Stop");
    skip(&mut harness);
    assert_eq!(live(&harness).vms[&id].state, Some(VmState::Stopped));
    click(&mut harness, "Start");
    skip(&mut harness);
    assert_eq!(live(&harness).vms[&id].state, Some(VmState::Running));
    click(&mut harness, "Move to…");
    click(&mut harness, "Wherever it fits best");
    skip(&mut harness);
    let moved = live(&harness).vms[&id].clone();
    assert_ne!(moved.node, before.node);
    assert_eq!(moved.state, Some(VmState::Running));
    let node = node_of(&harness, &moved);
    choose(&mut harness, node);
    click(&mut harness, "Delete…");
    assert!(live(&harness).vms.contains_key(&id), "it is asked first");
    click(&mut harness, "Delete it");
    skip(&mut harness);
    assert!(!live(&harness).vms.contains_key(&id));
}

/// An operation is called off from the panel, and leaves nothing behind.
#[test]
fn an_operation_is_cancelled() {
    let mut harness = paused(Page::Design);
    let before = live(&harness).vms.len();
    click(&mut harness, "Deploy");
    for _ in 0..5 {
        ask(&mut harness, Command::Clock(ClockCommand::Step));
    }
    ask(&mut harness, Command::Show(Page::Grid));
    click(&mut harness, "Operations (1 open)");
    click(&mut harness, "Cancel deploy Web shop");
    skip(&mut harness);
    let live = live(&harness);
    assert_eq!(live.operations[0].state, OperationState::Cancelled);
    assert_eq!(live.vms.len(), before);
    harness.get_by_label("cancelled");
}

/// What a grid refuses is told with what can be done about it: a replay takes no commands.
#[test]
fn a_refusal_comes_with_its_hint() {
    let mut harness = paused(Page::Grid);
    ask(&mut harness, Command::ShowOnGrid);
    ask(&mut harness, Command::Design(DesignCommand::Deploy));
    let open = &harness.state().notices.open;
    assert_eq!(open[0].text, "a recorded run takes no commands");
    let hint = "hint: open the simulated or the live grid to change something";
    assert_eq!(open[0].details, [hint]);
    assert_eq!(live(&harness).open_operations(), 0);
}

/// A controller that dies goes on where it was, and the deployment ends well.
#[test]
fn a_controller_goes_on_after_its_death() {
    let mut harness = paused(Page::Design);
    click(&mut harness, "Deploy");
    ask(&mut harness, Command::Clock(ClockCommand::Step));
    ask(&mut harness, Command::Show(Page::Grid));
    click(&mut harness, "Trouble");
    click(&mut harness, "1 minute");
    click(&mut harness, "Kill the controller");
    step_until(&mut harness, |harness| {
        clock(harness).troubles.is_empty() && live(harness).trouble.is_none()
    });
    skip(&mut harness);
    let shop = shop(&harness).expect("deployed");
    assert!(shop.iter().all(VmShown::is_running));
    assert_eq!(clock(&harness).violations, Vec::<String>::new());
}

/// A step ends with the next line of the history, and time stands then; without a step it stands.
#[test]
fn time_stands_and_steps() {
    let mut harness = paused(Page::Design);
    let before = live(&harness);
    ask(&mut harness, Command::Show(Page::Grid));
    let events = format!("Events ({})", before.events_total);
    click(&mut harness, &events);
    assert_eq!(live(&harness).at, before.at);
    ask(&mut harness, Command::Design(DesignCommand::Deploy));
    let asked = live(&harness);
    ask(&mut harness, Command::Clock(ClockCommand::Step));
    let stepped = live(&harness);
    assert!(stepped.events_total > asked.events_total);
    assert!(stepped.at > asked.at);
    assert_eq!(clock(&harness).going, Going::Paused);
}

/// The clock's buttons and keys say how fast it goes and whether it does.
#[test]
fn the_clock_is_set() {
    let mut harness = paused(Page::Grid);
    click(&mut harness, "Simulation speed");
    click(&mut harness, "×100");
    assert_eq!(clock(&harness).speed, Speed::Hundred);
    harness.key_press(egui::Key::Space);
    harness.run_steps(2);
    settle(&mut harness);
    assert_eq!(clock(&harness).going, Going::On);
    click(&mut harness, "Pause or go on");
    assert_eq!(clock(&harness).going, Going::Paused);
}

/// Everything on the page that can be acted on has a name, with the panels open and a VM chosen.
#[test]
fn all_that_acts_has_a_name() {
    let mut harness = with_shop();
    let shown = vm(&harness, "web-0");
    let node = node_of(&harness, &shown);
    choose(&mut harness, node);
    click(&mut harness, "web-0");
    click(&mut harness, "Operations");
    let nodes = harness.query_all_by(|_| true);
    let nameless = nodes.filter(|node| {
        let node = node.accesskit_node();
        let acts = matches!(node.role(), Role::Button | Role::ComboBox | Role::Link);
        acts && node.label().is_none_or(|label| label.trim().is_empty())
    });
    assert_eq!(nameless.count(), 0);
}
