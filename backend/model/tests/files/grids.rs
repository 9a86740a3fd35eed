//! Grid files.

mod written;

use model::fault::Faults;
use model::grid::{MAX_ACCELERATORS, NodeState};
use model::grid_file::read_grid;
use model::grid_writer::write_grid;
use model::hypervisor::profiles;
use model::id::{Generation, NodeId};
use model::units::Resources;

fn faults_of(text: &str) -> String {
    match read_grid("grid.toml", text) {
        Ok(grid) => format!("{} nodes", grid.nodes.len()),
        Err(Faults(faults)) => faults.iter().map(|fault| format!("{fault}\n")).collect(),
    }
}

/// The shortest form gives names, and defaults that a design's VMs find room by.
#[test]
fn the_shortest_form_is_enough() {
    let text = "[[node]]\nname = 'small'\ncount = 440\ncpu_cores = 32\nmem_gib = 128\nhypervisor = 'qemu'\n";
    let grid = read_grid("grids/first.toml", text).expect("a right grid");
    assert_eq!(grid.name, "first");
    assert_eq!(grid.nodes.len(), 440);
    assert_eq!(grid.nodes[0].name, "small-0");
    assert_eq!(grid.nodes[439].name, "small-439");
    assert_eq!(grid.racks.len(), 11);
    assert_eq!(grid.racks[10].name, "r10");
    assert_eq!(grid.classes.len(), 1);
    assert_eq!(grid.classes[0].name, "small");
    let capacity = Resources::from_array([32_000, 131_072, 3_576, 200_000, 10_000, 0]);
    assert_eq!(grid.classes[0].capacity, capacity);
    assert_eq!(grid.hypervisor_of(NodeId(0)).name, "qemu");
    assert_eq!(grid.sites[0].name, "main");
}

/// Every key has its effect.
#[test]
fn all_keys_have_their_effect() {
    let text = r#"
version = 1
name = "everything"
generation = 7

[[hypervisor]]              # overrides the shipped one's figures, keeps the rest
name = "qemu"
efficiency = { disk_milli = 900 }

[[hypervisor]]
name = "mine"
type = "type2"
virtualisation = ["full"]
archs = ["riscv64"]
guests = ["bsd"]

[[licence]]
name = "windows"
cost_per_hour = 0.1149      # kept in thousandths

[[licence]]
name = "oracle"
cost_per_hour = 3

[[node]]
name = "a"
count = 4
first = 8
digits = 3
class = "big"
cpu_cores = 0.5
mem_mib = 1000
disk_gib = 10
disk_iops = 20
net_mbps = 30
reserve = { cpu_milli = 100, mem_gib = 0.5 }
hypervisor = "qemu"
arch = "aarch64"
model = "gen-7"
accelerators = { model = "T4", count = 2 }
site = "north"
racks = 2
state = "cordoned"
licences = ["windows", "windows", "oracle"]
roles = ["storage"]
labels = { "a b" = "c", d = "" }
risk = "low"
cost_per_hour = 1.2345

[[node]]
name = "b"
cpu_milli = 1
mem_gib = 1
hypervisor = "mine"
rack = "corner"
"#;
    let grid = read_grid("grid.toml", text).expect("a right grid");
    assert_eq!(grid.generation, Generation(7));
    let names: Vec<&str> = grid.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["a-008", "a-009", "a-010", "a-011", "b"]);
    let racks: Vec<u32> = grid.nodes.iter().map(|node| node.rack.0).collect();
    assert_eq!(racks, [0, 0, 1, 1, 2]);
    assert_eq!(grid.racks[2].name, "corner");
    assert_eq!(grid.nodes[0].state, NodeState::Cordoned);
    let class = grid.class_of(NodeId(0));
    assert_eq!(class.name, "big");
    assert_eq!(
        class.capacity,
        Resources::from_array([400, 488, 10, 20, 30, 2_000])
    );
    assert_eq!(class.cost_milli_per_hour, 1_235);
    assert_eq!(class.licences.len(), 2);
    assert_eq!(grid.licence_cost_milli_per_hour["windows"], 115);
    assert_eq!(grid.cost_of_licences(class.licences.iter()), 3_115);
    assert_eq!(class.labels["a b"], "c");
    let qemu = grid.hypervisor_of(NodeId(0));
    assert_eq!(qemu.efficiency.disk_milli, 900);
    assert_eq!(qemu.efficiency.compute_milli, 977);
    assert_eq!(grid.hypervisor_of(NodeId(4)).title, "mine");
    assert_eq!(grid.class_of(NodeId(4)).arch.to_string(), "riscv64");
    assert_eq!(read_grid("x", &write_grid(&grid)), Ok(grid));
}

/// A grid is refused with all its faults at once, each with its line and what would do.
#[test]
fn all_faults_of_a_grid_are_told() {
    let text = r#"version = 2
colour = "red"

[[node]]
name = "small"
count = 0
cores = 32
mem_gib = -128
hypervisor = "qemo"

[[node]]
name = "a"
count = 3
cpu_cores = -4
mem_gib = 9999999
hypervisor = "qemu"
rack = "r1"
racks = 2

[[node]]
cpu_cores = 4
cpu_milli = 4000
mem_gib = 4
reserve = { mem_gib = 4 }
hypervisor = "uml"
arch = "aarch64"
accelerators = { model = "", count = 17 }
state = "broken"

[[node]]
name = "b"
cpu_cores = 1
mem_gib = 1
hypervisor = "xen"

[[node]]
name = "b"
cpu_cores = 1
mem_gib = 1
hypervisor = "xen"
first = 3

[[node]]
name = "c"
class = "b"
cpu_cores = 2
mem_gib = 1
hypervisor = "xen"
"#;
    let names: Vec<&str> = profiles().iter().map(|p| p.name.as_str()).collect();
    let hypervisors = names.join(", ");
    let keys = "name, count, first, digits, class, cpu_cores, cpu_milli, mem_gib, mem_mib, disk_gib, disk_iops, net_mbps, reserve, hypervisor, arch, model, accelerators, site, rack, racks, nodes_per_rack, state, licences, roles, labels, risk, cost_per_hour";
    let expected = format!(
        "\
grid.toml:1: version: found 2, expected version 1
grid.toml:2: colour: found an unknown key, expected one of version, name, generation, hypervisor, licence, node
grid.toml:4: node[0].cpu_cores: found nothing, expected a number from 0.001 to 4294967.295
grid.toml:6: node[0].count: found 0, expected a whole number from 1 to 1000000
grid.toml:7: node[0].cores: found an unknown key, expected one of {keys}; hint: did you mean cpu_cores?
grid.toml:8: node[0].mem_gib: found -128, expected a number from 0.001 to 4194303.999
grid.toml:9: node[0].hypervisor: found \"qemo\", expected one of {hypervisors}; hint: did you mean \"qemu\"?
grid.toml:14: node[1].cpu_cores: found -4, expected a number from 0.001 to 4294967.295
grid.toml:15: node[1].mem_gib: found 9999999, expected a number from 0.001 to 4194303.999
grid.toml:18: node[1].racks: found rack and racks, expected one of rack, racks, nodes_per_rack
grid.toml:20: node[2].name: found nothing, expected a name of 1 to 200 characters, without control characters or outer blanks
grid.toml:22: node[2].cpu_milli: found cpu_milli beside cpu_cores, expected one of the two
grid.toml:24: node[2].reserve.mem_gib: found 4 GiB, expected less than the node's 4 GiB
grid.toml:26: node[2].arch: found \"aarch64\", expected one of x86_64, which uml rules
grid.toml:27: node[2].accelerators.model: found \"\", expected a name of 1 to 200 characters, without control characters or outer blanks
grid.toml:27: node[2].accelerators.count: found 17, expected a whole number from 1 to {MAX_ACCELERATORS}
grid.toml:28: node[2].state: found \"broken\", expected one of up, cordoned, draining, down
grid.toml:37: node[4].name: found \"b\" a second time, expected a name that no node before has; hint: rename the group, or let it start at another number with first
grid.toml:41: node[4].first: found it without count, expected count beside it
grid.toml:45: node[5].class: found \"b\" for nodes unlike those before, expected one class for equal nodes; hint: give unlike nodes another class, or leave class out
"
    );
    assert_eq!(faults_of(text), expected);
}

/// A licence's price is refused where it is none, where it comes twice, and where no node carries
/// the licence; a licence without a price is none.
#[test]
fn faulty_prices_of_licences_are_told() {
    let text = r#"
[[node]]
name = "a"
cpu_cores = 1
mem_gib = 1
hypervisor = "xen"
licences = ["windows-datacenter", "oracle"]

[[licence]]
name = "windows-datacentre"
cost_per_hour = 0.11

[[licence]]
name = "oracle"
cost_per_hour = -1

[[licence]]
name = "oracle"
cost_per_hour = "dear"

[[licence]]
cost = 4

[[licence]]
name = "macos"
cost_per_hour = 4294968
"#;
    let range = "a number from 0 to 4294967.295";
    let expected = format!(
        "\
grid.toml:10: licence[0].name: found \"windows-datacentre\", which no node carries, expected a licence of some [[node]]; hint: did you mean \"windows-datacenter\"?
grid.toml:15: licence[1].cost_per_hour: found -1, expected {range}
grid.toml:18: licence[2].name: found \"oracle\" a second time, expected one price of a licence
grid.toml:19: licence[2].cost_per_hour: found \"dear\", expected {range}
grid.toml:21: licence[3].name: found nothing, expected a name of 1 to 200 characters, without control characters or outer blanks
grid.toml:21: licence[3].cost_per_hour: found nothing, expected {range}
grid.toml:22: licence[3].cost: found an unknown key, expected one of name, cost_per_hour; hint: did you mean cost_per_hour?
grid.toml:25: licence[4].name: found \"macos\", which no node carries, expected a licence of some [[node]]
grid.toml:26: licence[4].cost_per_hour: found 4294968, expected {range}
"
    );
    assert_eq!(faults_of(text), expected);
    let unpriced =
        "[[node]]\nname='a'\ncpu_cores=1\nmem_gib=1\nhypervisor='xen'\nlicences=['oracle']\n";
    let grid = read_grid("grid.toml", unpriced).expect("a right grid");
    assert_eq!(grid.cost_of_licences(grid.classes[0].licences.iter()), 0);
    // A faulty group's licences are not known: the price is not what is wrong.
    let faulty =
        unpriced.replace("'xen'", "'zen'") + "[[licence]]\nname='macos'\ncost_per_hour=1\n";
    assert_eq!(faults_of(&faulty).lines().count(), 1);
}

/// What is no grid at all is told in one line.
#[test]
fn what_is_no_grid_is_told() {
    let none = "grid.toml: node: found no node, expected at least one table [[node]]\n";
    assert_eq!(faults_of(""), none);
    let many = "[[node]]\nname='a'\ncount=999999\ncpu_cores=1\nmem_gib=1\nhypervisor='xen'\n\
        [[node]]\nname='b'\ncount=2\ncpu_cores=1\nmem_gib=1\nhypervisor='xen'\n";
    let expected = "grid.toml:9: node[1].count: found 2 more than the 999999 nodes before, expected at most 1000000 nodes in all\n";
    assert_eq!(faults_of(many), expected);
}

/// Groups of one name need other numbers; equal hardware on two sites is one class.
#[test]
fn groups_share_names_and_classes() {
    let text = "[[node]]\nname='a'\ncount=2\ncpu_cores=1\nmem_gib=1\nhypervisor='xen'\nsite='n'\n\
        [[node]]\nname='a'\ncount=2\nfirst=2\ncpu_cores=1\nmem_gib=1\nhypervisor='xen'\nsite='s'\n\
        [[node]]\nname='a'\ncpu_cores=2\nmem_gib=1\nhypervisor='xen'\nsite='s'\n";
    let grid = read_grid("grid.toml", text).expect("a right grid");
    let names: Vec<&str> = grid.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["a-0", "a-1", "a-2", "a-3", "a"]);
    let classes: Vec<&str> = grid.classes.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(classes, ["a", "a-2"]);
    assert_eq!(read_grid("x", &write_grid(&grid)), Ok(grid));
}

/// A hundred thousand nodes are read from a page and written back as a page.
#[test]
fn a_hundred_thousand_nodes_take_a_page() {
    let text = include_str!("../../../../assets/grids/hundred-thousand.toml");
    assert!(text.lines().count() < 60);
    let grid = read_grid("hundred-thousand.toml", text).expect("a right grid");
    assert_eq!(grid.nodes.len(), 100_000);
    let written = write_grid(&grid);
    assert!(written.lines().count() < 60, "{written}");
    assert_eq!(read_grid("x", &written), Ok(grid));
}
