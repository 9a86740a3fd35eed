//! Nodes and guests that are network namespaces without a name: they end with the test.

use agent::driver::NativeCall;
use agent::machine::Plug;
use agent::naming::bridge_name;
use agent::watch::{CalledOff, Watch};
use live::network::call::Call;
use live::network::port::mac_text;
use live::network::{Change, Network, NetworkError, Settings, Trunk};
use model::blueprint::Interface;
use model::id::{NetworkId, VmId};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A network namespace, with mounts of its own so that names of namespaces are its own too.
pub struct Room {
    holder: Child,
}

impl Room {
    pub fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "--propagation=private", "sh", "-c"])
            .arg(
                "mkdir -p /run/netns && mount -t tmpfs none /run/netns && mount -t sysfs none /sys \
                  && ip link set lo up && echo ready && exec cat",
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is of util-linux");
        let mut line = String::new();
        let output = holder.stdout.as_mut().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n", "the namespace could not be made");
        Self { holder }
    }

    /// The word by which `nsenter` enters its network alone.
    pub fn net(&self) -> String {
        format!("--net=/proc/{}/ns/net", self.holder.id())
    }

    /// Words that run a command in here.
    pub fn inside(&self) -> Vec<String> {
        let target = self.holder.id().to_string();
        ["nsenter", "--net", "--mount", "--target", &target, "--"]
            .map(str::to_owned)
            .to_vec()
    }

    /// A command in here, its words parted by blanks.
    pub fn command(&self, line: &str) -> Command {
        let inside = self.inside();
        let mut command = Command::new(&inside[0]);
        command.args(&inside[1..]).args(line.split_whitespace());
        command
    }

    /// Runs it to its end, come what may.
    pub fn output(&self, line: &str) -> Output {
        self.command(line)
            .output()
            .expect("nsenter is of util-linux")
    }

    /// Runs it, which must succeed, and gives what it printed.
    pub fn run(&self, line: &str) -> String {
        let output = self.output(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Starts it, until what comes back is dropped.
    pub fn spawn(&self, line: &str) -> Running {
        let mut command = self.command(line);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Running(command.spawn().expect("nsenter is of util-linux"))
    }

    /// Waits until somebody in here listens on a TCP port.
    pub fn await_listener(&self, port: u16) {
        let port_word = format!(":{port:04X}");
        let listens = |line: &str| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            matches!(cells[..], [_, own, _, "0A", ..] if own.ends_with(&port_word))
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self
            .run("cat /proc/net/tcp /proc/net/tcp6")
            .lines()
            .any(listens)
        {
            assert!(Instant::now() < deadline, "nobody listens on port {port}");
            std::thread::yield_now();
        }
    }

    /// A cable from here to another room, as a device of each.
    pub fn cable(&self, device: &str, other: &Self, theirs: &str) {
        let target = other.holder.id();
        self.run(&format!(
            "ip link add {device} type veth peer name {theirs} netns {target}"
        ));
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.holder.kill().expect("the holder runs");
        self.holder.wait().expect("the holder ends");
    }
}

/// A process that ends with its owner.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().expect("a child can be killed");
        self.0.wait().expect("it ends");
    }
}

/// A node with the networks of its VMs.
pub struct Node {
    pub network: Network,
    pub settings: Settings,
    pub folder: TempDir,
    pub room: Room,
}

impl Node {
    pub fn alone() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (room, folder) = (Room::new(), TempDir::new().expect("a folder"));
        let mut settings = Settings {
            folder: folder.path().to_owned(),
            inside: room.inside(),
            trunk: Trunk::None,
            mtu: 1_500,
            pool: None,
        };
        change(&mut settings);
        let network = Network::open(settings.clone()).expect("an empty folder");
        Self {
            network,
            settings,
            folder,
            room,
        }
    }

    /// Two nodes that reach each other at 192.0.2.1 and 192.0.2.2, each trunk a VXLAN.
    pub fn pair() -> [Self; 2] {
        let addresses = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        let nodes = [0, 1].map(|place| {
            Self::with(|settings| {
                settings.trunk = Trunk::Vxlan {
                    local: addresses[place],
                    peers: BTreeSet::from([addresses[1 - place]]),
                };
            })
        });
        nodes[0].room.cable("uplink", &nodes[1].room, "uplink");
        for (node, address) in nodes.iter().zip(addresses) {
            node.room
                .run(&format!("ip addr add {address}/24 dev uplink"));
            node.room.run("ip link set uplink up");
        }
        nodes
    }

    /// Plugs a VM's only interface in, whose other end is the namespace that comes back.
    pub fn guest(&self, vm: u64, interface: &Interface) -> Room {
        self.perform(&plug(vm, interface));
        let port = self
            .network
            .list()
            .into_iter()
            .find(|port| port.vm == VmId(vm));
        let port = port.expect("a port of the VM");
        let (device, name) = (port.device().name(), &port.name);
        let guest = Room::new();
        self.room.cable(&device, &guest, name);
        let bridge = bridge_name(port.network);
        self.room
            .run(&format!("ip link set {device} master {bridge} up"));
        guest.run(&format!(
            "ip link set {name} address {} up",
            mac_text(port.mac)
        ));
        for (address, prefix) in &interface.addresses {
            guest.run(&format!("ip addr add {address}/{prefix} dev {name} nodad"));
        }
        guest
    }

    /// Performs a change, which must succeed, and be what the dry run said.
    pub fn perform(&self, change: &Change) {
        let said: Vec<NativeCall> = self.translated(change).iter().map(Call::native).collect();
        let seen = Seen::default();
        self.network
            .perform(change, &seen)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(*seen.0.lock().expect("unpoisoned"), said);
    }

    pub fn translated(&self, change: &Change) -> Vec<Call> {
        self.network
            .translate(change)
            .unwrap_or_else(|error: NetworkError| panic!("{error}"))
    }

    /// Everything of ours that the kernel has, for a comparison.
    pub fn remains(&self) -> String {
        let links = self.room.run("ip -brief link show");
        let links = links.lines().filter(|line| line.starts_with("gw"));
        let rooms = self.room.run("ip netns list");
        let filter = self.room.run("nft list ruleset");
        let files = std::fs::read_dir(self.folder.path()).expect("a folder");
        let files: Vec<_> = files
            .map(|file| file.expect("a file").file_name())
            .collect();
        let links: Vec<&str> = links.collect();
        match (
            links.as_slice(),
            rooms.as_str(),
            filter.as_str(),
            files.as_slice(),
        ) {
            ([], "", "", []) => String::new(),
            _ => format!("{links:#?}\n{rooms}\n{filter}\n{files:?}"),
        }
    }
}

/// A server goes to the background, where only its namespace still tells whose it is.
impl Drop for Node {
    fn drop(&mut self) {
        let list = self.room.output("ip netns list");
        for line in String::from_utf8_lossy(&list.stdout).lines() {
            let name = line.split_whitespace().next().unwrap_or_default();
            let processes = self.room.output(&format!("ip netns pids {name}"));
            for process in String::from_utf8_lossy(&processes.stdout).split_whitespace() {
                self.room.output(&format!("kill -KILL {process}"));
            }
        }
    }
}

/// Writes down what is called.
#[derive(Default)]
struct Seen(Mutex<Vec<NativeCall>>);

impl Watch for Seen {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, call: &NativeCall) {
        self.0.lock().expect("unpoisoned").push(call.clone());
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        Ok(())
    }
}

/// An interface whose end a hypervisor makes, as these tests do.
pub fn plug(vm: u64, interface: &Interface) -> Change {
    let name = bridge_name(interface.network);
    Change::Plug {
        vm: VmId(vm),
        interface: Box::new(interface.clone()),
        plug: Plug::Bridge { name },
    }
}

/// The interface `eth0` goes.
pub fn unplug(vm: u64) -> Change {
    Change::Unplug {
        vm: VmId(vm),
        interface: "eth0".to_owned(),
    }
}

/// The interface `eth0` in a network, with the address 10.0.0.`last`.
pub fn eth0(network: u32, last: u8) -> Interface {
    Interface {
        name: "eth0".to_owned(),
        network: NetworkId(network),
        mac: [0x52, 0x54, 0, 0, network as u8, last],
        addresses: vec![(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 24)],
        gateway: None,
        mbps: None,
        allowed: Vec::new(),
    }
}
