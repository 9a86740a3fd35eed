//! What the canvas shows of a design: cards, missing ends and links, ready to be drawn.

use super::card::{CARD, CardFace, card_rect};
use super::edit::component_place;
use super::problems::{Problem, link_name};
use super::selection::Item;
use egui::{Pos2, Rect, pos2, vec2};
use model::design::{Component, Design};
use model::kind::KindForm;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A link between two cards of a scene.
#[derive(Clone, Debug)]
pub struct Wire {
    /// The card it leaves.
    pub from: usize,
    /// The card it enters.
    pub to: usize,
    /// Its port: `:443`.
    pub label: Arc<str>,
    /// What it is called: `Link from web to db`.
    pub name: String,
    /// Whether it has problems.
    pub faulty: bool,
    /// How many links with the same two ends come before it.
    pub sibling: u8,
}

/// A drawing, derived from a design alone.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// How many of the cards are components; the others stand for ends that are missing.
    pub components: usize,
    /// What each card shows.
    pub faces: Vec<Arc<CardFace>>,
    /// Where each card's centre lies.
    pub centres: Vec<Pos2>,
    /// One for each link of the design, in its order.
    pub wires: Vec<Wire>,
}

impl Scene {
    /// The scene of a design with its problems.
    pub fn of(design: &Design, problems: &[Problem]) -> Self {
        let mut scene = Self {
            components: design.components.len(),
            faces: Vec::new(),
            centres: Vec::new(),
            wires: Vec::new(),
        };
        let mut counts = BTreeMap::new();
        for item in problems.iter().filter_map(|problem| problem.item) {
            *counts.entry(item).or_insert(0) += 1;
        }
        for (place, component) in design.components.iter().enumerate() {
            let problems = counts.get(&Item::Component(place)).copied().unwrap_or(0);
            scene.faces.push(Arc::new(face(component, problems)));
            scene
                .centres
                .push(pos2(component.position[0], component.position[1]));
        }
        scene.add_wires(design, &counts);
        scene
    }

    /// What encloses all cards; `None` where there are none.
    pub fn bounds(&self) -> Option<Rect> {
        self.centres
            .iter()
            .map(|&centre| card_rect(centre))
            .reduce(|a, b| a.union(b))
    }

    /// The component whose card lies at a point of the drawing, within `reach` points; the last one
    /// drawn lies on top.
    pub fn component_at(&self, at: Pos2, reach: f32) -> Option<usize> {
        (0..self.components)
            .rev()
            .find(|&place| card_rect(self.centres[place]).expand(reach).contains(at))
    }

    fn add_wires(&mut self, design: &Design, counts: &BTreeMap<Item, usize>) {
        let mut siblings = BTreeMap::new();
        let mut missing = BTreeMap::new();
        for (place, link) in design.links.iter().enumerate() {
            let from = component_place(design, &link.from);
            let to = component_place(design, &link.to);
            let beside = from.or(to).map(|known| self.centres[known]);
            let from = from.unwrap_or_else(|| self.missing(&mut missing, &link.from, beside, -1.0));
            let to = to.unwrap_or_else(|| self.missing(&mut missing, &link.to, beside, 1.0));
            let sibling: &mut u8 = siblings.entry((from.min(to), from.max(to))).or_insert(0);
            let default = design
                .components
                .get(to)
                .map_or(0, |component| component.kind.defaults().port);
            let port = if link.port == 0 { default } else { link.port };
            self.wires.push(Wire {
                from,
                to,
                label: if port == 0 {
                    "".into()
                } else {
                    format!(":{port}").into()
                },
                name: link_name(design, place),
                faulty: counts.contains_key(&Item::Link(place)),
                sibling: *sibling,
            });
            *sibling = sibling.saturating_add(1);
        }
    }

    /// The card that stands for a missing end, at the side where the end is missing.
    fn missing(
        &mut self,
        known: &mut BTreeMap<String, usize>,
        name: &str,
        beside: Option<Pos2>,
        side: f32,
    ) -> usize {
        if let Some(&card) = known.get(name) {
            return card;
        }
        let beside = beside.unwrap_or(Pos2::ZERO);
        let mut centre = beside + vec2(side * (CARD.x + 80.0), 0.0);
        while self
            .centres
            .iter()
            .any(|&other| card_rect(other).intersects(card_rect(centre)))
        {
            centre.y += CARD.y + 20.0;
        }
        self.faces.push(Arc::new(CardFace {
            kind: None,
            name: if name.is_empty() {
                "(no name)".into()
            } else {
                name.into()
            },
            size: "is not in the design".into(),
            problems: 0,
        }));
        self.centres.push(centre);
        known.insert(name.to_owned(), self.centres.len() - 1);
        self.centres.len() - 1
    }
}

fn face(component: &Component, problems: usize) -> CardFace {
    let size = [
        (component.cpu_milli > 0).then(|| cores(component.cpu_milli)),
        (component.mem_mib > 0).then(|| mem(component.mem_mib)),
    ];
    let size: Vec<String> = size.into_iter().flatten().collect();
    CardFace {
        kind: Some(component.kind),
        name: component.name.clone(),
        size: match component.kind.defaults().form {
            KindForm::Wire => "address range".to_owned(),
            KindForm::Vms => format!("{} × {}", component.instances, size.join(", ")),
        },
        problems,
    }
}

/// `1 core`, `0.5 cores`.
pub fn cores(cpu_milli: u32) -> String {
    let cores = f64::from(cpu_milli) / 1_000.0;
    format!(
        "{cores} {}",
        if cpu_milli == 1_000 { "core" } else { "cores" }
    )
}

/// `512 MiB`, `1.5 GiB`.
pub fn mem(mem_mib: u32) -> String {
    if mem_mib < 1_024 {
        format!("{mem_mib} MiB")
    } else {
        format!("{} GiB", rounded(f64::from(mem_mib) / 1_024.0))
    }
}

/// `20 GiB`, `1.5 TiB`.
pub fn disk(disk_gib: u32) -> String {
    if disk_gib < 1_024 {
        format!("{disk_gib} GiB")
    } else {
        format!("{} TiB", rounded(f64::from(disk_gib) / 1_024.0))
    }
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
