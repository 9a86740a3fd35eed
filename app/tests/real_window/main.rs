//! The real binary in a real window of an X server of its own, drawn by software, without any state of the user.

mod display;
mod picture;
mod process;

use app::window::kept::Page;
use app::window::theme::size;
use display::Display;
use picture::Picture;
use std::path::{Path, PathBuf};
use std::process::Command;
use strum::VariantArray;
use tempfile::TempDir;

/// A user who has never started the program.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder can be made"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program of this user, to be started on a display.
    fn gridwright(&self, display: &Display) -> Command {
        let mut command = display.command(env!("CARGO_BIN_EXE_gridwright"), self.0.path());
        command.args(["--theme", "dark"]);
        command
    }
}

/// Starts the program with these further words, lets it draw itself, and reads what it left.
fn picture_by_itself(display: &Display, home: &Home, words: &[&str]) -> Picture {
    let file = home.path("picture.png");
    let mut command = home.gridwright(display);
    command.args(words).arg("--screenshot").arg(&file);
    process::run(command);
    let picture = Picture::of_png(&file);
    std::fs::remove_file(&file).expect("the picture can be removed");
    picture
}

fn check_drawn(picture: &Picture, page: Page) {
    let [width, height] = size::WINDOW;
    assert_eq!(
        (picture.width, picture.height),
        (width as usize, height as usize)
    );
    // Text with smooth edges makes thousands; an empty window has a handful.
    let colours = picture.distinct_colours();
    assert!(colours > 1000, "{page}: {colours} colours");
    assert_eq!(picture.page(), Some(page), "{}", picture.told());
}

/// `--page` with `--screenshot` draws each page, with the colours of what it shows, and ends well.
#[test]
fn each_page_draws_itself() {
    let (display, home) = (Display::start(), Home::new());
    for page in Page::VARIANTS {
        let picture = picture_by_itself(&display, &home, &["--page", &page.to_string()]);
        check_drawn(&picture, *page);
    }
}

/// A click and a key change the page on the screen; closing ends well, and the next start shows the page shown last.
#[test]
fn a_session_with_mouse_and_keys_is_kept() {
    let (mut display, home) = (Display::start(), Home::new());
    display.start_window_manager(home.0.path());
    let mut program = process::Process::start(home.gridwright(&display));
    let window = display.xdotool("search --sync --onlyvisible --name ^Gridwright$");
    let window = window.trim();
    display.xdotool(&format!("windowactivate --sync {window}"));
    display.wait_for_page(&mut program, Page::Grid);

    let (x, y) = rail_button(Page::Design);
    display.xdotool(&format!("mousemove --window {window} {x} {y} click 1"));
    display.wait_for_page(&mut program, Page::Design);

    display.xdotool("key ctrl+2");
    display.wait_for_page(&mut program, Page::Lab);

    // The window manager then asks the window to close, as its button does.
    display.xdotool("key alt+F4");
    program.succeed();
    assert!(
        is_kept_under(home.0.path()),
        "no state in {home:?}",
        home = home.0.path()
    );

    let picture = picture_by_itself(&display, &home, &[]);
    assert_eq!(picture.page(), Some(Page::Lab), "{}", picture.told());
}

/// The middle of a page's button in the rail, in pixels from the window's corner.
fn rail_button(page: Page) -> (u32, u32) {
    let above = Page::VARIANTS
        .iter()
        .position(|other| *other == page)
        .expect("every page has a button");
    let step = size::RAIL_BUTTON + size::GAP;
    let y = size::TOP_BAR + step * above as f32 + size::RAIL_BUTTON / 2.0;
    ((size::RAIL_WIDTH / 2.0) as u32, y as u32)
}

/// Whether the program left its state where the environment told it to, and not with the real user.
fn is_kept_under(home: &Path) -> bool {
    home.join("data/gridwright/app.ron").is_file()
}
