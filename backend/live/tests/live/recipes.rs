//! Images made of the recipes that ship.

use ed25519_dalek::SigningKey;
use image::recipe::Recipe;
use image::store::{Store, file_digest};
use std::fs;
use std::path::{Path, PathBuf};

/// The largest image that is made here, in bytes.
const MOST_BYTES: u64 = 2 << 30;

/// Makes the image of a recipe and stores it, signed by this key; its id.
pub fn make(name: &str, work: &Path, store: &Store, key: &SigningKey) -> String {
    let root = root();
    let text = fs::read_to_string(file(name));
    let recipe = Recipe::read(&text.expect("a recipe")).expect("a good recipe");
    let guests = root.join("target/guests/x86_64");
    assert!(guests.join("complete").exists(), "run `make guests`");
    let made = recipe.make(&guests, work, store, key, &agent::watch::Unwatched);
    made.expect("an image").id
}

/// A store of the images of recipes, signed by this key, and their ids; what is fetched for them is
/// fetched once for each state of the recipes.
pub fn kept<const N: usize>(key: &SigningKey, names: [&str; N]) -> (PathBuf, [String; N]) {
    let digests = names.map(|name| {
        let digest = file_digest(&file(name), &agent::watch::Unwatched);
        digest.expect("a recipe")[..16].to_owned()
    });
    let made = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let kept = made.join(format!("images-{}", digests.concat()));
    let trusted = || vec![key.verifying_key()];
    let open = |folder: &Path| Store::open(folder, trusted(), MOST_BYTES).expect("a store");
    if !kept.exists() {
        let work = tempfile::tempdir_in(made).expect("a folder");
        let folder = work.path().join("store");
        let store = open(&folder);
        for name in names {
            make(name, work.path(), &store, key);
        }
        // Another test may have been first.
        if let Err(error) = fs::rename(&folder, &kept) {
            assert!(kept.exists(), "{error}");
        }
    }
    let images = open(&kept).images().expect("images");
    let ids = names.map(|name| {
        let image = images.iter().find(|image| image.manifest.name == name);
        image.expect("it was made").id.clone()
    });
    (kept, ids)
}

fn file(name: &str) -> PathBuf {
    root().join(format!("assets/recipes/{name}.toml"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
