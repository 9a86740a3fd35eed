//! The simulated grid in the window: designs go on to it and off it, nodes are emptied and lose their power.

use crate::harness::{settle, window};
use app::window::command::Command;
use app::window::design::command::DesignCommand;
use app::window::kept::Page;
use app::window::shell::Shell;
use app::window::simulated::clock::{Going, Speed};
use app::window::simulated::command::LiveCommand;
use app::window::simulated::shown::{DesignShown, OperationState, VmShown};
use app::window::simulated::snapshot::Snapshot;
use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use model::grid::NodeState;
use model::id::{NodeId, VmId};
use model::report::VmState;
use std::sync::Arc;

type Window = Harness<'static, Shell>;

/// Steps that are tried before something must have come.
const MANY: usize = 2_000;

/// The window on a page, with the simulated sample grid, whose time stands.
fn paused(page: Page) -> Window {
    let mut harness = window(page);
    settle(&mut harness);
    ask(&mut harness, Command::Live(LiveCommand::Pause));
    assert_eq!(live(&harness).going, Going::Paused);
    harness
}

/// The same with the sample shop deployed on it, all of whose VMs run.
fn with_shop() -> Window {
    let mut harness = paused(Page::Design);
    click(&mut harness, "Deploy");
    skip(&mut harness);
    let shop = shop(&harness).expect("it is deployed");
    assert!(!shop.vms.is_empty() && shop.vms.iter().all(|vm| vm.is_running));
    harness
}

fn live(harness: &Window) -> Arc<Snapshot> {
    let simulation = harness.state().simulation.as_ref().expect("simulated");
    Arc::clone(simulation.latest().expect("it has begun"))
}

fn shop(harness: &Window) -> Option<DesignShown> {
    live(harness).design("acme", "Web shop").cloned()
}

fn vm(harness: &Window, name: &str) -> (VmId, VmShown) {
    let (live, shop) = (live(harness), shop(harness).expect("deployed"));
    let vm = shop
        .vms
        .iter()
        .find(|vm| vm.name == name)
        .expect("there")
        .vm;
    (vm, live.vms[&vm].clone())
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
    ask(harness, Command::Live(LiveCommand::Skip));
}

/// Steps from event to event until something holds.
fn step_until(harness: &mut Window, holds: impl Fn(&Window) -> bool) {
    for _ in 0..MANY {
        if holds(harness) {
            return;
        }
        ask(harness, Command::Live(LiveCommand::Step));
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
        (deploy.what.as_str(), deploy.is_open()),
        ("deploy Web shop", true)
    );
    let placed = shop(&harness).expect("it is being made");
    assert!(placed.vms.iter().all(|vm| !vm.is_running));
    step_until(&mut harness, |harness| {
        shop(harness).is_some_and(|shop| shop.vms.iter().all(|vm| vm.is_running))
    });
    skip(&mut harness);
    let all = placed.vms.len();
    harness.get_by_label(&format!("{all} of {all} VMs run"));
    let planned = match harness.state().design.planning().outcome() {
        Some((app::window::design::planning::Outcome::Planned { planned, .. }, _)) => {
            planned.clone()
        }
        other => panic!("{other:?}"),
    };
    for (placement, planned) in planned.plan.placements.iter().zip(&planned.vms) {
        let (_, shown) = vm(&harness, &planned.name);
        assert_eq!(shown.node, placement.node, "{}", planned.name);
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
    assert_eq!(live(&harness).violations, Vec::<String>::new());
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
    harness.get_by_label(&format!("{} stay as they are.", before.vms.len() - 1));
    assert_eq!(
        shop(&harness),
        Some(before.clone()),
        "nothing has changed yet"
    );
    click(&mut harness, "Change it");
    skip(&mut harness);
    let after = shop(&harness).expect("deployed");
    let names = |shop: &DesignShown| {
        shop.vms
            .iter()
            .map(|vm| vm.name.clone())
            .collect::<Vec<_>>()
    };
    let mut expected = names(&before);
    expected.retain(|name| name != "web-2");
    assert_eq!(names(&after), expected);
    assert!(after.vms.iter().all(|vm| vm.is_running));
}

/// A node is drained once that is confirmed: its VMs go on elsewhere, and it has none.
#[test]
fn a_node_is_drained() {
    let mut harness = with_shop();
    let (id, before) = movable(&harness);
    choose(&mut harness, before.node);
    click(&mut harness, "Drain");
    assert_eq!(live(&harness).vms[&id], before, "it is asked first");
    click(&mut harness, "Drain it");
    skip(&mut harness);
    let after = &live(&harness).vms[&id];
    let told = &harness.state().notices.open;
    assert_ne!(after.node, before.node, "{told:?}");
    assert_eq!(after.state, Some(VmState::Running));
    let node = &live(&harness).view.nodes[before.node.index()];
    assert_eq!((node.state, node.vms.len()), (NodeState::Draining, 0));
    click(&mut harness, "Open");
    let state = live(&harness).view.nodes[before.node.index()].state;
    assert_eq!(state, NodeState::Up);
}

/// A VM of the shop on a node with none that might not find another one, as accelerators are few.
fn movable(harness: &Window) -> (VmId, VmShown) {
    let (live, shop) = (live(harness), shop(harness).expect("deployed"));
    let moves = |node: NodeId| {
        let mut here = live.vms.values().filter(|vm| vm.node == node);
        here.all(|vm| vm.design != "Inference service")
    };
    let mut vms = shop.vms.iter().map(|vm| (vm.vm, &live.vms[&vm.vm]));
    let (id, shown) = vms.find(|(_, vm)| moves(vm.node)).expect("one can move");
    (id, shown.clone())
}

/// A highly available VM whose node loses its power runs on another one while that is dark.
#[test]
fn a_vm_outlives_its_node() {
    let mut harness = with_shop();
    let (id, before) = vm(&harness, "balancer-0");
    assert!(before.highly_available);
    choose(&mut harness, before.node);
    click(&mut harness, "Trouble");
    click(&mut harness, "Cut the power");
    let troubles = live(&harness).troubles.clone();
    assert_eq!(troubles.len(), 1);
    assert_eq!(troubles[0].node, Some(before.node));
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
    assert_eq!(now.view.nodes[before.node.index()].state, NodeState::Down);
    assert_eq!(now.violations, Vec::<String>::new());
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
    let (id, before) = vm(&harness, "web-1");
    choose(&mut harness, before.node);
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
    choose(&mut harness, moved.node);
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
        ask(&mut harness, Command::Live(LiveCommand::Step));
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
    assert!(
        !live(&harness)
            .operations
            .iter()
            .any(|shown| shown.is_open())
    );
}

/// A controller that dies goes on where it was, and the deployment ends well.
#[test]
fn a_controller_goes_on_after_its_death() {
    let mut harness = paused(Page::Design);
    click(&mut harness, "Deploy");
    ask(&mut harness, Command::Live(LiveCommand::Step));
    ask(&mut harness, Command::Show(Page::Grid));
    click(&mut harness, "Trouble");
    click(&mut harness, "1 minute");
    click(&mut harness, "Kill the controller");
    step_until(&mut harness, |harness| {
        let live = live(harness);
        live.troubles.is_empty() && live.has_controller
    });
    skip(&mut harness);
    let shop = shop(&harness).expect("deployed");
    assert!(shop.vms.iter().all(|vm| vm.is_running));
    assert_eq!(live(&harness).violations, Vec::<String>::new());
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
    ask(&mut harness, Command::Live(LiveCommand::Step));
    let stepped = live(&harness);
    assert!(stepped.events_total > asked.events_total);
    assert!(stepped.at > asked.at);
    assert_eq!(stepped.going, Going::Paused);
}

/// The clock's buttons and keys say how fast it goes and whether it does.
#[test]
fn the_clock_is_set() {
    let mut harness = paused(Page::Grid);
    click(&mut harness, "Simulation speed");
    click(&mut harness, "×100");
    assert_eq!(live(&harness).speed, Speed::Hundred);
    harness.key_press(egui::Key::Space);
    harness.run_steps(2);
    settle(&mut harness);
    assert_eq!(live(&harness).going, Going::On);
    click(&mut harness, "Pause or go on");
    assert_eq!(live(&harness).going, Going::Paused);
}

/// Everything on the page that can be acted on has a name, with the panels open and a VM chosen.
#[test]
fn all_that_acts_has_a_name() {
    let mut harness = with_shop();
    let (_, shown) = vm(&harness, "web-0");
    choose(&mut harness, shown.node);
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
