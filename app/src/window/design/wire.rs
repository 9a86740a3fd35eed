//! A link on the canvas: a curve from port to port with an arrow head and its port number, as egui_graphs draws it.

use super::card::{CARD, Card, CardShape, font_at};
use crate::window::theme::Palette;
use egui::epaint::{CubicBezierShape, RectShape};
use egui::{Color32, CornerRadius, Pos2, Rect, Shape, Stroke, StrokeKind, Vec2, vec2};
use egui_graphs::{DisplayEdge, DrawContext, EdgeProps, Node};
use petgraph::{Directed, stable_graph::DefaultIx};
use std::sync::Arc;

/// How near, in points of the screen, the pointer must come to a curve to hit it.
const REACH: f32 = 7.0;
/// Straight parts a curve is measured by.
const PARTS: u8 = 24;
/// Distance between the curves of links with the same two ends, in points of the drawing.
const SIBLINGS: f32 = 26.0;
/// Below this zoom links have no labels.
const ZOOM_LABEL: f32 = 0.5;

/// What a link shows.
#[derive(Clone, Debug, PartialEq)]
pub struct WireFace {
    /// Its port: `:443`.
    pub label: Arc<str>,
    /// Among what is selected.
    pub selected: bool,
    /// Under the pointer.
    pub hovered: bool,
    /// Has problems.
    pub faulty: bool,
    /// How many links with the same two ends come before it.
    pub sibling: u8,
}

/// A link as egui_graphs draws it.
#[derive(Clone, Debug)]
pub struct WireShape {
    face: WireFace,
    zoom: f32,
}

/// The curve from one card's centre to another's, in the drawing: from the side that faces the other
/// card to the side that faces back, as long ways round hide other cards.
pub fn curve(from: Pos2, to: Pos2, sibling: u8) -> [Pos2; 4] {
    let apart = to - from;
    let half = CARD / 2.0;
    let side = if apart.x.abs() >= CARD.x {
        vec2(apart.x.signum(), 0.0)
    } else {
        vec2(0.0, if apart.y < 0.0 { -1.0 } else { 1.0 })
    };
    let bend = side.rot90().abs() * f32::from(sibling) * SIBLINGS;
    bezier((from + side * half, side), (to - side * half, -side), bend)
}

/// The curve between two points, each with the direction in which it leaves.
pub fn bezier((start, out): (Pos2, Vec2), (end, back): (Pos2, Vec2), bend: Vec2) -> [Pos2; 4] {
    let reach = ((end - start).length() * 0.45).clamp(12.0, 140.0);
    [
        start,
        start + out * reach + bend,
        end + back * reach + bend,
        end,
    ]
}

/// The point at half the way.
pub fn middle(curve: [Pos2; 4]) -> Pos2 {
    point(curve, 0.5)
}

/// How far a point is from a curve.
pub fn distance(curve: [Pos2; 4], from: Pos2) -> f32 {
    let at = |part: u8| point(curve, f32::from(part) / f32::from(PARTS));
    (0..PARTS)
        .map(|part| to_segment(at(part), at(part + 1), from))
        .fold(f32::INFINITY, f32::min)
}

fn point([a, b, c, d]: [Pos2; 4], t: f32) -> Pos2 {
    let u = 1.0 - t;
    (a.to_vec2() * (u * u * u)
        + b.to_vec2() * (3.0 * u * u * t)
        + c.to_vec2() * (3.0 * u * t * t)
        + d.to_vec2() * (t * t * t))
        .to_pos2()
}

fn to_segment(a: Pos2, b: Pos2, from: Pos2) -> f32 {
    let along = b - a;
    let share = ((from - a).dot(along) / along.length_sq().max(f32::EPSILON)).clamp(0.0, 1.0);
    (a + along * share).distance(from)
}

/// The shapes of a curve with its arrow head, on the screen.
pub fn arrow(curve: [Pos2; 4], stroke: Stroke, zoom: f32) -> Vec<Shape> {
    let [.., before, end] = curve;
    let head = (9.0 * zoom).clamp(4.0, 14.0);
    let along = (end - before).normalized();
    let across = along.rot90() * head * 0.5;
    let base = end - along * head;
    let mut shortened = curve;
    shortened[3] = base;
    vec![
        CubicBezierShape::from_points_stroke(shortened, false, Color32::TRANSPARENT, stroke).into(),
        Shape::convex_polygon(
            vec![end, base + across, base - across],
            stroke.color,
            Stroke::NONE,
        ),
    ]
}

impl From<EdgeProps<WireFace>> for WireShape {
    fn from(props: EdgeProps<WireFace>) -> Self {
        Self {
            face: props.payload,
            zoom: 1.0,
        }
    }
}

type End = Node<Card, WireFace, Directed, DefaultIx, CardShape>;

impl DisplayEdge<Card, WireFace, Directed, DefaultIx, CardShape> for WireShape {
    fn shapes(&mut self, start: &End, end: &End, ctx: &DrawContext<'_>) -> Vec<Shape> {
        self.zoom = ctx.meta.zoom;
        let curve = curve(start.location(), end.location(), self.face.sibling);
        let on_screen = curve.map(|at| ctx.meta.canvas_to_screen_pos(at));
        let bounds = Rect::from_points(&on_screen).expand(20.0);
        if !ctx.painter.clip_rect().intersects(bounds) {
            return Vec::new();
        }
        let palette = Palette::of(ctx.ctx);
        let face = &self.face;
        let colour = match () {
            () if face.selected => palette.accent,
            () if face.faulty => palette.bad,
            () if face.hovered => palette.text_strong,
            () => palette.text_weak,
        };
        let width = if face.selected || face.hovered {
            2.5
        } else {
            1.6
        };
        let stroke = Stroke::new((width * self.zoom).clamp(1.0, 4.0), colour);
        let mut shapes = arrow(on_screen, stroke, self.zoom);
        if self.zoom >= ZOOM_LABEL && !face.label.is_empty() {
            shapes.extend(label(ctx, palette, &face.label, middle(on_screen), colour));
        }
        shapes
    }

    fn update(&mut self, state: &EdgeProps<WireFace>) {
        self.face.clone_from(&state.payload);
    }

    fn is_inside(&self, start: &End, end: &End, pos: Pos2) -> bool {
        let curve = curve(start.location(), end.location(), self.face.sibling);
        distance(curve, pos) <= REACH / self.zoom
    }
}

fn label(
    ctx: &DrawContext<'_>,
    palette: &Palette,
    text: &str,
    at: Pos2,
    colour: Color32,
) -> Vec<Shape> {
    let Some(font) = font_at(10.5, ctx.meta.zoom) else {
        return Vec::new();
    };
    let galley = ctx
        .ctx
        .fonts_mut(|fonts| fonts.layout_no_wrap(text.to_owned(), font, colour));
    let pill = Rect::from_center_size(at, galley.size() + Vec2::new(10.0, 4.0) * ctx.meta.zoom);
    vec![
        RectShape::new(
            pill,
            CornerRadius::same((pill.height() / 2.0) as u8),
            palette.ground,
            Stroke::new(1.0, colour.gamma_multiply(0.6)),
            StrokeKind::Inside,
        )
        .into(),
        Shape::galley(pill.center() - galley.size() / 2.0, galley, colour),
    ]
}
