//! A run small enough to be reckoned by hand, with every figure of its summary written down.

use crate::fixture;
use capacity::outcome::{Entry, Fate, Outcome};
use capacity::run::{Options, run};
use engine::watch::Unwatched;
use model::id::NodeId;
use model::time::Time;
use model::units::{Dimension, Resources};
use placement::filter::Filter;
use placement::placer::Search;
use placement::policy::Policy;

/// Two nodes, of 4 cores / 8 MiB and 8 cores / 8 MiB, for 100 ms; best fit.
///
/// | VM | asks  | came | stays | goes to                                                            |
/// |----|-------|------|-------|--------------------------------------------------------------------|
/// | 0  | 2c 2M | -10  | 30    | node 0 (less left over), at 0, to 20 as 10 of its 30 ms are past    |
/// | 1  | 4c 4M | 0    | –     | node 1 (node 0 has 2 cores), to the end                             |
/// | 2  | 2c 2M | 10   | 40    | node 0, to 50; it is full of cores then, with 4 MiB left            |
/// | 3  | 4c 4M | 20   | 30    | node 1 (node 0 has 2 cores: VM 0 left at 20, before this), to 50    |
/// | 4  | 4c 4M | 40   | 10    | nowhere: node 0 has 2 cores, node 1 none                            |
/// | 5  | 4c 4M | 50   | 100   | node 0: empty since VM 2 left at 50, before this; alive at the end  |
fn golden() -> Outcome {
    let grid = fixture::grid(&[
        (1, Resources::cpu_mem(4_000, 8)),
        (1, Resources::cpu_mem(8_000, 8)),
    ]);
    let trace = fixture::trace(
        &[Resources::cpu_mem(2_000, 2), Resources::cpu_mem(4_000, 4)],
        &[
            (-10, Some(30), 0),
            (0, None, 1),
            (10, Some(40), 0),
            (20, Some(30), 1),
            (40, Some(10), 1),
            (50, Some(100), 1),
        ],
        100,
    );
    let options = Options {
        search: Search::Indexed,
        bins: 2,
        log: true,
        ..Options::default()
    };
    run(&trace, &grid, &Policy::BestFit, &options, &Unwatched).expect("nobody cancels")
}

/// Every decision of the golden run is the one reasoned out by hand.
#[test]
fn the_log_is_as_reasoned() {
    let entry = |at, vm, fate| Entry {
        at: Time(at),
        vm,
        fate,
    };
    let (small, large) = (NodeId(0), NodeId(1));
    let expected = vec![
        entry(0, 0, Fate::Placed(small)),
        entry(0, 1, Fate::Placed(large)),
        entry(10, 2, Fate::Placed(small)),
        entry(20, 0, Fate::Released(small)),
        entry(20, 3, Fate::Placed(large)),
        entry(40, 4, Fate::Refused(Filter::Free(Dimension::Cpu))),
        entry(50, 2, Fate::Released(small)),
        entry(50, 3, Fate::Released(large)),
        entry(50, 5, Fate::Placed(small)),
    ];
    assert_eq!(golden().log, expected);
}
