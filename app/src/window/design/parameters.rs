//! Settings of a component's application: names with values, passed on as they are.

use super::act::Act;
use super::document::Gesture;
use super::edit::{Edit, Field};
use super::typing::{Typing, text_field};
use egui::Ui;
use model::design::Component;
use std::collections::BTreeMap;

/// Draws the table of one component.
pub fn parameters_ui(
    ui: &mut Ui,
    place: usize,
    component: &Component,
    typing: &mut Typing,
    acts: &mut Vec<Act>,
) {
    for (name, value) in &component.parameters {
        ui.horizontal(|ui| {
            let width = (ui.available_width() - 44.0) / 2.0;
            let id = ui.id().with(("parameter", place, name));
            let (field, new) = text_field(ui, id.with("name"), width, ("Name", name), typing, acts);
            name_it(&field, &format!("Name of parameter {name}"));
            // Half a name could be another one's, so it is taken over when the field is left.
            if let Some(new) = new {
                typing.when_left(renamed(place, component, name, new.trim()));
            }
            let (field, new) =
                text_field(ui, id.with("value"), width, ("Value", value), typing, acts);
            name_it(&field, &format!("Value of parameter {name}"));
            if let Some(text) = new {
                let mut parameters = component.parameters.clone();
                parameters.insert(name.clone(), text);
                acts.push(Act::EditWithin(
                    edit(place, parameters),
                    Gesture(format!("parameter {name} of {place}")),
                ));
            }
            let remove = ui.button("×");
            name_it(&remove, &format!("Remove parameter {name}"));
            if remove.clicked() {
                let mut parameters = component.parameters.clone();
                parameters.remove(name);
                acts.push(Act::Edit(edit(place, parameters)));
            }
        });
    }
    if ui.button("Add parameter").clicked() {
        let mut parameters = component.parameters.clone();
        let name = (1..)
            .map(|number| format!("parameter-{number}"))
            .find(|name| !parameters.contains_key(name))
            .expect("fewer parameters than whole numbers");
        parameters.insert(name, String::new());
        acts.push(Act::Edit(edit(place, parameters)));
    }
}

fn renamed(place: usize, component: &Component, old: &str, new: &str) -> Result<Edit, String> {
    if new.is_empty() {
        return Err("a parameter needs a name".into());
    }
    let mut parameters = component.parameters.clone();
    let value = parameters.remove(old).unwrap_or_default();
    if parameters.insert(new.to_owned(), value).is_some() {
        return Err(format!("another parameter is called {new}"));
    }
    Ok(edit(place, parameters))
}

fn edit(place: usize, parameters: BTreeMap<String, String>) -> Edit {
    Edit::Change {
        components: vec![place],
        field: Field::Parameters(parameters),
    }
}

fn name_it(response: &egui::Response, name: &str) {
    response
        .ctx
        .accesskit_node_builder(response.id, |node| node.set_label(name));
}
