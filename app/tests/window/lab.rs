//! The Lab page: run, compare, replay, cancel.

use crate::harness::{settle, show_replay, window};
use app::window::command::Command;
use app::window::files::Purpose;
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
    show_replay(&mut harness);
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

/// Results are exported into a folder that the user names, with summary, tables and plots.
#[test]
fn results_are_exported() {
    let mut harness = window(Page::Lab);
    settle(&mut harness);
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("results");
    let ctx = harness.ctx.clone();
    let export = Command::Chosen(Purpose::ExportResults, folder.clone());
    harness.state_mut().carry_out(&ctx, export);
    settle(&mut harness);
    let open = &harness.state().notices.open;
    assert!(open.is_empty(), "{open:?}");
    for file in ["summary.json", "series.csv", "run.sqlite"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
}

/// A user's own rule chain joins the policies; one with faults is refused with its lines.
#[test]
fn rule_chain_is_added() {
    let mut harness = window(Page::Lab);
    settle(&mut harness);
    let folder = tempfile::tempdir().expect("a folder");
    let sample = placement::rule::sample::chain("tight").expect("a sample");
    let (good, bad) = (
        folder.path().join("mine.toml"),
        folder.path().join("bad.toml"),
    );
    std::fs::write(&good, sample.text.replace("\"tight\"", "\"mine\"")).expect("written");
    std::fs::write(&bad, "name = 7\n").expect("written");
    let before = harness.state().lab.setup.policies.len();
    let ctx = harness.ctx.clone();
    for (path, policies, faults) in [(good, before + 1, 0), (bad, before + 1, 1)] {
        let open = Command::Chosen(Purpose::OpenPolicy, path);
        harness.state_mut().carry_out(&ctx, open);
        settle(&mut harness);
        assert_eq!(harness.state().lab.setup.policies.len(), policies);
        assert_eq!(harness.state().notices.open.len(), faults);
    }
    let (last, chosen) = harness.state().lab.setup.policies.last().expect("one");
    assert_eq!((last.name.as_str(), *chosen), ("mine", true));
    let told = harness.state().notices.open[0].details.join("\n");
    assert!(told.contains("bad.toml:1"), "{told}");
}

/// A trace with a malformed line is refused with its line; the results before it stay.
#[test]
fn malformed_trace_is_refused_with_its_line() {
    let mut harness = window(Page::Lab);
    settle(&mut harness);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broken.csv");
    let text = "vm_id,start_s,duration_s,vcpu,memory_gb\n0,0,10,1,1\n1,zero,10,1,1\n";
    std::fs::write(&path, text).expect("written");
    let ctx = harness.ctx.clone();
    let open = Command::Chosen(Purpose::OpenTrace, path);
    harness.state_mut().carry_out(&ctx, open);
    harness.state_mut().carry_out(&ctx, Command::Run);
    settle(&mut harness);
    let told = harness.state().notices.open[0].details.join("\n");
    assert!(told.contains("broken.csv:3"), "{told}");
    harness.run_steps(2);
    let shown = harness.get_by_label("Dismiss").rect();
    harness.run_steps(20);
    let still = harness.get_by_label("Dismiss").rect();
    assert_eq!(still, shown, "the card keeps its size");
    assert_eq!(harness.state().lab.results.len(), 2);
}

/// On the Lab page the arrow keys step through the replay, Home and End go to its ends, Space plays.
#[test]
fn keys_move_the_replay() {
    let mut harness = window(Page::Lab);
    settle(&mut harness);
    harness.state_mut().player.seek(Time::ZERO);
    harness.key_press(egui::Key::ArrowRight);
    harness.run_steps(2);
    let step = harness.state().player.at();
    assert!(step > Time::ZERO);
    harness.key_press(egui::Key::ArrowLeft);
    harness.run_steps(2);
    assert_eq!(harness.state().player.at(), Time::ZERO);
    harness.key_press(egui::Key::End);
    harness.run_steps(2);
    assert_eq!(harness.state().player.at(), harness.state().player.end());
    harness.key_press(egui::Key::Space);
    harness.run_steps(2);
    assert!(harness.state().player.is_playing());
    harness.get_by_label("Replay time").focus();
    harness.key_press(egui::Key::Home);
    harness.run_steps(2);
    assert!(!harness.state().player.is_playing());
    assert_eq!(harness.state().player.at(), Time::ZERO);
}

/// A playing replay goes on from frame to frame until it is paused.
#[test]
fn replay_plays_on() {
    let mut harness = window(Page::Grid);
    settle(&mut harness);
    show_replay(&mut harness);
    harness.state_mut().player.seek(Time::ZERO);
    harness.get_by_label("Play or pause replay").click();
    harness.run_steps(2);
    let mut before = harness.state().player.at();
    for _ in 0..10 {
        harness.run_steps(1);
        let at = harness.state().player.at();
        assert!(at > before, "the replay stands still at {at}");
        before = at;
    }
    harness.get_by_label("Play or pause replay").click();
    harness.run_steps(2);
    assert!(!harness.state().player.is_playing());
}

/// A user's rule chain never takes the place of a policy that comes with the program.
#[test]
fn chain_named_like_the_catalogue_is_refused() {
    let mut harness = window(Page::Lab);
    settle(&mut harness);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    let sample = placement::rule::sample::chain("tight").expect("a sample");
    let text = sample.text.replace("\"tight\"", "\"best-fit\"");
    std::fs::write(&path, text).expect("written");
    let before = harness.state().lab.setup.policies.clone();
    let ctx = harness.ctx.clone();
    let open = Command::Chosen(Purpose::OpenPolicy, path);
    harness.state_mut().carry_out(&ctx, open);
    settle(&mut harness);
    assert_eq!(harness.state().lab.setup.policies, before);
    let open = &harness.state().notices.open;
    assert_eq!(open[0].text, "The rule chain best-fit was not added");
}

/// A replay moves on however slowly it plays and however short its frames are.
#[test]
fn short_frames_add_up() {
    let mut harness = window(Page::Lab);
    settle(&mut harness);
    harness.state_mut().player.seek(Time::ZERO);
    harness.state_mut().player.play();
    let frames = 30;
    harness.run_steps(frames);
    // The first frame only starts the clock, and the harness draws frames of 17.3 ms.
    let end = harness.state().player.end().0 as f64;
    let due = end / 40.0 * 0.0173 * (frames - 1) as f64;
    let at = harness.state().player.at().0 as f64;
    assert!((at - due).abs() < 2.0, "at {at}, due {due}");
}
