//! What is selected on the canvas: components and links, by their place in the design.

use model::design::Design;
use std::collections::BTreeSet;

/// Components and links that the next command acts on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Places in [`Design::components`].
    pub components: BTreeSet<usize>,
    /// Places in [`Design::links`].
    pub links: BTreeSet<usize>,
}

/// One thing that can be selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// A place in [`Design::components`].
    Component(usize),
    /// A place in [`Design::links`].
    Link(usize),
}

impl Selection {
    /// One item alone.
    pub fn of(item: Item) -> Self {
        let mut selection = Self::default();
        selection.insert(item);
        selection
    }

    /// These components and no link.
    pub fn of_components(components: impl IntoIterator<Item = usize>) -> Self {
        Self {
            components: components.into_iter().collect(),
            links: BTreeSet::new(),
        }
    }

    /// Everything of a design.
    pub fn all(design: &Design) -> Self {
        Self {
            components: (0..design.components.len()).collect(),
            links: (0..design.links.len()).collect(),
        }
    }

    /// Whether nothing is selected.
    pub fn is_empty(&self) -> bool {
        self.components.is_empty() && self.links.is_empty()
    }

    /// Whether the item is selected.
    pub fn contains(&self, item: Item) -> bool {
        match item {
            Item::Component(place) => self.components.contains(&place),
            Item::Link(place) => self.links.contains(&place),
        }
    }

    /// Selects one item more.
    pub fn insert(&mut self, item: Item) {
        match item {
            Item::Component(place) => self.components.insert(place),
            Item::Link(place) => self.links.insert(place),
        };
    }

    /// Selects the item, or lets go of it.
    pub fn toggle(&mut self, item: Item) {
        if self.contains(item) {
            match item {
                Item::Component(place) => self.components.remove(&place),
                Item::Link(place) => self.links.remove(&place),
            };
        } else {
            self.insert(item);
        }
    }

    /// Adds another selection to this one.
    pub fn extend(&mut self, other: &Self) {
        self.components.extend(&other.components);
        self.links.extend(&other.links);
    }

    /// Lets go of what the design no longer has.
    pub fn retain_existing(&mut self, design: &Design) {
        self.components.retain(|&c| c < design.components.len());
        self.links.retain(|&l| l < design.links.len());
    }
}
