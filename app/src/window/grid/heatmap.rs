//! The heatmap: pans, zooms, hovers and chooses; draws one textured quad a rack, so that a frame costs racks, not nodes.

mod drawing;

use crate::window::grid::layout::{Grouping, Layout};
use crate::window::grid::painting::{Look, Painting};
use egui::{EventFilter, Key, Pos2, Rect, Response, Sense, Ui, Vec2, WidgetInfo, WidgetType, vec2};
use model::grid::Grid;
use model::id::NodeId;
use model::view::View;
use std::sync::Arc;

/// The nearest: a cell then fills a quarter of the window.
const MAX_ZOOM: f32 = 64.0;
/// One press of a zoom key.
pub const ZOOM_STEP: f32 = 1.4;
/// Points of wheel movement that double the zoom.
const WHEEL_DOUBLES: f32 = 240.0;

/// What to draw.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The grid at an instant.
    pub view: &'a Arc<View>,
    /// What stands together.
    pub grouping: Grouping,
    /// How to colour.
    pub look: Look,
    /// Whether each node is among those searched for; `None`: no search.
    pub hits: Option<&'a [bool]>,
    /// The chosen node.
    pub chosen: Option<NodeId>,
    /// Its name for people and screen readers.
    pub name: &'a str,
}

/// What the user did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Another node was chosen.
    pub chosen: Option<NodeId>,
    /// The choice was given up.
    pub cleared: bool,
    /// The node under the pointer.
    pub hovered: Option<NodeId>,
}

/// Where the picture stands in its rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Camera {
    zoom: f32,
    offset: Vec2,
}

const FIT: Camera = Camera {
    zoom: 1.0,
    offset: Vec2::ZERO,
};

/// A layout with all that it was made from.
#[derive(Debug)]
struct Placed {
    grid: Arc<Grid>,
    grouping: Grouping,
    size: Vec2,
    layout: Layout,
}

/// The widget's state.
#[derive(Debug)]
pub struct Heatmap {
    placed: Option<Placed>,
    painting: Option<Painting>,
    camera: Camera,
    rect: Rect,
    reveal: Option<NodeId>,
}

impl Default for Heatmap {
    fn default() -> Self {
        Self {
            placed: None,
            painting: None,
            camera: FIT,
            rect: Rect::ZERO,
            reveal: None,
        }
    }
}

impl Heatmap {
    /// Draws into all the room there is.
    pub fn ui(&mut self, ui: &mut Ui, ask: &Ask<'_>) -> (Response, Answer) {
        let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
        self.rect = rect;
        self.place(ask, rect.size());
        self.move_camera(ui, &response);
        let mut answer = self.interact(ui, &response, ask);
        self.paint_texture(ui, ask);
        if ui.is_rect_visible(rect) {
            self.draw(ui, rect, ask, answer.hovered);
        }
        describe(&response, ask);
        if answer.chosen == ask.chosen {
            answer.chosen = None;
        }
        (response, answer)
    }

    /// Shows everything.
    pub fn fit(&mut self) {
        self.camera = FIT;
    }

    /// Nearer (above 1) or further away, around the middle.
    pub fn zoom_by(&mut self, factor: f32) {
        self.zoom_around(self.rect.center(), factor);
    }

    /// Brings a node into sight, at the next frame.
    pub fn reveal(&mut self, node: NodeId) {
        self.reveal = Some(node);
    }

    /// How readings of the drawn metric are spread; `None` before the first frame.
    pub fn painting(&self) -> Option<&Painting> {
        self.painting.as_ref()
    }

    /// Where a node's cell is on the screen; `None` before the first frame.
    pub fn cell_on_screen(&self, node: NodeId) -> Option<Rect> {
        let placed = self.placed.as_ref()?;
        Some(self.on_screen(placed.layout.cell_of(node)))
    }

    fn place(&mut self, ask: &Ask<'_>, size: Vec2) {
        let fits = self.placed.as_ref().is_some_and(|placed| {
            Arc::ptr_eq(&placed.grid, &ask.view.grid)
                && placed.grouping == ask.grouping
                && (placed.size - size).abs().max_elem() < 0.5
        });
        if fits {
            return;
        }
        let same = self.placed.as_ref().is_some_and(|placed| {
            Arc::ptr_eq(&placed.grid, &ask.view.grid) && placed.grouping == ask.grouping
        });
        if !same {
            self.camera = FIT;
        }
        self.painting = None;
        self.placed = Some(Placed {
            grid: Arc::clone(&ask.view.grid),
            grouping: ask.grouping,
            size,
            layout: Layout::new(&ask.view.grid, ask.grouping, size),
        });
    }

    fn paint_texture(&mut self, ui: &Ui, ask: &Ask<'_>) {
        let Some(placed) = &self.placed else {
            return;
        };
        let ctx = ui.ctx();
        match &mut self.painting {
            Some(painting) => painting.refresh(ctx, &placed.layout, ask.view, ask.look, ask.hits),
            None => {
                let painting = Painting::new(ctx, &placed.layout, ask.view, ask.look, ask.hits);
                self.painting = Some(painting);
            }
        }
    }

    fn move_camera(&mut self, ui: &Ui, response: &Response) {
        if response.dragged() {
            self.camera.offset += response.drag_delta();
        }
        if response.double_clicked()
            && response
                .interact_pointer_pos()
                .is_some_and(|at| self.node_under(at).is_none())
        {
            self.fit();
        }
        if let Some(pointer) = response.hover_pos() {
            let (wheel, pinch) =
                ui.input(|input| (input.smooth_scroll_delta(), input.zoom_delta()));
            let factor = pinch * (wheel.y / WHEEL_DOUBLES).exp2();
            if factor != 1.0 {
                self.zoom_around(pointer, factor);
            }
            self.camera.offset.x += wheel.x;
        }
        if let Some(node) = self.reveal.take()
            && let Some(cell) = self.cell_on_screen(node)
            && !self.rect.contains_rect(cell)
        {
            self.camera.offset += self.rect.center() - cell.center();
        }
        self.keep_in_sight();
    }

    fn zoom_around(&mut self, point: Pos2, factor: f32) {
        let zoom = (self.camera.zoom * factor).clamp(1.0, MAX_ZOOM);
        let anchor = point - self.rect.min;
        let fixed = (anchor - self.camera.offset) / self.camera.zoom;
        self.camera = Camera {
            zoom,
            offset: anchor - fixed * zoom,
        };
        self.keep_in_sight();
    }

    /// The picture never leaves its rectangle; at zoom 1 it fills it.
    fn keep_in_sight(&mut self) {
        let least = self.rect.size() * (1.0 - self.camera.zoom);
        self.camera.offset = self.camera.offset.clamp(least, Vec2::ZERO);
    }

    fn on_screen(&self, rect: Rect) -> Rect {
        let at =
            |point: Pos2| self.rect.min + self.camera.offset + point.to_vec2() * self.camera.zoom;
        Rect::from_min_max(at(rect.min), at(rect.max))
    }

    fn node_under(&self, pointer: Pos2) -> Option<NodeId> {
        let placed = self.placed.as_ref()?;
        let point = (pointer - self.rect.min - self.camera.offset) / self.camera.zoom;
        placed.layout.node_at(point.to_pos2())
    }

    fn interact(&mut self, ui: &Ui, response: &Response, ask: &Ask<'_>) -> Answer {
        let mut answer = Answer {
            hovered: response
                .hover_pos()
                .and_then(|pointer| self.node_under(pointer)),
            ..Answer::default()
        };
        if response.clicked() {
            response.request_focus();
            let pointer = response.interact_pointer_pos();
            answer.chosen = pointer.and_then(|pointer| self.node_under(pointer));
            answer.cleared = answer.chosen.is_none();
        }
        if response.has_focus() {
            let arrows = EventFilter {
                horizontal_arrows: true,
                vertical_arrows: true,
                ..EventFilter::default()
            };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, arrows));
            if let Some(node) = self.walked(ui, ask) {
                answer.chosen = Some(node);
                self.reveal = Some(node);
            }
        }
        answer
    }

    /// Where the arrow keys lead.
    fn walked(&self, ui: &Ui, ask: &Ask<'_>) -> Option<NodeId> {
        let direction = ui.input(|input| {
            [
                (Key::ArrowLeft, vec2(-1.0, 0.0)),
                (Key::ArrowRight, vec2(1.0, 0.0)),
                (Key::ArrowUp, vec2(0.0, -1.0)),
                (Key::ArrowDown, vec2(0.0, 1.0)),
            ]
            .into_iter()
            .find_map(|(key, direction)| input.key_pressed(key).then_some(direction))
        })?;
        let layout = &self.placed.as_ref()?.layout;
        match ask.chosen {
            Some(node) => layout.neighbour(node, direction),
            None => layout.order.first().copied(),
        }
    }
}

fn describe(response: &Response, ask: &Ask<'_>) {
    let nodes = ask.view.nodes.len();
    let chosen = ask.chosen.map_or(String::new(), |node| {
        format!(", chosen {}", ask.view.grid.nodes[node.index()].name)
    });
    let label = format!(
        "{} of {nodes} nodes by {}{chosen}",
        ask.name,
        ask.look.metric.title()
    );
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Other, true, &label));
}
