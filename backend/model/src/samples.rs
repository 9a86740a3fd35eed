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

/// Designs, the one to start with first; [`crate::design_file::read_design`] reads them, and the
/// sample grid has room for each.
pub const DESIGNS: &[SampleFile] = &[
    SampleFile {
        name: "shop",
        title: "Web shop",
        about: "Firewall, load balancer, web and application servers that follow the load, databases, storage",
        text: include_str!("../../../assets/designs/shop.toml"),
    },
    SampleFile {
        name: "blog",
        title: "Blog",
        about: "A web server with its database on the same rack",
        text: include_str!("../../../assets/designs/blog.toml"),
    },
    SampleFile {
        name: "inference",
        title: "Inference service",
        about: "Whole accelerators and shares of them behind a load balancer",
        text: include_str!("../../../assets/designs/inference.toml"),
    },
    SampleFile {
        name: "analytics",
        title: "Analytics",
        about: "A database split over several nodes, a disk that several lend; a Windows front with its licence",
        text: include_str!("../../../assets/designs/analytics.toml"),
    },
];

/// The sample grid of this name.
pub fn grid(name: &str) -> Option<&'static SampleFile> {
    GRIDS.iter().find(|sample| sample.name == name)
}

/// The sample design of this name.
pub fn design(name: &str) -> Option<&'static SampleFile> {
    DESIGNS.iter().find(|sample| sample.name == name)
}
