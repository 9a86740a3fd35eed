//! The lists of openb: pods become VMs, nodes a grid.

use crate::check_vms;
use crate::{check_fault, data, read_data, told};
use lab::read::Format;
use model::vm::AcceleratorAmount;

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
