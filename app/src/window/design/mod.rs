//! The Design page: draw, check, assign and plan a hosting configuration.

pub mod command;

use crate::window::design::command::DesignCommand;
use crate::window::room::Room;
use std::path::Path;

/// The page's whole state.
#[derive(Debug, Default)]
pub struct DesignPage {}

impl DesignPage {
    /// Draws the page; what it wants of the window goes through `room.ask`.
    pub fn ui(&mut self, ui: &mut egui::Ui, room: &mut Room<'_>) {
        let _ = room;
        ui.centered_and_justified(|ui| ui.label("Design"));
    }

    /// Carries out a command of this page, from a menu, a key or the palette.
    pub fn command(&mut self, ctx: &egui::Context, command: DesignCommand, room: &mut Room<'_>) {
        let _ = (ctx, command, room);
    }

    /// Looks after jobs of this page; called before every frame, whichever page is shown.
    pub fn logic(&mut self, ctx: &egui::Context, room: &mut Room<'_>) {
        let _ = (ctx, room);
    }

    /// Opens a file that the user chose or dropped.
    pub fn open(&mut self, ctx: &egui::Context, path: &Path, room: &mut Room<'_>) {
        let _ = (ctx, path, room);
    }

    /// Writes the design to a file that the user chose.
    pub fn save_as(&mut self, ctx: &egui::Context, path: &Path, room: &mut Room<'_>) {
        let _ = (ctx, path, room);
    }

    /// Whether closing the window now would lose work.
    pub fn is_unsaved(&self) -> bool {
        false
    }
}
