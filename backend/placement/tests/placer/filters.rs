//! Each filter on a node that fails it alone, and what the explanation says of it.

use crate::fixed::{class, grid, put, vm, with};
use model::grid::{Grid, NodeState};
use model::hypervisor::{Arch, Capability, Guest, Virtualisation};
use model::id::NodeId;
use model::units::{Dimension, Resources};
use model::vm::{
    AcceleratorAmount, AcceleratorAsk, Affinity, Demand, GroupRule, Risk, Scope, VmSpec,
};
use placement::filter::Filter;
use placement::placer::{Placer, Search};
use placement::policy::Policy;
use placement::state::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn one() -> Grid {
    grid(vec![class(4_000, 8_192, 2)])
}

fn small() -> VmSpec {
    vm(1_000, 1_024)
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The only node refuses the VM by this filter; searched both ways, and told with both sides.
fn check(grid: Grid, spec: &VmSpec, filter: Filter, asked: &str, found: &str) {
    let grid = Arc::new(grid);
    for search in [Search::Indexed, Search::Naive] {
        let mut placer = Placer::new(Arc::clone(&grid), Policy::BestFit, search, 1);
        let shape = placer.shape(spec);
        let request = Request { shape, groups: &[] };
        assert_eq!(placer.decide(request), Err(filter));
        let told = placer.explain(request);
        let nodes = told.refused.iter().flat_map(|by| &by.nodes);
        let values: Vec<_> = nodes
            .map(|node| (node.asked.to_string(), node.found.to_string()))
            .collect();
        assert_eq!(values, [(asked.to_owned(), found.to_owned())]);
        assert_eq!(told.refused[0].filter, filter);
        assert!(told.hint.is_some());
    }
}

/// A node that is not up takes nothing, even what it has room for.
#[test]
fn closed_nodes_take_nothing() {
    for state in [NodeState::Cordoned, NodeState::Draining, NodeState::Down] {
        let mut grid = one();
        grid.nodes[0].state = state;
        check(grid, &small(), Filter::NodeState, "up", &state.to_string());
    }
}

/// Types that name models are legal on those alone.
#[test]
fn models_are_heeded() {
    let models = BTreeMap::from([("m7".to_owned(), [1; 6]), ("m9".to_owned(), [1; 6])]);
    let demand = Demand::ShareOfModel(models);
    let spec = VmSpec { demand, ..small() };
    check(one(), &spec, Filter::Model, "m7, m9", "m1");
}

/// Instruction set, guest, virtualisation and capabilities are the hypervisor's to offer.
#[test]
fn hypervisors_are_heeded() {
    let arch = Some(Arch::Aarch64);
    check(
        one(),
        &VmSpec { arch, ..small() },
        Filter::Arch,
        "aarch64",
        "x86_64",
    );
    let guest = Guest::Windows;
    check(
        one(),
        &VmSpec { guest, ..small() },
        Filter::Guest,
        "windows",
        "linux",
    );
    let virtualisation = Some(Virtualisation::Para);
    let spec = VmSpec {
        virtualisation,
        ..small()
    };
    check(one(), &spec, Filter::Virtualisation, "para", "full");
    let capabilities = BTreeSet::from([Capability::LiveMigration, Capability::Pause]);
    let spec = VmSpec {
        capabilities,
        ..small()
    };
    check(
        one(),
        &spec,
        Filter::Capability,
        "pause, live-migration",
        "pause",
    );
}

/// Licences, site, role, labels and risk.
#[test]
fn wishes_are_heeded() {
    let licences = set(&["windows-datacenter"]);
    let spec = VmSpec {
        licences,
        ..small()
    };
    check(one(), &spec, Filter::Licence, "windows-datacenter", "none");
    let sites = set(&["east", "south"]);
    check(
        one(),
        &VmSpec { sites, ..small() },
        Filter::Site,
        "east, south",
        "north",
    );
    let roles = set(&["storage"]);
    let mut web = one();
    web.classes[0].roles = set(&["web"]);
    check(
        web,
        &VmSpec { roles, ..small() },
        Filter::Role,
        "storage",
        "web",
    );
    let labels = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
    let mut tin = one();
    tin.classes[0].labels = BTreeMap::from([("tier".to_owned(), "tin".to_owned())]);
    check(
        tin,
        &VmSpec { labels, ..small() },
        Filter::Label,
        "tier = gold",
        "tier = tin",
    );
    let risk = Risk::High;
    check(
        one(),
        &VmSpec { risk, ..small() },
        Filter::Risk,
        "high",
        "medium",
    );
}

/// Every dimension has its own filter; the first that is short is told.
#[test]
fn dimensions_are_heeded() {
    for dimension in Dimension::ALL
        .into_iter()
        .filter(|d| *d != Dimension::Accel)
    {
        let mut quantities = [10; 6];
        quantities[5] = 0;
        let mut roomy = one();
        roomy.classes[0].capacity = Resources::from_array([10, 10, 10, 10, 10, 2_000]);
        quantities[dimension as usize] = 11;
        let spec = VmSpec::plain(Resources::from_array(quantities));
        check(roomy, &spec, Filter::Free(dimension), "11", "10");
    }
    check(
        grid(vec![class(9, 9, 0)]),
        &vm(10, 10),
        Filter::Free(Dimension::Cpu),
        "10",
        "9",
    );
}

/// Accelerators: in sum, by model, and by the single device.
#[test]
fn accelerators_are_heeded() {
    let three = with(small(), AcceleratorAmount::Devices(3));
    check(
        one(),
        &three,
        Filter::Free(Dimension::Accel),
        "3000",
        "2000",
    );
    let amount = AcceleratorAmount::ShareMilli(100);
    let models = set(&["A100", "V100"]);
    let other = VmSpec {
        accelerators: Some(AcceleratorAsk { models, amount }),
        ..with(small(), amount)
    };
    check(one(), &other, Filter::AcceleratorModel, "A100, V100", "T4");
    let bare = grid(vec![class(4_000, 8_192, 0)]);
    check(
        bare,
        &with(small(), amount),
        Filter::AcceleratorModel,
        "none",
        "none",
    );
}

/// Two devices with 400 thousandths each serve neither 500 nor a whole one, though 800 are free.
#[test]
fn broken_devices_serve_no_more_than_they_have() {
    let mut placer = Placer::new(Arc::new(one()), Policy::BestFit, Search::Indexed, 1);
    let used = with(vm(100, 100), AcceleratorAmount::ShareMilli(600));
    put(&mut placer, &used, 0, &[(0, 600)]);
    put(&mut placer, &used, 0, &[(1, 600)]);
    let wishes = [
        AcceleratorAmount::ShareMilli(500),
        AcceleratorAmount::ShareMilli(400),
    ];
    let decided = wishes.map(|amount| {
        let shape = placer.shape(&with(vm(100, 100), amount));
        placer
            .decide(Request { shape, groups: &[] })
            .map(|decision| decision.devices)
    });
    assert_eq!(
        decided,
        [Err(Filter::AcceleratorDevice), Ok(vec![(0, 400)])]
    );
}

/// Four nodes, two to a rack, the first rack on its own site: where members of a group may go once
/// one of them is on the first node.
#[test]
fn groups_are_heeded() {
    let cases = [
        (Affinity::Together, Scope::Node, vec![0]),
        (Affinity::Together, Scope::Rack, vec![0, 1]),
        (Affinity::Together, Scope::Site, vec![0, 1]),
        (Affinity::Apart, Scope::Node, vec![1, 2, 3, 4, 5]),
        (Affinity::Apart, Scope::Rack, vec![2, 3, 4, 5]),
        (Affinity::Apart, Scope::Site, vec![2, 3, 4, 5]),
    ];
    for (kind, scope, expected) in cases {
        let nodes = grid((0..6).map(|_| class(4_000, 8_192, 0)).collect());
        let mut placer = Placer::new(Arc::new(nodes), Policy::FirstFit, Search::Indexed, 1);
        let shape = placer.shape(&small());
        let groups = [placer.group(GroupRule { kind, scope })];
        let request = Request {
            shape,
            groups: &groups,
        };
        let first = placer.decide(request).expect("an empty group binds nobody");
        placer.place(request, &first);
        let told = placer.explain(request);
        let mut open: Vec<u32> = told.scores.iter().map(|row| row.node.0).collect();
        open.sort_unstable();
        assert_eq!(open, expected, "{kind} {scope}");
        let filter = match kind {
            Affinity::Together => Filter::Affinity,
            Affinity::Apart => Filter::AntiAffinity,
        };
        assert!(told.refused.iter().all(|by| by.filter == filter));
        placer.release(request, &first);
        assert_eq!(
            placer.explain(request).scores.len(),
            6,
            "who left binds nobody"
        );
    }
}

/// The filter told is the last after which no node was left: one node lacks cores, the other,
/// further down the order, memory.
#[test]
fn the_last_filter_is_told_with_its_largest_node() {
    let nodes = grid(vec![
        class(1_000, 65_536, 0),
        class(8_000, 1_024, 0),
        class(8_000, 32_768, 0),
    ]);
    let mut placer = Placer::new(Arc::new(nodes), Policy::BestFit, Search::Indexed, 1);
    let shape = placer.shape(&vm(8_000, 65_536));
    let request = Request { shape, groups: &[] };
    assert_eq!(placer.decide(request), Err(Filter::Free(Dimension::Mem)));
    let told = placer.explain(request);
    let hint = "the largest node, n2, has 32768 mem_mib free";
    assert_eq!(told.hint.as_deref(), Some(hint));
    let expected = "no node fits for 8000 cpu_milli, 65536 mem_mib
refused by free-cpu: 1 node (too little cpu free)
  n0: asked 8000, has 1000 cpu_milli
refused by free-mem: 2 nodes (too little memory free)
  n1: asked 65536, has 1024 mem_mib
  n2: asked 65536, has 32768 mem_mib
hint: the largest node, n2, has 32768 mem_mib free
";
    assert_eq!(told.to_string(), expected);
}

/// The table of a decision that was made: who was refused, then the scores, best first.
#[test]
fn a_decision_is_told_as_a_table() {
    let nodes = grid(vec![
        class(1_000, 512, 0),
        class(1_000, 64, 0),
        class(1_000, 100, 0),
    ]);
    let mut placer = Placer::new(Arc::new(nodes), Policy::BestFit, Search::Indexed, 1);
    let shape = placer.shape(&vm(500, 90));
    let told = placer.explain(Request { shape, groups: &[] });
    let expected = "best-fit takes n2 for 500 cpu_milli, 90 mem_mib
refused by free-mem: 1 node (too little memory free)
  n1: asked 90, has 64 mem_mib
node  cpu left  mem left  sum, low
n2      0.5000    0.0195    0.5195
n0      0.5000    0.8242    1.3242
";
    assert_eq!(told.to_string(), expected);
    assert_eq!(
        placer.free(NodeId(2)),
        Resources::cpu_mem(1_000, 100),
        "nothing was taken"
    );
}

/// Keys and orders of filters fit together, and no two share a key.
#[test]
fn filters_are_in_order() {
    for (order, filter) in Filter::ALL.into_iter().enumerate() {
        assert_eq!(filter.order(), order);
        assert_eq!(Filter::from_key(filter.key()), Some(filter));
    }
    assert!(Filter::ALL.is_sorted());
}
