//! The plan as a user reads it: VMs with their nodes, and for each the nodes refused and the scores of the rest.

use super::act::Act;
use super::planning::{Outcome, Planning};
use super::scene::{cores, disk, mem};
use super::selection::{Item, Selection};
use crate::window::design::command::DesignCommand;
use crate::window::sources::policy_words;
use crate::window::theme::{Palette, size};
use egui::{CollapsingHeader, Label, RichText, ScrollArea, Ui, UiBuilder};
use egui_extras::{Column, TableBuilder};
use model::assignment::{AssignedVm, Assignment};
use model::view::View;
use model::vm::Demand;
use placement::explain::{Explanation, RefusedBy};
use placement::plan::PlannedVm;
use std::sync::Arc;

/// Nodes listed of each filter, and rows of the score table; the rest is told as a number.
const ROWS: usize = 10;
/// Share of the panel that the table of VMs takes.
const TABLE_SHARE: f32 = 0.46;

/// Draws the plan, or why there is none.
pub fn plan_ui(
    ui: &mut Ui,
    planning: &mut Planning,
    revision: u64,
    view: Option<&Arc<View>>,
    acts: &mut Vec<Act>,
) {
    ui.horizontal_wrapped(|ui| bar(ui, planning, revision, view, acts));
    ui.add_space(size::GAP);
    let vm = planning.vm;
    let Some((outcome, _)) = planning.outcome() else {
        if planning.is_broken() {
            ui.label("Planning broke down; this is a fault of the program.");
        } else if !planning.is_working() {
            ui.label(RichText::new("A plan shows which node each VM would go to, and why.").weak());
        }
        return;
    };
    let chosen = match outcome {
        Outcome::Planned {
            assignment,
            planned,
        } => planned_ui(ui, assignment, &planned.vms, vm, acts),
        Outcome::Faulty(problems) => {
            let count = if *problems == 1 {
                "1 problem".to_owned()
            } else {
                format!("{problems} problems")
            };
            refusal(ui, &format!("The design has {count}; put them right first"));
            None
        }
        Outcome::Unassigned(error) => {
            ScrollArea::vertical()
                .auto_shrink(false)
                .show(ui, |ui| refusal(ui, &error.to_string()));
            None
        }
        Outcome::Unplaced { unplaced, .. } => {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                refusal(ui, &unplaced.to_string());
                explanation_ui(ui, &unplaced.explanation);
            });
            None
        }
    };
    planning.vm = chosen.unwrap_or(vm);
}

fn bar(
    ui: &mut Ui,
    planning: &mut Planning,
    revision: u64,
    view: Option<&Arc<View>>,
    acts: &mut Vec<Act>,
) {
    let caption = ui.label("Policy");
    egui::ComboBox::from_id_salt("plan policy")
        .selected_text(policy_words(&planning.policies[planning.policy]).0)
        .width(190.0)
        .show_ui(ui, |ui| {
            for (place, policy) in planning.policies.iter().enumerate() {
                let (title, about) = policy_words(policy);
                let label = ui.selectable_label(place == planning.policy, title);
                if label.on_hover_text(about).clicked() {
                    planning.policy = place;
                }
            }
        })
        .response
        .labelled_by(caption.id);
    if planning.is_working() {
        ui.spinner();
        ui.label("Planning");
        return;
    }
    let stale = planning
        .outcome()
        .and_then(|(_, basis)| basis.stale(revision, view, planning.policy));
    let palette = Palette::of(ui.ctx());
    let text = if planning.outcome().is_some() {
        "Plan again"
    } else {
        "Plan now"
    };
    if ui.button(text).clicked() {
        acts.push(Act::Command(DesignCommand::Plan));
    }
    if let Some(stale) = stale {
        ui.label(RichText::new(format!("⚠ {stale}")).color(palette.warn));
    }
    if let Some((Outcome::Planned { planned, .. }, basis)) = planning.outcome() {
        let mut nodes: Vec<&str> = planned.vms.iter().map(|vm| vm.node.as_str()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        ui.label(format!(
            "{} on {} of {} nodes of {}",
            counted(planned.vms.len(), "VM"),
            nodes.len(),
            basis.view.nodes.len(),
            basis.view.grid.name
        ));
    }
}

fn refusal(ui: &mut Ui, text: &str) {
    let palette = Palette::of(ui.ctx());
    for line in text.lines() {
        match line.strip_prefix("hint: ") {
            Some(hint) => {
                ui.label(RichText::new(format!("Hint: {hint}")).color(palette.text_strong))
            }
            None => ui.label(RichText::new(line).color(palette.bad)),
        };
    }
}

/// Draws VMs at the left and the reasons of one at the right; the one that was clicked.
fn planned_ui(
    ui: &mut Ui,
    assignment: &Assignment,
    vms: &[PlannedVm],
    shown: usize,
    acts: &mut Vec<Act>,
) -> Option<usize> {
    let area = ui.available_rect_before_wrap();
    let (left, right) = area.split_left_right_at_fraction(TABLE_SHARE);
    let table = UiBuilder::new().max_rect(left).id_salt("vms");
    let chosen = ui
        .scope_builder(table, |ui| vm_table(ui, assignment, vms, shown, acts))
        .inner;
    let reasons = UiBuilder::new().max_rect(right.with_min_x(right.min.x + size::GROUP_GAP));
    ui.scope_builder(reasons.id_salt("reasons"), |ui| {
        ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            if let (Some(vm), Some(assigned)) = (vms.get(shown), assignment.vms.get(shown)) {
                reasons_ui(ui, vm, &groups_of(assignment, assigned));
            }
        });
    });
    chosen
}

fn reasons_ui(ui: &mut Ui, vm: &PlannedVm, groups: &str) {
    ui.label(RichText::new(format!("{} goes to {}", vm.name, vm.node)).strong());
    if !groups.is_empty() {
        ui.label(format!("Its groups: {groups}"));
    }
    if !vm.kept_off.is_empty() {
        let places = vm.kept_off.join(", ");
        ui.label(format!(
            "Kept off {places}, where its group would not all fit"
        ));
    }
    if vm.short_of_lenders > 0 {
        let nodes = counted(vm.short_of_lenders, "node");
        ui.label(format!(
            "Kept off {nodes}, whose neighbours have too little disk to lend"
        ));
    }
    if !vm.lenders.is_empty() {
        ui.label("Its remote disk consists of");
    }
    for lender in &vm.lenders {
        let (lent, free) = (disk(lender.size_gib), disk(lender.free_gib));
        ui.label(format!("{}: {lent} of {free} free", lender.node));
    }
    explanation_ui(ui, &vm.explanation);
}

fn vm_table(
    ui: &mut Ui,
    assignment: &Assignment,
    vms: &[PlannedVm],
    shown: usize,
    acts: &mut Vec<Act>,
) -> Option<usize> {
    let mut chosen = None;
    TableBuilder::new(ui)
        .striped(true)
        .column(Column::initial(104.0).clip(true).resizable(true))
        .column(Column::initial(130.0).clip(true).resizable(true))
        .column(Column::remainder().clip(true))
        .header(size::TABLE_ROW, |mut header| {
            for title in ["VM", "Node", "Size"] {
                header.col(|ui| {
                    ui.label(RichText::new(title).weak());
                });
            }
        })
        .body(|body| {
            body.rows(size::TABLE_ROW, vms.len(), |mut row| {
                let place = row.index();
                let (vm, assigned) = (&vms[place], &assignment.vms[place]);
                row.col(|ui| {
                    let name = egui::Button::selectable(place == shown, &vm.name).truncate();
                    if ui.add(name).on_hover_text(&vm.name).clicked() {
                        chosen = Some(place);
                        let component = Item::Component(assigned.component.index());
                        acts.push(Act::Select(Selection::of(component)));
                    }
                });
                row.col(|ui| {
                    ui.add(Label::new(&vm.node).truncate());
                });
                row.col(|ui| {
                    ui.add(Label::new(size_of(assigned)).truncate());
                });
            });
        });
    chosen
}

fn size_of(vm: &AssignedVm) -> String {
    match &vm.spec.demand {
        Demand::Fixed(asked) => format!(
            "{}, {}, {}{}",
            cores(asked.cpu_milli.0),
            mem(asked.mem_mib.0),
            disk(asked.disk_gib.0),
            match vm.remote_disk_gib {
                0 => String::new(),
                remote => format!(", {} remote", disk(remote)),
            }
        ),
        Demand::ShareOfModel(_) => "a share of the node".to_owned(),
    }
}

fn groups_of(assignment: &Assignment, vm: &AssignedVm) -> String {
    let names: Vec<&str> = vm
        .groups
        .iter()
        .map(|group| assignment.groups[group.index()].name.as_str())
        .collect();
    names.join(", ")
}

fn explanation_ui(ui: &mut Ui, explanation: &Explanation) {
    let refused: usize = explanation.refused.iter().map(|by| by.count).sum();
    ui.label(format!(
        "{} could take it, {} refused",
        counted(explanation.fitting, "node"),
        refused
    ));
    scores_ui(ui, explanation);
    ui.add_space(size::GAP);
    for by in &explanation.refused {
        refused_ui(ui, by);
    }
    if let Some(hint) = &explanation.hint {
        ui.label(RichText::new(format!("Hint: {hint}")).strong());
    }
}

fn refused_ui(ui: &mut Ui, by: &RefusedBy) {
    let title = format!("{}: {}", counted(by.count, "node"), by.filter);
    CollapsingHeader::new(title)
        .id_salt(by.filter.key())
        .show(ui, |ui| {
            for node in by.nodes.iter().take(ROWS) {
                ui.label(format!(
                    "{}: asked {}, has {}",
                    node.name, node.asked, node.found
                ));
            }
            if by.count > ROWS {
                ui.label(RichText::new(format!("and {} more", by.count - ROWS)).weak());
            }
        });
}

fn scores_ui(ui: &mut Ui, explanation: &Explanation) {
    if explanation.scores.is_empty() {
        return;
    }
    ui.add_space(size::GAP);
    ui.label(RichText::new(format!("Scores by {}", explanation.policy)).weak());
    egui::Grid::new("scores").striped(true).show(ui, |ui| {
        ui.label(RichText::new("Node").weak());
        for column in &explanation.columns {
            ui.label(RichText::new(column).weak());
        }
        ui.end_row();
        for row in explanation.scores.iter().take(ROWS) {
            let chosen = explanation
                .chosen
                .as_ref()
                .is_some_and(|chosen| chosen.node == row.node);
            let name = RichText::new(&row.name);
            ui.label(if chosen { name.strong() } else { name });
            for value in &row.values {
                ui.label(format!("{value:.4}"));
            }
            ui.end_row();
        }
    });
    if explanation.fitting > ROWS {
        ui.label(RichText::new(format!("and {} more", explanation.fitting - ROWS)).weak());
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
