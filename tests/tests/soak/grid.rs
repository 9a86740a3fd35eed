//! The grid on which days are lived.

use model::grid::Grid;
use std::sync::{Arc, LazyLock};

/// Twenty nodes of three hypervisors on two sites.
pub fn twenty() -> Arc<Grid> {
    static GRID: LazyLock<Arc<Grid>> = LazyLock::new(|| {
        let group = |name: &str, hypervisor: &str, site: &str| {
            format!(
                "[[node]]\nname = \"{name}\"\ncount = 5\ncpu_cores = 32\nmem_gib = 64\n\
                 disk_gib = 1000\nhypervisor = \"{hypervisor}\"\nsite = \"{site}\"\n\n"
            )
        };
        let text = [
            "version = 1\nname = \"Twenty\"\n\n".to_owned(),
            group("alpha", "qemu", "north"),
            group("beta", "xen", "north"),
            group("gamma", "qemu", "south"),
            group("delta", "incus", "south"),
        ];
        let grid = model::grid_file::read_grid("twenty.toml", &text.concat());
        Arc::new(grid.expect("a grid"))
    });
    Arc::clone(&GRID)
}
