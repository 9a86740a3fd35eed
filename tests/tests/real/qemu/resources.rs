//! Resources of a VM that runs: the guest sees what it is given, and figures are of it.

use super::node::{Node, PATIENCE};
use crate::guest::{run, wait_for};
use agent::driver::{Act, Driver, Reading};
use agent::machine::{AttachedInterface, Machine, Plug};
use model::id::VmId;
use model::order::Scale;
use model::sample::{Metric, Source, Subject};
use std::process::Command;

/// A tap of its own, gone with it.
pub struct Tap(String);

impl Tap {
    pub fn new(name: &str) -> Self {
        let name = format!("{name}{:x}", std::process::id() & 0xff_ffff);
        run(Command::new("ip").args(["tuntap", "add", "dev", &name, "mode", "tap"]));
        run(Command::new("ip").args(["link", "set", "dev", &name, "up"]));
        Self(name)
    }

    pub fn interface(&self) -> AttachedInterface {
        AttachedInterface {
            name: "lan".into(),
            mac: [0x52, 0x54, 0, 0, 0, 1],
            plug: Plug::Tap {
                name: self.0.clone(),
            },
            mbps: None,
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // A tap that cannot be removed fails whoever looks for what is left.
        let _ = Command::new("ip")
            .args(["link", "delete", "dev", &self.0])
            .status();
    }
}

fn machine(node: &Node, vm: VmId, tap: &Tap) -> Machine {
    let mut machine = node.machine(vm);
    machine.interfaces.push(tap.interface());
    machine.disks[0].iops = Some(5_000);
    machine
}

fn figure(readings: &[Reading], subject: &Subject, source: Source, metric: Metric) -> Option<f64> {
    readings
        .iter()
        .find(|reading| {
            (&reading.subject, reading.source, reading.metric) == (subject, source, metric)
        })
        .map(|reading| reading.value)
}

/// vCPUs come and go, memory shrinks and grows, a disk grows, limits hold: the guest sees each.
#[test]
fn a_guest_sees_what_it_is_given() {
    let node = Node::new();
    let tap = Tap::new("gwsc");
    let vm = VmId(1);
    node.boot(machine(&node, vm, &tap));
    let scale = |scale: Scale| node.perform(vm, &Act::Scale { scale });
    let asked = std::cell::Cell::new(0);
    let ask = |what: &str, expected: &str| {
        wait_for(&format!("{what} to be {expected}"), PATIENCE, || {
            asked.set(asked.get() + 1);
            let mark = format!("answer-{}-", asked.get());
            node.type_line(
                vm,
                &format!("echo answer-$(({})){}{what}", asked.get(), "-"),
            );
            let console = node.wait_console(vm, &mark);
            let told = console.rsplit(&mark).next()?.lines().next()?.trim();
            (told == expected).then_some(())
        });
    };
    let online = "$(for c in /sys/devices/system/cpu/cpu[0-9]*/online; do echo 1 >$c; done 2>/dev/null; nproc)";
    scale(Scale::Cpu { cpus: 2 });
    ask(online, "2");
    scale(Scale::Cpu { cpus: 1 });
    ask("$(nproc)", "1");
    let disk = || "root".to_owned();
    scale(Scale::Disk {
        disk: disk(),
        size_mib: 96,
    });
    ask("$(cat /sys/block/vda/size)", &(96 * 2048).to_string());
    scale(Scale::Mem { mem_mib: 224 });
    scale(Scale::Mem { mem_mib: 160 });
    let seen = node.qemu().inspect(vm).expect("an answer").expect("a VM");
    assert_eq!((seen.cpus, seen.mem_mib), (Some(1), Some(160)));
    scale(Scale::DiskIo {
        disk: disk(),
        iops: None,
        mibps: Some(1),
    });
    ask(
        "$(echo 3 >/proc/sys/vm/drop_caches; s=$(cut -d. -f1 /proc/uptime); \
         dd if=/dev/vda of=/dev/null bs=1M count=5 2>/dev/null; \
         e=$(cut -d. -f1 /proc/uptime); [ $((e-s)) -ge 3 ] && echo slow)",
        "slow",
    );
    scale(Scale::Net {
        interface: "lan".into(),
        mbps: Some(8),
    });
    let told = run(Command::new("tc").args(["qdisc", "show", "dev", &tap.0]));
    assert!(told.contains("tbf") && told.contains("8Mbit"), "{told}");
}

/// Figures come from QEMU, the node and the guest, and grow with what the guest does.
#[test]
fn figures_are_of_the_guest() {
    let node = Node::new();
    let tap = Tap::new("gwst");
    let vm = VmId(1);
    node.boot(machine(&node, vm, &tap));
    node.type_line(
        vm,
        "dd if=/dev/vda of=/dev/null bs=1M count=8; echo read-$((1))",
    );
    node.wait_console(vm, "read-1");
    let statistics = || node.qemu().statistics(vm).expect("figures");
    let readings = statistics();
    let (hypervisor, disk) = (Source::Hypervisor, Subject::Disk("root".into()));
    let value = |subject: &Subject, source, metric| {
        figure(&readings, subject, source, metric)
            .unwrap_or_else(|| panic!("no {metric} of {subject:?} in {readings:#?}"))
    };
    assert!(value(&disk, hypervisor, Metric::ReadKibps) >= 8.0 * 1024.0);
    assert!(value(&disk, hypervisor, Metric::ReadLatencyMicros) > 0.0);
    assert!(value(&Subject::Core(0), hypervisor, Metric::CpuMilli) > 0.0);
    assert!(value(&Subject::Whole, hypervisor, Metric::MemUsedMib) > 16.0);
    let lan = Subject::Interface("lan".into());
    assert!(value(&lan, Source::Node, Metric::SentPackets) >= 0.0);
    let total = wait_for("figures of the guest itself", PATIENCE, || {
        figure(
            &statistics(),
            &Subject::Whole,
            Source::Guest,
            Metric::MemTotalMib,
        )
    });
    assert!((64.0..256.0).contains(&total), "{total} MiB");
}
