//! A grid of several types of nodes, and designs of several sizes.

use model::design::{Component, ComponentKind, Design, Link};
use model::grid::Grid;
use std::sync::Arc;

/// Types of nodes: tenths of the grid, cores, GiB, hypervisor, site.
const TYPES: [(usize, u32, u32, &str, &str); 6] = [
    (3, 32, 128, "qemu", "north"),
    (2, 64, 256, "qemu", "north"),
    (1, 128, 512, "qemu", "south"),
    (2, 32, 256, "xen", "south"),
    (1, 64, 128, "incus", "west"),
    (1, 48, 192, "qemu", "west"),
];

/// What VMs ask: thousandths of cores and MiB.
const SIZES: [(u32, u32); 8] = [
    (500, 1_024),
    (1_000, 2_048),
    (2_000, 4_096),
    (2_000, 8_192),
    (4_000, 8_192),
    (4_000, 16_384),
    (8_000, 32_768),
    (16_000, 32_768),
];

/// Nodes of all types.
pub fn grid(nodes: usize) -> Arc<Grid> {
    let mut text = "version = 1\nname = \"Bench\"\n".to_owned();
    for (number, (tenths, cores, mem_gib, hypervisor, site)) in TYPES.into_iter().enumerate() {
        let count = nodes * tenths / 10;
        text += &format!(
            "\n[[node]]\nname = \"t{number}\"\ncount = {count}\ncpu_cores = {cores}\n\
             mem_gib = {mem_gib}\ndisk_gib = 4000\nnet_mbps = 25000\nhypervisor = \"{hypervisor}\"\n\
             site = \"{site}\"\nnodes_per_rack = 40\n"
        );
    }
    let grid = model::grid_file::read_grid("bench.toml", &text);
    Arc::new(grid.unwrap_or_else(|faults| panic!("{faults}")))
}

/// A design of one VM, or of several in three components; `lot` picks their sizes.
pub fn design(number: usize, is_one: bool, lot: usize) -> Design {
    let component = |kind: ComponentKind, instances: u32, lot: usize| {
        let (cpu_milli, mem_mib) = SIZES[lot % SIZES.len()];
        Component {
            instances,
            cpu_milli,
            mem_mib,
            disk_gib: 20,
            ..Component::new(kind, kind.defaults().short_name)
        }
    };
    let mut components = vec![component(ComponentKind::WebServer, 1, lot)];
    let mut links = Vec::new();
    if !is_one {
        components[0].instances = 2 + (lot / 8 % 3) as u32;
        components[0].highly_available = true;
        components.push(component(ComponentKind::LoadBalancer, 1, lot / 64));
        components.push(component(
            ComponentKind::Database,
            1 + (lot / 512 % 2) as u32,
            lot / 4,
        ));
        let link = |from: usize, to: usize| Link {
            from: components[from].name.clone(),
            to: components[to].name.clone(),
            port: 0,
        };
        links = vec![link(1, 0), link(0, 2)];
    }
    Design {
        name: format!("design-{number}"),
        tenant: format!("tenant-{}", number % 1_000),
        components,
        links,
        ..Design::default()
    }
}
