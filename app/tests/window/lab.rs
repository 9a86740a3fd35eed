//! The Lab page: run, compare, replay, cancel.

use crate::harness::{settle, window};
use app::window::command::Command;
use app::window::kept::Page;
use egui_kittest::kittest::Queryable;
use model::id::NodeId;
use model::time::Time;

/// The Run button runs the chosen policies; two of them are compared in plots and table.
#[test]
fn run_button_compares_two_policies() {
    let mut harness = window(Page::Lab);
    settle(&mut harness);
    harness.get_by_label("Worst fit").click();
    harness.get_by_label("First fit").click();
    harness.run_steps(2);
    harness.get_by_label("Run").click();
    settle(&mut harness);
    let names: Vec<_> = harness
        .state()
        .lab
        .results
        .iter()
        .map(|result| result.policy.name.clone())
        .collect();
    assert_eq!(names, ["first-fit", "best-fit"]);
    for plot in [
        "Allocated CPU",
        "Empty nodes",
        "Stranded CPU",
        "VMs alive",
        "VMs rejected",
    ] {
        harness.get_by_label(&format!("Plot of {plot}"));
    }
    assert!(harness.get_all_by_label("first-fit").count() >= 1);
    harness.get_by_label("VMs placed");
    harness
        .get_all_by_label("Memory")
        .next()
        .expect("a dimension")
        .click();
    harness.run_steps(2);
    harness.get_by_label("Plot of Allocated Memory");
}

/// The time slider changes what the heatmap shows, and the heatmap's colours with it.
#[test]
fn slider_replays_on_the_heatmap() {
    let mut harness = window(Page::Grid);
    settle(&mut harness);
    let colours = |harness: &egui_kittest::Harness<'_, app::window::shell::Shell>| {
        let painting = harness.state().grid.heatmap.painting().expect("painted");
        (0..320)
            .map(|node| painting.colour_of(NodeId(node)))
            .collect::<Vec<_>>()
    };
    harness.state_mut().player.seek(Time::ZERO);
    settle(&mut harness);
    let at_start = colours(&harness);
    harness.get_by_label("Go to end of run").click();
    harness.step();
    settle(&mut harness);
    let at_end = colours(&harness);
    assert_eq!(harness.state().player.at(), harness.state().player.end());
    assert_ne!(at_start, at_end);
    let shown = harness.state().view().expect("open").at;
    assert_eq!(shown, harness.state().player.end());
}

/// A cancelled run leaves the results as they were and says so in the log.
#[test]
fn run_is_cancelled() {
    let mut harness = window(Page::Lab);
    settle(&mut harness);
    let before = harness.state().lab.results.len();
    for (_, chosen) in &mut harness.state_mut().lab.setup.policies {
        *chosen = true;
    }
    let ctx = harness.ctx.clone();
    harness.state_mut().carry_out(&ctx, Command::Run);
    harness.state_mut().carry_out(&ctx, Command::CancelJobs);
    settle(&mut harness);
    assert_eq!(harness.state().lab.results.len(), before);
    let last = harness.state().notices.log.last().expect("a line");
    assert_eq!(last.text, "The run was cancelled");
}

/// A click on the small heatmap leads to that node on the Grid page.
#[test]
fn small_heatmap_leads_to_the_grid() {
    let mut harness = window(Page::Lab);
    settle(&mut harness);
    harness.get_by_label("Show on grid").click();
    harness.run_steps(2);
    assert_eq!(harness.state().kept.page, Page::Grid);
}
