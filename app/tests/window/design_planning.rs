//! Planning a drawing, by the names that a user sees.

use crate::design_bench::{Bench, User, Window, window};
use app::window::design::planning::Outcome;
use app::window::design::scene::disk;
use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use model::view::View;
use std::sync::Arc;
use std::time::Duration;

/// The sample shop on the sample grid, planned.
fn planned_shop() -> Window {
    let sample = &model::samples::GRIDS[0];
    let grid = model::grid_file::read_grid(sample.name, sample.text).expect("the sample is read");
    let mut bench = Bench::default();
    bench.view = Some(Arc::new(View::empty(Arc::new(grid))));
    let mut window = window(bench);
    window.click("Samples");
    window.click("Web shop");
    plan(&mut window);
    window
}

fn plan(window: &mut Window) {
    // While it plans, a spinner turns: the window is not at rest.
    window.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.step();
    assert!(
        window.state().jobs.wait_for_end(Duration::from_secs(120)),
        "planning did not end"
    );
    window.run();
}

/// A plan names the node of every VM; for each VM it tells which nodes were refused and how the others scored.
#[test]
fn a_plan_is_shown_with_its_reasons() {
    let mut window = planned_shop();
    let instances: u32 = window.design().components.iter().map(|c| c.instances).sum();
    let vms = match window.state().page.planning().outcome() {
        Some((Outcome::Planned { planned, .. }, _)) => planned.vms.clone(),
        other => panic!("{other:?}"),
    };
    assert!(vms.len() >= instances as usize);
    assert!(window.sees(&format!("Plan ({} VMs)", vms.len())));
    let last = &vms[vms.len().min(5) - 1];
    window.click(&last.name);
    assert!(window.sees(&format!("{} goes to {}", last.name, last.node)));
    let scored = &last.explanation.scores[0].name;
    assert!(window.sees(scored), "{scored} is in the score table");
    for by in &last.explanation.refused {
        let nodes = if by.count == 1 {
            "1 node".to_owned()
        } else {
            format!("{} nodes", by.count)
        };
        assert!(window.sees(&format!("{nodes}: {}", by.filter)));
    }
}

/// A plan says that it is old once the design has changed, and planning again makes it new.
#[test]
fn a_plan_goes_stale() {
    let mut window = planned_shop();
    assert!(!window.sees("⚠ The design has changed since"));
    window.click("Component web");
    window.type_into(Role::SpinButton, "Instances", "5");
    assert!(window.sees("⚠ The design has changed since"));
    plan(&mut window);
    assert!(!window.sees("⚠ The design has changed since"));
}

/// A disk that other nodes are to lend is asked for like any other size, and its VM names them.
#[test]
fn a_remote_disk_names_its_lenders() {
    let mut window = planned_shop();
    window.click("Component pictures");
    window.type_into(Role::SpinButton, "Remote disk", "100000");
    plan(&mut window);
    let pictures = match window.state().page.planning().outcome() {
        Some((Outcome::Planned { planned, .. }, _)) => {
            let mut vms = planned.vms.iter();
            vms.find(|vm| vm.name == "pictures-0").cloned()
        }
        other => panic!("{other:?}"),
    };
    let lenders = pictures.expect("it was planned").lenders;
    assert_eq!(lenders.iter().map(|l| l.size_gib).sum::<u32>(), 100_000);
    window.click("pictures-0");
    for lender in lenders {
        let (lent, free) = (disk(lender.size_gib), disk(lender.free_gib));
        let row = format!("{}: {lent} of {free} free", lender.node);
        assert!(window.sees(&row), "{row}");
    }
}

/// What no node can take is told with what to do about it.
#[test]
fn a_refusal_is_told_with_a_hint() {
    let mut window = planned_shop();
    window.click("Component web");
    window.type_into(Role::SpinButton, "Processor", "5000");
    plan(&mut window);
    assert!(window.sees("Plan (refused)"));
    assert!(
        window
            .query_all_by_label_contains("Hint: ")
            .next()
            .is_some()
    );
}

/// A name that cannot be is refused with its reason, once the field is left.
#[test]
fn refused_name_is_told() {
    let mut window = planned_shop();
    window.click("Component web");
    window.get_by_label("Name").click();
    window.run();
    window.get_by_label("Name").type_text("_");
    window.run();
    window.key_press(egui::Key::Enter);
    window.run();
    let told = &window.state().notices.open;
    assert_eq!(told[0].text, "The name stays as it was");
    assert!(told[0].details[0].contains("'_'"), "{told:?}");
    assert!(window.design().components.iter().any(|c| c.name == "web"));
}
