//! The utility VM, by emulation: scripts and tools run under a kernel that is not the node's.
//!
//! A test program of its own, as all foreign calls of a process go there once it has one.

#[path = "../disks/scratch.rs"]
#[expect(dead_code, reason = "the tests of disks use all of it")]
mod scratch;
#[path = "../disks/scripted.rs"]
mod scripted;

use agent::driver::NativeCall;
use agent::edit::Edit;
use agent::watch::{CalledOff, Unwatched, Watch};
use image::ext4::Ext4;
use image::sandbox::{hand_over, let_through};
use image::utility::{Accelerator, Settings, Utility, use_for_all};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Memory of a VM, in MiB.
const MEM_MIB: u32 = 256;

/// A VM boots in 4 s alone; with all tests on two cores it takes many times that.
const PATIENCE: Duration = Duration::from_secs(120);

/// What `make guests` fetched for it.
fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/utility")
}

/// The release of its kernel.
fn release() -> String {
    let mut modules = fs::read_dir(guests().join("modules")).expect("make guests");
    let release = modules.next().expect("a release").expect("readable");
    release.file_name().into_string().expect("plain")
}

/// Lets foreign calls run in VMs, one at a time, while the folder from which they boot is held.
fn prepare() -> Arc<TempDir> {
    static OPEN: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = open.upgrade() {
        return folder;
    }
    // Always of the same name, as what is used for all calls stays what it was at first.
    let name = format!("disks-utility-{}", std::process::id());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&name).rand_bytes(0);
    let mut made = None;
    wait_until("the last one's folder to go", || {
        made = builder.tempdir_in("/dev/shm").ok();
        made.is_some()
    });
    let folder = Arc::new(made.expect("a folder"));
    let_through(folder.path()).expect("ours");
    let at = folder.path().join("utility");
    let modules = guests().join("modules").join(release());
    let utility = Utility::new(settings(modules), Accelerator::Tcg, &at, &Unwatched);
    use_for_all(utility.expect("a kernel"));
    *open = Arc::downgrade(&folder);
    folder
}

fn settings(modules: PathBuf) -> Settings {
    Settings {
        kernel: guests().join("vmlinuz"),
        modules,
        busybox: guests().join("busybox"),
        mem_mib: MEM_MIB,
        cpus: 1,
        most: 1,
        force: true,
    }
}

/// Keeps the calls, and calls off once it is told to.
#[derive(Default)]
struct Follower {
    calls: Mutex<Vec<NativeCall>>,
    called_off: AtomicBool,
}

impl Watch for Follower {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, call: &NativeCall) {
        self.calls.lock().expect("ours").push(call.clone());
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        match self.called_off.load(Ordering::Relaxed) {
            true => Err(CalledOff::Cancelled),
            false => Ok(()),
        }
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Processes of QEMU that share this file or folder with their guests.
fn sharing(path: &str) -> usize {
    let processes = fs::read_dir("/proc").expect("proc").flatten();
    let shares = processes.filter(|process| {
        let text = |name: &str| fs::read_to_string(process.path().join(name)).unwrap_or_default();
        text("cmdline").starts_with("qemu-system") && text("mountinfo").contains(path)
    });
    shares.count()
}

/// A script in a build runs under the VM's kernel, in the VM's memory, without network and without
/// the node's files, and what it wrote is on a disk that is in order; the call is told as what it is.
#[test]
fn a_script_runs_under_another_kernel() {
    let _vms = prepare();
    let follower = Follower::default();
    let said = scripted::build(
        "{ echo release=$(uname -r)\n\
         echo kib=$(awk '/MemTotal/ {print $2}' /proc/meminfo)\n\
         echo files=$(ls / | tr '\\n' ' ')\n\
         echo node=$(cat /etc/debian_version /root/.profile 2>/dev/null | wc -c)\n\
         echo interfaces=$(grep -c : /proc/net/dev)\n\
         echo shared=$(ls /call /tree 2>/dev/null | wc -l)\n\
         echo made=$(mknod /dev/disk b 254 0 2>/dev/null && echo yes)\n\
         } >/result",
        &follower,
    )
    .expect("a harmless script");
    let value = |key: &str| {
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{key}: {said}")).to_owned()
    };
    assert_eq!(value("release"), release());
    let own = fs::read_to_string("/proc/sys/kernel/osrelease").expect("Linux");
    assert_ne!(value("release"), own.trim());
    let kib: u32 = value("kib").parse().expect("a number");
    assert!(kib < MEM_MIB << 10, "{said}");
    let files = value("files");
    assert!(!files.contains("usr") && files.contains("srv"), "{said}");
    assert_eq!(value("node"), "0");
    assert_eq!(value("interfaces"), "1", "the loopback of its own alone");
    assert_eq!(value("shared"), "0");
    assert_eq!(value("made"), "", "a device");
    let calls = follower.calls.into_inner().expect("ours");
    let script = calls.iter().find(|call| call.call.contains("script"));
    assert_eq!(script.expect("a call").interface, "utility");
    let maker = calls.iter().find(|call| call.call.starts_with("mke2fs"));
    assert_eq!(maker.expect("a call").interface, "exec", "our own tree");
}

/// A script that fails ends the build with its exit code and its words.
#[test]
fn a_script_that_fails_is_told() {
    let _vms = prepare();
    let error = scripted::build("echo \"it's broken\" >&2; exit 3", &Unwatched);
    let error = error.expect_err("it fails");
    assert_eq!(error, "refused script it: exit status: 3: it's broken");
}

/// A tool reads its input and changes the file system that it is given; another finds it in order.
#[test]
fn tools_work_on_disks() {
    let _vms = prepare();
    let folder = scratch::folder();
    let disk = scratch::small_guest(folder.path(), 0);
    hand_over(&disk).expect("ours");
    let follower = Follower::default();
    let guest = Ext4::at(&disk, 0, &follower).expect("ext4");
    let edit = Edit::file("/etc/motd", "it's written\n", 0o644);
    guest.edit(&[edit]).expect("edited");
    guest.check().expect("in order");
    assert_eq!(
        scratch::cat(disk.to_str().expect("plain"), "/etc/motd"),
        "it's written\n"
    );
    let calls = follower.calls.into_inner().expect("ours");
    assert!(calls.len() >= 3, "{calls:?}");
    assert!(
        calls.iter().all(|call| call.interface == "utility"),
        "{calls:?}"
    );
}

/// A call that is called off ends its VM; one that waits for its turn is called off as well, and no
/// VM of it ever ran.
#[test]
fn a_vm_ends_with_its_call() {
    let _vms = prepare();
    let folder = scratch::folder();
    let disks = ["first", "second"].map(|name| {
        let own = folder.path().join(name);
        fs::create_dir(&own).expect("ours");
        scratch::small_guest(&own, 0)
    });
    let [first, second] = [Follower::default(), Follower::default()];
    let check = |disk: &Path, follower: &Follower| {
        let guest = Ext4::at(disk, 0, follower).expect("ext4");
        guest.check().expect_err("called off").to_string()
    };
    let name = |disk: &Path| disk.to_str().expect("plain").to_owned();
    thread::scope(|scope| {
        let runs = scope.spawn(|| check(&disks[0], &first));
        wait_until("its VM", || sharing(&name(&disks[0])) == 1);
        let waits = scope.spawn(|| check(&disks[1], &second));
        second.called_off.store(true, Ordering::Relaxed);
        assert_eq!(waits.join().expect("it returns"), "cancelled");
        first.called_off.store(true, Ordering::Relaxed);
        assert_eq!(runs.join().expect("it returns"), "cancelled");
    });
    wait_until("its end", || sharing(&name(&disks[0])) == 0);
    assert!(second.calls.into_inner().expect("ours").is_empty());
}

/// A kernel that cannot do it is refused at once.
#[test]
fn a_kernel_without_9p_is_refused() {
    let folder = scratch::folder();
    for list in ["modules.dep", "modules.builtin"] {
        fs::write(folder.path().join(list), "kernel/fs/fuse/virtiofs.ko:\n").expect("ours");
    }
    let settings = settings(folder.path().to_owned());
    let at = folder.path().join("utility");
    let error = Utility::new(settings, Accelerator::Tcg, &at, &Unwatched).expect_err("no 9p");
    assert!(error.to_string().contains("this kernel has no"), "{error}");
}
