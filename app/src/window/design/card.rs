//! A component on the canvas: a card with icon, name, size and a badge, as egui_graphs draws it.

use super::icons::icon;
use super::wire::WireFace;
use crate::window::theme::{Palette, font};
use egui::{
    Align2, Color32, CornerRadius, FontFamily, FontId, Pos2, Rect, Shape, Stroke, StrokeKind, Vec2,
    epaint::RectShape, pos2, vec2,
};
use egui_graphs::{DisplayNode, DrawContext, NodeProps};
use model::design::ComponentKind;
use petgraph::{Directed, stable_graph::DefaultIx};
use std::sync::Arc;

/// Width and height of a card, in points of the drawing.
pub const CARD: Vec2 = vec2(176.0, 60.0);
/// Radius of a port, in points of the drawing.
pub const PORT: f32 = 6.0;
/// Below this zoom a card shows icon and name alone.
pub const ZOOM_NAME: f32 = 0.62;
/// Below this zoom a card is a box with an icon.
const ZOOM_ICON: f32 = 0.36;
/// The smallest font that can be read; below it nothing is written.
const FONT_MIN: f32 = 5.0;

/// What a card shows; made anew only when the design changes.
#[derive(Clone, Debug, PartialEq)]
pub struct CardFace {
    /// What it is; `None`: a component that a link names and the design lacks.
    pub kind: Option<ComponentKind>,
    /// Its name.
    pub name: String,
    /// Second line: `3 × 4 cores, 8 GiB`.
    pub size: String,
    /// How many problems it has.
    pub problems: usize,
}

/// What changes from frame to frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardMood {
    /// Among what is selected.
    pub selected: bool,
    /// Under the pointer, or where a link that is drawn would end.
    pub hovered: bool,
    /// Has the keyboard.
    pub focused: bool,
    /// Shows its ports.
    pub ports: bool,
}

/// The payload of a graph node: cheap to clone, as egui_graphs clones both ends of every edge.
#[derive(Clone, Debug)]
pub struct Card {
    /// What it shows.
    pub face: Arc<CardFace>,
    /// How it shows it.
    pub mood: CardMood,
}

/// A card as egui_graphs draws it.
#[derive(Clone, Debug)]
pub struct CardShape {
    card: Card,
    centre: Pos2,
}

/// The card of a component whose centre lies at `centre`.
pub fn card_rect(centre: Pos2) -> Rect {
    Rect::from_center_size(centre, CARD)
}

/// Where links leave a card.
pub fn out_port(centre: Pos2) -> Pos2 {
    centre + vec2(CARD.x / 2.0, 0.0)
}

/// Where links enter a card.
pub fn in_port(centre: Pos2) -> Pos2 {
    centre - vec2(CARD.x / 2.0, 0.0)
}

/// A font size in whole points: a size for each step of the zoom would fill the font atlas.
pub fn font_at(points: f32, zoom: f32) -> Option<FontId> {
    let size = (points * zoom).round();
    (size >= FONT_MIN).then(|| FontId::new(size, FontFamily::Proportional))
}

impl From<NodeProps<Card>> for CardShape {
    fn from(props: NodeProps<Card>) -> Self {
        Self {
            centre: props.location(),
            card: props.payload,
        }
    }
}

impl DisplayNode<Card, WireFace, Directed, DefaultIx> for CardShape {
    fn closest_boundary_point(&self, dir: Vec2) -> Pos2 {
        let half = CARD / 2.0;
        let scale =
            (half.x / dir.x.abs().max(f32::EPSILON)).min(half.y / dir.y.abs().max(f32::EPSILON));
        self.centre + dir * scale
    }

    fn shapes(&mut self, ctx: &DrawContext<'_>) -> Vec<Shape> {
        let zoom = ctx.meta.zoom;
        let rect = Rect::from_center_size(ctx.meta.canvas_to_screen_pos(self.centre), CARD * zoom);
        // Ports, badge and ring reach a little beyond the card.
        if !ctx.painter.clip_rect().intersects(rect.expand(12.0)) {
            return Vec::new();
        }
        let mut drawing = Drawing {
            ctx,
            palette: Palette::of(ctx.ctx),
            rect,
            zoom,
            shapes: Vec::with_capacity(16),
        };
        drawing.card(&self.card);
        drawing.shapes
    }

    fn update(&mut self, state: &NodeProps<Card>) {
        self.centre = state.location();
        self.card.clone_from(&state.payload);
    }

    fn is_inside(&self, pos: Pos2) -> bool {
        card_rect(self.centre).contains(pos)
    }
}

struct Drawing<'a> {
    ctx: &'a DrawContext<'a>,
    palette: &'static Palette,
    rect: Rect,
    zoom: f32,
    shapes: Vec<Shape>,
}

impl Drawing<'_> {
    fn card(&mut self, card: &Card) {
        let Some(kind) = card.face.kind else {
            self.missing(&card.face);
            return;
        };
        let colour = kind_colour(self.palette, kind);
        self.body(card, colour);
        if self.zoom < ZOOM_ICON {
            self.icon_alone(kind, colour);
        } else {
            self.icon_tile(kind, colour);
            self.words(&card.face);
        }
        if card.mood.ports && self.zoom >= ZOOM_ICON {
            self.ports(card.mood);
        }
        if card.face.problems > 0 {
            self.badge(card.face.problems);
        }
    }

    fn body(&mut self, card: &Card, colour: Color32) {
        let palette = self.palette;
        let corner = self.corner(10.0);
        if self.zoom >= ZOOM_ICON {
            let shade = self.rect.translate(vec2(0.0, 2.0 * self.zoom));
            self.shapes.push(
                RectShape::filled(shade.expand(1.0), corner, Color32::from_black_alpha(40))
                    .with_blur_width(6.0 * self.zoom)
                    .into(),
            );
        }
        let mood = card.mood;
        let (width, line) = match () {
            () if mood.selected => (2.0, palette.accent),
            () if mood.hovered => (1.5, colour),
            () if card.face.problems > 0 => (1.5, palette.bad),
            () => (1.0, palette.line),
        };
        if mood.selected || mood.focused {
            let halo = self.rect.expand(if mood.focused { 5.0 } else { 3.0 });
            self.shapes
                .push(RectShape::filled(halo, corner, palette.accent.gamma_multiply(0.22)).into());
        }
        self.shapes.push(
            RectShape::new(
                self.rect,
                corner,
                palette.card,
                Stroke::new(width, line),
                StrokeKind::Inside,
            )
            .into(),
        );
    }

    fn icon_tile(&mut self, kind: ComponentKind, colour: Color32) {
        let tile = Rect::from_min_size(
            self.rect.min + vec2(10.0, 11.0) * self.zoom,
            Vec2::splat(38.0) * self.zoom,
        );
        let ground = colour.gamma_multiply(0.18);
        self.shapes
            .push(RectShape::filled(tile, self.corner(8.0), ground).into());
        self.shapes
            .extend(icon(kind, tile.shrink(8.0 * self.zoom), colour));
    }

    fn icon_alone(&mut self, kind: ComponentKind, colour: Color32) {
        let ground = colour.gamma_multiply(0.25);
        self.shapes
            .push(RectShape::filled(self.rect.shrink(2.0), self.corner(8.0), ground).into());
        let side = self.rect.height() * 0.6;
        if side >= 6.0 {
            let square = Rect::from_center_size(self.rect.center(), Vec2::splat(side));
            self.shapes.extend(icon(kind, square, colour));
        }
    }

    fn words(&mut self, face: &CardFace) {
        let left = self.rect.min.x + 57.0 * self.zoom;
        let middle = self.rect.center().y;
        let width = self.rect.max.x - left - 10.0 * self.zoom;
        if self.zoom < ZOOM_NAME {
            self.text(
                pos2(left, middle),
                &face.name,
                17.0,
                self.palette.text_strong,
                width,
            );
            return;
        }
        let line = 9.5 * self.zoom;
        self.text(
            pos2(left, middle - line),
            &face.name,
            font::BODY + 0.5,
            self.palette.text_strong,
            width,
        );
        self.text(
            pos2(left, middle + line),
            &face.size,
            font::SMALL,
            self.palette.text_weak,
            width,
        );
    }

    /// One line, shortened with `…` to fit.
    fn text(&mut self, left_middle: Pos2, text: &str, points: f32, colour: Color32, width: f32) {
        let Some(font) = font_at(points, self.zoom) else {
            return;
        };
        let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, colour);
        job.wrap = egui::text::TextWrapping::truncate_at_width(width.max(1.0));
        let galley = self.ctx.ctx.fonts_mut(|fonts| fonts.layout_job(job));
        let at = left_middle - vec2(0.0, galley.size().y / 2.0);
        self.shapes.push(Shape::galley(at, galley, colour));
    }

    fn ports(&mut self, mood: CardMood) {
        let radius = PORT * self.zoom;
        let stroke = Stroke::new(1.5, self.palette.accent);
        let fill = if mood.hovered {
            self.palette.accent
        } else {
            self.palette.card
        };
        let right = pos2(self.rect.max.x, self.rect.center().y);
        self.shapes.push(Shape::circle_filled(right, radius, fill));
        self.shapes
            .push(Shape::circle_stroke(right, radius, stroke));
        let plus = if mood.hovered {
            self.palette.on_accent
        } else {
            self.palette.accent
        };
        let arm = radius * 0.5;
        for along in [vec2(arm, 0.0), vec2(0.0, arm)] {
            self.shapes.push(Shape::line_segment(
                [right - along, right + along],
                Stroke::new(1.2, plus),
            ));
        }
    }

    fn badge(&mut self, problems: usize) {
        let radius = (9.0 * self.zoom).max(4.0);
        let at = self.rect.right_top() + vec2(-4.0, 4.0) * self.zoom;
        self.shapes
            .push(Shape::circle_filled(at, radius + 1.5, self.palette.ground));
        self.shapes
            .push(Shape::circle_filled(at, radius, self.palette.bad));
        if let Some(font) = font_at(11.0, self.zoom) {
            let text = self.ctx.ctx.fonts_mut(|fonts| {
                Shape::text(
                    fonts,
                    at,
                    Align2::CENTER_CENTER,
                    problems,
                    font,
                    self.palette.ground,
                )
            });
            self.shapes.push(text);
        }
    }

    /// A dashed frame where a link names a component that is not there.
    fn missing(&mut self, face: &CardFace) {
        let bad = self.palette.bad;
        let corners = [
            self.rect.left_top(),
            self.rect.right_top(),
            self.rect.right_bottom(),
            self.rect.left_bottom(),
            self.rect.left_top(),
        ];
        self.shapes
            .push(RectShape::filled(self.rect, 0.0, bad.gamma_multiply(0.08)).into());
        self.shapes.extend(Shape::dashed_line(
            &corners,
            Stroke::new(1.5, bad),
            6.0,
            4.0,
        ));
        let width = self.rect.width() - 24.0 * self.zoom;
        let left = self.rect.left_center() + vec2(12.0, 0.0) * self.zoom;
        let line = vec2(0.0, 10.5 * self.zoom);
        self.text(left - line, &face.name, font::BODY, bad, width);
        self.text(left + line, &face.size, font::SMALL, bad, width);
    }

    fn corner(&self, points: f32) -> CornerRadius {
        CornerRadius::same((points * self.zoom).clamp(0.0, 40.0) as u8)
    }
}

/// The colour of a kind: cards and palette entries show it alike.
pub fn kind_colour(palette: &Palette, kind: ComponentKind) -> Color32 {
    palette.series[kind as usize % palette.series.len()]
}
