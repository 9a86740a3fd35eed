//! How the canvas is seen: pan and zoom, both kept within bounds.

use egui::{Pos2, Rect, Vec2};

/// The smallest zoom: a card is then a dot, and a design of a thousand components is on one screen.
pub const ZOOM_MIN: f32 = 0.08;
/// The largest zoom: glyphs beyond it would crowd the font atlas.
pub const ZOOM_MAX: f32 = 2.5;
/// The largest zoom that fitting chooses; a single card need not fill the window.
const ZOOM_FIT_MAX: f32 = 1.25;
/// Points left free around a fitted design, where there are enough.
const FIT_MARGIN: f32 = 48.0;
/// The most of the canvas, on each side, that is left free.
const FIT_MARGIN_SHARE: f32 = 0.06;

/// Pan in screen points from the canvas's top left, and zoom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewport {
    /// Where the origin of the drawing lies, from the canvas's top left.
    pub pan: Vec2,
    /// Screen points for a point of the drawing.
    pub zoom: f32,
}

impl Default for Viewport {
    fn default() -> Self {
        Self {
            pan: Vec2::ZERO,
            zoom: 1.0,
        }
    }
}

impl Viewport {
    /// A point of the drawing on the screen.
    pub fn to_screen(&self, canvas: Rect, drawn: Pos2) -> Pos2 {
        canvas.min + self.pan + drawn.to_vec2() * self.zoom
    }

    /// A rectangle of the drawing on the screen.
    pub fn rect_to_screen(&self, canvas: Rect, drawn: Rect) -> Rect {
        Rect::from_min_max(
            self.to_screen(canvas, drawn.min),
            self.to_screen(canvas, drawn.max),
        )
    }

    /// A point of the screen in the drawing.
    pub fn to_drawing(&self, canvas: Rect, screen: Pos2) -> Pos2 {
        ((screen - canvas.min - self.pan) / self.zoom).to_pos2()
    }

    /// Zooms by a factor, keeping the point of the screen where it is.
    pub fn zoom_about(&mut self, canvas: Rect, anchor: Pos2, factor: f32) {
        let fixed = self.to_drawing(canvas, anchor);
        let zoom = self.zoom * factor;
        if !zoom.is_finite() {
            return;
        }
        self.zoom = zoom.clamp(ZOOM_MIN, ZOOM_MAX);
        self.pan = (anchor - canvas.min) - fixed.to_vec2() * self.zoom;
    }

    /// Shows all of `bounds`; an empty drawing is shown at its own size.
    pub fn fit(&mut self, canvas: Rect, bounds: Option<Rect>) {
        let Some(bounds) = bounds.filter(|b| b.is_finite() && b.width() > 0.0) else {
            self.zoom = 1.0;
            self.pan = canvas.size() / 2.0;
            return;
        };
        let margin = (canvas.size() * FIT_MARGIN_SHARE).min(Vec2::splat(FIT_MARGIN));
        let room = (canvas.size() - 2.0 * margin).max(Vec2::splat(1.0));
        let wanted = (room / bounds.size().max(Vec2::splat(1.0))).min_elem();
        self.zoom = wanted.clamp(ZOOM_MIN, ZOOM_FIT_MAX);
        self.centre_on(canvas, bounds.center());
    }

    /// Brings a point of the drawing to the middle.
    pub fn centre_on(&mut self, canvas: Rect, drawn: Pos2) {
        self.pan = canvas.size() / 2.0 - drawn.to_vec2() * self.zoom;
    }
}
