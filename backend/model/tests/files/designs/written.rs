//! Drawings of any kind, written and read back.

use model::design::{Beside, Component, ComponentKind, Design, Link, Thresholds};
use model::design_file::{check_design, read_design};
use model::design_writer::write_design;
use model::hypervisor::{Arch, Guest, Virtualisation, Work};
use model::topology::Topology;
use model::vm::{Risk, Scope};
use proptest::prelude::*;
use std::collections::BTreeMap;
use strum::VariantArray;

/// Any drawing, right or wrong.
fn any_design() -> impl Strategy<Value = Design> {
    let size = || prop_oneof![Just(0_u32), Just(2_048), 1..100_000_u32, any::<u32>()];
    let text = || "\\PC{0,6}";
    let texts = || proptest::collection::vec(text(), 0..3);
    let numbers = (
        size(),
        size(),
        size(),
        size(),
        size(),
        size(),
        size(),
        size(),
        size(),
    );
    let words = (
        proptest::sample::select(ComponentKind::VARIANTS),
        proptest::sample::select(Guest::VARIANTS),
        proptest::option::of(proptest::sample::select(Arch::VARIANTS)),
        proptest::option::of(proptest::sample::select(Virtualisation::VARIANTS)),
        proptest::option::of(proptest::sample::select(Scope::VARIANTS)),
        proptest::sample::select(Work::VARIANTS),
        any::<bool>(),
    );
    let more = (
        (text(), texts(), texts(), texts(), texts(), texts()),
        proptest::option::of((text(), proptest::sample::select(Scope::VARIANTS))),
        proptest::option::of((size(), size(), size(), size())),
        proptest::collection::btree_map("[\\PC\n\"]{0,4}", "[\\PC\n\t\"\\\\]{0,6}", 0..3),
        [-2e6_f32..2e6, -2e3_f32..2e3],
    );
    let component = ("[a-c]{1,2}|\\PC{0,3}", numbers, words, more).prop_map(
        |(name, n, w, (lists, beside, thresholds, parameters, position))| Component {
            instances: n.0,
            cpu_milli: n.1,
            mem_mib: n.2,
            disk_gib: n.3,
            disk_iops: n.4,
            net_mbps: n.5,
            accel_milli: n.6,
            expected_load_milli: n.7,
            remote_disk_gib: n.8,
            guest: w.1,
            arch: w.2,
            virtualisation: w.3,
            spread: w.4,
            work: w.5,
            highly_available: w.6,
            image: lists.0,
            accel_models: lists.1,
            add_applications: lists.2,
            remove_applications: lists.3,
            licences: lists.4,
            sites: lists.5,
            beside: beside.map(|(component, scope)| Beside { component, scope }),
            thresholds: thresholds.map(|(up, down, least, most)| Thresholds {
                up_cpu_milli: up,
                down_cpu_milli: down,
                min_instances: least,
                max_instances: most,
            }),
            parameters,
            position,
            ..Component::new(w.0, &name)
        },
    );
    let link = ("[a-c]{1,2}", "[a-c]{1,2}", any::<u16>());
    (
        text(),
        text(),
        proptest::option::of(proptest::sample::select(Risk::VARIANTS)),
        proptest::collection::vec(component, 0..5),
        proptest::collection::vec(link, 0..5),
    )
        .prop_map(|(name, tenant, risk, components, links)| Design {
            name,
            tenant,
            risk,
            components,
            links: links
                .into_iter()
                .map(|(from, to, port)| Link { from, to, port })
                .collect(),
        })
}

proptest! {
    /// Any drawing comes back from its file as it was, and the check says the same of both.
    #[test]
    fn written_designs_are_read_back(design in any_design()) {
        let text = write_design(&design);
        let read = read_design("any.toml", &text);
        let read = read.unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        prop_assert_eq!(&read, &design, "{}", text);
        let of_file = check_design("any.toml", &text);
        match (Topology::check(&design), of_file) {
            (Ok(a), Ok(b)) => prop_assert_eq!(a, b),
            (Err(a), Err(b)) => {
                prop_assert_eq!(a.0.len(), b.0.len());
                // Only an empty drawing has a fault of no line: it lacks the components themselves.
                prop_assert!(b.0.iter().all(|fault| fault.line > 0 || fault.field == "component"));
            }
            (a, b) => prop_assert!(false, "{a:?} and {b:?} differ"),
        }
    }

    /// Of a topology, every link ends at components and every number is in its range.
    #[test]
    fn a_topology_cannot_be_wrong(design in any_design()) {
        if let Ok(topology) = Topology::check(&design) {
            for link in topology.links() {
                prop_assert!(link.from != link.to);
                prop_assert!(link.from.index().max(link.to.index()) < topology.components().len());
            }
            for component in topology.components() {
                prop_assert!((1..=10_000).contains(&component.instances));
                let names: BTreeMap<&str, usize> = topology.components().iter().map(|c| (c.name.as_str(), 1)).collect();
                prop_assert_eq!(names.len(), topology.components().len());
            }
        }
    }
}
