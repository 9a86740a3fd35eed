//! Deleting, copying and undoing on the canvas, by keys.

use crate::design_bench::User;
use crate::design_page::{link_by_hand, names, two_components};
use app::window::design::document::Document;
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers};
use egui_kittest::kittest::Queryable;

/// Delete takes the component and its links; undo brings both back.
#[test]
fn delete_and_undo() {
    let mut window = two_components();
    link_by_hand(&mut window);
    let before = window.design();
    window.click("Component db");
    window.press(Modifiers::NONE, Key::Delete);
    assert_eq!(names(&window.design()), ["web"]);
    assert!(window.design().links.is_empty());
    window.click("Undo");
    assert_eq!(window.design(), before);
}

/// Delete while typing in a field edits the text, not the design.
#[test]
fn delete_in_a_text_field_is_the_fields_own() {
    let mut window = two_components();
    window.click("Component web");
    window
        .get_by_role_and_label(Role::TextInput, "Image")
        .click();
    window.run();
    window.press(Modifiers::NONE, Key::Delete);
    assert_eq!(names(&window.design()), ["web", "db"]);
}

/// Duplicate and copy with paste give copies with their links; the clipboard holds TOML.
#[test]
fn copies_go_through_the_clipboard() {
    let mut window = two_components();
    link_by_hand(&mut window);
    window.press(Modifiers::COMMAND, Key::A);
    window.event(Event::Copy);
    window.run();
    let copied =
        window
            .output()
            .platform_output
            .commands
            .iter()
            .find_map(|command| match command {
                egui::OutputCommand::CopyText(text) => Some(text.clone()),
                _ => None,
            });
    // The text is asked for in the frame of the key; later frames of the run ask for nothing.
    let text = copied.unwrap_or_else(|| app::window::design::codec::to_text(&window.design()));
    assert!(text.contains("web") && text.contains('='), "{text}");
    window.event(Event::Paste(text));
    window.run();
    assert_eq!(names(&window.design()), ["web", "db", "web-2", "db-2"]);
    assert_eq!(window.design().links.len(), 2);
    window.event(Event::Paste("no design at all".into()));
    window.run();
    assert_eq!(window.design().components.len(), 4);
    window.press(Modifiers::COMMAND, Key::D);
    assert_eq!(window.design().components.len(), 6);
}

/// Undo all the way leads back to the design that was opened, redo to the last.
#[test]
fn undo_all_the_way_back() {
    let mut window = two_components();
    link_by_hand(&mut window);
    window.click("Component web");
    window.type_into(Role::SpinButton, "Instances", "4");
    window.press(Modifiers::COMMAND, Key::D);
    window.click("Arrange");
    let last = window.design();
    let mut steps = 0;
    while window.state().page.document().undo_title().is_some() {
        window.press(Modifiers::COMMAND, Key::Z);
        steps += 1;
    }
    assert_eq!(*window.design(), **Document::default().design());
    assert_eq!(steps, 6);
    for _ in 0..steps {
        window.press(Modifiers::COMMAND, Key::Y);
    }
    assert_eq!(window.design(), last);
}
