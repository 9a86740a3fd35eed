//! The icon of each kind of component, drawn from lines.

use egui::{Color32, Pos2, Rect, Shape, Stroke, Vec2, epaint::EllipseShape, pos2, vec2};
use model::design::ComponentKind;

/// The shapes of an icon that fills `rect`, which is taken for a square.
pub fn icon(kind: ComponentKind, rect: Rect, colour: Color32) -> Vec<Shape> {
    let pen = Pen {
        rect,
        stroke: Stroke::new((rect.width() / 13.0).max(1.0), colour),
    };
    match kind {
        ComponentKind::LoadBalancer => load_balancer(&pen),
        ComponentKind::WebServer => web_server(&pen),
        ComponentKind::ApplicationServer => application_server(&pen),
        ComponentKind::Database => database(&pen),
        ComponentKind::Storage => storage(&pen),
        ComponentKind::Firewall => firewall(&pen),
        ComponentKind::Network => network(&pen),
    }
}

/// Draws in a square of 0 to 1.
struct Pen {
    rect: Rect,
    stroke: Stroke,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> Pos2 {
        self.rect.min + self.rect.size() * vec2(x, y)
    }

    fn length(&self, share: f32) -> f32 {
        self.rect.width() * share
    }

    fn line(&self, points: &[(f32, f32)]) -> Shape {
        Shape::line(
            points.iter().map(|&(x, y)| self.at(x, y)).collect(),
            self.stroke,
        )
    }

    fn closed(&self, points: &[(f32, f32)]) -> Shape {
        Shape::closed_line(
            points.iter().map(|&(x, y)| self.at(x, y)).collect(),
            self.stroke,
        )
    }

    fn circle(&self, x: f32, y: f32, radius: f32) -> Shape {
        Shape::circle_stroke(self.at(x, y), self.length(radius), self.stroke)
    }

    fn dot(&self, x: f32, y: f32, radius: f32) -> Shape {
        Shape::circle_filled(self.at(x, y), self.length(radius), self.stroke.color)
    }

    fn ellipse(&self, x: f32, y: f32, radius: Vec2) -> Shape {
        EllipseShape::stroke(self.at(x, y), radius * self.rect.width(), self.stroke).into()
    }

    /// The lower half of an ellipse.
    fn bowl(&self, x: f32, y: f32, radius: Vec2) -> Shape {
        const PARTS: u8 = 12;
        let points = (0..=PARTS).map(|part| {
            let angle = std::f32::consts::PI * f32::from(part) / f32::from(PARTS);
            self.at(x + radius.x * angle.cos(), y + radius.y * angle.sin())
        });
        Shape::line(points.collect(), self.stroke)
    }
}

/// One point fans out to three.
fn load_balancer(pen: &Pen) -> Vec<Shape> {
    let mut shapes = vec![pen.circle(0.16, 0.5, 0.12)];
    for y in [0.16, 0.5, 0.84] {
        shapes.push(pen.line(&[(0.28, 0.5), (0.48, 0.5), (0.62, y), (0.76, y)]));
        shapes.push(pen.dot(0.86, y, 0.1));
    }
    shapes
}

/// A globe.
fn web_server(pen: &Pen) -> Vec<Shape> {
    vec![
        pen.circle(0.5, 0.5, 0.44),
        pen.ellipse(0.5, 0.5, vec2(0.19, 0.44)),
        pen.line(&[(0.06, 0.5), (0.94, 0.5)]),
        pen.line(&[(0.13, 0.27), (0.87, 0.27)]),
        pen.line(&[(0.13, 0.73), (0.87, 0.73)]),
    ]
}

/// Code between angle brackets, in a window.
fn application_server(pen: &Pen) -> Vec<Shape> {
    vec![
        pen.closed(&[(0.05, 0.1), (0.95, 0.1), (0.95, 0.9), (0.05, 0.9)]),
        pen.line(&[(0.05, 0.28), (0.95, 0.28)]),
        pen.line(&[(0.34, 0.44), (0.2, 0.59), (0.34, 0.74)]),
        pen.line(&[(0.66, 0.44), (0.8, 0.59), (0.66, 0.74)]),
        pen.line(&[(0.55, 0.42), (0.45, 0.76)]),
    ]
}

/// A drum of three layers.
fn database(pen: &Pen) -> Vec<Shape> {
    let radius = vec2(0.4, 0.15);
    vec![
        pen.ellipse(0.5, 0.2, radius),
        pen.bowl(0.5, 0.42, radius),
        pen.bowl(0.5, 0.62, radius),
        pen.bowl(0.5, 0.8, radius),
        pen.line(&[(0.1, 0.2), (0.1, 0.8)]),
        pen.line(&[(0.9, 0.2), (0.9, 0.8)]),
    ]
}

/// Three drives, each with its lamp.
fn storage(pen: &Pen) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for top in [0.06, 0.38, 0.7] {
        let low = top + 0.24;
        shapes.push(pen.closed(&[(0.06, top), (0.94, top), (0.94, low), (0.06, low)]));
        shapes.push(pen.dot(0.79, top + 0.12, 0.055));
        shapes.push(pen.line(&[(0.2, top + 0.12), (0.5, top + 0.12)]));
    }
    shapes
}

/// A wall of bricks.
fn firewall(pen: &Pen) -> Vec<Shape> {
    let mut shapes = vec![pen.closed(&[(0.05, 0.12), (0.95, 0.12), (0.95, 0.88), (0.05, 0.88)])];
    for y in [0.373, 0.627] {
        shapes.push(pen.line(&[(0.05, y), (0.95, y)]));
    }
    for (x, top) in [
        (0.35, 0.12),
        (0.65, 0.12),
        (0.2, 0.373),
        (0.5, 0.373),
        (0.8, 0.373),
        (0.35, 0.627),
        (0.65, 0.627),
    ] {
        shapes.push(pen.line(&[(x, top), (x, top + 0.253)]));
    }
    shapes
}

/// A hub with its spokes.
fn network(pen: &Pen) -> Vec<Shape> {
    let mut shapes = vec![pen.circle(0.5, 0.5, 0.15)];
    let centre = pos2(0.5, 0.5);
    for (x, y) in [(0.14, 0.16), (0.86, 0.16), (0.14, 0.84), (0.86, 0.84)] {
        let to = pos2(x, y);
        let inner = centre + (to - centre).normalized() * 0.15;
        shapes.push(pen.line(&[(inner.x, inner.y), (x, y)]));
        shapes.push(pen.dot(x, y, 0.1));
    }
    shapes
}
