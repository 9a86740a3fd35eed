//! The live grid keeps the promises of every grid, with real agents and real guests.

use crate::grid::{Grid, Ruled};
use crate::suite::ground::{Ground, NODES};
use crate::suite::keeps_every_promise;
use crate::waiting::all_reached;
use client::live::Live;
use std::thread;
use std::time::Duration;

/// How long a moment of a live grid is.
const MOMENT: Duration = Duration::from_millis(100);

struct Real(Live);

impl Ground for Real {
    type Grid = Live;

    fn grid(&mut self) -> &mut Live {
        &mut self.0
    }

    fn pass(&mut self) {
        thread::sleep(MOMENT);
        assert_eq!(self.0.trouble(), None);
    }
}

/// The live grid keeps every promise, on QEMU, User-mode Linux and Incus.
#[test]
fn the_live_grid_keeps_every_promise() {
    let ruled = [Ruled::Qemu, Ruled::Qemu, Ruled::Uml, Ruled::Incus];
    assert_eq!(ruled.map(Ruled::profile), NODES);
    let mut grid = Grid::wired(&ruled);
    let mut client = grid.admin("jane");
    grid.start_agents();
    all_reached(&mut client, NODES.len());
    let live = Live::open(grid.again("jane")).expect("a live grid");
    keeps_every_promise(Real(live));
    assert_eq!(grid.left_over(), Vec::<String>::new());
}
