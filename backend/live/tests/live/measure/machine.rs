//! The meter on a machine that is known, and on this one.

use super::readers::told;
use agent::driver::Reading;
use live::measure::{Known, Meter};
use model::sample::{Metric, Subject};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

fn figure(readings: &[Reading], subject: &Subject, metric: Metric) -> Option<f64> {
    let mut found = readings
        .iter()
        .filter(|r| r.subject == *subject && r.metric == metric);
    let value = found.next().map(|reading| reading.value);
    assert_eq!(found.next(), None, "told twice");
    value
}

/// A machine that is a folder: every source is asked, and what is not there is not told.
#[test]
fn a_machine_is_told_whole() {
    let root = tempfile::TempDir::new().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, text).expect("a file");
    };
    let mut meter = Meter::new(root.path());
    let known = Known {
        vms: Some(3),
        promised_mib: Some(8),
        processes: vec![42],
    };
    assert_eq!(told(meter.readings(&known)), ["Whole vms 3"]);

    write("proc/meminfo", "MemTotal: 4096 kB\n");
    write(
        "proc/42/stat",
        "42 (qemu) S 1 1 1 1 1 1 1 1 6 1 7 8 1 1 1 1 1 1 1 1 0\n",
    );
    write(
        "proc/diskstats",
        "1 0 vda 5 0 4 6 0 0 0 0 0 9 0\n1 1 loop0 5 0 4 6 0 0 0 0 0 9 0\n",
    );
    write("sys/block/vda/size", "2048\n");
    write("sys/block/loop0/size", "0\n");
    write("sys/kernel/mm/ksm/pages_sharing", "0\n");
    write("run/utmp", "");
    write("var/log/wtmp", "");
    let common = [
        "Whole mem-total-mib 4",
        "Whole mem-shared-mib 0",
        "Whole mem-overcommit-milli 2000",
        "Whole vms 3",
        "Whole logins 0",
        "Process(42, \"qemu\") cpu-milli 150",
        "Process(42, \"qemu\") major-faults 6",
        "Process(42, \"qemu\") mem-used-mib 0",
    ];
    let disk = |figures: &[&str]| -> Vec<String> {
        let disk = figures
            .iter()
            .map(|figure| format!("Disk(\"vda\") {figure}"));
        common.map(str::to_owned).into_iter().chain(disk).collect()
    };
    assert_eq!(
        told(meter.readings(&known)),
        disk(&[
            "read-iops 5",
            "write-iops 0",
            "read-kibps 2",
            "write-kibps 0",
            "busy-milli 9"
        ])
    );
    write("proc/diskstats", "1 0 vda 9 0 4 8 0 0 0 0 0 9 0\n");
    assert_eq!(
        told(meter.readings(&known)),
        disk(&[
            "read-iops 9",
            "write-iops 0",
            "read-kibps 2",
            "write-kibps 0",
            "busy-milli 9",
            "read-latency-micros 500",
        ])
    );
}

/// This machine tells what it must, and figures follow what is done to it.
#[test]
fn this_machine_is_measured() {
    let mut meter = Meter::new(Path::new("/"));
    let own = std::process::id();
    let known = Known {
        processes: vec![own],
        ..Known::default()
    };
    let before = meter.readings(&known);
    let of =
        |metric| figure(&before, &Subject::Whole, metric).unwrap_or_else(|| panic!("{metric}"));
    let (total, used) = (of(Metric::MemTotalMib), of(Metric::MemUsedMib));
    assert!(used > 0.0 && used < total, "{used} of {total} MiB");
    assert!(of(Metric::UptimeSeconds) > 0.0);
    of(Metric::LoadMilli);
    let cores = before.iter().filter(|reading| {
        matches!(reading.subject, Subject::Core(_)) && reading.metric == Metric::CpuMilli
    });
    let sum: f64 = cores.map(|reading| reading.value).sum();
    let whole = of(Metric::CpuMilli);
    // The kernel rounds each core's figures down to ticks.
    assert!(
        (whole - sum).abs() < 1_000.0,
        "{whole} in all, {sum} on cores"
    );

    let process = |readings: &[Reading], metric| {
        let mut own = readings
            .iter()
            .filter(|r| matches!(r.subject, Subject::Process(id, _) if id == own));
        own.find(|r| r.metric == metric)
            .map(|r| r.value)
            .expect("its own process")
    };
    assert!(process(&before, Metric::MemUsedMib) > 1.0);
    let start = process(&before, Metric::CpuMilli);
    // The kernel counts processes by the nanosecond and the node by ticks, so one may lag behind.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let now = meter.readings(&known);
        let all = figure(&now, &Subject::Whole, Metric::CpuMilli).expect("told before");
        if process(&now, Metric::CpuMilli) >= start + 100.0 && all >= whole + 100.0 {
            break;
        }
        assert!(Instant::now() < deadline, "measuring takes processor time");
    }
}

/// A file's extents are counted where its file system tells them.
#[test]
fn fragments_of_a_file_are_counted() {
    let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
    fs::write(file.path(), vec![1; 100_000]).expect("room");
    file.as_file().sync_all().expect("written");
    let readings = Meter::new(Path::new("/")).slow_readings(&[file.path().to_owned()]);
    let subject = Subject::Volume(file.path().to_string_lossy().into_owned());
    let fragments = figure(&readings, &subject, Metric::Fragments).expect("e2fsprogs has filefrag");
    assert!(fragments < 100_000.0 / 4_096.0, "{fragments}");
}
