//! Small windows: at 900×600 points, on screens of either density, nothing that can be acted on is cut off.

use crate::harness::{settle, show_replay, small_window};
use app::window::command::Command;
use app::window::design::command::DesignCommand;
use app::window::kept::Page;
use app::window::shell::Shell;
use egui::Rect;
use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

/// Half a point may be lost to rounding.
const SLACK: f32 = 0.5;

fn small(page: Page, pixels_per_point: f32) -> Harness<'static, Shell> {
    let mut harness = small_window(page, pixels_per_point);
    settle(&mut harness);
    harness
}

/// Role, words and place of all that is drawn.
fn drawn(harness: &Harness<'_, Shell>) -> Vec<(Role, String, Rect)> {
    harness
        .query_all_by(|_| true)
        .filter(|node| node.accesskit_node().bounding_box().is_some())
        .map(|node| {
            let words = node.accesskit_node();
            let text = words.label().or(words.value()).unwrap_or_default();
            (words.role(), text, node.rect())
        })
        .collect()
}

fn can_be_acted_on(role: Role) -> bool {
    matches!(
        role,
        Role::Button
            | Role::CheckBox
            | Role::ComboBox
            | Role::Link
            | Role::RadioButton
            | Role::Slider
            | Role::SpinButton
            | Role::TextInput
    )
}

/// What scrolls up and down may lie below the window, nothing may lie beside it.
fn check(harness: &Harness<'_, Shell>, what: &str) {
    let window = harness.ctx.content_rect().expand(SLACK);
    let outside: Vec<_> = drawn(harness)
        .into_iter()
        .filter(|(role, _, _)| can_be_acted_on(*role))
        .filter(|(_, _, rect)| rect.left() < window.left() || rect.right() > window.right())
        .collect();
    assert!(outside.is_empty(), "{what}: {outside:?}");
}

/// These must be in sight at once, whatever scrolls.
fn check_in_sight(harness: &Harness<'_, Shell>, names: &[&str]) {
    let window = harness.ctx.content_rect().expand(SLACK);
    for name in names {
        let found = harness.get_all_by_label(name);
        let rects: Vec<_> = found.map(|node| node.rect()).collect();
        assert!(
            rects.iter().any(|rect| window.contains_rect(*rect)),
            "{name}: {rects:?}"
        );
    }
}

/// Text and controls of the upper bars stand beside one another.
fn check_bars(harness: &Harness<'_, Shell>, height: f32) {
    let bars: Vec<_> = drawn(harness)
        .into_iter()
        .filter(|(role, words, rect)| {
            let told = can_be_acted_on(*role) || *role == Role::Label;
            told && !words.is_empty() && rect.bottom() < height
        })
        .collect();
    assert!(bars.len() > 10, "{bars:?}");
    for (place, (_, words, rect)) in bars.iter().enumerate() {
        for (_, other_words, other) in &bars[place + 1..] {
            let both = rect.intersect(*other);
            assert!(
                both.width() <= SLACK || both.height() <= SLACK,
                "{words:?} at {rect} and {other_words:?} at {other}"
            );
        }
    }
}

const REPLAY: [&str; 4] = [
    "Go to start of run",
    "Play or pause replay",
    "Go to end of run",
    "Replay speed",
];

const CLOCK: [&str; 6] = [
    "Pause or go on",
    "Step to next event",
    "Skip to end of operations",
    "Simulation speed",
    "Operations",
    "Trouble",
];

/// The Grid page has all its controls in the window, and the legend leaves the run's title alone.
#[test]
fn grid_page_is_whole() {
    for density in [1.0, 2.0] {
        let mut harness = small(Page::Grid, density);
        check(&harness, "grid");
        check_bars(&harness, 160.0);
        check_in_sight(&harness, &CLOCK);
        show_replay(&mut harness);
        check(&harness, "grid, replayed");
        check_bars(&harness, 160.0);
        check_in_sight(&harness, &REPLAY);
        check_in_sight(&harness, &["Open grid", "Find nodes", "Colours", "Zoom in"]);
        harness.get_by_label("Find nodes").focus();
        harness.step();
        harness.get_by_label("Find nodes").type_text("state:down");
        harness.run_steps(3);
        check(&harness, "grid, searched");
        check_bars(&harness, 160.0);
    }
}

/// The Lab shows every metric, the time of the replay and Run; its panes scroll.
#[test]
fn lab_page_is_whole() {
    for density in [1.0, 2.0] {
        let harness = small(Page::Lab, density);
        check(&harness, "lab");
        check_bars(&harness, 110.0);
        check_in_sight(&harness, &REPLAY);
        check_in_sight(&harness, &["Run", "Accelerators", "Plot of Allocated CPU"]);
        let time = harness.state().player.at().to_string();
        let time = format!("{time} of {}", harness.state().player.end());
        check_in_sight(&harness, &[&time]);
    }
}

/// The Design page shows the whole drawing, with a component chosen and with its plan too.
#[test]
fn design_page_is_whole() {
    for density in [1.0, 2.0] {
        let mut harness = small(Page::Design, density);
        check(&harness, "design");
        check_in_sight(
            &harness,
            &["Component firewall", "Component db", "Add database"],
        );
        harness.get_by_label("Component db").click();
        harness.run_steps(3);
        check(&harness, "design, a component chosen");
        let ctx = harness.ctx.clone();
        let plan = Command::Design(DesignCommand::Plan);
        harness.state_mut().carry_out(&ctx, plan);
        settle(&mut harness);
        harness.run_steps(4);
        check(&harness, "design, planned");
        check_in_sight(
            &harness,
            &["Component firewall", "Component db", "Plan again"],
        );
    }
}

/// What lies over the pages fits into the window.
#[test]
fn overlays_are_whole() {
    for command in [
        Command::Shortcuts,
        Command::Log,
        Command::About,
        Command::Palette,
    ] {
        let mut harness = small(Page::Grid, 1.0);
        let ctx = harness.ctx.clone();
        harness.state_mut().carry_out(&ctx, command.clone());
        harness.run_steps(4);
        check(&harness, &format!("{command:?}"));
        if command != Command::Palette {
            check_in_sight(&harness, &["Close"]);
        }
    }
}
