//! The formats of others: what each becomes, and what each refuses.

use crate::{Short, check_fault, check_vms, read_bytes, read_data, told};
use engine::watch::Unwatched;
use lab::read::Format;
use model::time::Time;

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
