//! What each VM is to hold, and whom a change concerns.

use crate::book::Book;
use crate::parameter::settle;
use crate::recipe::{Recipe, Stock};
use crate::scene::{Scene, Settings};
use crate::site::{Login, Site};
use crate::template::{TemplateError, fill, fill_plain};
use minijinja::value::Value;
use model::configuration::{Configuration, ConfiguredFile};
use model::fault::{Fault, Faults};
use model::id::{ComponentId, VmId};
use model::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};

/// What one VM is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outfit {
    /// By which recipe.
    pub recipe: String,
    /// The image that it begins as, by the name of its recipe, or as the component names it.
    pub image: String,
    /// Where a disk of its data is mounted; `None`: it has none beside its system.
    pub data: Option<String>,
    /// What it is to be sent once it runs, in parts that take hold apart from each other.
    pub parts: Vec<Configuration>,
}

impl Outfit {
    /// All that a VM is to be sent that has nothing yet.
    pub fn configuration(&self) -> Configuration {
        joined(self.parts.iter())
    }

    /// What a VM is to be sent that has some of the parts.
    pub fn lacking(&self, has: impl Fn(&Configuration) -> bool) -> Configuration {
        joined(self.parts.iter().filter(|part| !has(part)))
    }
}

/// Why a design's components cannot become what their recipes say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutfitError {
    /// Components ask for what no recipe gives.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// A link has no password.
    #[error("{from} has no password at {to}\nhint: each of `logins` needs a key")]
    NoPassword {
        /// Who logs in.
        from: String,
        /// Where.
        to: String,
    },
    /// A template has a hole.
    #[error("recipe {recipe}, {file} of {vm}")]
    Template {
        /// The recipe.
        recipe: String,
        /// The file's path, or the command, as the recipe has it.
        file: String,
        /// The VM's name.
        vm: String,
        /// Why.
        source: TemplateError,
    },
}

/// Who needs a password where, by the recipes of those that are called.
///
/// # Errors
/// All faults of components that have no recipe, or settings that theirs does not take.
pub fn logins(topology: &Topology, book: &Book) -> Result<BTreeSet<Login>, Faults> {
    let (recipes, _) = chosen(topology, book)?;
    let calls = topology.links().iter().filter(|link| {
        let vms = |id: ComponentId| recipes.contains_key(&id);
        vms(link.from) && recipes.get(&link.to).is_some_and(|recipe| recipe.passwords)
    });
    let logins = calls.map(|link| Login {
        from: link.from,
        to: link.to,
    });
    Ok(logins.collect())
}

/// What each VM of a site is to be.
///
/// # Errors
/// Where a component has no recipe or asks its own for what that does not give, a link has no
/// password, or a template a hole.
pub fn outfits(site: &Site<'_>, book: &Book) -> Result<BTreeMap<VmId, Outfit>, OutfitError> {
    let (recipes, settings) = chosen(site.topology, book)?;
    for login in logins(site.topology, book)? {
        if !site.passwords.contains_key(&login) {
            let name = |id: ComponentId| site.topology.components()[id.index()].name.clone();
            return Err(OutfitError::NoPassword {
                from: name(login.from),
                to: name(login.to),
            });
        }
    }
    let mut outfits = BTreeMap::new();
    for (&component, &recipe) in &recipes {
        for (index, instance) in site.of(component).iter().enumerate() {
            let scene = Scene {
                site,
                settings: &settings,
                component,
                index,
                open: recipe.faces_outside && site.clients(component).is_empty(),
            };
            let outfit = outfit(scene, recipe, &recipes, book)?;
            outfits.insert(instance.vm, outfit);
        }
    }
    Ok(outfits)
}

/// What VMs that were there before are to be sent so that they are as they should be now: those
/// parts that differ. A VM that has come is sent its whole [`Outfit::configuration`].
pub fn changes(
    before: &BTreeMap<VmId, Outfit>,
    now: &BTreeMap<VmId, Outfit>,
) -> BTreeMap<VmId, Configuration> {
    let mut changes = BTreeMap::new();
    for (vm, outfit) in now {
        let Some(former) = before.get(vm) else {
            continue;
        };
        let differing = outfit
            .parts
            .iter()
            .filter(|part| !former.parts.contains(part));
        let configuration = joined(differing);
        if configuration != Configuration::default() {
            changes.insert(*vm, configuration);
        }
    }
    changes
}

fn joined<'p>(parts: impl Iterator<Item = &'p Configuration>) -> Configuration {
    let mut whole = Configuration::default();
    for part in parts {
        whole.files.extend(part.files.clone());
        whole.apply.extend(part.apply.iter().cloned());
    }
    whole
}

type Chosen<'b> = (BTreeMap<ComponentId, &'b Recipe>, Settings);

/// The recipe and the settings of each component that becomes VMs.
fn chosen<'b>(topology: &Topology, book: &'b Book) -> Result<Chosen<'b>, Faults> {
    let mut faults = Vec::new();
    let (mut recipes, mut settings) = (BTreeMap::new(), Settings::new());
    for (place, component) in topology.components().iter().enumerate() {
        let id = ComponentId(place as u32);
        let at = |fault: Fault| Fault {
            field: format!("component[{place}].{}", fault.field),
            ..fault
        };
        if component.kind.defaults().form == model::kind::KindForm::Wire {
            continue;
        }
        let recipe = match book.recipe(component) {
            Ok(recipe) => recipe,
            Err(Faults(found)) => {
                faults.extend(found.into_iter().map(at));
                continue;
            }
        };
        let ports: BTreeSet<u16> = topology
            .links()
            .iter()
            .filter(|l| l.to == id)
            .map(|l| l.port)
            .collect();
        if recipe.one_port && ports.len() > 1 {
            faults.push(at(Fault {
                field: "port".into(),
                found: format!("links to ports {ports:?}"),
                expected: format!("one port, as {} listens on one", recipe.name),
                ..Fault::default()
            }));
        }
        match settle(
            &book.parameters(recipe),
            &component.parameters,
            recipe.any_parameter,
        ) {
            Ok(settled) => drop(settings.insert(id, settled)),
            Err(found) => faults.extend(found.into_iter().map(at)),
        }
        recipes.insert(id, recipe);
    }
    match faults.is_empty() {
        true => Ok((recipes, settings)),
        false => Err(Faults(faults)),
    }
}

fn outfit(
    scene: Scene<'_>,
    recipe: &Recipe,
    recipes: &BTreeMap<ComponentId, &Recipe>,
    book: &Book,
) -> Result<Outfit, OutfitError> {
    let component = &scene.site.topology.components()[scene.component.index()];
    let vm = &scene.site.of(scene.component)[scene.index].name;
    let mut parts = Vec::new();
    // Own files first: what is handed may need what they set up.
    for part in book.with_included(recipe) {
        parts.push(filled(part, &part.own, vm, &scene.own())?);
    }
    for link in scene.site.links(scene.component) {
        // Of one that is not there yet nothing can be told; it is told once it is.
        if !scene.site.of(link.component).is_empty()
            && recipe.guest == recipes[&link.component].guest
        {
            let giver = recipes[&link.component];
            parts.push(filled(giver, &giver.handed, vm, &scene.handed(link))?);
        }
    }
    parts.retain(|part| *part != Configuration::default());
    let image = match (component.image.is_empty(), &recipe.image) {
        (true, Some(image)) => image.clone(),
        _ => component.image_name().to_owned(),
    };
    Ok(Outfit {
        recipe: recipe.name.clone(),
        image,
        data: recipe.data.clone(),
        parts,
    })
}

fn filled(
    recipe: &Recipe,
    stock: &Stock,
    vm: &str,
    scene: &Value,
) -> Result<Configuration, OutfitError> {
    let failed = |file: &str| {
        let (recipe, file, vm) = (recipe.name.clone(), file.to_owned(), vm.to_owned());
        move |source| OutfitError::Template {
            recipe,
            file,
            vm,
            source,
        }
    };
    let mut files = BTreeMap::new();
    for file in &stock.files {
        let path = fill_plain(&file.path, scene).map_err(failed(&file.path))?;
        let filled = ConfiguredFile {
            pieces: fill(&file.text, scene).map_err(failed(&file.path))?,
            mode: file.mode,
            owner: file.owner.clone(),
            check: file.check.clone(),
        };
        files.insert(path, filled);
    }
    let apply = stock.apply.iter();
    let apply = apply.map(|line| fill_plain(line, scene).map_err(failed(line)));
    Ok(Configuration {
        files,
        apply: apply.collect::<Result<_, _>>()?,
    })
}
