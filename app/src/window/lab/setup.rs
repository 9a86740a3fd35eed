//! The left panel of the Lab: trace, grid, policies, seed, waiting, Run.

use crate::window::command::Command;
use crate::window::files::Purpose;
use crate::window::room::Room;
use crate::window::sources::{self, GridChoice, Setup, TraceChoice};
use crate::window::theme::{size, title_style};
use crate::window::widgets;
use capacity::run::{Options, Waiting};
use egui::{Frame, Margin, Panel, RichText, ScrollArea, Ui};
use lab::read::Format;
use lab::run::NamedPolicy;
use model::grid::Grid;
use model::samples;
use model::time::Span;
use std::sync::Arc;
use strum::VariantArray;

/// Policies that are chosen at first: two that differ plainly.
const FIRST_POLICIES: [&str; 2] = ["best-fit", "worst-fit"];

/// Minutes that a VM waits at first where VMs wait.
const FIRST_PATIENCE: f64 = 30.0;

/// What becomes of VMs that find no node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitingChoice {
    Refuse,
    ForEver,
    Patience,
}

/// The panel's state.
#[derive(Debug)]
pub struct SetupPanel {
    /// The requests.
    pub trace: TraceChoice,
    /// The nodes.
    pub grid: GridChoice,
    /// The catalogue, and whether each is to be run.
    pub policies: Vec<(NamedPolicy, bool)>,
    seed: u64,
    waiting: WaitingChoice,
    patience_minutes: f64,
}

impl Default for SetupPanel {
    fn default() -> Self {
        let chosen = |policy: NamedPolicy| {
            let chosen = FIRST_POLICIES.contains(&policy.name.as_str());
            (policy, chosen)
        };
        Self {
            trace: TraceChoice::Sample,
            grid: GridChoice::Open,
            policies: sources::policies().into_iter().map(chosen).collect(),
            seed: 1,
            waiting: WaitingChoice::Refuse,
            patience_minutes: FIRST_PATIENCE,
        }
    }
}

impl SetupPanel {
    /// What is to be run; `None` where no policy is chosen.
    pub fn asked(&self, open: Option<Arc<Grid>>) -> Option<Setup> {
        let policies: Vec<_> = self
            .policies
            .iter()
            .filter(|(_, chosen)| *chosen)
            .map(|(policy, _)| policy.clone())
            .collect();
        let waiting = match self.waiting {
            WaitingChoice::Refuse => Waiting::Refuse,
            WaitingChoice::ForEver => Waiting::Queue { patience: None },
            WaitingChoice::Patience => Waiting::Queue {
                patience: Some(Span::from_seconds(self.patience_minutes * 60.0)),
            },
        };
        let options = Options {
            seed: self.seed,
            waiting,
            ..Options::default()
        };
        if policies.is_empty() {
            return None;
        }
        Some(Setup {
            trace: self.trace.clone(),
            grid: self.grid.clone(),
            open,
            policies,
            options,
        })
    }

    /// Adds a user's policy and chooses it; an earlier one of the user's with the same name makes room.
    ///
    /// # Errors
    /// Gives the policy back where one that comes with the program is called so.
    pub fn add(&mut self, policy: NamedPolicy) -> Result<(), NamedPolicy> {
        let ours = sources::policies();
        if ours.iter().any(|known| known.name == policy.name) {
            return Err(policy);
        }
        self.policies.retain(|(known, _)| known.name != policy.name);
        self.policies.push((policy, true));
        Ok(())
    }

    /// The trace, for people.
    pub fn trace_title(&self) -> String {
        match &self.trace {
            TraceChoice::Sample => "Sample trace".to_owned(),
            TraceChoice::File(path, _) => path
                .file_name()
                .unwrap_or(path.as_os_str())
                .to_string_lossy()
                .into_owned(),
        }
    }

    /// Draws the panel; `running` is the share done of a run at work, `None` inside where unknown.
    pub fn ui(&mut self, ui: &mut Ui, room: &mut Room<'_>, running: Option<Option<f32>>) {
        // The button stays in sight however long the list of policies is.
        Panel::bottom("lab run")
            .frame(Frame::NONE.inner_margin(Margin {
                top: 10,
                ..Margin::ZERO
            }))
            .show_separator_line(false)
            .show(ui, |ui| self.run_ui(ui, room, running));
        ScrollArea::vertical().id_salt("lab setup").show(ui, |ui| {
            ui.take_available_width();
            let title = RichText::new("Try policies").text_style(title_style());
            ui.label(title.strong());
            self.trace_ui(ui, room);
            self.grid_ui(ui, room);
            self.policies_ui(ui, room);
            self.options_ui(ui);
        });
    }

    fn run_ui(&self, ui: &mut Ui, room: &mut Room<'_>, running: Option<Option<f32>>) {
        let Some(share) = running else {
            let some = self.policies.iter().any(|(_, chosen)| *chosen);
            ui.vertical_centered_justified(|ui| {
                let text = RichText::new("Run").strong().color(room.palette.on_accent);
                let button = egui::Button::new(text)
                    .fill(room.palette.accent)
                    .min_size(egui::vec2(0.0, 32.0));
                let response = ui.add_enabled(some, button);
                if response.on_hover_text("Run each chosen policy").clicked() {
                    room.ask(Command::Run);
                }
            });
            return;
        };
        ui.horizontal(|ui| {
            let share = share.unwrap_or(0.0);
            ui.add(
                egui::ProgressBar::new(share)
                    .desired_width(ui.available_width() - 96.0)
                    .text(format!("{:.0} %", share * 100.0)),
            );
            if ui.button("Cancel run").clicked() {
                room.ask(Command::CancelJobs);
            }
        });
    }

    fn trace_ui(&mut self, ui: &mut Ui, room: &mut Room<'_>) {
        widgets::section(ui, "Trace");
        let mut choice = matches!(self.trace, TraceChoice::File(..));
        ui.radio_value(&mut choice, false, "Sample trace");
        if !choice {
            self.trace = TraceChoice::Sample;
        }
        if let TraceChoice::File(path, format) = &mut self.trace {
            let name = path
                .file_name()
                .unwrap_or(path.as_os_str())
                .to_string_lossy();
            ui.radio_value(&mut choice, true, name)
                .on_hover_text(path.display().to_string());
            format_picker(ui, format);
        }
        if ui
            .button("Choose file…")
            .on_hover_text("A trace in any known format")
            .clicked()
        {
            room.ask(Command::Ask(Purpose::OpenTrace));
        }
    }

    fn grid_ui(&mut self, ui: &mut Ui, room: &mut Room<'_>) {
        widgets::section(ui, "Grid");
        let open = room
            .view
            .map_or("No grid is open", |view| view.grid.name.as_str())
            .to_owned();
        let title = match &self.grid {
            GridChoice::Open => format!("Open grid, {open}"),
            GridChoice::Sample(name) => samples::grid(name)
                .map_or(*name, |sample| sample.title)
                .to_owned(),
            GridChoice::File(path) => path.display().to_string(),
        };
        let recent = room.kept.recent_grids.clone();
        let combo = egui::ComboBox::from_id_salt("lab grid")
            .width(ui.available_width() - 12.0)
            .selected_text(title)
            .truncate()
            .show_ui(ui, |ui| {
                ui.selectable_value(
                    &mut self.grid,
                    GridChoice::Open,
                    format!("Open grid, {open}"),
                );
                for sample in samples::GRIDS {
                    ui.selectable_value(
                        &mut self.grid,
                        GridChoice::Sample(sample.name),
                        sample.title,
                    )
                    .on_hover_text(sample.about);
                }
                for path in recent {
                    let text = path.display().to_string();
                    ui.selectable_value(&mut self.grid, GridChoice::File(path), text);
                }
            });
        combo.response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::WidgetType::ComboBox, true, "Grid to run on")
        });
    }

    fn policies_ui(&mut self, ui: &mut Ui, room: &mut Room<'_>) {
        widgets::section(ui, "Policies");
        for (policy, chosen) in &mut self.policies {
            let (title, tooltip) = sources::policy_words(&policy.policy);
            ui.checkbox(chosen, title).on_hover_text(tooltip);
        }
        let button = ui.button("Add rule chain…");
        if button
            .on_hover_text("Your own rules, from a TOML file")
            .clicked()
        {
            room.ask(Command::Ask(Purpose::OpenPolicy));
        }
    }

    fn options_ui(&mut self, ui: &mut Ui) {
        widgets::section(ui, "Where no node fits");
        ui.radio_value(&mut self.waiting, WaitingChoice::Refuse, "Refuse at once");
        ui.radio_value(&mut self.waiting, WaitingChoice::ForEver, "Wait for ever");
        ui.horizontal(|ui| {
            ui.radio_value(&mut self.waiting, WaitingChoice::Patience, "Wait at most");
            let minutes = egui::DragValue::new(&mut self.patience_minutes)
                .range(0.1..=100_000.0)
                .suffix(" min");
            let field = ui.add_enabled(self.waiting == WaitingChoice::Patience, minutes);
            let value = self.patience_minutes;
            field.widget_info(|| egui::WidgetInfo {
                label: Some("Longest wait in minutes".into()),
                ..egui::WidgetInfo::drag_value(true, value)
            });
        });
        ui.add_space(size::GAP);
        ui.horizontal(|ui| {
            let label = ui.label("Seed");
            ui.add(egui::DragValue::new(&mut self.seed).speed(0.1))
                .labelled_by(label.id)
                .on_hover_text("Feeds policies that draw lots");
        });
    }
}

fn format_picker(ui: &mut Ui, format: &mut Option<Format>) {
    let title = |format: Option<Format>| match format {
        None => "Format as the file says".to_owned(),
        Some(format) => format.to_string(),
    };
    let combo = egui::ComboBox::from_id_salt("trace format")
        .width(190.0)
        .selected_text(title(*format))
        .show_ui(ui, |ui| {
            ui.selectable_value(format, None, title(None));
            for choice in Format::VARIANTS {
                ui.selectable_value(format, Some(*choice), choice.to_string());
            }
        });
    combo.response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::WidgetType::ComboBox, true, "Trace format")
    });
}
