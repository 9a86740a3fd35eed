//! The design goes on to the grid that takes commands, and comes off it.

use super::DesignPage;
use crate::window::backend::snapshot::Snapshot;
use crate::window::command::Command;
use crate::window::design::difference::Difference;
use crate::window::design::lower::Tab;
use crate::window::design::planning::Outcome;
use crate::window::room::Room;
use crate::window::theme::{Palette, size, title_style};
use control::backend::{self, Refused};
use control::shown::VmShown;
use egui::{Context, Id, Modal, RichText, ScrollArea, Ui};
use std::sync::Arc;

/// Names of VMs that are listed of each kind of change.
const LISTED: usize = 12;

/// What the page is about to ask of the grid.
#[derive(Debug, Default)]
pub(super) struct Deploying {
    /// The grid, while it takes commands.
    pub live: Option<Arc<Snapshot>>,
    /// The design is deployed once it is planned.
    waits_for_plan: bool,
    question: Option<Question>,
}

/// What is asked before it is done.
#[derive(Debug)]
enum Question {
    /// Whether the design is to change so.
    Change(Difference, Box<backend::Command>),
    /// Whether it is to go, with so many VMs.
    Withdraw(usize),
}

impl DesignPage {
    /// The VMs of the design as it stands on the grid; `None`: it does not.
    pub(super) fn standing(&self) -> Option<Vec<&VmShown>> {
        let design = self.document.design();
        let live = self.deploying.live.as_deref()?;
        live.design(&design.tenant, &design.name)?;
        Some(live.vms_of(&design.tenant, &design.name).collect())
    }

    /// Deploys the design by its plan, which is made first where there is none that holds.
    pub(super) fn deploy(&mut self, ctx: &Context, room: &mut Room<'_>) {
        if room.live.is_none() {
            let refused = Refused::ReadOnly;
            let hint = format!("hint: {}", refused.hint());
            room.notices.error(refused.to_string(), vec![hint]);
            return;
        }
        self.tab = Tab::Plan;
        let (revision, policy) = (self.document.revision(), self.planning.policy);
        let outcome = self.planning.outcome();
        let holds =
            outcome.is_some_and(|(_, basis)| basis.stale(revision, room.view, policy).is_none());
        if holds {
            self.deploy_planned(room);
        } else {
            self.deploying.waits_for_plan = true;
            self.planning.start(ctx, &self.document, room);
        }
    }

    /// Asks whether the design is to go.
    pub(super) fn withdraw(&mut self) {
        if let Some(standing) = self.standing() {
            let vms = standing.len();
            self.deploying.question = Some(Question::Withdraw(vms));
        }
    }

    /// Goes on once there is a plan; before every frame.
    pub(super) fn deploy_when_planned(&mut self, room: &mut Room<'_>) {
        self.deploying.live = room.live.cloned();
        if self.deploying.waits_for_plan && !self.planning.is_working() {
            self.deploying.waits_for_plan = false;
            self.deploy_planned(room);
        }
    }

    fn deploy_planned(&mut self, room: &mut Room<'_>) {
        // Why there is no plan stands where it would.
        let Some((
            Outcome::Planned {
                assignment,
                planned,
            },
            _,
        )) = self.planning.outcome()
        else {
            return;
        };
        let design = Box::new(self.document.design().as_ref().clone());
        let standing = self.standing();
        let difference = standing.map(|standing| Difference::of(&standing, assignment));
        // A plan names nodes for all VMs; of a design that stands only some are to be placed, beside
        // the others, and the controller knows those.
        let plan = match difference {
            Some(_) => None,
            None => Some(planned.plan.clone()),
        };
        let command = Box::new(backend::Command::Deploy { design, plan });
        match difference {
            Some(difference) => {
                self.deploying.question = Some(Question::Change(difference, command));
            }
            None => room.ask(Command::Submit(command)),
        }
    }

    /// Draws what is asked.
    pub(super) fn deploy_questions(&mut self, ctx: &Context, room: &mut Room<'_>) {
        let name = self.document.design().name.clone();
        let (title, yes) = match &self.deploying.question {
            None => return,
            Some(Question::Change(..)) => (format!("Change {name} where it stands?"), "Change it"),
            Some(Question::Withdraw(_)) => (format!("Withdraw {name}?"), "Withdraw it"),
        };
        let mut answer = None;
        let modal = Modal::new(Id::new("deploy question")).show(ctx, |ui| {
            ui.set_width(size::DIALOG_WIDTH);
            ui.label(RichText::new(title).text_style(title_style()).strong());
            ui.add_space(size::GAP);
            let mut is_void = false;
            match &self.deploying.question {
                None => {}
                Some(Question::Change(difference, _)) => {
                    difference_ui(ui, difference);
                    is_void = difference.is_empty();
                }
                Some(Question::Withdraw(vms)) => {
                    let text = format!("All of its {vms} VMs are deleted, and their disks wiped.");
                    ui.label(text);
                }
            }
            ui.add_space(size::GROUP_GAP);
            ui.horizontal(|ui| {
                if ui.add_enabled(!is_void, egui::Button::new(yes)).clicked() {
                    answer = Some(true);
                }
                if ui.button("Leave it").clicked() {
                    answer = Some(false);
                }
            });
        });
        let answer = answer.or(modal.should_close().then_some(false));
        let Some(is_meant) = answer else {
            return;
        };
        let question = self.deploying.question.take();
        if let (true, Some(question)) = (is_meant, question) {
            let command = match question {
                Question::Change(_, command) => command,
                Question::Withdraw(_) => Box::new(backend::Command::Withdraw {
                    tenant: self.document.design().tenant.clone(),
                    design: name,
                }),
            };
            room.ask(Command::Submit(command));
        }
    }

    /// Tells how the design stands, in the toolbar.
    pub(super) fn standing_ui(&self, ui: &mut Ui) {
        let Some(standing) = self.standing() else {
            return;
        };
        let palette = Palette::of(ui.ctx());
        let running = standing.iter().filter(|vm| vm.is_running()).count();
        let all = standing.len();
        let colour = match running == all {
            true => palette.good,
            false => palette.warn,
        };
        let text = format!("{running} of {all} VMs run");
        ui.label(RichText::new(text).color(colour))
            .on_hover_text("It is deployed on the open grid");
    }
}

fn difference_ui(ui: &mut Ui, difference: &Difference) {
    if difference.is_empty() {
        ui.label("It stands as it is drawn; there is nothing to change.");
        return;
    }
    let palette = Palette::of(ui.ctx());
    let resized = difference.resized.iter();
    let resized: Vec<String> = resized
        .map(|(name, sizes)| format!("{name}: {sizes}"))
        .collect();
    ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
        for (word, names, colour) in [
            ("made", &difference.made, palette.good),
            ("resized", &resized, palette.warn),
            (
                "deleted, with what is on their disks",
                &difference.deleted,
                palette.bad,
            ),
        ] {
            if names.is_empty() {
                continue;
            }
            let text = format!("{} to be {word}", names.len());
            ui.label(RichText::new(text).color(colour).strong());
            for name in names.iter().take(LISTED) {
                ui.label(name);
            }
            if names.len() > LISTED {
                let more = format!("and {} more", names.len() - LISTED);
                ui.label(RichText::new(more).weak());
            }
            ui.add_space(size::GAP);
        }
    });
    let kept = format!("{} stay as they are.", difference.kept);
    ui.label(RichText::new(kept).weak());
}
