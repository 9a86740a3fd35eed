//! Copies of disks: only data moves, holes stay holes, and a copy appears whole or not at all.

use crate::crew;
use crate::error::{At, Error};
use crate::extent::{data, pieces};
use crate::wipe::{Pattern, clear, wipe_and_remove};
use agent::watch::Watch;
use rustix::fs::{
    CWD, FallocateFlags, RenameFlags, copy_file_range, fallocate, fstatfs, renameat_with,
};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Large enough that a call costs nothing beside it, small enough to be called off in time on a disk
/// of 100 MiB a second.
const PIECE_BYTES: u64 = 4 << 20;

/// Bytes that go through a buffer at a time: what a core keeps near itself.
const BUFFER_BYTES: usize = 256 << 10;

/// `TMPFS_MAGIC` of Linux's `linux/magic.h`.
const TMPFS: u64 = 0x0102_1994;

/// Copies a disk to a new file; one of that name is replaced, at once and at the end, and wiped.
///
/// # Errors
/// Where it cannot be read or written, or is called off; the target is then as it was.
pub fn replicate(from: &Path, to: &Path, watch: &dyn Watch) -> Result<(), Error> {
    let source = File::open(from).at(from)?;
    let len = source.metadata().at(from)?.len();
    let part = partial(to);
    let target = create(&part)?;
    target.set_len(len).at(&part)?;
    copy_data(&source, from, &target, &part, 0, watch)?;
    drop(target);
    put_in_place(&part, to, watch)
}

/// Copies a disk into a larger one that is there, beginning at a byte; what the holes of the source
/// cover becomes a hole.
///
/// # Errors
/// Where it cannot be read or written, or is called off; it may be repeated.
pub fn replicate_into(from: &Path, to: &Path, at: u64, watch: &dyn Watch) -> Result<(), Error> {
    let source = File::open(from).at(from)?;
    let len = source.metadata().at(from)?.len();
    let target = OpenOptions::new().write(true).open(to).at(to)?;
    if len > 0 {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&target, hole, at, len).at(to)?;
    }
    copy_data(&source, from, &target, to, at, watch)
}

/// Whether two disks read the same; holes on both sides are not read.
///
/// # Errors
/// [`Error::Differs`] where they do not.
pub fn compare(one: &Path, other: &Path, watch: &dyn Watch) -> Result<(), Error> {
    let length = |path: &Path| path.metadata().at(path).map(|about| about.len());
    let (first, second) = (length(one)?, length(other)?);
    if first != second {
        let path = other.to_owned();
        return Err(Error::Differs {
            path,
            at: first.min(second),
        });
    }
    compare_with(one, other, 0, watch)
}

/// Whether a disk reads the same as what begins at a byte of a larger one.
///
/// # Errors
/// [`Error::Differs`] where it does not.
pub fn compare_with(one: &Path, other: &Path, at: u64, watch: &dyn Watch) -> Result<(), Error> {
    let (first, second) = (File::open(one).at(one)?, File::open(other).at(other)?);
    let len = first.metadata().at(one)?.len();
    let mut extents = data(&first, one)?;
    let there = data(&second, other)?.into_iter();
    let there = there.map(|range| range.start.max(at) - at..range.end.saturating_sub(at).min(len));
    extents.extend(there.filter(|range| range.start < range.end));
    let buffers = || (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    let pieces = pieces(&extents, BUFFER_BYTES as u64);
    crew::each(&pieces, watch, buffers, |(left, right), piece| {
        let many = (piece.end - piece.start) as usize;
        first
            .read_exact_at(&mut left[..many], piece.start)
            .at(one)?;
        second
            .read_exact_at(&mut right[..many], at + piece.start)
            .at(other)?;
        match left[..many] == right[..many] {
            true => Ok(()),
            false => Err(Error::Differs {
                path: other.to_owned(),
                at: at + piece.start,
            }),
        }
    })
}

/// Gives a whole file its own name once it is on the disk. One of that name gets the temporary name at
/// the same instant and is wiped under it, now or, after a kill, by whoever sweeps such names.
pub(crate) fn put_in_place(part: &Path, to: &Path, watch: &dyn Watch) -> Result<(), Error> {
    let file = File::open(part).at(part)?;
    file.sync_all().at(part)?;
    match exchange(part, to)? {
        true => wipe_and_remove(part, Pattern::Zero, watch),
        false => Ok(()),
    }
}

/// Gives what has a temporary name its own; whether something had that name, which has the temporary
/// one now.
pub(crate) fn exchange(part: &Path, to: &Path) -> Result<bool, Error> {
    if !to.try_exists().at(to)? {
        std::fs::rename(part, to).at(to)?;
        return Ok(false);
    }
    renameat_with(CWD, part, CWD, to, RenameFlags::EXCHANGE).at(to)?;
    Ok(true)
}

/// The name under which a file is written before it has its own; a former try's is overwritten.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Makes an empty file; one of that name is wiped.
pub(crate) fn create(path: &Path) -> Result<File, Error> {
    clear(path)?;
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .at(path)
}

fn copy_data(
    source: &File,
    from: &Path,
    target: &File,
    to: &Path,
    shift: u64,
    watch: &dyn Watch,
) -> Result<(), Error> {
    // In memory the kernel goes page by page, which two threads with buffers outrun.
    let in_memory = fstatfs(target).at(to)?.f_type as u64 == TMPFS;
    let pieces = pieces(&data(source, from)?, PIECE_BYTES);
    let buffer = || vec![0; BUFFER_BYTES];
    crew::each(&pieces, watch, buffer, |buffer, piece| {
        let left = match in_memory {
            true => piece.clone(),
            false => copy_by_kernel(source, target, piece, shift).at(to)?,
        };
        copy_by_buffer(source, target, left, shift, buffer).at(to)
    })
}

/// Lets the kernel copy, which shares or moves data without reading it where the file system can;
/// what is left where it cannot between these two.
fn copy_by_kernel(
    source: &File,
    target: &File,
    piece: &Range<u64>,
    shift: u64,
) -> std::io::Result<Range<u64>> {
    let mut at = piece.start;
    while at < piece.end {
        let mut to = at + shift;
        let left = (piece.end - at) as usize;
        match copy_file_range(source, Some(&mut at), target, Some(&mut to), left) {
            // The file became shorter under us; what is not there reads as zero, as a hole does.
            Ok(0) => return Ok(piece.end..piece.end),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(at..piece.end)
}

fn copy_by_buffer(
    source: &File,
    target: &File,
    piece: Range<u64>,
    shift: u64,
    buffer: &mut [u8],
) -> std::io::Result<()> {
    let mut at = piece.start;
    while at < piece.end {
        let most = buffer.len().min((piece.end - at) as usize);
        match source.read_at(&mut buffer[..most], at) {
            // As above.
            Ok(0) => break,
            Ok(many) => {
                target.write_all_at(&buffer[..many], at + shift)?;
                at += many as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
