//! The inspector: all parameters of what is selected, of several components at once where several are.
//!
//! - `rows`: the rows of a component, by section

mod rows;

use rows::{kind_row, load_rows, name_row, optional, placement_rows, size_rows, software_rows};

use super::act::Act;
use super::card::kind_colour;
use super::document::{Document, Gesture};
use super::edit::{DesignField, Edit, Field, LinkField, component_place};
use super::fields::{Fields, choice, row};
use super::icons::icon;
use super::numbers::{INSTANCES, PORT, number};
use super::parameters;
use super::problems::Problem;
use super::scene::{cores, disk, mem};
use super::selection::{Item, Selection};
use super::typing::{Typing, text_field};
use crate::window::theme::{Palette, size, title_style};
use egui::{CollapsingHeader, RichText, Sense, Ui, vec2};
use model::design::{Component, Design, Link};
use model::grid::Grid as NodeGrid;
use model::vm::Risk;
use std::collections::BTreeSet;
use strum::VariantArray;

/// Words that the open grid knows, offered where a field takes such words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Names of sites.
    pub sites: Vec<String>,
    /// Licences present on any node.
    pub licences: Vec<String>,
    /// Accelerator models of any node.
    pub accel_models: Vec<String>,
}

impl Known {
    /// The words of a grid.
    pub fn of(grid: &NodeGrid) -> Self {
        let classes = &grid.classes;
        let licences: BTreeSet<&String> =
            classes.iter().flat_map(|class| &class.licences).collect();
        let models: BTreeSet<&String> = classes
            .iter()
            .filter_map(|class| Some(&class.accelerators.as_ref()?.model))
            .collect();
        Self {
            sites: grid.sites.iter().map(|site| site.name.clone()).collect(),
            licences: licences.into_iter().cloned().collect(),
            accel_models: models.into_iter().cloned().collect(),
        }
    }
}

/// The inspector's state: what is being typed.
#[derive(Clone, Debug, Default)]
pub struct Inspector {
    typing: Typing,
    rename: bool,
}

impl Inspector {
    /// Lets go of what is typed: the design has changed by other means.
    pub fn forget(&mut self) {
        self.typing.forget();
    }

    /// Puts the cursor into the name.
    pub fn rename(&mut self) {
        self.rename = true;
    }

    /// Draws it.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        document: &Document,
        problems: &[Problem],
        known: &Known,
        acts: &mut Vec<Act>,
    ) {
        let design = document.design();
        let selection = document.selection();
        self.typing.begin();
        ui.spacing_mut().item_spacing.y = size::GAP;
        if !selection.components.is_empty() {
            self.components(ui, design, selection, known, acts);
        } else if !selection.links.is_empty() {
            self.links(ui, design, selection, acts);
        } else {
            self.design(ui, design, acts);
        }
        self.typing.end(acts);
        problems_here(ui, selection, problems);
    }

    fn components(
        &mut self,
        ui: &mut Ui,
        design: &Design,
        selection: &Selection,
        known: &Known,
        acts: &mut Vec<Act>,
    ) {
        let places: Vec<usize> = selection.components.iter().copied().collect();
        let components: Vec<&Component> = places
            .iter()
            .map(|&place| &design.components[place])
            .collect();
        heading(ui, &components);
        let name = ui
            .scope(|ui| {
                let mut fields = Fields {
                    ui,
                    places: &places,
                    components: &components,
                    typing: &mut self.typing,
                    acts,
                };
                let name = (places.len() == 1).then(|| name_row(&mut fields, design));
                kind_row(&mut fields);
                fields.number(
                    "Instances",
                    INSTANCES,
                    |c| c.instances,
                    |_, n| Field::Instances(n),
                );
                name
            })
            .inner;
        if let (true, Some(name)) = (std::mem::take(&mut self.rename), name) {
            name.request_focus();
        }
        let typing = &mut self.typing;
        section(ui, "Size of one instance", |ui| {
            size_rows(
                &mut Fields {
                    ui,
                    places: &places,
                    components: &components,
                    typing,
                    acts,
                },
                known,
            );
        });
        section(ui, "Software", |ui| {
            software_rows(&mut Fields {
                ui,
                places: &places,
                components: &components,
                typing,
                acts,
            });
        });
        section(ui, "Placement", |ui| {
            placement_rows(
                &mut Fields {
                    ui,
                    places: &places,
                    components: &components,
                    typing,
                    acts,
                },
                design,
                known,
            );
        });
        section(ui, "Load", |ui| {
            load_rows(&mut Fields {
                ui,
                places: &places,
                components: &components,
                typing,
                acts,
            });
        });
        if let [component] = components[..] {
            let place = places[0];
            section(ui, "Parameters", |ui| {
                parameters::parameters_ui(ui, place, component, typing, acts);
            });
            section(ui, "Links", |ui| links_of(ui, design, place, acts));
        }
    }

    fn links(&mut self, ui: &mut Ui, design: &Design, selection: &Selection, acts: &mut Vec<Act>) {
        let links: Vec<usize> = selection.links.iter().copied().collect();
        let first = &design.links[links[0]];
        let title = match links.len() {
            1 => format!("{} to {}", first.from, first.to),
            many => format!("{many} links"),
        };
        ui.label(RichText::new(title).text_style(title_style()).strong());
        ui.scope(|ui| {
            let mixed = links
                .iter()
                .any(|&place| design.links[place].port != first.port);
            let response = row(ui, "Port", |ui| {
                number(ui, u32::from(first.port), PORT, mixed, |port| {
                    let field = LinkField::Port(u16::try_from(port).unwrap_or(u16::MAX));
                    let edit = Edit::ChangeLinks {
                        links: links.clone(),
                        field,
                    };
                    acts.push(Act::EditWithin(edit, Gesture(format!("port of {links:?}"))));
                })
            });
            if response.drag_stopped() || response.lost_focus() {
                acts.push(Act::EndGesture);
            }
        });
        ui.label(RichText::new(port_note(design, first)).weak().small());
        ui.horizontal(|ui| {
            if ui.button("Reverse").clicked() {
                acts.push(Act::Edit(Edit::ChangeLinks {
                    links: links.clone(),
                    field: LinkField::Reverse,
                }));
            }
            if ui.button("Delete link").clicked() {
                acts.push(Act::Edit(Edit::Delete(selection.clone())));
            }
        });
    }

    fn design(&mut self, ui: &mut Ui, design: &Design, acts: &mut Vec<Act>) {
        ui.label(RichText::new("Design").text_style(title_style()).strong());
        ui.scope(|ui| {
            let typing = &mut self.typing;
            design_text(
                ui,
                "Name",
                "What you call it",
                &design.name,
                typing,
                acts,
                DesignField::Name,
            );
            design_text(
                ui,
                "Tenant",
                "The grid's own",
                &design.tenant,
                typing,
                acts,
                DesignField::Tenant,
            );
            let risks = optional(Risk::VARIANTS, "Not told");
            if let Some(risk) = choice(ui, "Risk", &risks, Some(&design.risk), "") {
                acts.push(Act::Edit(Edit::ChangeDesign(DesignField::Risk(risk))));
            }
        });
        totals(ui, design);
    }
}

/// Which port 0 stands for.
fn port_note(design: &Design, link: &Link) -> String {
    let accepting = component_place(design, &link.to).map(|place| design.components[place].kind);
    match accepting.map(|kind| kind.defaults().port) {
        None | Some(0) => "0 is the default port of the component that accepts".to_owned(),
        Some(port) => format!("0 is the default port of {}, {port}", link.to),
    }
}

fn heading(ui: &mut Ui, components: &[&Component]) {
    let first = components[0];
    ui.horizontal(|ui| {
        let palette = Palette::of(ui.ctx());
        let (rect, _) = ui.allocate_exact_size(vec2(26.0, 26.0), Sense::hover());
        ui.painter().extend(icon(
            first.kind,
            rect.shrink(2.0),
            kind_colour(palette, first.kind),
        ));
        let title = match components {
            [one] => one.name.clone(),
            many => format!("{} components", many.len()),
        };
        ui.label(RichText::new(title).text_style(title_style()).strong());
    });
}

fn links_of(ui: &mut Ui, design: &Design, place: usize, acts: &mut Vec<Act>) {
    let name = &design.components[place].name;
    for (at, link) in design.links.iter().enumerate() {
        let port = if link.port == 0 {
            String::new()
        } else {
            format!(" :{}", link.port)
        };
        let text = if link.from == *name {
            format!("To {}{port}", link.to)
        } else if link.to == *name {
            format!("From {}{port}", link.from)
        } else {
            continue;
        };
        if ui.selectable_label(false, text).clicked() {
            acts.push(Act::Select(Selection::of(Item::Link(at))));
        }
    }
    ui.menu_button("Link to", |ui| {
        for other in &design.components {
            if other.name != *name
                && let Some(to) = component_place(design, &other.name)
                && ui.button(&other.name).clicked()
            {
                acts.push(Act::Edit(Edit::Link { from: place, to }));
            }
        }
    });
}

fn design_text(
    ui: &mut Ui,
    label: &str,
    hint: &str,
    shown: &str,
    typing: &mut Typing,
    acts: &mut Vec<Act>,
    field_of: fn(String) -> DesignField,
) {
    let id = ui.id().with(label);
    let mut new = None;
    row(ui, label, |ui| {
        let width = ui.available_width();
        let (response, text) = text_field(ui, id, width, (hint, shown), typing, acts);
        new = text;
        response
    });
    if let Some(text) = new {
        acts.push(Act::EditWithin(
            Edit::ChangeDesign(field_of(text)),
            Gesture(format!("{label} of design")),
        ));
    }
}

fn totals(ui: &mut Ui, design: &Design) {
    let sum = |of: fn(&Component) -> u32| -> u64 {
        design
            .components
            .iter()
            .map(|c| u64::from(of(c)) * u64::from(c.instances))
            .sum()
    };
    let shown = |total: u64| u32::try_from(total).unwrap_or(u32::MAX);
    let disks = sum(|c| c.disk_gib) + sum(|c| c.remote_disk_gib);
    ui.add_space(size::GAP);
    ui.label(RichText::new("In all").strong());
    ui.scope(|ui| {
        let rows = [
            ("Components", design.components.len().to_string()),
            ("Links", design.links.len().to_string()),
            ("Instances", sum(|_| 1).to_string()),
            ("Processor", cores(shown(sum(|c| c.cpu_milli)))),
            ("Memory", mem(shown(sum(|c| c.mem_mib)))),
            ("Disk", disk(shown(disks))),
        ];
        for (label, text) in rows {
            row(ui, label, |ui| ui.label(text));
        }
    });
}

fn problems_here(ui: &mut Ui, selection: &Selection, problems: &[Problem]) {
    let here = |problem: &&Problem| match problem.item {
        Some(item) => selection.contains(item),
        None => selection.is_empty(),
    };
    for problem in problems.iter().filter(here) {
        ui.add_space(size::GAP);
        let bad = Palette::of(ui.ctx()).bad;
        ui.label(RichText::new(&problem.text).small().color(bad));
        if !problem.hint.is_empty() {
            ui.label(RichText::new(&problem.hint).small().weak());
        }
    }
}

fn section(ui: &mut Ui, title: &str, add: impl FnOnce(&mut Ui)) {
    ui.add_space(size::GAP);
    CollapsingHeader::new(RichText::new(title).strong())
        .default_open(true)
        .show_unindented(ui, add);
}
