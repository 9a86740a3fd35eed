//! What a controller is told of its grid before anything happens.

use model::design::{Component, Design};
use model::hypervisor::{Arch, Virtualisation};
use model::time::Span;
use placement::policy::Policy;
use recipe::book::Book;
use recipe::recipe::Recipe;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

/// What does not change while a controller runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The rule by which VMs are placed.
    pub policy: Policy,
    /// Feeds policies that draw lots.
    pub seed: u64,
    /// How long an operation may take.
    pub patience: Span,
    /// How long a node's lease lasts.
    pub lease: Span,
    /// How much later than by its own clock a node's lease may have lapsed by the controller's, and how
    /// long a node may take to stop what it may not run any more.
    pub grace: Span,
    /// After how long an order that was not answered is sent again.
    pub resend: Span,
    /// How long a guest may take over its shutdown, in milliseconds.
    pub shutdown_millis: u32,
    /// What VMs are made of.
    pub catalogue: Catalogue,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::BestFit,
            seed: 0,
            patience: Span(600_000),
            lease: Span(60_000),
            // Two clocks that drift apart by 1 part in 100, and the 5 s of an agent's watchdog.
            grace: Span(6_000),
            resend: Span(10_000),
            shutdown_millis: 60_000,
            catalogue: Catalogue::default(),
        }
    }
}

/// What VMs are made of: images by the names that designs use, and recipes.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// SHA-256 of the manifests of OS and application images, in hex.
    pub images: BTreeMap<String, String>,
    /// Kernels as images, for hypervisors whose guests bring none on their disk.
    pub kernels: Vec<Kernel>,
    /// What components become in their VMs; `None`: whatever their images are.
    pub book: Option<Arc<Book>>,
    /// What becomes of a design that asks for an image which is not here.
    pub otherwise: Otherwise,
}

/// What becomes of a design that asks for an image which its controller does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// It stands, as on modelled nodes, which need none.
    #[default]
    Taken,
    /// It is refused.
    Refused,
}

/// A kernel as an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Under these hypervisors, by the names of their profiles; empty: under any.
    #[serde(default)]
    pub hypervisors: BTreeSet<String>,
    /// For guests that are virtualised so.
    pub virtualisation: Virtualisation,
    /// For guests of this architecture.
    pub arch: Arch,
    /// SHA-256 of its manifest, in hexadecimal.
    pub image: String,
}

impl Catalogue {
    /// A line for each image for which a design is refused.
    pub fn missing(&self, design: &Design) -> Vec<String> {
        if self.otherwise == Otherwise::Taken {
            return Vec::new();
        }
        let asked = design.components.iter().flat_map(|component| {
            let images = self.images_of(component).into_iter();
            images.map(|image| (image, component.name.as_str()))
        });
        let missing = asked.filter(|(image, _)| !self.images.contains_key(*image));
        let told = missing.map(|(image, component)| {
            format!("there is no image {image:?}, which component {component:?} asks for")
        });
        told.collect()
    }

    /// The recipe by which a component's VMs are made: of one that names no image of its own, where that
    /// of the recipe is here.
    pub fn recipe(&self, component: &Component) -> Option<&Recipe> {
        let recipe = self.book.as_ref()?.recipe(component).ok()?;
        let image = recipe.image.as_ref()?;
        let is_made_so = component.image.is_empty() && self.images.contains_key(image);
        is_made_so.then_some(recipe)
    }

    /// The images of which a component's VMs are made, by name: that of the system, and those of
    /// applications, which a recipe's has all.
    pub fn images_of<'a>(&'a self, component: &'a Component) -> Vec<&'a str> {
        let made_so = self
            .recipe(component)
            .and_then(|recipe| recipe.image.as_deref());
        if let Some(image) = made_so {
            return vec![image];
        }
        let applications = component.add_applications.iter().map(String::as_str);
        iter::once(component.image_name())
            .chain(applications)
            .collect()
    }

    /// The first kernel for a guest, by its image.
    pub fn kernel(
        &self,
        hypervisor: &str,
        virtualisation: Virtualisation,
        arch: Arch,
    ) -> Option<&String> {
        let mut kernels = self.kernels.iter();
        let found = kernels.find(|kernel| {
            (kernel.virtualisation, kernel.arch) == (virtualisation, arch)
                && (kernel.hypervisors.is_empty() || kernel.hypervisors.contains(hypervisor))
        });
        found.map(|kernel| &kernel.image)
    }
}
