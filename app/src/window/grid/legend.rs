//! The legend: the colour scale with ticks, the spread of nodes over it, and what other colours mean.

use crate::window::grid::metric::{Metric, grouped};
use crate::window::grid::painting::{BINS, Spread};
use crate::window::theme::colour_map::ColourMap;
use crate::window::theme::{Palette, font, size};
use egui::{
    Align2, Color32, FontId, Mesh, Rect, Response, RichText, Sense, Shape, Stroke, Ui, pos2, vec2,
};
use model::grid::NodeState;
use strum::VariantArray;

/// The scale's width.
const WIDTH: f32 = 260.0;
/// The same where there is little room.
const NARROW_WIDTH: f32 = 190.0;
/// The histogram above it.
const BARS: f32 = 20.0;
/// The scale itself.
const SCALE: f32 = 9.0;
/// Its ticks.
const TICKS: f32 = 15.0;

/// Draws the legend in one row.
pub fn legend(ui: &mut Ui, metric: Metric, map: ColourMap, spread: &Spread) {
    let palette = Palette::of(ui.ctx());
    let width = if ui.available_width() < size::NARROW_TOOLBAR {
        NARROW_WIDTH
    } else {
        WIDTH
    };
    ui.horizontal(|ui| {
        if metric != Metric::State {
            scale(ui, (metric, width), map, spread, palette);
            if let Some(mean) = spread.mean {
                let text = if metric == Metric::Vms {
                    format!("Mean {:.1} VMs", mean * spread.most_vms as f32)
                } else {
                    format!("Mean of nodes {:.1} %", mean * 100.0)
                };
                ui.label(RichText::new(text).color(palette.text_weak));
            }
        }
        if spread.absent > 0 {
            let text = format!("{} without", grouped(u64::from(spread.absent)));
            let about = "Nodes that have nothing of what is measured";
            chip(ui, palette.absent, &text).on_hover_text(about);
        }
        for state in NodeState::VARIANTS {
            let nodes = spread.states[*state as usize];
            if nodes > 0 {
                let text = format!("{} {state}", grouped(u64::from(nodes)));
                let about = match metric {
                    Metric::State => "Nodes in this state",
                    _ => "Nodes that show their state instead, as they run nothing",
                };
                let colour = palette.states[*state as usize];
                chip(ui, colour, &text).on_hover_text(about);
            }
        }
    });
}

/// A square of a colour with what it means.
pub fn chip(ui: &mut Ui, colour: Color32, text: &str) -> Response {
    let (rect, _) = ui.allocate_exact_size(vec2(12.0, 12.0), Sense::hover());
    ui.painter().rect_filled(rect, 2.0, colour);
    let weak = Palette::of(ui.ctx()).text_weak;
    ui.label(RichText::new(text).color(weak))
}

fn scale(
    ui: &mut Ui,
    (metric, width): (Metric, f32),
    map: ColourMap,
    spread: &Spread,
    palette: &Palette,
) {
    let height = BARS + SCALE + TICKS;
    let (rect, response) = ui.allocate_exact_size(vec2(width, height), Sense::hover());
    response.on_hover_text("Nodes by share; the line is the mean");
    let painter = ui.painter();
    let bars = Rect::from_min_size(rect.min, vec2(width, BARS));
    let bar = Rect::from_min_size(bars.left_bottom(), vec2(width, SCALE));
    let most = spread.bins.iter().copied().max().unwrap_or(0).max(1) as f32;
    let step = width / BINS as f32;
    let mut mesh = Mesh::default();
    for (bin, &nodes) in spread.bins.iter().enumerate() {
        // The root keeps lonely nodes visible beside a crowd.
        let height = (nodes as f32 / most).sqrt() * (BARS - 2.0);
        let left = bars.left() + bin as f32 * step;
        let column = Rect::from_min_max(
            pos2(left + 0.5, bars.bottom() - height),
            pos2(left + step - 0.5, bars.bottom()),
        );
        mesh.add_colored_rect(column, palette.text_weak.gamma_multiply(0.7));
    }
    gradient(&mut mesh, bar, map);
    painter.add(Shape::mesh(mesh));
    if let Some(mean) = spread.mean {
        let x = bar.left() + mean * width;
        let line = [pos2(x, bars.top()), pos2(x, bar.bottom())];
        painter.line_segment(line, Stroke::new(1.5, palette.text_strong));
    }
    for quarter in 0..=4_u8 {
        let share = f32::from(quarter) / 4.0;
        let text = match metric {
            Metric::Vms => format!("{:.0}", share * spread.most_vms as f32),
            _ => format!("{:.0} %", share * 100.0),
        };
        let align = match quarter {
            0 => Align2::LEFT_TOP,
            4 => Align2::RIGHT_TOP,
            _ => Align2::CENTER_TOP,
        };
        let at = pos2(bar.left() + share * width, bar.bottom() + 1.0);
        painter.text(
            at,
            align,
            text,
            FontId::proportional(font::SMALL),
            palette.text_weak,
        );
    }
}

fn gradient(mesh: &mut Mesh, rect: Rect, map: ColourMap) {
    const PARTS: u32 = 32;
    let first = mesh.vertices.len() as u32;
    for part in 0..=PARTS {
        let share = part as f32 / PARTS as f32;
        let x = rect.left() + share * rect.width();
        mesh.colored_vertex(pos2(x, rect.top()), map.at(share));
        mesh.colored_vertex(pos2(x, rect.bottom()), map.at(share));
    }
    for part in 0..PARTS {
        let corner = first + part * 2;
        mesh.add_triangle(corner, corner + 1, corner + 2);
        mesh.add_triangle(corner + 1, corner + 2, corner + 3);
    }
}
