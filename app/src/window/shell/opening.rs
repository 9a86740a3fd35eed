//! Files and grids that are opened, by a dialog, a drop or a command.

use crate::window::command::Command;
use crate::window::files::{FileQuestion, Purpose};
use crate::window::jobs::Poll;
use crate::window::kept::{Page, remember};
use crate::window::shell::Shell;
use crate::window::sources::{self, GridChoice};
use egui::Context;
use model::view::View;
use std::path::PathBuf;
use std::sync::Arc;

impl Shell {
    pub(super) fn chosen(&mut self, ctx: &Context, purpose: Purpose, path: PathBuf) {
        if purpose == Purpose::OpenGrid {
            remember(&mut self.kept.recent_grids, path.clone());
            self.kept.page = Page::Grid;
            self.open_grid(ctx, GridChoice::File(path));
            return;
        }
        let (mut room, (_, lab, design)) = self.split(ctx);
        match purpose {
            Purpose::OpenGrid => {}
            Purpose::OpenTrace => {
                room.kept.page = Page::Lab;
                lab.choose_trace(path.clone());
                remember(&mut room.kept.recent_traces, path);
            }
            Purpose::OpenDesign => {
                room.kept.page = Page::Design;
                design.open(ctx, &path, &mut room);
                remember(&mut room.kept.recent_designs, path);
            }
            Purpose::SaveDesign => match design.save_as(ctx, &path, &mut room) {
                Ok(()) => remember(&mut room.kept.recent_designs, path),
                Err(reason) => {
                    let dialogs = Arc::clone(&self.dialogs);
                    self.question = Some(FileQuestion::again(purpose, dialogs, &path, reason));
                }
            },
            Purpose::OpenPolicy => lab.open_policy(ctx, path, &mut room),
            Purpose::ExportResults => lab.export(ctx, path, &mut room),
        }
    }

    /// Reads a grid in the background; the replay, if any, makes room for it.
    pub(super) fn open_grid(&mut self, ctx: &Context, choice: GridChoice) {
        let name = match &choice {
            GridChoice::File(path) => format!("Opening {}", path.display()),
            GridChoice::Sample(name) => format!("Opening the sample {name}"),
            GridChoice::Open => return,
        };
        let job = self
            .jobs
            .start(ctx, name, move |_| sources::open_grid(&choice, None));
        self.opening = Some(job);
    }

    /// Shows an instant of a grid.
    pub fn show_view(&mut self, view: Arc<View>) {
        if self
            .view
            .as_ref()
            .is_none_or(|shown| !Arc::ptr_eq(shown, &view))
        {
            self.vms = view.nodes.iter().map(|node| node.vms.len()).sum();
            self.view = Some(view);
        }
    }

    pub(super) fn take_grid(&mut self, ctx: &Context) {
        let Some(job) = &self.opening else {
            return;
        };
        match job.poll() {
            // Its thread reads on to the end of the file, for nobody.
            _ if job.progress().is_cancelled() => {
                self.notices.info("Opening the grid was cancelled");
            }
            Poll::Working => return,
            Poll::Done(Ok(grid)) => {
                self.notices
                    .info(format!("Opened {}: {} nodes", grid.name, grid.nodes.len()));
                // What the Lab has run for the first start is of this very grid.
                let is_first = std::mem::take(&mut self.opens_first);
                if !is_first {
                    self.player.unload();
                }
                self.show_view(Arc::new(View::empty(Arc::clone(&grid))));
                let tenants = match is_first {
                    true => sources::tenants(),
                    false => Vec::new(),
                };
                self.simulate(ctx, grid, tenants);
                self.grid.chosen = None;
            }
            Poll::Done(Err(trouble)) => self.notices.error(trouble.text, trouble.details),
            Poll::Lost => self.notices.error("The grid was not opened", Vec::new()),
        }
        self.opening = None;
    }

    /// A dropped file goes to the page that is shown.
    pub(super) fn take_dropped(&mut self, ctx: &Context) {
        let dropped = ctx.input(|input| input.raw.dropped_files.clone());
        let purpose = match self.kept.page {
            Page::Grid => Purpose::OpenGrid,
            Page::Lab => Purpose::OpenTrace,
            Page::Design => Purpose::OpenDesign,
        };
        let paths = dropped.iter().map(|file| file.path().to_owned());
        self.asks
            .extend(paths.map(|path| Command::Chosen(purpose, path)));
    }
}
