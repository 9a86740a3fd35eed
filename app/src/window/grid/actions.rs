//! What can be done to a node and to a VM of a grid that takes commands, and the questions before it.

use crate::window::backend::snapshot::Snapshot;
use crate::window::command::Command;
use crate::window::grid::metric::{counted, quantity};
use crate::window::room::Room;
use crate::window::theme::{size, title_style};
use control::backend;
use control::record::Wish;
use control::shown::VmShown;
use egui::{Context, Id, Modal, RichText, ScrollArea, Ui};
use model::grid::NodeState;
use model::hypervisor::Capability;
use model::id::{NodeId, VmId};
use model::order::{Shutdown, Verb};
use model::report::VmState;
use model::units::Dimension;

/// How long a guest is given to shut down.
const PATIENCE_MILLIS: u32 = 60_000;
/// Nodes that are offered to a VM at once; the field above narrows them down.
const OFFERED: usize = 100;

/// What the user wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// This, at once.
    Ask(backend::Command),
    /// This, if it is meant.
    Confirm(Confirm),
    /// A VM elsewhere; it has to be asked where.
    MoveTo(VmId),
}

/// A question whether something is meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirm {
    /// The question.
    pub title: String,
    /// What comes of it.
    pub text: String,
    /// What the button says that does it.
    pub yes: &'static str,
    /// What it does.
    pub command: backend::Command,
}

impl Confirm {
    /// Draws it; whether it is to stay.
    pub fn ui(&self, ctx: &Context, room: &mut Room<'_>) -> bool {
        let mut answered = false;
        let modal = Modal::new(Id::new("confirm")).show(ctx, |ui| {
            ui.set_width(size::DIALOG_WIDTH);
            ui.label(
                RichText::new(&self.title)
                    .text_style(title_style())
                    .strong(),
            );
            ui.add_space(size::GAP);
            ui.label(&self.text);
            ui.add_space(size::GROUP_GAP);
            ui.horizontal(|ui| {
                if ui.button(self.yes).clicked() {
                    room.ask(Command::Submit(Box::new(self.command.clone())));
                    answered = true;
                }
                answered |= ui.button("Leave it").clicked();
            });
        });
        !answered && !modal.should_close()
    }
}

/// Draws the buttons of a node.
pub fn node_ui(ui: &mut Ui, live: &Snapshot, node: NodeId) -> Option<Wanted> {
    let shown = &live.view.nodes[node.index()];
    let name = &live.view.grid.nodes[node.index()].name;
    let mut wanted = None;
    ui.horizontal_wrapped(|ui| {
        let mut button = |ui: &mut Ui, text: &str, state: NodeState, about: &str| {
            let button = ui.add_enabled(shown.state != state, egui::Button::new(text));
            if button.on_hover_text(about).clicked() {
                wanted = Some(state);
            }
        };
        button(ui, "Open", NodeState::Up, "Let it take VMs");
        let about = "It runs what it has and takes nothing new";
        button(ui, "Cordon", NodeState::Cordoned, about);
        let about = "Its VMs move to other nodes, all or none, and it takes nothing new";
        button(ui, "Drain", NodeState::Draining, about);
    });
    let state = wanted?;
    let command = backend::Command::Node { node, state };
    if state != NodeState::Draining || shown.vms.is_empty() {
        return Some(Wanted::Ask(command));
    }
    let text = format!(
        "{} of it move to other nodes of its hypervisor, all or none. It takes nothing new until \
         it is opened.",
        counted(shown.vms.len(), "VM")
    );
    Some(Wanted::Confirm(Confirm {
        title: format!("Drain {name}?"),
        text,
        yes: "Drain it",
        command,
    }))
}

/// Draws the buttons of a VM.
pub fn vm_ui(ui: &mut Ui, live: &Snapshot, vm: VmId) -> Option<Wanted> {
    let shown = live.vms.get(&vm)?;
    ui.label(RichText::new(&shown.name).strong());
    ui.label(RichText::new(about(shown)).weak());
    let node = live.node_of(shown)?;
    let hypervisor = live.view.grid.hypervisor_of(node);
    let pauses = hypervisor.capabilities.contains(&Capability::Pause);
    let stays = shown.is_to_stay();
    let is = |states: &[VmState]| stays && shown.state.is_some_and(|is| states.contains(&is));
    let runs = is(&[VmState::Running, VmState::Paused, VmState::Starting]);
    let mut wanted = None;
    ui.horizontal_wrapped(|ui| {
        let mut button = |ui: &mut Ui, text: &str, enabled: bool, about: &str, what: What| {
            let button = ui.add_enabled(enabled, egui::Button::new(text));
            if button.on_hover_text(about).clicked() {
                wanted = Some(what);
            }
        };
        let rests = is(&[VmState::Stopped, VmState::Failed]);
        button(ui, "Start", rests, "Boot it", What::Verb(Verb::Start));
        let patience_millis = PATIENCE_MILLIS;
        let shutdown = Shutdown::Asked { patience_millis };
        let stop = What::Verb(Verb::Stop { shutdown });
        button(ui, "Stop", runs, "Ask its guest to shut down", stop);
        let pause = What::Verb(Verb::Pause);
        let can = pauses && is(&[VmState::Running]);
        button(ui, "Pause", can, "Freeze it", pause);
        let resume = What::Verb(Verb::Resume);
        let can = pauses && is(&[VmState::Paused]);
        button(ui, "Resume", can, "Let it go on", resume);
        let reboot = What::Verb(Verb::Reboot);
        let can = is(&[VmState::Running]);
        button(ui, "Reboot", can, "Stop it and start it", reboot);
        let about = "Send it to another node of its hypervisor";
        button(ui, "Move to…", stays && !shown.is_busy, about, What::Move);
        button(ui, "Power off…", runs, "Stop it at once", What::PowerOff);
        button(ui, "Delete…", stays, "Wipe and forget it", What::Delete);
    });
    Some(wanted_of(wanted?, vm, shown))
}

/// What was pressed.
enum What {
    Verb(Verb),
    Move,
    PowerOff,
    Delete,
}

fn wanted_of(what: What, vm: VmId, shown: &VmShown) -> Wanted {
    let name = &shown.name;
    let (title, text, yes, verb) = match what {
        What::Verb(verb) => return Wanted::Ask(backend::Command::Vm { vm, verb }),
        What::Move => return Wanted::MoveTo(vm),
        What::PowerOff => (
            format!("Power {name} off?"),
            "What its guest has not written to disk is lost.".to_owned(),
            "Power it off",
            Verb::Stop {
                shutdown: Shutdown::Forced,
            },
        ),
        What::Delete => (
            format!("Delete {name}?"),
            format!(
                "Its disks are wiped. The design {} stands without it until it is deployed again.",
                shown.design.as_deref().unwrap_or_default()
            ),
            "Delete it",
            Verb::Delete,
        ),
    };
    Wanted::Confirm(Confirm {
        title,
        text,
        yes,
        command: backend::Command::Vm { vm, verb },
    })
}

/// `Web shop, running, highly available`.
fn about(shown: &VmShown) -> String {
    let state = state_text(shown);
    let mut words = vec![shown.design.as_deref().unwrap_or_default(), &state];
    if shown.is_configured {
        words.push("set up by its recipe");
    }
    if shown.highly_available {
        words.push("highly available");
    }
    if shown.is_busy {
        words.push("an operation has it");
    }
    words.retain(|word| !word.is_empty());
    words.join(", ")
}

/// Its state as its node told it, in words.
pub fn state_text(shown: &VmShown) -> String {
    match (shown.wish, shown.state) {
        (Wish::Gone, _) => "being deleted".to_owned(),
        (_, Some(state)) => state.to_string(),
        (_, None) => "not there yet".to_owned(),
    }
}

/// Where a VM is to move.
#[derive(Clone, Debug)]
pub struct MoveQuestion {
    vm: VmId,
    filter: String,
}

impl MoveQuestion {
    /// Asks for one.
    pub fn new(vm: VmId) -> Self {
        Self {
            vm,
            filter: String::new(),
        }
    }

    /// Draws it; whether it is to stay.
    pub fn ui(&mut self, ctx: &Context, live: &Snapshot, room: &mut Room<'_>) -> bool {
        let Some(shown) = live.vms.get(&self.vm) else {
            return false;
        };
        let mut chosen = None;
        let modal = Modal::new(Id::new("move question")).show(ctx, |ui| {
            ui.set_width(size::SIDE_PANEL);
            let title = format!("Move {} to", shown.name);
            ui.label(RichText::new(title).text_style(title_style()).strong());
            ui.add_space(size::GAP);
            if ui.button("Wherever it fits best").clicked() {
                chosen = Some(None);
            }
            let field = egui::TextEdit::singleline(&mut self.filter)
                .hint_text("Name of a node")
                .desired_width(f32::INFINITY);
            let field = ui.add(field);
            let filter = self.filter.trim();
            field.widget_info(|| egui::WidgetInfo::text_edit(true, "", filter, "Move target"));
            let nodes = targets(live, shown, filter);
            if nodes.is_empty() {
                ui.label(RichText::new("No such node of its hypervisor has room for it").weak());
            }
            ScrollArea::vertical().max_height(280.0).show(ui, |ui| {
                for node in nodes {
                    if target(ui, live, node) {
                        chosen = Some(Some(node));
                    }
                }
            });
        });
        if let Some(to) = chosen {
            let command = backend::Command::Move { vm: self.vm, to };
            room.ask(Command::Submit(Box::new(command)));
        }
        chosen.is_none() && !modal.should_close()
    }
}

fn target(ui: &mut Ui, live: &Snapshot, node: NodeId) -> bool {
    let free = live.view.free(node);
    ui.horizontal(|ui| {
        let clicked = ui
            .button(&live.view.grid.nodes[node.index()].name)
            .clicked();
        let amount = |dimension| quantity(dimension, u64::from(free.in_dimension(dimension)));
        let text = format!(
            "{}, {} free",
            amount(Dimension::Cpu),
            amount(Dimension::Mem)
        );
        ui.label(RichText::new(text).weak());
        clicked
    })
    .inner
}

/// Open nodes of the same hypervisor with room for a VM.
fn targets(live: &Snapshot, vm: &VmShown, filter: &str) -> Vec<NodeId> {
    let (view, grid) = (&live.view, &live.view.grid);
    let Some(from) = live.node_of(vm) else {
        return Vec::new();
    };
    let ours = grid.class_of(from).hypervisor;
    let fits = |node: &NodeId| {
        *node != from
            && grid.class_of(*node).hypervisor == ours
            && view.nodes[node.index()].state == NodeState::Up
            && grid.nodes[node.index()].name.contains(filter)
            && vm.resources.first_shortage(view.free(*node)).is_none()
    };
    grid.node_ids().filter(fits).take(OFFERED).collect()
}
