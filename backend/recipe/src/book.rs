//! All recipes, those that are built in and a customer's own; finds a component's.

use crate::backup;
use crate::parameter::Parameter;
use crate::recipe::Recipe;
use crate::recipe_file::read_recipe;
use model::design::Component;
use model::fault::{Fault, Faults, nearest};
use std::collections::BTreeMap;

/// The files of `assets/recipes/components`.
const SHIPPED: &[(&str, &str)] = &[
    (
        "guard.toml",
        include_str!("../../../assets/recipes/components/guard.toml"),
    ),
    (
        "haproxy.toml",
        include_str!("../../../assets/recipes/components/haproxy.toml"),
    ),
    (
        "nfs.toml",
        include_str!("../../../assets/recipes/components/nfs.toml"),
    ),
    (
        "nftables.toml",
        include_str!("../../../assets/recipes/components/nftables.toml"),
    ),
    (
        "nginx-balancer.toml",
        include_str!("../../../assets/recipes/components/nginx-balancer.toml"),
    ),
    (
        "nginx.toml",
        include_str!("../../../assets/recipes/components/nginx.toml"),
    ),
    (
        "plain.toml",
        include_str!("../../../assets/recipes/components/plain.toml"),
    ),
    (
        "postgresql.toml",
        include_str!("../../../assets/recipes/components/postgresql.toml"),
    ),
    (
        "windows.toml",
        include_str!("../../../assets/recipes/components/windows.toml"),
    ),
];

/// All recipes by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book(BTreeMap<String, Recipe>);

impl Book {
    /// The recipes that are built in.
    pub fn shipped() -> Self {
        Self::with(&[]).unwrap_or_else(|faults| {
            panic!("the recipes that are built in are tested to be right: {faults}")
        })
    }

    /// The recipes that are built in, and those of more files, each a name and a text; one of a
    /// known name takes its place.
    ///
    /// # Errors
    /// All faults of all files, and what they include that is not there.
    pub fn with(files: &[(&str, &str)]) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let mut recipes = BTreeMap::new();
        let mut of_file = BTreeMap::new();
        for (file, text) in SHIPPED.iter().chain(files) {
            match read_recipe(file, text) {
                Ok(recipe) => {
                    of_file.insert(recipe.name.clone(), *file);
                    recipes.insert(recipe.name.clone(), recipe);
                }
                Err(Faults(found)) => faults.extend(found),
            }
        }
        for recipe in recipes.values() {
            for (place, name) in recipe.includes.iter().enumerate() {
                // One level: what is included stands for itself.
                if recipes
                    .get(name)
                    .is_some_and(|included| included.includes.is_empty())
                {
                    continue;
                }
                let near = nearest(name, recipes.keys().map(String::as_str));
                faults.push(Fault {
                    file: of_file[&recipe.name].to_owned(),
                    field: format!("includes[{place}]"),
                    found: format!("{name:?}"),
                    expected: "a recipe that includes none itself".into(),
                    hint: near.map_or(String::new(), |near| format!("did you mean {near:?}?")),
                    ..Fault::default()
                });
            }
        }
        match faults.is_empty() {
            true => Ok(Self(recipes)),
            false => Err(Faults(faults)),
        }
    }

    /// The recipe of a component: the one for its kind and the first of its applications that has
    /// one, else that for its kind, else that for any.
    ///
    /// # Errors
    /// Where there is none for its guest.
    pub fn recipe(&self, component: &Component) -> Result<&Recipe, Faults> {
        let fits = |recipe: &&Recipe, application: Option<&String>| {
            recipe.guest == component.guest
                && recipe.application.as_ref() == application
                && (recipe.kind == Some(component.kind)
                    || recipe.kind.is_none() && application.is_none())
        };
        let applications = component.add_applications.iter().map(Some);
        let mut found = applications.chain([None]).filter_map(|application| {
            let of_it = self.recipes().filter(|recipe| fits(recipe, application));
            of_it.max_by_key(|recipe| recipe.kind.is_some())
        });
        let none = || Fault {
            field: "guest".into(),
            found: component.guest.to_string(),
            expected: "a guest that a recipe is for".into(),
            ..Fault::default()
        };
        found.next().ok_or_else(|| Faults(vec![none()]))
    }

    /// Recipes that a component may have; the others are for including.
    fn recipes(&self) -> impl Iterator<Item = &Recipe> {
        let included = |name: &String| self.0.values().any(|recipe| recipe.includes.contains(name));
        self.0
            .values()
            .filter(move |recipe| !included(&recipe.name))
    }

    /// What a recipe includes, and itself.
    pub(crate) fn with_included<'b>(&'b self, recipe: &'b Recipe) -> Vec<&'b Recipe> {
        let included = recipe.includes.iter().map(|name| &self.0[name]);
        included.chain([recipe]).collect()
    }

    /// All settings that a recipe takes: its own, those of what it includes, and those of backups.
    pub fn parameters(&self, recipe: &Recipe) -> Vec<Parameter> {
        let all = self.with_included(recipe).into_iter();
        all.flat_map(|recipe| recipe.parameters.clone())
            .chain(backup::parameters())
            .collect()
    }
}
