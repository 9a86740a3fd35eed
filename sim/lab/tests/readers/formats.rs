//! The formats of others: what each becomes, and what each refuses.

use crate::{check_fault, data, read_bytes, read_data, told};
use capacity::outcome::Fate;
use capacity::run::{Options, run};
use capacity::trace::Trace;
use engine::watch::Unwatched;
use lab::read::{Format, azure_packing};
use model::id::NodeId;
use model::time::Time;
use model::vm::{AcceleratorAmount, Demand};
use placement::policy::Policy;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// A VM in short: name, arrival and life in milliseconds, cpu_milli, mem_mib, tenant, priority.
type Short<'a> = (&'a str, i64, Option<i64>, u32, u32, &'a str, u8);

fn check_vms(trace: &Trace, expected: &[Short<'_>]) {
    let short: Vec<Short<'_>> = trace
        .vms
        .iter()
        .zip(&trace.names)
        .map(|(vm, name)| {
            let Demand::Fixed(size) = trace.shapes[vm.shape as usize].demand else {
                panic!("fixed sizes");
            };
            let tenant = trace.tenants[vm.tenant as usize].as_str();
            let life = vm.duration.map(|d| d.0);
            let (cpu, mem) = (size.cpu_milli.0, size.mem_mib.0);
            (&**name, vm.arrival.0, life, cpu, mem, tenant, vm.priority)
        })
        .collect();
    assert_eq!(short, expected);
}

/// Creations and deletions of Huawei-East-1 are paired; an id may come back after its deletion.
#[test]
fn huawei() {
    let trace = read_data("huawei.csv");
    check_vms(
        &trace,
        &[
            ("0", 0, Some(75_000), 1_000, 2_048, "all", 0),
            ("1", 10_000, Some(65_500), 4_000, 8_192, "all", 0),
            ("17", 60_000, None, 2_000, 4_096, "all", 0),
            ("0", 100_000, None, 1_000, 2_048, "all", 0),
        ],
    );
    assert_eq!(trace.end, Time(100_000));
}

/// A deletion of nobody, a second creation, time that runs backwards, an unknown type.
#[test]
fn huawei_faults() {
    let check = |lines: &str, expected: &str| {
        let text = format!("vmid,cpu,memory,time,type\n0,1,2,5,0\n{lines}\n");
        check_fault("h.csv", Format::HuaweiCsv, &text, expected);
    };
    check(
        "7,1,2,6,1",
        "h.csv:3: vmid: found \"7\", expected a VM that runs, to delete it",
    );
    check(
        "0,1,2,6,1\n0,1,2,7,1",
        "h.csv:4: vmid: found \"0\", expected a VM that runs, to delete it",
    );
    check(
        "0,1,2,6,0",
        "h.csv:3: vmid: found \"0\", expected a VM that does not run yet, to create it",
    );
    check(
        "0,1,2,4,1",
        "h.csv:3: time: found \"4\", expected no less than its creation, 5",
    );
    check(
        "0,1,2,6,2",
        "h.csv:3: type: found \"2\", expected 0 to create or 1 to delete",
    );
    check_fault(
        "h.csv",
        Format::HuaweiCsv,
        "vmid,cpu,time\n",
        "h.csv:1: header: found \"vmid, cpu, time\", expected also the columns memory, type",
    );
}

/// Pods of openb: whole devices, a share of one, models, quality as priority; open where not deleted.
#[test]
fn openb_pods() {
    let trace = read_data("openb_pods.csv");
    check_vms(
        &trace,
        &[
            ("pod-0", 0, Some(12_537_496_000), 12_000, 16_384, "all", 2),
            ("pod-2", 427_000_000, Some(0), 4_000, 8_192, "all", 1),
            (
                "pod-1",
                427_061_000,
                Some(12_475_899_000),
                6_000,
                12_288,
                "all",
                0,
            ),
            ("pod-3", 500_000_000, None, 96_000, 393_216, "all", 2),
        ],
    );
    let asks: Vec<_> = trace
        .vms
        .iter()
        .map(|vm| {
            let ask = trace.shapes[vm.shape as usize].accelerators.as_ref();
            ask.map(|ask| {
                let models: Vec<&str> = ask.models.iter().map(String::as_str).collect();
                (ask.amount, models.join(" "))
            })
        })
        .collect();
    assert_eq!(
        asks,
        [
            Some((AcceleratorAmount::Devices(1), String::new())),
            None,
            Some((AcceleratorAmount::ShareMilli(460), String::new())),
            Some((AcceleratorAmount::Devices(8), "V100M16 V100M32".to_owned())),
        ]
    );
    assert_eq!(trace.notes, [""; 0]);
}

/// Faulty shares, ends before starts, unknown qualities.
#[test]
fn openb_faults() {
    let check = |line: &str, expected: &str| {
        let head =
            "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,creation_time,deletion_time";
        check_fault(
            "p.csv",
            Format::OpenbCsv,
            &format!("{head}\n{line}\n"),
            expected,
        );
    };
    check(
        "a,1,1,1,0,,BE,0,1",
        "p.csv:2: gpu_milli: found \"0\", expected a whole number, 1 to 1000, where num_gpu is not 0",
    );
    check(
        "a,1,1,17,1000,,BE,0,1",
        "p.csv:2: num_gpu: found \"17\", expected a whole number, 0 to 16",
    );
    check(
        "a,1,1,0,0,,XX,0,1",
        "p.csv:2: qos: found \"XX\", expected one of LS, Guaranteed, Burstable, BE",
    );
    check(
        "a,1,1,0,0,,BE,5,1",
        "p.csv:2: deletion_time: found \"1\", expected no less than creation_time, 5",
    );
}

/// The node list of openb is a grid: equal nodes share a class, devices are told by model.
#[test]
fn openb_nodes() {
    let grid = lab::read::grid(&data("openb_nodes.csv")).expect("a sound grid");
    let classes: Vec<&str> = grid.classes.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(classes, ["64c-256g-2xP100", "96c-384g-8xG2", "32c-128g"]);
    let of_nodes: Vec<u32> = grid.nodes.iter().map(|node| node.class.0).collect();
    assert_eq!(of_nodes, [0, 1, 0, 2]);
    let devices = grid.classes[1]
        .accelerators
        .as_ref()
        .expect("eight devices");
    assert_eq!((devices.model.as_str(), devices.count), ("G2", 8));
    assert_eq!(grid.classes[1].capacity.accel_milli.0, 8_000);
    assert_eq!(grid.classes[2].capacity.cpu_milli.0, 32_000);
    assert_eq!(grid.nodes[3].name, "node-0003");
}

/// A grid of either kind is refused with its line; of TOML all faults are told.
#[test]
fn grid_faults() {
    let check = |name: &str, text: &[u8], expected: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        let error = lab::read::grid(&path).expect_err("a faulty grid");
        assert_eq!(told(&error, folder.path()), expected);
    };
    let head = "sn,cpu_milli,memory_mib,gpu,model\na,1,1,0,\n";
    let csv = |line: &str, expected| check("n.csv", format!("{head}{line}\n").as_bytes(), expected);
    csv(
        "b,-1,1,0,",
        "n.csv:3: cpu_milli: found \"-1\", expected a number of thousandths of a core, 0 to 4294967295",
    );
    csv(
        "a,1,1,0,",
        "n.csv:3: sn: found \"a\", expected a name that no line before has",
    );
    csv(
        "b,1,1,2,",
        "n.csv:3: model: found nothing, expected a model, where gpu is not 0",
    );
    check(
        "n.csv",
        b"sn,cpu_milli,memory_mib,gpu,model\n",
        "n.csv: found no node, expected at least one",
    );
    check(
        "g.toml",
        b"[[node]]\nname = 'a'\ncpu_cores = -4\nmem_gib = 1\nhypervisor = 'qemu'\n",
        "g.toml:3: node[0].cpu_cores: found -4, expected a number from 0.001 to 4294967.295",
    );
    check(
        "g.toml",
        b"[[node]]\n# \xff\n",
        "g.toml:2: found the byte 0xff, which is no UTF-8, expected a grid in TOML",
    );
}

/// Jobs of the Standard Workload Format: asked before given, memory for each processor, the cancelled left out.
#[test]
fn swf() {
    let trace = read_data("jobs.swf");
    check_vms(
        &trace,
        &[
            ("1", 0, Some(120_000), 4_000, 4_096, "7", 0),
            ("2", 30_000, Some(900_000), 8_000, 0, "7", 0),
            ("5", 40_000, Some(60_500), 1_000, 0, "9", 0),
            ("3", 45_000, Some(10_000), 16_000, 4_096, "unknown", 0),
        ],
    );
    assert_eq!(
        trace.notes,
        ["jobs without submit time, processors or run time are left out: 1"]
    );
}

/// A job that asked for no processors runs on those that it was given; one that nobody knows the
/// submit time of is left out.
#[test]
fn swf_jobs_with_odd_numbers() {
    let job = |submit: i32, given: u32, asked: i32| {
        format!("1 {submit} 5 60 {given} -1 -1 {asked} 600 -1 1 7 1 1 1 1 -1 -1\n")
    };
    let text = [job(0, 4, 0), job(10, 4, -1), job(-1, 4, 4), job(20, 0, 0)].concat();
    let trace = read_bytes("j.swf", text.as_bytes(), None).expect("two sound jobs");
    let cores = trace
        .vms
        .iter()
        .map(|vm| &trace.shapes[vm.shape as usize].demand);
    let four = model::vm::Demand::Fixed(model::units::Resources::cpu_mem(4_000, 0));
    assert_eq!(cores.collect::<Vec<_>>(), [&four, &four]);
    assert_eq!(
        trace.notes,
        ["jobs without submit time, processors or run time are left out: 2"]
    );
}

/// Too few numbers, words among them, a line without end.
#[test]
fn swf_faults() {
    let check = |text: &str, expected: &str| check_fault("j.swf", Format::Swf, text, expected);
    check("; c\n1 2 3\n", "j.swf:2: found 3 numbers, expected 18");
    let job = "1 0 5 x 4 -1 -1 4 600 -1 1 7 1 1 1 1 -1 -1\n";
    check(job, "j.swf:1: run_time: found \"x\", expected a number");
    check(
        &job.replace(" x 4", " 1e300 4"),
        "j.swf:1: run_time: found \"1e300\", expected a number of seconds, at most 31536000000, a thousand years",
    );
    check(
        &";".repeat(70_000),
        "j.swf:1: found a line of more than 65536 bytes, expected a row of a trace",
    );
}

/// A folder of PlanetLab, or the archive of one: types by quarter in the order of upper-cased names, loads by mean.
#[test]
fn planetlab() {
    let files = [
        ("Alpha", 10),
        ("beta", 0),
        ("Gamma", 99),
        ("delta", 50),
        ("epsilon", 3),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let mut archive = tar::Builder::new(Vec::new());
    for (name, percent) in files {
        let text = format!("{percent}\n").repeat(288);
        std::fs::write(folder.path().join(name), &text).expect("a file");
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        let path = format!("20110303/{name}");
        archive
            .append_data(&mut header, path, text.as_bytes())
            .expect("into memory");
    }
    let day = Some(86_400_000);
    let expected: [Short<'_>; 5] = [
        ("Alpha", 0, day, 2_500, 870, "all", 0),
        ("beta", 0, day, 2_500, 870, "all", 0),
        ("delta", 0, day, 2_000, 1_740, "all", 0),
        ("epsilon", 0, day, 2_000, 1_740, "all", 0),
        ("Gamma", 0, day, 1_000, 1_740, "all", 0),
    ];
    let of_folder = lab::read::trace(folder.path(), None, &Unwatched).expect("a sound folder");
    let around = tempfile::tempdir().expect("a folder");
    std::fs::rename(folder.path(), around.path().join("20110303")).expect("on one disk");
    let of_outer = lab::read::trace(around.path(), None, &Unwatched).expect("one folder deep");
    std::fs::create_dir(around.path().join("20110306")).expect("a folder");
    let two = lab::read::trace(around.path(), None, &Unwatched).expect_err("two days");
    let two = crate::told(&two, around.path());
    assert!(
        two.contains("found 2 folders, expected one file a VM, as 20110303 may"),
        "{two}"
    );
    let archive = archive.into_inner().expect("into memory");
    let of_archive = read_bytes("day.tar", &archive, None).expect("a sound archive");
    for trace in [of_folder, of_outer, of_archive] {
        check_vms(&trace, &expected);
        let loads = trace.vms.iter();
        let loads = loads.map(|vm| trace.shapes[vm.shape as usize].expected_load_milli);
        assert_eq!(loads.collect::<Vec<_>>(), [100, 0, 500, 30, 990]);
    }
}

/// A day with too few, too many or too large numbers is refused with file and line; so is a folder without files.
#[test]
fn planetlab_faults() {
    let check = |text: String, expected: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("vm"), text).expect("a file");
        let error = lab::read::trace(folder.path(), None, &Unwatched).expect_err("a faulty day");
        assert_eq!(told(&error, folder.path()), expected);
    };
    let percent = "expected a whole number of per cent, 0 to 100";
    check(
        "5\n".repeat(287),
        &format!("vm:288: found nothing, {percent}"),
    );
    check(
        "5\n".repeat(286) + "5",
        "vm:287: found 287 lines, expected 288",
    );
    check(
        "5\n".repeat(289),
        "vm:289: found \"5\", expected an end after 288 lines",
    );
    check(
        format!("5\n101\n{}", "5\n".repeat(286)),
        &format!("vm:2: found \"101\", {percent}"),
    );
    let empty = tempfile::tempdir().expect("a folder");
    let error = lab::read::trace(empty.path(), None, &Unwatched).expect_err("no VM");
    assert!(
        error
            .to_string()
            .ends_with("found no file, expected one file a VM"),
        "{error}"
    );
}

/// The tables of the Azure packing trace, small.
pub(crate) fn packing(path: &Path, extra: &str) {
    let connection = Connection::open(path).expect("a database");
    connection
        .execute_batch(&format!(
            "CREATE TABLE vmType (id INTEGER, vmTypeId INTEGER, machineId INTEGER, core REAL, memory REAL, hdd REAL,
                                  ssd REAL, nic REAL);
             CREATE TABLE vm (vmId INTEGER, tenantId INTEGER, vmTypeId INTEGER, priority INTEGER, starttime REAL,
                              endtime REAL);
             INSERT INTO vmType VALUES (0, 5, 12, 0.5, 0.25, NULL, 0.125, 0.1), (1, 5, 16, 0.25, 0.125, 0, 0.0625, 0.1),
                                       (2, 6, 16, 0.3333333333333333, 0.333333, 0.01, 0, 1);
             INSERT INTO vm VALUES (0, 70, 5, 0, -1.5, 0.25), (1, 71, 6, 1, 0.5, NULL), (2, 70, 5, 1, 0.25, 40.0),
                                   (3, 70, 5, 1, -3.0, -1.0);
             {extra}"
        ))
        .expect("its tables");
}

/// Shares by machine, VMs from before the start, open ends, priorities; VMs gone before the start are left out.
#[test]
fn azure_packing_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("packing.sqlite");
    packing(&path, "");
    let trace = lab::read::trace(&path, None, &Unwatched).expect("a sound trace");
    let vms: Vec<_> = trace
        .vms
        .iter()
        .zip(&trace.names)
        .map(|(vm, name)| {
            let tenant = trace.tenants[vm.tenant as usize].as_str();
            let life = vm.duration.map(|d| d.0);
            (&**name, vm.arrival.0, life, vm.shape, tenant, vm.priority)
        })
        .collect();
    assert_eq!(
        vms,
        [
            ("0", -129_600_000, Some(151_200_000), 0, "70", 1),
            ("2", 21_600_000, Some(3_434_400_000), 0, "70", 0),
            ("1", 43_200_000, None, 1, "71", 0),
        ]
    );
    assert_eq!(trace.end, Time(86_400_000));
    assert_eq!(
        trace.notes,
        [
            "1 VM ends after the trace does, at 86400 s",
            "VMs that ended before the start are left out: 1"
        ]
    );
    let shares: Vec<_> = trace
        .shapes
        .iter()
        .map(|shape| match &shape.demand {
            Demand::ShareOfModel(shares) => shares.clone().into_iter().collect::<Vec<_>>(),
            Demand::Fixed(_) => panic!("shares"),
        })
        .collect();
    assert_eq!(
        shares,
        [
            vec![
                ("12".to_owned(), [500_000, 250_000, 0, 125_000, 100_000, 0]),
                ("16".to_owned(), [250_000, 125_000, 0, 62_500, 100_000, 0]),
            ],
            vec![("16".to_owned(), [333_333, 333_333, 10_000, 0, 1_000_000, 0])],
        ]
    );
    let grid = azure_packing::grid(&path, 3).expect("a sound grid");
    let models: Vec<&str> = grid
        .node_ids()
        .map(|n| grid.class_of(n).model.as_str())
        .collect();
    assert_eq!(models, ["12", "12", "12", "16", "16", "16"]);
    // Type 5 is legal on both machines and takes the first; type 6 only on the other.
    let one = Arc::new(azure_packing::grid(&path, 1).expect("a sound grid"));
    let options = Options {
        log: true,
        ..Options::default()
    };
    let outcome = run(&trace, &one, &Policy::FirstFit, &options, &Unwatched);
    let log = outcome.expect("nobody cancels").log;
    let placed: Vec<(u32, Fate)> = log.iter().map(|entry| (entry.vm, entry.fate)).collect();
    assert_eq!(
        placed[..4],
        [
            (0, Fate::Placed(NodeId(0))),
            (0, Fate::Released(NodeId(0))),
            (1, Fate::Placed(NodeId(0))),
            (2, Fate::Placed(NodeId(1))),
        ]
    );
    let whole = grid.classes[0].capacity.to_array();
    assert_eq!(
        whole,
        [1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000, 0]
    );
}

/// Rows and tables that are not as published: each told with table, row and column.
#[test]
fn azure_packing_faults() {
    let check = |extra: &str, expected: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("p.sqlite");
        packing(&path, extra);
        let format = Some(Format::AzurePacking);
        let error = lab::read::trace(&path, format, &Unwatched).expect_err("a faulty trace");
        assert_eq!(told(&error, folder.path()), expected);
    };
    check(
        "INSERT INTO vm VALUES (9, 1, 5, 0, 'abc', NULL)",
        "p.sqlite: table vm, row 5, starttime: found \"abc\", expected a number of days",
    );
    check(
        "INSERT INTO vm VALUES (9, 1, 77, 0, 1.0, NULL)",
        "p.sqlite: table vm, row 5, vmTypeId: found 77, expected a type of the table vmType",
    );
    check(
        "INSERT INTO vm VALUES (9, 1, 5, 3, 1.0, NULL)",
        "p.sqlite: table vm, row 5, priority: found 3, expected 0 for high or 1 for low",
    );
    check(
        "INSERT INTO vm VALUES (9, 1, 5, 0, 1.0, 0.5)",
        "p.sqlite: table vm, row 5, endtime: found 0.5, expected no less than starttime, 1",
    );
    check(
        "INSERT INTO vmType VALUES (9, 6, 17, 1.5, 0, 0, 0, 0)",
        "p.sqlite: table vmType, row 4, core: found 1.5, expected a part of the machine, 0 to 1",
    );
    check(
        "INSERT INTO vmType VALUES (9, 6, 16, 0.5, 0, 0, 0, 0)",
        "p.sqlite: table vmType, row 4, machineId: found 16, expected a machine that this type has no other row for",
    );
    check(
        "DROP TABLE vm",
        "p.sqlite: table vm: found no such table, expected vmId, tenantId, vmTypeId, priority, starttime, endtime",
    );
    check(
        "ALTER TABLE vm DROP COLUMN endtime",
        "p.sqlite: table vm: found vmId, tenantId, vmTypeId, priority, starttime, expected also the columns endtime",
    );
}

/// A rule chain from a file; a faulty one with its lines, a missing one by its name.
#[test]
fn chains() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).expect("a file");
        lab::read::chain(&path).map_err(|error| told(&error, folder.path()))
    };
    let chain = "version = 1\nname = 'mine'\n[[rule]]\nterm = 'leftover'\ndimension = 'mem'\nprefer = 'low'\nbucket = 64\n";
    assert_eq!(
        read(chain).map(|chain| chain.name().to_owned()),
        Ok("mine".to_owned())
    );
    let faulty = read(&chain.replace("64", "-64")).expect_err("no such bucket");
    assert!(
        faulty.starts_with("mine.toml:7: rule[0].bucket: found -64"),
        "{faulty}"
    );
    std::fs::remove_file(&path).expect("it was there");
    let gone = lab::read::chain(&path).expect_err("no file");
    assert_eq!(told(&gone, folder.path()), "mine.toml: cannot read");
}
