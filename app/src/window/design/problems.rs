//! What is wrong with the drawing, and which component or link it is about.

use super::selection::Item;
use model::design::{Design, Place};
use model::fault::Fault;
use model::topology::Topology;

/// One thing to put right before the design can be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is about; `None`: the design as a whole.
    pub item: Option<Item>,
    /// In words: `db, instances: found 0, expected …`.
    pub text: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

/// All problems of a design, in the order of the check.
pub fn problems(design: &Design) -> Vec<Problem> {
    match Topology::check(design) {
        Ok(_) => Vec::new(),
        Err(faults) => faults
            .0
            .iter()
            .map(|fault| problem(design, fault))
            .collect(),
    }
}

fn problem(design: &Design, fault: &Fault) -> Problem {
    let (item, subject) = match Place::of_field(&fault.field) {
        Place::Component(place) => (
            Some(Item::Component(place)),
            design.components[place].name.clone(),
        ),
        Place::Link(place) => (Some(Item::Link(place)), link_name(design, place)),
        Place::Design => (None, "Design".to_owned()),
    };
    // `component[2].thresholds.up_cpu_percent` is about the thresholds' up_cpu_percent.
    let field = match item {
        Some(_) => fault.field.split_once("].").map_or("", |(_, field)| field),
        None => &fault.field,
    };
    let field = field.replace('_', " ").replace('.', ", ");
    let subject = if field.is_empty() || field == "component" {
        subject
    } else {
        format!("{subject}, {field}")
    };
    Problem {
        item,
        text: format!(
            "{subject}: found {}, expected {}",
            fault.found, fault.expected
        ),
        hint: fault.hint.clone(),
    }
}

/// What a link is called: `Link from web to db`.
pub fn link_name(design: &Design, place: usize) -> String {
    let link = &design.links[place];
    format!("Link from {} to {}", link.from, link.to)
}
