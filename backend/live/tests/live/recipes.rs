//! Images made of the recipes that ship.

use ed25519_dalek::SigningKey;
use image::recipe::Recipe;
use image::store::Store;
use std::fs;
use std::path::Path;

/// Makes the image of a recipe and stores it, signed by this key; its id.
pub fn make(name: &str, work: &Path, store: &Store, key: &SigningKey) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join(format!("assets/recipes/{name}.toml")));
    let recipe = Recipe::read(&text.expect("a recipe")).expect("a good recipe");
    let guests = root.join("target/guests/x86_64");
    assert!(guests.join("complete").exists(), "run `make guests`");
    let made = recipe.make(&guests, work, store, key, &agent::watch::Unwatched);
    made.expect("an image").id
}
