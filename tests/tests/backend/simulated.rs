//! The suite on real agents over modelled nodes.

use crate::suite::ground::{Ground, IMAGE, NODES};
use control::settings::{Catalogue, Otherwise, Settings};
use model::time::Span;
use std::sync::Arc;
use world::profile::Profile;
use world::simulated::Simulated;
use world::workload::catalogue;
use world::world::World;

/// How long a moment of a modelled grid is.
const MOMENT: Span = Span(500);

struct Modelled(Simulated);

impl Ground for Modelled {
    type Grid = Simulated;

    fn grid(&mut self) -> &mut Simulated {
        &mut self.0
    }

    fn pass(&mut self) {
        let world = self.0.world();
        let until = world.now() + MOMENT;
        world.run_until(until);
        assert_eq!(world.violations(), Vec::<String>::new());
    }
}

/// The simulated grid keeps every promise.
#[test]
fn the_simulated_grid_keeps_every_promise() {
    let mut text = "version = 1\nname = \"Test\"\n".to_owned();
    for (place, profile) in NODES.iter().enumerate() {
        text += &format!(
            "[[node]]\nname = \"north-{place}\"\ncpu_cores = 4\nmem_gib = 2\ndisk_gib = 4\n\
             hypervisor = {profile:?}\nsite = {profile:?}\n"
        );
    }
    let grid = model::grid_file::read_grid("test.toml", &text).expect("a grid");
    let mut catalogue = Catalogue {
        otherwise: Otherwise::Refused,
        ..catalogue()
    };
    let image = format!("{:064x}", 2_000);
    catalogue.images.insert(IMAGE.to_owned(), image);
    let settings = Settings {
        catalogue,
        ..Settings::default()
    };
    let world = World::new(Arc::new(grid), settings, Profile::default(), 1);
    crate::suite::keeps_every_promise(Modelled(Simulated::new(world)));
}
