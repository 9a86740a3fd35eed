//! The utility VM: a second wall, around the cage, for what opens or runs what others wrote.
//!
//! ```text
//!  node ─▶ cage (own user, namespaces, limits)
//!           ├─ /tree   what the tool may see ─┐ shared by 9p
//!           ├─ /call   the call, in memory  ──┤
//!           └─ QEMU ─▶ a kernel of its own ─▶ tool, with /tree for its root
//! ```
//! A tool that breaks its own kernel is in the utility VM's; from there QEMU is in the way, and beyond
//! that the cage. Each call has a VM of its own, which ends with it.

use crate::error::{At, Error};
use crate::recipe::kernel::Ram;
use crate::sandbox::{Around, ENVIRONMENT, Limits, Sight, cage_of_vm, let_through};
use crate::tool::{ASK_EVERY, find, package};
use agent::watch::Watch;
use model::fingerprint::Reserved;
use serde::Deserialize;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

/// How long a VM may take beyond what its tool may: it boots in 3 s by emulation on an idle machine,
/// and ends in less.
pub(crate) const BOOT_SECONDS: u64 = 120;

/// What a tool may say in a VM: the node's memory holds it until the VM has ended.
const CALL_BYTES: u64 = 64 << 20;

/// Address space of QEMU beyond its guest's memory: its code, its threads and what it translates.
const QEMU_BYTES: u64 = 2 << 30;

/// Memory that a VM takes of the node beyond its guest's, in MiB: QEMU itself (110 by our measure,
/// what it translates included) and what the tool says.
const BESIDE_MIB: u32 = 192;

/// What the kernel needs to see what QEMU shares.
const MODULES: [&str; 3] = ["virtio_pci", "9pnet_virtio", "9p"];

/// Where QEMU sees what it needs, none of which its guest does but for the last two.
const KERNEL: &str = "/kernel";
const INITRD: &str = "/initrd";
const TREE: &str = "/tree";
const CALL: &str = "/call";

/// What QEMU is, and where its guest's kernel speaks, on nodes of this architecture.
const MACHINE: [&str; 3] = if cfg!(target_arch = "aarch64") {
    ["qemu-system-aarch64", "virt", "ttyAMA0"]
} else if cfg!(target_arch = "riscv64") {
    ["qemu-system-riscv64", "virt", "ttyS0"]
} else {
    ["qemu-system-x86_64", "q35", "ttyS0"]
};

/// What a node gives its utility VMs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A kernel that mounts what QEMU shares (9p): Debian's own does, its cloud kernel does not.
    pub kernel: PathBuf,
    /// The folder of its modules, as `/lib/modules/RELEASE`.
    pub modules: PathBuf,
    /// A static busybox.
    #[serde(default = "busybox")]
    pub busybox: PathBuf,
    /// Memory of one, in MiB.
    #[serde(default = "mem_mib")]
    pub mem_mib: u32,
    /// Processors of one.
    #[serde(default = "one")]
    pub cpus: u32,
    /// The most that run at once; further calls wait.
    #[serde(default = "one")]
    pub most: u32,
    /// Whether to use them by emulation where KVM does not work: a call then takes seconds.
    #[serde(default)]
    pub force: bool,
}

impl Settings {
    /// What they keep of the node for themselves.
    pub fn reserved(&self) -> Reserved {
        let each = self.mem_mib.saturating_add(BESIDE_MIB);
        Reserved {
            cpu_milli: self.cpus.saturating_mul(self.most).saturating_mul(1_000),
            mem_mib: each.saturating_mul(self.most),
            disk_mib: 0,
        }
    }
}

/// What runs the VM's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU.
    Tcg,
}

/// A node's utility VMs.
#[derive(Debug)]
pub struct Utility {
    settings: Settings,
    accelerator: Accelerator,
    folder: PathBuf,
    free: Mutex<u32>,
    given_back: Condvar,
}

/// The right to run one VM, given back when dropped.
pub(crate) struct Turn<'a>(&'a Utility);

static AT_HAND: OnceLock<Utility> = OnceLock::new();

/// Lets all calls of this process that open what others wrote run in VMs from now on; a process has
/// one such offer, and the first stays.
pub fn use_for_all(utility: Utility) {
    drop(AT_HAND.set(utility));
}

/// The process's utility VMs.
pub(crate) fn at_hand() -> Option<&'static Utility> {
    AT_HAND.get()
}

impl Utility {
    /// Makes what the VMs boot from, in a folder.
    ///
    /// # Errors
    /// Where the kernel cannot do it, or a file cannot be read or written.
    pub fn new(
        settings: Settings,
        accelerator: Accelerator,
        folder: &Path,
        watch: &dyn Watch,
    ) -> Result<Self, Error> {
        let modules = MODULES.map(str::to_owned);
        check(&settings.modules)?;
        let [program, ..] = MACHINE;
        if find(program).is_none() {
            let package = package(program);
            return Err(Error::Missing { program, package });
        }
        std::fs::create_dir_all(folder).at(folder)?;
        let_through(folder)?;
        let ram = Ram {
            release: &settings.modules,
            modules: &modules,
            busybox: &settings.busybox,
            init: INIT,
        };
        let work = tempfile::tempdir_in(folder).at(folder)?;
        let ram = ram.pack(work.path(), watch)?;
        let kernel = std::fs::read(&settings.kernel).at(&settings.kernel)?;
        for (name, bytes) in [(KERNEL, kernel), (INITRD, ram)] {
            let file = folder.join(&name[1..]);
            std::fs::write(&file, bytes).at(&file)?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            std::fs::set_permissions(&file, mode).at(&file)?;
        }
        Ok(Self {
            free: Mutex::new(settings.most),
            settings,
            accelerator,
            folder: folder.to_owned(),
            given_back: Condvar::new(),
        })
    }

    /// Waits until one may run.
    ///
    /// # Errors
    /// Where the wait is called off.
    pub(crate) fn turn(&self, watch: &dyn Watch) -> Result<Turn<'_>, Error> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            watch.checkpoint()?;
            let waited = self.given_back.wait_timeout(free, ASK_EVERY);
            (free, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Ok(Turn(self))
    }

    /// The command that runs a tool in a VM; its input, outputs and exit code are the tool's.
    pub(crate) fn command(
        &self,
        tool: &[OsString],
        sight: &Sight,
        limits: &Limits,
    ) -> Vec<OsString> {
        let (kernel, initrd) = (self.folder.join("kernel"), self.folder.join("initrd"));
        let around = Around {
            limits: Limits {
                // All that its threads may use until it is ended by the clock.
                cpu_seconds: (limits.wall_seconds + BOOT_SECONDS)
                    * (u64::from(self.settings.cpus) + 1),
                memory_bytes: (u64::from(self.settings.mem_mib) << 20) + QEMU_BYTES,
                ..*limits
            },
            files: [(&kernel, KERNEL), (&initrd, INITRD)],
            root: TREE,
            call: (CALL, CALL_BYTES),
            device: match self.accelerator {
                Accelerator::Kvm => Some(Path::new("/dev/kvm")),
                Accelerator::Tcg => None,
            },
        };
        let mut words = cage_of_vm(sight, &around);
        words.extend(["sh", "-c", CALLER, "sh"].map(OsString::from));
        words.push(script(tool, limits));
        words.extend(self.qemu().into_iter().map(OsString::from));
        words
    }

    fn qemu(&self) -> Vec<String> {
        let [program, machine, console] = MACHINE;
        let (accelerator, cpu) = match self.accelerator {
            Accelerator::Kvm => ("kvm", "host"),
            Accelerator::Tcg => ("tcg,tb-size=64", "max"),
        };
        let mut words = vec![program.to_owned()];
        let mut say = |parts: &[&str]| words.extend(parts.iter().map(|&part| part.to_owned()));
        say(&[
            "-nodefaults",
            "-no-user-config",
            "-nic",
            "none",
            "-display",
            "none",
            "-no-reboot",
        ]);
        say(&[
            "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        ]);
        say(&["-machine", machine, "-accel", accelerator, "-cpu", cpu]);
        say(&["-m", &self.settings.mem_mib.to_string()]);
        say(&["-smp", &self.settings.cpus.to_string()]);
        say(&["-kernel", KERNEL, "-initrd", INITRD, "-serial", "stdio"]);
        say(&["-append", &format!("console={console} quiet panic=-1")]);
        for folder in [TREE, CALL] {
            let name = &folder[1..];
            say(&[
                "-fsdev",
                &format!("local,id={name},path={folder},security_model=none,multidevs=remap"),
                "-device",
                &format!("virtio-9p-pci,fsdev={name},mount_tag={name}"),
            ]);
        }
        words
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.given_back.notify_one();
    }
}

/// Whether a kernel has all that it needs, built in or as modules.
fn check(release: &Path) -> Result<(), Error> {
    let mut lists = String::new();
    for list in ["modules.dep", "modules.builtin"] {
        let list = release.join(list);
        lists += &std::fs::read_to_string(&list).at(&list)?;
    }
    for module in MODULES {
        if !lists.contains(&format!("/{module}.ko")) {
            let why = format!(
                "this kernel has no {module}, which a utility VM needs\n\
                 hint: Debian's linux-image has it, its cloud kernels have not"
            );
            return Err(Error::refused(release.display().to_string(), why));
        }
    }
    Ok(())
}

/// What the guest's init is to run: the tool within its limits, with `/tree` for its root.
fn script(tool: &[OsString], limits: &Limits) -> OsString {
    let mut said = format!(
        "ulimit -c 0 -n 1024 -t {} -v {}",
        limits.cpu_seconds,
        limits.memory_bytes >> 10
    );
    if let Some(bytes) = limits.file_bytes {
        said += &format!(" -f {}", bytes / 512);
    }
    said += "\nexec setsid env -i";
    for (name, value) in ENVIRONMENT {
        said += &format!(" {name}={value}");
    }
    said += &format!(" chroot {TREE}");
    let mut said = said.into_bytes();
    for word in tool {
        said.push(b' ');
        said.extend(quoted(word));
    }
    OsString::from_vec(said)
}

/// A word as a shell reads it back.
fn quoted(word: &OsStr) -> Vec<u8> {
    let mut said = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => said.extend(br"'\''"),
            byte => said.push(*byte),
        }
    }
    said.push(b'\'');
    said
}

/// Tells the VM the call, and whoever called what came of it.
const CALLER: &str = r#"
cat >/call/in && printf %s "$1" >/call/tool && shift || exit 125
"$@" </dev/null >/call/console 2>&1
cat /call/out
[ -s /call/code ] && { cat /call/err >&2; exit "$(cat /call/code)"; }
echo 'the utility VM ended before its tool' >&2
tail -n 4 /call/console >&2
exit 125
"#;

/// The first process of the VM.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir /tree /call
mount -t proc proc /proc
mount -t devtmpfs dev /dev
while read -r module; do insmod "/lib/$module"; done </modules
shared=trans=virtio,version=9p2000.L,msize=512000,cache=mmap
mount -t 9p -o $shared tree /tree && mount -t 9p -o $shared call /call || poweroff -f
mount -t proc proc /tree/proc
ip link set lo up
sh /call/tool </call/in >/call/out 2>/call/err
code=$?
sync
echo $code >/call/code
poweroff -f
"#;

fn busybox() -> PathBuf {
    "/bin/busybox".into()
}

/// Checking 1 TiB of ext4 takes e2fsck under 1 GiB; what nodes hold is smaller.
fn mem_mib() -> u32 {
    512
}

fn one() -> u32 {
    1
}
