//! Whatever happened before, the node comes to have what is wanted and nothing else.

use super::node::{Node, eth0, plug, unplug};
use agent::driver::NativeCall;
use agent::machine::Plug;
use agent::naming::{tap_name, tap_of};
use agent::watch::{CalledOff, Unwatched, Watch};
use live::network::{Change, Network, NetworkError, Pool, Trunk};
use model::id::VmId;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

const POOL: Pool = Pool {
    first: Ipv4Addr::new(100, 64, 3, 0),
    last: Ipv4Addr::new(100, 64, 3, 3),
    prefix: 10,
};

/// `eth0` of a VM, with a tap; every second VM has its address from DHCP.
fn tapped(vm: u64, network: u32) -> Change {
    let mut interface = eth0(network, vm as u8);
    if vm.is_multiple_of(2) {
        interface.addresses.clear();
    }
    let name = tap_name(VmId(vm), 0);
    Change::Plug {
        vm: VmId(vm),
        interface: Box::new(interface),
        plug: Plug::Tap { name },
    }
}

/// One act of a random history.
#[derive(Clone, Copy, Debug)]
enum Act {
    Plug(u64, u32),
    Unplug(u64),
    /// The agent is killed within the change, after so many of its calls.
    Killed(u64, u32, usize),
    /// A new agent finds what the old one left, for VMs below this one.
    Recover(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let (vm, network) = (|| 1..6_u64, || 7..9_u32);
    let act = prop_oneof![
        3 => (vm(), network()).prop_map(|(vm, network)| Act::Plug(vm, network)),
        2 => vm().prop_map(Act::Unplug),
        2 => (vm(), network(), 0..6_usize).prop_map(|(vm, n, calls)| Act::Killed(vm, n, calls)),
        1 => (1..7_u64).prop_map(Act::Recover),
    ];
    prop::collection::vec(act, 1..8)
}

/// After any history of plugging, unplugging, moving between networks and being killed, a recovered
/// agent has what the records say, a second recovery finds nothing to make, and once all VMs are
/// gone nothing is left: no device, rule, namespace, process or file.
#[test]
fn any_history_ends_empty() {
    let config = Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&acts(), |acts| {
            let mut node = Node::with(|settings| {
                settings.pool = Some(POOL);
                settings.trunk = Trunk::Vxlan {
                    local: Ipv4Addr::LOCALHOST.into(),
                    peers: BTreeSet::from([Ipv4Addr::new(127, 0, 0, 2).into()]),
                };
            });
            for act in acts {
                match act {
                    Act::Plug(vm, network) => node.perform(&tapped(vm, network)),
                    Act::Unplug(vm) => node.perform(&unplug(vm)),
                    Act::Killed(vm, network, calls) => node.killed(&tapped(vm, network), calls),
                    Act::Recover(below) => {
                        node.restart();
                        let vms = (1..below).map(VmId).collect();
                        node.perform(&Change::Recover { vms });
                    }
                }
            }
            node.restart();
            let ports = node.network.list();
            let vms: BTreeSet<VmId> = ports.iter().map(|port| port.vm).collect();
            node.perform(&Change::Recover { vms: vms.clone() });
            let taps: BTreeSet<String> = ports.iter().map(|port| port.device().name()).collect();
            prop_assert_eq!(node.taps(), taps);
            // All that is left to do is to write the rules again, in one transaction.
            let calls = node.translated(&Change::Recover { vms });
            let programs: Vec<&str> = calls.iter().map(|call| call.words[0].as_str()).collect();
            prop_assert_eq!(programs, ["nft"]);
            node.perform(&Change::Recover {
                vms: BTreeSet::new(),
            });
            prop_assert_eq!(node.remains(), "");
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// A change may be repeated, and a leased address stays with its interface over it and over a
/// restart; the share of addresses ends.
#[test]
fn an_address_once_leased_stays() {
    let mut node = Node::with(|settings| settings.pool = Some(POOL));
    let leased = |node: &Node| -> Vec<String> {
        let leases = node.network.list().into_iter();
        leases
            .filter_map(|p| p.leased)
            .map(|ip| ip.to_string())
            .collect()
    };
    for vm in [2, 4, 6] {
        node.perform(&tapped(vm, 7));
    }
    node.perform(&tapped(4, 7));
    assert_eq!(leased(&node), ["100.64.3.1", "100.64.3.2", "100.64.3.3"]);
    let full = node.network.perform(&tapped(8, 7), &Unwatched);
    assert_eq!(
        full.map_err(|error| error.to_string()),
        Err("no address is left for network 7 between 100.64.3.0 and 100.64.3.3".to_owned())
    );
    // Another tenant's network has all of the same addresses.
    node.perform(&tapped(8, 8));
    node.perform(&unplug(2));
    node.restart();
    node.perform(&tapped(6, 7));
    assert_eq!(leased(&node), ["100.64.3.2", "100.64.3.3", "100.64.3.1"]);
}

/// What cannot be honoured is told before anything is done.
#[test]
fn a_wrong_interface_is_refused() {
    let node = Node::alone();
    node.perform(&plug(1, &eth0(7, 1)));
    let before = node.remains();
    let check = |change: &dyn Fn(&mut model::blueprint::Interface), expected: &str| {
        let mut interface = eth0(7, 2);
        change(&mut interface);
        let error = node.network.perform(&plug(2, &interface), &Unwatched);
        assert_eq!(error.map_err(|e| e.to_string()), Err(expected.to_owned()));
    };
    check(
        &|i| i.network.0 = 1 << 24,
        "network is 16777216, expected a VXLAN's number, 1 to 16777215",
    );
    check(
        &|i| i.mac = eth0(7, 1).mac,
        "mac is 52:54:00:00:07:01, expected an address that vm 1 does not have",
    );
    check(
        &|i| i.mac[0] = 1,
        "mac is 01:54:00:00:07:02, expected the address of one interface, its first octet even",
    );
    check(
        &|i| i.addresses = eth0(7, 1).addresses,
        "addresses is 10.0.0.1, expected an address that vm 1 does not have",
    );
    check(
        &|i| i.addresses[0].1 = 33,
        "addresses is 10.0.0.2/33, expected a prefix no longer than the address",
    );
    check(
        &|i| i.mbps = Some(0),
        "mbps is 0, expected at least 1, or none for no limit",
    );
    check(
        &|i| i.name = "eth 0".to_owned(),
        "name is \"eth 0\", expected a word of letters, digits and -",
    );
    assert_eq!(node.remains(), before);
}

/// A missing program is told with the package that has it.
#[test]
fn a_missing_program_is_named_with_its_package() {
    let node = Node::with(|settings| {
        settings.pool = Some(POOL);
        let path = "PATH=/nowhere";
        settings.inside.extend(["env", path].map(str::to_owned));
    });
    let error = node.network.perform(&tapped(2, 7), &Unwatched);
    assert!(
        matches!(&error, Err(NetworkError::Missing { program, package: "iproute2" }) if program == "ip"),
        "{error:?}"
    );
}

/// Where the kernel has VLANs, a trunk is one; where not, the refusal names what is missing, and
/// unplugging leaves nothing.
#[test]
fn a_vlan_is_made_or_its_module_named() {
    let node = Node::with(|settings| {
        settings.trunk = Trunk::Vlan {
            link: "uplink".to_owned(),
        };
    });
    node.room.cable("uplink", &node.room, "switch");
    match node.network.perform(&plug(1, &eth0(7, 1)), &Unwatched) {
        Ok(()) => {
            let trunk = node.room.run("ip -details link show gwx7");
            assert!(trunk.contains("vlan protocol 802.1Q id 7"), "{trunk}");
        }
        Err(error) => assert!(error.to_string().contains("8021q"), "{error}"),
    }
    node.perform(&unplug(1));
    assert_eq!(node.remains(), "");
}

impl Node {
    /// The agent ends and another one starts.
    fn restart(&mut self) {
        self.network = Network::open(self.settings.clone()).expect("the records of the former");
    }

    /// The agent is killed when it has made so many calls of a change, and another one starts.
    fn killed(&mut self, change: &Change, calls: usize) {
        let fate = Fate(AtomicUsize::new(calls));
        let acting = || drop(self.network.perform(change, &fate));
        // Fewer calls than that: then it is killed after the last.
        let _survived = catch_unwind(AssertUnwindSafe(acting)).is_ok();
        self.restart();
    }

    /// The taps that there are.
    fn taps(&self) -> BTreeSet<String> {
        let links = self.room.run("ip -brief link show");
        let names = links
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        names
            .filter(|name| tap_of(name).is_some())
            .map(str::to_owned)
            .collect()
    }
}

/// Ends the agent in the middle of a change, as far as unwinding is like being killed.
struct Fate(AtomicUsize);

impl Watch for Fate {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, _call: &NativeCall) {
        if self.0.fetch_sub(1, Ordering::Relaxed) == 0 {
            resume_unwind(Box::new("killed"));
        }
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        Ok(())
    }
}
