//! Designs come and go: open, save, recovery, and the questions before changes would be lost.

use super::{DesignPage, JOURNAL_SECONDS, Next};
use crate::window::command::Command;
use crate::window::design::act::{Act, Source};
use crate::window::design::codec;
use crate::window::design::document::Document;
use crate::window::design::lower::Tab;
use crate::window::design::problems::problems;
use crate::window::design::questions::{Answer, Goal, leftover_ui, unsaved_ui};
use crate::window::design::storage::{self, StorageError};
use crate::window::files::Purpose;
use crate::window::room::Room;
use egui::{Context, Ui, ViewportCommand};
use model::design::Design;
use model::samples::DESIGNS;
use std::path::Path;
use std::sync::Arc;

impl DesignPage {
    /// Opens a file that the user chose or dropped.
    pub fn open(&mut self, ctx: &Context, path: &Path, room: &mut Room<'_>) {
        self.want(Source::File(path.to_owned()), room);
        ctx.request_repaint();
    }

    /// Shows the first sample, so that nobody starts before an empty canvas.
    pub fn open_sample(&mut self, room: &mut Room<'_>) {
        self.want(Source::Sample(0), room);
    }

    /// Writes the design to a file that the user chose.
    ///
    /// # Errors
    /// Why it was not written, for people; whoever asked for the path asks again.
    pub fn save_as(
        &mut self,
        ctx: &Context,
        path: &Path,
        room: &mut Room<'_>,
    ) -> Result<(), String> {
        self.write(path, room)?;
        if let Some(next) = self.next.take_if(|next| next.saving)
            && !self.document.is_modified()
        {
            self.reach(ctx, next.goal, room);
        }
        ctx.request_repaint();
        Ok(())
    }

    pub(super) fn offer_leftover(&mut self, ui: &mut Ui) {
        let Some(leftover) = self.leftovers.first() else {
            return;
        };
        // Recovering must not cost what is being drawn now.
        if self.document.is_modified() {
            return;
        }
        match leftover_ui(ui, leftover) {
            None => {}
            Some(Answer::Cancel) => self.leftovers.clear(),
            Some(answer) => {
                let leftover = self.leftovers.remove(0);
                if answer == Answer::Save {
                    self.replace(Document::recovered(
                        leftover.design.clone(),
                        leftover.origin.clone(),
                    ));
                    // Kept under this window's name before the old file goes.
                    self.journal_now();
                }
                storage::forget_leftover(&leftover);
            }
        }
    }

    pub(super) fn questions(&mut self, ctx: &Context, room: &mut Room<'_>, acts: &mut Vec<Act>) {
        if let Some(mut link) = self.link.take()
            && link.ui(ctx, self.document.design(), acts)
        {
            self.link = Some(link);
        }
        let Some(next) = self.next.clone().filter(|next| !next.saving) else {
            return;
        };
        match unsaved_ui(ctx, self.title().trim_end_matches(" •"), &next.goal) {
            None => {}
            Some(Answer::Cancel) => self.next = None,
            Some(Answer::Discard) => {
                self.next = None;
                self.reach(ctx, next.goal, room);
            }
            Some(Answer::Save) => {
                if self.document.path().is_none() {
                    self.next = Some(Next {
                        saving: true,
                        ..next
                    });
                    room.ask(Command::Ask(Purpose::SaveDesign));
                } else {
                    self.next = None;
                    self.save(room);
                    if !self.document.is_modified() {
                        self.reach(ctx, next.goal, room);
                    }
                }
            }
        }
    }

    /// Takes another design, after a question where changes would be lost.
    pub(super) fn want(&mut self, source: Source, room: &mut Room<'_>) {
        if self.document.is_modified() {
            self.next = Some(Next {
                goal: Goal::Open(source),
                saving: false,
            });
        } else {
            self.load(source, room);
        }
    }

    /// Goes on, once nothing is lost that the user wants to keep.
    fn reach(&mut self, ctx: &Context, goal: Goal, room: &mut Room<'_>) {
        match goal {
            Goal::Open(source) => self.load(source, room),
            Goal::Leave => {
                self.left = true;
                if let Some(journal) = &self.journal {
                    journal.forget();
                }
                ctx.send_viewport_cmd(ViewportCommand::Close);
            }
        }
    }

    pub(super) fn load(&mut self, source: Source, room: &mut Room<'_>) {
        match source {
            Source::Empty => self.replace(Document::default()),
            Source::Sample(place) => {
                let sample = &DESIGNS[place];
                let design =
                    codec::from_text(sample.name, sample.text).expect("samples are read by a test");
                self.replace(Document::new(design, None));
            }
            Source::File(path) => match storage::read(&path) {
                Ok(design) => {
                    let count = problems(&design).len();
                    self.replace(Document::new(design, Some(path)));
                    if count > 0 {
                        self.tab = Tab::Problems;
                    }
                }
                Err(StorageError::Faulty(faults)) => {
                    let details = faults.0.iter().map(ToString::to_string).collect();
                    room.notices.error(
                        format!("{} is no design; the open one stays", path.display()),
                        details,
                    );
                }
                Err(error) => room.notices.error(error.to_string(), Vec::new()),
            },
        }
    }

    pub(super) fn replace(&mut self, document: Document) {
        self.document = document;
        self.inspector.forget();
        self.planning.forget();
        self.shown = None;
        self.refresh();
        self.canvas.fit();
        if let Some(journal) = &self.journal {
            journal.forget();
        }
        self.journalled.0 = self.document.revision();
    }

    pub(super) fn save(&mut self, room: &mut Room<'_>) {
        match self.document.path().map(Path::to_owned) {
            Some(path) => {
                if let Err(reason) = self.write(&path, room) {
                    room.notices.error(reason, Vec::new());
                }
            }
            None => room.ask(Command::Ask(Purpose::SaveDesign)),
        }
    }

    fn write(&mut self, path: &Path, room: &mut Room<'_>) -> Result<(), String> {
        let design: Arc<Design> = Arc::clone(self.document.design());
        storage::write(path, &design).map_err(|error| error.to_string())?;
        self.document.mark_saved(path.to_owned(), design);
        if let Some(journal) = &self.journal {
            journal.forget();
        }
        room.notices.info(format!("Saved {}", path.display()));
        Ok(())
    }

    pub(super) fn keep_journal(&mut self, ctx: &Context, room: &mut Room<'_>) {
        let (revision, at) = self.journalled;
        if self.journal.is_none() || revision == self.document.revision() {
            return;
        }
        let now = ctx.input(|input| input.time);
        if self.document.in_gesture() && now - at < JOURNAL_SECONDS {
            ctx.request_repaint_after_secs(JOURNAL_SECONDS as f32);
            return;
        }
        self.journalled.1 = now;
        if let Some(problem) = self.journal_now() {
            room.notices.info(problem);
        }
    }

    /// Keeps unsaved changes aside; in words why it could not.
    pub(super) fn journal_now(&mut self) -> Option<String> {
        let journal = self.journal.as_ref()?;
        self.journalled.0 = self.document.revision();
        if !self.document.is_modified() {
            journal.forget();
            return None;
        }
        let kept = journal.keep(self.document.design(), self.document.path());
        kept.err()
            .map(|error| format!("unsaved changes could not be kept for recovery: {error}"))
    }
}
