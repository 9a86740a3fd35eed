//! Whole disks that others publish, taken into a store as images: raw or qcow2, compressed or not.
//!
//! A published disk is read by us as far as its header goes, which must name no other file, and then
//! by qemu-img in the cage, which is told its format and guesses nothing.

use crate::base::{QCOW2, refuse_foreign, seen_bytes};
use crate::error::{At, Error};
use crate::ext4::is_ext4;
use crate::manifest::{Compression, Content, Manifest};
use crate::replicate::create;
use crate::sandbox::{Limits, hand_over, let_through};
use crate::store::{Image, Store, unpacked};
use crate::tool::Tool;
use crate::whole::pack;
use crate::work::Work;
use agent::layout::SECTOR_BYTES;
use agent::watch::Watch;
use ed25519_dalek::SigningKey;
use model::hypervisor::{Arch, Guest};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that are looked at together, and left out where all of them are zero.
const BLOCK_BYTES: usize = 64 << 10;

/// What its publisher says of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// What people call it, as `debian`.
    pub name: String,
    /// Which of that name.
    pub version: String,
    /// Instruction set of its programs.
    pub arch: Arch,
    /// Its operating system.
    pub guest: Guest,
    /// Whether cloud-init runs in it and looks for a NoCloud seed.
    pub cloud_init: bool,
    /// The most bytes that its guest may see: what it unpacks to is not known before.
    pub most_bytes: u64,
}

/// Takes a disk into a store as a signed image; `folder`: where it is unpacked meanwhile.
///
/// # Errors
/// Where it is neither raw nor qcow2, names another file or a key, or is larger than it may be.
pub fn publish(
    disk: &Path,
    published: &Published,
    folder: &Path,
    (store, key): (&Store, &SigningKey),
    watch: &dyn Watch,
) -> Result<Image, Error> {
    let work = Work::beside(&folder.join("disk"))?;
    let_through(work.path())?;
    let raw = raw(disk, published, work.path(), watch)?;
    let stream = work.path().join("stream");
    let compression = Compression::Zstd;
    let bounds = pack(&raw, &stream, compression, watch)?;
    let manifest = Manifest {
        name: published.name.clone(),
        version: published.version.clone(),
        arch: published.arch,
        guest: published.guest,
        content: Content::Disk,
        applications: Vec::new(),
        compression,
        stream: String::new(),
        stream_bytes: 0,
        bounds,
        disk_bytes: raw.metadata().at(&raw)?.len(),
        templates: Vec::new(),
        parameters: [].into(),
        cloud_init: published.cloud_init,
    };
    store.add(manifest, &stream, key, watch)
}

/// The disk as its guest sees it, in a file of ours.
fn raw(
    disk: &Path,
    published: &Published,
    work: &Path,
    watch: &dyn Watch,
) -> Result<PathBuf, Error> {
    let refused = |why: String| Error::refused(&published.name, why);
    let most = published.most_bytes;
    let unpacked = unpack(disk, most, work, watch).map_err(|error| match error {
        Error::Refused { why, .. } => refused(why),
        error => error,
    })?;
    let file = File::open(&unpacked).at(&unpacked)?;
    if begins(&file, QCOW2) {
        let renamed = |error| match error {
            Error::Refused { why, .. } => refused(why),
            error => error,
        };
        refuse_foreign(&unpacked, None).map_err(renamed)?;
        let bytes = seen_bytes(&unpacked).map_err(renamed)?;
        if bytes > most {
            return Err(refused(format!("{bytes} bytes, of {most} at most")));
        }
        let raw = work.join("raw");
        create(&raw)?.set_len(bytes).at(&raw)?;
        hand_over(work)?;
        let limits = Limits {
            file_bytes: Some(bytes),
            ..Limits::default()
        };
        let tool = Tool::new("qemu-img").args(["convert", "-n", "-f", "qcow2", "-O", "raw"]);
        let tool = tool.args([&unpacked, &raw]).reads(&unpacked).writes(&raw);
        tool.within(limits).foreign().run(watch)?;
        check_raw(&raw).map_err(refused)?;
        return Ok(raw);
    }
    check_raw(&unpacked).map_err(refused)?;
    Ok(unpacked)
}

/// A copy without compression and without holes, of at most so many bytes.
fn unpack(disk: &Path, most: u64, work: &Path, watch: &dyn Watch) -> Result<PathBuf, Error> {
    let file = File::open(disk).at(disk)?;
    let compression = match () {
        () if begins(&file, b"\x28\xB5\x2F\xFD") => Compression::Zstd,
        () if begins(&file, b"\xFD7zXZ\0") => Compression::Xz,
        () => Compression::None,
    };
    let mut from = unpacked(file, compression).at(disk)?;
    let to = work.join("unpacked");
    let target = create(&to)?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut at = 0;
    loop {
        watch.checkpoint()?;
        let many = fill(&mut from, &mut block)
            .map_err(|error| Error::refused(disk.display().to_string(), error.to_string()))?;
        if many == 0 {
            break;
        }
        if at + many as u64 > most {
            let why = format!("it unpacks to more than {most} bytes");
            return Err(Error::refused(disk.display().to_string(), why));
        }
        if block[..many].iter().any(|byte| *byte != 0) {
            target.write_all_at(&block[..many], at).at(&to)?;
        }
        at += many as u64;
    }
    target.set_len(at).at(&to)?;
    Ok(to)
}

/// Reads until a block is full or the stream ends; how many bytes came.
fn fill(from: &mut impl Read, block: &mut [u8]) -> std::io::Result<usize> {
    let mut many = 0;
    while many < block.len() {
        match from.read(&mut block[many..]) {
            Ok(0) => break,
            Ok(more) => many += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(many)
}

fn begins(file: &File, with: &[u8]) -> bool {
    let mut first = vec![0; with.len()];
    file.read_exact_at(&mut first, 0).is_ok() && first == with
}

/// A disk of a format that we do not know is not taken for a raw one.
fn check_raw(disk: &Path) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let file = File::open(disk).map_err(told)?;
    let len = file.metadata().map_err(told)?.len();
    let mut end = [0; 2];
    let table = file.read_exact_at(&mut end, SECTOR_BYTES - 2).is_ok() && end == [0x55, 0xAA];
    if len == 0 || !len.is_multiple_of(SECTOR_BYTES) || !(table || is_ext4(&file, 0)) {
        let hint = "hint: raw and qcow2 are taken, as they are or compressed by zstd or xz";
        return Err(format!("it is no disk that we know\n{hint}"));
    }
    Ok(())
}
