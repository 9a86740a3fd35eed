//! The shell: menu bar, rail of pages, status line, overlays; it carries commands to the pages.

mod bars;
mod live;
mod opening;
mod screenshot;

use crate::window::OpenArgs;
use crate::window::backend::Attached;
use crate::window::backend::joining::Joining;
use crate::window::command::{self, Command};
use crate::window::design::DesignPage;
use crate::window::files::{Dialogs, FileQuestion, Purpose};
use crate::window::grid::GridPage;
use crate::window::jobs::{Job, Jobs};
use crate::window::kept::{Kept, Page};
use crate::window::lab::LabPage;
use crate::window::notices::Notices;
use crate::window::overlays::{self, Overlay};
use crate::window::player::Player;
use crate::window::room::Room;
use crate::window::shell::screenshot::Screenshot;
use crate::window::sources::{FIRST_SAMPLE, GridChoice, Trouble};
use crate::window::theme::{self, Palette, ThemeChoice, size};
use client::call::CallError;
use client::live::Live;
use egui::{Context, Frame, Margin, Ui};
use model::grid::Grid;
use model::view::View;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// The whole window.
pub struct Shell {
    /// What is remembered.
    pub kept: Kept,
    /// Background work.
    pub jobs: Jobs,
    /// Messages.
    pub notices: Notices,
    /// The Grid page.
    pub grid: GridPage,
    /// The Lab page.
    pub lab: LabPage,
    /// The Design page.
    pub design: DesignPage,
    /// The replay.
    pub player: Player,
    /// The grid that takes commands.
    pub attached: Option<Attached>,
    /// Whether the replay is shown instead of it.
    shows_replay: bool,
    view: Option<Arc<View>>,
    /// VMs of the view, for the status line; counted once a view, not once a frame.
    vms: usize,
    opening: Option<Job<Result<Arc<Grid>, Trouble>>>,
    /// A live grid that is being reached.
    reaching: Option<Job<Result<Live, CallError>>>,
    /// Where what was joined is kept; `None`: where the user's own is.
    folder: Option<PathBuf>,
    start_sample: bool,
    /// Whether the grid that is being opened is that of the first start.
    opens_first: bool,
    /// Whether to open the sample design.
    start_design: bool,
    overlay: Overlay,
    question: Option<FileQuestion>,
    dialogs: Arc<dyn Dialogs>,
    asks: Vec<Command>,
    screenshot: Option<Screenshot>,
}

impl Shell {
    /// A window as the user left it, with what the command line asked for.
    pub fn new(
        context: &eframe::CreationContext<'_>,
        args: OpenArgs,
        dialogs: Arc<dyn Dialogs>,
        failure: Arc<Mutex<Option<String>>>,
    ) -> Self {
        theme::install(&context.egui_ctx);
        let mut kept = Kept::load(context.storage);
        kept.page = args.page.unwrap_or(kept.page);
        kept.theme = args.theme.unwrap_or(kept.theme);
        kept.theme.apply(&context.egui_ctx);
        let chosen =
            |purpose, path: Option<PathBuf>| path.map(|path| Command::Chosen(purpose, path));
        let start_sample = args.grid.is_none() && args.trace.is_none() && !args.live;
        let start_design = args.design.is_none();
        let asks = [
            chosen(Purpose::OpenGrid, args.grid),
            chosen(Purpose::OpenTrace, args.trace),
            chosen(Purpose::OpenDesign, args.design),
            args.live.then_some(Command::OpenLive),
            args.page.map(Command::Show),
        ];
        Self {
            kept,
            jobs: Jobs::default(),
            notices: Notices::default(),
            grid: GridPage::default(),
            lab: LabPage::default(),
            design: design_page(context),
            player: Player::default(),
            attached: None,
            shows_replay: false,
            view: None,
            vms: 0,
            opening: None,
            reaching: None,
            folder: args.folder,
            start_sample,
            opens_first: false,
            start_design,
            overlay: Overlay::None,
            question: None,
            dialogs,
            asks: asks.into_iter().flatten().collect(),
            screenshot: args.screenshot.map(|path| Screenshot::new(path, failure)),
        }
    }

    /// The same window without the sample run and the sample design at its start.
    pub fn without_sample(mut self) -> Self {
        self.start_sample = false;
        self.start_design = false;
        self
    }

    /// The open grid at the shown instant.
    pub fn view(&self) -> Option<&Arc<View>> {
        self.view.as_ref()
    }

    /// Draws everything; apart from [`eframe::App::ui`] so that tests need no frame.
    pub fn show(&mut self, ui: &mut Ui) {
        let ctx = ui.ctx().clone();
        if self.overlay == Overlay::None && self.question.is_none() {
            self.asks.extend(command::pressed(&ctx, self.kept.page));
        }
        bars::menu_bar(ui, self);
        bars::status_line(ui, self);
        bars::rail(ui, self);
        let palette = Palette::of(&ctx);
        // The canvas and its panels reach to the edges.
        let margin = match self.kept.page {
            Page::Design => 0,
            Page::Grid | Page::Lab => size::PAGE_MARGIN,
        };
        let frame = Frame::NONE
            .fill(palette.ground)
            .inner_margin(Margin::same(margin));
        egui::CentralPanel::no_frame()
            .frame(frame)
            .show(ui, |ui| self.page(ui));
        self.over(&ctx);
        for command in std::mem::take(&mut self.asks) {
            self.carry_out(&ctx, command);
        }
        if let Some(screenshot) = &mut self.screenshot {
            let begins = self.attached.as_ref();
            let begins = begins.is_some_and(|attached| attached.latest().is_none());
            let works = self.jobs.running().next().is_some();
            let busy = begins || works || !self.player.is_settled();
            screenshot.frame(&ctx, busy);
        }
    }

    fn page(&mut self, ui: &mut Ui) {
        let page = self.kept.page;
        let (mut room, pages) = self.split(ui.ctx());
        match page {
            Page::Grid => pages.0.ui(ui, &mut room),
            Page::Lab => pages.1.ui(ui, &mut room),
            Page::Design => pages.2.ui(ui, &mut room),
        }
    }

    fn over(&mut self, ctx: &Context) {
        if let Some(mut question) = self.question.take() {
            let (mut room, _) = self.split(ctx);
            if question.ui(ctx, &mut room) {
                self.question = Some(question);
            }
        }
        self.asks
            .extend(overlays::show(ctx, &mut self.overlay, &self.notices));
        self.asks.extend(overlays::cards(ctx, &mut self.notices));
        overlays::drop_hint(ctx, self.kept.page);
        // After all else: whatever is open over the page, or has the keyboard, takes the key first.
        let free = self.overlay == Overlay::None
            && self.question.is_none()
            && !egui::Popup::is_any_open(ctx)
            && ctx.memory(|memory| memory.focused().is_none());
        if free && ctx.input(|input| input.key_pressed(egui::Key::Escape)) {
            self.notices.open.pop();
        }
    }

    /// Lends the window to a page.
    fn split(
        &mut self,
        ctx: &Context,
    ) -> (Room<'_>, (&mut GridPage, &mut LabPage, &mut DesignPage)) {
        let attached = self.attached.as_ref();
        let live = attached.and_then(Attached::latest);
        let room = Room {
            view: self.view.as_ref(),
            live: live.filter(|_| !self.shows_replay),
            ruled_at: attached.and_then(Attached::address),
            shows_replay: self.shows_replay,
            player: &mut self.player,
            jobs: &mut self.jobs,
            notices: &mut self.notices,
            kept: &mut self.kept,
            palette: Palette::of(ctx),
            asks: &mut self.asks,
        };
        (room, (&mut self.grid, &mut self.lab, &mut self.design))
    }

    /// Does one thing that was asked for.
    pub fn carry_out(&mut self, ctx: &Context, command: Command) {
        if let Some(page) = command.leads_to() {
            self.kept.page = page;
        }
        match command {
            Command::Show(page) => self.kept.page = page,
            Command::Ask(purpose) => {
                let dialogs = Arc::clone(&self.dialogs);
                let (room, _) = self.split(ctx);
                let question = FileQuestion::new(purpose, dialogs, &room);
                self.question = Some(question);
            }
            Command::Chosen(purpose, path) => self.chosen(ctx, purpose, path),
            Command::Palette => self.overlay = Overlay::Palette(Default::default()),
            Command::Shortcuts => self.overlay = Overlay::Shortcuts,
            Command::Log => self.overlay = Overlay::Log,
            Command::About => self.overlay = Overlay::About,
            Command::Theme(choice) => self.set_theme(ctx, choice),
            Command::ToggleTheme => {
                let dark = ctx.theme() == egui::Theme::Dark;
                self.set_theme(
                    ctx,
                    if dark {
                        ThemeChoice::Light
                    } else {
                        ThemeChoice::Dark
                    },
                );
            }
            Command::Dismiss => self.notices.open.clear(),
            Command::CancelJobs => self.jobs.cancel_all(),
            Command::Quit => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
            Command::Design(command) => {
                let (mut room, pages) = self.split(ctx);
                pages.2.command(ctx, command, &mut room);
            }
            Command::OpenSample(name) => self.open_grid(ctx, GridChoice::Sample(name)),
            Command::Clock(command) => self.clock_command(command),
            Command::ShowGrid => self.shows_replay = false,
            Command::OpenLive => self.open_live(ctx),
            Command::AskToJoin => self.overlay = Overlay::Joining(Joining::default()),
            Command::Join(joining) => self.join(ctx, *joining),
            Command::Submit(command) => self.submit(*command),
            Command::CallOff(operation) => self.call_off(operation),
            Command::Strike(fault) => self.strike(fault),
            Command::ShowOnGrid => {
                self.kept.page = Page::Grid;
                self.shows_replay = true;
            }
            Command::Find
            | Command::Fit
            | Command::ZoomIn
            | Command::ZoomOut
            | Command::ToggleInspector
            | Command::Reveal(_) => {
                let (mut room, pages) = self.split(ctx);
                pages.0.command(&command, &mut room);
            }
            Command::Run
            | Command::Play
            | Command::StepForward
            | Command::StepBack
            | Command::Start
            | Command::End => {
                let (mut room, pages) = self.split(ctx);
                pages.1.command(ctx, &command, &mut room);
            }
        }
        ctx.request_repaint();
    }

    fn set_theme(&mut self, ctx: &Context, choice: ThemeChoice) {
        self.kept.theme = choice;
        choice.apply(ctx);
    }

    /// A window is not closed over unsaved changes without a question.
    fn guard_closing(&mut self, ctx: &Context) {
        if ctx.input(|input| input.viewport().close_requested()) && self.design.is_unsaved() {
            ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
            self.kept.page = Page::Design;
            self.design.leave();
        }
    }

    /// Looks after background work; before every frame.
    pub fn tick(&mut self, ctx: &Context) {
        self.notices.set_now(ctx.input(|input| input.time));
        self.take_dropped(ctx);
        self.guard_closing(ctx);
        self.take_grid(ctx);
        self.take_live(ctx);
        self.player.tick(ctx);
        self.tick_live();
        let start_sample = std::mem::take(&mut self.start_sample);
        let start_design = std::mem::take(&mut self.start_design);
        if start_sample {
            self.open_grid(ctx, GridChoice::Sample(FIRST_SAMPLE));
            self.opens_first = true;
        }
        let (mut room, pages) = self.split(ctx);
        if start_sample {
            pages.1.run_sample(ctx, &mut room);
        }
        if start_design {
            pages.2.open_sample(&mut room);
        }
        pages.1.logic(ctx, &mut room);
        pages.2.logic(ctx, &mut room);
        self.jobs.sweep();
    }
}

/// Unsaved designs are kept where the window's own state is; a window without one, as in tests, keeps none.
fn design_page(context: &eframe::CreationContext<'_>) -> DesignPage {
    context
        .storage
        .and_then(|_| eframe::storage_dir("gridwright"))
        .map(|folder| DesignPage::with_recovery(folder.join("recovery")))
        .unwrap_or_default()
}

impl eframe::App for Shell {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.tick(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.show(ui);
    }

    fn raw_input_hook(&mut self, _ctx: &Context, input: &mut egui::RawInput) {
        if self.screenshot.is_some() {
            // Wherever the pointer happens to rest, it is no part of the picture.
            input
                .events
                .retain(|event| !matches!(event, egui::Event::PointerMoved(_)));
        }
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        if self.screenshot.is_none() {
            self.kept.save(storage);
        }
    }

    fn persist_egui_memory(&self) -> bool {
        self.screenshot.is_none()
    }
}
