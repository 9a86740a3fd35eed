//! What holds in IPv4 holds in IPv6.

use super::node::{Node, Room, eth0, plug};
use super::reach::reaches;
use model::blueprint::{FirewallRule, Interface, Protocol};

/// An interface with the addresses 10.0.0.`last` and fd00:7::`last`.
fn both(last: u8) -> Interface {
    let mut interface = eth0(7, last);
    let six = format!("fd00:7::{last}").parse().expect("an address");
    interface.addresses.push((six, 64));
    interface
}

/// Whether a TCP connection can be opened within two seconds.
fn connects(from: &Room, address: &str, port: u16) -> bool {
    let line = format!("socat -u TCP6:[{address}]:{port},connect-timeout=2 STDOUT");
    from.output(&line).status.success()
}

/// Rules open their ports alone, to their sources alone; the guest's own connections and pings are
/// answered.
#[test]
fn rules_open_their_ports_alone() {
    let node = Node::alone();
    let mut guarded = both(1);
    guarded.allowed = vec![FirewallRule {
        protocol: Protocol::Tcp,
        port: 80,
        from: None,
    }];
    let (server, client) = (node.guest(1, &guarded), node.guest(2, &both(2)));
    let serve = |room: &Room, port: u16| {
        let listen = format!("socat TCP6-LISTEN:{port},fork,reuseaddr EXEC:date");
        let running = room.spawn(&listen);
        room.await_listener(port);
        running
    };
    let _listeners = [serve(&server, 80), serve(&server, 81), serve(&client, 82)];
    assert!(connects(&client, "fd00:7::1", 80));
    assert!(!connects(&client, "fd00:7::1", 81));
    assert!(!reaches(&client, "fd00:7::1"));
    assert!(connects(&server, "fd00:7::2", 82));
    assert!(reaches(&server, "fd00:7::2"));
    for (from, reached) in [
        ("fd00:7::8", false),
        ("fd00:7::3", true),
        ("10.0.0.3", false),
    ] {
        let prefix = if from.contains(':') { 126 } else { 30 };
        guarded.allowed[0].from = Some((from.parse().expect("an address"), prefix));
        node.perform(&plug(1, &guarded));
        assert_eq!(
            connects(&client, "fd00:7::1", 80),
            reached,
            "{from}/{prefix}"
        );
    }
}

/// A guest neither sends from an address that is not its own nor says that one is; where the order
/// pins none, the same does get through.
#[test]
fn what_is_sent_as_another_is_dropped() {
    for pinned in [true, false] {
        let node = Node::alone();
        let mut interface = both(1);
        if !pinned {
            interface.addresses.clear();
        }
        let guest = node.guest(1, &interface);
        let witness = node.guest(2, &both(2));
        if !pinned {
            guest.run("ip addr add fd00:7::1/64 dev eth0 nodad");
        }
        assert!(reaches(&guest, "fd00:7::2"));
        guest.run("ip addr add fd00:7::9/64 dev eth0 nodad");
        let ping = guest.output("busybox ping -6 -c 1 -W 2 -I fd00:7::9 fd00:7::2");
        assert_eq!(ping.status.success(), !pinned);
        // Who asks for the other address is not told that it is here.
        assert_eq!(reaches(&witness, "fd00:7::9"), !pinned);
        let neighbours = witness.run("ip -6 neigh show");
        let known = neighbours.lines().filter(|line| line.contains("lladdr"));
        let mut known = known.filter(|line| line.starts_with("fd00:7::9 "));
        assert_eq!(known.next().is_some(), !pinned, "{neighbours}");
        assert!(reaches(&witness, "fd00:7::1"));
    }
}
