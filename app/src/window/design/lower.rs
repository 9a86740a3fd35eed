//! The panel below the canvas: the list of problems, and the plan.

use super::act::Act;
use super::planning::Planning;
use super::problems::Problem;
use super::selection::Item;
use crate::window::theme::{Palette, size};
use egui::{RichText, ScrollArea, Sense, Ui, vec2};

/// What the panel shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// Only its tabs.
    #[default]
    Folded,
    /// What is wrong.
    Problems,
    /// Where VMs would go.
    Plan,
}

/// Draws the tabs; the one that is to be shown now.
pub fn tabs_ui(ui: &mut Ui, tab: &mut Tab, problems: &[Problem], planning: &Planning) {
    ui.horizontal(|ui| {
        let palette = Palette::of(ui.ctx());
        let title = match problems.len() {
            0 => RichText::new("No problems").color(palette.good),
            1 => RichText::new("1 problem").color(palette.bad),
            many => RichText::new(format!("{many} problems")).color(palette.bad),
        };
        one_tab(ui, tab, Tab::Problems, title);
        one_tab(ui, tab, Tab::Plan, RichText::new(planning.title()));
        if *tab != Tab::Folded {
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let close = ui.button("⏷").on_hover_text("Fold this panel");
                close.widget_info(|| {
                    egui::WidgetInfo::labeled(egui::WidgetType::Button, true, "Fold panel")
                });
                if close.clicked() {
                    *tab = Tab::Folded;
                }
            });
        }
    });
}

fn one_tab(ui: &mut Ui, tab: &mut Tab, this: Tab, title: RichText) {
    if ui.selectable_label(*tab == this, title).clicked() {
        *tab = if *tab == this { Tab::Folded } else { this };
    }
}

/// Draws the list of problems; a click shows what it is about.
pub fn problems_ui(ui: &mut Ui, problems: &[Problem], acts: &mut Vec<Act>) {
    if problems.is_empty() {
        ui.add_space(size::GAP);
        ui.label("The design can be planned.");
        return;
    }
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        for problem in problems {
            ui.horizontal(|ui| {
                dot(ui);
                let row = ui
                    .selectable_label(false, &problem.text)
                    .on_hover_text("Show what it is about");
                if let (true, Some(item)) = (row.clicked(), problem.item) {
                    acts.push(Act::Reveal(item));
                }
                if !problem.hint.is_empty() {
                    ui.label(RichText::new(&problem.hint).weak());
                }
            });
        }
    });
}

fn dot(ui: &mut Ui) {
    let (rect, _) = ui.allocate_exact_size(vec2(14.0, 14.0), Sense::hover());
    ui.painter()
        .circle_filled(rect.center(), 4.0, Palette::of(ui.ctx()).bad);
}

/// A row about a component: a click on it selects the component.
pub fn component_row(ui: &mut Ui, text: RichText, place: usize, acts: &mut Vec<Act>) {
    if ui.selectable_label(false, text).clicked() {
        acts.push(Act::Reveal(Item::Component(place)));
    }
}
