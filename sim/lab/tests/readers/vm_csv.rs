//! Our own format: names of columns, units, what may be missing, and what is refused.

use crate::{check_fault, data, read_bytes, read_data};
use capacity::trace::VmRequest;
use engine::watch::{Cancelled, Watch};
use flate2::{Compression, write::GzEncoder};
use lab::read::{Format, ReadError};
use model::hypervisor::{Arch, Guest, Virtualisation, Work};
use model::time::{Span, Time};
use model::units::Resources;
use model::vm::{AcceleratorAmount, Affinity, Demand, Risk, Scope};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

fn fault(text: &str, expected: &str) {
    check_fault("vms.csv", Format::VmCsv, text, expected);
}

/// Sizes, times, tenants, censoring, a VM from before the start; the unknown column is told.
#[test]
fn reads_a_trace() {
    let trace = read_data("vms.csv");
    let vm = |arrival, duration: Option<i64>, shape, tenant| VmRequest {
        arrival: Time(arrival),
        duration: duration.map(Span),
        shape,
        tenant,
        priority: 0,
        group: None,
    };
    assert_eq!(
        trace.vms,
        [
            vm(-30_000, Some(60_500), 2, 0),
            vm(0, Some(469_000), 0, 0),
            vm(1_000, Some(162_596_000), 1, 1),
            vm(1_000, Some(267_000), 1, 0),
            vm(900_000, None, 3, 2),
        ]
    );
    assert_eq!(trace.tenants, ["web", "db", "lab"]);
    let demands: Vec<_> = trace.shapes.iter().map(|s| s.demand.clone()).collect();
    let fixed = |cpu, mem| Demand::Fixed(Resources::cpu_mem(cpu, mem));
    assert_eq!(
        demands,
        [
            fixed(4_000, 7_168),
            fixed(1_000, 1_792),
            fixed(500, 768),
            fixed(16_000, 114_688)
        ]
    );
    let names: Vec<&str> = trace.names.iter().map(|n| &**n).collect();
    assert_eq!(names, ["3", "0", "1", "2", "4"]);
    assert_eq!(trace.end, Time(172_596_000));
    assert_eq!(trace.notes, ["columns left out: colour"]);
}

/// Every column that the format knows reaches the request.
#[test]
fn reads_every_column() {
    let trace = read_data("vms_all_columns.csv");
    let [front, back, small] = &trace.vms[..] else {
        panic!("three VMs")
    };
    assert_eq!(trace.notes, [""; 0]);
    assert_eq!(&*trace.names[1], "back, end");
    assert_eq!(trace.tenants, ["acme", "Zahradní 1"]);
    assert_eq!((front.priority, back.priority, small.priority), (7, 9, 0));
    assert_eq!((front.duration, back.duration), (Some(Span(60_000)), None));
    assert_eq!(
        (front.group, back.group, small.group),
        (Some(0), Some(0), None)
    );
    assert_eq!(trace.groups.len(), 1);
    assert_eq!(
        (trace.groups[0].kind, trace.groups[0].scope),
        (Affinity::Apart, Scope::Rack)
    );
    let shape = |vm: &VmRequest| &trace.shapes[vm.shape as usize];
    let all = |vm| match shape(vm).demand {
        Demand::Fixed(resources) => resources.to_array(),
        Demand::ShareOfModel(_) => panic!("fixed sizes"),
    };
    assert_eq!(all(front), [1_500, 2_048, 20, 500, 1_000, 0]);
    assert_eq!(all(back), [8_000, 65_536, 500, 9_000, 1_000, 2_000]);
    let spec = shape(front);
    assert_eq!(
        (
            spec.arch,
            spec.guest,
            spec.virtualisation,
            spec.work,
            spec.risk
        ),
        (
            Some(Arch::X86_64),
            Guest::Linux,
            Some(Virtualisation::Para),
            Work::Network,
            Risk::Medium
        )
    );
    assert_eq!(spec.sites.iter().collect::<Vec<_>>(), ["brno", "praha"]);
    assert_eq!(spec.roles.iter().collect::<Vec<_>>(), ["edge"]);
    assert_eq!(spec.expected_load_milli, 250);
    let ask = shape(back).accelerators.as_ref().expect("two devices");
    assert_eq!(ask.amount, AcceleratorAmount::Devices(2));
    assert_eq!(
        ask.models.iter().collect::<Vec<_>>(),
        ["V100M16", "V100M32"]
    );
    assert_eq!(
        shape(back).licences.iter().collect::<Vec<_>>(),
        ["windows-datacenter"]
    );
    let share = shape(small).accelerators.as_ref().expect("a share");
    assert_eq!(share.amount, AcceleratorAmount::ShareMilli(460));
    assert_eq!(shape(small).expected_load_milli, 500);
}

/// Each kind of malformed line ends in one error with its line, its column and what was expected.
#[test]
fn refuses_malformed_lines() {
    let head = "vm_id,start_s,duration_s,vcpu,memory_gb\n0,0,10,1,1\n";
    let check = |line: &str, expected: &str| fault(&format!("{head}{line}\n"), expected);
    check(
        "1,0,abc,1,1",
        "vms.csv:3: duration_s: found \"abc\", expected a number of seconds, at least 0",
    );
    check(
        "1,0,-5,1,1",
        "vms.csv:3: duration_s: found \"-5\", expected a number of seconds, at least 0",
    );
    check(
        "1,,5,1,1",
        "vms.csv:3: start_s: found nothing, expected a number of seconds",
    );
    check(
        "1,0,5,-1,1",
        "vms.csv:3: vcpu: found \"-1\", expected a number of cores, 0 to 4294967",
    );
    check(
        "1,0,5,1,1e99",
        "vms.csv:3: memory_gb: found \"1e99\", expected a number of GiB, 0 to 4194303",
    );
    // Later than the queue of events reaches.
    check(
        "1,1e11,5,1,1",
        "vms.csv:3: start_s: found \"1e11\", expected a number of seconds, at most 31536000000, a thousand years",
    );
    check(
        "1,nan,5,1,1",
        "vms.csv:3: start_s: found \"nan\", expected a number of seconds",
    );
    check(
        "1,0,5,1",
        "vms.csv:3: found 4 fields, expected 5, as in the header",
    );
    check(
        "1,0,5,1,1,1",
        "vms.csv:3: found 6 fields, expected 5, as in the header",
    );
    check(
        "\"1,0,5,1,1",
        "vms.csv:3: found \"\\\"1,0,5,1,1\", expected a quote closed on its line",
    );
    fault(
        "vm_id,start_s,end_s,vcpu,memory_gb\n7,100,50,1,1\n",
        "vms.csv:2: end_s: found \"50\", expected no less than the start, 100",
    );
    fault(
        "start_s,duration_s,vcpu,memory_gb,work\n1,1,1,1,sleep\n",
        "vms.csv:2: work: found \"sleep\", expected one of compute, memory, disk, network",
    );
    fault(
        "start_s,duration_s,vcpu,memory_gb,num_gpu,gpu_milli\n1,1,1,1,2,500\n",
        "vms.csv:2: gpu_milli: found \"500\", expected 1000, or a share where 1 device is asked for, not 2",
    );
    fault(
        "start_s,duration_s,vcpu,memory_gb,group,group_rule\n1,1,1,1,a,apart-node\n1,1,1,1,a,together-node\n",
        "vms.csv:3: group: found \"a\", expected the same rule on every line of a group",
    );
}

/// What traces come packed in is told as such, where it is not gzip.
#[test]
fn refuses_other_packings() {
    let check = |bytes: &[u8], what: &str| {
        assert_eq!(
            read_bytes("a.zip", bytes, None).map(|_| ()),
            Err(format!(
                "a.zip: found {what}, expected a trace, as it is or compressed with gzip"
            ))
        );
    };
    check(b"PK\x03\x04rest", "a zip archive");
    check(b"\x28\xb5\x2f\xfdrest", "zstd");
}

/// What a header lacks is told all at once; a file without VMs is no trace.
#[test]
fn refuses_headers_and_empty_files() {
    fault(
        "vm_id,when,vcpu\n0,0,1\n",
        "vms.csv:1: header: found \"vm_id, when, vcpu\", expected also the columns start_s or start_ms, \
         memory_gb or memory_gib or mem_gib or memory_mib or mem_mib, duration_s or duration_ms or end_s or end_ms",
    );
    fault(
        "start_s,duration_s,vcpu,memory_gb\n",
        "vms.csv: found no VM, expected at least one",
    );
}

/// A mistyped column is told with the name that it was meant to be, whether two or all others are right.
#[test]
fn mistyped_columns_are_recognised() {
    let told = |text: &str| read_bytes("a.csv", text.as_bytes(), None).expect_err("a wrong header");
    let error = told("vm_id,start_s,duration_s,vcpus,memory_gb\n0,0,1,1,1\n");
    let expected = "expected also the columns vcpu or cpu_cores or cores or cpu_milli; \
                    hint: did you mean vcpu for vcpus?";
    assert!(error.ends_with(expected), "{error}");
    let error = told("start_sec,duration,vcpu,memory_gb,colour\n0,1,1,1,1\n");
    let expected = "; hint: did you mean start_s for start_sec, duration_s for duration?";
    assert!(error.ends_with(expected), "{error}");
}

/// A VM without processors, and two of one name, whether they are numbered or not.
#[test]
fn impossible_vms_are_faults() {
    let head = "vm_id,start_s,duration_s,vcpu,memory_gb\n";
    let check = |rows: &str, expected: &str| fault(&format!("{head}{rows}"), expected);
    check(
        "0,0,1,0,1\n",
        "vms.csv:2: vcpu: found \"0\", expected a number of cores, more than 0",
    );
    let twice = |name: &str, line: u32| {
        format!("vms.csv:{line}: vm_id: found \"{name}\", expected a name that no line before has")
    };
    check("0,0,1,1,1\n1,0,1,1,1\n0,0,1,1,1\n", &twice("0", 4));
    check("a,0,1,1,1\nb,0,1,1,1\n\na,0,1,1,1\n", &twice("a", 5));
    check(
        "0,0,1,1,1\nb,0,1,1,1\n2,0,1,1,1\n0,0,1,1,1\n",
        &twice("0", 5),
    );
    let sound = format!("{head}0,0,1,1,1\n00,0,1,1,1\n1,0,1,1,1\n3,0,1,1,1\n2,0,1,1,1\n");
    let trace = read_bytes("vms.csv", sound.as_bytes(), None).expect("all names differ");
    assert_eq!(trace.names.len(), 5);
}

/// A guess is told with the error that it may have caused; what no format knows is refused with all names.
#[test]
fn tells_its_guess() {
    assert_eq!(
        read_bytes("a.csv", b"start_s,vcpu\n0,1\n", None).map(|_| ()),
        Err("a.csv:1: header: found \"start_s, vcpu\", expected also the columns memory_gb or memory_gib or mem_gib \
             or memory_mib or mem_mib, duration_s or duration_ms or end_s or end_ms; hint: read as vm-csv, because \
             its header names a start and processors; name another format if it is one"
            .to_owned())
    );
    let error = read_bytes("a.csv", b"lorem ipsum\n", None).expect_err("no trace");
    assert!(
        error.starts_with(
            "a.csv:1: found \"lorem ipsum\", expected the start of a known trace; hint: name the format, one of vm-csv"
        ),
        "{error}"
    );
}

/// Compressed or not, with either line end, with or without byte-order mark and quotes: one trace.
#[test]
fn one_trace_in_many_dresses() {
    let plain = std::fs::read(data("vms.csv")).expect("a file of ours");
    let expected = read_bytes("vms.csv", &plain, None).expect("a sound file");
    let text = String::from_utf8(plain.clone()).expect("text");
    let quoted: String = text
        .lines()
        .map(|line| format!("\"{}\"\n", line.replace(',', "\",\"")))
        .collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&plain).expect("into memory");
    let gzip = gzip.finish().expect("into memory");
    // Two members, one after the other, are one file to gzip.
    let (first, second) = text.split_at(60);
    let members: Vec<u8> = [first, second]
        .into_iter()
        .flat_map(|part| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(part.as_bytes()).expect("into memory");
            gzip.finish().expect("into memory")
        })
        .collect();
    for dressed in [
        text.replace('\n', "\r\n").into_bytes(),
        format!("\u{feff}{text}").into_bytes(),
        quoted.into_bytes(),
        gzip,
        members,
    ] {
        let mut trace = read_bytes("vms.csv", &dressed, None).expect("a sound file");
        trace.name.clone_from(&expected.name);
        assert_eq!(trace, expected);
    }
}

/// A compressed file that breaks off says so, with the line it had come to.
#[test]
fn refuses_cut_gzip() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(b"start_s,duration_s,vcpu,memory_gb\n")
        .expect("into memory");
    for row in 0..10_000 {
        writeln!(gzip, "{row},1,1,1").expect("into memory");
    }
    let gzip = gzip.finish().expect("into memory");
    let error = read_bytes("vms.csv.gz", &gzip[..gzip.len() / 2], None).expect_err("half a file");
    let line = error
        .strip_prefix("vms.csv.gz:")
        .and_then(|e| e.strip_suffix(": cannot read"));
    let line: u32 = line
        .and_then(|l| l.parse().ok())
        .unwrap_or_else(|| panic!("{error}"));
    assert!((4_000..6_000).contains(&line), "{error}");
}

/// Times counted from an epoch are counted from the first arrival; VMs gone before the start are left out.
#[test]
fn brings_times_to_zero() {
    let head = "name,start_s,duration_s,vcpu,memory_gb\n";
    let text = format!("{head}a,1600000060,5,1,1\nb,1600000000,,1,1\n");
    let trace = read_bytes("vms.csv", text.as_bytes(), None).expect("sound");
    let arrivals: Vec<i64> = trace.vms.iter().map(|vm| vm.arrival.0).collect();
    assert_eq!((arrivals, trace.end), (vec![0, 60_000], Time(65_000)));
    assert_eq!(
        trace.notes,
        ["times are counted from the first arrival, 1600000000 s"]
    );
    let text = format!("{head}a,-60,5,1,1\nb,-60,70,1,1\n");
    let trace = read_bytes("vms.csv", text.as_bytes(), None).expect("sound");
    assert_eq!((trace.vms.len(), &*trace.names[0]), (1, "b"));
    assert_eq!(
        trace.notes,
        ["VMs that ended before the start are left out: 1"]
    );
}

struct Patience {
    calls: AtomicU64,
    last: AtomicU64,
    limit: u64,
}

impl Watch for Patience {
    fn progress(&self, done: u64, total: u64) -> Result<(), Cancelled> {
        assert!(self.last.swap(done, Ordering::Relaxed) <= done && done <= total);
        if self.calls.fetch_add(1, Ordering::Relaxed) < self.limit {
            Ok(())
        } else {
            Err(Cancelled)
        }
    }
}

/// Progress is told in bytes of the file and ends at its size; who watches can end the reading.
#[test]
fn tells_progress_and_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vms.csv");
    let mut text = "start_s,duration_s,vcpu,memory_gb\n".to_owned();
    text.push_str(&"1,1,1,1\n".repeat(100_000));
    std::fs::write(&path, &text).expect("a file");
    let patience = |limit| Patience {
        calls: AtomicU64::new(0),
        last: AtomicU64::new(0),
        limit,
    };
    let patient = patience(u64::MAX);
    lab::read::trace(&path, None, &patient).expect("sound");
    assert_eq!(patient.last.load(Ordering::Relaxed), text.len() as u64);
    assert!(patient.calls.load(Ordering::Relaxed) > 4);
    for limit in 0..4 {
        let error = lab::read::trace(&path, None, &patience(limit)).expect_err("stopped");
        assert!(matches!(error, ReadError::Cancelled(_)), "{error}");
    }
}
