//! Guests small enough to boot in seconds: Debian's kernels with a busybox initial RAM disk.

use model::hypervisor::Arch;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What a guest writes to its console once it is up.
pub const BOOTED: &str = "GUEST-UP";

/// Modules without which a guest sees neither disks nor network.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_balloon",
    "virtio_console",
    "ext4",
    "loop",
];

/// The init of every guest. Words on the kernel's command line say what it does once it is up:
/// `ticker` counts on the console and in the first disk, `pulse` counts as fast as an idle guest can;
/// otherwise it answers on the console.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mkdir -p /bin /proc /sys /dev /mnt; /bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev 2>/dev/null
for module in $(cat /modules); do insmod "/lib/$module" 2>/dev/null; done
ip link set lo up
memory=$(awk '/MemTotal/{print $2}' /proc/meminfo)
echo "GUEST-UP arch=$(uname -m) cpus=$(nproc) mem_kib=$memory disks=$(ls /sys/block | grep -c -e vd -e ubd)"
case "$(cat /proc/cmdline)" in
*pulse*) mkfifo /pulse; exec 3<>/pulse; i=0
	while :; do i=$((i+1)); echo "pulse $i"; read -r -t 0.005 line <&3; done;;
*ticker*) i=0; while :; do i=$((i+1)); echo "tick $i"
	[ -b /dev/vda ] && echo "tick $i" | dd of=/dev/vda bs=512 seek=$i conv=sync,notrunc 2>/dev/null; sync; sleep 0.2; done;;
esac
while :; do while read -r line; do eval "$line"; done </dev/console >/dev/console 2>&1; done
"#;

/// What `make guests` has fetched for an architecture.
fn fetched(arch: Arch) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/guests/{arch}"));
    assert!(
        folder.join("complete").exists(),
        "no guest kernel in {}; run `make guests`",
        folder.display()
    );
    folder.canonicalize().expect("it was just seen")
}

/// The kernel of an architecture.
pub fn kernel(arch: Arch) -> PathBuf {
    fetched(arch).join("vmlinuz")
}

/// Makes an initial RAM disk for Debian's kernel of an architecture, at `path`.
pub fn initrd(arch: Arch, path: &Path) {
    let fetched = fetched(arch);
    let work = tempfile::tempdir().expect("a folder for the initial RAM disk");
    let root = work.path();
    fs::create_dir_all(root.join("bin")).expect("bin");
    fs::create_dir_all(root.join("lib")).expect("lib");
    fs::copy(fetched.join("busybox"), root.join("bin/busybox")).expect("busybox");
    let modules = modules(&fetched.join("modules"));
    let mut names = Vec::new();
    for module in &modules {
        let name = module
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a module's name");
        let plain = name.trim_end_matches(".xz");
        let target = root.join("lib").join(plain);
        if plain == name {
            fs::copy(module, target).expect("a module");
        } else {
            let out = Command::new("xz")
                .args(["-dc"])
                .arg(module)
                .output()
                .expect("xz");
            fs::write(target, out.stdout).expect("a module");
        }
        names.push(plain.to_owned());
    }
    fs::write(root.join("modules"), names.join("\n")).expect("the list of modules");
    write_init(root);
    pack(root, path);
}

/// Puts the init of every guest into a root folder.
pub fn write_init(root: &Path) {
    fs::write(root.join("init"), INIT).expect("init");
    run(Command::new("chmod").arg("755").arg(root.join("init")));
}

/// Packs a folder as an initial RAM disk.
pub fn pack(root: &Path, path: &Path) {
    let script = format!(
        "find . | cpio --quiet -o -H newc | gzip -1 >'{}'",
        path.display()
    );
    run(Command::new("sh").args(["-c", &script]).current_dir(root));
}

/// Files of [`MODULES`] with all that they need, in the order in which they are to be loaded.
fn modules(folder: &Path) -> Vec<PathBuf> {
    let release = fs::read_dir(folder)
        .expect("modules")
        .next()
        .expect("one release")
        .expect("readable");
    let dependencies = fs::read_to_string(release.path().join("modules.dep")).expect("modules.dep");
    let mut seen = BTreeSet::new();
    let mut ordered = Vec::new();
    for module in MODULES {
        let line = dependencies.lines().find(|line| {
            let file = line.split(':').next().unwrap_or_default();
            let name = file.rsplit('/').next().unwrap_or_default();
            name == format!("{module}.ko") || name == format!("{module}.ko.xz")
        });
        let Some((file, needs)) = line.and_then(|line| line.split_once(':')) else {
            continue; // built into this kernel
        };
        for file in needs.split_whitespace().rev().chain([file]) {
            if seen.insert(file.to_owned()) {
                ordered.push(release.path().join(file));
            }
        }
    }
    ordered
}

/// Runs a command and shows what it said where it fails.
pub fn run(command: &mut Command) -> String {
    let out = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        out.status.success(),
        "{command:?}: {}\n{}",
        out.status,
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Waits until a condition holds, asking every 20 ms; fails after the given time with what was
/// waited for.
pub fn wait_for<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(begun.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until what is seen is so, looking every 20 ms, and gives it; fails after the given time with
/// what was waited for and what was seen last.
pub fn wait_to_see<T: Debug>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> T,
    is_so: impl Fn(&T) -> bool,
) -> T {
    let begun = Instant::now();
    loop {
        let seen = look();
        if is_so(&seen) {
            return seen;
        }
        assert!(
            begun.elapsed() < limit,
            "waited {limit:?} for {what}, saw {seen:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
