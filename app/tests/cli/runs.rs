//! `simulate`: a golden run reckoned by hand, the keys of its JSON, equal hashes, and the real trace.

use crate::program::{Place, Ran, asset};
use serde_json::{Value, json};
use std::path::Path;

/// FNV-1a of 64 bits over two little-endian words a decision: the VM's place, and its node or
/// `u32::MAX`. Written anew here, so that the program is not its own witness.
fn hash(decisions: &[(u32, u32)]) -> String {
    let words = decisions.iter().flat_map(|&(vm, node)| [vm, node]);
    let bytes = words.flat_map(u32::to_le_bytes);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn check(figures: &Value, key: &str, expected: Value) {
    assert_eq!(figures[key], expected, "{key} of {figures:#}");
}

/// Every figure of a run of five VMs is what one reckons with pencil and paper.
#[test]
fn a_small_run_gives_the_figures_reckoned_by_hand() {
    let ran = Place::new().simulate("--policy first-fit --json");
    let figures = ran.json();
    for (key, expected) in [
        ("vms", json!(5)),
        ("placed", json!(4)),
        ("rejected", json!(1)),
        ("released", json!(4)),
        ("events", json!(9)),
        ("peak_alive", json!(3)),
        ("acceptance_share", json!(0.8)),
        ("rejections", json!({ "free-cpu": 1 })),
        ("policy", json!("first-fit")),
        ("nodes", json!(2)),
        ("search", json!("indexed")),
    ] {
        check(&figures, key, expected);
    }
    let decisions = [(0, 0), (1, 0), (2, 1), (3, u32::MAX), (4, 0)];
    check(&figures, "decision_hash", json!(hash(&decisions)));
    // Core-seconds 200 + 100 + 120 + 20 of 8 cores over 100 seconds.
    check(&figures, "allocated_cpu_share", json!(440.0 / 800.0));
    // The second node is empty but for 30 of 100 seconds.
    check(&figures, "empty_nodes_share", json!(0.35));
    assert_eq!(ran.err, "", "no progress bar is drawn into a pipe");
}

/// Programs find every key that is promised, each of its type.
#[test]
fn json_has_the_promised_keys() {
    let figures = Place::new().simulate("--policy best-fit --json").json();
    for key in [
        "vms",
        "placed",
        "rejected",
        "released",
        "events",
        "peak_alive",
    ] {
        assert!(
            figures[key].is_u64(),
            "{key} is a whole number in {figures:#}"
        );
    }
    for key in [
        "load_seconds",
        "sim_seconds",
        "acceptance_core_hours_share",
        "alive_mean",
    ] {
        assert!(figures[key].is_f64(), "{key} is a number in {figures:#}");
    }
    for what in ["allocated", "density", "stranded"] {
        for dimension in ["cpu", "mem", "disk", "disk_io", "net", "accel"] {
            let key = format!("{what}_{dimension}_share");
            assert!(figures[&key].is_f64(), "{key} is a share in {figures:#}");
        }
    }
    let hash = figures["decision_hash"].as_str().expect("a hash is text");
    assert!(
        hash.len() == 16 && hash.chars().all(|c| c.is_ascii_hexdigit()),
        "{hash}"
    );
}

/// The slow scan decides the same, and so does a second run, for every policy of the catalogue.
#[test]
fn naive_and_repeated_runs_have_the_same_hash() {
    let place = Place::new();
    let catalogue = place.run("policies --json").json();
    let names: Vec<&str> = catalogue
        .as_array()
        .expect("the catalogue is an array")
        .iter()
        .map(|entry| entry["name"].as_str().expect("each has a name"))
        .collect();
    assert!(names.len() >= 12, "{names:?}");
    let policies: String = names
        .iter()
        .map(|name| format!("--policy {name} "))
        .collect();
    let hashes = |more: &str| -> Vec<Value> {
        let runs = place
            .simulate(&format!("{policies} --seed 7 --json {more}"))
            .json();
        let runs = runs
            .as_array()
            .expect("several policies give an array")
            .clone();
        runs.into_iter()
            .map(|run| run["decision_hash"].clone())
            .collect()
    };
    let first = hashes("");
    assert_eq!(first.len(), names.len());
    assert_eq!(hashes(""), first, "twice the same");
    assert_eq!(hashes("--naive"), first, "naive the same");
}

/// A VM that finds no node waits for one with `--queue`, and gives up with `--patience`.
#[test]
fn a_queue_lets_vms_wait() {
    let place = Place::new();
    let patient = place.simulate("--policy first-fit --queue --json").json();
    check(&patient, "placed", json!(5));
    check(&patient, "rejected", json!(0));
    // d waits from 25 to 50, when c leaves; the others do not wait.
    check(&patient, "wait_mean_seconds", json!(5.0));
    let hasty = place
        .simulate("--policy first-fit --queue --patience 10 --json")
        .json();
    check(&hasty, "placed", json!(4));
    check(&hasty, "wait_p99_seconds", Value::Null);
    let usage = place.simulate("--policy first-fit --patience 10");
    assert_eq!(usage.code, Some(2), "patience needs a queue: {usage:?}");
}

/// People get a table with one column a policy, its figures with units.
#[test]
fn the_table_compares_policies() {
    let ran = Place::new().simulate("--policy first-fit --policy worst-fit");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    for expected in [
        "first-fit",
        "worst-fit",
        "VMs placed",
        "cpu allocated, mean",
        "%",
        "events/s",
    ] {
        assert!(ran.out.contains(expected), "{expected} in\n{}", ran.out);
    }
    assert!(
        !ran.out.contains("disk"),
        "what no VM takes is left out of\n{}",
        ran.out
    );
}

/// A user's own chain of rules decides as a policy of the catalogue does, under the name it has.
#[test]
fn a_rule_chain_is_a_policy() {
    let place = Place::new();
    let tight = asset("policies/tight.toml");
    std::fs::copy(&tight, place.path().join("mine.toml")).expect("the sample can be copied");
    let own = place.simulate("--policy mine.toml --json").json();
    let sample = place.simulate("--policy tight --naive --json").json();
    check(&own, "policy", json!("tight"));
    check(&own, "decision_hash", sample["decision_hash"].clone());
    check(&own, "placed", json!(4));
}

/// A design is planned whole: each VM of the sample has a node, and a reason for it.
#[test]
fn a_design_is_planned_with_reasons() {
    let place = Place::new();
    let words = |more: &str| {
        let mut command = place.command();
        command
            .arg("plan")
            .arg("--design")
            .arg(asset("designs/shop.toml"));
        command
            .arg("--grid")
            .arg(asset("grids/sample.toml"))
            .args(more.split_whitespace());
        Ran::from(command.output().expect("the binary can be run"))
    };
    let plan = words("--json").json();
    let vms = plan["vms"].as_array().expect("an array of VMs");
    let placements = plan["plan"]["placements"]
        .as_array()
        .expect("an array of placements");
    assert!(!vms.is_empty() && vms.len() == placements.len(), "{plan:#}");
    for vm in vms {
        assert_eq!(vm["explanation"]["chosen"]["name"], vm["node"], "{vm:#}");
    }
    let told = words("--policy tight --explain");
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("tight takes "), "{}", told.out);
    let mut command = place.command();
    command
        .arg("plan")
        .arg("--design")
        .arg(asset("designs/shop.toml"));
    let small = command.args(["--grid", "grid.toml"]).output();
    let small = Ran::from(small.expect("the binary can be run"));
    assert_eq!((small.code, small.out.as_str()), (Some(1), ""), "{small:?}");
    assert!(small.err.starts_with("error: no node "), "{}", small.err);
    assert!(small.err.contains("\nhint: "), "{}", small.err);
}

/// A plan names each node that lends a piece of a remote disk, for people and for programs, and the
/// pieces add up.
#[test]
fn a_plan_tells_who_lends() {
    let place = Place::new();
    let plan = |more: &[&str]| {
        let mut command = place.command();
        command.arg("plan").args(more);
        command.arg("--design").arg(asset("designs/analytics.toml"));
        command.arg("--grid").arg(asset("grids/sample.toml"));
        Ran::from(command.output().expect("the binary can be run"))
    };
    let json = plan(&["--json"]).json();
    let vms = json["assignment"]["vms"].as_array().expect("VMs");
    let archive = vms.iter().position(|vm| vm["name"] == "archive-0");
    let archive = archive.expect("the sample has an archive");
    let loans = &json["plan"]["placements"][archive]["loans"];
    let loans = loans.as_array().expect("an array of loans");
    let sizes = loans.iter().map(|loan| loan["size_gib"].as_u64());
    let sizes: Vec<u64> = sizes.map(|size| size.expect("a number")).collect();
    assert_eq!(sizes.iter().sum::<u64>(), 120_000);
    let told = plan(&["--explain"]).out;
    let words = told.lines().map(|line| line.split_whitespace().collect());
    let rows: Vec<Vec<&str>> = words
        .filter(|words: &Vec<&str>| words.len() == 4 && words[0] == "archive-0")
        .collect();
    assert_eq!(rows.len(), sizes.len(), "{told}");
    for (row, size) in rows.iter().zip(sizes) {
        let (node, lent) = (row[1], row[2]);
        assert_eq!(lent, size.to_string());
        assert!(
            told.contains(&format!("{node} lends {size} GiB of ")),
            "{told}"
        );
    }
}

/// Whoever reads only the first line leaves no error behind.
#[test]
fn a_broken_pipe_is_quiet() {
    let place = Place::new();
    let mut command = place.command();
    command.args(["policies", "--json"]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("the binary can be run");
    drop(child.stdout.take());
    let ran = Ran::from(child.wait_with_output().expect("the binary ends"));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

/// The folder of real traces, which are not ours to ship.
fn traces() -> Option<String> {
    let folder = std::env::var("TRACES").ok();
    if folder.is_none() {
        println!("not run: TRACES names no folder of real traces");
    }
    folder
}

/// 410,276 real VMs all find a node, and the slow scan agrees on each of them.
#[test]
fn the_azure_trace_is_placed_whole() {
    let Some(folder) = traces() else { return };
    let trace = Path::new(&folder).join("azure2017/azure2017_test_vms.csv.gz");
    let place = Place::new();
    let run = |more: &[&str]| {
        let mut command = place.command();
        command
            .args(["simulate", "--policy", "best-fit", "--json", "--trace"])
            .arg(&trace);
        command
            .arg("--grid")
            .arg(asset("grids/azure.toml"))
            .args(more);
        Ran::from(command.output().expect("the binary can be run")).json()
    };
    let fast = run(&[]);
    check(&fast, "vms", json!(410_276));
    check(&fast, "placed", json!(410_276));
    check(&fast, "rejected", json!(0));
    check(&fast, "peak_alive", json!(26_432));
    check(&fast, "nodes", json!(1_100));
    check(&run(&[]), "decision_hash", fast["decision_hash"].clone());
    check(
        &run(&["--naive"]),
        "decision_hash",
        fast["decision_hash"].clone(),
    );
}
