//! Everything a user can ask of the window, with its text, tooltip and shortcut: it feeds menus, keys and palette.

use crate::window::backend::joining::Joining;
use crate::window::backend::simulated::command::ClockCommand;
use crate::window::design::command::DesignCommand;
use crate::window::files::Purpose;
use crate::window::kept::Page;
use crate::window::theme::ThemeChoice;
use egui::{Key, KeyboardShortcut, Modifiers};
use model::id::{NodeId, OperationId};
use std::path::PathBuf;
use world::fault::Fault;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Go to a page.
    Show(Page),
    /// Ask for a file, then do what it is for.
    Ask(Purpose),
    /// The file that was asked for.
    Chosen(Purpose, PathBuf),
    /// Open a sample grid by its name.
    OpenSample(&'static str),
    /// Open the command palette.
    Palette,
    /// Show all shortcuts.
    Shortcuts,
    /// Show what the window told.
    Log,
    /// Say what the program is.
    About,
    /// Take this theme.
    Theme(ThemeChoice),
    /// Dark to light and back.
    ToggleTheme,
    /// Put away the cards of what went wrong.
    Dismiss,
    /// Stop all background work.
    CancelJobs,
    /// Leave.
    Quit,
    /// Put the cursor into the search box.
    Find,
    /// Show the whole grid.
    Fit,
    /// Nearer.
    ZoomIn,
    /// Further away.
    ZoomOut,
    /// Show or hide the inspector.
    ToggleInspector,
    /// Choose a node and bring it into sight.
    Reveal(NodeId),
    /// Run the trace under the chosen policies.
    Run,
    /// Play or pause the replay.
    Play,
    /// One step on.
    StepForward,
    /// One step back.
    StepBack,
    /// To the start of the run.
    Start,
    /// To the end of the run.
    End,
    /// Show the replayed instant on the Grid page.
    ShowOnGrid,
    /// A command of the Design page.
    Design(DesignCommand),
    /// Show the grid that takes commands, instead of the replay.
    ShowGrid,
    /// Show the live grid whose controller was joined.
    OpenLive,
    /// Ask whose grid is to be joined.
    AskToJoin,
    /// Join it: where its controller listens, and the token.
    Join(Box<Joining>),
    /// A command of the simulated grid's clock.
    Clock(ClockCommand),
    /// Ask something of the grid.
    Submit(Box<control::backend::Command>),
    /// Call an operation of the grid off.
    CallOff(OperationId),
    /// Let something befall the simulated grid.
    Strike(Fault),
}

/// What menus, palette and shortcut sheet show of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Sentence case, `…` where a dialog follows.
    pub text: &'static str,
    /// One sentence.
    pub tooltip: &'static str,
    /// Its key, if any.
    pub shortcut: Option<KeyboardShortcut>,
    /// The page on which it works; `None`: everywhere.
    pub page: Option<Page>,
}

const fn key(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(Modifiers::NONE, key))
}

const fn ctrl(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(Modifiers::COMMAND, key))
}

const fn ctrl_shift(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(
        Modifiers::COMMAND.plus(Modifiers::SHIFT),
        key,
    ))
}

impl Command {
    /// The commands that need nothing more to be carried out, in the order of the palette.
    pub fn catalogue() -> Vec<Self> {
        use Page::{Design, Grid, Lab};
        let mut all = vec![
            Self::Show(Grid),
            Self::Show(Lab),
            Self::Show(Design),
            Self::Ask(Purpose::OpenGrid),
            Self::Ask(Purpose::OpenTrace),
            Self::Ask(Purpose::OpenPolicy),
            Self::Ask(Purpose::OpenDesign),
            Self::Ask(Purpose::SaveDesign),
            Self::Run,
            Self::Play,
            Self::StepForward,
            Self::StepBack,
            Self::Start,
            Self::End,
            Self::ShowOnGrid,
            Self::Ask(Purpose::ExportResults),
            Self::ShowGrid,
            Self::OpenLive,
            Self::AskToJoin,
            Self::Find,
            Self::Fit,
            Self::ZoomIn,
            Self::ZoomOut,
            Self::ToggleInspector,
            Self::Dismiss,
            Self::CancelJobs,
            Self::ToggleTheme,
            Self::Theme(ThemeChoice::System),
            Self::Theme(ThemeChoice::Dark),
            Self::Theme(ThemeChoice::Light),
            Self::Log,
            Self::Palette,
            Self::Shortcuts,
            Self::About,
            Self::Quit,
        ];
        all.extend(ClockCommand::all().map(Self::Clock));
        all.extend(DesignCommand::ALL.into_iter().map(Self::Design));
        all
    }

    /// The page on which its effect shows; `None`: it is wanted wherever it is asked for.
    pub fn leads_to(&self) -> Option<Page> {
        match self {
            // Time passes for all pages.
            Self::Clock(_) => None,
            command => command.describe()?.page,
        }
    }

    /// What to show of it; `None` for commands that carry a node, a path or the like.
    pub fn describe(&self) -> Option<Description> {
        let (text, tooltip, shortcut, page) = match self {
            Self::Show(Page::Grid) => (
                "Go to grid",
                "Show the nodes of the open grid as a heatmap",
                ctrl(Key::Num1),
                None,
            ),
            Self::Show(Page::Lab) => (
                "Go to lab",
                "Try policies on a trace",
                ctrl(Key::Num2),
                None,
            ),
            Self::Show(Page::Design) => (
                "Go to design",
                "Draw a hosting configuration",
                ctrl(Key::Num3),
                None,
            ),
            Self::Ask(purpose) => return Some(purpose.describe()),
            Self::Design(command) => return Some(command.describe()),
            Self::Clock(command) => return Some(command.describe()),
            Self::Palette => (
                "Command palette",
                "Find any command by its name",
                ctrl(Key::P),
                None,
            ),
            Self::Shortcuts => ("Keyboard shortcuts", "Show all keys", key(Key::F1), None),
            Self::Log => (
                "Show log",
                "Show what the window has told so far",
                ctrl_shift(Key::L),
                None,
            ),
            Self::About => ("About Gridwright", "What this program is", None, None),
            Self::Theme(ThemeChoice::System) => (
                "Theme of the desktop",
                "Dark or light as the desktop says",
                None,
                None,
            ),
            Self::Theme(ThemeChoice::Dark) => ("Dark theme", "Light text on dark", None, None),
            Self::Theme(ThemeChoice::Light) => ("Light theme", "Dark text on light", None, None),
            Self::ToggleTheme => (
                "Switch dark and light",
                "From dark to light and back",
                ctrl_shift(Key::T),
                None,
            ),
            Self::Dismiss => (
                "Dismiss messages",
                "Put away all cards at the lower right; Esc puts away the newest",
                ctrl_shift(Key::D),
                None,
            ),
            Self::CancelJobs => (
                "Cancel background work",
                "Stop everything that runs in the background",
                ctrl(Key::Period),
                None,
            ),
            Self::Quit => ("Quit", "Leave the program", ctrl(Key::Q), None),
            Self::Find => (
                "Find nodes",
                "Search by name, site, rack, hypervisor, model or state",
                ctrl(Key::F),
                Some(Page::Grid),
            ),
            Self::Fit => (
                "Fit grid",
                "Show the whole grid",
                key(Key::Num0),
                Some(Page::Grid),
            ),
            Self::ZoomIn => (
                "Zoom in",
                "Show fewer nodes, larger",
                key(Key::Plus),
                Some(Page::Grid),
            ),
            Self::ZoomOut => (
                "Zoom out",
                "Show more nodes, smaller",
                key(Key::Minus),
                Some(Page::Grid),
            ),
            Self::ToggleInspector => (
                "Show or hide inspector",
                "The panel with the chosen node",
                ctrl(Key::I),
                Some(Page::Grid),
            ),
            Self::Run => (
                "Run",
                "Run the trace on the grid under each chosen policy",
                ctrl(Key::Enter),
                Some(Page::Lab),
            ),
            Self::Play => (
                "Play or pause replay",
                "Move the time slider on by itself",
                key(Key::Space),
                Some(Page::Lab),
            ),
            Self::StepForward => (
                "Step forward",
                "One step on in the replay",
                key(Key::ArrowRight),
                Some(Page::Lab),
            ),
            Self::StepBack => (
                "Step back",
                "One step back in the replay",
                key(Key::ArrowLeft),
                Some(Page::Lab),
            ),
            Self::Start => (
                "Go to start of run",
                "The first instant of the replay",
                key(Key::Home),
                Some(Page::Lab),
            ),
            Self::End => (
                "Go to end of run",
                "The last instant of the replay",
                key(Key::End),
                Some(Page::Lab),
            ),
            Self::ShowOnGrid => (
                "Show replay on grid",
                "Show the replayed instant on the Grid page",
                ctrl(Key::G),
                Some(Page::Lab),
            ),
            Self::ShowGrid => (
                "Show grid",
                "Show the grid that takes commands, instead of the replay",
                ctrl_shift(Key::G),
                Some(Page::Grid),
            ),
            Self::OpenLive => (
                "Open live grid",
                "Show the real grid whose controller was joined",
                ctrl_shift(Key::O),
                None,
            ),
            Self::AskToJoin => (
                "Join live grid…",
                "Become an admin of a real grid, by a token of its controller",
                None,
                None,
            ),
            Self::Chosen(..)
            | Self::OpenSample(_)
            | Self::Join(_)
            | Self::Reveal(_)
            | Self::Submit(_)
            | Self::CallOff(_)
            | Self::Strike(_) => return None,
        };
        Some(Description {
            text,
            tooltip,
            shortcut,
            page,
        })
    }
}

/// The command whose key was pressed this frame, if any.
pub fn pressed(ctx: &egui::Context, page: Page) -> Option<Command> {
    let typing = ctx.text_edit_focused();
    let focused = ctx.memory(|memory| memory.focused().is_some());
    let mut keys: Vec<(KeyboardShortcut, Command)> = Command::catalogue()
        .into_iter()
        .filter_map(|command| {
            let description = command.describe()?;
            let here = description.page.is_none_or(|wanted| wanted == page);
            Some((description.shortcut.filter(|_| here)?, command))
        })
        .collect();
    if page == Page::Design {
        // Half of all programs redo by this key, the others by Ctrl+Y.
        let redo = KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
        keys.push((redo, Command::Design(DesignCommand::Redo)));
    }
    // egui takes Ctrl+Shift+Z for a Ctrl+Z too, so the longer ones come first.
    keys.sort_by_key(|(shortcut, _)| !shortcut.modifiers.shift);
    keys.into_iter()
        .find(|(shortcut, _)| {
            let taken = typing && is_for_text(shortcut) || focused && is_for_focus(shortcut);
            !taken && ctx.input_mut(|input| input.consume_shortcut(shortcut))
        })
        .map(|(_, command)| command)
}

/// Whether a key presses the widget that has the focus.
fn is_for_focus(shortcut: &KeyboardShortcut) -> bool {
    !shortcut.modifiers.any() && matches!(shortcut.logical_key, Key::Space | Key::Enter)
}

/// Whether a key means something in a text field.
fn is_for_text(shortcut: &KeyboardShortcut) -> bool {
    let clipboard = matches!(shortcut.logical_key, Key::A | Key::C | Key::V | Key::X);
    let plain = !shortcut.modifiers.any() && !is_function_key(shortcut.logical_key);
    plain || clipboard && shortcut.modifiers == Modifiers::COMMAND
}

/// Function keys never type anything, so they work in text fields too.
fn is_function_key(key: Key) -> bool {
    matches!(key, Key::F1 | Key::F2 | Key::F5 | Key::F11)
}
