//! Sample grids and designs to start from, built in.

/// A file of `assets/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleFile {
    /// The file's name without its ending, as `azure`.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// What it shows, in one sentence.
    pub about: &'static str,
    /// The file's text.
    pub text: &'static str,
}

/// Grids, the one to start with first; [`crate::grid_file::read_grid`] reads them.
pub const GRIDS: &[SampleFile] = &[
    SampleFile {
        name: "sample",
        title: "Sample grid",
        about: "320 unlike nodes on three sites: six hypervisors, accelerators, licences, risk",
        text: include_str!("../../../assets/grids/sample.toml"),
    },
    SampleFile {
        name: "azure",
        title: "Azure 2017",
        about: "1,100 nodes of three sizes, on which the Azure test trace of 2017 finds room",
        text: include_str!("../../../assets/grids/azure.toml"),
    },
    SampleFile {
        name: "ten-thousand",
        title: "Ten thousand nodes",
        about: "10,000 nodes of four kinds on two sites",
        text: include_str!("../../../assets/grids/ten-thousand.toml"),
    },
    SampleFile {
        name: "hundred-thousand",
        title: "A hundred thousand nodes",
        about: "100,000 nodes of five kinds on five sites, in a page",
        text: include_str!("../../../assets/grids/hundred-thousand.toml"),
    },
];

/// The sample grid of this name.
pub fn grid(name: &str) -> Option<&'static SampleFile> {
    GRIDS.iter().find(|sample| sample.name == name)
}
