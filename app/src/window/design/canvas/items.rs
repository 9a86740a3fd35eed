//! Cards, ports and links as things to point at and to reach by keyboard.

use super::menu::context_menu;
use super::{Canvas, Drag};
use crate::window::design::act::Act;
use crate::window::design::card::{PORT, ZOOM_NAME, card_rect, out_port};
use crate::window::design::command::DesignCommand;
use crate::window::design::document::Document;
use crate::window::design::selection::Item;
use egui::{
    CursorIcon, PointerButton, Rect, Response, Sense, Ui, Vec2, WidgetInfo, WidgetType, vec2,
};

impl Canvas {
    /// The port number in the middle of a link can be clicked and reached by keyboard.
    pub(super) fn wire(
        &mut self,
        ui: &Ui,
        canvas: Rect,
        place: usize,
        document: &Document,
        acts: &mut Vec<Act>,
    ) {
        let middle = self.viewport.to_screen(canvas, self.wire_middle(place));
        let rect = Rect::from_center_size(middle, vec2(44.0, 20.0) * self.viewport.zoom.max(0.4));
        let response = ui.interact(rect, ui.id().with(("link", place)), Sense::click());
        let item = Item::Link(place);
        let selected = document.selection().contains(item);
        response.widget_info(|| {
            WidgetInfo::selected(
                WidgetType::SelectableLabel,
                true,
                selected,
                &self.scene.wires[place].name,
            )
        });
        let has_keyboard = self.keep_keyboard(ui, &response);
        if response.hovered() || has_keyboard {
            self.marks.hovered = Some(item);
        }
        if has_keyboard {
            self.keys(ui, document, acts);
        }
        if response.clicked() || response.secondary_clicked() {
            response.request_focus();
            acts.push(Act::EndGesture);
            let extend = ui.input(|input| input.modifiers.shift || input.modifiers.command);
            if !(response.secondary_clicked() && selected) {
                self.click(Some(item), extend, document, acts);
            }
        }
        response.context_menu(|ui| context_menu(ui, document, acts));
    }

    /// A card too small to be read tells in a tooltip what it would say.
    fn tell(&self, response: Response, place: usize) -> Response {
        let face = &self.scene.faces[place];
        if self.viewport.zoom >= ZOOM_NAME || self.drag != Drag::Nothing {
            return response;
        }
        response.on_hover_text(format!("{}\n{}", face.name, face.size))
    }

    pub(super) fn card(
        &mut self,
        ui: &Ui,
        canvas: Rect,
        place: usize,
        document: &Document,
        acts: &mut Vec<Act>,
    ) -> Response {
        let rect = self
            .viewport
            .rect_to_screen(canvas, card_rect(self.scene.centres[place]));
        let item = Item::Component(place);
        let selected = document.selection().contains(item);
        let response = ui.interact(
            rect,
            ui.id().with(("component", place)),
            Sense::click_and_drag(),
        );
        let name = &self.scene.faces[place].name;
        response.widget_info(|| {
            WidgetInfo::selected(
                WidgetType::SelectableLabel,
                true,
                selected,
                format!("Component {name}"),
            )
        });
        let extend = ui.input(|input| input.modifiers.shift || input.modifiers.command);
        let response = self.tell(response, place);
        if response.hovered() {
            self.marks.hovered = Some(item);
        }
        if response.clicked() || response.secondary_clicked() {
            response.request_focus();
            acts.push(Act::EndGesture);
            if !(response.secondary_clicked() && selected) {
                self.click(Some(item), extend, document, acts);
            }
        }
        if response.double_clicked() {
            acts.push(Act::Command(DesignCommand::Rename));
        }
        if response.drag_started_by(PointerButton::Primary) && !self.panning(ui) {
            response.request_focus();
            self.start_move(ui, canvas, place, extend, document, acts);
        }
        if response.dragged_by(PointerButton::Primary) {
            self.go_on_moving(ui, canvas, place, acts);
        }
        if response.drag_stopped() && matches!(self.drag, Drag::Cards { .. }) {
            self.stop_moving(acts);
        }
        response.context_menu(|ui| context_menu(ui, document, acts));
        self.port(ui, canvas, place);
        response
    }

    /// The port at the right of a card, from which links are drawn.
    pub(super) fn port(&mut self, ui: &Ui, canvas: Rect, place: usize) {
        let centre = self
            .viewport
            .to_screen(canvas, out_port(self.scene.centres[place]));
        let reach = (PORT + 4.0) * self.viewport.zoom.clamp(0.5, 1.5);
        let rect = Rect::from_center_size(centre, Vec2::splat(2.0 * reach));
        let response = ui.interact(rect, ui.id().with(("port", place)), Sense::drag());
        let name = &self.scene.faces[place].name;
        response.widget_info(|| {
            WidgetInfo::labeled(WidgetType::Other, true, format!("Link from {name}"))
        });
        if response.hovered() {
            self.marks.hovered = Some(Item::Component(place));
            ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
        }
        if response.drag_started_by(PointerButton::Primary) {
            self.drag = Drag::Wire { from: place };
        }
    }
}
