//! The canvas: shows the scene and turns pointer and keys into edits of the design.
//!
//! - `items`: cards, ports and links to point at
//! - `gesture`: moving, linking, the rubber band, keys
//! - `paint`: what is painted below and above the graph
//! - `menu`: the context menu

mod gesture;
mod items;
mod menu;
mod paint;

use super::act::Act;
use super::card::{CARD, card_rect};
use super::document::Document;
use super::edit::Edit;
use super::problems::Problem;
use super::scene::Scene;
use super::selection::{Item, Selection};
use super::sheet::{Marks, Sheet};
use super::snap::{self, Guide};
use super::viewport::Viewport;
use super::wire;
use crate::window::theme::Palette;
use egui::{
    CursorIcon, EventFilter, Key, Modifiers, PointerButton, Pos2, Rect, Response, Sense, Ui, Vec2,
    WidgetInfo, WidgetType, vec2,
};
use menu::context_menu;
use model::design::ComponentKind;
use paint::paint_grid;

/// What a press of `+` or `−` multiplies the zoom by.
pub const ZOOM_STEP: f32 = 1.25;
/// How near, in points of the screen, the pointer must come to a curve to hit it.
const WIRE_REACH: f32 = 7.0;

/// A kind of component on its way from the palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dragged(pub ComponentKind);

/// What the pointer is doing.
#[derive(Clone, Debug, Default, PartialEq)]
enum Drag {
    #[default]
    Nothing,
    /// A rubber band from a point of the drawing; `base` stays selected.
    Band { from: Pos2, base: Selection },
    /// Cards follow the pointer; with where they were when it began.
    Cards {
        from: Pos2,
        grabbed: usize,
        starts: Vec<(usize, [f32; 2])>,
    },
    /// A link is drawn from a card.
    Wire { from: usize },
}

/// The canvas's state: what is seen of the drawing, and the gesture under way.
#[derive(Debug, Default)]
pub struct Canvas {
    /// Pan and zoom.
    pub viewport: Viewport,
    sheet: Sheet,
    scene: Scene,
    scene_version: u64,
    drag: Drag,
    /// Rises with each drag, so that two drags are two steps.
    drags: u64,
    marks: Marks,
    guides: Vec<Guide>,
    rect: Option<Rect>,
    wishes: Wishes,
}

/// What is to be done when the canvas is drawn next and its size is known.
#[derive(Debug, Default)]
struct Wishes {
    /// What the last fitting came to: a view that the user has not moved since is fitted again to another size.
    fitted: Option<(Vec2, Viewport)>,
    fit: bool,
    zoom: Option<f32>,
    centre: Option<Item>,
    focus: bool,
}

impl Canvas {
    /// Takes the design as it is now; call after every change of design or problems.
    pub fn update(&mut self, document: &Document, problems: &[Problem]) {
        self.scene = Scene::of(document.design(), problems);
        self.scene_version += 1;
    }

    /// Shows the whole drawing.
    pub fn fit(&mut self) {
        self.wishes.fit = true;
    }

    /// Zooms about the middle.
    pub fn zoom(&mut self, factor: f32) {
        self.wishes.zoom = Some(factor);
    }

    /// Brings an item to the middle.
    pub fn centre(&mut self, item: Item) {
        self.wishes.centre = Some(item);
    }

    /// Gives the keyboard to the canvas.
    pub fn focus(&mut self) {
        self.wishes.focus = true;
    }

    /// The middle of what is seen, on the grid, and aside from cards that lie there already.
    pub fn free_middle(&self) -> [f32; 2] {
        let middle = self.rect.map_or(Pos2::ZERO, |rect| {
            self.viewport.to_drawing(rect, rect.center())
        });
        let mut at = snap::to_grid(middle);
        while self
            .scene
            .centres
            .iter()
            .any(|&other| card_rect(other).intersects(card_rect(at)))
        {
            at += vec2(snap::GRID, CARD.y + snap::GRID);
            at = snap::to_grid(at);
        }
        at.into()
    }

    /// Where a point of the drawing lies on the screen; `None` before the canvas was drawn.
    pub fn on_screen(&self, drawn: Pos2) -> Option<Pos2> {
        self.rect.map(|rect| self.viewport.to_screen(rect, drawn))
    }

    /// How often the graph was drawn anew; stands still while nothing changes.
    pub fn draws(&self) -> u64 {
        self.sheet.draws()
    }

    /// Draws the canvas; what the user did on it, in order.
    pub fn ui(&mut self, ui: &mut Ui, document: &Document) -> Vec<Act> {
        let mut acts = Vec::new();
        let (canvas, _) = ui.allocate_exact_size(ui.available_size(), Sense::hover());
        self.rect = Some(canvas);
        self.grant_wishes(canvas);
        let mut ui = ui.new_child(egui::UiBuilder::new().max_rect(canvas).id_salt("canvas"));
        ui.set_clip_rect(canvas.intersect(ui.clip_rect()));
        let ui = &mut ui;
        self.navigate(ui, canvas);
        let palette = Palette::of(ui.ctx());
        paint_grid(ui, canvas, self.viewport, palette);
        self.marks.selection.clone_from(document.selection());
        let drawn = self.marks.clone();
        self.sheet.show(
            ui,
            canvas,
            self.viewport,
            (&self.scene, self.scene_version),
            &drawn,
        );
        self.marks.hovered = None;
        self.marks.focused = None;
        self.interact(ui, canvas, document, &mut acts);
        self.paint_gesture(ui, canvas, palette);
        if self.marks != drawn || !acts.is_empty() {
            ui.ctx().request_repaint();
        }
        acts
    }

    fn grant_wishes(&mut self, canvas: Rect) {
        let resized = self.wishes.fitted.is_none_or(|(size, viewport)| {
            size != canvas.size() && viewport == self.viewport && self.drag == Drag::Nothing
        });
        if std::mem::take(&mut self.wishes.fit) || resized {
            self.viewport.fit(canvas, self.scene.bounds());
            self.wishes.fitted = Some((canvas.size(), self.viewport));
        }
        if let Some(factor) = self.wishes.zoom.take() {
            self.viewport.zoom_about(canvas, canvas.center(), factor);
        }
        let centre = match self.wishes.centre.take() {
            Some(Item::Component(place)) => self.scene.centres.get(place).copied(),
            Some(Item::Link(place)) => self.scene.wires.get(place).map(|_| self.wire_middle(place)),
            None => None,
        };
        if let Some(centre) = centre {
            self.viewport.zoom = self.viewport.zoom.max(0.8);
            self.viewport.centre_on(canvas, centre);
        }
    }

    /// Wheel, pinch, middle button, and the space bar with the first button.
    fn navigate(&mut self, ui: &Ui, canvas: Rect) {
        let pointer = ui.input(|input| input.pointer.latest_pos());
        let inside = ui.rect_contains_pointer(canvas);
        if let (true, Some(pointer)) = (inside, pointer) {
            let (factor, scroll) =
                ui.input(|input| (input.zoom_delta(), input.smooth_scroll_delta()));
            if factor != 1.0 {
                self.viewport.zoom_about(canvas, pointer, factor);
            } else if scroll != Vec2::ZERO {
                self.viewport.pan += scroll;
            }
        }
        let pressed_here = ui
            .input(|input| input.pointer.press_origin())
            .is_some_and(|at| canvas.contains(at));
        if pressed_here && inside && self.panning(ui) {
            self.viewport.pan += ui.input(|input| input.pointer.delta());
            ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
        }
    }

    fn panning(&self, ui: &Ui) -> bool {
        let typing = ui.ctx().text_edit_focused();
        ui.input(|input| {
            input.pointer.button_down(PointerButton::Middle)
                || (!typing && input.key_down(Key::Space) && input.pointer.primary_down())
        })
    }

    fn interact(&mut self, ui: &mut Ui, canvas: Rect, document: &Document, acts: &mut Vec<Act>) {
        let ground = ui.interact(canvas, ui.id().with("ground"), Sense::click_and_drag());
        ground.widget_info(|| WidgetInfo::labeled(WidgetType::Other, true, "Design canvas"));
        // egui ends a drag by this key itself, which must not look like a drop.
        let escaped =
            |ui: &Ui| ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape));
        if self.drag != Drag::Nothing && escaped(ui) {
            self.escape(acts);
        }
        let mut canvas_has_keyboard = self.keep_keyboard(ui, &ground);
        self.ground(ui, canvas, &ground, document, acts);
        for place in 0..self.scene.wires.len() {
            self.wire(ui, canvas, place, document, acts);
        }
        // What is selected is drawn on top, so it is hit first.
        let selected = |place: &usize| document.selection().components.contains(place);
        let (above, below): (Vec<usize>, Vec<usize>) =
            (0..self.scene.components).partition(selected);
        for place in below.into_iter().chain(above) {
            let card = self.card(ui, canvas, place, document, acts);
            if self.keep_keyboard(ui, &card) {
                self.marks.focused = Some(place);
                canvas_has_keyboard = true;
            }
        }
        self.marks.target = self.wire_target(ui, canvas);
        self.finish_wire(ui, acts);
        if canvas_has_keyboard {
            self.keys(ui, document, acts);
        }
        if std::mem::take(&mut self.wishes.focus) {
            ground.request_focus();
        }
    }

    /// Keeps the arrow keys with the canvas while it has the keyboard; whether it has.
    fn keep_keyboard(&self, ui: &Ui, response: &Response) -> bool {
        let focused = response.has_focus();
        if focused {
            let filter = EventFilter {
                horizontal_arrows: true,
                vertical_arrows: true,
                escape: true,
                tab: false,
            };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        }
        focused
    }

    fn ground(
        &mut self,
        ui: &Ui,
        canvas: Rect,
        ground: &Response,
        document: &Document,
        acts: &mut Vec<Act>,
    ) {
        let at = ground
            .interact_pointer_pos()
            .or(ui.input(|input| input.pointer.latest_pos()));
        let drawn = at.map(|at| self.viewport.to_drawing(canvas, at));
        let under = drawn.and_then(|drawn| self.wire_at(drawn));
        if ground.hovered() {
            self.marks.hovered = under.map(Item::Link);
        }
        let extend = ui.input(|input| input.modifiers.shift || input.modifiers.command);
        if ground.clicked() || ground.secondary_clicked() {
            ground.request_focus();
            acts.push(Act::EndGesture);
            self.click(under.map(Item::Link), extend, document, acts);
        }
        let from = ui.input(|input| input.pointer.press_origin());
        if let (true, Some(from)) = (
            ground.drag_started_by(PointerButton::Primary) && !self.panning(ui),
            from,
        ) {
            ground.request_focus();
            let base = if extend {
                document.selection().clone()
            } else {
                Selection::default()
            };
            self.drag = Drag::Band {
                from: self.viewport.to_drawing(canvas, from),
                base,
            };
        }
        if let (Drag::Band { from, base }, Some(to)) = (&self.drag, drawn) {
            let mut selection = base.clone();
            selection.extend(&self.inside(Rect::from_two_pos(*from, to)));
            if selection != *document.selection() {
                acts.push(Act::Select(selection));
            }
            if ground.drag_stopped() || !ui.input(|input| input.pointer.any_down()) {
                self.drag = Drag::Nothing;
            }
        }
        let released =
            ui.rect_contains_pointer(canvas) && ui.input(|input| input.pointer.any_released());
        if let (true, Some(drawn)) = (released, drawn)
            && let Some(dragged) = egui::DragAndDrop::take_payload::<Dragged>(ui.ctx())
        {
            acts.push(Act::Edit(Edit::Add {
                kind: dragged.0,
                position: snap::to_grid(drawn).into(),
            }));
        }
        ground.context_menu(|ui| context_menu(ui, document, acts));
    }

    fn click(&self, item: Option<Item>, extend: bool, document: &Document, acts: &mut Vec<Act>) {
        let mut selection = document.selection().clone();
        match (item, extend) {
            (Some(item), true) => selection.toggle(item),
            (Some(item), false) => selection = Selection::of(item),
            (None, true) => return,
            (None, false) => selection = Selection::default(),
        }
        acts.push(Act::Select(selection));
    }

    fn wire_middle(&self, place: usize) -> Pos2 {
        let wire = &self.scene.wires[place];
        wire::middle(wire::curve(
            self.scene.centres[wire.from],
            self.scene.centres[wire.to],
            wire.sibling,
        ))
    }

    fn wire_at(&self, drawn: Pos2) -> Option<usize> {
        let reach = WIRE_REACH / self.viewport.zoom;
        self.scene.wires.iter().rposition(|wire| {
            let curve = wire::curve(
                self.scene.centres[wire.from],
                self.scene.centres[wire.to],
                wire.sibling,
            );
            wire::distance(curve, drawn) <= reach
        })
    }
}
