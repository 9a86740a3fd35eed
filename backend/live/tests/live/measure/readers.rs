//! The readers on text that is known, and on text that nobody meant.

use agent::driver::Reading;
use live::measure::disk::{self, Totals};
use live::measure::{interface, login, memory, process, processor, volume};
use model::sample::Source;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

const STAT: &str = "cpu  100 20 30 4000 50 6 7 8 9 0\ncpu1 1 2 3 4 5 6 7 8 0 0\nintr 5 0\nctxt 9\n";
const MEMINFO: &str = "MemTotal:       4096 kB\nMemFree:  1024 kB\nMemAvailable: 3072 kB\n\
                       SwapTotal: 2048 kB\nSwapFree: 1024 kB\n";
const DISKSTATS: &str = " 254  0 vda 10 1 2048 40 20 2 4096 100 0 70 140 0 0 0 0 5 6\n";
const DEV: &str = "Inter-|   Receive\n face |bytes packets\n\
                   lo: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n\
                   eth0: 1000 2 3 4 0 0 0 0 5000 6 7 8 0 0 0 0\n\
                   gwx7: 2000 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n\
                   eth0.5:3000 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n\
                   gw7-0: 4000 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
const PROCESS: &str = "42 (qemu (a) b) S 1 42 42 0 -1 4194304 9 0 12 0 14 15 0 0 20 0 1 0 5 \
                       999 512 18446744073709551615";
const IO: &str = "rchar: 9\nread_bytes: 2048\nwrite_bytes: 1024\ncancelled_write_bytes: 0\n";
const MOUNTS: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                      28 27 254:0 /srv /bound rw - ext4 /dev/vda rw\n\
                      29 27 0:5 / /proc rw - proc proc rw\n\
                      30 27 254:16 / /a\\040disk rw shared:1 - xfs /dev/vdb rw\n";
const HEALTH: &str = r#"{"temperature": {"current": 35}, "ata_smart_attributes": {"table": [
    {"id": 1, "raw": {"value": 9}}, {"id": 5, "name": "Reallocated_Sector_Ct", "raw": {"value": 12}}]}}"#;

/// Readings as `subject metric value`, one a line.
pub fn told(readings: impl IntoIterator<Item = Reading>) -> Vec<String> {
    let line = |reading: Reading| {
        assert_eq!(reading.source, Source::Node);
        format!("{:?} {} {}", reading.subject, reading.metric, reading.value)
    };
    readings.into_iter().map(line).collect()
}

/// Ticks come as milliseconds, idle time left out, of the node and of each core.
#[test]
fn processor_times_are_read() {
    assert_eq!(
        told(processor::times(STAT)),
        [
            "Whole cpu-milli 1630",
            "Whole cpu-stolen-milli 80",
            "Core(1) cpu-milli 190",
            "Core(1) cpu-stolen-milli 80",
        ]
    );
    assert_eq!(
        told(processor::load("0.25 0.1 0.0 1/200 999")),
        ["Whole load-milli 250"]
    );
    assert_eq!(
        told(processor::uptime("12.50 20.00")),
        ["Whole uptime-seconds 12.5"]
    );
}

/// KiB and pages come as MiB; without swap space there is no figure of it.
#[test]
fn memory_is_read() {
    let all = [
        "Whole mem-total-mib 4",
        "Whole mem-used-mib 1",
        "Whole mem-available-mib 3",
        "Whole swap-used-mib 1",
    ];
    assert_eq!(told(memory::used(MEMINFO)), all);
    let without = MEMINFO.replace("2048 kB", "0 kB");
    assert_eq!(told(memory::used(&without)), all[..3]);
    assert_eq!(
        told(memory::faults("pgfault 9\npgmajfault 12\n")),
        ["Whole major-faults 12"]
    );
    assert_eq!(
        told(memory::shared("512\n", 4_096)),
        ["Whole mem-shared-mib 2"]
    );
    assert_eq!(
        told(memory::overcommit(MEMINFO, 6)),
        ["Whole mem-overcommit-milli 1500"]
    );
}

/// A name with blanks and brackets does not shift the fields.
#[test]
fn processes_are_read() {
    let name = r#"Process(42, "qemu (a) b")"#;
    assert_eq!(
        told(process::readings(42, PROCESS, IO, 4_096)),
        [
            "cpu-milli 290",
            "major-faults 12",
            "mem-used-mib 2",
            "read-kibps 2",
            "write-kibps 1",
        ]
        .map(|figure| format!("{name} {figure}"))
    );
    assert_eq!(
        told(process::readings(42, "", "", 4_096)),
        Vec::<String>::new()
    );
}

/// Sectors come as KiB; latencies only of operations that ended since the last time.
#[test]
fn disks_are_read() {
    let [totals] = <[Totals; 1]>::try_from(disk::totals(DISKSTATS)).expect("one disk");
    let counts = [
        "read-iops 10",
        "write-iops 20",
        "read-kibps 1024",
        "write-kibps 2048",
        "busy-milli 70",
    ];
    let with = |more: &[&str]| -> Vec<String> {
        let figures = counts.iter().chain(more);
        figures
            .map(|figure| format!("Disk(\"vda\") {figure}"))
            .collect()
    };
    assert_eq!(told(totals.readings(None)), with(&[]));
    let mut before = totals.waits;
    assert_eq!(told(totals.readings(Some(before))), with(&[]));
    before.operations[0] -= 4.0;
    before.millis[0] -= 10.0;
    assert_eq!(
        told(totals.readings(Some(before))),
        with(&["read-latency-micros 2500"])
    );
    // Counters that began anew tell no latency.
    before.operations = [100.0, 100.0];
    assert_eq!(told(totals.readings(Some(before))), with(&[]));
    assert_eq!(
        told(disk::health("sda", HEALTH)),
        [
            "Disk(\"sda\") reallocated-sectors 12",
            "Disk(\"sda\") temperature-celsius 35"
        ]
    );
    assert_eq!(told(disk::health("sda", "{}")), Vec::<String>::new());
}

/// File systems on disks count once, however often they are mounted.
#[test]
fn volumes_are_read() {
    assert_eq!(
        volume::mounts(MOUNTS),
        [Path::new("/"), Path::new("/a disk")]
    );
    let fragments = |printed| told(volume::fragments(Path::new("/d: 1"), printed));
    assert_eq!(
        fragments("/d: 1: 3 extents found\n"),
        ["Volume(\"/d: 1\") fragments 2"]
    );
    assert_eq!(
        fragments("/d: 1: 0 extents found\n"),
        ["Volume(\"/d: 1\") fragments 0"]
    );
    assert_eq!(
        fragments("/d: 1: FIBMAP unsupported\n"),
        Vec::<String>::new()
    );
}

/// A trunk and a VLAN come under their numbers; the loopback and the taps of VMs are left out.
#[test]
fn interfaces_are_read() {
    let vlans = interface::vlans("VLAN Dev name    | VLAN ID\nName-Type: x\neth0.5 | 5  | eth0\n");
    let told = told(interface::totals(DEV, &vlans));
    assert_eq!(
        told[..8],
        [
            "received-kbps 8",
            "received-packets 2",
            "receive-errors 3",
            "receive-drops 4",
            "sent-kbps 40",
            "sent-packets 6",
            "send-errors 7",
            "send-drops 8",
        ]
        .map(|figure| format!("Interface(\"eth0\") {figure}"))
    );
    assert_eq!(told[8], "Vlan(7) received-kbps 16");
    assert_eq!(told[16], "Vlan(5) received-kbps 24");
    assert_eq!(told.len(), 24);
}

/// Users who are there, boots after the first, shutdowns in order; a record cut short is none.
#[test]
fn logins_are_read() {
    let record = |kind: i16, user: &str| -> Vec<u8> {
        let bytes = if cfg!(target_arch = "aarch64") {
            400
        } else {
            384
        };
        let mut record = vec![0; bytes];
        record[..2].copy_from_slice(&kind.to_ne_bytes());
        record[44..44 + user.len()].copy_from_slice(user.as_bytes());
        record
    };
    let (boot, login) = (record(2, "reboot"), record(7, "ada"));
    let down = record(1, "shutdown");
    let level = record(1, "runlevel");
    let wtmp = [&boot, &level, &login, &down, &boot, &level, &boot]
        .map(Vec::as_slice)
        .concat();
    assert_eq!(
        told(login::ups_and_downs(&wtmp)),
        ["Whole stops 1", "Whole reboots 2"]
    );
    assert_eq!(told(login::ups_and_downs(&[])), Vec::<String>::new());
    let utmp = [&boot[..], &login, &login, &login[..100]].concat();
    assert_eq!(told([login::logins(&utmp)]), ["Whole logins 2"]);
}

/// One of the texts above, cut and overwritten anywhere.
fn mutilated() -> impl Strategy<Value = String> {
    let texts = [STAT, MEMINFO, DISKSTATS, DEV, PROCESS, IO, MOUNTS, HEALTH];
    let bytes = prop_oneof![
        Just(b' '),
        Just(b'\n'),
        Just(b'-'),
        Just(b'\\'),
        any::<u8>()
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), bytes), 0..6);
    let cut = any::<prop::sample::Index>();
    (prop::sample::select(texts.to_vec()), changes, cut).prop_map(|(text, changes, cut)| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(text.len() + 1));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

proptest! {
    /// Whatever the text, readers end, and tell figures that are finite and not below zero.
    #[test]
    fn no_text_breaks_the_readers(text in prop_oneof![4 => mutilated(), 1 => any::<String>()]) {
        let mut readings = processor::times(&text);
        readings.extend(processor::load(&text));
        readings.extend(processor::uptime(&text));
        readings.extend(memory::used(&text));
        readings.extend(memory::faults(&text));
        readings.extend(memory::shared(&text, 4_096));
        readings.extend(memory::overcommit(&text, 1));
        readings.extend(process::readings(1, &text, &text, 4_096));
        for totals in disk::totals(&text) {
            readings.extend(totals.readings(Some(disk::Waits::default())));
        }
        readings.extend(interface::totals(&text, &interface::vlans(&text)));
        readings.extend(login::ups_and_downs(text.as_bytes()));
        readings.push(login::logins(text.as_bytes()));
        readings.extend(volume::fragments(&PathBuf::new(), &text));
        volume::mounts(&text);
        for reading in readings {
            prop_assert!(reading.value.is_finite() && reading.value >= 0.0, "{:?}", reading);
        }
        // A disk may be below freezing.
        for reading in disk::health("sda", &text) {
            prop_assert!(reading.value.is_finite(), "{:?}", reading);
        }
    }
}
