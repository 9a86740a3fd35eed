//! The search box: words of a node's name, and qualifiers as `site:`, `rack:`, `hypervisor:`, `model:`, `state:`.

use model::grid::Grid;
use model::id::NodeId;
use model::units::Dimension;
use model::view::View;
use strum::VariantArray;

/// One condition; a node must meet all.
#[derive(Clone, Debug, PartialEq)]
enum Term {
    Name(String),
    Site(String),
    Rack(String),
    Hypervisor(String),
    Model(String),
    Class(String),
    State(String),
    /// Share in use above or below so many hundredths.
    Share(Dimension, Bound, f32),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Above,
    Below,
}

/// What was typed, understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    terms: Vec<Term>,
    /// What looks like a condition and is none, in words.
    faults: Vec<String>,
}

/// Told beside the search box.
pub const HELP: &str = "Words of the name, and any of site:  rack:  hypervisor:  model:  class:  state:  cpu>80  mem<20";

impl Query {
    /// Understands what was typed; what looks like a condition and is none is left out, and told.
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for word in text.split_whitespace() {
            match term(&word.to_lowercase()) {
                Ok(term) => query.terms.extend(term),
                Err(fault) => query.faults.push(fault),
            }
        }
        query
    }

    /// What was not understood, one line each.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Whether it asks for anything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// By node, whether it meets every condition.
    pub fn hits(&self, view: &View) -> Vec<bool> {
        let grid = &*view.grid;
        let lower = |text: &str| text.to_lowercase();
        // Tables are short; their names are put in lower case once, not once a node.
        let sites: Vec<_> = grid.sites.iter().map(|site| lower(&site.name)).collect();
        let racks: Vec<_> = grid.racks.iter().map(|rack| lower(&rack.name)).collect();
        let hypervisors = grid.hypervisors.iter();
        let hypervisors: Vec<_> = hypervisors
            .map(|h| format!("{} {}", lower(&h.name), lower(&h.title)))
            .collect();
        let classes: Vec<_> = grid
            .classes
            .iter()
            .map(|class| (lower(&class.name), lower(&class.model)))
            .collect();
        let meets = |node: NodeId, term: &Term| {
            let entry = &grid.nodes[node.index()];
            match term {
                Term::Name(word) => lower(&entry.name).contains(word),
                Term::Site(word) => sites[grid.site_of(node).index()].contains(word),
                Term::Rack(word) => racks[entry.rack.index()].contains(word),
                Term::Hypervisor(word) => {
                    hypervisors[grid.class_of(node).hypervisor.index()].contains(word)
                }
                Term::Class(word) => classes[entry.class.index()].0.contains(word),
                Term::Model(word) => classes[entry.class.index()].1.contains(word),
                Term::State(word) => view.nodes[node.index()].state.to_string().starts_with(word),
                Term::Share(dimension, bound, hundredths) => {
                    share_is(grid, view, node, *dimension, *bound, *hundredths)
                }
            }
        };
        grid.node_ids()
            .map(|node| self.terms.iter().all(|term| meets(node, term)))
            .collect()
    }
}

fn share_is(
    grid: &Grid,
    view: &View,
    node: NodeId,
    dimension: Dimension,
    bound: Bound,
    hundredths: f32,
) -> bool {
    let capacity = grid.class_of(node).capacity.in_dimension(dimension);
    let used = view.nodes[node.index()].used.in_dimension(dimension);
    if capacity == 0 {
        return false;
    }
    let share = used as f32 * 100.0 / capacity as f32;
    match bound {
        Bound::Above => share > hundredths,
        Bound::Below => share < hundredths,
    }
}

/// A condition; none while it is being typed.
fn term(word: &str) -> Result<Option<Term>, String> {
    if let Some((qualifier, value)) = word.split_once(':') {
        if value.is_empty() {
            // Still being typed.
            return Ok(None);
        }
        let value = value.to_owned();
        return match qualifier {
            "site" => Ok(Some(Term::Site(value))),
            "rack" => Ok(Some(Term::Rack(value))),
            "hypervisor" => Ok(Some(Term::Hypervisor(value))),
            "model" => Ok(Some(Term::Model(value))),
            "class" => Ok(Some(Term::Class(value))),
            "state" => Ok(Some(Term::State(value))),
            _ => Err(format!("no qualifier is called {qualifier}:")),
        };
    }
    for (mark, bound) in [('>', Bound::Above), ('<', Bound::Below)] {
        if let Some((name, number)) = word.split_once(mark) {
            let dimension = Dimension::VARIANTS
                .iter()
                .find(|known| known.to_string() == name)
                .ok_or_else(|| format!("nothing that is measured is called {name}"))?;
            let number = number.trim_end_matches('%');
            if number.is_empty() {
                return Ok(None);
            }
            let hundredths = number
                .parse()
                .map_err(|_| format!("{number} is no number"))?;
            return Ok(Some(Term::Share(*dimension, bound, hundredths)));
        }
    }
    Ok(Some(Term::Name(word.to_owned())))
}
