//! Commands of the page: whether they would do anything, what they are called now, and what they do.

use super::DesignPage;
use crate::window::design::act::{Act, Source};
use crate::window::design::arrange;
use crate::window::design::canvas::ZOOM_STEP;
use crate::window::design::codec;
use crate::window::design::command::DesignCommand;
use crate::window::design::edit::{Edit, fragment};
use crate::window::design::lower::Tab;
use crate::window::design::questions::LinkQuestion;
use crate::window::design::selection::Selection;
use crate::window::design::snap::GRID;
use crate::window::room::Room;
use egui::{Context, Event, Ui, ViewportCommand};

/// Copies lie this far right of and below what they are copies of.
const COPY_SHIFT: [f32; 2] = [2.0 * GRID, 2.0 * GRID];

impl DesignPage {
    /// What menus call a command now: `Undo move web`.
    pub fn text_of(&self, command: DesignCommand) -> String {
        let text = command.describe().text;
        let step = match command {
            DesignCommand::Undo => self.document.undo_title(),
            DesignCommand::Redo => self.document.redo_title(),
            _ => None,
        };
        step.map_or_else(|| text.to_owned(), |step| format!("{text} {step}"))
    }

    /// Whether a command would do anything now.
    pub fn is_enabled(&self, command: DesignCommand) -> bool {
        let selection = self.document.selection();
        match command {
            DesignCommand::Undo => self.document.undo_title().is_some(),
            DesignCommand::Redo => self.document.redo_title().is_some(),
            DesignCommand::Delete => !selection.is_empty(),
            DesignCommand::Cut
            | DesignCommand::Copy
            | DesignCommand::Duplicate
            | DesignCommand::LinkTo => !selection.components.is_empty(),
            DesignCommand::Rename => selection.components.len() == 1,
            DesignCommand::SelectAll
            | DesignCommand::Arrange
            | DesignCommand::Plan
            | DesignCommand::Deploy => !self.document.design().components.is_empty(),
            DesignCommand::Withdraw => self.standing().is_some(),
            _ => true,
        }
    }

    /// Carries out a command of this page, from a menu, a key or the palette.
    pub fn command(&mut self, ctx: &Context, command: DesignCommand, room: &mut Room<'_>) {
        let asked = self.link.is_some() || self.next.as_ref().is_some_and(|next| !next.saving);
        if asked || !self.is_enabled(command) {
            return;
        }
        let selection = self.document.selection().clone();
        match command {
            DesignCommand::New => self.want(Source::Empty, room),
            DesignCommand::Save => self.save(room),
            DesignCommand::Undo => {
                self.document.undo();
                self.inspector.forget();
            }
            DesignCommand::Redo => {
                self.document.redo();
                self.inspector.forget();
            }
            DesignCommand::Cut => {
                self.copy(ctx, &selection);
                self.edit(&Edit::Delete(selection));
            }
            DesignCommand::Copy => self.copy(ctx, &selection),
            DesignCommand::Paste => ctx.send_viewport_cmd(ViewportCommand::RequestPaste),
            DesignCommand::Duplicate => {
                let fragment = fragment(self.document.design(), &selection);
                self.edit(&Edit::Insert {
                    fragment,
                    by: COPY_SHIFT,
                    verb: "duplicate",
                });
            }
            DesignCommand::Delete => self.edit(&Edit::Delete(selection)),
            DesignCommand::SelectAll => {
                self.document.select(Selection::all(self.document.design()))
            }
            DesignCommand::Rename => self.inspector.rename(),
            DesignCommand::LinkTo => {
                self.link = Some(LinkQuestion::new(
                    selection.components.into_iter().collect(),
                ))
            }
            DesignCommand::Arrange => self.arrange(),
            DesignCommand::Fit => self.canvas.fit(),
            DesignCommand::ZoomIn => self.canvas.zoom(ZOOM_STEP),
            DesignCommand::ZoomOut => self.canvas.zoom(1.0 / ZOOM_STEP),
            DesignCommand::Plan => {
                self.tab = Tab::Plan;
                self.planning.start(ctx, &self.document, room);
            }
            DesignCommand::Deploy => self.deploy(ctx, room),
            DesignCommand::Withdraw => self.withdraw(),
            DesignCommand::Problems => self.tab = Tab::Problems,
        }
        ctx.request_repaint();
    }

    pub(super) fn arrange(&mut self) {
        let places = arrange::left_to_right(self.document.design());
        self.edit(&Edit::Place(places.into_iter().enumerate().collect()));
        self.refresh();
        self.canvas.fit();
    }

    pub(super) fn copy(&self, ctx: &Context, selection: &Selection) {
        let copied = fragment(self.document.design(), selection);
        if !copied.components.is_empty() {
            ctx.copy_text(codec::to_text(&copied));
        }
    }

    /// Desktops turn Ctrl+C, X and V into events of their own.
    pub(super) fn clipboard(&self, ui: &Ui, acts: &mut Vec<Act>) {
        if ui.ctx().text_edit_focused() || ui.memory(|memory| memory.top_modal_layer().is_some()) {
            return;
        }
        for event in ui.input(|input| input.events.clone()) {
            match event {
                Event::Copy => acts.push(Act::Command(DesignCommand::Copy)),
                Event::Cut => acts.push(Act::Command(DesignCommand::Cut)),
                Event::Paste(text) => {
                    // Other programs' texts are no fault of the user's.
                    if let Ok(fragment) = codec::from_text("clipboard", &text)
                        && !fragment.components.is_empty()
                    {
                        acts.push(Act::Edit(Edit::Insert {
                            fragment,
                            by: COPY_SHIFT,
                            verb: "paste",
                        }));
                    }
                }
                _ => {}
            }
        }
    }
}
