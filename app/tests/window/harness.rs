//! A window for tests: no screen, no desktop dialogs, no sleeping.

use app::window::OpenArgs;
use app::window::command::Command;
use app::window::files::{Dialogs, Purpose};
use app::window::kept::Page;
use app::window::shell::Shell;
use app::window::theme::ThemeChoice;
use egui::{Vec2, vec2};
use egui_kittest::Harness;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The longest that any work of a test may take; far more than it needs on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// The size of most tests' windows, in points.
const WINDOW: Vec2 = vec2(1_400.0, 900.0);

/// Dialogs that answer at once with one file, or none.
pub struct Answering(pub Option<PathBuf>);

impl Dialogs for Answering {
    fn pick(&self, _purpose: Purpose, _start: &Path) -> Option<PathBuf> {
        self.0.clone()
    }
}

/// A dark window on a page, with the sample run at work.
pub fn window(page: Page) -> Harness<'static, Shell> {
    build(on(page), true, WINDOW, 1.0)
}

/// A dark window that was told this at its start.
pub fn window_of(args: OpenArgs) -> Harness<'static, Shell> {
    build(args, true, WINDOW, 1.0)
}

/// The same in a window of 900×600 points.
pub fn small_window(page: Page, pixels_per_point: f32) -> Harness<'static, Shell> {
    build(on(page), true, vec2(900.0, 600.0), pixels_per_point)
}

/// A window with nothing open.
pub fn bare_window(page: Page) -> Harness<'static, Shell> {
    build(on(page), false, WINDOW, 1.0)
}

fn on(page: Page) -> OpenArgs {
    OpenArgs {
        page: Some(page),
        ..OpenArgs::default()
    }
}

fn build(
    args: OpenArgs,
    sample: bool,
    size: Vec2,
    pixels_per_point: f32,
) -> Harness<'static, Shell> {
    Harness::builder()
        .with_size(size)
        .with_pixels_per_point(pixels_per_point)
        // Odd, as the frames of a real screen are.
        .with_step_dt(0.0173)
        .build_eframe(|creation| {
            let theme = Some(ThemeChoice::Dark);
            let args = OpenArgs { theme, ..args };
            let failure = Arc::new(Mutex::new(None));
            let shell = Shell::new(creation, args, Arc::new(Answering(None)), failure);
            if sample {
                shell
            } else {
                shell.without_sample()
            }
        })
}

/// Steps until no work is left and the replay shows the instant asked for; stops the replay.
pub fn settle(harness: &mut Harness<'_, Shell>) {
    harness.step();
    while harness.state().jobs.running().next().is_some() {
        assert!(harness.state().jobs.wait_for_end(LIMIT), "work did not end");
        harness.step();
        harness.step();
    }
    if let Some(attached) = &mut harness.state_mut().attached {
        assert!(attached.settle(LIMIT), "the grid did not answer");
    }
    if harness.state().player.is_playing() {
        harness.state_mut().player.command(&Command::Play);
    }
    harness.state_mut().player.settle(LIMIT);
    harness.run_steps(4);
}

/// Shows the replay on the Grid page, instead of the simulated grid.
pub fn show_replay(harness: &mut Harness<'_, Shell>) {
    let ctx = harness.ctx.clone();
    harness.state_mut().carry_out(&ctx, Command::ShowOnGrid);
    settle(harness);
}
