//! The heatmap's colours: one texel a node, painted again only when view, metric, theme or search has changed.

use crate::window::grid::layout::Layout;
use crate::window::grid::metric::{Metric, Reading, Readings};
use crate::window::theme::Palette;
use crate::window::theme::colour_map::{ColourMap, STEPS};
use egui::{Color32, ColorImage, Context, TextureHandle, TextureId, TextureOptions};
use model::grid::NodeState;
use model::id::NodeId;
use model::view::View;
use std::sync::Arc;

/// Bars of the legend's histogram.
pub const BINS: usize = 40;

/// How far nodes that are not searched for fade into the background.
const FADED: f32 = 0.12;

/// How to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// What colours stand for.
    pub metric: Metric,
    /// Shares to colours.
    pub map: ColourMap,
    /// Rises whenever the search has changed.
    pub search: u64,
}

/// A painted view.
pub struct Painting {
    view: Arc<View>,
    look: Look,
    dark: bool,
    texture: TextureHandle,
    colours: Vec<Color32>,
    spread: Spread,
}

impl std::fmt::Debug for Painting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Painting")
            .field("look", &self.look)
            .field("spread", &self.spread)
            .finish_non_exhaustive()
    }
}

/// How the readings are spread over nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// Nodes by share.
    pub bins: Vec<u32>,
    /// Mean share of nodes that have one; `None` where none has.
    pub mean: Option<f32>,
    /// Nodes by state, where states are shown.
    pub states: [u32; 4],
    /// Nodes without the thing measured.
    pub absent: u32,
    /// VMs at the upper end of the scale.
    pub most_vms: usize,
}

impl Painting {
    /// Paints a view into a texture of its own.
    pub fn new(
        ctx: &Context,
        layout: &Layout,
        view: &Arc<View>,
        look: Look,
        hits: Option<&[bool]>,
    ) -> Self {
        let (colours, spread) = colour(view, look, hits, Palette::of(ctx));
        let image = image(layout, &colours);
        Self {
            view: Arc::clone(view),
            look,
            dark: ctx.theme() == egui::Theme::Dark,
            texture: ctx.load_texture("heatmap", image, TextureOptions::NEAREST),
            colours,
            spread,
        }
    }

    /// Paints again where anything has changed.
    pub fn refresh(
        &mut self,
        ctx: &Context,
        layout: &Layout,
        view: &Arc<View>,
        look: Look,
        hits: Option<&[bool]>,
    ) {
        let dark = ctx.theme() == egui::Theme::Dark;
        if Arc::ptr_eq(&self.view, view) && self.look == look && self.dark == dark {
            return;
        }
        (self.colours, self.spread) = colour(view, look, hits, Palette::of(ctx));
        self.texture
            .set(image(layout, &self.colours), TextureOptions::NEAREST);
        self.view = Arc::clone(view);
        self.look = look;
        self.dark = dark;
    }

    /// For the mesh.
    pub fn texture(&self) -> TextureId {
        self.texture.id()
    }

    /// For the legend.
    pub fn spread(&self) -> &Spread {
        &self.spread
    }

    /// The colour of a node's cell.
    pub fn colour_of(&self, node: NodeId) -> Color32 {
        self.colours[node.index()]
    }

    /// A colour that can be read upon a node's cell.
    pub fn text_upon(&self, node: NodeId) -> Color32 {
        let colour = self.colours[node.index()];
        // Rec. 601 luma decides between black and white.
        let luma = 0.299 * f32::from(colour.r())
            + 0.587 * f32::from(colour.g())
            + 0.114 * f32::from(colour.b());
        if luma > 140.0 {
            Color32::BLACK
        } else {
            Color32::WHITE
        }
    }
}

/// The colour of a state.
pub fn state_colour(state: NodeState, palette: &Palette) -> Color32 {
    palette.states[state as usize]
}

fn colour(
    view: &View,
    look: Look,
    hits: Option<&[bool]>,
    palette: &Palette,
) -> (Vec<Color32>, Spread) {
    let readings = Readings::of(view, look.metric);
    let table = look.map.table();
    let mut spread = Spread {
        bins: vec![0; BINS],
        most_vms: readings.most_vms,
        ..Spread::default()
    };
    let (mut sum, mut count) = (0.0_f64, 0_u32);
    let colours = readings
        .of_nodes
        .iter()
        .enumerate()
        .map(|(node, reading)| {
            let full = match *reading {
                Reading::Share(share) => {
                    sum += f64::from(share);
                    count += 1;
                    spread.bins[((share * BINS as f32) as usize).min(BINS - 1)] += 1;
                    table[((share * (STEPS - 1) as f32).round() as usize).min(STEPS - 1)]
                }
                Reading::Absent => {
                    spread.absent += 1;
                    palette.absent
                }
                Reading::State(state) => {
                    spread.states[state as usize] += 1;
                    state_colour(state, palette)
                }
            };
            let faded = hits.is_some_and(|hits| !hits[node]);
            if faded {
                palette.card.lerp_to_gamma(full, FADED)
            } else {
                full
            }
        })
        .collect();
    spread.mean = (count > 0).then(|| (sum / f64::from(count)) as f32);
    (colours, spread)
}

fn image(layout: &Layout, colours: &[Color32]) -> ColorImage {
    let mut image = ColorImage::filled(layout.texture, Color32::TRANSPARENT);
    for (node, texel) in layout.texels() {
        image.pixels[texel] = colours[node.index()];
    }
    image
}
