//! The drawn graph: egui_graphs draws a scene once, and its shapes are kept until something changes.
//!
//! egui_graphs asks for a repaint whenever it is shown, which would keep an idle window at work; so it is
//! shown only when what it would draw has changed, and else its last shapes are drawn again.

use super::card::{Card, CardMood, CardShape};
use super::scene::Scene;
use super::selection::{Item, Selection};
use super::viewport::Viewport;
use super::wire::{WireFace, WireShape};
use egui::epaint::{ClippedShape, Galley};
use egui::{Color32, FontId, Pos2, Rect, Theme, Ui, UiBuilder};
use egui_graphs::{
    DisplayEdge, DisplayNode, Graph, GraphView, Layout, LayoutState, MetadataFrame,
    SettingsInteraction, SettingsNavigation,
};
use petgraph::stable_graph::{DefaultIx, IndexType, NodeIndex};
use petgraph::{Directed, EdgeType};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The name under which egui_graphs keeps pan and zoom.
const GRAPH_ID: &str = "design";

/// What of the scene is marked how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks {
    /// What is selected.
    pub selection: Selection,
    /// What is under the pointer.
    pub hovered: Option<Item>,
    /// The component that has the keyboard.
    pub focused: Option<usize>,
    /// The component at which a link that is being drawn would end.
    pub target: Option<usize>,
}

/// All that the drawn shapes depend on.
#[derive(Clone, Debug, PartialEq)]
struct Stamp {
    scene: u64,
    marks: Marks,
    canvas: Rect,
    viewport: Viewport,
    theme: Theme,
    pixels_per_point: f32,
}

/// The graph and its last shapes.
pub struct Sheet {
    graph: Graph<Card, WireFace, Directed, DefaultIx, CardShape, WireShape>,
    stamp: Option<Stamp>,
    shapes: Vec<ClippedShape>,
    /// Where egui_graphs was shown last; it moves its pan by any difference.
    shown_at: Option<Pos2>,
    /// A text of egui's cache: another one stands there after the font atlas was made anew, and
    /// then kept texts point to glyphs that are gone.
    atlas: Option<Arc<Galley>>,
    /// How often the graph was drawn anew.
    draws: u64,
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sheet")
            .field("draws", &self.draws)
            .finish_non_exhaustive()
    }
}

impl Default for Sheet {
    fn default() -> Self {
        Self {
            graph: Graph::new(),
            stamp: None,
            shapes: Vec::new(),
            shown_at: None,
            atlas: None,
            draws: 0,
        }
    }
}

impl Sheet {
    /// How often the graph was drawn anew; stands still while nothing changes.
    pub fn draws(&self) -> u64 {
        self.draws
    }

    /// Draws the scene into `canvas`; `version` rises with every change of the scene.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        canvas: Rect,
        viewport: Viewport,
        (scene, version): (&Scene, u64),
        marks: &Marks,
    ) {
        let stamp = Stamp {
            scene: version,
            marks: marks.clone(),
            canvas,
            viewport,
            theme: ui.ctx().theme(),
            pixels_per_point: ui.ctx().pixels_per_point(),
        };
        let atlas = ui.fonts_mut(|fonts| {
            fonts.layout_no_wrap("Gridwright".to_owned(), FontId::default(), Color32::WHITE)
        });
        let same_atlas = self
            .atlas
            .as_ref()
            .is_some_and(|kept| Arc::ptr_eq(kept, &atlas));
        self.atlas = Some(atlas);
        if same_atlas && self.stamp.as_ref() == Some(&stamp) {
            let layer = ui.layer_id();
            ui.ctx().graphics_mut(|graphics| {
                let list = graphics.entry(layer);
                for kept in &self.shapes {
                    list.add(kept.clip_rect, kept.shape.clone());
                }
            });
            return;
        }
        self.fill(scene, marks);
        // Where egui_graphs did not take the pan, as in its first frame, it is shown again.
        self.stamp = self.draw(ui, canvas, viewport).then_some(stamp);
    }

    fn fill(&mut self, scene: &Scene, marks: &Marks) {
        self.graph = Graph::new();
        let cards: Vec<NodeIndex> = (0..scene.faces.len())
            .map(|place| {
                let item = Item::Component(place);
                let known = place < scene.components;
                let selected = known && marks.selection.contains(item);
                let target = known && marks.target == Some(place);
                let hovered = known && marks.hovered == Some(item);
                let focused = known && marks.focused == Some(place);
                let card = Card {
                    face: Arc::clone(&scene.faces[place]),
                    mood: CardMood {
                        selected,
                        hovered: hovered || target,
                        focused: focused || target,
                        ports: selected || hovered || focused,
                    },
                };
                self.graph.add_node_custom(card, |node| {
                    node.set_location(scene.centres[place]);
                    node.set_selected(selected);
                })
            })
            .collect();
        for (place, wire) in scene.wires.iter().enumerate() {
            let item = Item::Link(place);
            let selected = marks.selection.contains(item);
            let face = WireFace {
                label: Arc::clone(&wire.label),
                selected,
                hovered: marks.hovered == Some(item),
                faulty: wire.faulty,
                sibling: wire.sibling,
            };
            self.graph
                .add_edge_custom(cards[wire.from], cards[wire.to], face, |edge| {
                    edge.set_selected(selected);
                });
        }
    }

    /// Whether it was drawn as wanted.
    fn draw(&mut self, ui: &mut Ui, canvas: Rect, viewport: Viewport) -> bool {
        self.draws += 1;
        let id = Some(GRAPH_ID.to_owned());
        let mut frame = MetadataFrame::new(id.clone()).load(ui);
        let moved = self.shown_at.map_or(egui::Vec2::ZERO, |at| canvas.min - at);
        frame.zoom = viewport.zoom;
        frame.pan = viewport.pan - moved;
        frame.save(ui);
        self.shown_at = Some(canvas.min);
        let mut sheet = ui.new_child(UiBuilder::new().max_rect(canvas).id_salt("sheet"));
        sheet.set_clip_rect(canvas.intersect(ui.clip_rect()));
        let layer = sheet.layer_id();
        let first = ui
            .ctx()
            .graphics_mut(|graphics| graphics.entry(layer).next_idx())
            .0;
        // Our own gestures move, select and link; egui_graphs is the view alone.
        let still = SettingsInteraction::new()
            .with_dragging_enabled(false)
            .with_hover_enabled(false);
        let fixed = SettingsNavigation::new()
            .with_fit_to_screen_enabled(false)
            .with_zoom_and_pan_enabled(false);
        GraphView::<Still, Still>::new()
            .with_id(id.clone())
            .with_interactions(&still)
            .with_navigations(&fixed)
            .show(&mut sheet, &mut self.graph);
        let shown = MetadataFrame::new(id).load(ui);
        let as_wanted =
            (shown.pan - viewport.pan).length() < 0.01 && (shown.zoom - viewport.zoom).abs() < 1e-4;
        self.shapes.clear();
        ui.ctx().graphics_mut(|graphics| {
            let list = graphics.entry(layer);
            if as_wanted {
                self.shapes.extend(list.all_entries().skip(first).cloned());
            } else {
                for place in first..list.next_idx().0 {
                    list.reset_shape(egui::layers::ShapeIdx(place));
                }
            }
        });
        as_wanted
    }
}

/// A layout that leaves every card where the design says; the default one would throw dice.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Still;

impl LayoutState for Still {}

impl Layout<Self> for Still {
    fn from_state(state: Self) -> impl Layout<Self> {
        state
    }

    fn next<N, E, Ty, Ix, Dn, De>(&mut self, _: &mut Graph<N, E, Ty, Ix, Dn, De>, _: &Ui)
    where
        N: Clone,
        E: Clone,
        Ty: EdgeType,
        Ix: IndexType,
        Dn: DisplayNode<N, E, Ty, Ix>,
        De: DisplayEdge<N, E, Ty, Ix, Dn>,
    {
    }

    fn state(&self) -> Self {
        *self
    }
}
