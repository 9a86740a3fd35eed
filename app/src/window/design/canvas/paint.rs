//! What the canvas paints below and above the graph: grid lines, guides, bands, links under way, ghosts.

use super::{Canvas, Drag, Dragged};
use crate::window::design::card::{card_rect, kind_colour, out_port};
use crate::window::design::icons::icon;
use crate::window::design::snap;
use crate::window::design::viewport::Viewport;
use crate::window::design::wire;
use crate::window::theme::Palette;
use egui::{Rect, Shape, Stroke, StrokeKind, Ui, Vec2, pos2, vec2};
use model::design::ComponentKind;

impl Canvas {
    pub(super) fn paint_gesture(&self, ui: &Ui, canvas: Rect, palette: &Palette) {
        let painter = ui.painter();
        let pointer = ui.input(|input| input.pointer.latest_pos());
        for guide in &self.guides {
            let ends = [guide.from, guide.to].map(|end| self.viewport.to_screen(canvas, end));
            painter.extend(Shape::dashed_line(
                &ends,
                Stroke::new(1.0, palette.accent),
                4.0,
                3.0,
            ));
        }
        match (&self.drag, pointer) {
            (Drag::Band { from, .. }, Some(to)) => {
                let band = Rect::from_two_pos(self.viewport.to_screen(canvas, *from), to);
                painter.rect(
                    band,
                    2.0,
                    palette.accent.gamma_multiply(0.12),
                    Stroke::new(1.0, palette.accent),
                    StrokeKind::Inside,
                );
            }
            (Drag::Wire { from }, Some(to)) => {
                let centre = self.scene.centres[*from];
                let loose = || {
                    let right = vec2(1.0, 0.0);
                    wire::bezier(
                        (out_port(centre), right),
                        (self.viewport.to_drawing(canvas, to), -right),
                        Vec2::ZERO,
                    )
                };
                let curve = self.marks.target.map_or_else(loose, |target| {
                    wire::curve(centre, self.scene.centres[target], 0)
                });
                let curve = curve.map(|at| self.viewport.to_screen(canvas, at));
                painter.extend(wire::arrow(
                    curve,
                    Stroke::new(2.0, palette.accent),
                    self.viewport.zoom,
                ));
            }
            _ => {}
        }
        let dragged = egui::DragAndDrop::payload::<Dragged>(ui.ctx());
        if let (Some(dragged), Some(at)) = (dragged, pointer.filter(|at| canvas.contains(*at))) {
            let centre = snap::to_grid(self.viewport.to_drawing(canvas, at));
            let rect = self.viewport.rect_to_screen(canvas, card_rect(centre));
            paint_ghost(ui, rect, dragged.0, palette);
        }
        if self.scene.faces.is_empty() {
            paint_invitation(ui, canvas, palette);
        }
    }
}

/// A card that is not there yet.
fn paint_ghost(ui: &Ui, rect: Rect, kind: ComponentKind, palette: &Palette) {
    let colour = kind_colour(palette, kind);
    let painter = ui.painter();
    painter.rect(
        rect,
        8.0,
        palette.card.gamma_multiply(0.7),
        Stroke::new(1.5, colour),
        StrokeKind::Inside,
    );
    let tile = Rect::from_center_size(
        rect.left_center() + vec2(rect.height() * 0.5, 0.0),
        Vec2::splat(rect.height() * 0.36),
    );
    painter.extend(icon(kind, tile, colour));
    let font = egui::TextStyle::Body.resolve(ui.style());
    painter.text(
        pos2(tile.max.x + 12.0, rect.center().y),
        egui::Align2::LEFT_CENTER,
        kind.defaults().title,
        font,
        palette.text,
    );
}

fn paint_invitation(ui: &Ui, canvas: Rect, palette: &Palette) {
    let painter = ui.painter();
    let heading = egui::TextStyle::Heading.resolve(ui.style());
    let body = egui::TextStyle::Body.resolve(ui.style());
    let middle = canvas.center();
    painter.text(
        middle - vec2(0.0, 18.0),
        egui::Align2::CENTER_CENTER,
        "Draw a hosting configuration",
        heading,
        palette.text_weak,
    );
    let hint = "Drag a component here, or double-click one. Drag from its right port to link it.";
    painter.text(
        middle + vec2(0.0, 10.0),
        egui::Align2::CENTER_CENTER,
        hint,
        body,
        palette.text_weak,
    );
}

pub(super) fn paint_grid(ui: &Ui, canvas: Rect, viewport: Viewport, palette: &Palette) {
    let painter = ui.painter();
    painter.rect_filled(canvas, 0.0, palette.ground);
    let mut step = snap::GRID * viewport.zoom;
    // Lines nearer than this are a grey mist.
    while step < 16.0 {
        step *= 2.0;
    }
    let stroke = Stroke::new(1.0, palette.line.gamma_multiply(0.35));
    let first = |pan: f32| pan.rem_euclid(step);
    let mut x = canvas.min.x + first(viewport.pan.x);
    while x < canvas.max.x {
        painter.vline(x, canvas.y_range(), stroke);
        x += step;
    }
    let mut y = canvas.min.y + first(viewport.pan.y);
    while y < canvas.max.y {
        painter.hline(canvas.x_range(), y, stroke);
        y += step;
    }
}
