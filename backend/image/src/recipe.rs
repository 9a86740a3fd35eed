//! Images made from what the machine can install, as a recipe says.

use crate::archive::{Bounds, unpack};
use crate::boot::put_file;
use crate::error::{At, Error};
use crate::manifest::{Compression, Content, Manifest, Template};
use crate::pack::{ZSTD_LEVEL, pack};
use crate::store::{Image, Store};
use crate::tool::Tool;
use crate::tree::{Kind, Node, Tree};
use agent::edit::{Access, Edit};
use agent::watch::Watch;
use ed25519_dalek::SigningKey;
use model::hypervisor::{Arch, Guest};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a recipe may make at most: far above any image that a node should hold.
const MOST: Bounds = Bounds {
    entries: 1_000_000,
    bytes: 64 << 30,
};

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
    },
    /// Packages of Debian, from the archive that this machine's own apt uses.
    Debian {
        /// The release.
        suite: String,
        /// Packages beyond the smallest set.
        packages: Vec<String>,
        /// Services started at boot.
        enable: Vec<String>,
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
            Source::Kernel { modules } => kernel(&mut tree, guests, modules, work.path(), watch)?,
            Source::Debian {
                suite,
                packages,
                enable,
            } => {
                debian(&mut tree, suite, packages, enable, work.path(), watch)?;
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

fn kernel(
    tree: &mut Tree,
    guests: &Path,
    modules: &[String],
    work: &Path,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let image = guests.join("vmlinuz");
    put_file(tree, "/boot/vmlinuz", &std::fs::read(&image).at(&image)?)?;
    let folder = guests.join("modules");
    let releases = folder
        .read_dir()
        .at(&folder)?
        .collect::<Result<Vec<_>, _>>()
        .at(&folder)?;
    let none = || Error::refused(folder.display().to_string(), "it holds no kernel's modules");
    let release = releases.first().ok_or_else(none)?;
    let name = release.file_name().to_string_lossy().into_owned();
    let ram = work.join("ram");
    for folder in ["bin", "lib", "proc", "sys", "dev", "mnt"] {
        let folder = ram.join(folder);
        std::fs::create_dir_all(&folder).at(&folder)?;
    }
    let mut list = String::new();
    for module in needed(&release.path(), modules)? {
        let from = release.path().join(&module);
        let bytes = plain_module(&from)?;
        let plain = module.trim_end_matches(".xz");
        let file = plain.rsplit('/').next().unwrap_or(plain);
        let at = ram.join("lib").join(file);
        std::fs::write(&at, &bytes).at(&at)?;
        list += &format!("{file}\n");
        put_file(tree, &format!("/lib/modules/{name}/{plain}"), &bytes)?;
    }
    let program = guests.join("busybox");
    for (at, bytes) in [
        ("bin/busybox", std::fs::read(&program).at(&program)?),
        ("modules", list.into_bytes()),
        ("init", INIT.into()),
    ] {
        let at = ram.join(at);
        std::fs::write(&at, bytes).at(&at)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&at, mode).at(&at)?;
    }
    // Compressed for its size, and because extlinux cannot read the holes that runs of zeros become.
    let packed = zstd::encode_all(cpio(&ram, watch)?.as_slice(), ZSTD_LEVEL).at(&ram)?;
    put_file(tree, "/boot/initrd", &packed)
}

/// Finds the root by its label, and hands over to its init.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "/lib/$module" 2>/dev/null; done </modules
for word in $(cat /proc/cmdline); do
	case $word in root=*) root=${word#root=};; esac
done
tries=0
until device=$(findfs "$root" 2>/dev/null) || [ -b "${device:=$root}" ] || [ $tries = 100 ]; do
	device=; tries=$((tries + 1)); sleep 0.1
done
for type in ext4 xfs btrfs; do mount -t $type "$device" /mnt 2>/dev/null && break; done
[ -d /mnt/sbin ] || { echo "no system at $root"; exec sh; }
mount --move /proc /mnt/proc; mount --move /sys /mnt/sys; mount --move /dev /mnt/dev
exec switch_root /mnt /sbin/init
"#;

/// Files of modules with all that they need, in the order in which they are to be loaded.
fn needed(release: &Path, modules: &[String]) -> Result<Vec<String>, Error> {
    let file = release.join("modules.dep");
    let text = std::fs::read_to_string(&file).at(&file)?;
    let mut seen = BTreeSet::new();
    let mut ordered = Vec::new();
    for module in modules {
        let named = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name.split('.')
                .next()
                .is_some_and(|stem| stem.replace('-', "_") == module.replace('-', "_"))
        };
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        // What is not listed is built into this kernel.
        for (path, needs) in lines.filter(|(path, _)| named(path)) {
            for path in needs.split_whitespace().rev().chain([path]) {
                if seen.insert(path.to_owned()) {
                    ordered.push(path.to_owned());
                }
            }
        }
    }
    Ok(ordered)
}

fn plain_module(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = std::fs::read(path).at(path)?;
    if path.extension().is_none_or(|ending| ending != "xz") {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    liblzma::read::XzDecoder::new(bytes.as_slice())
        .read_to_end(&mut plain)
        .at(path)?;
    Ok(plain)
}

fn cpio(folder: &Path, watch: &dyn Watch) -> Result<Vec<u8>, Error> {
    let mut list = String::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in inner.read_dir().at(&inner)? {
            let path = entry.at(&inner)?.path();
            let name = path.strip_prefix(folder).unwrap_or(&path);
            list += &format!("{}\n", name.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    let tool = Tool::new("cpio").args(["--quiet", "-o", "-H", "newc", "-R", "0:0", "-D"]);
    let said = tool
        .args([folder])
        .input(list.as_bytes())
        .uncaged()
        .run(watch)?;
    Ok(said.out)
}

fn debian(
    tree: &mut Tree,
    suite: &str,
    packages: &[String],
    enable: &[String],
    work: &Path,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let archive = work.join("debian.tar");
    let mut tool =
        Tool::new("mmdebstrap").args(["--variant=minbase", "--quiet", "--skip=output/dev"]);
    tool = tool.args([format!("--include={}", packages.join(","))]);
    for service in enable {
        tool = tool.args([format!(
            "--customize-hook=chroot \"$1\" systemctl enable {service}"
        )]);
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
