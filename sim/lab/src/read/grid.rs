//! Grids: our own TOML, the node list of Alibaba's GPU cluster, and the machines of an Azure packing trace.

use super::azure_packing;
use super::error::ReadError;
use super::openb_nodes;
use super::source::Source;
use engine::watch::Unwatched;
use model::grid::{Accelerators, Grid, NodeClass};
use model::grid_builder::{GridBuilder, NODES_PER_RACK, RackRule};
use model::grid_file::{
    DEFAULT_DISK_GIB, DEFAULT_DISK_IOPS, DEFAULT_NET_MBPS, DEFAULT_SITE, read_grid,
};
use model::hypervisor::{Arch, Hypervisor};
use model::id::RackId;
use model::units::Resources;
use model::vm::Risk;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Reads a grid.
///
/// - TOML: see [`read_grid`]
/// - CSV with the columns `sn`, `cpu_milli`, `memory_mib`, `gpu`, `model`: see [`openb_nodes`]
/// - an Azure packing trace: [`azure_packing::NODES_A_MACHINE`] nodes of each of its machines; see [`azure_packing::grid`]
///
/// # Errors
/// All that is wrong with a TOML file, else the first fault.
pub fn grid(path: &Path) -> Result<Grid, ReadError> {
    let source = Source::open(path, &Unwatched)?;
    if azure_packing::knows(source.head()) {
        return azure_packing::grid(path, azure_packing::NODES_A_MACHINE);
    }
    if openb_nodes::knows_head(source.head()) {
        return openb_nodes::read(source);
    }
    let (file, text) = source.into_text("a grid in TOML")?;
    read_grid(&file, &text).map_err(ReadError::Faults)
}

/// A grid of nodes about which a file says little: QEMU/KVM on x86, disks and network as of any grid file, one site.
pub(crate) struct PlainGrid {
    builder: GridBuilder,
}

impl PlainGrid {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            builder: GridBuilder::new(name),
        }
    }

    /// What a plain node has beside processors, memory and accelerators.
    pub(crate) fn resources(cpu_milli: u32, mem_mib: u32, accel_milli: u32) -> Resources {
        Resources::from_array([
            cpu_milli,
            mem_mib,
            DEFAULT_DISK_GIB,
            DEFAULT_DISK_IOPS,
            DEFAULT_NET_MBPS,
            accel_milli,
        ])
    }

    /// Adds a node; false where its name is taken.
    pub(crate) fn node(
        &mut self,
        name: &str,
        class_name: &str,
        model: &str,
        capacity: Resources,
        accelerators: Option<Accelerators>,
    ) -> bool {
        let qemu = Hypervisor::known("qemu").expect("the profile of QEMU is built in");
        let hypervisor = self.builder.hypervisor(qemu);
        let class = self.builder.class(NodeClass {
            name: class_name.to_owned(),
            model: model.to_owned(),
            arch: Arch::X86_64,
            hypervisor,
            capacity,
            accelerators,
            licences: BTreeSet::new(),
            roles: BTreeSet::new(),
            labels: BTreeMap::new(),
            risk: Risk::High,
            cost_milli_per_hour: 0,
        });
        let rack = self.next_rack();
        let added = self
            .builder
            .node(name.to_owned(), class, rack, Default::default());
        added.is_ok()
    }

    pub(crate) fn finish(self) -> Grid {
        self.builder.finish()
    }

    fn next_rack(&mut self) -> RackId {
        let site = self.builder.site(DEFAULT_SITE);
        let racks = self
            .builder
            .fill_racks(site, &RackRule::Fill(NODES_PER_RACK), 1);
        racks[0]
    }
}
