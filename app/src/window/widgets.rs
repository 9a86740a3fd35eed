//! Small widgets that several pages share.

use crate::window::theme::{Palette, font, size};
use egui::{
    Align, Color32, FontId, Layout, Response, RichText, Sense, StrokeKind, TextStyle, Ui,
    WidgetInfo, WidgetType, vec2,
};

/// A caption with air above it.
pub fn section(ui: &mut Ui, title: &str) {
    ui.add_space(size::GROUP_GAP - 4.0);
    ui.label(RichText::new(title).strong());
}

/// A word in a rounded frame of its colour.
pub fn tag(ui: &mut Ui, text: &str, colour: Color32) -> Response {
    let font = FontId::proportional(font::SMALL);
    let galley = ui.painter().layout_no_wrap(text.to_owned(), font, colour);
    let (rect, response) = ui.allocate_exact_size(galley.size() + vec2(12.0, 4.0), Sense::hover());
    ui.painter().rect(
        rect,
        rect.height() / 2.0,
        colour.gamma_multiply(0.14),
        egui::Stroke::new(1.0, colour.gamma_multiply(0.5)),
        StrokeKind::Inside,
    );
    ui.painter()
        .galley(rect.min + vec2(6.0, 2.0), galley, colour);
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, text));
    response
}

/// A share as a bar, with its title and amounts above.
pub fn meter(ui: &mut Ui, title: &str, share: f32, amounts: &str) {
    let palette = Palette::of(ui.ctx());
    ui.horizontal(|ui| {
        ui.label(title);
        ui.label(RichText::new(amounts).small().weak());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label(format!("{:.0} %", share * 100.0));
        });
    });
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 6.0), Sense::hover());
    ui.painter().rect_filled(rect, 3.0, palette.absent);
    let mut filled = rect;
    filled.set_width(rect.width() * share.clamp(0.0, 1.0));
    let colour = if share > 0.95 {
        palette.warn
    } else {
        palette.accent
    };
    ui.painter().rect_filled(filled, 3.0, colour);
    let label = format!("{title} {:.0} % in use, {amounts}", share * 100.0);
    response.widget_info(|| WidgetInfo::labeled(WidgetType::ProgressIndicator, true, &label));
}

/// What a page shows while it has nothing else to show.
pub fn empty_state(ui: &mut Ui, title: &str, hint: &str) {
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.35);
        ui.label(RichText::new(title).text_style(TextStyle::Heading));
        ui.label(RichText::new(hint).weak());
    });
}

/// The drawn sign of a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A triangle to the right.
    Play,
    /// Two bars.
    Pause,
    /// A triangle to the left with a bar before it.
    First,
    /// A triangle to the right with a bar after it.
    Last,
    /// A triangle to the left.
    Back,
    /// Two triangles to the right.
    On,
}

/// A button with a drawn sign and an accessible name.
pub fn sign_button(ui: &mut Ui, sign: Sign, name: &str, tooltip: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(28.0, 24.0), Sense::click());
    let visuals = ui.style().interact(&response);
    let painter = ui.painter();
    painter.rect(
        rect,
        visuals.corner_radius,
        visuals.weak_bg_fill,
        visuals.bg_stroke,
        StrokeKind::Inside,
    );
    let colour = visuals.text_color();
    let centre = rect.center();
    let triangle = |x: f32, width: f32| {
        let tip = centre + vec2(x + width / 2.0, 0.0);
        let back = centre.x + x - width / 2.0;
        let points = vec![
            tip,
            egui::pos2(back, centre.y + 5.0),
            egui::pos2(back, centre.y - 5.0),
        ];
        egui::Shape::convex_polygon(points, colour, egui::Stroke::NONE)
    };
    let post = |x: f32| egui::Rect::from_center_size(centre + vec2(x, 0.0), vec2(2.5, 10.0));
    match sign {
        Sign::Play => {
            painter.add(triangle(0.5, 9.0));
        }
        Sign::Pause => {
            painter.rect_filled(post(-3.0), 0.0, colour);
            painter.rect_filled(post(3.0), 0.0, colour);
        }
        Sign::First => {
            painter.rect_filled(post(-5.0), 0.0, colour);
            painter.add(triangle(1.0, -8.0));
        }
        Sign::Last => {
            painter.add(triangle(-1.0, 8.0));
            painter.rect_filled(post(5.0), 0.0, colour);
        }
        Sign::Back => {
            painter.rect_filled(post(4.5), 0.0, colour);
            painter.add(triangle(-1.5, -7.0));
        }
        Sign::On => {
            painter.rect_filled(post(-4.5), 0.0, colour);
            painter.add(triangle(1.5, 7.0));
        }
    }
    if response.has_focus() {
        let line = ui.visuals().selection.stroke;
        painter.rect_stroke(rect, visuals.corner_radius, line, StrokeKind::Inside);
    }
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, name));
    response.on_hover_text(tooltip)
}

/// A short stretch of a plot's line, for a legend.
pub fn line_sample(ui: &mut Ui, colour: Color32, dashed: bool) {
    let (rect, _) = ui.allocate_exact_size(vec2(26.0, 12.0), Sense::hover());
    let line = [rect.left_center(), rect.right_center()];
    let stroke = egui::Stroke::new(2.0, colour);
    if dashed {
        let dashes = egui::Shape::dashed_line(&line, stroke, 6.0, 4.0);
        ui.painter().extend(dashes);
    } else {
        ui.painter().line_segment(line, stroke);
    }
}
