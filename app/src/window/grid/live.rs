//! The grid that takes commands on the Grid page: its clock, its panels, and questions before something is
//! asked of it.

use super::GridPage;
use super::actions::{Confirm, MoveQuestion, Wanted};
use crate::instant::in_words;
use crate::window::backend::panels::{Tab, panel_ui, tabs_ui};
use crate::window::backend::simulated::bar::{clock_ui, trouble_menu};
use crate::window::backend::simulated::trouble::Length;
use crate::window::backend::snapshot::Snapshot;
use crate::window::command::Command;
use crate::window::room::Room;
use crate::window::theme::size;
use egui::{Align, Context, Frame, Layout, Margin, Panel, RichText, Ui};
use model::id::VmId;

/// The first height of the panel of operations and events.
const PANEL_HEIGHT: f32 = 200.0;
/// Its least height.
const PANEL_LEAST: f32 = 90.0;

/// The page's state about it.
#[derive(Debug, Default)]
pub(super) struct LivePart {
    tab: Tab,
    length: Length,
    /// The chosen VM.
    pub vm: Option<VmId>,
    question: Option<Question>,
}

/// What is asked before something is done.
#[derive(Debug)]
enum Question {
    /// Whether it is meant.
    Confirm(Confirm),
    /// Where a VM is to move.
    Move(MoveQuestion),
}

impl GridPage {
    /// Draws what lies below the heatmap: the clock of the grid that is shown, and its panels.
    pub(super) fn below(&mut self, ui: &mut Ui, room: &mut Room<'_>) {
        let above = Frame::NONE.inner_margin(Margin {
            top: 8,
            ..Margin::ZERO
        });
        let Some(live) = room.live.cloned() else {
            if room.player.is_loaded() {
                Panel::bottom("grid replay")
                    .frame(above)
                    .show_separator_line(false)
                    .show(ui, |ui| replay(ui, room));
            }
            return;
        };
        Panel::bottom("grid clock")
            .frame(above)
            .show_separator_line(false)
            .show(ui, |ui| match &live.clock {
                Some(clock) => clock_ui(ui, &live, clock, room),
                None => reached_ui(ui, &live, room),
            });
        let panel = match self.live.tab {
            Tab::Folded => Panel::bottom("grid tabs")
                .resizable(false)
                .show_separator_line(false),
            Tab::Operations | Tab::Events => Panel::bottom("grid panel")
                .resizable(true)
                .default_size(PANEL_HEIGHT)
                .min_size(PANEL_LEAST),
        };
        panel.frame(above).show(ui, |ui| {
            ui.horizontal(|ui| {
                tabs_ui(ui, &mut self.live.tab, &live);
                if live.clock.is_some() {
                    trouble_menu(ui, &live, self.chosen, &mut self.live.length, room);
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if room.player.is_loaded() {
                        switch(ui, "Replay", Command::ShowOnGrid, room);
                    }
                });
            });
            if self.live.tab != Tab::Folded {
                ui.add_space(size::GAP);
                panel_ui(ui, self.live.tab, &live, room);
            }
        });
    }

    /// Does what was wanted of a node or a VM, or asks whether it is meant.
    pub(super) fn want(&mut self, wanted: Wanted, room: &mut Room<'_>) {
        match wanted {
            Wanted::Ask(command) => room.ask(Command::Submit(Box::new(command))),
            Wanted::Confirm(confirm) => self.live.question = Some(Question::Confirm(confirm)),
            Wanted::MoveTo(vm) => {
                self.live.question = Some(Question::Move(MoveQuestion::new(vm)));
            }
        }
    }

    /// Draws what is being asked.
    pub(super) fn questions(&mut self, ctx: &Context, room: &mut Room<'_>) {
        let Some(live) = room.live.cloned() else {
            self.live.question = None;
            return;
        };
        let stays = match &mut self.live.question {
            None => true,
            Some(Question::Confirm(confirm)) => confirm.ui(ctx, room),
            Some(Question::Move(question)) => question.ui(ctx, &live, room),
        };
        if !stays {
            self.live.question = None;
        }
    }
}

/// Tells of when what is shown is, and why it is no newer.
fn reached_ui(ui: &mut Ui, live: &Snapshot, room: &mut Room<'_>) {
    ui.horizontal(|ui| {
        let at = room.ruled_at.unwrap_or_default();
        ui.label(RichText::new(in_words(live.at)).monospace())
            .on_hover_text("When this was last seen to change, in UTC");
        match &live.trouble {
            None => ui.label(RichText::new(format!("live, ruled at {at}")).weak()),
            Some(trouble) => {
                let text = format!("{at} is not reached, {trouble}");
                let label =
                    egui::Label::new(RichText::new(text).color(room.palette.bad)).truncate();
                ui.add(label).on_hover_text(trouble)
            }
        };
    });
}

fn replay(ui: &mut Ui, room: &mut Room<'_>) {
    if room.shows_replay {
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                switch(ui, "Grid", Command::ShowGrid, room);
            });
        });
    }
    room.player.ui(ui);
}

/// A button that shows the other source.
fn switch(ui: &mut Ui, text: &str, command: Command, room: &mut Room<'_>) {
    let Some(description) = command.describe() else {
        return;
    };
    let button = ui.button(text).on_hover_text(description.tooltip);
    button.widget_info(|| {
        egui::WidgetInfo::labeled(egui::WidgetType::Button, true, description.text)
    });
    if button.clicked() {
        room.ask(command);
    }
}
