//! The kernel of a guest, and the boot loaders that start it.

use crate::error::{At, Error};
use crate::tool::Tool;
use crate::tree::{Kind, Tree};
use agent::edit::{Access, Edit};
use agent::layout::{Layout, SECTOR_BYTES};
use agent::watch::Watch;
use model::blueprint::{BootLoader, Format, PartitionTable};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::extlinux;

/// Bytes of a boot sector that are code; the partition table of an MBR follows.
const CODE_BYTES: usize = 440;

const GRUB_FOLDER: &str = "/usr/lib/grub/i386-pc";

/// What GRUB must have in its core to find and start a kernel by itself.
const GRUB_MODULES: &str = "biosdisk part_gpt part_msdos ext2 xfs btrfs linux normal configfile \
                            search search_label serial terminal boot echo";

/// A kernel that was taken out of a guest, for the hypervisor to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its file on the node.
    pub kernel: PathBuf,
    /// Its initial RAM disk; `None`: none.
    pub initrd: Option<PathBuf>,
    /// Its command line.
    pub command_line: String,
}

/// The newest kernel of a tree, with its initial RAM disk.
pub(crate) fn kernel_of(tree: &Tree) -> Option<(String, Option<String>)> {
    let files = tree
        .nodes()
        .filter(|(_, node)| matches!(node.kind, Kind::File { .. }));
    let names: Vec<&str> = files
        .filter_map(|(path, _)| path.strip_prefix("/boot/"))
        .collect();
    let kernels = names.iter().filter(|name| name.starts_with("vmlinuz"));
    let kernel = kernels.max_by_key(|name| numbers(name))?;
    let version = &kernel["vmlinuz".len()..];
    let initrds = [format!("initrd.img{version}"), format!("initrd{version}")];
    let initrd = initrds.iter().find(|name| names.contains(&name.as_str()));
    Some((
        format!("/boot/{kernel}"),
        initrd.map(|name| format!("/boot/{name}")),
    ))
}

/// Writes the loader's configuration, and the files it reads, into a tree.
pub(crate) fn configure(
    tree: &mut Tree,
    loader: BootLoader,
    command_line: &str,
) -> Result<(), Error> {
    if loader == BootLoader::Direct {
        return Ok(());
    }
    let none = || {
        Error::refused(
            "the image",
            "it has no kernel in /boot\nhint: add an image with one",
        )
    };
    let (kernel, initrd) = kernel_of(tree).ok_or_else(none)?;
    let console = command_line.contains("console=ttyS0");
    match loader {
        BootLoader::Direct => Ok(()),
        BootLoader::Extlinux => {
            let initrd = initrd.map_or(String::new(), |path| format!("  INITRD {path}\n"));
            let serial = if console { "SERIAL 0 115200\n" } else { "" };
            let text = format!(
                "{serial}DEFAULT linux\nPROMPT 0\nTIMEOUT 0\nLABEL linux\n  LINUX {kernel}\n{initrd}  APPEND {command_line}\n"
            );
            tree.edit(&[Edit::file("/boot/extlinux/extlinux.conf", text, 0o644)])?;
            extlinux::put_files(tree)
        }
        BootLoader::Grub => {
            let initrd = initrd.map_or(String::new(), |path| format!("initrd {path}\n"));
            let serial = if console {
                "serial --unit=0\nterminal_output serial\n"
            } else {
                ""
            };
            let text =
                format!("{serial}set timeout=0\nlinux {kernel} {command_line}\n{initrd}boot\n");
            tree.edit(&[Edit::file("/boot/grub/grub.cfg", text, 0o644)])
        }
    }
}

/// Writes the sectors of a loader: into the disk, whose table is written, and into the file of its
/// root partition, whose file system is made.
pub(crate) fn install(
    loader: BootLoader,
    layout: &Layout,
    disk: &Path,
    root: &Path,
    watch: &dyn Watch,
) -> Result<(), Error> {
    match loader {
        BootLoader::Direct => Ok(()),
        BootLoader::Extlinux => {
            let place = layout
                .root()
                .expect("the plan has checked that there is one");
            extlinux::install(root, place.first_sector, watch)?;
            let code = match layout.table {
                PartitionTable::Gpt => "/usr/lib/EXTLINUX/gptmbr.bin",
                _ => "/usr/lib/EXTLINUX/mbr.bin",
            };
            write_code(disk, &read(Path::new(code), "extlinux")?)
        }
        BootLoader::Grub => grub(layout, disk, watch),
    }
}

/// GRUB's first sector names the place of its core, and the core's first sector the place and
/// length of the rest. Offsets as in GRUB 2.06: `boot.S` has the core's sector in 8 bytes at 0x5c;
/// `diskboot.S` ends in a list whose first entry, 12 bytes before the end, begins with the sector.
fn grub(layout: &Layout, disk: &Path, watch: &dyn Watch) -> Result<(), Error> {
    const CORE_SECTOR_AT: usize = 0x5c;
    const REST_SECTOR_AT: usize = 512 - 12;
    let root = layout
        .root()
        .expect("the plan has checked that there is one");
    let number = layout
        .partitions
        .iter()
        .position(|place| place == root)
        .unwrap_or(0)
        + 1;
    let kind = match layout.table {
        PartitionTable::Gpt => "gpt",
        _ => "msdos",
    };
    let work = crate::work::Work::beside(disk)?;
    let core = work.path().join("core.img");
    crate::sandbox::hand_over(work.path())?;
    let prefix = format!("(hd0,{kind}{number})/boot/grub");
    let tool = Tool::new("grub-mkimage")
        .args(["-O", "i386-pc", "-p", &prefix, "-o"])
        .args([&core]);
    tool.args(GRUB_MODULES.split_whitespace())
        .writes(work.path())
        .run(watch)?;
    let mut core = read(&core, "grub-pc-bin")?;
    let mut boot = read(&Path::new(GRUB_FOLDER).join("boot.img"), "grub-pc-bin")?;
    let room = layout.partitions.iter().find(|place| place.grub_core);
    // Without a partition of its own it goes between the MBR and the first partition.
    let (at, sectors) = room.map_or((1, layout.partitions[0].first_sector - 1), |place| {
        (place.first_sector, place.sectors)
    });
    if core.len() as u64 > sectors * SECTOR_BYTES || core.len() < 512 || boot.len() < CODE_BYTES {
        return Err(Error::refused(
            "GRUB",
            format!("its core has {} bytes", core.len()),
        ));
    }
    boot[CORE_SECTOR_AT..CORE_SECTOR_AT + 8].copy_from_slice(&at.to_le_bytes());
    core[REST_SECTOR_AT..REST_SECTOR_AT + 8].copy_from_slice(&(at + 1).to_le_bytes());
    let file = OpenOptions::new().write(true).open(disk).at(disk)?;
    file.write_all_at(&core, at * SECTOR_BYTES).at(disk)?;
    write_code(disk, &boot)
}

/// Takes the kernel of a tree out, beside a disk.
pub(crate) fn take_out(
    tree: &Tree,
    disk: &Path,
    command_line: &str,
) -> Result<Option<Kernel>, Error> {
    let Some((kernel, initrd)) = kernel_of(tree) else {
        return Ok(None);
    };
    let copy = |path: &str, ending: &str| -> Result<PathBuf, Error> {
        let to = disk.with_extension(ending);
        let Some(Kind::File { spooled, .. }) = tree.node(path).map(|node| &node.kind) else {
            return Err(Error::refused(path, "it is no file"));
        };
        crate::replicate::replicate(&tree.content(*spooled), &to, &agent::watch::Unwatched)?;
        Ok(to)
    };
    let initrd = initrd.map(|path| copy(&path, "initrd")).transpose()?;
    let kernel = copy(&kernel, "kernel")?;
    let command_line = command_line.to_owned();
    Ok(Some(Kernel {
        kernel,
        initrd,
        command_line,
    }))
}

/// Puts a file of the node into a tree as root's.
pub(crate) fn put_file(tree: &mut Tree, path: &str, bytes: &[u8]) -> Result<(), Error> {
    let (spooled, bytes) = tree.spool(bytes)?;
    let node = crate::tree::Node {
        kind: Kind::File { spooled, bytes },
        access: Access::root(0o644),
        changed_seconds: 0,
        attributes: Vec::new(),
    };
    tree.put(path, node)
}

/// Reads a file that a Debian package brings.
pub(crate) fn read(path: &Path, package: &'static str) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|_| Error::Missing {
        program: "boot loader",
        package,
    })
}

/// Whether a disk of this format can hold a root that extlinux reads.
pub(crate) fn for_extlinux(loader: BootLoader, format: Format) -> bool {
    loader == BootLoader::Extlinux && format == Format::Ext4
}

fn write_code(disk: &Path, code: &[u8]) -> Result<(), Error> {
    let file: File = OpenOptions::new().write(true).open(disk).at(disk)?;
    file.write_all_at(&code[..code.len().min(CODE_BYTES)], 0)
        .at(disk)
}

/// The numbers in a name, so that 6.1.0-10 comes after 6.1.0-9.
fn numbers(name: &str) -> Vec<u64> {
    let parts = name.split(|c: char| !c.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}
