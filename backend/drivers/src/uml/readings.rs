//! What can be measured of a guest: from its processes on the node, and from its own `/proc`, which
//! mconsole reads.

use super::mconsole;
use super::run::{Run, descendants};
use super::step::meminfo_kib;
use crate::measure::{self, of};
use agent::driver::{DriverError, Reading};
use agent::machine::{Machine, Plug};
use agent::watch::Unwatched;
use model::report::VmState;
use model::sample::{Metric, Source, Subject};
use std::fs;
use std::path::Path;

/// Bytes of a sector in `/proc/diskstats`, whatever the disk's own are.
const SECTOR: f64 = 512.0;

/// All that can be told now; a frozen guest tells nothing itself, a stopped one has no processes.
pub fn readings(machine: &Machine, run: &Run) -> Result<Vec<Reading>, DriverError> {
    let mut readings = measure::space(machine);
    let state = run.state()?;
    if matches!(state, VmState::Running | VmState::Paused) {
        readings.extend(of_processes(run));
        readings.extend(of_interfaces(machine));
    }
    if state == VmState::Running {
        let ask = |file| read(run, file);
        readings.extend(of_memory(&ask("meminfo")?));
        readings.extend(of_whole(&ask("loadavg")?, &ask("uptime")?, &ask("vmstat")?));
        readings.extend(of_disks(machine, &ask("diskstats")?));
    }
    Ok(readings)
}

/// A file of the guest's `/proc`; empty: a kernel on its way up does not have it yet.
fn read(run: &Run, file: &str) -> Result<String, DriverError> {
    match mconsole::ask(&run.mconsole(), &format!("proc {file}"), &Unwatched) {
        Err(DriverError::Hypervisor { said, .. }) if said == "Failed to open file" => {
            Ok(String::new())
        }
        told => told,
    }
}

/// What the guest costs the node: all processes of its group.
fn of_processes(run: &Run) -> Vec<Reading> {
    let Some(first) = run.pid() else {
        return Vec::new();
    };
    let pids = descendants(first.as_raw_pid());
    let ticks_a_second = rustix::param::clock_ticks_per_second() as f64;
    let cpu_ticks: u64 = pids.iter().map(|&pid| cpu_ticks(pid, pid == pids[0])).sum();
    let mem_kib: u64 = pids
        .iter()
        .filter_map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            meminfo_kib(&text, "Pss")
        })
        .sum();
    let whole = |metric, value| of(Subject::Whole, Source::Hypervisor, metric, value);
    vec![
        // The running total of thousandths of a core is milliseconds of processor time.
        whole(Metric::CpuMilli, cpu_ticks as f64 * 1000.0 / ticks_a_second),
        whole(Metric::MemUsedMib, mem_kib as f64 / 1024.0),
    ]
}

/// Ticks that a process has used, and, of the first, those of its children that have ended.
fn cpu_ticks(pid: i32, with_ended: bool) -> u64 {
    let path = Path::new("/proc").join(pid.to_string()).join("stat");
    let text = fs::read_to_string(path).unwrap_or_default();
    // Fields are counted from behind the name, which may hold blanks; see proc(5), fields 14 to 17.
    let fields = text.rsplit(") ").next().unwrap_or_default();
    let count = if with_ended { 4 } else { 2 };
    let fields = fields.split(' ').skip(11).take(count);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn of_memory(meminfo: &str) -> Vec<Reading> {
    let kib = |field| meminfo_kib(meminfo, field);
    let swap = kib("SwapTotal").zip(kib("SwapFree"));
    [
        (Metric::MemTotalMib, kib("MemTotal")),
        (Metric::MemAvailableMib, kib("MemAvailable")),
        (Metric::SwapUsedMib, swap.map(|(all, free)| all - free)),
    ]
    .into_iter()
    .filter_map(|(metric, kib)| {
        let value = kib? as f64 / 1024.0;
        Some(of(Subject::Whole, Source::Guest, metric, value))
    })
    .collect()
}

fn of_whole(loadavg: &str, uptime: &str, vmstat: &str) -> Vec<Reading> {
    let first = |text: &str| text.split_whitespace().next()?.parse::<f64>().ok();
    let faults = vmstat
        .lines()
        .find_map(|line| line.strip_prefix("pgmajfault "));
    [
        (Metric::LoadMilli, first(loadavg).map(|load| load * 1000.0)),
        (Metric::UptimeSeconds, first(uptime)),
        (Metric::MajorFaults, faults.and_then(first)),
    ]
    .into_iter()
    .filter_map(|(metric, value)| Some(of(Subject::Whole, Source::Guest, metric, value?)))
    .collect()
}

/// Of `ubda`, `ubdb` and so on, as the machine names them; see the kernel's `iostats.rst`.
fn of_disks(machine: &Machine, diskstats: &str) -> Vec<Reading> {
    let mut readings = Vec::new();
    for line in diskstats.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        let letter = fields.get(2).and_then(|name| name.strip_prefix("ubd"));
        let Some(&[letter]) = letter.map(str::as_bytes) else {
            continue; // a partition, or another kind of disk
        };
        let Some(disk) = machine.disks.get(usize::from(letter.wrapping_sub(b'a'))) else {
            continue;
        };
        let field = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let figures = [
            (Metric::ReadIops, field(3)),
            (Metric::ReadKibps, field(5).map(|n| n * SECTOR / 1024.0)),
            (Metric::WriteIops, field(7)),
            (Metric::WriteKibps, field(9).map(|n| n * SECTOR / 1024.0)),
            // Milliseconds of being busy are the running total of thousandths.
            (Metric::BusyMilli, field(12)),
        ];
        for (metric, value) in figures {
            let subject = Subject::Disk(disk.name.clone());
            readings.extend(value.map(|value| of(subject, Source::Guest, metric, value)));
        }
    }
    readings
}

/// Of the node's end of each interface.
fn of_interfaces(machine: &Machine) -> Vec<Reading> {
    let taps = machine.interfaces.iter().filter_map(|interface| {
        let Plug::Tap { name } = &interface.plug else {
            return None; // not let in by validate
        };
        Some(measure::tap(&interface.name, name))
    });
    taps.flatten().collect()
}
