//! Published marginals of real traces: what a generated trace must look like.
//!
//! | Tables | Source |
//! |---|---|
//! | Azure 2017 | Cortez et al., "Resource Central", SOSP'17; Azure Public Dataset V1 and its notebook |
//! | Azure 2019 | Azure Public Dataset V2 and its notebook |
//! | Huawei | Huawei-East-1 as published with VMAgent (Sheng et al. 2021), counted event by event |
//!
//! The notebooks' figures are pictures: the shares were read off them to half a per cent. `set` is the public part of the
//! data, `all` the whole of Azure, which the same pictures show beside it. Three things the sources do not tell:
//!
//! - lives below one hour (Azure) or one day (Huawei): shaped as in the Azure packing trace of 2020 (Hadary et al.,
//!   OSDI'20), of which 100,000 lives below a day were counted
//! - deployment sizes of 2017: those of 2019; Huawei's events are single VMs
//! - what lies beyond the last figure: a Pareto tail through the last two

/// Part of a marginal: sizes up to an edge, and how many of a hundred VMs have them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The largest size in it.
    pub up_to: f64,
    /// Sizes in it that clouds offer; the one nearest to the usual proportion of memory to cores is taken.
    pub sizes: &'static [f64],
    /// Share of VMs.
    pub percent: f64,
}

/// How large VMs are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sizes {
    /// Two marginals, coupled so that large memories go with many cores.
    Marginals {
        /// Cores.
        cores: &'static [Bucket],
        /// Memory in GiB.
        mem_gib: &'static [Bucket],
        /// The usual proportion.
        gib_per_core: f64,
    },
    /// Cores, GiB, per cent of VMs.
    Types(&'static [(f64, f64, f64)]),
}

/// The marginals of one trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tables {
    /// The word by which users name them.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// How large VMs are.
    pub sizes: Sizes,
    /// Hours, and per cent of VMs that live no longer.
    pub lives: &'static [(f64, f64)],
    /// VMs, and per cent of deployments that have no more.
    pub deployments: &'static [(f64, f64)],
}

impl Tables {
    /// The tables of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|tables| tables.name == name)
    }
}

/// All tables; the first is the one to start with.
pub const ALL: [Tables; 5] = [
    Tables {
        name: "azure2019",
        title: "Azure 2019, public dataset",
        sizes: Sizes::Marginals {
            cores: &CORES_2019_SET,
            mem_gib: &MEM_2019_SET,
            gib_per_core: 4.0,
        },
        lives: &LIVES_2019_SET,
        deployments: &DEPLOYMENTS_2019_SET,
    },
    Tables {
        name: "azure2019-all",
        title: "Azure 2019, all of it",
        sizes: Sizes::Marginals {
            cores: &CORES_2019_ALL,
            mem_gib: &MEM_2019_ALL,
            gib_per_core: 4.0,
        },
        lives: &LIVES_2019_ALL,
        deployments: &DEPLOYMENTS_2019_ALL,
    },
    Tables {
        name: "azure2017",
        title: "Azure 2017, public dataset",
        sizes: Sizes::Marginals {
            cores: &CORES_2017_SET,
            mem_gib: &MEM_2017_SET,
            gib_per_core: 7.0,
        },
        lives: &LIVES_2017_SET,
        deployments: &DEPLOYMENTS_2019_SET,
    },
    Tables {
        name: "azure2017-all",
        title: "Azure 2017, all of it",
        sizes: Sizes::Marginals {
            cores: &CORES_2017_ALL,
            mem_gib: &MEM_2017_ALL,
            gib_per_core: 7.0,
        },
        lives: &LIVES_2017_ALL,
        deployments: &DEPLOYMENTS_2019_ALL,
    },
    Tables {
        name: "huawei",
        title: "Huawei-East-1",
        sizes: Sizes::Types(&TYPES_HUAWEI),
        lives: &LIVES_HUAWEI,
        deployments: &[(1.0, 100.0)],
    },
];

const fn bucket(up_to: f64, sizes: &'static [f64], percent: f64) -> Bucket {
    Bucket {
        up_to,
        sizes,
        percent,
    }
}

const CORES_2017_SET: [Bucket; 4] = [
    bucket(1.0, &[1.0], 50.0),
    bucket(2.0, &[2.0], 25.0),
    bucket(4.0, &[4.0], 11.0),
    bucket(8.0, &[8.0], 14.0),
];
const CORES_2017_ALL: [Bucket; 5] = [
    bucket(1.0, &[1.0], 56.0),
    bucket(2.0, &[2.0], 21.5),
    bucket(4.0, &[4.0], 14.5),
    bucket(8.0, &[8.0], 6.3),
    bucket(f64::INFINITY, &[16.0], 1.7),
];
const MEM_2017_SET: [Bucket; 6] = [
    bucket(0.75, &[0.75], 2.4),
    bucket(1.75, &[1.75], 47.5),
    bucket(3.5, &[3.5], 24.7),
    bucket(7.0, &[7.0], 11.0),
    bucket(14.0, &[14.0], 10.3),
    bucket(56.0, &[56.0], 4.0),
];
const MEM_2017_ALL: [Bucket; 7] = [
    bucket(0.75, &[0.75], 2.4),
    bucket(1.75, &[1.75], 46.9),
    bucket(3.5, &[3.5], 19.6),
    bucket(7.0, &[7.0], 14.8),
    bucket(14.0, &[14.0], 11.3),
    bucket(28.0, &[28.0], 1.4),
    bucket(f64::INFINITY, &[32.0, 56.0, 112.0], 3.5),
];
const CORES_2019_SET: [Bucket; 4] = [
    bucket(2.0, &[2.0], 59.0),
    bucket(4.0, &[4.0], 30.5),
    bucket(8.0, &[8.0], 7.4),
    bucket(24.0, &[16.0], 3.0),
];
const CORES_2019_ALL: [Bucket; 6] = [
    bucket(2.0, &[2.0], 58.3),
    bucket(4.0, &[4.0], 23.0),
    bucket(8.0, &[8.0], 12.0),
    bucket(12.0, &[12.0], 0.4),
    bucket(24.0, &[16.0], 5.8),
    bucket(f64::INFINITY, &[32.0], 0.6),
];
const MEM_2019_SET: [Bucket; 5] = [
    bucket(2.0, &[2.0], 12.2),
    bucket(4.0, &[4.0], 15.6),
    bucket(8.0, &[8.0], 37.4),
    bucket(32.0, &[16.0, 32.0], 31.8),
    bucket(64.0, &[64.0], 3.0),
];
const MEM_2019_ALL: [Bucket; 6] = [
    bucket(2.0, &[2.0], 12.2),
    bucket(4.0, &[4.0], 16.6),
    bucket(8.0, &[8.0], 32.8),
    bucket(32.0, &[16.0, 32.0], 29.0),
    bucket(64.0, &[64.0], 6.4),
    bucket(f64::INFINITY, &[128.0], 3.0),
];

/// The two that the source counts as about 0 stand with two in ten thousand.
const TYPES_HUAWEI: [(f64, f64, f64); 15] = [
    (1.0, 1.0, 22.0),
    (1.0, 2.0, 43.8),
    (1.0, 4.0, 2.7),
    (2.0, 4.0, 13.4),
    (2.0, 8.0, 1.9),
    (4.0, 8.0, 9.1),
    (4.0, 16.0, 1.7),
    (8.0, 16.0, 2.7),
    (8.0, 32.0, 1.0),
    (12.0, 24.0, 0.5),
    (16.0, 32.0, 0.9),
    (24.0, 48.0, 0.02),
    (32.0, 64.0, 0.15),
    (48.0, 96.0, 0.02),
    (64.0, 128.0, 0.2),
];

const LIVES_2017_SET: [(f64, f64); 9] = [
    (1.0, 58.0),
    (2.0, 66.0),
    (4.0, 71.0),
    (8.0, 77.1),
    (12.0, 81.4),
    (25.0, 88.2),
    (50.0, 90.6),
    (100.0, 91.9),
    (200.0, 92.9),
];
const LIVES_2017_ALL: [(f64, f64); 9] = [
    (1.0, 67.0),
    (2.0, 72.4),
    (4.0, 76.8),
    (8.0, 83.3),
    (12.0, 87.2),
    (25.0, 93.2),
    (50.0, 95.3),
    (100.0, 96.5),
    (200.0, 97.1),
];
const LIVES_2019_SET: [(f64, f64); 11] = [
    (1.0, 64.0),
    (2.0, 72.0),
    (4.0, 76.9),
    (6.0, 78.9),
    (8.0, 80.5),
    (12.0, 83.5),
    (20.0, 86.2),
    (25.0, 87.2),
    (40.0, 88.5),
    (60.0, 89.4),
    (95.0, 90.4),
];
const LIVES_2019_ALL: [(f64, f64); 11] = [
    (1.0, 63.6),
    (2.0, 73.2),
    (4.0, 78.2),
    (6.0, 80.5),
    (8.0, 82.1),
    (12.0, 85.3),
    (20.0, 88.5),
    (25.0, 89.4),
    (40.0, 90.4),
    (60.0, 91.0),
    (95.0, 91.7),
];
const LIVES_HUAWEI: [(f64, f64); 5] = [
    (24.0, 94.0),
    (288.0, 96.5),
    (1_392.0, 98.2),
    (2_496.0, 99.0),
    (4_728.0, 99.8),
];

const DEPLOYMENTS_2019_SET: [(f64, f64); 6] = [
    (1.0, 20.0),
    (2.0, 32.0),
    (5.0, 48.4),
    (10.0, 66.5),
    (20.0, 80.5),
    (50.0, 92.5),
];
const DEPLOYMENTS_2019_ALL: [(f64, f64); 6] = [
    (1.0, 50.0),
    (2.0, 63.5),
    (5.0, 79.0),
    (10.0, 88.0),
    (20.0, 93.6),
    (50.0, 97.2),
];

/// Lives below a day in the Azure packing trace of 2020: hours, and per cent that live no longer.
pub(crate) const SHORT_LIVES: [(f64, f64); 10] = [
    (1.0 / 60.0, 2.4),
    (5.0 / 60.0, 10.1),
    (10.0 / 60.0, 18.9),
    (0.5, 37.8),
    (1.0, 53.2),
    (2.0, 72.9),
    (4.0, 83.0),
    (8.0, 90.9),
    (12.0, 95.0),
    (24.0, 100.0),
];
