//! QEMU for real: busybox guests that boot, stop, move, grow and are measured.

mod between;
mod door;
mod handover;
mod kept;
mod migration;
mod node;
mod resources;
mod trouble;

use crate::conformance;
use agent::driver::{Act, Driver};
use agent::watch::Unwatched;
use model::hypervisor::Arch;
use model::id::VmId;
use model::report::VmState;
use node::{Node, boot};

/// The whole state × act table, with dry runs.
#[test]
fn follows_the_table() {
    conformance::follows_the_table(&Node::new());
}

/// Every act may be repeated, and a new driver finds the VMs.
#[test]
fn repeats_and_recovers() {
    conformance::repeats_and_recovers(&Node::new());
}

/// A VM outlives its driver, is seen by the next one and obeys it.
#[test]
fn outlives_its_driver() {
    let node = Node::new();
    let vm = VmId(1);
    let machine = Box::new(node.machine(vm));
    node.perform(vm, &Act::Define { machine });
    node.perform(vm, &Act::Start);
    node.wait_console(vm, "disks=1");
    let next = node.qemu();
    let seen = next.recover().expect("an answer");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].state, VmState::Running);
    node.perform(vm, &Act::Destroy);
    assert!(!node.path("vms/vm-1").exists(), "files are left");
}

/// The probe runs guests of all three instruction sets.
#[test]
fn fingerprints() {
    let node = Node::new();
    conformance::fingerprints(&node);
    let found = node.qemu().fingerprint(&Unwatched).expect("QEMU works");
    assert_eq!(
        found.emulated,
        [Arch::X86_64, Arch::Aarch64, Arch::Riscv64],
        "{}",
        found.evidence
    );
}

/// Guests of the other instruction sets boot too.
#[test]
fn other_instruction_sets_boot() {
    std::thread::scope(|scope| {
        for (index, arch) in [Arch::Aarch64, Arch::Riscv64].into_iter().enumerate() {
            scope.spawn(move || {
                let node = Node::new();
                let vm = VmId(index as u64);
                let mut machine = node.machine(vm);
                machine.arch = arch;
                machine.boot = boot(arch, "");
                machine.mem_mib = 256;
                let machine = Box::new(machine);
                node.perform(vm, &Act::Define { machine });
                node.perform(vm, &Act::Start);
                let console = node.wait_console(vm, "disks=1");
                assert!(console.contains(&format!("arch={arch}")), "{console}");
            });
        }
    });
}
