//! Every change that a user can make to a design, as data; applying one never fails.
//!
//! - `field`: the fields of a component

mod field;

pub use field::Field;

use super::selection::Selection;
use model::design::{Component, ComponentKind, Design, Link};
use model::vm::Risk;
use std::collections::{BTreeMap, BTreeSet};

/// One change of a design. Places that the design does not have are passed over.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Adds a component with its kind's defaults.
    Add {
        /// What it is.
        kind: ComponentKind,
        /// Where its centre lies.
        position: [f32; 2],
    },
    /// Adds copies of components and of the links among them, under names of their own.
    Insert {
        /// Components and links.
        fragment: Design,
        /// By how much the copies are shifted.
        by: [f32; 2],
        /// `Paste`, `Duplicate`: what the step is called.
        verb: &'static str,
    },
    /// Removes components, the links that end at them, and links.
    Delete(Selection),
    /// Puts components where they are told.
    Place(Vec<(usize, [f32; 2])>),
    /// Adds a link, unless it is there already.
    Link {
        /// Opens connections.
        from: usize,
        /// Accepts them.
        to: usize,
    },
    /// Changes one field of each of the components.
    Change {
        /// Which.
        components: Vec<usize>,
        /// The field with its new value.
        field: Field,
    },
    /// Changes one field of each of the links.
    ChangeLinks {
        /// Which.
        links: Vec<usize>,
        /// The field with its new value.
        field: LinkField,
    },
    /// Changes a field of the design itself.
    ChangeDesign(DesignField),
}

/// A field of a link with a value for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkField {
    /// Port; 0: the accepting kind's default.
    Port(u16),
    /// Exchanges the two ends.
    Reverse,
}

/// A field of the design with a value for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each variant is the field of `Design` of the same name"
)]
pub enum DesignField {
    Name(String),
    Tenant(String),
    Risk(Option<Risk>),
}

impl Edit {
    /// Makes the change; what is to be selected afterwards, where that changes.
    pub fn apply(&self, design: &mut Design) -> Option<Selection> {
        match self {
            Self::Add { kind, position } => {
                let name = free_name(design, kind.defaults().short_name);
                let mut component = Component::new(*kind, &name);
                component.position = *position;
                design.components.push(component);
                Some(Selection::of_components([design.components.len() - 1]))
            }
            Self::Insert { fragment, by, .. } => Some(insert(design, fragment, *by)),
            Self::Delete(selection) => {
                delete(design, selection);
                Some(Selection::default())
            }
            Self::Place(places) => {
                for &(place, position) in places {
                    if let Some(component) = design.components.get_mut(place) {
                        component.position = position;
                    }
                }
                None
            }
            Self::Link { from, to } => link(design, *from, *to),
            Self::Change { components, field } => {
                for &place in components {
                    change(design, place, field);
                }
                None
            }
            Self::ChangeLinks { links, field } => {
                for &place in links {
                    change_link(design, place, *field);
                }
                None
            }
            Self::ChangeDesign(field) => {
                match field.clone() {
                    DesignField::Name(name) => design.name = name,
                    DesignField::Tenant(tenant) => design.tenant = tenant,
                    DesignField::Risk(risk) => design.risk = risk,
                }
                None
            }
        }
    }
}

impl Edit {
    /// What the step is called in the Edit menu, for the design before the change.
    pub fn title(&self, design: &Design) -> String {
        match self {
            Self::Add { kind, .. } => format!("add {}", kind.defaults().title.to_lowercase()),
            Self::Insert { fragment, verb, .. } => {
                format!("{verb} {}", several(fragment, 0..fragment.components.len()))
            }
            Self::Delete(selection) if selection.components.is_empty() => {
                match selection.links.len() {
                    1 => "delete link".into(),
                    many => format!("delete {many} links"),
                }
            }
            Self::Delete(selection) => {
                format!(
                    "delete {}",
                    several(design, selection.components.iter().copied())
                )
            }
            Self::Place(places) => {
                format!(
                    "move {}",
                    several(design, places.iter().map(|(place, _)| *place))
                )
            }
            Self::Link { from, to } => {
                format!(
                    "link {} to {}",
                    several(design, [*from]),
                    several(design, [*to])
                )
            }
            Self::Change { components, field } => format!(
                "change {} of {}",
                field.title(),
                several(design, components.iter().copied())
            ),
            Self::ChangeLinks { field, .. } => match field {
                LinkField::Port(_) => "change port of link".into(),
                LinkField::Reverse => "reverse link".into(),
            },
            Self::ChangeDesign(field) => match field {
                DesignField::Name(_) => "change name of design".into(),
                DesignField::Tenant(_) => "change tenant of design".into(),
                DesignField::Risk(_) => "change risk of design".into(),
            },
        }
    }
}

/// The place of the first component of this name.
pub fn component_place(design: &Design, name: &str) -> Option<usize> {
    design
        .components
        .iter()
        .position(|component| component.name == name)
}

/// `wanted` itself, or its stem with the lowest number from 2 that no component has.
pub fn free_name(design: &Design, wanted: &str) -> String {
    let taken: BTreeSet<&str> = design.components.iter().map(|c| c.name.as_str()).collect();
    if !taken.contains(wanted) {
        return wanted.to_owned();
    }
    let stem = match wanted.rsplit_once('-') {
        Some((stem, number)) if !stem.is_empty() && number.parse::<u32>().is_ok() => stem,
        _ => wanted,
    };
    (2..)
        .map(|number| format!("{stem}-{number}"))
        .find(|name| !taken.contains(name.as_str()))
        .expect("fewer components than whole numbers")
}

/// What Copy keeps of a selection: its components and the links among them.
pub fn fragment(design: &Design, selection: &Selection) -> Design {
    let components: Vec<Component> = selection
        .components
        .iter()
        .filter_map(|&place| design.components.get(place).cloned())
        .collect();
    let inside = |name: &str| components.iter().any(|component| component.name == name);
    let links = design
        .links
        .iter()
        .filter(|link| inside(&link.from) && inside(&link.to))
        .cloned()
        .collect();
    Design {
        name: design.name.clone(),
        components,
        links,
        ..Design::default()
    }
}

fn insert(design: &mut Design, fragment: &Design, by: [f32; 2]) -> Selection {
    let first = design.components.len();
    let mut names = BTreeMap::new();
    for component in &fragment.components {
        let mut copy = component.clone();
        copy.name = free_name(design, &component.name);
        copy.position = [component.position[0] + by[0], component.position[1] + by[1]];
        names
            .entry(component.name.clone())
            .or_insert_with(|| copy.name.clone());
        design.components.push(copy);
    }
    for copy in &mut design.components[first..] {
        // Copies stand beside copies; what stood beside something else still does.
        if let Some(beside) = &mut copy.beside
            && let Some(renamed) = names.get(&beside.component)
        {
            beside.component.clone_from(renamed);
        }
    }
    for link in &fragment.links {
        if let (Some(from), Some(to)) = (names.get(&link.from), names.get(&link.to)) {
            design.links.push(Link {
                from: from.clone(),
                to: to.clone(),
                port: link.port,
            });
        }
    }
    Selection::of_components(first..design.components.len())
}

fn delete(design: &mut Design, selection: &Selection) {
    let gone: BTreeSet<String> = selection
        .components
        .iter()
        .filter_map(|&place| design.components.get(place))
        .map(|component| component.name.clone())
        .collect();
    keep(&mut design.components, |place| {
        !selection.components.contains(&place)
    });
    // Where two components share a name, the links belong to the one that stays.
    let lost = |design: &Design, name: &str| {
        gone.contains(name) && component_place(design, name).is_none()
    };
    let keeps: Vec<bool> = design
        .links
        .iter()
        .enumerate()
        .map(|(place, link)| {
            !selection.links.contains(&place)
                && !lost(design, &link.from)
                && !lost(design, &link.to)
        })
        .collect();
    keep(&mut design.links, |place| keeps[place]);
    for place in 0..design.components.len() {
        let beside = design.components[place].beside.as_ref();
        if beside.is_some_and(|beside| lost(design, &beside.component)) {
            design.components[place].beside = None;
        }
    }
}

fn keep<T>(all: &mut Vec<T>, wanted: impl Fn(usize) -> bool) {
    let mut place = 0;
    all.retain(|_| {
        place += 1;
        wanted(place - 1)
    });
}

fn link(design: &mut Design, from: usize, to: usize) -> Option<Selection> {
    let name = |place: usize| design.components.get(place).map(|c| c.name.clone());
    let (from, to) = (name(from)?, name(to)?);
    if from == to {
        return None;
    }
    let there = |link: &Link| link.from == from && link.to == to;
    let place = design.links.iter().position(there).unwrap_or_else(|| {
        design.links.push(Link { from, to, port: 0 });
        design.links.len() - 1
    });
    Some(Selection {
        links: BTreeSet::from([place]),
        ..Selection::default()
    })
}

fn change(design: &mut Design, place: usize, field: &Field) {
    let Some(component) = design.components.get(place) else {
        return;
    };
    if let Field::Name(name) = field {
        rename(design, place, &component.name.clone(), name);
    }
    field.clone().set(&mut design.components[place]);
}

/// Links and neighbours follow the component, unless another one of the same name owns them.
fn rename(design: &mut Design, place: usize, old: &str, new: &str) {
    if component_place(design, old) != Some(place) {
        return;
    }
    let ends = design
        .links
        .iter_mut()
        .flat_map(|link| [&mut link.from, &mut link.to]);
    let beside = design
        .components
        .iter_mut()
        .filter_map(|c| c.beside.as_mut())
        .map(|b| &mut b.component);
    for name in ends.chain(beside).filter(|name| *name == old) {
        new.clone_into(name);
    }
}

fn change_link(design: &mut Design, place: usize, field: LinkField) {
    let Some(link) = design.links.get_mut(place) else {
        return;
    };
    match field {
        LinkField::Port(port) => link.port = port,
        LinkField::Reverse => std::mem::swap(&mut link.from, &mut link.to),
    }
}

/// `web`, or `3 components`.
fn several(design: &Design, places: impl IntoIterator<Item = usize>) -> String {
    let names: Vec<&str> = places
        .into_iter()
        .filter_map(|place| design.components.get(place))
        .map(|component| component.name.as_str())
        .collect();
    match names[..] {
        [one] => one.to_owned(),
        _ => format!("{} components", names.len()),
    }
}
