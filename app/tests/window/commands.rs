//! Commands: keys, palette, themes, accessible names, what is remembered.

use crate::harness::{bare_window, settle, window};
use app::window::command::Command;
use app::window::files::Purpose;
use app::window::kept::{Kept, Page};
use app::window::theme::ThemeChoice;
use egui_kittest::kittest::{NodeT, Queryable};
use std::collections::BTreeMap;

/// Pages are switched by the rail and by their keys.
#[test]
fn pages_are_switched() {
    let mut harness = bare_window(Page::Grid);
    harness
        .get_all_by_label("Lab")
        .last()
        .expect("the rail")
        .click();
    harness.run_steps(2);
    assert_eq!(harness.state().kept.page, Page::Lab);
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Num3);
    harness.run_steps(2);
    assert_eq!(harness.state().kept.page, Page::Design);
}

/// The palette finds a command by part of its name and carries it out on Enter.
#[test]
fn palette_carries_out_a_command() {
    let mut harness = bare_window(Page::Grid);
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::P);
    harness.run_steps(3);
    harness.get_by_label("Search commands").type_text("light");
    harness.run_steps(2);
    harness.get_by_label("Light theme");
    harness.key_press(egui::Key::Enter);
    harness.run_steps(3);
    assert_eq!(harness.state().kept.theme, ThemeChoice::Light);
    assert_eq!(harness.ctx.theme(), egui::Theme::Light);
    assert!(harness.query_by_label("Search commands").is_none());
}

/// The theme button goes from dark to light and back.
#[test]
fn theme_is_toggled() {
    let mut harness = bare_window(Page::Grid);
    for theme in [egui::Theme::Light, egui::Theme::Dark] {
        harness.get_by_label("Switch dark and light").click();
        harness.run_steps(2);
        assert_eq!(harness.ctx.theme(), theme);
    }
}

/// No two commands share a key on any page, and every text is in sentence case without a colon.
#[test]
fn commands_are_told_apart() {
    let mut keys = BTreeMap::new();
    for command in Command::catalogue() {
        let description = command
            .describe()
            .expect("the catalogue has descriptions only");
        let text = description.text;
        assert!(text.starts_with(char::is_uppercase), "{text}");
        assert!(!text.contains(':') && !text.ends_with('.'), "{text}");
        let Some(shortcut) = description.shortcut else {
            continue;
        };
        for page in [Page::Grid, Page::Lab, Page::Design] {
            if description.page.is_none_or(|wanted| wanted == page) {
                let key = format!("{page} {shortcut:?}");
                if let Some(other) = keys.insert(key, text) {
                    panic!("{text} and {other} share a key on {page}");
                }
            }
        }
    }
}

/// Everything that can be acted on has a name for a screen reader, on the Grid and the Lab page.
#[test]
fn all_that_acts_has_a_name() {
    let mut harness = window(Page::Grid);
    settle(&mut harness);
    for page in [Page::Grid, Page::Lab] {
        harness.state_mut().kept.page = page;
        harness.run_steps(3);
        let nameless: Vec<String> = harness
            .root()
            .children_recursive()
            .filter(|node| {
                use egui::accesskit::Role;
                let node = node.accesskit_node();
                let acts = matches!(
                    node.role(),
                    Role::Button
                        | Role::CheckBox
                        | Role::ComboBox
                        | Role::Link
                        | Role::RadioButton
                        | Role::Slider
                        | Role::SpinButton
                        | Role::TextInput
                );
                acts && node.label().is_none_or(|label| label.trim().is_empty())
            })
            .map(|node| format!("{:?}", node.accesskit_node().role()))
            .collect();
        assert!(nameless.is_empty(), "{page}: {nameless:?}");
    }
}

/// What eframe kept comes back; what cannot be read is as if there were nothing.
#[test]
fn window_state_is_kept_and_survives_rubbish() {
    #[derive(Default)]
    struct Memory(BTreeMap<String, String>);
    impl eframe::Storage for Memory {
        fn get_string(&self, key: &str) -> Option<String> {
            self.0.get(key).cloned()
        }
        fn set_string(&mut self, key: &str, value: String) {
            self.0.insert(key.to_owned(), value);
        }
        fn remove_string(&mut self, key: &str) {
            self.0.remove(key);
        }
        fn flush(&mut self) {}
    }
    let kept = Kept {
        page: Page::Lab,
        theme: ThemeChoice::Light,
        recent_grids: vec!["a.toml".into()],
        ..Kept::default()
    };
    let mut memory = Memory::default();
    kept.save(&mut memory);
    assert_eq!(Kept::load(Some(&memory)), kept);
    for rubbish in ["", "{", "[1, 2]", "{\"page\": \"cellar\"}"] {
        for value in memory.0.values_mut() {
            *value = rubbish.to_owned();
        }
        assert_eq!(Kept::load(Some(&memory)), Kept::default(), "{rubbish}");
    }
}

/// A design that cannot be saved is asked about again, with the path that was typed and the reason.
#[test]
fn failed_save_keeps_its_question() {
    let mut harness = window(Page::Design);
    settle(&mut harness);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("there").join("shop.toml");
    let ctx = harness.ctx.clone();
    let ask = Command::Ask(Purpose::SaveDesign);
    harness.state_mut().carry_out(&ctx, ask);
    harness.run_steps(3);
    let typed = path.display().to_string();
    harness.get_by_label("Path").type_text(&typed);
    harness.run_steps(2);
    harness.key_press(egui::Key::Enter);
    harness.run_steps(3);
    assert_eq!(harness.get_by_label("Path").value(), Some(typed));
    harness.get_by_label_contains("shop.toml: ");
    std::fs::create_dir(folder.path().join("there")).expect("made");
    harness.key_press(egui::Key::Enter);
    harness.run_steps(3);
    assert!(path.is_file());
    assert!(harness.query_by_label("Path").is_none());
}
