//! The kernel of a guest, with modules and an initial RAM disk.

use crate::boot::put_file;
use crate::error::{At, Error};
use crate::pack::ZSTD_LEVEL;
use crate::tool::Tool;
use crate::tree::Tree;
use agent::watch::Watch;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

/// Puts a kernel, its modules and an initial RAM disk into a tree: the first modules are loaded
/// before the root is looked for, and the guest finds the others when it needs them.
pub(super) fn unpack(
    tree: &mut Tree,
    guests: &Path,
    [modules, more]: [&[String]; 2],
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
    let all: Vec<String> = modules.iter().chain(more).cloned().collect();
    let all = needed(&release.path(), &all)?;
    put_modules(tree, &release.path(), &all, &work.join("modules"), watch)?;
    let ram = Ram {
        release: &release.path(),
        modules,
        busybox: &guests.join("busybox"),
        init: INIT,
    };
    let ram = ram.pack(&work.join("ram"), watch)?;
    // Compressed for its size, and because extlinux cannot read the holes that runs of zeros become.
    let packed = zstd::encode_all(ram.as_slice(), ZSTD_LEVEL).at(work)?;
    put_file(tree, "/boot/initrd", &packed)
}

/// An initial RAM disk: busybox, an init, and modules that it finds listed in `/modules`, in the order
/// in which they are to be loaded.
pub(crate) struct Ram<'a> {
    /// The folder of the kernel's modules.
    pub(crate) release: &'a Path,
    /// Modules that it loads, without those that they need.
    pub(crate) modules: &'a [String],
    /// A static busybox.
    pub(crate) busybox: &'a Path,
    /// The script that is the first process.
    pub(crate) init: &'a str,
}

impl Ram<'_> {
    /// Packs it, not compressed, of a new folder.
    pub(crate) fn pack(&self, ram: &Path, watch: &dyn Watch) -> Result<Vec<u8>, Error> {
        for folder in ["bin", "lib", "proc", "sys", "dev", "mnt"] {
            let folder = ram.join(folder);
            std::fs::create_dir_all(&folder).at(&folder)?;
        }
        let loaded = needed(self.release, self.modules)?;
        let mut list = String::new();
        for module in &loaded {
            let bytes = plain_module(&self.release.join(module))?;
            let at = ram.join("lib").join(file_name(module));
            std::fs::write(&at, &bytes).at(&at)?;
            list += &format!("{}\n", file_name(module));
        }
        let busybox = std::fs::read(self.busybox).at(self.busybox)?;
        for (at, bytes) in [
            ("bin/busybox", busybox),
            ("modules", list.into_bytes()),
            ("init", self.init.into()),
        ] {
            let at = ram.join(at);
            std::fs::write(&at, bytes).at(&at)?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&at, mode).at(&at)?;
        }
        cpio(ram, watch)
    }
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

/// The modules with the lists by which `modprobe` finds them.
fn put_modules(
    tree: &mut Tree,
    release: &Path,
    modules: &[String],
    work: &Path,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let name = release.file_name().unwrap_or_default().to_string_lossy();
    let folder = format!("/lib/modules/{name}");
    let staged = work.join(&folder[1..]);
    std::fs::create_dir_all(&staged).at(&staged)?;
    for list in [
        "modules.builtin",
        "modules.builtin.modinfo",
        "modules.order",
    ] {
        let from = release.join(list);
        if from.exists() {
            std::fs::copy(&from, staged.join(list)).at(&from)?;
        }
    }
    for module in modules {
        let plain = module.trim_end_matches(".xz");
        let bytes = plain_module(&release.join(module))?;
        let at = staged.join(plain);
        let above = at.parent().unwrap_or(&staged);
        std::fs::create_dir_all(above).at(above)?;
        std::fs::write(&at, &bytes).at(&at)?;
        put_file(tree, &format!("{folder}/{plain}"), &bytes)?;
    }
    let tool = Tool::new("depmod").args(["-b"]).args([work]).args([&*name]);
    tool.uncaged().run(watch)?;
    for entry in staged.read_dir().at(&staged)? {
        let path = entry.at(&staged)?.path();
        if path.is_file() {
            let list = path.file_name().unwrap_or_default().to_string_lossy();
            put_file(
                tree,
                &format!("{folder}/{list}"),
                &std::fs::read(&path).at(&path)?,
            )?;
        }
    }
    Ok(())
}

/// `ext4.ko` of `kernel/fs/ext4/ext4.ko.xz`.
fn file_name(module: &str) -> &str {
    let plain = module.trim_end_matches(".xz");
    plain.rsplit('/').next().unwrap_or(plain)
}

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
