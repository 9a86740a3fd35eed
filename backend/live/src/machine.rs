//! What a node is made of, as its own kernel tells it.

use model::fingerprint::{Fingerprint, FoundDisk, FoundInterface, Reserved};
use model::hypervisor::Arch;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

/// Bytes of a sector in `/sys` and `/proc/diskstats`, whatever the disk's own are (Linux,
/// Documentation/admin-guide/iostats.rst).
const SECTOR_BYTES: u64 = 512;

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
        signer: String::new(),
    })
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
