//! What a node's own kernel tells of it: its parts once, and its figures whenever they are wanted.

use agent::driver::Reading;
use model::fingerprint::{Fingerprint, FoundDisk, FoundInterface, Reserved};
use model::hypervisor::Arch;
use model::sample::{Metric, Source, Subject};
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

/// Bytes of a sector in `/sys` and `/proc/diskstats`, whatever the disk's own are (Linux,
/// Documentation/admin-guide/iostats.rst).
const SECTOR_BYTES: u64 = 512;

/// Ticks of `/proc/stat` in a second: `USER_HZ`, fixed at 100 for all that Linux shows to programs.
const TICKS: u64 = 100;

/// Finds out what a node is made of; its hypervisors are the drivers' to tell. `root`: where `proc`
/// and `sys` are, `/` but for tests.
///
/// # Errors
/// Where the kernel does not tell its processors or memory.
pub fn fingerprint(root: &Path) -> io::Result<Fingerprint> {
    let text = |path: &str| fs::read_to_string(root.join(path));
    let release = text("proc/sys/kernel/osrelease")?;
    let cpus = text("proc/cpuinfo")?;
    let arch = Arch::from_str(std::env::consts::ARCH).map_err(|_| {
        let told = format!("{} is no architecture of nodes", std::env::consts::ARCH);
        io::Error::new(io::ErrorKind::Unsupported, told)
    })?;
    Ok(Fingerprint {
        arch,
        kernel: format!("Linux {}", release.trim()),
        processor: processor(&cpus),
        cores: cores(&text("proc/stat")?),
        mem_mib: kib(&text("proc/meminfo")?, "MemTotal").unwrap_or(0) / 1_024,
        disks: disks(root),
        interfaces: interfaces(root),
        hypervisors: Vec::new(),
        reserved: Reserved::default(),
    })
}

/// Figures of the node; running totals where the schema has rates.
pub fn readings(root: &Path) -> Vec<Reading> {
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let mut readings = processor_times(&text("proc/stat"));
    readings.extend(memory(&text("proc/meminfo"), &text("proc/vmstat")));
    readings.extend(load(&text("proc/loadavg")));
    readings.extend(disk_totals(&text("proc/diskstats"), &own_disks(root)));
    readings.extend(network_totals(&text("proc/net/dev")));
    readings
}

/// The processor's name; empty: it gives none.
pub fn processor(cpuinfo: &str) -> String {
    let name = cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        matches!(key.trim(), "model name" | "uarch" | "Model").then_some(value)
    });
    name.unwrap_or_default().trim().to_owned()
}

/// Cores that the system schedules on, by `/proc/stat`, which is alike on all architectures.
pub fn cores(stat: &str) -> u32 {
    let cores = stat.lines().filter(|line| core_of(line).is_some());
    u32::try_from(cores.count()).unwrap_or(u32::MAX)
}

/// A figure of `/proc/meminfo`, in KiB.
pub fn kib(meminfo: &str, name: &str) -> Option<u64> {
    meminfo.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        value.split_whitespace().next()?.parse().ok()
    })
}

/// Totals of processor time in core-milliseconds, of the node and of each core.
pub fn processor_times(stat: &str) -> Vec<Reading> {
    let mut readings = Vec::new();
    for line in stat.lines() {
        let subject = match core_of(line) {
            Some(core) => Subject::Core(core),
            None if line.starts_with("cpu ") => Subject::Whole,
            None => continue,
        };
        let ticks = line.split_whitespace().skip(1);
        let ticks: Vec<u64> = ticks.filter_map(|field| field.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; what guests used is within user.
        if let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks[..] {
            let millis = |ticks: u64| (ticks * 1_000 / TICKS) as f64;
            let used = user + nice + system + irq + softirq;
            readings.push(node(subject.clone(), Metric::CpuMilli, millis(used)));
            readings.push(node(subject, Metric::CpuStolenMilli, millis(steal)));
        }
    }
    readings
}

/// Memory and swap.
pub fn memory(meminfo: &str, vmstat: &str) -> Vec<Reading> {
    let mib = |name| Some(kib(meminfo, name)? as f64 / 1_024.0);
    let (total, available) = (mib("MemTotal"), mib("MemAvailable"));
    let faults = vmstat.lines().find_map(|line| {
        let faults = line.strip_prefix("pgmajfault ")?;
        faults.trim().parse::<f64>().ok()
    });
    let figures = [
        (Metric::MemTotalMib, total),
        (Metric::MemAvailableMib, available),
        (Metric::MemUsedMib, total.zip(available).map(|(t, a)| t - a)),
        (Metric::MemSharedMib, mib("Shmem")),
        (
            Metric::SwapUsedMib,
            mib("SwapTotal").zip(mib("SwapFree")).map(|(t, f)| t - f),
        ),
        (Metric::MajorFaults, faults),
    ];
    let known = figures.into_iter().filter_map(|(m, v)| Some((m, v?)));
    known.map(|(m, v)| node(Subject::Whole, m, v)).collect()
}

/// The load of the last minute.
pub fn load(loadavg: &str) -> Option<Reading> {
    let minute: f64 = loadavg.split_whitespace().next()?.parse().ok()?;
    Some(node(Subject::Whole, Metric::LoadMilli, minute * 1_000.0))
}

/// Totals of these disks.
pub fn disk_totals(diskstats: &str, disks: &[String]) -> Vec<Reading> {
    let mut readings = Vec::new();
    for line in diskstats.lines() {
        let mut fields = line.split_whitespace().skip(2);
        let Some(name) = fields.next().filter(|name| disks.iter().any(|d| d == name)) else {
            continue;
        };
        let counts: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
        // reads merged sectors millis, writes merged sectors millis, in flight, busy millis
        if let [reads, _, read, _, writes, _, written, _, _, busy, ..] = counts[..] {
            let kib = |sectors: u64| (sectors * SECTOR_BYTES) as f64 / 1_024.0;
            let figures = [
                (Metric::ReadIops, reads as f64),
                (Metric::WriteIops, writes as f64),
                (Metric::ReadKibps, kib(read)),
                (Metric::WriteKibps, kib(written)),
                (Metric::BusyMilli, busy as f64),
            ];
            let subject = Subject::Disk(name.to_owned());
            readings.extend(figures.map(|(m, value)| node(subject.clone(), m, value)));
        }
    }
    readings
}

/// Totals of all interfaces but loopback.
pub fn network_totals(dev: &str) -> Vec<Reading> {
    let mut readings = Vec::new();
    for line in dev.lines() {
        let Some((name, counts)) = line.split_once(':') else {
            continue;
        };
        let counts = counts.split_whitespace();
        let counts: Vec<u64> = counts.filter_map(|field| field.parse().ok()).collect();
        // bytes packets errs drop fifo frame compressed multicast, then the same for what was sent
        if let [r, rp, re, rd, _, _, _, _, s, sp, se, sd, ..] = counts[..]
            && name.trim() != "lo"
        {
            let kbit = |bytes: u64| bytes as f64 * 8.0 / 1_000.0;
            let figures = [
                (Metric::ReceivedKbps, kbit(r)),
                (Metric::SentKbps, kbit(s)),
                (Metric::ReceivedPackets, rp as f64),
                (Metric::SentPackets, sp as f64),
                (Metric::ReceiveErrors, re as f64),
                (Metric::SendErrors, se as f64),
                (Metric::ReceiveDrops, rd as f64),
                (Metric::SendDrops, sd as f64),
            ];
            let subject = Subject::Interface(name.trim().to_owned());
            readings.extend(figures.map(|(m, value)| node(subject.clone(), m, value)));
        }
    }
    readings
}

fn node(subject: Subject, metric: Metric, value: f64) -> Reading {
    Reading {
        subject,
        source: Source::Node,
        metric,
        value,
    }
}

/// The core that a line of `/proc/stat` is about.
fn core_of(line: &str) -> Option<u32> {
    let (number, _) = line.strip_prefix("cpu")?.split_once(' ')?;
    number.parse().ok()
}

/// Disks with a size; what is made of others or of files is left out.
fn own_disks(root: &Path) -> Vec<String> {
    let made = ["loop", "ram", "zram", "dm-", "md", "nbd", "sr", "fd"];
    let mut names = names(&root.join("sys/block"));
    names.retain(|name| !made.iter().any(|prefix| name.starts_with(prefix)));
    names
}

fn disks(root: &Path) -> Vec<FoundDisk> {
    let found = own_disks(root).into_iter().filter_map(|name| {
        let folder = root.join("sys/block").join(&name);
        let sectors: u64 = number(&folder.join("size"))?;
        let model = fs::read_to_string(folder.join("device/model")).ok();
        Some(FoundDisk {
            name,
            size_mib: sectors * SECTOR_BYTES / (1 << 20),
            rotational: number::<u8>(&folder.join("queue/rotational")).map(|turns| turns != 0),
            model: model.map(|model| model.trim().to_owned()),
        })
    });
    found.filter(|disk| disk.size_mib > 0).collect()
}

fn interfaces(root: &Path) -> Vec<FoundInterface> {
    let folder = root.join("sys/class/net");
    let names = names(&folder).into_iter().filter(|name| name != "lo");
    let found = names.map(|name| {
        let mac = fs::read_to_string(folder.join(&name).join("address")).ok();
        FoundInterface {
            mac: mac
                .map(|mac| mac.trim().to_owned())
                .filter(|m| !m.is_empty()),
            // Negative where the device does not tell; an error where it is down.
            mbps: number::<i64>(&folder.join(&name).join("speed"))
                .and_then(|mbps| u32::try_from(mbps).ok())
                .filter(|mbps| *mbps > 0),
            name,
        }
    });
    found.collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn number<T: FromStr>(path: &Path) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
