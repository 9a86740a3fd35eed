//! A replay under a time slider: seeks on a thread of its own, so that dragging never waits for a view.

use crate::window::command::Command;
use crate::window::widgets::{Sign, sign_button};
use control::backend::Backend;
use egui::{Context, Key, RichText, Ui};
use lab::recorded::Recorded;
use model::time::{Span, Time};
use model::view::View;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// A run plays through in this many seconds at speed 1.
const PLAY_SECONDS: f64 = 40.0;
/// Steps of the arrow keys from start to end.
const STEPS: i64 = 200;
/// Frames of a playing replay a second; more cannot be told apart on a heatmap.
const FRAME: Duration = Duration::from_millis(33);
/// Room that the time and the speed take, in points.
const REST: f32 = 300.0;
/// Speeds to choose from.
const SPEEDS: [f64; 6] = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0];

/// What is replayed.
struct Source {
    title: String,
    end: Time,
    wanted: Sender<Time>,
    views: Receiver<Arc<View>>,
    asked: Option<Time>,
}

/// The replay and its controls.
pub struct Player {
    source: Option<Source>,
    view: Option<Arc<View>>,
    at: Time,
    playing: bool,
    speed: f64,
    last_seconds: Option<f64>,
    /// Part of a millisecond of the run that playing has yet to move on by.
    fraction_millis: f64,
    slider: Option<egui::Id>,
}

impl Default for Player {
    fn default() -> Self {
        Self {
            source: None,
            view: None,
            at: Time::ZERO,
            playing: false,
            speed: 1.0,
            last_seconds: None,
            fraction_millis: 0.0,
            slider: None,
        }
    }
}

impl Player {
    /// Takes a run and shows its instant `at`.
    pub fn load(&mut self, ctx: &Context, title: String, mut recorded: Recorded, at: Time) {
        let end = recorded.span().1;
        let (wanted, wishes) = channel::<Time>();
        let (sender, views) = channel();
        let ctx = ctx.clone();
        std::thread::spawn(move || {
            while let Ok(mut at) = wishes.recv() {
                // Only the latest wish of a dragged slider is worth a view.
                while let Ok(later) = wishes.try_recv() {
                    at = later;
                }
                recorded.seek(at);
                if sender.send(recorded.view()).is_err() {
                    return;
                }
                ctx.request_repaint();
            }
        });
        self.source = Some(Source {
            title,
            end,
            wanted,
            views,
            asked: None,
        });
        self.playing = false;
        self.seek(at);
    }

    /// Forgets the run.
    pub fn unload(&mut self) {
        *self = Self {
            speed: self.speed,
            ..Self::default()
        };
    }

    /// Whether there is a run to replay.
    pub fn is_loaded(&self) -> bool {
        self.source.is_some()
    }

    /// What is replayed, for people.
    pub fn title(&self) -> &str {
        self.source
            .as_ref()
            .map_or("", |source| source.title.as_str())
    }

    /// The last instant.
    pub fn end(&self) -> Time {
        self.source.as_ref().map_or(Time::ZERO, |source| source.end)
    }

    /// The instant wished for; the view follows as soon as it can.
    pub fn at(&self) -> Time {
        self.at
    }

    /// The instant wished for as a share of the run, 0 to 1.
    pub fn share(&self) -> f64 {
        self.at.0 as f64 / self.end().0.max(1) as f64
    }

    /// The newest view, if a run is loaded and has shown one.
    pub fn view(&self) -> Option<&Arc<View>> {
        self.view.as_ref()
    }

    /// Whether the slider moves by itself.
    pub fn is_playing(&self) -> bool {
        self.playing
    }

    /// Whether the view is of the instant wished for.
    pub fn is_settled(&self) -> bool {
        self.source
            .as_ref()
            .is_none_or(|source| self.view.as_ref().map(|view| view.at) == source.asked)
    }

    /// Goes to an instant.
    pub fn seek(&mut self, at: Time) {
        self.at = at.clamp(Time::ZERO, self.end());
        if let Some(source) = &mut self.source
            && source.asked != Some(self.at)
        {
            source.asked = Some(self.at);
            // The thread lives as long as its sender; a failed send cannot be.
            let _ = source.wanted.send(self.at);
        }
    }

    /// Starts; from the beginning where it stands at the end.
    pub fn play(&mut self) {
        if self.at >= self.end() {
            self.seek(Time::ZERO);
        }
        self.playing = self.is_loaded();
        self.last_seconds = None;
    }

    /// Carries out a command of the replay.
    pub fn command(&mut self, command: &Command) {
        let step = Span((self.end().0 / STEPS).max(1));
        // Whoever steps or jumps wants to look.
        let playing = std::mem::replace(&mut self.playing, false);
        match command {
            Command::Play if !playing => self.play(),
            Command::StepForward => self.seek(self.at + step),
            Command::StepBack => self.seek(Time(self.at.0 - step.0)),
            Command::Start => self.seek(Time::ZERO),
            Command::End => self.seek(self.end()),
            _ => {}
        }
    }

    /// Moves on and takes views that are ready; before every frame.
    pub fn tick(&mut self, ctx: &Context) {
        if self.playing {
            let now = ctx.input(|input| input.time);
            let gone = self
                .last_seconds
                .map_or(0.0, |last| (now - last).clamp(0.0, 0.25));
            self.last_seconds = Some(now);
            let millis = self.end().0 as f64 / PLAY_SECONDS * self.speed * gone;
            let due = self.fraction_millis + millis;
            self.fraction_millis = due.fract();
            self.seek(self.at + Span(due as i64));
            self.playing = self.at < self.end();
            ctx.request_repaint_after(FRAME);
        }
        if let Some(source) = &self.source
            && let Some(view) = source.views.try_iter().last()
        {
            self.view = Some(view);
        }
    }

    /// Waits for the view of the instant asked for; for tests, never for a frame.
    pub fn settle(&mut self, limit: Duration) {
        if let Some(source) = &self.source
            && self.view.as_ref().map(|view| view.at) != source.asked
            && let Ok(view) = source.views.recv_timeout(limit)
        {
            self.view = Some(view);
            self.settle(limit);
        }
    }

    /// Draws slider and buttons in one row, or in two where one is too short.
    pub fn ui(&mut self, ui: &mut Ui) {
        /// Room for a slider that can be aimed with, beside all else.
        const ONE_ROW: f32 = 620.0;
        let mut command = None;
        let narrow = ui.available_width() < ONE_ROW;
        if narrow {
            ui.horizontal(|ui| self.slider(ui, 0.0));
        }
        ui.horizontal(|ui| {
            let mut button = |ui: &mut Ui, sign, what: Command| {
                if let Some(description) = what.describe()
                    && sign_button(ui, sign, description.text, description.tooltip).clicked()
                {
                    command = Some(what);
                }
            };
            button(ui, Sign::First, Command::Start);
            button(ui, Sign::Back, Command::StepBack);
            button(
                ui,
                if self.playing {
                    Sign::Pause
                } else {
                    Sign::Play
                },
                Command::Play,
            );
            button(ui, Sign::On, Command::StepForward);
            button(ui, Sign::Last, Command::End);
            if !narrow {
                self.slider(ui, REST);
            }
            let text = format!("{} of {}", self.at, self.end());
            ui.label(RichText::new(text).monospace());
            self.speed_picker(ui);
        });
        if let Some(command) = command {
            self.command(&command);
        }
    }

    /// Draws the slider into all the room but `rest` points at its right.
    fn slider(&mut self, ui: &mut Ui, rest: f32) {
        self.slider_keys(ui);
        let end = self.end().seconds();
        let mut seconds = self.at.seconds();
        ui.spacing_mut().slider_width = (ui.available_width() - rest).max(80.0);
        let slider = egui::Slider::new(&mut seconds, 0.0..=end.max(0.001)).show_value(false);
        let response = ui.add(slider);
        response.widget_info(|| egui::WidgetInfo::slider(true, seconds, "Replay time"));
        let at = Time::from_seconds(seconds);
        if response.changed() && at != self.at {
            self.playing = false;
            self.seek(at);
        }
        self.slider = Some(response.id);
    }

    /// Keys of the focused slider: its own steps of a millisecond would lead nowhere.
    fn slider_keys(&mut self, ui: &Ui) {
        if self.slider.is_none() || ui.memory(|memory| memory.focused()) != self.slider {
            return;
        }
        let keys = [
            (Key::ArrowRight, Command::StepForward),
            (Key::ArrowLeft, Command::StepBack),
            (Key::Home, Command::Start),
            (Key::End, Command::End),
        ];
        for (key, command) in keys {
            if ui.input_mut(|input| input.consume_key(egui::Modifiers::NONE, key)) {
                self.command(&command);
            }
        }
    }

    fn speed_picker(&mut self, ui: &mut Ui) {
        let a_second = |speed: f64| {
            let seconds = self.end().seconds() / PLAY_SECONDS * speed;
            match seconds {
                s if s >= 86_400.0 => format!("{:.1} d/s", s / 86_400.0),
                s if s >= 3_600.0 => format!("{:.1} h/s", s / 3_600.0),
                s if s >= 60.0 => format!("{:.1} min/s", s / 60.0),
                s => format!("{s:.1} s/s"),
            }
        };
        let mut speed = self.speed;
        let combo = egui::ComboBox::from_id_salt("replay speed")
            .width(84.0)
            .selected_text(a_second(speed))
            .show_ui(ui, |ui| {
                for choice in SPEEDS {
                    ui.selectable_value(&mut speed, choice, a_second(choice));
                }
            });
        combo.response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::WidgetType::ComboBox, true, "Replay speed")
        });
        combo.response.on_hover_text("Simulated time a second");
        self.speed = speed;
    }
}
