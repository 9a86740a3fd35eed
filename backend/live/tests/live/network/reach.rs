//! Who reaches whom.

use super::node::{Node, Room, eth0, plug, unplug};
use live::network::Pool;
use model::blueprint::{FirewallRule, Protocol};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Whether a ping is answered within two seconds.
pub fn reaches(from: &Room, address: &str) -> bool {
    from.output(&format!("busybox ping -c 1 -W 2 -q {address}"))
        .status
        .success()
}

/// How many echo requests a guest has heard; other packets come and go by themselves.
fn echoes(snmp: &str) -> String {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Icmp: "));
    let [names, values] = [lines.next(), lines.next()].map(|line| line.expect("a table"));
    let mut cells = names.split(' ').zip(values.split(' '));
    let cell = cells.find(|(name, _)| *name == "InEchos");
    cell.expect("echo requests are counted").1.to_owned()
}

/// VMs of one tenant network reach each other, on one node and across two; VMs of another network,
/// with the same addresses, are never met.
#[test]
fn a_network_reaches_across_nodes_and_no_further() {
    let [a, b] = Node::pair();
    let here = a.guest(1, &eth0(7, 1));
    let beside = a.guest(2, &eth0(7, 2));
    let there = b.guest(3, &eth0(7, 3));
    let stranger = b.guest(4, &eth0(8, 4));
    let _twin = b.guest(5, &eth0(8, 1));
    assert!(reaches(&here, "10.0.0.2"));
    assert!(reaches(&here, "10.0.0.3"));
    assert!(reaches(&there, "10.0.0.1"));
    assert!(reaches(&beside, "10.0.0.3"));
    assert!(!reaches(&here, "10.0.0.4"));
    assert!(!reaches(&stranger, "10.0.0.3"));
    // Its own network's 10.0.0.1 answers, and the other network's is left alone.
    let counted = || echoes(&here.run("cat /proc/net/snmp"));
    let before = counted();
    assert!(reaches(&stranger, "10.0.0.1"));
    assert_eq!(counted(), before);
    for vm in [1, 2] {
        a.perform(&unplug(vm));
    }
    for vm in [3, 4, 5] {
        b.perform(&unplug(vm));
    }
    drop((here, beside, there, stranger));
    assert_eq!(a.remains(), "");
    assert_eq!(b.remains(), "");
}

/// Whether a TCP connection can be opened within two seconds.
fn connects(from: &Room, address: &str, port: u16) -> bool {
    from.output(&format!(
        "socat -u TCP:{address}:{port},connect-timeout=2 STDOUT"
    ))
    .status
    .success()
}

/// Where rules are given, they alone open ports; the guest's own connections and pings are answered.
#[test]
fn rules_open_their_ports_alone() {
    let node = Node::alone();
    let mut guarded = eth0(7, 1);
    guarded.allowed = vec![FirewallRule {
        protocol: Protocol::Tcp,
        port: 80,
        from: None,
    }];
    let server = node.guest(1, &guarded);
    let client = node.guest(2, &eth0(7, 2));
    let serve = |room: &Room, port: u16| {
        let running = room.spawn(&format!(
            "socat TCP4-LISTEN:{port},fork,reuseaddr EXEC:date"
        ));
        room.await_listener(port);
        running
    };
    let _listeners = [serve(&server, 80), serve(&server, 81), serve(&client, 82)];
    assert!(connects(&client, "10.0.0.1", 80));
    assert!(!connects(&client, "10.0.0.1", 81));
    assert!(!reaches(&client, "10.0.0.1"));
    assert!(connects(&server, "10.0.0.2", 82));
    assert!(reaches(&server, "10.0.0.2"));

    // Rules of sources: the client is not among these, and then it is.
    for (from, reached) in [("10.0.0.128", false), ("10.0.0.3", true)] {
        guarded.allowed[0].from = Some((from.parse().expect("an address"), 30));
        node.perform(&plug(1, &guarded));
        assert_eq!(connects(&client, "10.0.0.1", 80), reached, "{from}/30");
    }

    // Without rules, everything may.
    guarded.allowed.clear();
    node.perform(&plug(1, &guarded));
    assert!(connects(&client, "10.0.0.1", 81));
    assert!(reaches(&client, "10.0.0.1"));
}

/// A guest cannot send as another: not by IP address, nor by hardware address, nor in ARP. Where the
/// order pins no address, the same does get through.
#[test]
fn what_is_sent_as_another_is_dropped() {
    for pinned in [true, false] {
        let node = Node::alone();
        let mut interface = eth0(7, 1);
        if !pinned {
            interface.addresses.clear();
        }
        let guest = node.guest(1, &interface);
        let witness = node.guest(2, &eth0(7, 2));
        if !pinned {
            guest.run("ip addr add 10.0.0.1/24 dev eth0");
        }
        assert!(reaches(&guest, "10.0.0.2"));
        guest.run("ip addr add 10.0.0.9/24 dev eth0");
        let ping = guest.output("busybox ping -c 1 -W 2 -I 10.0.0.9 10.0.0.2");
        assert_eq!(ping.status.success(), !pinned);

        witness.run("ip neigh flush all");
        witness.run("sysctl -qw net.ipv4.conf.eth0.arp_accept=1");
        guest.run("busybox arping -U -c 1 -I eth0 -s 10.0.0.9 10.0.0.9");
        // A ping after it shows that what was sent before has arrived.
        assert!(reaches(&guest, "10.0.0.2"));
        let neighbours = witness.run("ip neigh show");
        assert_eq!(neighbours.contains("10.0.0.9"), !pinned, "{neighbours}");

        guest.run("ip link set eth0 address 52:54:00:00:07:63");
        assert!(!reaches(&guest, "10.0.0.2"));
    }
}

/// A limit holds both ways: once the allowance after a pause is spent, bytes arrive at its rate.
#[test]
fn limits_hold_both_ways() {
    let node = Node::alone();
    let mut limited = eth0(7, 1);
    limited.mbps = Some(8);
    let limited = node.guest(1, &limited);
    let free = node.guest(2, &eth0(7, 2));
    let third = node.guest(3, &eth0(7, 3));
    let rate = bytes_a_second(&limited, &free, "10.0.0.2");
    assert!((700_000.0..1_150_000.0).contains(&rate), "{rate} sent");
    let rate = bytes_a_second(&free, &limited, "10.0.0.1");
    assert!((700_000.0..1_150_000.0).contains(&rate), "{rate} received");
    let rate = bytes_a_second(&free, &third, "10.0.0.3");
    assert!(rate > 3_000_000.0, "{rate} without a limit");
}

/// How fast a flood arrives after its first 1.2 MB, over 1 MB.
fn bytes_a_second(from: &Room, to: &Room, address: &str) -> f64 {
    // So that no packet waits for an answer of ARP.
    assert!(reaches(from, address));
    let received = || -> f64 {
        let text = to.run("cat /sys/class/net/eth0/statistics/rx_bytes");
        text.trim().parse().expect("a number")
    };
    let start = received();
    let _flood = from.spawn(&format!(
        "socat -u -b 1400 /dev/zero UDP-SENDTO:{address}:9"
    ));
    let deadline = Instant::now() + Duration::from_secs(20);
    let await_bytes = |count: f64| loop {
        let now = received();
        if now >= count {
            return (now, Instant::now());
        }
        assert!(Instant::now() < deadline, "only {now} of {count} bytes");
    };
    let (before, begin) = await_bytes(start + 1_200_000.0);
    let (after, end) = await_bytes(before + 1_000_000.0);
    (after - before) / (end - begin).as_secs_f64()
}

/// A guest to which the order gives no address asks for one, gets that of the record, and may use it.
#[test]
fn addresses_are_given_by_dhcp() {
    let node = Node::with(|settings| {
        settings.pool = Some(Pool {
            first: Ipv4Addr::new(100, 64, 3, 0),
            last: Ipv4Addr::new(100, 64, 3, 63),
            prefix: 10,
        });
    });
    let script = node.folder.path().join("told");
    std::fs::write(
        &script,
        "#!/bin/sh\n[ $1 = bound ] && echo $ip $mask $mtu\n",
    )
    .expect("a file");
    node.room.run(&format!("chmod +x {}", script.display()));
    let asks = |guest: &Room| {
        let script = script.display();
        guest.run(&format!(
            "busybox udhcpc -O mtu -i eth0 -n -q -f -t 5 -T 1 -s {script}"
        ))
    };
    let mut guests = Vec::new();
    for last in [1, 2] {
        let mut interface = eth0(7, last);
        interface.addresses.clear();
        let guest = node.guest(last.into(), &interface);
        guests.push(guest);
    }
    for (guest, address) in guests.iter().zip(["100.64.3.1", "100.64.3.2"]) {
        assert_eq!(asks(guest), format!("{address} 10 1500\n"));
        guest.run(&format!("ip addr add {address}/10 dev eth0"));
    }
    assert!(reaches(&guests[0], "100.64.3.2"));
    std::fs::remove_file(&script).expect("the script");
    for vm in [1, 2] {
        node.perform(&unplug(vm));
    }
    drop(guests);
    assert_eq!(node.remains(), "");
}
