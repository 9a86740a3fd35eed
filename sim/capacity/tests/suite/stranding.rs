//! The fast test of what fits against the placer's own.

use crate::fixture;
use capacity::stranding::{MIX_SHAPES, Stranding};
use capacity::trace::Trace;
use engine::chance::Stream;
use model::grid::{Accelerators, Grid};
use model::hypervisor::Arch;
use model::id::NodeId;
use model::units::{AccelMilli, Resources};
use model::vm::{AcceleratorAmount, AcceleratorAsk, Demand, VmSpec};
use placement::placer::{Placer, Search};
use placement::policy::Policy;
use placement::state::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Two classes, one with two accelerators a node.
fn grid() -> Arc<Grid> {
    let mut grid = fixture::grid(&[
        (2, Resources::cpu_mem(16_000, 64)),
        (2, Resources::cpu_mem(8_000, 128)),
    ]);
    let gpu = &mut Arc::make_mut(&mut grid).classes[1];
    gpu.capacity.accel_milli = AccelMilli(2_000);
    gpu.accelerators = Some(Accelerators {
        model: "G".into(),
        count: 2,
    });
    grid
}

/// Plain shapes, shares of a device and whole ones, by name and as a bare sum, one legal on one model only, one of another
/// architecture, one too large for any node.
fn shapes() -> Vec<VmSpec> {
    let plain = |cores: u32, mem: u32| VmSpec::plain(Resources::cpu_mem(cores * 1_000, mem));
    let accelerated = |amount: AcceleratorAmount| {
        let mut spec = VmSpec::plain(Resources::from_array([500, 4, 0, 0, 0, amount.milli()]));
        spec.accelerators = Some(AcceleratorAsk {
            models: BTreeSet::new(),
            amount,
        });
        spec
    };
    let mut shapes: Vec<VmSpec> = (1..=6).map(|n| plain(n, n * 9)).collect();
    shapes.extend([400, 700].map(|milli| accelerated(AcceleratorAmount::ShareMilli(milli))));
    shapes.extend([1, 2].map(|count| accelerated(AcceleratorAmount::Devices(count))));
    // A bare sum names no devices, and yet is served from one.
    shapes.push(VmSpec::plain(Resources::from_array([500, 4, 0, 0, 0, 600])));
    let mut of_model = plain(1, 1);
    let half = BTreeMap::from([("m0".to_owned(), [500_000, 250_000, 0, 0, 0, 0])]);
    of_model.demand = Demand::ShareOfModel(half);
    let mut foreign = plain(1, 1);
    foreign.arch = Some(Arch::Riscv64);
    shapes.extend([of_model, foreign, plain(40, 1)]);
    shapes
}

/// One VM of the first shape, two of the second, and so on.
fn trace(shapes: Vec<VmSpec>) -> Trace {
    let vms: Vec<_> = (0..shapes.len() as u32)
        .flat_map(|shape| (0..=shape).map(move |_| (0, None, shape)))
        .collect();
    Trace {
        shapes,
        ..fixture::trace(&[], &vms, 1)
    }
}

/// However a grid is filled, the weight of what does not fit a node is the number of VMs whose shape
/// the placer would not put there.
#[test]
fn it_is_the_placers_own_test() {
    let grid = grid();
    let trace = trace(shapes());
    let mut chance = Stream::new(4, 0, "stranding test");
    for round in 0..30 {
        let mut placer = Placer::new(Arc::clone(&grid), Policy::RandomFit, Search::Naive, round);
        let shapes: Vec<_> = trace.shapes.iter().map(|spec| placer.shape(spec)).collect();
        let stranding = Stranding::new(&trace, &grid, &mut placer, &shapes);
        assert_eq!(stranding.total(), trace.vms.len() as i64);
        for _ in 0..25 {
            for node in grid.node_ids() {
                let misfits = (1i64..)
                    .zip(&shapes)
                    .filter(|(_, shape)| !placer.fits(**shape, node));
                let expected: i64 = misfits.map(|(count, _)| count).sum();
                assert_eq!(stranding.unfit(node, placer.free(node), &placer), expected);
            }
            let shape = shapes[chance.below(shapes.len() as u64) as usize];
            let request = Request { shape, groups: &[] };
            if let Ok(decision) = placer.decide(request) {
                placer.place(request, &decision);
            }
        }
    }
}

/// Of more shapes than the mix takes, the most frequent count.
#[test]
fn the_mix_is_of_the_most_frequent() {
    let many = (1..=MIX_SHAPES as u32 + 10).map(|n| VmSpec::plain(Resources::cpu_mem(n, 1)));
    let trace = trace(many.collect());
    let grid = fixture::grid(&[(1, Resources::cpu_mem(20, 1))]);
    let mut placer = Placer::new(Arc::clone(&grid), Policy::FirstFit, Search::Naive, 0);
    let shapes: Vec<_> = trace.shapes.iter().map(|spec| placer.shape(spec)).collect();
    let stranding = Stranding::new(&trace, &grid, &mut placer, &shapes);
    // Shape n asks for n and comes n times; the ten least frequent are left out.
    assert_eq!(stranding.total(), (11..=MIX_SHAPES as i64 + 10).sum());
    let node = NodeId(0);
    let unfit = stranding.unfit(node, placer.free(node), &placer);
    assert_eq!(unfit, (21..=MIX_SHAPES as i64 + 10).sum());
}
