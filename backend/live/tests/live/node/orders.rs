//! Orders about small VMs, and how they are sent.

use super::{Node, VM};
use link::frame;
use link::protocol::{Answer, HexKey, Request};
use model::blueprint::{
    Blueprint, BootLoader, Customisation, Disk, EncryptedPart, Encryption, Format, Partition,
    PartitionTable,
};
use model::hypervisor::{Arch, Guest};
use model::id::{Generation, KeyId, NodeId, OperationId, TenantId, VmId};
use model::order::{Order, Shutdown, Verb};
use model::report::Outcome;
use model::time::Time;
use std::io;
use std::os::unix::net::UnixStream;

impl Node {
    /// A VM of this node with a small disk, whose guest just sleeps.
    pub fn blueprint(&self, vm: VmId) -> Box<Blueprint> {
        Box::new(Blueprint {
            vm,
            tenant: TenantId(1),
            name: format!("web-{}", vm.0),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            virtualisation: self.hypervisor.virtualisation(),
            cpus: 1,
            max_cpus: 1,
            mem_mib: 64,
            max_mem_mib: 64,
            boot: BootLoader::Direct,
            kernel_arguments: String::new(),
            disks: vec![self.disk()],
            interfaces: Vec::new(),
            customisation: Customisation::default(),
            highly_available: false,
        })
    }

    fn disk(&self) -> Disk {
        let root = Partition {
            name: "root".to_owned(),
            size_mib: None,
            format: Format::Ext4,
            block_bytes: None,
            mount: Some("/".to_owned()),
            bootable: true,
        };
        Disk {
            name: "root".to_owned(),
            size_mib: 32,
            image: Some(self.shelf.image().to_owned()),
            table: PartitionTable::None,
            partitions: Vec::from_iter((!self.runs_containers()).then_some(root)),
            shared_base: false,
            encryption: None,
            iops: None,
            mibps: None,
            extents: Vec::new(),
        }
    }

    /// Makes that VM.
    pub fn create(&self) -> Verb {
        let blueprint = self.blueprint(VM);
        Verb::Create { blueprint }
    }

    /// Makes it with a disk of which instants can be kept.
    pub fn create_kept(&self) -> Verb {
        let mut blueprint = self.blueprint(VM);
        blueprint.disks[0].shared_base = !self.runs_containers();
        Verb::Create { blueprint }
    }

    /// Makes it with an encrypted disk.
    pub fn create_sealed(&self) -> Verb {
        let mut blueprint = self.blueprint(VM);
        blueprint.disks[0].encryption = Some(Encryption {
            key: KEYS[0],
            part: EncryptedPart::Whole,
        });
        Verb::Create { blueprint }
    }

    /// Makes it highly available.
    pub fn create_available(&self) -> Verb {
        let mut blueprint = self.blueprint(VM);
        blueprint.highly_available = true;
        Verb::Create { blueprint }
    }
}

/// Keys that come with every order.
pub const KEYS: [KeyId; 2] = [KeyId(1), KeyId(2)];

/// Stops a VM at once.
pub fn stop() -> Verb {
    Verb::Stop {
        shutdown: Shutdown::Forced,
    }
}

/// An order of the one controller.
pub fn order(vm: VmId, operation: u64, verb: &Verb) -> Box<Order> {
    Box::new(Order {
        operation: OperationId(operation),
        generation: Generation(1),
        node: NodeId(1),
        vm,
        verb: verb.clone(),
        deadline: Time::NEVER,
    })
}

pub(super) fn through(stream: &mut UnixStream, order: Box<Order>) -> io::Result<Option<Outcome>> {
    let operation = order.operation;
    send(stream, order)?;
    while let Some(answer) = frame::receive(stream)? {
        match answer {
            Answer::Reported { report }
                if report.operation == Some(operation) && is_end(&report.outcome) =>
            {
                return Ok(Some(report.outcome.clone()));
            }
            Answer::Refused { reason } => panic!("{reason}"),
            _ => {}
        }
    }
    Ok(None)
}

pub(super) fn send(stream: &mut UnixStream, order: Box<Order>) -> io::Result<()> {
    let keys = KEYS
        .map(|key| (key, HexKey::new(&[key.0 as u8; 32])))
        .into();
    frame::send(stream, &Request::Follow)?;
    frame::send(stream, &Request::Order { order, keys })
}

fn is_end(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Done | Outcome::Failed { .. } | Outcome::Cancelled | Outcome::Refused { .. }
    )
}
