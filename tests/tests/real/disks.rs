//! Disks built from recipes and booted: by extlinux, by GRUB, and with a kernel handed over.

use crate::guest::wait_for;
use agent::build::{BuildStep, plan};
use agent::secret::Keys;
use agent::watch::Unwatched;
use ed25519_dalek::SigningKey;
use image::build::{Built, Workshop, build_disk};
use image::recipe::Recipe;
use image::store::{Image, Store};
use model::blueprint::{
    Blueprint, BootLoader, Customisation, Disk, Format, Partition, PartitionTable,
};
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::{TenantId, VmId};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A store with what the recipes make, and a place for disks.
struct Shop {
    folder: TempDir,
    store: Store,
    key: SigningKey,
}

impl Shop {
    fn new() -> Self {
        let shm = Path::new("/dev/shm");
        let place = if shm.is_dir() {
            shm.to_owned()
        } else {
            std::env::temp_dir()
        };
        let folder = tempfile::Builder::new()
            .prefix("disks-")
            .tempdir_in(place)
            .expect("a folder");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(folder.path(), open).expect("our folder");
        let key = SigningKey::from_bytes(&[7; 32]);
        let trusted = vec![key.verifying_key()];
        let store = Store::open(&folder.path().join("store"), trusted, 4 << 30).expect("a store");
        Self { folder, store, key }
    }

    fn make(&self, recipe: &str) -> Image {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let file = root.join(format!("assets/recipes/{recipe}.toml"));
        let text = std::fs::read_to_string(&file).expect("a recipe");
        let guests = root.join("target/guests/x86_64");
        let recipe = Recipe::read(&text).expect("a good recipe");
        let made = recipe.make(
            &guests,
            self.folder.path(),
            &self.store,
            &self.key,
            &Unwatched,
        );
        made.unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    fn build(&self, blueprint: &Blueprint) -> (PathBuf, Built, Vec<BuildStep>) {
        let steps = plan(blueprint, 0).expect("a good blueprint");
        let target = self.folder.path().join(format!("{}.raw", blueprint.name));
        let keys = Keys::default();
        let workshop = Workshop {
            store: &self.store,
            keys: &keys,
            watch: &Unwatched,
        };
        let built = build_disk(&steps, &target, workshop);
        (
            target,
            built.unwrap_or_else(|error| panic!("{error}")),
            steps,
        )
    }
}

/// A VM with one disk: a root of this format behind a table, and swap.
fn blueprint(
    name: &str,
    images: (&Image, &Image),
    boot: BootLoader,
    table: PartitionTable,
    format: Format,
    size_mib: u64,
) -> Blueprint {
    let partition = |name: &str, size_mib, format, mount: Option<&str>| Partition {
        name: name.to_owned(),
        size_mib,
        format,
        block_bytes: (format == Format::Ext4).then_some(4_096),
        mount: mount.map(str::to_owned),
        bootable: mount == Some("/"),
    };
    Blueprint {
        vm: VmId(1),
        tenant: TenantId(1),
        name: name.to_owned(),
        arch: Arch::X86_64,
        guest: Guest::Linux,
        virtualisation: Virtualisation::Full,
        cpus: 1,
        max_cpus: 1,
        mem_mib: 256,
        max_mem_mib: 256,
        boot,
        kernel_arguments: "quiet panic=-1".to_owned(),
        disks: vec![Disk {
            name: "root".to_owned(),
            size_mib,
            image: Some(images.0.id.clone()),
            table,
            partitions: vec![
                partition("swap", Some(8), Format::Swap, None),
                partition("root", None, format, Some("/")),
            ],
            shared_base: false,
            encryption: None,
            iops: None,
            mibps: None,
        }],
        interfaces: Vec::new(),
        customisation: Customisation {
            add: vec![images.1.id.clone()],
            ..Customisation::default()
        },
        highly_available: false,
    }
}

/// A guest that is killed when dropped; what it says on its console goes to a file.
struct Running {
    qemu: Child,
    console: PathBuf,
}

impl Running {
    fn boot(disk: &Path, built: &Built, mem_mib: u32, more: &[&str]) -> Self {
        let console = disk.with_extension("console");
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args([
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-nodefaults",
            "-display",
            "none",
            "-no-reboot",
        ])
        .args(["-m", &mem_mib.to_string()])
        .args(["-serial", &format!("file:{}", console.display())])
        .args([
            "-drive",
            &format!("file={},format=raw,if=virtio", disk.display()),
        ])
        .args(more);
        if let Some(kernel) = &built.kernel {
            qemu.arg("-kernel")
                .arg(&kernel.kernel)
                .args(["-append", &kernel.command_line]);
            if let Some(initrd) = &kernel.initrd {
                qemu.arg("-initrd").arg(initrd);
            }
        }
        let qemu = qemu
            .stdin(Stdio::null())
            .spawn()
            .expect("qemu-system-x86_64");
        Self { qemu, console }
    }

    /// Waits for a line of its console.
    fn says(&self, marker: &str, limit: Duration) -> String {
        let begun = Instant::now();
        wait_for(marker, limit * 2, || {
            let text = std::fs::read(&self.console).ok()?;
            let text = String::from_utf8_lossy(&text).into_owned();
            // A line that is still being written is none yet.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let line = whole.lines().find(|line| line.contains(marker));
            let late = line.is_none() && begun.elapsed() > limit;
            assert!(!late, "no {marker} after {limit:?}: {text}");
            line.map(str::to_owned)
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.qemu.kill());
        drop(self.qemu.wait());
    }
}

/// A busybox disk boots by extlinux and by GRUB from either table, and with a kernel handed over
/// from any root format; it has its own name.
#[test]
fn a_small_disk_boots_every_way() {
    let shop = Shop::new();
    let (system, linux) = (shop.make("busybox"), shop.make("linux"));
    for (boot, table, format, size_mib) in [
        (BootLoader::Extlinux, PartitionTable::Mbr, Format::Ext4, 96),
        (BootLoader::Extlinux, PartitionTable::Gpt, Format::Ext4, 96),
        (BootLoader::Grub, PartitionTable::Mbr, Format::Ext4, 96),
        (BootLoader::Grub, PartitionTable::Gpt, Format::Ext4, 96),
        (BootLoader::Direct, PartitionTable::Gpt, Format::Xfs, 400),
        (BootLoader::Direct, PartitionTable::Mbr, Format::Btrfs, 300),
    ] {
        let name = format!("{boot}-{table}-{format}");
        let images = (&system, &linux);
        let blueprint = blueprint(&name, images, boot, table, format, size_mib);
        let (disk, built, _) = shop.build(&blueprint);
        let guest = Running::boot(&disk, &built, 256, &[]);
        let line = guest.says("GUEST-UP", Duration::from_secs(120));
        assert!(
            line.contains(&format!("host={name} root={format}")),
            "{line}"
        );
        std::fs::remove_file(&disk).expect("the disk");
    }
}
