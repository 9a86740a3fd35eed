//! The palette: kinds of components to drag on to the canvas, or to add by double-click or Enter.

use super::act::Act;
use super::canvas::Dragged;
use super::card::kind_colour;
use super::edit::Edit;
use super::icons::icon;
use crate::window::theme::{Palette, size};
use egui::{
    CursorIcon, LayerId, Order, Rect, Response, Sense, Stroke, StrokeKind, TextStyle, Ui, Vec2,
    WidgetInfo, WidgetType, pos2, vec2,
};
use model::design::ComponentKind;
use strum::VariantArray;

/// The height of an entry.
const ENTRY: f32 = 44.0;
/// Entries narrower than this show their icons alone.
const FOLDED: f32 = 120.0;

/// Draws the palette; `middle` is where a component goes that is added without the pointer.
pub fn palette_ui(ui: &mut Ui, middle: [f32; 2], acts: &mut Vec<Act>) {
    let folded = ui.available_width() < FOLDED;
    let title = if folded { "Add" } else { "Components" };
    ui.label(egui::RichText::new(title).strong());
    ui.add_space(size::GAP);
    for &kind in ComponentKind::VARIANTS {
        let response = entry(ui, kind);
        let by_keyboard = response.clicked() && !ui.input(|input| input.pointer.any_click());
        if response.double_clicked() || by_keyboard {
            acts.push(Act::Edit(Edit::Add {
                kind,
                position: middle,
            }));
        }
        response.dnd_set_drag_payload(Dragged(kind));
        if response.dragged() {
            ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
            paint_dragged(ui, kind);
        }
    }
}

fn entry(ui: &mut Ui, kind: ComponentKind) -> Response {
    let title = kind.defaults().title;
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), ENTRY), Sense::click_and_drag());
    response.widget_info(|| {
        WidgetInfo::labeled(
            WidgetType::Button,
            true,
            format!("Add {}", title.to_lowercase()),
        )
    });
    let palette = Palette::of(ui.ctx());
    let active = response.hovered() || response.has_focus();
    let (fill, line) = if active {
        (palette.button_hover, palette.accent)
    } else {
        (palette.ground, palette.line)
    };
    let painter = ui.painter();
    painter.rect(
        rect,
        f32::from(size::CORNER),
        fill,
        Stroke::new(1.0, line),
        StrokeKind::Inside,
    );
    let folded = rect.width() < FOLDED;
    let middle = if folded {
        rect.center()
    } else {
        rect.left_center() + vec2(24.0, 0.0)
    };
    let square = Rect::from_center_size(middle, Vec2::splat(22.0));
    painter.extend(icon(kind, square, kind_colour(palette, kind)));
    if !folded {
        painter.text(
            pos2(rect.min.x + 46.0, rect.center().y),
            egui::Align2::LEFT_CENTER,
            title,
            TextStyle::Body.resolve(ui.style()),
            palette.text,
        );
    }
    response
        .on_hover_text(format!(
            "{title}: {}. Drag it on to the canvas, or double-click.",
            kind.defaults().about
        ))
        .on_hover_cursor(CursorIcon::Grab)
}

/// What is dragged follows the pointer outside the canvas too; over it the canvas shows the card.
fn paint_dragged(ui: &Ui, kind: ComponentKind) {
    let Some(at) = ui.input(|input| input.pointer.latest_pos()) else {
        return;
    };
    let palette = Palette::of(ui.ctx());
    let painter = ui
        .ctx()
        .layer_painter(LayerId::new(Order::Tooltip, ui.id().with("dragged")));
    let square = Rect::from_center_size(at, Vec2::splat(26.0));
    painter.extend(icon(kind, square, kind_colour(palette, kind)));
}
