//! The Design page as a user finds it: palette, canvas, inspector, problems, plan.

use crate::design_bench::{Bench, User, Window, is_selected, window};
use app::window::design::card::{in_port, out_port};
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, Pos2, pos2, vec2};
use egui_kittest::kittest::Queryable;
use model::design::{Component, Design, Link};

/// `web` and `db`, unlinked, from the palette.
pub fn two_components() -> Window {
    let mut window = window(Bench::default());
    for (entry, x) in [("Add web server", 400.0), ("Add database", 800.0)] {
        let from = window.at(entry);
        window.drag(from, pos2(x, 400.0));
    }
    window
}

pub fn names(design: &Design) -> Vec<String> {
    design.components.iter().map(|c| c.name.clone()).collect()
}

fn centre(component: &Component) -> Pos2 {
    component.position.into()
}

/// Where a point of the drawing lies on the screen.
fn on_screen(window: &Window, drawn: Pos2) -> Pos2 {
    window
        .state()
        .page
        .canvas()
        .on_screen(drawn)
        .expect("the canvas is drawn")
}

pub fn link_by_hand(window: &mut Window) {
    let design = window.design();
    let from = on_screen(window, out_port(centre(&design.components[0])));
    let to = on_screen(window, in_port(centre(&design.components[1])));
    window.drag(from, to + vec2(20.0, 0.0));
}

/// A component is dropped where the pointer is, on the grid, and is selected.
#[test]
fn a_component_is_dragged_from_the_palette() {
    let mut window = window(Bench::default());
    let from = window.at("Add load balancer");
    window.drag(from, pos2(640.0, 420.0));
    assert_eq!(names(&window.design()), ["balancer"]);
    let drop = on_screen(&window, centre(&window.design().components[0]));
    assert!((drop - pos2(640.0, 420.0)).length() <= 15.0, "{drop}");
    assert!(is_selected(&window, "Component balancer"));
}

/// Without a pointer: the palette's entry takes the keyboard, Enter adds at the middle, aside of what is there.
#[test]
fn a_component_is_added_by_keyboard() {
    let mut window = window(Bench::default());
    for _ in 0..2 {
        window.focus("Add firewall");
        window.press(Modifiers::NONE, Key::Enter);
    }
    let design = window.design();
    assert_eq!(names(&design), ["firewall", "firewall-2"]);
    assert_ne!(design.components[0].position, design.components[1].position);
}

/// A double-click adds; a single click does not.
#[test]
fn a_component_is_added_by_double_click() {
    let mut window = window(Bench::default());
    let entry = window.at("Add storage");
    window.click_at(entry, 1);
    assert!(window.design().components.is_empty());
    let mut window = crate::design_bench::window(Bench::default());
    window.click_at(entry, 2);
    assert_eq!(names(&window.design()), ["storage"]);
}

/// A drag from a port to another card makes a link, one dropped on nothing does not.
#[test]
fn components_are_linked_by_dragging() {
    let mut window = two_components();
    let from = on_screen(&window, out_port(centre(&window.design().components[0])));
    window.drag(from, from + vec2(60.0, 200.0));
    assert!(window.design().links.is_empty());
    link_by_hand(&mut window);
    assert_eq!(
        window.design().links,
        [Link {
            from: "web".into(),
            to: "db".into(),
            port: 0
        }]
    );
    assert!(is_selected(&window, "Link from web to db"));
}

/// The same by keyboard: select, L, a part of the name, Enter.
#[test]
fn components_are_linked_by_keyboard() {
    let mut window = two_components();
    window.focus("Component web");
    window.press(Modifiers::NONE, Key::Space);
    assert!(is_selected(&window, "Component web"));
    window.press(Modifiers::NONE, Key::L);
    window.event(Event::Text("d".into()));
    window.run();
    window.press(Modifiers::NONE, Key::Enter);
    assert_eq!(
        window.design().links,
        [Link {
            from: "web".into(),
            to: "db".into(),
            port: 0
        }]
    );
}

/// Typing a number in the inspector is one step, whatever its digits; Ctrl+Z takes it back whole.
#[test]
fn a_number_is_edited_in_the_inspector() {
    let mut window = two_components();
    let before = window.design();
    window.click("Component web");
    window.type_into(Role::SpinButton, "Memory", "48");
    assert_eq!(window.design().components[0].mem_mib, 48 * 1_024);
    assert_eq!(
        window.state().page.document().undo_title(),
        Some("change memory of web")
    );
    window.press(Modifiers::COMMAND, Key::Z);
    assert_eq!(window.design(), before);
}

/// A name is taken over when it is right, and the reason is shown while it is not.
#[test]
fn a_wrong_name_is_refused_with_its_reason() {
    let mut window = two_components();
    window.click("Component web");
    window.type_into(Role::TextInput, "Name", "db");
    assert_eq!(names(&window.design()), ["web", "db"]);
    window.type_into(Role::TextInput, "Name", "front");
    assert_eq!(names(&window.design()), ["front", "db"]);
    assert!(window.sees("Component front"));
}

/// Several components are edited at once: fields that differ say so, and one value goes to all, as one step.
#[test]
fn several_components_are_edited_at_once() {
    let mut window = two_components();
    window.press(Modifiers::COMMAND, Key::A);
    window.type_into(Role::SpinButton, "Instances", "3");
    let design = window.design();
    assert_eq!(
        design
            .components
            .iter()
            .map(|c| c.instances)
            .collect::<Vec<_>>(),
        [3, 3]
    );
    window.press(Modifiers::COMMAND, Key::Z);
    assert_eq!(
        window
            .design()
            .components
            .iter()
            .map(|c| c.instances)
            .collect::<Vec<_>>(),
        [1, 1]
    );
}

/// A drag moves all that is selected by the same way, on the grid, as one step.
#[test]
fn a_group_is_moved_as_one_step() {
    let mut window = two_components();
    let before = window.design();
    window.press(Modifiers::COMMAND, Key::A);
    let from = window.at("Component web");
    window.drag(from, from + vec2(64.0, 83.0));
    let after = window.design();
    let moved: Vec<_> = before
        .components
        .iter()
        .zip(&after.components)
        .map(|(b, a)| centre(a) - centre(b))
        .collect();
    assert_eq!(moved[0], moved[1]);
    assert!(moved[0].length() > 40.0, "{moved:?}");
    window.press(Modifiers::COMMAND, Key::Z);
    assert_eq!(window.design(), before);
}

/// Escape in the middle of a drag puts everything back, and leaves no step.
#[test]
fn escape_calls_a_drag_off() {
    let mut window = two_components();
    let before = window.design();
    let title = window
        .state()
        .page
        .document()
        .undo_title()
        .map(str::to_owned);
    let from = window.at("Component web");
    window.event(Event::PointerMoved(from));
    window.drag_at(from);
    for part in 1..=4 {
        window.event(Event::PointerMoved(from + vec2(0.0, 30.0) * part as f32));
    }
    window.run();
    assert_ne!(window.design(), before);
    window.press(Modifiers::NONE, Key::Escape);
    window.drop_at(from + vec2(0.0, 120.0));
    window.run();
    assert_eq!(window.design(), before);
    assert_eq!(
        window
            .state()
            .page
            .document()
            .undo_title()
            .map(str::to_owned),
        title
    );
}

/// A rubber band selects what it touches; a click beside lets go; Shift adds.
#[test]
fn a_rubber_band_selects() {
    let mut window = two_components();
    let web = window.at("Component web");
    let db = window.at("Component db");
    window.drag(web + vec2(-120.0, -90.0), db + vec2(20.0, 60.0));
    assert!(is_selected(&window, "Component web") && is_selected(&window, "Component db"));
    window.click_at(web + vec2(0.0, 150.0), 1);
    assert!(window.state().page.document().selection().is_empty());
    window.click("Component web");
    window.click_with("Component db", Modifiers::SHIFT);
    assert_eq!(
        window.state().page.document().selection().components.len(),
        2
    );
}

/// Arrow keys nudge by a point, with Shift by a grid step; a run of them is one step.
#[test]
fn arrow_keys_nudge() {
    let mut window = two_components();
    window.click("Component web");
    let before = window.design();
    window.press(Modifiers::NONE, Key::ArrowRight);
    window.press(Modifiers::NONE, Key::ArrowRight);
    window.press(Modifiers::SHIFT, Key::ArrowDown);
    let moved = centre(&window.design().components[0]) - centre(&before.components[0]);
    assert_eq!(moved, vec2(2.0, 20.0));
    window.press(Modifiers::COMMAND, Key::Z);
    assert_eq!(window.design(), before);
}

/// A link whose end is missing is listed; a click on its line selects and shows it, and it can be deleted.
#[test]
fn a_dangling_link_is_a_problem_to_click_on() {
    let mut design = Design::clone(&two_components().design());
    design.links.push(Link {
        from: "web".into(),
        to: "cache".into(),
        port: 0,
    });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dangling.toml");
    std::fs::write(&path, app::window::design::codec::to_text(&design)).expect("written");
    let mut window = window(Bench::default());
    let ctx = window.ctx.clone();
    window
        .state_mut()
        .with(&ctx, |page, room| page.open(&ctx, &path, room));
    window.run();
    assert_eq!(
        window.design().links.len(),
        1,
        "a drawing with problems opens"
    );
    let row = window
        .query_all_by_label_contains("Link from web to cache")
        .map(|node| node.rect())
        .max_by(|a, b| a.max.y.total_cmp(&b.max.y));
    window.click_at(row.expect("the problem is listed").center(), 1);
    assert!(is_selected(&window, "Link from web to cache"));
    window.press(Modifiers::NONE, Key::Delete);
    assert!(window.design().links.is_empty());
    assert!(window.sees("No problems"));
}

/// Nothing is drawn anew while nothing changes, and the window asks for no more frames.
#[test]
fn an_idle_canvas_costs_nothing() {
    let mut window = two_components();
    window.remove_cursor();
    window.run();
    let draws = window.state().page.canvas().draws();
    let frames = window.run();
    assert_eq!(frames, 1, "one frame without a wish for another");
    for _ in 0..10 {
        window.step();
    }
    assert_eq!(window.state().page.canvas().draws(), draws);
    window.hover_at(pos2(1.0, 1.0));
    window.run();
    assert_eq!(
        window.state().page.canvas().draws(),
        draws,
        "a pointer elsewhere changes nothing"
    );
}

/// Zoom stays within bounds, at both ends, with text drawn; fitting an empty design does no harm.
#[test]
fn zoom_is_bounded() {
    let mut empty = window(Bench::default());
    empty.press(Modifiers::NONE, Key::Num0);
    let mut window = two_components();
    for key in [Key::Plus, Key::Minus] {
        for _ in 0..25 {
            window.press(Modifiers::NONE, key);
        }
    }
    window.press(Modifiers::NONE, Key::Num0);
    let zoom = window.state().page.canvas().viewport.zoom;
    assert!((0.5..=1.3).contains(&zoom), "{zoom}");
}
