//! Disks built from recipes and booted: extlinux, GRUB and a kernel handed over, Debian with a page.

mod foreign;

use crate::guest::wait_for;
use agent::build::{BuildStep, plan};
use agent::edit::Edit;
use agent::secret::Keys;
use agent::watch::Unwatched;
use ed25519_dalek::SigningKey;
use image::build::{Built, Workshop, build_disk};
use image::customise::customise;
use image::recipe::Recipe;
use image::store::{Image, Store};
use model::blueprint::{
    Blueprint, BootLoader, Customisation, Disk, Format, GuestFile, Interface, Partition,
    PartitionTable, User,
};
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::{NetworkId, TenantId, VmId};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
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

    fn workshop<'a>(&'a self, keys: &'a Keys) -> Workshop<'a> {
        Workshop {
            store: &self.store,
            keys,
            watch: &Unwatched,
        }
    }

    fn build(&self, blueprint: &Blueprint) -> (PathBuf, Built, Vec<BuildStep>) {
        let steps = plan(blueprint, 0).expect("a good blueprint");
        let target = self.folder.path().join(format!("{}.raw", blueprint.name));
        let keys = Keys::default();
        let built = build_disk(&steps, &target, self.workshop(&keys));
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
            extents: Vec::new(),
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

/// Debian with a web server, its own name, address, key, parameter and one package less: a copy of
/// its GPT disk, customised with another name and a file, boots and serves the page that the
/// blueprint has written.
#[test]
fn a_web_server_serves_its_page() {
    let shop = Shop::new();
    let (system, linux) = (shop.make("nginx"), shop.make("linux"));
    let images = (&system, &linux);
    let mut blueprint = blueprint(
        "web-1",
        images,
        BootLoader::Extlinux,
        PartitionTable::Gpt,
        Format::Ext4,
        1_024,
    );
    blueprint.interfaces = vec![Interface {
        name: "front".to_owned(),
        network: NetworkId(1),
        mac: [0x52, 0x54, 0, 0x11, 0x22, 0x33],
        addresses: vec![("10.0.2.15".parse().expect("an address"), 24)],
        gateway: Some("10.0.2.2".parse().expect("an address")),
        mbps: None,
        allowed: Vec::new(),
    }];
    let customisation = &mut blueprint.customisation;
    customisation.remove = vec!["nano".to_owned()];
    customisation.parameters = [("greeting".to_owned(), "Served by web-1".to_owned())].into();
    customisation.users = vec![User {
        name: "ann".to_owned(),
        ssh_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== ann".to_owned()],
    }];
    let report = "#!/bin/sh\nexec >/dev/ttyS0 2>&1\n\
        [ -e /usr/bin/nano ] || echo \"NANO gone, $(dpkg -s nano 2>&1 | head -n 1)\"\n\
        echo \"SEES host=$(hostname) motd=$(cat /etc/motd) key=$(cut -d' ' -f3 /home/ann/.ssh/authorized_keys) \
        owner=$(stat -c %U:%a /home/ann/.ssh/authorized_keys) shadow=$(stat -c %U:%G:%a /etc/shadow)\"\n";
    let unit = "[Service]\nType=oneshot\nExecStart=/usr/local/sbin/report\n";
    let file = |text: &str, mode| GuestFile {
        text: text.to_owned(),
        mode,
    };
    customisation.files = [
        ("/usr/local/sbin/report".to_owned(), file(report, 0o755)),
        (
            "/etc/systemd/system/nginx.service.d/report.conf".to_owned(),
            file(
                "[Unit]\nWants=report.service\nAfter=report.service\n",
                0o644,
            ),
        ),
        (
            "/etc/systemd/system/report.service".to_owned(),
            file(unit, 0o644),
        ),
    ]
    .into();
    let (original, built, _) = shop.build(&blueprint);
    let disk = original.with_file_name("web-2.raw");
    let edits = [
        Edit::file("/etc/hostname", "web-2\n", 0o644),
        Edit::file("/etc/motd", "customised\n", 0o644),
    ];
    customise(&original, &disk, &edits, &Unwatched).expect("customised");

    let port = free_port();
    let net = format!("user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:80");
    let card = "virtio-net-pci,netdev=n,mac=52:54:00:11:22:33";
    let guest = Running::boot(&disk, &built, 512, &["-netdev", &net, "-device", card]);
    let limit = Duration::from_secs(60);
    assert_eq!(
        guest.says("SEES", limit).trim(),
        "SEES host=web-2 motd=customised key=ann owner=ann:600 shadow=root:shadow:640"
    );
    let gone = guest.says("NANO", limit);
    assert!(gone.contains("package 'nano' is not installed"), "{gone}");
    let page = wait_for("the page", limit, || page(port));
    assert!(
        page.starts_with("HTTP/1.1 200 OK") && page.ends_with("Served by web-1\n"),
        "{page}"
    );
}

fn page(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    stream
        .write_all(b"GET / HTTP/1.0\r\nHost: web-1\r\n\r\n")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

/// A port that nobody has; the kernel does not give it to another at once.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}
