//! Gestures on the canvas: moving cards, drawing links, the rubber band, and the keys that go with them.

use super::{Canvas, Drag};
use crate::window::design::act::Act;
use crate::window::design::card::card_rect;
use crate::window::design::document::{Document, Gesture};
use crate::window::design::edit::Edit;
use crate::window::design::selection::{Item, Selection};
use crate::window::design::snap;
use egui::{Key, Pos2, Rect, Ui, Vec2, vec2};

/// How far, in points of the drawing, an arrow key moves; with Shift one grid step.
const NUDGE: f32 = 1.0;
/// How near, in points of the screen, the end of a link must come to a card to snap to it.
const TARGET_REACH: f32 = 18.0;

impl Canvas {
    pub(super) fn start_move(
        &mut self,
        ui: &Ui,
        canvas: Rect,
        place: usize,
        extend: bool,
        document: &Document,
        acts: &mut Vec<Act>,
    ) {
        let Some(from) = ui.input(|input| input.pointer.press_origin()) else {
            return;
        };
        let mut moved = document.selection().clone();
        if !moved.components.contains(&place) {
            if !extend {
                moved = Selection::default();
            }
            moved.insert(Item::Component(place));
            acts.push(Act::Select(moved.clone()));
        }
        self.drags += 1;
        self.drag = Drag::Cards {
            from: self.viewport.to_drawing(canvas, from),
            grabbed: place,
            starts: moved
                .components
                .iter()
                .map(|&c| (c, self.scene.centres[c].into()))
                .collect(),
        };
    }

    pub(super) fn go_on_moving(
        &mut self,
        ui: &Ui,
        canvas: Rect,
        place: usize,
        acts: &mut Vec<Act>,
    ) {
        let Drag::Cards {
            from,
            grabbed,
            starts,
        } = &self.drag
        else {
            return;
        };
        let Some(pointer) = ui
            .input(|input| input.pointer.latest_pos())
            .filter(|_| *grabbed == place)
        else {
            return;
        };
        let mut by = self.viewport.to_drawing(canvas, pointer) - *from;
        let Some(&(_, start)) = starts.iter().find(|(moved, _)| moved == grabbed) else {
            return;
        };
        // Alt goes where the pointer is.
        if !ui.input(|input| input.modifiers.alt) {
            let still: Vec<Pos2> = (0..self.scene.components)
                .filter(|place| !starts.iter().any(|(moved, _)| moved == place))
                .map(|place| self.scene.centres[place])
                .collect();
            let (shift, guides) = snap::shift(Pos2::from(start) + by, &still);
            by += shift;
            self.guides = guides;
        }
        let places: Vec<_> = starts
            .iter()
            .map(|&(place, [x, y])| (place, [x + by.x, y + by.y]))
            .collect();
        // A hand that holds still is no reason to draw.
        if places
            .iter()
            .all(|&(place, at)| self.scene.centres[place] == Pos2::from(at))
        {
            return;
        }
        acts.push(Act::EditWithin(Edit::Place(places), self.drag_gesture()));
    }

    pub(super) fn stop_moving(&mut self, acts: &mut Vec<Act>) {
        self.drag = Drag::Nothing;
        self.guides.clear();
        acts.push(Act::EndGesture);
    }

    pub(super) fn drag_gesture(&self) -> Gesture {
        Gesture(format!("drag {}", self.drags))
    }

    /// Where the link that is being drawn would end.
    pub(super) fn wire_target(&self, ui: &Ui, canvas: Rect) -> Option<usize> {
        let Drag::Wire { from } = self.drag else {
            return None;
        };
        let pointer = ui.input(|input| input.pointer.latest_pos())?;
        let drawn = self.viewport.to_drawing(canvas, pointer);
        self.scene
            .component_at(drawn, TARGET_REACH / self.viewport.zoom)
            .filter(|&to| to != from)
    }

    pub(super) fn finish_wire(&mut self, ui: &Ui, acts: &mut Vec<Act>) {
        let Drag::Wire { from } = self.drag else {
            return;
        };
        if ui.input(|input| input.pointer.any_down()) {
            return;
        }
        self.drag = Drag::Nothing;
        if let Some(to) = self.marks.target.take() {
            acts.push(Act::Edit(Edit::Link { from, to }));
        }
    }

    pub(super) fn keys(&mut self, ui: &Ui, document: &Document, acts: &mut Vec<Act>) {
        if ui.input(|input| input.key_pressed(Key::Escape)) {
            self.escape(acts);
            return;
        }
        let step = if ui.input(|input| input.modifiers.shift) {
            snap::GRID
        } else {
            NUDGE
        };
        let by = ui.input(|input| {
            let count = |key| input.num_presses(key) as f32 * step;
            vec2(
                count(Key::ArrowRight) - count(Key::ArrowLeft),
                count(Key::ArrowDown) - count(Key::ArrowUp),
            )
        });
        let moved = &document.selection().components;
        if by == Vec2::ZERO || moved.is_empty() {
            return;
        }
        let places = moved
            .iter()
            .map(|&place| (place, (self.scene.centres[place] + by).into()))
            .collect();
        acts.push(Act::EditWithin(
            Edit::Place(places),
            Gesture(format!("nudge {moved:?}")),
        ));
    }

    pub(super) fn escape(&mut self, acts: &mut Vec<Act>) {
        match std::mem::take(&mut self.drag) {
            Drag::Cards { starts, .. } => {
                acts.push(Act::EditWithin(Edit::Place(starts), self.drag_gesture()));
                acts.push(Act::EndGesture);
                self.guides.clear();
            }
            Drag::Band { base, .. } => acts.push(Act::Select(base)),
            Drag::Wire { .. } => self.marks.target = None,
            Drag::Nothing => acts.push(Act::Select(Selection::default())),
        }
    }

    /// Components that touch the band, and links both of whose ends do.
    pub(super) fn inside(&self, band: Rect) -> Selection {
        let mut selection = Selection::of_components(
            (0..self.scene.components)
                .filter(|&place| band.intersects(card_rect(self.scene.centres[place]))),
        );
        for (place, wire) in self.scene.wires.iter().enumerate() {
            if selection.components.contains(&wire.from) && selection.components.contains(&wire.to)
            {
                selection.links.insert(place);
            }
        }
        selection
    }
}
