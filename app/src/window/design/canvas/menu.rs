//! The context menu of the canvas.

use crate::window::design::act::Act;
use crate::window::design::command::DesignCommand;
use crate::window::design::document::Document;
use crate::window::design::edit::{Edit, LinkField};
use egui::Ui;

/// Draws what can be done with what is selected.
pub(super) fn context_menu(ui: &mut Ui, document: &Document, acts: &mut Vec<Act>) {
    use DesignCommand as C;
    let selection = document.selection();
    let entries: &[DesignCommand] = if !selection.components.is_empty() {
        &[
            C::LinkTo,
            C::Rename,
            C::Duplicate,
            C::Cut,
            C::Copy,
            C::Delete,
        ]
    } else if !selection.links.is_empty() {
        &[C::Delete]
    } else {
        &[C::Paste, C::SelectAll, C::Arrange, C::Fit]
    };
    for &command in entries {
        let description = command.describe();
        let key = description
            .shortcut
            .map(|shortcut| ui.ctx().format_shortcut(&shortcut))
            .unwrap_or_default();
        if ui
            .add(egui::Button::new(description.text).shortcut_text(key))
            .clicked()
        {
            acts.push(Act::Command(command));
        }
    }
    if selection.components.is_empty()
        && selection.links.len() == 1
        && ui.button("Reverse").clicked()
    {
        acts.push(Act::Edit(Edit::ChangeLinks {
            links: selection.links.iter().copied().collect(),
            field: LinkField::Reverse,
        }));
    }
}
