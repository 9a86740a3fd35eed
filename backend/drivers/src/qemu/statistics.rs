//! What can be measured of a VM: QEMU tells of disks, the node of QEMU's threads and of taps, the
//! guest of its memory through its balloon. What one of them cannot tell is left out.

use super::command_line::disk_device;
use super::look::Look;
use super::power::tap_of;
use super::qmp::Qmp;
use crate::folder::Folder;
use crate::measure::{self, of};
use agent::driver::{DriverError, Reading};
use agent::machine::Machine;
use agent::watch::Unwatched;
use model::id::VmId;
use model::sample::{Metric, Source, Subject};
use serde_json::{Value, json};
use std::fs;

/// How often the guest is asked of its memory, in seconds.
pub(super) const ASK_GUEST_SECONDS: u32 = 5;

const MIB: f64 = (1 << 20) as f64;

/// All of it; of a VM that does not run, the space that its disks take.
///
/// # Errors
/// Where QEMU does not answer.
pub(super) fn readings(folder: &Folder, vm: VmId) -> Result<Vec<Reading>, DriverError> {
    let Some(look) = Look::at(folder, vm)? else {
        return Ok(Vec::new());
    };
    let mut readings = measure::space(&look.machine);
    let Some(process) = &look.process else {
        return Ok(readings);
    };
    let mut connection = Look::connect(folder, vm)?;
    let mut ask = |command: &str, arguments: Option<Value>| {
        connection.execute(command, arguments.as_ref(), &Unwatched)
    };
    let cpus = ask("query-cpus-fast", None)?;
    let disks = ask("query-blockstats", None)?;
    readings.extend(look.seen.mem_mib.map(|mem_mib| {
        let (source, metric) = (Source::Hypervisor, Metric::MemTotalMib);
        of(Subject::Whole, source, metric, f64::from(mem_mib))
    }));
    readings.extend(of_process(process.pid, &cpus));
    readings.extend(of_disks(&look.machine, &disks));
    readings.extend(of_interfaces(&look.machine));
    readings.extend(of_guest(&mut connection));
    Ok(readings)
}

/// Processor time of the whole and of each vCPU's thread, and the memory that QEMU really has.
fn of_process(pid: u32, cpus: &Value) -> Vec<Reading> {
    let task = format!("/proc/{pid}");
    let mut readings = Vec::new();
    let mut add = |subject, metric, value: Option<f64>| {
        readings.extend(value.map(|value| of(subject, Source::Hypervisor, metric, value)));
    };
    add(Subject::Whole, Metric::CpuMilli, cpu_millis(&task));
    let pages = fs::read_to_string(format!("{task}/statm")).unwrap_or_default();
    let mib = |field: usize| {
        let pages: f64 = pages.split(' ').nth(field)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as f64 / MIB)
    };
    // Of proc(5): resident pages, and those of them that belong to files.
    add(Subject::Whole, Metric::MemUsedMib, mib(1));
    add(Subject::Whole, Metric::MemSharedMib, mib(2));
    for cpu in cpus.as_array().into_iter().flatten() {
        let (Some(index), Some(thread)) = (cpu["cpu-index"].as_u64(), cpu["thread-id"].as_u64())
        else {
            continue;
        };
        let core = || Subject::Core(u32::try_from(index).unwrap_or(u32::MAX));
        let task = format!("{task}/task/{thread}");
        add(core(), Metric::CpuMilli, cpu_millis(&task));
        add(core(), Metric::CpuStolenMilli, waited_millis(&task));
    }
    readings
}

/// The running total of thousandths of a core is milliseconds of processor time.
fn cpu_millis(task: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("{task}/stat")).ok()?;
    // Fields are counted from behind the name, which may hold blanks; user and system time are
    // fields 14 and 15 of proc(5).
    let fields = text.rsplit(") ").next()?.split(' ').skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(ticks as f64 * 1_000.0 / rustix::param::clock_ticks_per_second() as f64)
}

/// Time that a thread was ready and had to wait (the kernel's `sched-stats.rst`).
fn waited_millis(task: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("{task}/schedstat")).ok()?;
    let nanos: f64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(nanos / 1e6)
}

fn of_disks(machine: &Machine, answer: &Value) -> Vec<Reading> {
    let mut readings = Vec::new();
    for (index, disk) in machine.disks.iter().enumerate() {
        let place = format!("/machine/peripheral/{}/", disk_device(index));
        let is_its = |told: &&Value| {
            told["qdev"]
                .as_str()
                .is_some_and(|at| at.starts_with(&place))
        };
        let told = answer.as_array().into_iter().flatten().find(is_its);
        let Some(stats) = told.map(|told| &told["stats"]) else {
            continue;
        };
        let field = |name: &str| stats[name].as_f64();
        let mean_micros = |nanos: &str, count: &str| {
            let count = field(count).filter(|&count| count > 0.0)?;
            Some(field(nanos)? / count / 1e3)
        };
        let figures = [
            (Metric::ReadIops, field("rd_operations")),
            (Metric::WriteIops, field("wr_operations")),
            (
                Metric::ReadKibps,
                field("rd_bytes").map(|bytes| bytes / 1024.0),
            ),
            (
                Metric::WriteKibps,
                field("wr_bytes").map(|bytes| bytes / 1024.0),
            ),
            (
                Metric::ReadLatencyMicros,
                mean_micros("rd_total_time_ns", "rd_operations"),
            ),
            (
                Metric::WriteLatencyMicros,
                mean_micros("wr_total_time_ns", "wr_operations"),
            ),
        ];
        for (metric, value) in figures {
            let subject = Subject::Disk(disk.name.clone());
            readings.extend(value.map(|value| of(subject, Source::Hypervisor, metric, value)));
        }
    }
    readings
}

/// Of the node's end of each interface that has one.
fn of_interfaces(machine: &Machine) -> Vec<Reading> {
    let interfaces = machine.interfaces.iter().enumerate();
    let taps = interfaces.filter_map(|(index, interface)| {
        let tap = tap_of(machine, index, interface)?;
        Some(measure::tap(&interface.name, &tap))
    });
    taps.flatten().collect()
}

/// What the guest's balloon driver told last; a guest without one tells nothing.
fn of_guest(connection: &mut Qmp) -> Vec<Reading> {
    let arguments = json!({ "path": "/machine/peripheral/balloon", "property": "guest-stats" });
    let Ok(told) = connection.execute("qom-get", Some(&arguments), &Unwatched) else {
        return Vec::new();
    };
    if told["last-update"].as_u64().unwrap_or(0) == 0 {
        return Vec::new();
    }
    // A guest that does not know a figure leaves it at the greatest number.
    let stat = |name: &str| {
        told["stats"][name]
            .as_u64()
            .filter(|&value| value != u64::MAX)
    };
    let mib = |name: &str| stat(name).map(|bytes| bytes as f64 / MIB);
    let used = mib("stat-total-memory").zip(mib("stat-free-memory"));
    [
        (Metric::MemTotalMib, mib("stat-total-memory")),
        (Metric::MemUsedMib, used.map(|(total, free)| total - free)),
        (Metric::MemAvailableMib, mib("stat-available-memory")),
        (
            Metric::MajorFaults,
            stat("stat-major-faults").map(|faults| faults as f64),
        ),
    ]
    .into_iter()
    .filter_map(|(metric, value)| Some(of(Subject::Whole, Source::Guest, metric, value?)))
    .collect()
}
