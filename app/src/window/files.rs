//! Asking for a file: a path field that always works, recent files, and the desktop's own dialog where there is one.

use crate::window::command::{Command, Description};
use crate::window::jobs::{Job, Poll};
use crate::window::kept::Page;
use crate::window::room::Room;
use crate::window::theme::{Palette, size};
use egui::{Key, KeyboardShortcut, Modifiers, RichText};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a file is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Read a grid.
    OpenGrid,
    /// Read a trace.
    OpenTrace,
    /// Read a rule chain.
    OpenPolicy,
    /// Read a design.
    OpenDesign,
    /// Write the design.
    SaveDesign,
    /// Write results into a folder.
    ExportResults,
}

/// What the desktop's dialog has to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browse {
    /// A file that exists.
    Open,
    /// A file to be written.
    Save,
    /// A folder.
    Folder,
}

impl Purpose {
    /// The command that asks for it.
    pub fn describe(self) -> Description {
        let ctrl = |key| Some(KeyboardShortcut::new(Modifiers::COMMAND, key));
        let (text, tooltip, shortcut, page) = match self {
            Self::OpenGrid => (
                "Open grid…",
                "Read a grid from a TOML or CSV file",
                ctrl(Key::O),
                Some(Page::Grid),
            ),
            Self::OpenTrace => (
                "Open trace…",
                "Read VM requests from a file or folder",
                ctrl(Key::O),
                Some(Page::Lab),
            ),
            Self::OpenPolicy => (
                "Add rule chain…",
                "Read a policy of your own rules from a TOML file",
                None,
                Some(Page::Lab),
            ),
            Self::OpenDesign => (
                "Open design…",
                "Read a design from a TOML file",
                ctrl(Key::O),
                Some(Page::Design),
            ),
            Self::SaveDesign => {
                let key = KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::S);
                (
                    "Save design as…",
                    "Write the design to a TOML file",
                    Some(key),
                    Some(Page::Design),
                )
            }
            Self::ExportResults => (
                "Export results…",
                "Write summary, series and plots into a folder",
                ctrl(Key::E),
                Some(Page::Lab),
            ),
        };
        Description {
            text,
            tooltip,
            shortcut,
            page,
        }
    }

    /// What the dialog has to offer.
    pub const fn browse(self) -> Browse {
        match self {
            Self::OpenGrid | Self::OpenTrace | Self::OpenPolicy | Self::OpenDesign => Browse::Open,
            Self::SaveDesign => Browse::Save,
            Self::ExportResults => Browse::Folder,
        }
    }

    /// Endings that such files have; empty: any.
    const fn endings(self) -> &'static [&'static str] {
        match self {
            Self::OpenGrid => &["toml", "csv"],
            Self::OpenPolicy | Self::OpenDesign | Self::SaveDesign => &["toml"],
            Self::OpenTrace | Self::ExportResults => &[],
        }
    }

    const fn button(self) -> &'static str {
        match self.browse() {
            Browse::Open => "Open",
            Browse::Save => "Save",
            Browse::Folder => "Export",
        }
    }
}

/// The desktop's dialogs; blocking, so always asked from a job.
pub trait Dialogs: Send + Sync {
    /// The file chosen; `None` where it was closed, or where the desktop has no dialog.
    fn pick(&self, purpose: Purpose, start: &Path) -> Option<PathBuf>;
}

/// The real ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct DesktopDialogs;

impl Dialogs for DesktopDialogs {
    fn pick(&self, purpose: Purpose, start: &Path) -> Option<PathBuf> {
        let mut dialog = rfd::FileDialog::new().set_title(purpose.describe().text);
        if let Some(folder) = start.parent().filter(|folder| folder.is_dir()) {
            dialog = dialog.set_directory(folder);
        }
        if !purpose.endings().is_empty() {
            dialog = dialog
                .add_filter("Gridwright", purpose.endings())
                .add_filter("All files", &["*"]);
        }
        match purpose.browse() {
            Browse::Open => dialog.pick_file(),
            Browse::Save => dialog.save_file(),
            Browse::Folder => dialog.pick_folder(),
        }
    }
}

/// The question on the screen.
pub struct FileQuestion {
    purpose: Purpose,
    path: String,
    dialogs: Arc<dyn Dialogs>,
    browsing: Option<Job<Option<PathBuf>>>,
    fresh: bool,
    /// An existing file that the user was asked about; saving there again replaces it.
    replacing: Option<PathBuf>,
    /// Why the path of the last answer did not do.
    refused: Option<String>,
}

impl FileQuestion {
    /// Asks, with the last such path filled in.
    pub fn new(purpose: Purpose, dialogs: Arc<dyn Dialogs>, room: &Room<'_>) -> Self {
        Self {
            purpose,
            path: recent(purpose, room)
                .first()
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
            dialogs,
            browsing: None,
            fresh: true,
            replacing: None,
            refused: None,
        }
    }

    /// Asks again, as the path did not do for this reason.
    pub fn again(purpose: Purpose, dialogs: Arc<dyn Dialogs>, path: &Path, reason: String) -> Self {
        Self {
            purpose,
            path: path.display().to_string(),
            dialogs,
            browsing: None,
            fresh: true,
            replacing: None,
            refused: Some(reason),
        }
    }

    /// Draws it; returns whether it is to stay.
    pub fn ui(&mut self, ctx: &egui::Context, room: &mut Room<'_>) -> bool {
        let mut stay = true;
        if let Some(job) = &self.browsing {
            match job.poll() {
                _ if job.progress().is_cancelled() => self.browsing = None,
                Poll::Working => {}
                Poll::Done(Some(path)) => {
                    room.ask(Command::Chosen(self.purpose, path));
                    return false;
                }
                Poll::Done(None) | Poll::Lost => self.browsing = None,
            }
        }
        let response = egui::Modal::new(egui::Id::new("file question")).show(ctx, |ui| {
            ui.set_width(size::DIALOG_WIDTH);
            let title = self.purpose.describe().text.trim_end_matches('…');
            ui.label(
                RichText::new(title)
                    .text_style(crate::window::theme::title_style())
                    .strong(),
            );
            ui.add_space(size::GAP);
            self.path_row(ui, room, &mut stay);
            self.recent_rows(ui, room, &mut stay);
        });
        stay && !response.should_close()
    }

    fn path_row(&mut self, ui: &mut egui::Ui, room: &mut Room<'_>, stay: &mut bool) {
        let caption = if self.purpose.browse() == Browse::Folder {
            "Folder"
        } else {
            "Path"
        };
        let hint = match self.purpose {
            Purpose::OpenTrace => "a path, or synthetic:azure2019?vms=100000",
            Purpose::ExportResults => "a new folder",
            _ => "a path",
        };
        ui.horizontal(|ui| {
            let label = ui.label(caption);
            let field = ui
                .add(
                    egui::TextEdit::singleline(&mut self.path)
                        .hint_text(hint)
                        .desired_width(ui.available_width() - 90.0),
                )
                .labelled_by(label.id);
            if std::mem::take(&mut self.fresh) {
                field.request_focus();
            }
            let busy = self.browsing.is_some();
            if ui
                .add_enabled(!busy, egui::Button::new("Browse…"))
                .on_hover_text("The desktop's own dialog; without one, type the path")
                .clicked()
            {
                let (dialogs, purpose) = (Arc::clone(&self.dialogs), self.purpose);
                let start = PathBuf::from(&self.path);
                self.browsing = Some(room.jobs.start(
                    ui.ctx(),
                    "Waiting for the file dialog",
                    move |_| dialogs.pick(purpose, &start),
                ));
            }
            if field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
                *stay &= !self.accept(room);
            }
        });
        ui.add_space(size::GAP);
        if let Some(reason) = &self.refused {
            let bad = Palette::of(ui.ctx()).bad;
            ui.label(RichText::new(reason).color(bad));
        }
        let asked = self.replacing.as_deref() == Some(Path::new(self.path.trim()));
        if asked {
            let bad = Palette::of(ui.ctx()).bad;
            ui.label(RichText::new("This file exists and would be replaced").color(bad));
        }
        ui.horizontal(|ui| {
            let ready = !self.path.trim().is_empty();
            let button = if asked {
                "Replace"
            } else {
                self.purpose.button()
            };
            if ui.add_enabled(ready, egui::Button::new(button)).clicked() {
                *stay &= !self.accept(room);
            }
            if ui.button("Cancel").clicked() {
                *stay = false;
            }
        });
    }

    fn recent_rows(&mut self, ui: &mut egui::Ui, room: &mut Room<'_>, stay: &mut bool) {
        let recent = recent(self.purpose, room).to_vec();
        if recent.is_empty() || self.purpose.browse() != Browse::Open {
            return;
        }
        ui.add_space(size::GROUP_GAP);
        ui.label(RichText::new("Recent").weak());
        for path in recent {
            let text = path.display().to_string();
            if ui
                .add(egui::Button::new(text).frame(false).truncate())
                .clicked()
            {
                room.ask(Command::Chosen(self.purpose, path));
                *stay = false;
            }
        }
    }

    fn accept(&mut self, room: &mut Room<'_>) -> bool {
        self.refused = None;
        let path = self.path.trim();
        if path.is_empty() {
            return false;
        }
        let existing = Path::new(path);
        let asked = self.replacing.as_deref() == Some(existing);
        if self.purpose.browse() == Browse::Save && !asked && existing.exists() {
            self.replacing = Some(existing.to_owned());
            return false;
        }
        room.ask(Command::Chosen(self.purpose, PathBuf::from(path)));
        true
    }
}

fn recent<'a>(purpose: Purpose, room: &'a Room<'_>) -> &'a [PathBuf] {
    match purpose {
        Purpose::OpenGrid => &room.kept.recent_grids,
        Purpose::OpenTrace => &room.kept.recent_traces,
        Purpose::OpenDesign | Purpose::SaveDesign => &room.kept.recent_designs,
        Purpose::OpenPolicy | Purpose::ExportResults => &[],
    }
}
