//! The Grid page: the open grid as a heatmap, with search and an inspector.

use crate::window::room::Room;

/// The page's state.
#[derive(Debug, Default)]
pub struct GridPage {}

impl GridPage {
    /// Draws the page.
    pub fn ui(&mut self, ui: &mut egui::Ui, room: &mut Room<'_>) {
        let nodes = room.view.map_or(0, |view| view.nodes.len());
        ui.centered_and_justified(|ui| ui.label(format!("{nodes} nodes")));
    }
}
