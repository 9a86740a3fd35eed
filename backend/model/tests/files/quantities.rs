//! Quantities, time, words and views, as others reckon with them.

use model::grid_file::read_grid;
use model::hypervisor::{Arch, Capability, HypervisorType};
use model::id::NodeId;
use model::time::{Span, Time};
use model::units::{DIMENSIONS, Dimension, Resources};
use model::view::View;
use model::vm::AcceleratorAmount;
use proptest::prelude::*;
use std::str::FromStr;
use std::sync::Arc;
use strum::VariantArray;

/// Resources tell only what is asked, in the order of the dimensions, with units.
#[test]
fn resources_are_shown_with_units() {
    let shown = |quantities| Resources::from_array(quantities).to_string();
    assert_eq!(
        shown([8_000, 65_536, 0, 0, 0, 0]),
        "8000 cpu_milli, 65536 mem_mib"
    );
    assert_eq!(
        shown([0, 0, 1, 2, 3, 4]),
        "1 disk_gib, 2 disk_iops, 3 net_mbps, 4 accel_milli"
    );
    assert_eq!(shown([0; DIMENSIONS]), "nothing");
}

/// Dimensions are listed once each, in the order of their numbers.
#[test]
fn dimensions_are_in_order() {
    assert_eq!(Dimension::ALL, Dimension::VARIANTS);
    for (place, dimension) in Dimension::ALL.into_iter().enumerate() {
        assert_eq!(dimension as usize, place);
        let mut only = [0; DIMENSIONS];
        only[place] = 7;
        assert_eq!(Resources::from_array(only).in_dimension(dimension), 7);
    }
}

/// Time is shown in days and rounds to the nearest millisecond; sums stop at the end of time.
#[test]
fn time_is_shown_and_added() {
    let shown = |millis| Span(millis).to_string();
    assert_eq!(shown(0), "0d 00:00:00");
    assert_eq!(shown(183_307_999), "2d 02:55:07");
    assert_eq!(shown(-1_000), "-0d 00:00:01");
    assert_eq!(Time::from_seconds(1.0005), Time(1_001));
    assert_eq!(Time::NEVER + Span(1), Time::NEVER);
    assert_eq!(Time(5) - Time(7), Span(-2));
}

/// Words are the same in files, on the command line and for people.
#[test]
fn words_have_one_spelling() {
    assert_eq!(Arch::X86_64.to_string(), "x86_64");
    assert_eq!(Arch::from_str("x86_64"), Ok(Arch::X86_64));
    assert_eq!(HypervisorType::Type1.to_string(), "type1");
    assert_eq!(Capability::LiveMigration.to_string(), "live-migration");
    for capability in Capability::VARIANTS {
        let word = toml::Value::try_from(capability).expect("a word is a text");
        assert_eq!(word.as_str(), Some(capability.to_string().as_str()));
    }
}

/// An ask for more devices than there are numbers stays an ask for very many.
#[test]
fn accelerator_asks_do_not_wrap_round() {
    assert_eq!(AcceleratorAmount::Devices(2).milli(), 2_000);
    assert_eq!(AcceleratorAmount::ShareMilli(250).milli(), 250);
    assert_eq!(AcceleratorAmount::Devices(u32::MAX).milli(), u32::MAX);
}

/// An empty view has every node's whole capacity free, and the states that the grid wishes.
#[test]
fn an_empty_view_is_free() {
    let text = "[[node]]\nname='a'\ncpu_cores=1\nmem_gib=1\nhypervisor='xen'\nstate='down'\n";
    let grid = Arc::new(read_grid("g.toml", text).expect("a right grid"));
    let mut view = View::empty(Arc::clone(&grid));
    let capacity = grid.classes[0].capacity;
    assert_eq!(view.free(NodeId(0)), capacity);
    assert_eq!(view.nodes[0].state.to_string(), "down");
    view.nodes[0].used = Resources::cpu_mem(400, u32::MAX);
    let free = view.free(NodeId(0)).to_array();
    assert_eq!(free[..2], [600, 0]);
}

fn any_resources() -> impl Strategy<Value = Resources> {
    proptest::array::uniform6(prop_oneof![0..9_u32, any::<u32>()]).prop_map(Resources::from_array)
}

proptest! {
    /// What is taken off and added again is the same; what falls short is named by its first dimension.
    #[test]
    fn resources_add_up(a in any_resources(), b in any_resources()) {
        match a.checked_sub(b) {
            Some(rest) => {
                prop_assert_eq!(rest.checked_add(b), Some(a));
                prop_assert_eq!(b.first_shortage(a), None);
            }
            None => {
                let short = b.first_shortage(a).expect("something falls short");
                prop_assert!(b.in_dimension(short) > a.in_dimension(short));
                for before in Dimension::ALL.into_iter().filter(|d| *d < short) {
                    prop_assert!(b.in_dimension(before) <= a.in_dimension(before));
                }
            }
        }
    }
}
