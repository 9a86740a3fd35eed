//! Designs on disk through the page: save, open, faulty files, unsaved changes, recovery.

use crate::design_bench::{Bench, User, Window, window};
use app::window::command::Command;
use app::window::design::DesignPage;
use app::window::design::storage::{self, Journal};
use app::window::files::Purpose;
use egui::{Key, Modifiers};
use std::path::Path;

fn with_firewall() -> Window {
    let mut window = window(Bench::default());
    window.focus("Add firewall");
    window.press(Modifiers::NONE, Key::Enter);
    window
}

fn save_as(window: &mut Window, path: &Path) -> Result<(), String> {
    let ctx = window.ctx.clone();
    let saved = window
        .state_mut()
        .with(&ctx, |page, room| page.save_as(&ctx, path, room));
    window.run();
    saved
}

fn open(window: &mut Window, path: &Path) {
    let ctx = window.ctx.clone();
    window
        .state_mut()
        .with(&ctx, |page, room| page.open(&ctx, path, room));
    window.run();
}

/// What was saved is what is opened; only the file itself is left in the folder.
#[test]
fn a_saved_design_is_the_one_that_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.toml");
    let mut first = with_firewall();
    assert!(first.state().page.is_unsaved());
    save_as(&mut first, &path).expect("writable");
    assert!(!first.state().page.is_unsaved());
    let mut second = window(Bench::default());
    open(&mut second, &path);
    assert_eq!(first.design(), second.design());
    assert!(!second.state().page.is_unsaved());
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("readable")
        .collect();
    assert_eq!(left.len(), 1);
}

/// Save without a file asks for one; with one it writes there.
#[test]
fn save_asks_for_a_file_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.toml");
    let mut window = with_firewall();
    window.press(Modifiers::COMMAND, Key::S);
    assert_eq!(window.state().asks, [Command::Ask(Purpose::SaveDesign)]);
    save_as(&mut window, &path).expect("writable");
    window.press(Modifiers::COMMAND, Key::D);
    window.press(Modifiers::COMMAND, Key::S);
    assert!(!window.state().page.is_unsaved());
    assert_eq!(storage::read(&path).expect("readable"), *window.design());
}

/// A faulty file is told with its line, and the open design stays.
#[test]
fn a_faulty_file_leaves_the_open_design() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("faulty.toml");
    std::fs::write(&path, "name = \"shop\"\ncomponents = 7\n").expect("written");
    let mut window = with_firewall();
    let own = folder.path().join("own.toml");
    save_as(&mut window, &own).expect("writable");
    let before = window.design();
    open(&mut window, &path);
    assert_eq!(window.design(), before);
    let error = window
        .state()
        .notices
        .open
        .last()
        .cloned()
        .expect("an error is told");
    assert!(
        error.details.iter().any(|line| line.contains(":2")),
        "{error:?}"
    );
    open(&mut window, &folder.path().join("nowhere.toml"));
    assert_eq!(window.design(), before);
}

/// A design that cannot be written is told, stays modified, and leaves what was there before.
#[test]
fn a_failed_save_leaves_the_old_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("there").join("shop.toml");
    let mut window = with_firewall();
    let reason = save_as(&mut window, &path).expect_err("there is no such folder");
    assert!(reason.contains("shop.toml"), "{reason}");
    assert!(window.state().page.is_unsaved());
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("readable").count(),
        0
    );
}

/// Unsaved changes are asked about before another design takes their place; each answer does as it says.
#[test]
fn unsaved_changes_are_asked_about() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.toml");
    let mut window = with_firewall();
    let drawn = window.design();
    window.press(Modifiers::COMMAND, Key::N);
    window.click("Keep editing");
    assert_eq!(window.design(), drawn);

    window.press(Modifiers::COMMAND, Key::N);
    window.click("Save changes");
    assert_eq!(window.state().asks, [Command::Ask(Purpose::SaveDesign)]);
    save_as(&mut window, &path).expect("writable");
    assert!(window.design().components.is_empty(), "saved, then new");
    assert_eq!(storage::read(&path).expect("readable"), *drawn);

    window.focus("Add database");
    window.press(Modifiers::NONE, Key::Enter);
    window.press(Modifiers::COMMAND, Key::N);
    window.click("Discard changes");
    assert!(window.design().components.is_empty());
}

/// What a session left unsaved is offered at the next start, and is unsaved still when recovered.
#[test]
fn unsaved_changes_survive_the_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let recovering = || Bench::of(DesignPage::with_recovery(folder.path().to_owned()));
    let mut first = window(recovering());
    first.focus("Add firewall");
    first.press(Modifiers::NONE, Key::Enter);
    let drawn = first.design();
    drop(first);
    // The file is named after the process, which still runs here; another one left it.
    let own = folder
        .path()
        .join(format!("design-{}.toml", std::process::id()));
    std::fs::rename(&own, folder.path().join("design-4294967295.toml"))
        .expect("the changes were kept");

    let mut second = window(recovering());
    assert!(second.design().components.is_empty());
    second.click("Recover");
    assert_eq!(second.design(), drawn);
    assert!(second.state().page.is_unsaved());
    save_as(&mut second, &folder.path().join("shop.toml")).expect("writable");
    assert!(
        Journal::new(folder.path().to_owned())
            .leftovers()
            .is_empty()
    );
}

/// Leaving with unsaved changes is asked about, and closes the window only once they are given up.
#[test]
fn leaving_is_asked_about() {
    let mut window = with_firewall();
    window.state_mut().page.leave();
    window.run();
    window.click("Keep editing");
    assert!(window.state().page.is_unsaved());
    window.state_mut().page.leave();
    window.run();
    window.click("Discard changes");
    assert!(!window.state().page.is_unsaved());
}
