//! How long steps take on modelled nodes.

use agent::driver::Act;
use agent::step::{Place, Step};
use model::order::Shutdown;
use model::time::Span;

/// Speeds of a node, and times of its hypervisor.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// What is written or read of a disk, in MiB a second.
    pub disk_mibps: u64,
    /// What goes over a link, in MiB a second.
    pub link_mibps: u64,
    /// Of a disk of an image, how much holds data, in thousandths: holes are not copied.
    pub used_milli: u64,
    /// What it takes to define a VM and to begin a process.
    pub define: Span,
    /// From the start of a VM until it runs.
    pub start: Span,
    /// From the plug being pulled until nothing runs.
    pub kill: Span,
    /// How long a guest takes over its own shutdown.
    pub shutdown: Span,
    /// What any other act takes.
    pub act: Span,
    /// What a step on files takes beside its bytes.
    pub step: Span,
}

impl Default for Profile {
    /// As `cargo bench -p image` and `-p live` measure on a machine of two cores: 49 ms to define and
    /// start until vCPUs run, 0.3 s for a customised disk. The guest's own shutdown, and the speed of
    /// disk and link, are assumed: those of a solid-state disk on SATA and of 10 Gbit/s.
    fn default() -> Self {
        Self {
            disk_mibps: 500,
            link_mibps: 1_000,
            used_milli: 100,
            define: Span(20),
            start: Span(30),
            kill: Span(20),
            shutdown: Span(4_000),
            act: Span(50),
            step: Span(100),
        }
    }
}

impl Profile {
    /// The time of a step.
    pub fn time(&self, step: &Step) -> Span {
        let bytes = |mib: u64, mibps: u64| Span((mib * 1_000 / mibps.max(1)) as i64);
        let used = |mib: u64| mib * self.used_milli / 1_000;
        let more = match step {
            Step::Fetch { .. } => bytes(200, self.link_mibps),
            Step::Build {
                blueprint, disk, ..
            }
            | Step::BuildBase {
                blueprint, disk, ..
            } => {
                let disks = blueprint.disks.iter();
                let mib = disks
                    .filter(|of| of.name == *disk)
                    .map(|disk| disk.size_mib);
                bytes(used(mib.sum()), self.disk_mibps)
            }
            Step::Replicate { to, .. } | Step::Verify { place: to, .. } => match to {
                Place::Disk { disk } => bytes(used(disk.size_mib), self.disk_mibps),
                Place::Folder { .. } => bytes(100, self.disk_mibps),
            },
            Step::Blank { disk } | Step::Resize { disk } => {
                bytes(used(disk.size_mib), self.disk_mibps)
            }
            Step::Ship { disks, .. } => {
                let mib = disks.iter().map(|disk| used(disk.size_mib)).sum();
                bytes(mib, self.link_mibps)
            }
            Step::Wipe { .. } => bytes(1_000, self.disk_mibps),
            Step::Act { act, .. } => return self.act_time(act),
            _ => Span(0),
        };
        Span(self.step.0 + more.0)
    }

    fn act_time(&self, act: &Act) -> Span {
        match act {
            Act::Define { .. } | Act::Receive { .. } => self.define,
            Act::Start => self.start,
            Act::Stop { shutdown } => match shutdown {
                Shutdown::Asked { patience_millis } => {
                    self.shutdown.min(Span(i64::from(*patience_millis)))
                }
                Shutdown::Forced => self.kill,
            },
            Act::Reboot => Span(self.shutdown.0 + self.start.0),
            Act::Destroy => self.kill,
            // Memory goes over the link while the VM runs.
            Act::Send { .. } => Span(8_000),
            Act::Copy { .. } | Act::SaveImage { .. } => Span(2_000),
            _ => self.act,
        }
    }
}
