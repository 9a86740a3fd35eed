//! The Grid page: metric, search, choosing a node, files with faults, an idle window.

use crate::harness::{bare_window, settle, window};
use app::window::backend::simulated::command::ClockCommand;
use app::window::command::Command;
use app::window::files::Purpose;
use app::window::grid::metric::Metric;
use app::window::kept::Page;
use app::window::shell::Shell;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use model::id::NodeId;
use std::time::{Duration, Instant};

fn ready() -> Harness<'static, Shell> {
    let mut harness = window(Page::Grid);
    settle(&mut harness);
    harness
}

/// The first start shows the simulated sample grid, with its clock, without any click; a run at work on
/// the same grid is a click away, and so is the way back.
#[test]
fn first_start_shows_the_simulated_grid() {
    let mut harness = ready();
    assert_eq!(
        harness.state().view().expect("a grid is open").nodes.len(),
        320
    );
    harness.get_by_label("Heatmap of 320 nodes by CPU");
    harness.get_by_label("Simulation speed");
    harness.get_by_label("Show replay on grid").click();
    harness.run_steps(2);
    harness.state_mut().player.command(&Command::End);
    settle(&mut harness);
    let view = harness.state().view().expect("a grid is open");
    assert_eq!(view.nodes.len(), 320);
    assert!(view.nodes.iter().map(|node| node.vms.len()).sum::<usize>() > 100);
    harness.get_by_label("Heatmap of 320 nodes by CPU");
    harness.get_by_label("Show grid").click();
    harness.run_steps(2);
    harness.get_by_label("Simulation speed");
}

/// A metric is chosen by its name, and the heatmap says what it shows.
#[test]
fn metric_is_picked_by_name() {
    let mut harness = ready();
    for (label, metric) in [
        ("Memory", Metric::Memory),
        ("State", Metric::State),
        ("VMs", Metric::Vms),
    ] {
        harness
            .get_all_by_label(label)
            .next()
            .expect("a picker")
            .click();
        harness.run_steps(2);
        assert_eq!(harness.state().kept.metric, metric);
        harness.get_by_label(&format!("Heatmap of 320 nodes by {label}"));
    }
}

/// The search box counts what it finds, and Enter walks over it.
#[test]
fn search_counts_and_jumps() {
    let mut harness = ready();
    harness.get_by_label("Find nodes").focus();
    harness.step();
    harness.get_by_label("Find nodes").type_text("state:down");
    harness.run_steps(2);
    harness.get_by_label("2 of 320");
    harness.key_press(egui::Key::Enter);
    harness.run_steps(2);
    let chosen = harness.state().grid.chosen.expect("a node is chosen");
    let view = harness.state().view().expect("a grid is open");
    assert_eq!(view.nodes[chosen.index()].state.to_string(), "down");
}

/// A click on a cell shows that very node in the inspector.
#[test]
fn click_on_a_cell_shows_its_node() {
    let mut harness = ready();
    let node = NodeId(100);
    let cell = harness
        .state()
        .grid
        .heatmap
        .cell_on_screen(node)
        .expect("drawn");
    harness.hover_at(cell.center());
    harness.drag_at(cell.center());
    harness.drop_at(cell.center());
    harness.run_steps(3);
    assert_eq!(harness.state().grid.chosen, Some(node));
    let name = harness.state().view().expect("open").grid.nodes[100]
        .name
        .clone();
    harness
        .get_all_by_label(&name)
        .next()
        .expect("the inspector names it");
    harness.get_by_label("Close node").click();
    harness.run_steps(2);
    assert_eq!(harness.state().grid.chosen, None);
}

/// The inspector tells what a node costs, and each of its licences.
#[test]
fn inspector_tells_prices() {
    let mut harness = ready();
    let view = harness.state().view().expect("a grid is open");
    let licensed = |node: &NodeId| view.grid.class_of(*node).licences.contains("sql-server");
    let node = view.grid.node_ids().find(licensed);
    harness.state_mut().grid.chosen = node;
    harness.run_steps(3);
    harness.get_by_label("sql-server 2.9/h, windows-datacenter 0.56/h");
    harness.get_by_label("2.9/h");
}

/// Arrow keys move the choice to a neighbour once the heatmap has the focus.
#[test]
fn arrow_keys_walk() {
    let mut harness = ready();
    let cell = harness
        .state()
        .grid
        .heatmap
        .cell_on_screen(NodeId(0))
        .expect("drawn");
    harness.drag_at(cell.center());
    harness.drop_at(cell.center());
    harness.run_steps(2);
    harness.key_press(egui::Key::ArrowRight);
    harness.run_steps(2);
    assert_eq!(harness.state().grid.chosen, Some(NodeId(1)));
}

/// A grid file with faults opens nothing and lists every fault with its line.
#[test]
fn faults_are_listed_with_their_lines() {
    let mut harness = bare_window(Page::Grid);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("wrong.toml");
    let text = "[[node]]\nname = \"a\"\ncpu_cores = -4\nmem_gib = 1\nhypervisor = \"qemu\"\n\n[[node]]\nname = \"b\"\ncpu_cores = 1\nmem_gib = 1\nhypervisor = \"none\"\n";
    std::fs::write(&path, text).expect("written");
    let ctx = harness.ctx.clone();
    harness
        .state_mut()
        .carry_out(&ctx, Command::Ask(Purpose::OpenGrid));
    harness.run_steps(3);
    harness
        .get_by_label("Path")
        .type_text(&path.display().to_string());
    harness.run_steps(2);
    harness.get_by_label("Open").click();
    settle(&mut harness);
    let open = &harness.state().notices.open;
    assert_eq!(open.len(), 1, "{open:?}");
    let lines = open[0].details.join("\n");
    assert!(lines.contains("wrong.toml:3"), "{lines}");
    assert!(lines.contains("wrong.toml:11"), "{lines}");
    assert!(harness.state().view().is_none());
    harness.get_by_label("Dismiss").click();
    harness.run_steps(2);
    assert!(harness.state().notices.open.is_empty());
}

/// A window in which nothing moves asks for no frame, so it costs nothing: neither while time passes on a
/// simulated grid on which nothing happens, nor while it stands, nor with a replay that stands.
#[test]
fn idle_window_asks_for_no_frame() {
    let mut harness = ready();
    let ctx = harness.ctx.clone();
    let pause = Command::Clock(ClockCommand::Pause);
    let show = Command::Show;
    for (page, command) in [
        (Page::Grid, show(Page::Grid)),
        (Page::Grid, pause),
        (Page::Grid, Command::ShowOnGrid),
        (Page::Lab, show(Page::Lab)),
    ] {
        harness.state_mut().carry_out(&ctx, command);
        settle(&mut harness);
        assert_eq!(harness.state().kept.page, page);
        let begun = Instant::now();
        loop {
            harness.run_steps(20);
            let delay = harness.output().viewport_output[&egui::ViewportId::ROOT].repaint_delay;
            if delay == Duration::MAX {
                break;
            }
            // Work in the background that has just ended asks for a last frame.
            let patience = Duration::from_secs(30);
            assert!(begun.elapsed() < patience, "{page}: a frame in {delay:?}");
        }
    }
}

/// Another sample is opened from the menu, and takes the place of the replay.
#[test]
fn sample_is_opened_from_the_menu() {
    let mut harness = ready();
    harness.get_by_label("Open grid").click();
    harness.run_steps(3);
    harness.get_by_label("Ten thousand nodes").click();
    harness.step();
    settle(&mut harness);
    assert_eq!(harness.state().view().expect("open").nodes.len(), 10_000);
    assert!(!harness.state().player.is_loaded());
}

/// What looks like a condition and is none is told, and the rest of the search holds.
#[test]
fn search_faults_are_told() {
    let mut harness = ready();
    for (typed, told) in [
        ("state:down colour:red", "no qualifier is called colour:"),
        ("state:down ram>3", "nothing that is measured is called ram"),
        ("state:down cpu>much", "much is no number"),
    ] {
        harness.get_by_label("Find nodes").focus();
        harness.step();
        harness.get_by_label("Find nodes").type_text(typed);
        harness.run_steps(2);
        harness.get_by_label(told);
        harness.get_by_label("2 of 320");
        harness.get_by_label("Clear").click();
        harness.run_steps(2);
    }
}

/// Esc puts away the newest card, a command all of them.
#[test]
fn cards_are_put_away_by_key() {
    let mut harness = bare_window(Page::Grid);
    for text in ["one", "two", "three"] {
        harness.state_mut().notices.error(text, Vec::new());
    }
    harness.run_steps(2);
    harness.key_press(egui::Key::Escape);
    harness.run_steps(2);
    let open = &harness.state().notices.open;
    assert_eq!(open.last().expect("two are left").text, "two");
    let ctx = harness.ctx.clone();
    harness.state_mut().carry_out(&ctx, Command::Dismiss);
    assert!(harness.state().notices.open.is_empty());
}

/// A grid that is being opened can be given up, and the open one stays.
#[test]
fn opening_is_cancelled() {
    let mut harness = ready();
    let ctx = harness.ctx.clone();
    let open = Command::OpenSample("hundred-thousand");
    harness.state_mut().carry_out(&ctx, open);
    harness.state_mut().carry_out(&ctx, Command::CancelJobs);
    settle(&mut harness);
    assert_eq!(harness.state().view().expect("open").nodes.len(), 320);
    let last = harness.state().notices.log.last().expect("a line");
    assert_eq!(last.text, "Opening the grid was cancelled");
}
