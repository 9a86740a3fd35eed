//! Overwriting of disks, holes included, checked by reading back.
//!
//! The random pattern is a keystream whose key is drawn for each wipe and forgotten after it: what
//! was written can be computed again, so that reading back compares every byte and stores none.

use crate::crew;
use crate::error::{At, Error};
use crate::extent::{data, pieces};
use agent::watch::Watch;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use rustix::fs::{Advice, fadvise, syncfs};
use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes written at a time: what a core keeps near itself between making and writing them.
const PIECE_BYTES: u64 = 256 << 10;

/// So many files are written to the disk one by one; more at once with all else that waits for it.
const FEW_FILES: usize = 16;

/// What a disk is overwritten with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Zeros.
    Zero,
    /// A random keystream.
    Random,
}

/// Overwrites all of a file and reads it back. It may be repeated; the file stays, at its size.
///
/// # Errors
/// Where it cannot be written, is called off, or reads otherwise than written.
pub fn wipe(path: &Path, pattern: Pattern, watch: &dyn Watch) -> Result<(), Error> {
    wipe_ranges(path, &whole(path)?, pattern, watch)
}

/// Overwrites all of a file without reading it back, as `shred` does: what [`wipe`] is measured by.
///
/// # Errors
/// Where it cannot be written, or is called off.
pub fn overwrite_only(path: &Path, pattern: Pattern, watch: &dyn Watch) -> Result<(), Error> {
    overwrite(path, &whole(path)?, &Stream::draw(pattern)?, watch).map(drop)
}

/// Overwrites a range of a file and reads it back. It may be repeated.
///
/// # Errors
/// As [`wipe`].
pub fn wipe_range(
    path: &Path,
    range: Range<u64>,
    pattern: Pattern,
    watch: &dyn Watch,
) -> Result<(), Error> {
    wipe_ranges(path, &[range], pattern, watch)
}

fn wipe_ranges(
    path: &Path,
    ranges: &[Range<u64>],
    pattern: Pattern,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let stream = Stream::draw(pattern)?;
    let file = overwrite(path, ranges, &stream, watch)?;
    verify(&file, path, ranges, &stream, watch)
}

fn whole(path: &Path) -> Result<Vec<Range<u64>>, Error> {
    let len = path.metadata().at(path)?.len();
    Ok(std::iter::once(0..len).collect())
}

/// Overwrites a file, reads it back and removes it; a file that is gone is wiped.
///
/// # Errors
/// As [`wipe`].
pub fn wipe_and_remove(path: &Path, pattern: Pattern, watch: &dyn Watch) -> Result<(), Error> {
    if !path.try_exists().at(path)? {
        return Ok(());
    }
    wipe(path, pattern, watch)?;
    std::fs::remove_file(path).at(path)
}

/// As [`wipe_and_remove`], but holes stay holes: of a file that may be larger than its file system, and
/// in which nothing was written there.
///
/// # Errors
/// As [`wipe`].
pub fn wipe_data_and_remove(path: &Path, pattern: Pattern, watch: &dyn Watch) -> Result<(), Error> {
    if !path.try_exists().at(path)? {
        return Ok(());
    }
    let held = data(&File::open(path).at(path)?, path)?;
    wipe_ranges(path, &held, pattern, watch)?;
    std::fs::remove_file(path).at(path)
}

/// Overwrites with zeros what a temporary file, or each file in a temporary folder, holds, and removes
/// it; done once it is gone. Holes stay holes. Links are not followed, what is mounted there is left
/// alone, and a file that has a name elsewhere keeps its bytes under that.
///
/// # Errors
/// Where something cannot be overwritten; it is then still there.
pub fn clear(path: &Path) -> Result<(), Error> {
    let about = match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        about => about.at(path)?,
    };
    let mut files = BTreeMap::new();
    collect(path, &about, about.dev(), &mut files)?;
    let few = files.len() <= FEW_FILES;
    for (path, _) in files.values().filter(|(_, elsewhere)| *elsewhere == 0) {
        let file = zero(path)?;
        if few {
            file.sync_data().at(path)?;
        }
    }
    if !few {
        syncfs(File::open(path).at(path)?).at(path)?;
    }
    match about.is_dir() {
        true => std::fs::remove_dir_all(path).at(path),
        false => std::fs::remove_file(path).at(path),
    }
}

/// The files of this name and below it on this device, by number: one name of each, and how many it
/// has elsewhere.
fn collect(
    path: &Path,
    about: &Metadata,
    device: u64,
    files: &mut BTreeMap<u64, (PathBuf, u64)>,
) -> Result<(), Error> {
    if about.dev() != device {
        return Ok(());
    }
    if about.is_dir() {
        for entry in path.read_dir().at(path)? {
            let inside = entry.at(path)?.path();
            collect(
                &inside,
                &inside.symlink_metadata().at(&inside)?,
                device,
                files,
            )?;
        }
    } else if about.is_file() && about.len() > 0 {
        let found = files.entry(about.ino());
        found.or_insert_with(|| (path.to_owned(), about.nlink())).1 -= 1;
    }
    Ok(())
}

fn zero(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.at(path)?;
    let zeros = vec![0; PIECE_BYTES as usize];
    for piece in pieces(&data(&file, path)?, PIECE_BYTES) {
        let many = (piece.end - piece.start) as usize;
        file.write_all_at(&zeros[..many], piece.start).at(path)?;
    }
    Ok(file)
}

/// The bytes of a wipe, by place.
enum Stream {
    Zero,
    Random { seed: [u8; 32] },
}

impl Stream {
    fn draw(pattern: Pattern) -> Result<Self, Error> {
        if pattern == Pattern::Zero {
            return Ok(Self::Zero);
        }
        let path = Path::new("/dev/urandom");
        let mut seed = [0; 32];
        File::open(path)
            .and_then(|mut file| file.read_exact(&mut seed))
            .at(path)?;
        Ok(Self::Random { seed })
    }

    fn fill(&self, at: u64, bytes: &mut [u8]) {
        match self {
            Self::Zero => bytes.fill(0),
            Self::Random { seed } => {
                let mut keystream = ChaCha8Rng::from_seed(*seed);
                keystream.set_stream(at);
                keystream.fill_bytes(bytes);
            }
        }
    }
}

fn overwrite(
    path: &Path,
    ranges: &[Range<u64>],
    stream: &Stream,
    watch: &dyn Watch,
) -> Result<File, Error> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .at(path)?;
    let buffer = || vec![0; PIECE_BYTES as usize];
    crew::each(
        &pieces(ranges, PIECE_BYTES),
        watch,
        buffer,
        |buffer, piece| {
            let bytes = &mut buffer[..(piece.end - piece.start) as usize];
            stream.fill(piece.start, bytes);
            file.write_all_at(bytes, piece.start).at(path)
        },
    )?;
    file.sync_all().at(path)?;
    Ok(file)
}

fn verify(
    file: &File,
    path: &Path,
    ranges: &[Range<u64>],
    stream: &Stream,
    watch: &dyn Watch,
) -> Result<(), Error> {
    // What is read must come from the disk, not from what the kernel remembers of the writing.
    fadvise(file, 0, None, Advice::DontNeed).at(path)?;
    let buffers = || (vec![0; PIECE_BYTES as usize], vec![0; PIECE_BYTES as usize]);
    crew::each(
        &pieces(ranges, PIECE_BYTES),
        watch,
        buffers,
        |(wanted, found), piece| {
            let many = (piece.end - piece.start) as usize;
            stream.fill(piece.start, &mut wanted[..many]);
            file.read_exact_at(&mut found[..many], piece.start)
                .at(path)?;
            match wanted[..many] == found[..many] {
                true => Ok(()),
                false => Err(Error::Differs {
                    path: path.to_owned(),
                    at: piece.start,
                }),
            }
        },
    )
}
