//! Chains to start from, built in.

use model::samples::SampleFile;

/// All sample chains, by name; [`super::RuleChain::read`] reads them. `name` and `about` are the
/// chain's own name and title.
pub const CHAINS: &[SampleFile] = &[
    SampleFile {
        name: "efficient",
        title: "Efficient",
        about: "The fastest hypervisor for the VM's kind of work, then the tightest fit",
        text: include_str!("../../../../assets/policies/efficient.toml"),
    },
    SampleFile {
        name: "even",
        title: "Even load",
        about: "Spread the expected load evenly, then the VMs",
        text: include_str!("../../../../assets/policies/even.toml"),
    },
    SampleFile {
        name: "licence-saver",
        title: "Licence saver",
        about: "Waste no dear licence, take the cheapest node, then the tightest fit",
        text: include_str!("../../../../assets/policies/licence-saver.toml"),
    },
    SampleFile {
        name: "low-risk",
        title: "Low risk",
        about: "Keep tenants of unlike risk apart, then the tightest fit",
        text: include_str!("../../../../assets/policies/low-risk.toml"),
    },
    SampleFile {
        name: "tight",
        title: "Tight fit",
        about: "The node that the VM just fits, by memory and then by processor",
        text: include_str!("../../../../assets/policies/tight.toml"),
    },
];

/// The sample chain of this name.
pub fn chain(name: &str) -> Option<&'static SampleFile> {
    CHAINS.iter().find(|sample| sample.name == name)
}
