//! Limits of containers, changed while they run.

use super::Node;
use crate::conformance::Subject;
use crate::guest::run;
use agent::driver::{Act, Driver, DriverError};
use agent::machine::{AttachedInterface, Plug};
use agent::naming::tap_name;
use agent::secret::Keys;
use agent::watch::Unwatched;
use model::id::VmId;
use model::order::Scale;
use model::sample::Metric;
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running container is given more of what limits it, as it sees itself, and its use is told.
#[test]
fn limits_change_while_it_runs() {
    let node = Node::new();
    let vm = node.define(node.machine(VmId(1)));
    node.perform(vm, &Act::Start);
    node.wait_booted(vm);
    let said = node.console_text(vm);
    assert!(said.contains("name=guest-1"), "{said}");
    node.wait_cpus(vm, 1);
    for scale in [Scale::Cpu { cpus: 2 }, Scale::Mem { mem_mib: 96 }] {
        node.perform(vm, &Act::Scale { scale });
    }
    node.wait_cpus(vm, 2);
    let reading = |metric| {
        let readings = node.incus().statistics(vm).expect("readings");
        let reading = readings
            .into_iter()
            .find(|reading| reading.metric == metric);
        reading.map(|reading| reading.value)
    };
    assert_eq!(reading(Metric::MemTotalMib), Some(96.0));
    let used_milli = reading(Metric::CpuMilli).expect("processor time");
    assert!(used_milli > 0.0, "{used_milli}");
    let too_much = Act::Scale {
        scale: Scale::Mem { mem_mib: 129 },
    };
    let refused = node
        .incus()
        .perform(vm, &too_much, &Keys::default(), &Unwatched);
    assert!(
        matches!(refused, Err(DriverError::Invalid { .. })),
        "{refused:?}"
    );
}

/// Limits of its root are refused with the reason, and change nothing.
#[test]
fn limits_of_its_root_are_refused() {
    let node = Node::new();
    let vm = node.define(node.machine(VmId(1)));
    node.perform(vm, &Act::Start);
    let devices = || node.client(&["query", "/1.0/instances/vm-1?project=gridwright"]);
    let before = devices();
    let slow = Act::Scale {
        scale: Scale::DiskIo {
            disk: "root".into(),
            iops: None,
            mibps: Some(1),
        },
    };
    let refused = node
        .incus()
        .perform(vm, &slow, &Keys::default(), &Unwatched)
        .expect_err("a limit that would stay");
    let said = refused.to_string();
    assert!(matches!(refused, DriverError::Unsupported { .. }), "{said}");
    assert!(said.contains("does not lift"), "{said}");
    assert_eq!(devices(), before);
}

/// A container that is defined with a limit of its network starts with it, and what it receives keeps
/// to it until the limit is lifted, and again once it is put back.
#[test]
fn what_it_receives_keeps_to_its_limit() {
    let node = Node::apart();
    let net = Net::of(&node);
    net.run("ip link add lan type bridge");
    net.run("ip addr add 10.0.0.1/24 dev lan");
    net.run("ip link set lan up");
    let vm = VmId(1);
    let mut machine = node.machine(vm);
    machine.interfaces.push(AttachedInterface {
        name: "lan".into(),
        mac: [0x52, 0x54, 0, 0, 0, 1],
        plug: Plug::Bridge { name: "lan".into() },
        mbps: Some(2),
    });
    node.define(machine);
    node.perform(vm, &Act::Start);
    node.wait_booted(vm);
    for words in ["addr add 10.0.0.2/24 dev eth0", "link set eth0 up"] {
        let line = format!("exec --project gridwright vm-1 -- /bin/busybox ip {words}");
        node.client(&line.split(' ').collect::<Vec<_>>());
    }
    let _flood = net.spawn("socat -u -b 1400 /dev/zero UDP-SENDTO:10.0.0.2:9");
    let limit = |mbps| {
        let scale = Scale::Net {
            interface: "lan".into(),
            mbps,
        };
        node.perform(vm, &Act::Scale { scale });
    };
    // A megabyte is eight megabits; what the bucket lets pass at once is far below a tenth of them.
    let limited = net.seconds_of_a_megabyte(vm);
    assert!(limited > 3.6, "{limited} s at 2 Mbit/s");
    limit(None);
    let free = net.seconds_of_a_megabyte(vm);
    assert!(free < 2.0, "{free} s without a limit");
    limit(Some(1));
    let limited = net.seconds_of_a_megabyte(vm);
    assert!(limited > 7.2, "{limited} s at 1 Mbit/s");
}

/// The network of a server, by the word that enters it.
struct Net(String);

impl Net {
    fn of(node: &Node) -> Self {
        let about = node.client(&["query", "/1.0"]);
        let about: Value = serde_json::from_str(&about).expect("JSON");
        Self(format!(
            "--net=/proc/{}/ns/net",
            about["environment"]["server_pid"]
        ))
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(&self.0).args(line.split(' '));
        command
    }

    fn run(&self, line: &str) -> String {
        run(&mut self.command(line))
    }

    fn spawn(&self, line: &str) -> Running {
        let child = self.command(line).stderr(Stdio::null()).spawn();
        Running(child.expect("nsenter, of util-linux"))
    }

    /// How long the first interface of a VM takes to receive one megabyte more.
    fn seconds_of_a_megabyte(&self, vm: VmId) -> f64 {
        let tap = tap_name(vm, 0);
        let received = || {
            let told = self.run(&format!("ip -json -statistics link show dev {tap}"));
            let told: Value = serde_json::from_str(&told).expect("JSON");
            told[0]["stats64"]["tx"]["bytes"].as_u64().expect("a count")
        };
        let begun = Instant::now();
        let before = received();
        while received() < before + 1_000_000 {
            assert!(begun.elapsed() < super::LIMIT, "it does not arrive");
            std::thread::sleep(Duration::from_millis(5));
        }
        begun.elapsed().as_secs_f64()
    }
}

/// A process that ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
