//! What the suite stands on.

use control::backend::Backend;

/// The hypervisors of the grid's nodes, by the names of their profiles, which are their sites' too. Each has
/// 4 cores, 2 GiB of memory and 4 GiB of disk.
pub const NODES: [&str; 4] = ["qemu-tcg", "qemu-tcg", "uml", "incus"];

/// An image that the grid has; it has none called `nonesuch`.
pub const IMAGE: &str = "busybox";

/// A grid that is tried.
pub trait Ground {
    /// What it is behind.
    type Grid: Backend;

    /// The grid.
    fn grid(&mut self) -> &mut Self::Grid;

    /// Lets a moment pass, in whatever time the grid goes by.
    fn pass(&mut self);
}
