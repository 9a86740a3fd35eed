//! The Lab page: a trace on a grid under policies, with plots, comparison and replay.

use crate::window::room::Room;

/// The page's state.
#[derive(Debug, Default)]
pub struct LabPage {}

impl LabPage {
    /// Draws the page.
    pub fn ui(&mut self, ui: &mut egui::Ui, room: &mut Room<'_>) {
        let _ = room;
        ui.centered_and_justified(|ui| ui.label("Lab"));
    }
}
