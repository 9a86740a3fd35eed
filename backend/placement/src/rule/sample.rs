//! Chains to start from.

/// A chain that the program carries with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleChain {
    /// The word by which `--policy` names it; its file's `name`.
    pub name: &'static str,
    /// What it is for; its file's `title`.
    pub title: &'static str,
    /// Its TOML.
    pub text: &'static str,
}

/// All samples, by name.
pub const SAMPLES: [SampleChain; 5] = [
    SampleChain {
        name: "efficient",
        title: "The fastest hypervisor for the VM's kind of work, then the tightest fit",
        text: include_str!("../../../../assets/policies/efficient.toml"),
    },
    SampleChain {
        name: "even",
        title: "Spread the expected load evenly, then the VMs",
        text: include_str!("../../../../assets/policies/even.toml"),
    },
    SampleChain {
        name: "licence-saver",
        title: "Waste no licence, take the cheapest node, then the tightest fit",
        text: include_str!("../../../../assets/policies/licence-saver.toml"),
    },
    SampleChain {
        name: "low-risk",
        title: "Keep tenants of unlike risk apart, then the tightest fit",
        text: include_str!("../../../../assets/policies/low-risk.toml"),
    },
    SampleChain {
        name: "tight",
        title: "The node that the VM just fits, by memory and then by processor",
        text: include_str!("../../../../assets/policies/tight.toml"),
    },
];
