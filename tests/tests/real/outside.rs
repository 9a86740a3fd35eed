//! Drivers outside the agent: gVisor's `runsc` by a program in Python, as any other driver is tested.

use crate::guest::{BOOTED, run, wait_for, wait_to_see};
use agent::driver::{Act, Console, Driver, SavedDisk};
use agent::machine::{Boot, Machine};
use agent::secret::Keys;
use agent::watch::Unwatched;
use drivers::outside::{Limits, Outside, Program};
use kit::conformance::{self, Subject};
use kit::raw::Outsider;
use kit::{kills, manners};
use model::hypervisor::{Arch, Guest, Hypervisor, Virtualisation};
use model::id::VmId;
use model::order::Shutdown;
use model::sample::Metric;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What a container's first process does: it tells that it is up, and counts on the console and in
/// its root.
const INIT: &str = r#"#!/bin/busybox sh
PATH=/bin
echo "GUEST-UP mem_kib=$(busybox awk '/MemTotal/{print $2}' /proc/meminfo) cpus=$(busybox nproc)"
i=0; while :; do i=$((i+1)); echo "tick $i"; echo $i >/count; busybox sleep 0.1; done
"#;

/// How long a container may take to tell that it is up, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// gVisor under the program in `assets/drivers`.
struct Gvisor {
    folder: tempfile::TempDir,
}

impl Gvisor {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for containers");
        Self { folder }
    }

    fn start(&self) -> Outside {
        Outside::start(self.program()).expect("the driver starts")
    }

    fn root(&self, vm: VmId) -> PathBuf {
        self.folder.path().join(format!("root-{}", vm.0))
    }

    fn perform(&self, vm: VmId, act: &Act) {
        self.start()
            .perform(vm, act, &Keys::default(), &Unwatched)
            .unwrap_or_else(|error| panic!("{act:?}: {error}"));
    }

    /// How far a container has counted in its root.
    fn count(&self, vm: VmId) -> u32 {
        wait_for("a count", PATIENCE, || {
            let count = fs::read_to_string(self.root(vm).join("count")).ok()?;
            count.trim().parse().ok()
        })
    }

    /// What a container has said so far.
    fn said(&self, vm: VmId) -> String {
        let console = self.start().console(vm).expect("a console");
        let Console::Log { path } = console else {
            panic!("{console:?} is no log");
        };
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }
}

impl Subject for Gvisor {
    fn driver(&self) -> Box<dyn Driver> {
        Box::new(self.start())
    }

    fn machine(&self, vm: VmId) -> Machine {
        let root = self.root(vm);
        // Nothing of a running container changes under it.
        if !root.exists() {
            write_root(&root);
        }
        Machine {
            vm,
            name: "a-container".into(),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            virtualisation: Virtualisation::Container,
            cpus: 1,
            max_cpus: 1,
            mem_mib: 128,
            max_mem_mib: 128,
            boot: Boot::Folder { root },
            disks: Vec::new(),
            interfaces: Vec::new(),
        }
    }

    fn wait_booted(&self, vm: VmId) {
        wait_to_see(
            BOOTED,
            PATIENCE,
            || self.said(vm),
            |said| said.contains(BOOTED),
        );
    }

    fn image_file(&self, vm: VmId) -> PathBuf {
        self.folder.path().join(format!("image-{}.tar", vm.0))
    }
}

impl Outsider for Gvisor {
    fn program(&self) -> Program {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/drivers/gvisor.py");
        Program {
            path: path.canonicalize().expect("the program is there"),
            arguments: Vec::new(),
            folder: self.folder.path().join("driver"),
            limits: Limits::default(),
        }
    }
}

impl Drop for Gvisor {
    /// Leaves no container behind where a test fails.
    fn drop(&mut self) {
        let driver = self.start();
        for vm in driver.list().unwrap_or_default() {
            let _failed_already = driver.perform(vm, &Act::Destroy, &Keys::default(), &Unwatched);
        }
    }
}

fn write_root(root: &Path) {
    fs::create_dir_all(root.join("bin")).expect("bin");
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("install busybox-static");
    symlink("busybox", root.join("bin/sh")).expect("sh");
    let init = root.join("init");
    fs::write(&init, INIT).expect("init");
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).expect("a program");
}

/// Containers follow the table of states and acts, and what is declared is shown.
#[test]
fn gvisor_follows_the_table() {
    conformance::follows_the_table(&Gvisor::new());
}

/// Every act may be repeated, and another process finds what the first left.
#[test]
fn gvisor_repeats_and_recovers() {
    conformance::repeats_and_recovers(&Gvisor::new());
}

/// The probe runs a container, and its capabilities are those of the profile.
#[test]
fn gvisor_is_as_its_profile() {
    let gvisor = Gvisor::new();
    conformance::fingerprints(&gvisor);
    let profile = Hypervisor::known("gvisor").expect("a profile");
    assert_eq!(gvisor.driver().capabilities(), profile.capabilities);
}

/// Killed at every message about every act, the program loses nothing, and nothing is left running.
#[test]
fn gvisor_survives_every_kill() {
    let gvisor = Gvisor::new();
    let kills = kills::survives_every_kill(&gvisor);
    assert!(kills > 80, "killed {kills} times only");
    let folder = gvisor.program().folder.display().to_string();
    wait_for("all processes to end", PATIENCE, || {
        let processes = run(Command::new("ps").args(["-eo", "args"]));
        (!processes.contains(&folder)).then_some(())
    });
}

/// Messages that mean nothing, haste and slow listeners leave the program and its containers sound.
#[test]
fn gvisor_has_manners() {
    let gvisor = Gvisor::new();
    manners::refuses_what_means_nothing(&gvisor);
    manners::ends_what_is_called_off(&gvisor);
    manners::answers_a_slow_listener(&gvisor);
}

/// A snapshot keeps memory and root alike: after going back, the container counts on from there, and
/// what has come into its root since is gone.
#[test]
fn gvisor_goes_back_to_an_instant() {
    let gvisor = Gvisor::new();
    let vm = VmId(1);
    let machine = Box::new(gvisor.machine(vm));
    gvisor.perform(vm, &Act::Define { machine });
    gvisor.perform(vm, &Act::Start);
    gvisor.wait_booted(vm);
    let name = || "before".to_owned();
    let before = gvisor.count(vm);
    gvisor.perform(vm, &Act::Snapshot { name: name() });
    let kept = gvisor.count(vm);
    let since = gvisor.root(vm).join("since");
    fs::write(&since, "").expect("a file of its root");
    let grown = |count: &u32| *count > kept + 20;
    wait_to_see("the count to grow", PATIENCE, || gvisor.count(vm), grown);
    gvisor.perform(vm, &Act::Pause);
    gvisor.perform(vm, &Act::Restore { name: name() });
    assert!(!since.exists(), "its root is not as it was");
    gvisor.perform(vm, &Act::Resume);
    let (last, next) = wait_to_see(
        "it to count on from there",
        PATIENCE,
        || fall(&ticks(&gvisor.said(vm))),
        Option::is_some,
    )
    .expect("it was just seen");
    // It may have been kept between telling a count and writing that down.
    assert!(
        (before..=kept + 2).contains(&next),
        "kept at {before} to {kept}, went on to {last}, and went back to {next}"
    );
    gvisor.perform(vm, &Act::Destroy);
}

/// The counts that a container told; the last line may be half written.
fn ticks(said: &str) -> Vec<u32> {
    let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let counts = whole.lines().filter_map(|line| line.strip_prefix("tick "));
    counts.filter_map(|count| count.parse().ok()).collect()
}

/// Where counts go back: the last one before, and the first one after.
fn fall(counts: &[u32]) -> Option<(u32, u32)> {
    let mut steps = counts.windows(2).map(|pair| (pair[0], pair[1]));
    steps.find(|(last, next)| next <= last)
}

/// A running container is measured, within the limits that it was given; a copy and an image hold
/// its files.
#[test]
fn gvisor_measures_copies_and_saves() {
    let gvisor = Gvisor::new();
    let (vm, copy) = (VmId(1), VmId(2));
    let machine = Box::new(gvisor.machine(vm));
    gvisor.perform(vm, &Act::Define { machine });
    gvisor.perform(vm, &Act::Start);
    gvisor.wait_booted(vm);
    let driver = gvisor.start();
    let readings = driver.statistics(vm).expect("measurements");
    let figure = |metric| {
        let found = readings.iter().find(|reading| reading.metric == metric);
        found.map(|reading| reading.value)
    };
    let used = figure(Metric::MemUsedMib).expect("memory is measured");
    assert!((0.1..128.0).contains(&used), "{used} MiB");
    assert!(figure(Metric::UptimeSeconds).is_some_and(|up| up > 0.0));
    assert_eq!(figure(Metric::Reboots), Some(0.0));

    let counted = gvisor.count(vm);
    let file = gvisor.image_file(vm);
    let save = Act::SaveImage {
        disks: vec![SavedDisk {
            disk: "root".to_owned(),
            file: file.clone(),
        }],
    };
    gvisor.perform(vm, &save);
    let listed = run(Command::new("tar").arg("--list").arg("--file").arg(&file));
    assert!(listed.lines().any(|line| line == "./count"), "{listed}");
    let mut to = Box::new(gvisor.machine(copy));
    to.name = "the-copy".into();
    gvisor.perform(vm, &Act::Copy { to });
    assert!(gvisor.count(copy) >= counted, "the copy holds the count");
    gvisor.perform(copy, &Act::Start);
    gvisor.wait_booted(copy);
    let shutdown = Shutdown::Asked {
        patience_millis: 200,
    };
    gvisor.perform(copy, &Act::Stop { shutdown });
    for vm in [vm, copy] {
        gvisor.perform(vm, &Act::Destroy);
    }
}
