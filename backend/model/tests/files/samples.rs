//! The sample files that are built in.

use model::design_file::{check_design, read_design};
use model::design_writer::write_design;
use model::grid_file::read_grid;
use model::grid_writer::write_grid;
use model::samples::{DESIGNS, GRIDS, design, grid};
use std::path::Path;

/// Names of the TOML files of a folder of the assets.
#[expect(
    clippy::disallowed_methods,
    reason = "the test compares with the folder"
)]
fn files_of(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../assets")
        .join(folder);
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the assets are part of the repository")
        .map(|entry| {
            let name = entry.expect("a readable folder").file_name();
            let name = name.into_string().expect("a plain name");
            name.strip_suffix(".toml").expect("a TOML file").to_owned()
        })
        .collect();
    names.sort();
    names
}

/// Every sample grid is built in, right, titled as its file says, and comes back from the writer.
#[test]
fn sample_grids_are_right() {
    let mut names: Vec<&str> = GRIDS.iter().map(|sample| sample.name).collect();
    names.sort_unstable();
    assert_eq!(names, files_of("grids"));
    for sample in GRIDS {
        let grid = read_grid(sample.name, sample.text).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(grid.name, sample.title);
        assert_eq!(read_grid("x", &write_grid(&grid)), Ok(grid));
    }
}

/// The grids hold what their descriptions promise.
#[test]
fn sample_grids_are_of_the_size_they_tell() {
    let nodes = |name: &str| {
        let sample = grid(name).expect("a shipped sample");
        read_grid(sample.name, sample.text).map(|grid| grid.nodes.len())
    };
    assert_eq!(nodes("sample"), Ok(320));
    assert_eq!(nodes("azure"), Ok(1_100));
    assert_eq!(nodes("ten-thousand"), Ok(10_000));
    assert_eq!(nodes("hundred-thousand"), Ok(100_000));
}

/// Every sample design is built in, passes the check, is titled as its file says, and comes back
/// from the writer.
#[test]
fn sample_designs_are_right() {
    let mut names: Vec<&str> = DESIGNS.iter().map(|sample| sample.name).collect();
    names.sort_unstable();
    assert_eq!(names, files_of("designs"));
    for sample in DESIGNS {
        let file = format!("{}.toml", sample.name);
        let topology = check_design(&file, sample.text).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(topology.name(), sample.title);
        let design = read_design(&file, sample.text).expect("it was checked");
        assert_eq!(read_design("x", &write_design(&design)), Ok(design));
    }
}

/// Components of the samples do not lie upon each other on the canvas.
#[test]
fn sample_designs_are_laid_out() {
    for sample in DESIGNS {
        let design = read_design(sample.name, sample.text).expect("a right design");
        for (place, a) in design.components.iter().enumerate() {
            for b in &design.components[..place] {
                let apart = |axis: usize| (a.position[axis] - b.position[axis]).abs();
                assert!(
                    apart(0) >= 200.0 || apart(1) >= 120.0,
                    "{}: {} and {} overlap",
                    sample.name,
                    a.name,
                    b.name
                );
            }
        }
    }
}

/// The warehouse and the archive of the analytics design have more disk than any node of the sample
/// grid.
#[test]
fn warehouse_and_archive_outgrow_every_node() {
    let grid = grid("sample").expect("a shipped grid");
    let grid = read_grid(grid.name, grid.text).expect("a right grid");
    let largest = grid.classes.iter().map(|c| c.capacity.disk_gib.0).max();
    let design = design("analytics").expect("a shipped design");
    let design = read_design(design.name, design.text).expect("a right design");
    let of = |name| design.components.iter().find(|c| c.name == name);
    assert!(of("warehouse").map(|c| c.disk_gib) > largest);
    assert!(of("archive").map(|c| c.remote_disk_gib) > largest);
}

/// What the writers write is what a person would: a sample without its comments comes back to the
/// letter.
#[test]
fn written_files_read_as_if_by_hand() {
    let bare = |text: &str| -> String {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| format!("{line}\n")).collect()
    };
    for name in ["azure", "hundred-thousand"] {
        let sample = grid(name).expect("a shipped grid");
        let grid = read_grid(sample.name, sample.text).expect("a right grid");
        assert_eq!(write_grid(&grid), bare(sample.text));
    }
    for sample in DESIGNS {
        let design = read_design(sample.name, sample.text).expect("a right design");
        assert_eq!(write_design(&design), bare(sample.text), "{}", sample.name);
    }
}
