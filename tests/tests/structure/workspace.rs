//! The workspace as cargo and the folders tell it.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A crate of the workspace as cargo sees it.
pub struct Crate {
    pub folder: PathBuf,
    /// Crates of the workspace that it depends on, for its own tests or otherwise.
    pub arrows: BTreeSet<String>,
    /// Those of them that only its tests use.
    pub test_arrows: BTreeSet<String>,
}

pub fn workspace() -> BTreeMap<String, Crate> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs, since it runs this test");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {told}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    list(&metadata["packages"]).iter().map(member).collect()
}

fn member(package: &Value) -> (String, Crate) {
    let arrows_of = |for_tests: bool| {
        list(&package["dependencies"])
            .iter()
            // Only crates of the workspace have a path.
            .filter(|dependency| !dependency["path"].is_null())
            .filter(|dependency| (dependency["kind"] == "dev") == for_tests)
            .map(|dependency| word(&dependency["name"]))
            .collect()
    };
    let manifest = PathBuf::from(word(&package["manifest_path"]));
    let member = Crate {
        folder: manifest.parent().expect("a file is in a folder").into(),
        arrows: arrows_of(false),
        test_arrows: arrows_of(true),
    };
    (word(&package["name"]), member)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list of cargo metadata")
}

fn word(value: &Value) -> String {
    value.as_str().expect("a text of cargo metadata").to_owned()
}

pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// All Rust files of the workspace but those that builds leave.
pub fn rust_files() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = workspace().into_values().map(|m| m.folder).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("a readable folder").path();
            let hidden = path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
            if path.is_dir() && !path.ends_with("target") && !hidden {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.dedup();
    files
}

pub fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
