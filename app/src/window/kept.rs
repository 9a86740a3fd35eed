//! What the window remembers from one start to the next: its own state only, never a document.

use crate::window::grid::layout::Grouping;
use crate::window::grid::metric::Metric;
use crate::window::theme::ThemeChoice;
use crate::window::theme::colour_map::ColourMap;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The key under which eframe stores it; the number rises when an old state can no longer be read.
const KEY: &str = "gridwright-window-1";

/// Recent files that are kept; more than fit a menu help nobody.
const MAX_RECENT: usize = 10;

/// A room of the window.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::VariantArray,
    strum::EnumString,
    strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Page {
    /// The heatmap.
    #[default]
    Grid,
    /// Traces, policies, results.
    Lab,
    /// The canvas.
    Design,
}

impl Page {
    /// Its name in the window.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Grid => "Grid",
            Self::Lab => "Lab",
            Self::Design => "Design",
        }
    }
}

/// The window's own state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The page shown last.
    pub page: Page,
    /// The theme asked for.
    pub theme: ThemeChoice,
    /// The heatmap's colours.
    pub colour_map: ColourMap,
    /// What the heatmap's colours stand for.
    pub metric: Metric,
    /// What stands together on the heatmap.
    pub grouping: Grouping,
    /// Whether the node inspector is hidden.
    pub inspector_hidden: bool,
    /// Grids opened, newest first.
    pub recent_grids: Vec<PathBuf>,
    /// Traces opened, newest first.
    pub recent_traces: Vec<PathBuf>,
    /// Designs opened, newest first.
    pub recent_designs: Vec<PathBuf>,
}

impl Kept {
    /// The state of the last time; the default where there is none or it cannot be read.
    pub fn load(storage: Option<&dyn eframe::Storage>) -> Self {
        storage
            .and_then(|storage| storage.get_string(KEY))
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// Leaves it for the next time.
    pub fn save(&self, storage: &mut dyn eframe::Storage) {
        if let Ok(text) = serde_json::to_string(self) {
            storage.set_string(KEY, text);
        }
    }
}

/// Puts a path first among recent ones.
pub fn remember(recent: &mut Vec<PathBuf>, path: PathBuf) {
    recent.retain(|known| *known != path);
    recent.insert(0, path);
    recent.truncate(MAX_RECENT);
}
