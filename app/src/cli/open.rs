//! `gridwright` without a verb: the window, with what it is to open.

use super::failure::Failure;
use crate::window::kept::Page;
use crate::window::theme::ThemeChoice;
use crate::window::{self, OpenArgs};
use std::path::PathBuf;

/// What the window is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A grid to open instead of the sample
    #[arg(long, value_name = "PATH")]
    pub grid: Option<PathBuf>,
    /// A trace to choose on the Lab page
    #[arg(long, value_name = "PATH")]
    pub trace: Option<PathBuf>,
    /// A design to open
    #[arg(long, value_name = "PATH")]
    pub design: Option<PathBuf>,
    /// The page to show: grid, lab or design; the one shown last where not given
    #[arg(long, value_name = "PAGE")]
    pub page: Option<Page>,
    /// Colours: dark, light or system; as last time where not given
    #[arg(long, value_name = "THEME")]
    pub theme: Option<ThemeChoice>,
    /// Draw the window into this PNG once all work is done, then leave
    #[arg(long, value_name = "PATH")]
    pub screenshot: Option<PathBuf>,
}

/// Opens the window and returns when it is closed.
///
/// # Errors
/// Where no window can be opened.
pub fn run(args: Args) -> Result<(), Failure> {
    window::open(OpenArgs {
        grid: args.grid,
        trace: args.trace,
        design: args.design,
        page: args.page,
        theme: args.theme,
        screenshot: args.screenshot,
    })
    .map_err(|error| Failure::of(&error))
}
