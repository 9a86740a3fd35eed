//! Statistics of the node in the words of the schema: pure readers of what the kernel tells, and a
//! [`Meter`] that asks it.
//!
//! Where a metric is a rate, the figure is the running total of which it is the rate, as
//! [`Reading`] has it: core-milliseconds of processor time, milliseconds of being busy, counts of
//! operations, packets and faults, KiB, kbit. What a source does not tell is absent.
//!
//! | Subject | Metrics | Source |
//! |---|---|---|
//! | whole, core | `cpu-milli`, `cpu-stolen-milli` | `/proc/stat` |
//! | whole | `load-milli`, `uptime-seconds` | `/proc/loadavg`, `/proc/uptime` |
//! | whole | `mem-total-mib`, `mem-used-mib`, `mem-available-mib`, `swap-used-mib` | `/proc/meminfo` |
//! | whole | `major-faults` | `/proc/vmstat` |
//! | whole | `mem-shared-mib` | KSM, `/sys/kernel/mm/ksm/pages_sharing` |
//! | whole | `mem-overcommit-milli`, `vms` | the agent, against `/proc/meminfo` |
//! | whole | `logins` | `/run/utmp` |
//! | whole | `reboots`, `stops` | `/var/log/wtmp`, since it was begun |
//! | process | `cpu-milli`, `mem-used-mib`, `major-faults` | `/proc/PID/stat` |
//! | process | `read-kibps`, `write-kibps` | `/proc/PID/io` |
//! | disk | `read-iops`, `write-iops`, `read-kibps`, `write-kibps`, `busy-milli` | `/proc/diskstats` |
//! | disk | `read-latency-micros`, `write-latency-micros` | `/proc/diskstats`, the mean since it was asked before |
//! | disk | `reallocated-sectors`, `temperature-celsius` | `smartctl`, where it is installed |
//! | volume | `space-used-mib`, `space-free-mib` | `/proc/self/mountinfo`, statvfs(3) |
//! | volume | `fragments` | `filefrag` of a disk's file |
//! | interface, VLAN | `received-…`, `sent-…`, `receive-…`, `send-…` | `/proc/net/dev` |
//!
//! Guests' figures are their drivers' to tell, their taps among them; messages are counted by the
//! agent itself.
//!
//! - [`processor`]: processors, load and uptime
//! - [`memory`]: memory, swap and what is shared
//! - [`process`]: single processes
//! - [`disk`]: disks and their health
//! - [`volume`]: file systems and how scattered files are
//! - [`interface`]: network interfaces
//! - [`login`]: who is logged in, and how often the node went up and down

pub mod disk;
pub mod interface;
pub mod login;
pub mod memory;
pub mod process;
pub mod processor;
pub mod volume;

use agent::driver::Reading;
use model::sample::{Metric, Source, Subject};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the agent knows and the kernel does not.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// VMs that run; `None`: the hypervisor does not tell.
    pub vms: Option<u32>,
    /// Memory promised to VMs, in MiB; `None`: the hypervisor does not tell.
    pub promised_mib: Option<u64>,
    /// Processes that are measured each, as those of VMs.
    pub processes: Vec<u32>,
}

/// Measures one node.
#[derive(Debug)]
pub struct Meter {
    root: PathBuf,
    waits: BTreeMap<String, disk::Waits>,
}

impl Meter {
    /// `root`: where `proc`, `sys`, `run` and `var` are; `/` but for tests.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            waits: BTreeMap::new(),
        }
    }

    /// What can be told at once.
    pub fn readings(&mut self, known: &Known) -> Vec<Reading> {
        let meminfo = self.text("proc/meminfo");
        let mut readings = processor::times(&self.text("proc/stat"));
        readings.extend(processor::load(&self.text("proc/loadavg")));
        readings.extend(processor::uptime(&self.text("proc/uptime")));
        readings.extend(memory::used(&meminfo));
        readings.extend(memory::faults(&self.text("proc/vmstat")));
        let shared = self.text("sys/kernel/mm/ksm/pages_sharing");
        readings.extend(memory::shared(&shared, rustix::param::page_size()));
        let promised = known.promised_mib;
        readings.extend(promised.and_then(|mib| memory::overcommit(&meminfo, mib)));
        let vms = |vms| node(Subject::Whole, Metric::Vms, f64::from(vms));
        readings.extend(known.vms.map(vms));
        readings.extend(self.bytes("run/utmp").as_deref().map(login::logins));
        if let Some(wtmp) = self.bytes("var/log/wtmp") {
            readings.extend(login::ups_and_downs(&wtmp));
        }
        for &id in &known.processes {
            let stat = self.text(&format!("proc/{id}/stat"));
            let io = self.text(&format!("proc/{id}/io"));
            readings.extend(process::readings(
                id,
                &stat,
                &io,
                rustix::param::page_size(),
            ));
        }
        readings.extend(self.disks());
        readings.extend(self.volumes());
        let vlans = interface::vlans(&self.text("proc/net/vlan/config"));
        readings.extend(interface::totals(&self.text("proc/net/dev"), &vlans));
        readings
    }

    /// What takes a program for each disk and file: for every few minutes.
    pub fn slow_readings(&self, files: &[PathBuf]) -> Vec<Reading> {
        let mut readings = Vec::new();
        for disk in self.own_disks() {
            // What smartctl exits with tells of the disk, not of the answer.
            if let Some(text) = printed(
                "smartctl",
                &["--json", "--all"],
                &Path::new("/dev").join(&disk),
            ) {
                readings.extend(disk::health(&disk, &text));
            }
        }
        for file in files {
            if let Some(text) = printed("filefrag", &[], file) {
                readings.extend(volume::fragments(file, &text));
            }
        }
        readings
    }

    fn disks(&mut self) -> Vec<Reading> {
        let own = self.own_disks();
        let mut readings = Vec::new();
        for totals in disk::totals(&self.text("proc/diskstats")) {
            if own.contains(&totals.name) {
                let before = self.waits.insert(totals.name.clone(), totals.waits);
                readings.extend(totals.readings(before));
            }
        }
        readings
    }

    /// Disks that hold anything; the kernel lists empty loop devices too.
    fn own_disks(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join("sys/block")) else {
            return Vec::new();
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names
            .filter(|name| {
                let sectors = self.text(&format!("sys/block/{name}/size"));
                sectors.trim().parse().is_ok_and(|sectors: u64| sectors > 0)
            })
            .collect()
    }

    fn volumes(&self) -> Vec<Reading> {
        let mut readings = Vec::new();
        for mount in volume::mounts(&self.text("proc/self/mountinfo")) {
            let below = mount.strip_prefix("/").unwrap_or(&mount);
            if let Ok(found) = rustix::fs::statvfs(self.root.join(below)) {
                readings.extend(volume::space(&mount, &found));
            }
        }
        readings
    }

    /// A file's text; empty: it is not there, and so tells nothing.
    fn text(&self, path: &str) -> String {
        let bytes = self.bytes(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.root.join(path)).ok()
    }
}

/// What a program prints about a file; `None`: it is not installed.
fn printed(program: &str, words: &[&str], file: &Path) -> Option<String> {
    let output = Command::new(program).args(words).arg(file).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A figure of the node's own.
fn node(subject: Subject, metric: Metric, value: f64) -> Reading {
    Reading {
        subject,
        source: Source::Node,
        metric,
        value,
    }
}

/// A number as the kernel writes a size or a count.
fn count(text: Option<&str>) -> Option<f64> {
    text?.parse::<u64>().ok().map(|number| number as f64)
}
