//! Whole disks as images: what their file systems hold, without what was deleted and without holes.

use crate::archive::Bounds;
use crate::customise::{customise_in_place, partitions, take_back};
use crate::error::{At, Error};
use crate::ext4::is_ext4;
use crate::extent::{data, pieces};
use crate::manifest::{Compression, Manifest};
use crate::pack::ZSTD_LEVEL;
use crate::replicate::create;
use crate::sandbox::hand_over;
use crate::tool::Tool;
use crate::wipe::clear;
use agent::edit::Edit;
use agent::layout::SECTOR_BYTES;
use agent::watch::Watch;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use tar::{Archive, Builder, EntryType, Header};

/// Bytes that are looked at together, and left out where all of them are zero.
const BLOCK_BYTES: u64 = 64 << 10;

/// Largest entry: what a reader takes at a time.
const PIECE_BYTES: u64 = 16 << 20;

/// What makes a disk one machine's, and what only that machine may know. Each is made anew by the
/// guest that lacks it; a build writes name, users and addresses.
const OWN: [&str; 13] = [
    "/etc/hostname",
    "/etc/ssh/ssh_host_dsa_key",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ecdsa_key.pub",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_ed25519_key.pub",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_rsa_key.pub",
    "/root/.bash_history",
    "/root/.ssh/authorized_keys",
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/credential.secret",
    "/var/lib/systemd/random-seed",
];

/// Takes out of a raw disk what only the machine may know that it was saved from.
///
/// # Errors
/// Where its root is not ext4, or has a fault.
pub fn clean(disk: &Path, watch: &dyn Watch) -> Result<(), Error> {
    customise_in_place(disk, &own_edits(), watch)
}

/// What takes it out of the files of a guest.
pub(crate) fn own_edits() -> Vec<Edit> {
    let deleted = OWN.iter().map(|own| Edit::Delete {
        path: (*own).to_owned(),
    });
    let blank = Edit::file("/etc/machine-id", "", 0o444);
    deleted.chain([blank]).collect()
}

/// Writes a raw disk as the stream of an image; what it unpacks to. Of ext4 file systems only the
/// blocks in use are taken, so that nothing deleted is handed on.
///
/// # Errors
/// Where it cannot be read, or there is no room beside the stream.
pub fn pack(
    disk: &Path,
    stream: &Path,
    compression: Compression,
    watch: &dyn Watch,
) -> Result<Bounds, Error> {
    let used = stream.with_extension("used");
    copy_used(disk, &used, watch)?;
    let file = create(stream)?;
    let bounds = match compression {
        Compression::None => write(&used, file, watch)?.0,
        Compression::Zstd => {
            let (bounds, encoder) = write(
                &used,
                zstd::Encoder::new(file, ZSTD_LEVEL).at(stream)?,
                watch,
            )?;
            encoder.finish().at(stream)?;
            bounds
        }
        Compression::Xz => {
            let encoder = liblzma::write::XzEncoder::new(file, crate::pack::XZ_LEVEL);
            let (bounds, encoder) = write(&used, encoder, watch)?;
            encoder.finish().at(stream)?;
            bounds
        }
    };
    clear(&used)?;
    Ok(bounds)
}

/// Makes a raw disk of the stream of an image.
///
/// # Errors
/// Where the stream is anything but what [`pack`] writes, or more than its manifest promises.
pub fn unpack(
    stream: impl Read,
    manifest: &Manifest,
    disk: &Path,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let refused = |why: String| Error::refused(&manifest.name, why);
    let Bounds { entries, bytes } = manifest.bounds;
    let file = create(disk)?;
    file.set_len(manifest.disk_bytes).at(disk)?;
    // One byte more than promised tells a stream that is too long from one that just fits.
    let mut archive = Archive::new(stream.take(bytes.saturating_add(1)));
    let (mut count, mut end, mut taken) = (0, 0, 0_u64);
    for entry in archive
        .entries()
        .map_err(|error| refused(error.to_string()))?
    {
        watch.checkpoint()?;
        let mut entry = entry.map_err(|error| refused(error.to_string()))?;
        count += 1;
        if count > entries {
            return Err(refused(format!("more than the {entries} entries promised")));
        }
        let place = place(&entry, end, manifest.disk_bytes).map_err(refused)?;
        end = place.end;
        taken = taken.saturating_add(entry.size());
        if taken > bytes {
            return Err(refused(format!("more than the {bytes} bytes promised")));
        }
        copy(&mut entry, &file, place).map_err(|why| match why.kind() {
            ErrorKind::UnexpectedEof => refused("it is cut within an extent".to_owned()),
            _ => refused(why.to_string()),
        })?;
    }
    let mut rest = archive.into_inner();
    std::io::copy(&mut rest, &mut std::io::sink()).map_err(|error| refused(error.to_string()))?;
    match rest.limit() {
        0 => Err(refused(format!("more than the {bytes} bytes promised"))),
        _ => file.sync_all().at(disk),
    }
}

/// Where the bytes of an entry lie: behind those of all before it, within the disk.
fn place(entry: &tar::Entry<'_, impl Read>, after: u64, disk: u64) -> Result<Range<u64>, String> {
    let raw = entry.path_bytes();
    let name = String::from_utf8_lossy(&raw);
    if entry.header().entry_type() != EntryType::Regular {
        return Err(format!("{name:?}: no extent of a disk"));
    }
    let hex = name.len() == 16 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let start = u64::from_str_radix(&name, 16).ok().filter(|_| hex);
    let start = start.ok_or_else(|| format!("{name:?}: no place on a disk"))?;
    match start.checked_add(entry.size()) {
        Some(end) if start >= after && end <= disk => Ok(start..end),
        Some(_) if start < after => Err(format!("{name:?}: it lies before the end of another")),
        _ => Err(format!("{name:?}: it ends beyond the disk's {disk} bytes")),
    }
}

fn copy(entry: &mut impl Read, file: &File, place: Range<u64>) -> std::io::Result<()> {
    let mut buffer = vec![0; BLOCK_BYTES as usize];
    let mut at = place.start;
    while at < place.end {
        let most = (place.end - at).min(BLOCK_BYTES) as usize;
        entry.read_exact(&mut buffer[..most])?;
        file.write_all_at(&buffer[..most], at)?;
        at += most as u64;
    }
    Ok(())
}

/// Copies a disk without the unused blocks of its ext4 file systems.
fn copy_used(disk: &Path, to: &Path, watch: &dyn Watch) -> Result<(), Error> {
    let file = File::open(disk).at(disk)?;
    let bytes = file.metadata().at(disk)?.len();
    let mut places = Vec::new();
    if is_ext4(&file, 0) {
        places.push(0..bytes);
    } else {
        for part in partitions(disk, watch)? {
            let start = part.start * SECTOR_BYTES;
            if is_ext4(&file, start) {
                places.push(start..start + part.size * SECTOR_BYTES);
            }
        }
    }
    places.sort_by_key(|place| place.start);
    let target = create(to)?;
    hand_over(disk)?;
    hand_over(to)?;
    for place in &places {
        let at = place.start.to_string();
        let tool = Tool::new("e2image").args(["-r", "-a", "-O", &at, "-o", &at]);
        let tool = tool.args([disk, to]).reads(disk).writes(to);
        tool.foreign().run(watch)?;
    }
    take_back(to)?;
    take_back(disk)?;
    target.set_len(bytes).at(to)?;
    let mut at = 0;
    let end = bytes..bytes;
    for place in places.iter().chain([&end]) {
        for extent in data(&file, disk)? {
            let between = extent.start.max(at)..extent.end.min(place.start);
            if between.start < between.end {
                copy_range(&file, &target, between, watch)?;
            }
        }
        at = place.end;
    }
    Ok(())
}

fn copy_range(from: &File, to: &File, range: Range<u64>, watch: &dyn Watch) -> Result<(), Error> {
    let mut buffer = vec![0; BLOCK_BYTES as usize];
    for piece in pieces(&[range], BLOCK_BYTES) {
        watch.checkpoint()?;
        let buffer = &mut buffer[..(piece.end - piece.start) as usize];
        let copied = from.read_exact_at(buffer, piece.start);
        let copied = copied.and_then(|()| to.write_all_at(buffer, piece.start));
        copied.at(Path::new("a partition"))?;
    }
    Ok(())
}

fn write<W: Write>(disk: &Path, to: W, watch: &dyn Watch) -> Result<(Bounds, W), Error> {
    let file = File::open(disk).at(disk)?;
    let mut builder = Builder::new(to);
    let mut bounds = Bounds {
        entries: 0,
        bytes: 2 * 512,
    };
    for extent in filled(&file, disk, watch)? {
        let len = extent.end - extent.start;
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, extent.start).at(disk)?;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o400);
        header.set_size(len);
        let name = format!("{:016x}", extent.start);
        builder
            .append_data(&mut header, name, bytes.as_slice())
            .at(disk)?;
        bounds.entries += 1;
        bounds.bytes += 512 + len.next_multiple_of(512);
    }
    Ok((bounds, builder.into_inner().at(disk)?))
}

/// Where a disk holds anything but zeros, in pieces that fit in memory.
fn filled(file: &File, disk: &Path, watch: &dyn Watch) -> Result<Vec<Range<u64>>, Error> {
    let mut filled: Vec<Range<u64>> = Vec::new();
    let mut buffer = vec![0; BLOCK_BYTES as usize];
    for block in pieces(&data(file, disk)?, BLOCK_BYTES) {
        watch.checkpoint()?;
        let bytes = &mut buffer[..(block.end - block.start) as usize];
        file.read_exact_at(bytes, block.start).at(disk)?;
        if bytes.iter().all(|byte| *byte == 0) {
            continue;
        }
        match filled.last_mut() {
            Some(last) if last.end == block.start && block.end - last.start <= PIECE_BYTES => {
                last.end = block.end;
            }
            _ => filled.push(block),
        }
    }
    Ok(filled)
}
