//! A live grid in the window: joined, shown, asked, and told of when its controller is away.

use crate::harness::{settle, window_of};
use app::window::OpenArgs;
use app::window::command::Command;
use app::window::kept::Page;
use app::window::shell::Shell;
use client::call::Client;
use control::backend;
use control::shown::OperationState;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use link::membership::Role;
use model::grid::NodeState;
use model::id::NodeId;
use model::time::Span;
use server::config::Config;
use server::serving::{Serving, token};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

type Window = Harness<'static, Shell>;

/// The longest that anything may take; far more than it needs on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Two nodes, whose agents are not there.
const GRID: &str = "
version = 1
name = \"Attic\"

[[node]]
name = \"north\"
count = 2
cpu_cores = 4
mem_gib = 16
hypervisor = \"qemu\"
";

/// A controller of a grid, in a folder of its own.
struct Ruled {
    config: Config,
    serving: Option<Serving>,
    folder: TempDir,
}

impl Ruled {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name| folder.path().join(name);
        fs::write(path("grid.toml"), GRID).expect("our folder");
        let config = format!(
            "folder = {:?}\ngrid = \"grid.toml\"\nlisten = \"127.0.0.1:0\"\n",
            path("controller")
        );
        fs::write(path("controller.toml"), config).expect("our folder");
        let config = Config::read(&path("controller.toml")).expect("it is sound");
        let mut ruled = Self {
            config,
            serving: None,
            folder,
        };
        ruled.start();
        ruled.config.listen = ruled.at();
        ruled
    }

    fn start(&mut self) {
        self.serving = Some(Serving::start(&self.config).expect("it serves"));
    }

    fn end(&mut self) {
        let serving = self.serving.take().expect("it serves");
        serving.ruler().end();
        serving.wait().expect("it was told to");
    }

    fn at(&self) -> String {
        let serving = self.serving.as_ref().expect("it serves");
        serving.address().to_string()
    }

    /// A token for an admin.
    fn token(&self) -> String {
        let role = Role::Admin("jane".to_owned());
        let token = token(&self.config, &role, Span(60_000)).expect("it is written down");
        token.to_string()
    }

    /// Where the window keeps what it has joined.
    fn joined(&self) -> PathBuf {
        self.folder.path().join("joined")
    }

    /// A window that was told to open the live grid.
    fn window(&self) -> Window {
        window_of(OpenArgs {
            page: Some(Page::Grid),
            live: true,
            folder: Some(self.joined()),
            ..OpenArgs::default()
        })
    }

    /// The same, where it was joined before.
    fn joined_window(&self) -> Window {
        let token = self.token().parse().expect("a token");
        Client::join(&self.joined(), &self.at(), &token).expect("it is good");
        let mut harness = self.window();
        settle(&mut harness);
        until(&mut harness, |shell| shell.view().is_some());
        harness
    }
}

impl Drop for Ruled {
    fn drop(&mut self) {
        if self.serving.is_some() {
            self.end();
        }
    }
}

/// Steps until something holds.
fn until(harness: &mut Window, holds: impl Fn(&Shell) -> bool) {
    let begun = Instant::now();
    while !holds(harness.state()) {
        assert!(begun.elapsed() < LIMIT, "it never came");
        std::thread::sleep(Duration::from_millis(20));
        harness.step();
    }
    harness.run_steps(2);
}

fn type_into(harness: &mut Window, field: &str, text: &str) {
    harness.get_by_label(field).focus();
    harness.run_steps(2);
    harness.event(egui::Event::Paste(text.to_owned()));
    harness.run_steps(2);
}

/// Whoever has joined nothing yet is told so, and asked whose grid is to be joined; then it is shown.
#[test]
fn a_live_grid_is_joined_and_shown() {
    let ruled = Ruled::new();
    let mut harness = ruled.window();
    settle(&mut harness);
    let open = &harness.state().notices.open;
    assert_eq!(open[0].text, "The live grid is not reached");
    assert!(open[0].details[0].contains("no controller was joined"));
    type_into(&mut harness, "Controller", &ruled.at());
    type_into(&mut harness, "Token", "secret");
    harness.get_by_label("Join").click();
    harness.run_steps(2);
    assert!(harness.state().jobs.running().next().is_none(), "no token");
    harness.get_by_label("Token").focus();
    harness.run_steps(2);
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    harness.run_steps(2);
    type_into(&mut harness, "Token", &ruled.token());
    harness.get_by_label("Join").click();
    harness.run_steps(2);
    settle(&mut harness);
    until(&mut harness, |shell| shell.view().is_some());
    let view = harness.state().view().expect("it is shown");
    assert_eq!(view.grid.name, "Attic");
    assert!(view.nodes.iter().all(|node| node.state == NodeState::Down));
    harness.get_by_label(&format!("live, ruled at {}", ruled.at()));
    assert!(harness.query_by_label("Trouble").is_none(), "it is real");
    assert!(harness.query_by_label("Simulation speed").is_none());
}

/// What is asked in the window is done by the controller, and told with its history; what it refuses is
/// told with what can be done about it.
#[test]
fn a_live_grid_is_asked() {
    let ruled = Ruled::new();
    let mut harness = ruled.joined_window();
    let ctx = harness.ctx.clone();
    let cordon = backend::Command::Node {
        node: NodeId(1),
        state: NodeState::Cordoned,
    };
    let shell = harness.state_mut();
    shell.carry_out(&ctx, Command::Submit(Box::new(cordon)));
    settle(&mut harness);
    until(&mut harness, |shell| {
        let latest = shell
            .attached
            .as_ref()
            .and_then(|attached| attached.latest());
        let operations = latest.map(|latest| &latest.operations);
        operations.is_some_and(|all| all.iter().any(|one| one.state == OperationState::Done))
    });
    let attached = harness.state().attached.as_ref().expect("it is reached");
    let live = attached.latest().expect("it is shown");
    assert_eq!(live.operations[0].what, "set node north-1 cordoned");
    assert!(
        live.events
            .iter()
            .any(|event| event.text == "done, set node north-1 cordoned")
    );
    let vm = model::id::VmId(7);
    let start = backend::Command::Vm {
        vm,
        verb: model::order::Verb::Start,
    };
    let shell = harness.state_mut();
    shell.carry_out(&ctx, Command::Submit(Box::new(start)));
    settle(&mut harness);
    until(&mut harness, |shell| !shell.notices.open.is_empty());
    let told = &harness.state().notices.open[0];
    assert_eq!(told.text, "The grid refused it");
    assert!(
        told.details.iter().any(|line| line.starts_with("hint: ")),
        "{told:?}"
    );
}

/// While its controller is away what was there last stays, and it is told that it is not reached.
#[test]
fn a_controller_that_is_away_is_told() {
    let mut ruled = Ruled::new();
    let mut harness = ruled.joined_window();
    let trouble = |shell: &Shell| {
        let latest = shell
            .attached
            .as_ref()
            .and_then(|attached| attached.latest());
        latest.is_some_and(|latest| latest.trouble.is_some())
    };
    assert!(!trouble(harness.state()));
    ruled.end();
    until(&mut harness, trouble);
    let name = |shell: &Shell| shell.view().map(|view| view.grid.name.clone());
    assert_eq!(name(harness.state()).as_deref(), Some("Attic"));
    harness.get_by_label_contains("is not reached");
    ruled.start();
    until(&mut harness, |shell| !trouble(shell));
}
