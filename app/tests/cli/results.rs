//! `--out`: a folder with all results, or nothing: full disks, foreign folders, Ctrl-C.

use crate::program::{Place, Ran, binary};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FILES: [&str; 17] = [
    "alive.png",
    "alive.svg",
    "allocation.png",
    "allocation.svg",
    "empty-nodes.png",
    "empty-nodes.svg",
    "nodes.csv",
    "nodes.parquet",
    "rejections.csv",
    "rejections.png",
    "rejections.svg",
    "run.sqlite",
    "series.csv",
    "series.parquet",
    "stranded.png",
    "stranded.svg",
    "summary.json",
];

/// All files are there, also in folders that were not, and say what was printed.
#[test]
fn a_folder_holds_all_results() {
    let place = Place::new();
    let printed = place
        .simulate("--policy best-fit --json --out new/deep/results")
        .json();
    assert_eq!(
        place.names("new/deep"),
        ["results"],
        "nothing lies beside it"
    );
    assert_eq!(place.names("new/deep/results"), FILES);
    let kept = fs::read_to_string(place.path().join("new/deep/results/summary.json"));
    let kept: serde_json::Value =
        serde_json::from_str(&kept.expect("the summary is there")).expect("it is JSON");
    assert_eq!(kept[0], printed);
    let csv = fs::read_to_string(place.path().join("new/deep/results/rejections.csv"));
    let csv = csv.expect("the rejections are there");
    assert_eq!(csv, "policy,filter,vms\nbest-fit,free-cpu,1\n");
}

/// The table says where the results went; JSON stays JSON.
#[test]
fn the_table_tells_where_results_are() {
    let place = Place::new();
    let ran = place.simulate("--policy best-fit --out results");
    assert!(
        ran.out.ends_with("\nresults are in results\n"),
        "{}",
        ran.out
    );
    let ran = place.simulate("--policy best-fit --out results --json");
    assert!(!ran.out.contains("results are in"), "{}", ran.out);
}

/// Former results make way for new ones, and only they.
#[test]
fn former_results_are_replaced_and_nothing_else_is() {
    let place = Place::new();
    let first = place.simulate("--policy best-fit --out results --log");
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(
        place
            .names("results")
            .contains(&"decisions.parquet".to_owned())
    );
    let second = place.simulate("--policy first-fit --out results");
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_eq!(place.names("results"), FILES, "the former log is gone");

    place.put("results/thesis.txt", "years of work");
    let refused = place.simulate("--policy worst-fit --out results");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("holds thesis.txt"), "{}", refused.err);
    assert!(refused.err.contains("\nhint: "), "{}", refused.err);
    let thesis = fs::read_to_string(place.path().join("results/thesis.txt"));
    assert_eq!(thesis.expect("it is still there"), "years of work");

    let file = place.simulate("--policy worst-fit --out trace.csv");
    assert_eq!(file.code, Some(1), "{file:?}");
    assert_eq!(place.names("."), ["grid.toml", "results", "trace.csv"]);
}

/// Wherever in the writing the disk fills up, one error is told and the disk is empty again. The
/// disk grows until all fits, so that each kind of file is once the one that does not.
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let place = Place::new();
    let disk = place.path().join("disk");
    fs::create_dir(&disk).expect("the temporary folder can be written");
    let mut told: BTreeSet<String> = BTreeSet::new();
    for kib in (8..2_048).step_by(16) {
        // A mount name space of its own: the disk goes with the process, whatever happens to it.
        let script = format!(
            "mount -t tmpfs -o size={kib}k tmpfs disk || exit 99
             {} simulate --trace trace.csv --grid grid.toml --policy best-fit --log --out disk/results
             code=$?; ls -A disk; exit $code",
            binary().display()
        );
        let Some(ran) = in_name_space(&place, &script) else {
            println!("not run: a disk to fill can only be mounted with permission");
            return;
        };
        if ran.code == Some(0) {
            for file in [
                "series.csv",
                "series.parquet",
                "run.sqlite",
                "allocation.png",
            ] {
                assert!(told.contains(file), "{file} once found no space: {told:?}");
            }
            return;
        }
        assert_eq!(ran.code, Some(1), "{kib} KiB: {ran:?}");
        assert_eq!(
            ran.out, "",
            "{kib} KiB: nothing printed, nothing on the disk"
        );
        let lines: Vec<&str> = ran.err.lines().collect();
        assert_eq!(lines.len(), 2, "{kib} KiB: {ran:?}");
        let path = lines[0].strip_prefix("error: no space is left to write ");
        let path = Path::new(path.unwrap_or_else(|| panic!("{kib} KiB: {ran:?}")));
        assert!(path.starts_with(disk.join("results")), "{kib} KiB: {ran:?}");
        told.extend(
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned()),
        );
        assert!(lines[1].starts_with("hint: "), "{kib} KiB: {ran:?}");
    }
    panic!("a small run fits in 2 MiB");
}

/// Runs a shell script where it may mount; `None` where nobody may.
fn in_name_space(place: &Place, script: &str) -> Option<Ran> {
    [&["--mount"][..], &["--user", "--map-root-user", "--mount"]]
        .into_iter()
        .filter_map(|spaces| {
            let mut command = Command::new("unshare");
            command
                .args(spaces)
                .args(["sh", "-c", script])
                .current_dir(place.path());
            command.output().ok().map(Ran::from)
        })
        .find(|ran| ran.code != Some(99) && !ran.err.contains("unshare: "))
}

/// A folder that may not be written is told before the run. Root may write everywhere.
#[test]
fn a_forbidden_folder_is_told_before_the_run() {
    let place = Place::new();
    let ran = place.simulate("--policy best-fit --out /proc/results");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.starts_with("error: cannot write /proc/results: "),
        "{ran:?}"
    );
}

/// Ctrl-C in the middle of a long run ends it with one line and leaves nothing behind.
#[cfg(unix)]
#[test]
fn an_interrupt_tidies_up() {
    let place = Place::new();
    let mut trace = String::from("start_s,duration_s,vcpu,memory_gb\n");
    for vm in 0..200_000 {
        trace.push_str(&format!("{vm},100000,1,1\n"));
    }
    place.put("long.csv", &trace);
    place.put(
        "large.toml",
        &crate::program::GRID.replace("count = 2", "count = 50000"),
    );
    let before = place.names(".");
    let mut command = place.command();
    command.args("simulate --trace long.csv --grid large.toml --naive --out results".split(' '));
    command.args("--policy topsis --policy nova".split(' '));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary can be run");
    // The folder in the making is there as soon as the interrupt is looked after.
    let deadline = Instant::now() + Duration::from_secs(60);
    while place.names(".") == before {
        assert!(Instant::now() < deadline, "the run begins");
        std::thread::yield_now();
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("kill can be run").success());
    let ran = Ran::from(child.wait_with_output().expect("the binary ends"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        ("", "error: cancelled\n")
    );
    assert_eq!(place.names("."), before);
}
