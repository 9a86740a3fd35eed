//! `gridwright` without a verb: the window, with what it is to open.

use super::failure::Failure;
use super::kind::Kind;
use crate::window::kept::Page;
use crate::window::theme::ThemeChoice;
use crate::window::{self, OpenArgs};
use std::path::{Path, PathBuf};

/// What the window is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files to open in the window: a grid, a design, a trace; told apart by what they hold
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A grid to open instead of the sample
    #[arg(long, value_name = "PATH")]
    pub grid: Option<PathBuf>,
    /// A trace to choose on the Lab page
    #[arg(long, value_name = "PATH")]
    pub trace: Option<PathBuf>,
    /// A design to open
    #[arg(long, value_name = "PATH")]
    pub design: Option<PathBuf>,
    /// Open the live grid that was joined, instead of the sample
    #[arg(long, conflicts_with_all = ["grid", "trace"])]
    pub live: bool,
    /// The folder of what `gridwright join` has kept [default: gridwright in the user's configuration]
    #[arg(long, env = "GRIDWRIGHT_FOLDER", value_name = "PATH")]
    pub folder: Option<PathBuf>,
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
/// Where a file is not there, two are of one kind, or no window can be opened.
pub fn run(args: Args) -> Result<(), Failure> {
    let mut open = OpenArgs {
        grid: args.grid,
        trace: args.trace,
        design: args.design,
        live: args.live,
        folder: args.folder,
        page: args.page,
        theme: args.theme,
        screenshot: args.screenshot,
    };
    for path in args.files {
        let slot = slot(&mut open, &path)?;
        if let Some(other) = slot {
            let (other, path) = (other.display(), path.display());
            return Err(Failure::usage(
                format!("{other} and {path} are of one kind"),
                "the window opens one grid, one design and one trace",
            ));
        }
        *slot = Some(path);
    }
    window::open(open).map_err(|error| Failure::of(&error))
}

/// Where in the window a file belongs.
fn slot<'a>(open: &'a mut OpenArgs, path: &Path) -> Result<&'a mut Option<PathBuf>, Failure> {
    if !path.exists() {
        return Err(Failure::usage(
            format!("{} is neither a command nor a file", path.display()),
            "see gridwright --help",
        ));
    }
    // A folder is a trace: PlanetLab has a file a VM.
    let kind = match path.is_dir() {
        true => None,
        false => Kind::of_file(path).map_err(|error| Failure::of(&error))?,
    };
    match kind {
        Some(Kind::Grid) => Ok(&mut open.grid),
        Some(Kind::Design) => Ok(&mut open.design),
        // Whatever no person writes is taken for a trace; its reader tells more.
        None => Ok(&mut open.trace),
        Some(Kind::RuleChain | Kind::Hypervisor) => Err(Failure::usage(
            format!("{} holds nothing that the window opens", path.display()),
            "gridwright check tells whether it is sound",
        )),
    }
}
