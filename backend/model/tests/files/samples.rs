//! The sample files that are built in.

use model::grid_file::read_grid;
use model::grid_writer::write_grid;
use model::samples::{GRIDS, grid};
use std::path::Path;

/// Names of the TOML files of a folder of the assets.
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
