//! What a node's kernel tells: texts of known machines, and this one.

use agent::driver::Reading;
use live::machine::{
    cores, disk_totals, fingerprint, kib, load, memory, network_totals, processor, processor_times,
    readings,
};
use model::sample::{Metric, Source, Subject};
use std::path::Path;

fn value(readings: &[Reading], subject: &Subject, metric: Metric) -> Option<f64> {
    let found = readings
        .iter()
        .find(|reading| reading.subject == *subject && reading.metric == metric);
    found.map(|reading| reading.value)
}

/// The processor is named on x86 and RISC-V alike, and nameless where it gives no name.
#[test]
fn processors_are_named() {
    let check = |text: &str, expected: &str| assert_eq!(processor(text), expected);
    check(
        "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n",
        "AMD EPYC",
    );
    check(
        "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc\nuarch\t\t: sifive,u74-mc\n",
        "sifive,u74-mc",
    );
    check("processor\t: 0\nBogoMIPS\t: 50.00\nCPU part\t: 0xd08\n", "");
}

/// Ticks become core-milliseconds; the sum stands for the node, and time that guests took within
/// `user` is not counted twice.
#[test]
fn processor_time_is_in_core_milliseconds() {
    let stat = "cpu  100 20 30 4000 50 6 7 8 90 0\ncpu0 60 10 10 2000 20 3 3 4 50 0\n\
                cpu1 40 10 20 2000 30 3 4 4 40 0\nintr 1 2 3\nctxt 9\n";
    assert_eq!(cores(stat), 2);
    let readings = processor_times(stat);
    let check = |subject, metric, expected| {
        assert_eq!(value(&readings, &subject, metric), Some(expected));
    };
    check(Subject::Whole, Metric::CpuMilli, 1_630.0);
    check(Subject::Whole, Metric::CpuStolenMilli, 80.0);
    check(Subject::Core(1), Metric::CpuMilli, 770.0);
}

/// Memory that is not told is absent, not zero.
#[test]
fn memory_is_in_mebibytes() {
    let meminfo = "MemTotal:        2048000 kB\nMemFree:   1000 kB\nMemAvailable:    1024000 kB\n\
                   Shmem:              2048 kB\n";
    assert_eq!(kib(meminfo, "MemTotal"), Some(2_048_000));
    let readings = memory(meminfo, "pgfault 5\npgmajfault 42\n");
    let figure = |metric| value(&readings, &Subject::Whole, metric);
    assert_eq!(figure(Metric::MemTotalMib), Some(2_000.0));
    assert_eq!(figure(Metric::MemUsedMib), Some(1_000.0));
    assert_eq!(figure(Metric::MemSharedMib), Some(2.0));
    assert_eq!(figure(Metric::MajorFaults), Some(42.0));
    assert_eq!(figure(Metric::SwapUsedMib), None);
    assert_eq!(
        load("8.44 5.93 4.64 15/237 12296\n").map(|r| r.value),
        Some(8_440.0)
    );
}

/// Sectors become KiB; partitions and what is no disk are left out.
#[test]
fn disks_and_networks_are_totals() {
    let diskstats = "   7       0 loop0 1 1 1 1 1 1 1 1 1 1 1 0 0 0 0 0 0\n \
                     254       0 vda 100 5 2000 30 200 6 4000 40 0 50 70 0 0 0 0 3 1\n \
                     254       1 vda1 9 9 9 9 9 9 9 9 9 9 9 0 0 0 0 0 0\n";
    let disks = disk_totals(diskstats, &["vda".to_owned()]);
    let vda = Subject::Disk("vda".to_owned());
    assert_eq!(disks.len(), 5);
    assert_eq!(value(&disks, &vda, Metric::ReadIops), Some(100.0));
    assert_eq!(value(&disks, &vda, Metric::WriteKibps), Some(2_000.0));
    assert_eq!(value(&disks, &vda, Metric::BusyMilli), Some(50.0));
    let dev = "Inter-|   Receive                |  Transmit\n face |bytes    packets\n    \
               lo:    6386      58    0    0    0     0          0         0     6386      58    0 0 0 0 0 0\n  \
               eth0: 1000000   38306    1    2    0     0          0         0  2000   22229    3    4    0     0 0 0\n";
    let networks = network_totals(dev);
    let eth0 = Subject::Interface("eth0".to_owned());
    assert_eq!(networks.len(), 8);
    assert_eq!(value(&networks, &eth0, Metric::ReceivedKbps), Some(8_000.0));
    assert_eq!(value(&networks, &eth0, Metric::SendDrops), Some(4.0));
}

/// This machine has a kernel, cores, memory and disks, and its figures are the node's own.
#[test]
fn this_machine_is_found_out_about() {
    let found = fingerprint(Path::new("/")).expect("a Linux machine");
    let threads = std::thread::available_parallelism().expect("it tells");
    assert!(found.cores as usize >= threads.get(), "{found:?}");
    assert!(found.kernel.starts_with("Linux "), "{found:?}");
    assert!(found.mem_mib > 100, "{found:?}");
    assert!(found.interfaces.iter().all(|i| i.name != "lo"), "{found:?}");
    let readings = readings(Path::new("/"));
    assert!(
        readings
            .iter()
            .all(|reading| reading.source == Source::Node)
    );
    let total = value(&readings, &Subject::Whole, Metric::MemTotalMib);
    assert_eq!(total.map(|mib| mib as u64), Some(found.mem_mib));
    assert!(value(&readings, &Subject::Core(0), Metric::CpuMilli).is_some());
}
