//! Perceptually uniform colour maps for the heatmap.

use egui::Color32;
use serde::{Deserialize, Serialize};

/// Colours a map has in its look-up table.
pub const STEPS: usize = 256;

/// A map from 0 to 1 to colours.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::VariantArray,
    strum::Display,
)]
#[serde(rename_all = "kebab-case")]
pub enum ColourMap {
    /// Dark violet over green to yellow; S. van der Walt and N. Smith, matplotlib 2015, CC0.
    #[default]
    Viridis,
    /// Dark blue over grey to yellow, the same to eyes with and without red-green blindness;
    /// J. Nuñez, C. Anderton and R. Renslow, PLoS ONE 13(7), 2018.
    Cividis,
}

/// Every ninth part of viridis, 0 to 1.
const VIRIDIS: [u32; 10] = [
    0x440154, 0x482878, 0x3e4989, 0x31688e, 0x26828e, 0x1f9e89, 0x35b779, 0x6ece58, 0xb5de2b,
    0xfde725,
];

/// Every ninth part of cividis, 0 to 1.
const CIVIDIS: [u32; 10] = [
    0x00224e, 0x123570, 0x3b496c, 0x575d6d, 0x707173, 0x8a8678, 0xa59c74, 0xc3b369, 0xe1cc55,
    0xfee838,
];

impl ColourMap {
    /// The colour at a share; outside of 0 to 1 the nearest end.
    pub fn at(self, share: f32) -> Color32 {
        let anchors = match self {
            Self::Viridis => &VIRIDIS,
            Self::Cividis => &CIVIDIS,
        };
        let place = share.clamp(0.0, 1.0) * (anchors.len() - 1) as f32;
        let left = (place as usize).min(anchors.len() - 2);
        let part = place - left as f32;
        let channel = |shift: u32| {
            let from = (anchors[left] >> shift & 0xff) as f32;
            let to = (anchors[left + 1] >> shift & 0xff) as f32;
            (from + (to - from) * part).round() as u8
        };
        Color32::from_rgb(channel(16), channel(8), channel(0))
    }

    /// The whole map as a table, for one look-up a node.
    pub fn table(self) -> [Color32; STEPS] {
        std::array::from_fn(|step| self.at(step as f32 / (STEPS - 1) as f32))
    }
}
