//! The house rules that are held: arrows between crates, openings of files, purity.

mod workspace;

use crate::workspace::{Crate, read, root, rust_files, workspace};
use std::collections::{BTreeMap, BTreeSet};

/// Whether a crate steps and nothing else, or meets files, clocks, threads and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purity {
    Pure,
    Impure,
}
use Purity::{Impure, Pure};

/// Every crate with the arrows that it may have; a new one gets its own commit with its reason.
///
/// `model` may be named by all. The live and the simulated side meet in `placement` and `control`
/// alone; nothing points back to `sim` or `app`.
const CRATES: &[(&str, Purity, &[&str])] = &[
    ("agent", Pure, &["model"]),
    (
        "app",
        Impure,
        // `capacity` and `engine` for what `lab` hands out of a run: its outcome, and its progress.
        // `link` for the tokens that it takes and the fingerprints that it shows.
        // `world` for the simulated grid in the window: its clock and its faults are no business of
        // `control::backend::Backend`, which a live grid implements too.
        &[
            "capacity",
            "client",
            "control",
            "engine",
            "lab",
            "link",
            "model",
            "placement",
            "world",
        ],
    ),
    ("capacity", Pure, &["engine", "model", "placement"]),
    ("client", Impure, &["control", "link", "model"]),
    ("control", Pure, &["model", "placement", "recipe"]),
    ("drivers", Impure, &["agent", "model"]),
    // `model` for its instants and spans, and nothing else: it knows nothing of grids.
    ("engine", Pure, &["model"]),
    // The steps on disks are data of `agent`; only their execution is here.
    ("image", Impure, &["agent", "model"]),
    // Apart from `drivers`: an agent carries no test suite.
    ("kit", Impure, &["agent", "drivers", "model"]),
    (
        "lab",
        Impure,
        // `control` for its trait `Backend`: a recorded run is a read-only source of views.
        &["capacity", "control", "engine", "model", "placement"],
    ),
    // A program of its own, so that nobody else links libvirt.
    ("libvirt", Impure, &["agent", "drivers", "model"]),
    // `agent` for what an agent tells of its calls: it is part of what goes over the wire.
    ("link", Impure, &["agent", "model"]),
    (
        "live",
        Impure,
        &["agent", "drivers", "image", "link", "model"],
    ),
    ("model", Pure, &[]),
    ("placement", Pure, &["model"]),
    // Apart from `placement`: its templates' engine is no business of those who place.
    ("recipe", Pure, &["model"]),
    (
        "server",
        Impure,
        &["control", "link", "model", "placement", "recipe"],
    ),
    ("tests", Impure, &[]),
    // `agent` and `control`: the world is made of the real ones. `placement` to see that the controller
    // plans as it does.
    (
        "world",
        Pure,
        &["agent", "control", "engine", "model", "placement"],
    ),
];

/// Arrows are those of the table, no more and no fewer.
#[test]
fn arrows_are_the_declared_ones() {
    let real: BTreeMap<String, BTreeSet<String>> = workspace()
        .into_iter()
        .map(|(name, member)| (name, member.arrows))
        .collect();
    let declared: BTreeMap<String, BTreeSet<String>> = CRATES
        .iter()
        .map(|(name, _, arrows)| {
            let arrows = arrows.iter().map(|&arrow| arrow.to_owned()).collect();
            ((*name).to_owned(), arrows)
        })
        .collect();
    assert_eq!(
        differences(&declared, &real),
        Vec::<String>::new(),
        "the left lists what CRATES of this file and the Cargo.toml files do not agree on"
    );
}

/// The comparison itself tells an arrow too many, one too few, and an unknown crate.
#[test]
fn a_wrong_arrow_would_be_told() {
    let table = |rows: &[(&str, &[&str])]| -> BTreeMap<String, BTreeSet<String>> {
        rows.iter()
            .map(|(name, arrows)| {
                let arrows = arrows.iter().map(|&arrow| arrow.to_owned()).collect();
                ((*name).to_owned(), arrows)
            })
            .collect()
    };
    let declared = table(&[("model", &[]), ("placement", &["model"])]);
    let real = table(&[("model", &["placement"]), ("placement", &[]), ("util", &[])]);
    assert_eq!(
        differences(&declared, &real),
        [
            "model → placement is undeclared",
            "placement → model is declared and no longer there",
            "util is an undeclared crate",
        ]
    );
}

/// Pure crates hold clippy to it by equal `clippy.toml` files; the others have none, for the
/// nearest one replaces all above it.
#[test]
fn pure_crates_are_held_by_clippy() {
    let workspace = workspace();
    let model = read(&workspace["model"].folder.join("clippy.toml"));
    for forbidden in [
        "std::fs::File",
        "std::net::TcpStream",
        "std::thread::spawn",
        "std::time::Instant",
        "std::time::SystemTime",
        "std::env::var",
        "std::process::Command",
    ] {
        assert!(model.contains(&format!("\"{forbidden}\"")), "{forbidden}");
    }
    for (name, purity, _) in CRATES {
        let file = workspace[*name].folder.join("clippy.toml");
        match purity {
            // The files are too long to be shown side by side.
            Pure => assert!(
                read(&file) == model,
                "{} differs from model's",
                file.display()
            ),
            Impure => assert!(
                !file.exists(),
                "{} would bind an impure crate",
                file.display()
            ),
        }
    }
}

/// No arrow of a pure crate leads to an impure one.
#[test]
fn pure_crates_stand_on_pure_ones() {
    let purity: BTreeMap<&str, Purity> = CRATES.iter().map(|(n, p, _)| (*n, *p)).collect();
    for (name, crate_purity, arrows) in CRATES {
        for arrow in *arrows {
            assert!(
                *crate_purity == Impure || purity[arrow] == Pure,
                "{name} is pure and leads to {arrow}"
            );
        }
    }
}

/// Every Rust file opens with one sentence that says what it holds.
#[test]
fn files_open_with_a_sentence() {
    let files = rust_files();
    assert!(files.len() > 50, "only {} files found", files.len());
    let silent: Vec<String> = files
        .iter()
        .filter(|file| !opens_with_a_sentence(&read(file)))
        .map(|file| file.display().to_string())
        .collect();
    assert_eq!(silent, Vec::<String>::new());
}

/// The opening is a sentence of its own, not code, an empty line or a bare word.
#[test]
fn what_is_no_opening_would_be_told() {
    let check =
        |text: &str, expected: bool| assert_eq!(opens_with_a_sentence(text), expected, "{text:?}");
    check("//! Reads files.\n\nuse std::fs;", true);
    check(
        "//! Reads files, one\n//! after the other.\n//!\n//! More",
        true,
    );
    check("//! Reads files:\n//!\n//! - one", true);
    check("//! reader\nuse std::fs;", false);
    check("use std::fs;\n//! Reads files.", false);
    check("//!\n//! Reads files.", false);
    check("", false);
}

/// A `lib.rs` opens with a map that names each of its public modules.
#[test]
fn libraries_open_with_a_map() {
    for (name, member) in workspace() {
        let file = member.folder.join("src/lib.rs");
        if !file.exists() {
            continue;
        }
        let text = read(&file);
        let map: String = head(&text).collect();
        for module in text.lines().filter_map(public_module) {
            assert!(
                // `mod@` tells rustdoc a module from a function of its name.
                map.contains(&format!("`{module}`")) || map.contains(&format!("`mod@{module}`")),
                "{name}: the map of {} leaves out {module}",
                file.display()
            );
        }
    }
}

/// Libraries that few machines have are linked by the one program that needs them, and what
/// `cargo build` makes is without it.
#[test]
fn nobody_else_links_libvirt() {
    let workspace = workspace();
    for (name, member) in &workspace {
        let manifest = read(&member.folder.join("Cargo.toml"));
        let links = manifest.lines().any(|line| line.starts_with("virt"));
        assert_eq!(links, name == "libvirt", "{name}");
        assert!(
            !member.arrows.contains("libvirt"),
            "{name} leads to libvirt"
        );
        assert!(
            !member.test_arrows.contains("libvirt"),
            "{name} leads to libvirt"
        );
    }
    let manifest = read(&root().join("Cargo.toml"));
    let (_, list) = manifest.split_once("default-members = [").expect("a list");
    let (list, _) = list.split_once(']').expect("its end");
    let root = root().canonicalize().expect("it is there");
    let built: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    for (name, member) in &workspace {
        let folder = member.folder.strip_prefix(&root).expect("a folder of ours");
        let is_built = built.contains(folder.to_str().expect("a text"));
        assert_eq!(is_built, name != "libvirt", "{name}");
    }
}

/// Bugs that are planted for the simulated world to find are behind a feature that no crate has from
/// the start, and that nobody asks for but the test that looks for them.
#[test]
fn planted_bugs_stay_in_tests() {
    for (name, member) in workspace() {
        let manifest = read(&member.folder.join("Cargo.toml"));
        let lines: Vec<&str> = manifest
            .lines()
            .filter(|line| line.contains("planted"))
            .collect();
        let expected: &[&str] = match name.as_str() {
            "agent" => &["planted = []"],
            "control" => &["planted = [\"dep:strum\"]"],
            "tests" => &[
                "planted = [\"agent/planted\", \"control/planted\"]",
                "name = \"planted\"",
                "required-features = [\"planted\"]",
            ],
            _ => &[],
        };
        assert_eq!(lines, expected, "{name}");
    }
}

/// The engine knows nothing of grids: of `model` it names the instants and spans alone.
#[test]
fn the_engine_knows_nothing_of_grids() {
    let engine = &workspace()["engine"].folder.join("src");
    let named: BTreeSet<String> = rust_files()
        .iter()
        .filter(|file| file.starts_with(engine))
        .flat_map(|file| modules_of_model(&read(file)))
        .collect();
    assert_eq!(named, BTreeSet::from(["time".to_owned()]));
}

fn modules_of_model(text: &str) -> Vec<String> {
    text.split("model::")
        .skip(1)
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}

/// Every workspace member takes the workspace's lints.
#[test]
fn crates_take_the_lints_of_the_workspace() {
    for (name, member) in workspace() {
        let manifest = read(&member.folder.join("Cargo.toml"));
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{name} leaves the lints out"
        );
    }
}

/// What a crate's tests alone depend on is a crate below it, or one that it depends on anyway.
#[test]
fn arrows_of_tests_lead_down_too() {
    let workspace = workspace();
    for (name, member) in &workspace {
        for arrow in &member.test_arrows {
            assert!(
                name == "tests" || !leads_to(&workspace, arrow, name),
                "the tests of {name} need {arrow}, which needs {name}"
            );
        }
    }
}

fn leads_to(workspace: &BTreeMap<String, Crate>, from: &str, to: &str) -> bool {
    workspace[from]
        .arrows
        .iter()
        .any(|arrow| arrow == to || leads_to(workspace, arrow, to))
}

fn differences(
    declared: &BTreeMap<String, BTreeSet<String>>,
    real: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<String> {
    let names: BTreeSet<&String> = declared.keys().chain(real.keys()).collect();
    let mut told = Vec::new();
    for name in names {
        match (declared.get(name), real.get(name)) {
            (Some(declared), Some(real)) => {
                for arrow in real.difference(declared) {
                    told.push(format!("{name} → {arrow} is undeclared"));
                }
                for arrow in declared.difference(real) {
                    told.push(format!("{name} → {arrow} is declared and no longer there"));
                }
            }
            (None, _) => told.push(format!("{name} is an undeclared crate")),
            (Some(_), None) => told.push(format!("{name} is declared and no longer there")),
        }
    }
    told
}

fn opens_with_a_sentence(text: &str) -> bool {
    let paragraph: Vec<&str> = head(text).take_while(|line| !line.is_empty()).collect();
    let sentence = paragraph.join(" ");
    sentence.contains(' ') && sentence.ends_with(['.', ':'])
}

/// The `//!` lines at the very top, without their marks.
fn head(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
}

fn public_module(line: &str) -> Option<&str> {
    line.strip_prefix("pub mod ")?.strip_suffix(';')
}
