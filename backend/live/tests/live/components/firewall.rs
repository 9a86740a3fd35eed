//! The firewall's rules in a kernel: a namespace is its VM.

use crate::network::node::Room;
use model::configuration::Piece;
use model::design_file::check_design;
use model::id::{ComponentId, VmId};
use recipe::book::Book;
use recipe::outfit::outfits;
use recipe::site::{Instance, Site};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const DESIGN: &str = r#"
    [[component]]
    name = "firewall"
    kind = "firewall"
    parameters = { sources = "10.0.0.100/32 2001:db8::100/128" }
    [[component]]
    name = "web"
    kind = "web-server"
    instances = 2
    [[link]]
    from = "firewall"
    to = "web"
"#;

/// The last parts of the addresses of firewall, web servers, one who may call, and one who may not.
const FIREWALL: u16 = 1;
const WEB: [u16; 2] = [2, 3];
const FRIEND: u16 = 100;
const STRANGER: u16 = 101;

/// A namespace on the wire, with an address of either family.
fn plugged(wire: &Room, last: u16) -> Room {
    let room = Room::new();
    wire.cable(&format!("to{last}"), &room, "in");
    wire.run(&format!("ip link set to{last} master wire up"));
    for address in [format!("10.0.0.{last}/24"), format!("2001:db8::{last}/64")] {
        // Nobody else is on the wire, so nobody has the address already.
        room.run(&format!("ip address add {address} dev in nodad"));
    }
    room.run("ip link set in up");
    room
}

fn rules() -> String {
    let topology = check_design("firewall.toml", DESIGN).expect("a right design");
    let instance = |(name, last): (&str, u16)| Instance {
        vm: VmId(last.into()),
        name: name.to_owned(),
        addresses: [format!("10.0.0.{last}"), format!("2001:db8::{last}")]
            .map(|ip| ip.parse().expect("an address"))
            .to_vec(),
    };
    let web = WEB.map(|last| instance(("web", last))).to_vec();
    let firewall = vec![instance(("firewall", FIREWALL))];
    let site = Site {
        topology: &topology,
        instances: [(ComponentId(0), firewall), (ComponentId(1), web)].into(),
        passwords: BTreeMap::new(),
    };
    let outfits = outfits(&site, &Book::shipped()).unwrap_or_else(|error| panic!("{error:?}"));
    let configuration = outfits[&VmId(FIREWALL.into())].configuration();
    let pieces = &configuration.files["/etc/nftables.conf"].pieces;
    let [Piece::Text(rules)] = pieces.as_slice() else {
        panic!("rules without passwords, not {pieces:?}");
    };
    rules.clone()
}

/// What answers a call, if anything does.
fn call(from: &Room, target: &str) -> String {
    let line = format!("socat -T2 - {target},connect-timeout=2");
    let output = from.output(&line);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Calls from where they may come are passed on to all that are linked behind, in turn, in either
/// family; calls of others and on other ports are dropped.
#[test]
fn a_firewall_lets_through_what_is_linked() {
    let wire = Room::new();
    wire.run("ip link add wire type bridge");
    wire.run("ip link set wire up");
    let firewall = plugged(&wire, FIREWALL);
    let servers = WEB.map(|last| plugged(&wire, last));
    let (friend, stranger) = (plugged(&wire, FRIEND), plugged(&wire, STRANGER));
    let folder = tempfile::tempdir().expect("a folder");
    let mut listening = Vec::new();
    for (room, last) in servers.iter().zip(WEB) {
        let said = folder.path().join(last.to_string());
        std::fs::write(&said, format!("web-{last}\n")).expect("what a server says");
        for port in [80, 81] {
            let open = said.display();
            listening.push(room.spawn(&format!(
                "socat -U TCP6-LISTEN:{port},ipv6only=0,fork OPEN:{open},rdonly"
            )));
        }
    }
    firewall.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    let file = folder.path().join("rules");
    std::fs::write(&file, rules()).expect("rules");
    for check in ["-c ", ""] {
        firewall.run(&format!("nft {check}-f {}", file.display()));
    }

    let front = ["TCP4:10.0.0.1", "TCP6:[2001:db8::1]"];
    for target in front {
        let begun = Instant::now();
        let mut names = Vec::new();
        while !WEB
            .iter()
            .all(|last| names.contains(&format!("web-{last}")))
        {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{target}: {names:?}"
            );
            names.push(call(&friend, &format!("{target}:80")));
        }
        assert_eq!(
            call(&friend, &format!("{target}:81")),
            "",
            "no link opens it"
        );
        assert_eq!(
            call(&stranger, &format!("{target}:80")),
            "",
            "it may not call"
        );
    }
    let begun = Instant::now();
    while call(&friend, "TCP4:10.0.0.2:81") != "web-2" {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the server itself listens"
        );
    }
}
