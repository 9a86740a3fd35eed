//! Images made from what the machine can install, as a recipe says.

pub(crate) mod kernel;

use crate::archive::{Bounds, unpack};
use crate::boot::put_file;
use crate::error::{At, Error};
use crate::manifest::{Compression, Content, Manifest, Template};
use crate::pack::pack;
use crate::store::{Image, Store};
use crate::tool::Tool;
use crate::tree::{Kind, Node, Tree};
use agent::edit::{Access, Edit};
use agent::watch::Watch;
use ed25519_dalek::SigningKey;
use model::hypervisor::{Arch, Guest};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// What a recipe may make at most: far above any image that a node should hold.
const MOST: Bounds = Bounds {
    entries: 1_000_000,
    bytes: 64 << 30,
};

/// Where Debian's package `user-mode-linux` puts its kernel.
const USER_MODE_KERNEL: &str = "/usr/bin/linux.uml";

/// How to make one image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What people call it.
    pub name: String,
    /// Which of that name.
    pub version: String,
    /// Instruction set.
    pub arch: Arch,
    /// Operating system.
    pub guest: Guest,
    /// What it is to hold: a system, or an application.
    pub content: Content,
    /// How it is compressed.
    pub compression: Compression,
    /// Applications that it will have.
    #[serde(default)]
    pub applications: Vec<String>,
    /// Where its files come from.
    pub source: Source,
    /// Files written into it.
    #[serde(default)]
    pub files: Vec<Template>,
    /// Files that are filled with parameters when a disk is built.
    #[serde(default)]
    pub templates: Vec<Template>,
    /// Values of the parameters that nobody sets.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

/// Where the files of an image come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// The static busybox of a folder of guests.
    Busybox,
    /// The kernel and modules of a folder of guests.
    Kernel {
        /// Modules that a guest needs; what they need comes too.
        modules: Vec<String>,
        /// Modules that its root file system has beside them, for what some guests do.
        #[serde(default)]
        more: Vec<String>,
    },
    /// The kernel of User-mode Linux that this machine has, a program with its drivers built in.
    UserMode,
    /// Packages of Debian, from the archive that this machine's own apt uses.
    Debian {
        /// The release.
        suite: String,
        /// Packages beyond the smallest set.
        packages: Vec<String>,
        /// Services started at boot.
        enable: Vec<String>,
        /// Services that their packages would start at boot, and that are not.
        #[serde(default)]
        disable: Vec<String>,
    },
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| Error::refused("recipe", error.to_string()))
    }

    /// Makes the image and keeps it in a store. `guests` is a folder with `vmlinuz`, `modules` and
    /// `busybox`, as `make guests` fetches one for each architecture.
    ///
    /// # Errors
    /// Where something it needs is not there.
    pub fn make(
        &self,
        guests: &Path,
        work: &Path,
        store: &Store,
        key: &SigningKey,
        watch: &dyn Watch,
    ) -> Result<Image, Error> {
        let work = tempfile::tempdir_in(work).at(work)?;
        let spool = work.path().join("spool");
        std::fs::create_dir(&spool).at(&spool)?;
        let mut tree = Tree::new(&spool);
        match &self.source {
            Source::Busybox => busybox(&mut tree, guests)?,
            Source::Kernel { modules, more } => {
                kernel::unpack(&mut tree, guests, [modules, more], work.path(), watch)?;
            }
            Source::UserMode => {
                let kernel = Path::new(USER_MODE_KERNEL);
                let bytes = std::fs::read(kernel).at(kernel)?;
                put_file(&mut tree, "/boot/vmlinuz", &bytes)?;
            }
            Source::Debian {
                suite,
                packages,
                enable,
                disable,
            } => {
                let services = [("enable", enable), ("disable", disable)];
                debian(&mut tree, suite, packages, services, work.path(), watch)?;
            }
        }
        for file in &self.files {
            let text = file.text.trim_start_matches('\n');
            tree.edit(&[Edit::file(&file.path, text, file.mode)])?;
        }
        let stream = work.path().join("stream");
        let bounds = pack(&tree, &stream, self.compression)?;
        store.add(self.manifest(bounds), &stream, key, watch)
    }

    fn manifest(&self, bounds: Bounds) -> Manifest {
        Manifest {
            name: self.name.clone(),
            version: self.version.clone(),
            arch: self.arch,
            guest: self.guest,
            content: self.content,
            applications: self.applications.clone(),
            compression: self.compression,
            stream: String::new(),
            stream_bytes: 0,
            bounds,
            disk_bytes: 0,
            templates: self.templates.clone(),
            parameters: self.parameters.clone(),
            cloud_init: false,
        }
    }
}

fn busybox(tree: &mut Tree, guests: &Path) -> Result<(), Error> {
    let program = guests.join("busybox");
    let bytes = std::fs::read(&program).at(&program)?;
    put_program(tree, "/bin/busybox", &bytes)?;
    for applet in APPLETS.split_whitespace() {
        let path = format!("/bin/{applet}");
        tree.edit(&[Edit::link(&path, "busybox")])?;
    }
    for folder in [
        "dev", "etc", "mnt", "proc", "root", "srv", "sys", "tmp", "var",
    ] {
        put_folder(tree, &format!("/{folder}"))?;
    }
    Ok(())
}

/// What the guests' own scripts and a person at the console use.
const APPLETS: &str = "awk cat cp cut date dd df dmesg echo env false free grep head hostname httpd \
    ifconfig insmod ip kill ln ls lsmod mkdir mount mv nc nproc ping poweroff printf ps reboot rm \
    sed seq sh sleep sort stat sync tail tar test top touch tr true udhcpc umount uname uptime vi \
    wc wget which";

fn debian(
    tree: &mut Tree,
    suite: &str,
    packages: &[String],
    services: [(&str, &Vec<String>); 2],
    work: &Path,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let archive = work.join("debian.tar");
    let mut tool =
        Tool::new("mmdebstrap").args(["--variant=minbase", "--quiet", "--skip=output/dev"]);
    tool = tool.args([format!("--include={}", packages.join(","))]);
    for (verb, services) in services {
        for service in services {
            tool = tool.args([format!(
                "--customize-hook=chroot \"$1\" systemctl {verb} {service}"
            )]);
        }
    }
    let tool = tool
        .args([suite])
        .args([&archive])
        .args([mirror()?])
        .scratch(work);
    tool.uncaged().run(watch)?;
    let stream = File::open(&archive).at(&archive)?;
    unpack(stream, "debian", MOST, tree, watch)?;
    // Keys of a host are its own, made at its first start; lists of packages are soon old. They are
    // taken out here and not by hooks, which run where devices of this machine are mounted.
    let own = |path: &str| path.starts_with("/etc/ssh/ssh_host_") || path.starts_with(LISTS);
    let own: Vec<String> = tree
        .nodes()
        .map(|(path, _)| path.to_owned())
        .filter(|p| own(p))
        .collect();
    for path in own {
        tree.remove(&path);
    }
    tree.edit(&[
        Edit::file(
            "/etc/systemd/system/ssh.service.d/keys.conf",
            "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n",
            0o644,
        ),
        Edit::file("/etc/hostname", "debian\n", 0o644),
    ])
}

/// Where apt keeps what archives hold.
const LISTS: &str = "/var/lib/apt/lists/";

/// The archive that this machine's own apt uses.
fn mirror() -> Result<String, Error> {
    let folder = Path::new("/etc/apt/sources.list.d");
    let mut texts = Vec::new();
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("debian") {
            texts.extend(std::fs::read_to_string(entry.path()));
        }
    }
    texts.extend(std::fs::read_to_string("/etc/apt/sources.list"));
    let uris = texts.iter().flat_map(|text| text.lines()).find_map(|line| {
        let deb822 = line
            .strip_prefix("URIs:")
            .and_then(|rest| rest.split_whitespace().next());
        let classic = line
            .strip_prefix("deb ")
            .and_then(|rest| rest.split_whitespace().find(|word| word.contains("://")));
        deb822.or(classic).map(str::to_owned)
    });
    uris.ok_or_else(|| Error::refused("/etc/apt", "it names no Debian archive"))
}

fn put_program(tree: &mut Tree, path: &str, bytes: &[u8]) -> Result<(), Error> {
    let (spooled, bytes) = tree.spool(bytes)?;
    let kind = Kind::File { spooled, bytes };
    tree.put(path, node(kind, 0o755))
}

fn put_folder(tree: &mut Tree, path: &str) -> Result<(), Error> {
    tree.put(path, node(Kind::Folder, 0o755))
}

fn node(kind: Kind, mode: u32) -> Node {
    Node {
        kind,
        access: Access::root(mode),
        changed_seconds: 0,
        attributes: Vec::new(),
    }
}
