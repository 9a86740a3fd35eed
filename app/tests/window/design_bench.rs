//! The Design page on a bench: the page with the window's services, and verbs to act on it.

use app::window::command::{self, Command};
use app::window::design::DesignPage;
use app::window::jobs::Jobs;
use app::window::kept::{Kept, Page};
use app::window::notices::Notices;
use app::window::player::Player;
use app::window::room::Room;
use app::window::theme::{self, Palette};
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, PointerButton, Pos2, Vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use model::design::Design;
use model::view::View;
use std::sync::Arc;

/// The page and what the shell would lend it.
#[derive(Default)]
pub struct Bench {
    pub page: DesignPage,
    pub view: Option<Arc<View>>,
    pub asks: Vec<Command>,
    pub notices: Notices,
    player: Player,
    pub jobs: Jobs,
    kept: Kept,
    installed: bool,
}

impl Bench {
    /// A bench with a page of its own.
    pub fn of(page: DesignPage) -> Self {
        Self {
            page,
            ..Self::default()
        }
    }

    /// Does with the page what the shell does.
    pub fn with<R>(
        &mut self,
        ctx: &egui::Context,
        act: impl FnOnce(&mut DesignPage, &mut Room<'_>) -> R,
    ) -> R {
        let mut room = Room {
            view: self.view.as_ref(),
            live: None,
            ruled_at: None,
            shows_replay: false,
            player: &mut self.player,
            jobs: &mut self.jobs,
            notices: &mut self.notices,
            kept: &mut self.kept,
            palette: Palette::of(ctx),
            asks: &mut self.asks,
        };
        act(&mut self.page, &mut room)
    }

    fn frame(&mut self, ui: &mut egui::Ui) {
        let ctx = ui.ctx().clone();
        if !self.installed {
            theme::install(&ctx);
            ctx.all_styles_mut(|style| {
                style.animation_time = 0.0;
                style.visuals.text_cursor.blink = false;
            });
            self.installed = true;
            // This frame has the old style still.
            ctx.request_repaint();
            return;
        }
        if let Some(Command::Design(command)) = command::pressed(&ctx, Page::Design) {
            self.with(&ctx, |page, room| page.command(&ctx, command, room));
        }
        self.with(&ctx, |page, room| {
            page.logic(&ctx, room);
            page.ui(ui, room);
        });
        self.jobs.sweep();
    }
}

/// A page on a window of 1400 × 900 points.
pub type Window = Harness<'static, Bench>;

/// Shows the page of a bench.
pub fn window(bench: Bench) -> Window {
    let mut window = Harness::builder()
        .with_size(Vec2::new(1400.0, 900.0))
        // A double-click takes four events, each a frame of its own.
        .with_step_dt(1.0 / 60.0)
        .with_max_steps(12)
        .build_ui_state(|ui, bench: &mut Bench| bench.frame(ui), bench);
    window.run();
    window
}

/// Verbs of a user.
pub trait User {
    /// The design as it is now.
    fn design(&self) -> Arc<Design>;
    /// The middle of what is called so.
    fn at(&self, name: &str) -> Pos2;
    /// Whether there is anything called so.
    fn sees(&self, name: &str) -> bool;
    /// Clicks on what is called so.
    fn click(&mut self, name: &str);
    /// Clicks with a modifier held.
    fn click_with(&mut self, name: &str, modifiers: Modifiers);
    /// Clicks at a point, as often as told.
    fn click_at(&mut self, at: Pos2, times: usize);
    /// Drags from a point to another in four moves.
    fn drag(&mut self, from: Pos2, to: Pos2);
    /// Presses a key.
    fn press(&mut self, modifiers: Modifiers, key: Key);
    /// Gives the keyboard to what is called so.
    fn focus(&mut self, name: &str);
    /// Replaces the text of a field, key by key, and leaves it with Enter.
    fn type_into(&mut self, role: Role, name: &str, text: &str);
}

impl User for Window {
    fn design(&self) -> Arc<Design> {
        Arc::clone(self.state().page.document().design())
    }

    fn at(&self, name: &str) -> Pos2 {
        self.get_by_label(name).rect().center()
    }

    fn sees(&self, name: &str) -> bool {
        self.query_all_by_label(name).next().is_some()
    }

    fn click(&mut self, name: &str) {
        self.get_by_label(name).click();
        self.run();
    }

    fn click_with(&mut self, name: &str, modifiers: Modifiers) {
        self.get_by_label(name).click_modifiers(modifiers);
        self.run();
    }

    fn click_at(&mut self, at: Pos2, times: usize) {
        self.event(Event::PointerMoved(at));
        for _ in 0..times {
            for pressed in [true, false] {
                self.event(button(at, pressed));
            }
        }
        self.run();
    }

    fn drag(&mut self, from: Pos2, to: Pos2) {
        self.event(Event::PointerMoved(from));
        self.event(button(from, true));
        for part in 1..=4 {
            self.event(Event::PointerMoved(from + (to - from) * part as f32 / 4.0));
        }
        self.run();
        self.event(button(to, false));
        self.run();
    }

    fn press(&mut self, modifiers: Modifiers, key: Key) {
        self.key_press_modifiers(modifiers, key);
        self.run();
    }

    fn focus(&mut self, name: &str) {
        self.get_by_label(name).focus();
        self.run();
    }

    fn type_into(&mut self, role: Role, name: &str, text: &str) {
        // A number becomes a text field when it is clicked; both take the keyboard so.
        self.get_by_role_and_label(role, name).click();
        self.run();
        self.press(Modifiers::COMMAND, Key::A);
        for letter in text.chars() {
            self.event(Event::Text(letter.to_string()));
        }
        self.run();
        self.press(Modifiers::NONE, Key::Enter);
    }
}

/// Whether what is called so is chosen.
pub fn is_selected(window: &Window, name: &str) -> bool {
    let node = window.get_by_label(name).accesskit_node();
    node.toggled() == Some(egui::accesskit::Toggled::True) || node.is_selected() == Some(true)
}

fn button(pos: Pos2, pressed: bool) -> Event {
    Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    }
}
