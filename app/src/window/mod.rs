//! The window: rooms (pages), each with its state, its drawing and its commands, and the shell around them.
//!
//! In reading order:
//!
//! - [`command`]: everything a user can ask, with text, tooltip and shortcut
//! - [`shell`]: menus, rail, status line, palette; carries commands to the pages
//! - [`room`]: what a page may use of the shell
//! - [`grid`], [`lab`], [`design`]: the pages
//! - [`jobs`], [`notices`], [`files`], [`kept`]: background work, messages, asking for files, what is remembered
//! - [`player`]: a replayed run and its time slider
//! - [`backend`]: the grid that takes commands, simulated or live
//! - [`sources`]: the one door to samples, readers and runs
//! - [`theme`], [`widgets`]: every colour, size and font; small widgets that pages share
//!
//! ```text
//!  keys, menus, palette ──Command──▶ shell ──▶ page.command()
//!                                      ▲            │ starts jobs, changes state
//!        page.ui(&View) ──asks─────────┘            ▼
//!                                        job's thread ──result, request_repaint──▶ page.logic()
//! ```

pub mod backend;
pub mod command;
pub mod design;
pub mod files;
pub mod grid;
pub mod jobs;
pub mod kept;
pub mod lab;
pub mod notices;
pub mod overlays;
pub mod player;
pub mod room;
pub mod shell;
pub mod sources;
pub mod theme;
pub mod widgets;

use crate::window::files::DesktopDialogs;
use crate::window::kept::Page;
use crate::window::shell::Shell;
use crate::window::theme::{ThemeChoice, size};
use std::path::PathBuf;
use std::sync::Arc;

/// What the window starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenArgs {
    /// A grid to open instead of the sample.
    pub grid: Option<PathBuf>,
    /// A trace to choose in the Lab.
    pub trace: Option<PathBuf>,
    /// A design to open.
    pub design: Option<PathBuf>,
    /// Whether to open the live grid that was joined.
    pub live: bool,
    /// Where what was joined is kept; `None`: where the user's own is.
    pub folder: Option<PathBuf>,
    /// The page to show; `None`: the one shown last.
    pub page: Option<Page>,
    /// The theme; `None`: as last time.
    pub theme: Option<ThemeChoice>,
    /// Draw the window into this PNG once all work is done, then leave.
    pub screenshot: Option<PathBuf>,
}

/// Why there is no window.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No display, no graphics.
    #[error(
        "no window could be opened\nhint: without a desktop, use `gridwright simulate`, or run under `xvfb-run`"
    )]
    Window(#[source] eframe::Error),
    /// The screenshot could not be written.
    #[error("the screenshot was not written: {0}")]
    Screenshot(String),
}

/// Opens the window and returns when it is closed.
///
/// # Errors
/// Where the desktop gives no window, or the screenshot asked for cannot be written.
pub fn open(args: OpenArgs) -> Result<(), OpenError> {
    let failure = Arc::new(std::sync::Mutex::new(None));
    let told = Arc::clone(&failure);
    let mut viewport = egui::ViewportBuilder::default()
        .with_app_id("gridwright")
        .with_title("Gridwright")
        .with_inner_size(size::WINDOW)
        .with_min_inner_size(size::WINDOW_MIN)
        .with_drag_and_drop(true);
    if args.screenshot.is_some() {
        viewport = viewport.with_position([0.0, 0.0]);
    }
    let options = eframe::NativeOptions {
        viewport,
        renderer: eframe::Renderer::Glow,
        persist_window: args.screenshot.is_none(),
        ..Default::default()
    };
    eframe::run_native(
        "gridwright",
        options,
        Box::new(move |context| {
            let dialogs = Arc::new(DesktopDialogs);
            Ok(Box::new(Shell::new(context, args, dialogs, told)))
        }),
    )
    .map_err(OpenError::Window)?;
    let told = failure.lock().ok().and_then(|mut failure| failure.take());
    told.map_or(Ok(()), |failure| Err(OpenError::Screenshot(failure)))
}
