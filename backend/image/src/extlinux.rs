//! extlinux written into an ext4 file system that is not mounted.
//!
//! Its installer asks the kernel which blocks of a mounted file hold the loader. Here debugfs tells
//! them, and the same places are patched: the boot sector gets the first sector of `ldlinux.sys`,
//! and that file gets the list of its other sectors, the folder of its configuration and a checksum.
//! Layout as in syslinux 6.04, whose installer carries the boot sector and the file in itself.

use crate::boot::{put_file, read};
use crate::error::{At, Error};
use crate::ext4::Ext4;
use crate::tree::Tree;
use agent::layout::SECTOR_BYTES;
use agent::watch::Watch;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

const PROGRAM: &str = "/usr/bin/extlinux";
const MODULES: &str = "/usr/lib/syslinux/modules/bios";
const FOLDER: &str = "/boot/extlinux";
const SYS: &str = "/boot/extlinux/ldlinux.sys";

const SECTOR: usize = SECTOR_BYTES as usize;
/// Marks the patch area, both in the boot sector and in the file.
const MAGIC: u32 = 0x3EB2_02FE;
/// Sectors after the file for what a boot notes for the next: two copies.
const NOTE_SECTORS: usize = 2;
/// Where the file is loaded; a read may not cross a multiple of 64 KiB from there.
const LOAD_AT: usize = 0x8000;
const MAX_READ_BYTES: usize = 0x1_0000;

/// Puts what extlinux reads into a tree.
pub(crate) fn put_files(tree: &mut Tree) -> Result<(), Error> {
    let mut sys = Loader::find()?.sys;
    sys.extend(notes());
    put_file(tree, SYS, &sys)?;
    let module = "ldlinux.c32";
    let bytes = read(&Path::new(MODULES).join(module), "syslinux-common")?;
    put_file(tree, &format!("{FOLDER}/{module}"), &bytes)
}

/// Writes boot sector and sector list into the file of a partition whose file system holds what
/// [`put_files`] has put.
pub(crate) fn install(root: &Path, first_sector: u64, watch: &dyn Watch) -> Result<(), Error> {
    let mut loader = Loader::find()?;
    let (blocks, block_bytes) = Ext4::at(root, 0, watch)?.blocks(SYS)?;
    let per_block = block_bytes / SECTOR_BYTES;
    let sectors: Vec<u64> = blocks
        .iter()
        .flat_map(|block| (0..per_block).map(move |at| block * per_block + at))
        .collect();
    loader.patch(&sectors, first_sector)?;
    let file = OpenOptions::new().write(true).open(root).at(root)?;
    for (bytes, sector) in loader.sys.chunks(SECTOR).zip(&sectors) {
        file.write_all_at(bytes, sector * SECTOR_BYTES).at(root)?;
    }
    file.write_all_at(&loader.boot_sector, 0).at(root)
}

/// The boot sector and `ldlinux.sys`, as the installer carries them.
struct Loader {
    boot_sector: Vec<u8>,
    sys: Vec<u8>,
    /// Where in `sys` the patch area is.
    patch_at: usize,
}

impl Loader {
    fn find() -> Result<Self, Error> {
        let program = read(Path::new(PROGRAM), "extlinux")?;
        let other = || Error::refused(PROGRAM, "it is not syslinux 6\nhint: install extlinux 6.04");
        let magic = MAGIC.to_le_bytes();
        let found = |at: &usize| program[*at..].starts_with(&magic);
        let marks: Vec<usize> = (0..program.len().saturating_sub(SECTOR))
            .filter(found)
            .collect();
        // In the boot sector it stands 8 bytes before the end, in the file near the beginning.
        let boot = marks.iter().find_map(|at| {
            let start = (at + 8).checked_sub(SECTOR)?;
            let sector = &program[start..start + SECTOR];
            (sector.ends_with(&[0x55, 0xAA]) && sector[3..].starts_with(b"SYSLINUX"))
                .then(|| sector.to_vec())
        });
        let sys = marks.iter().find_map(|at| {
            let from = at.saturating_sub(64);
            let name = program[from..*at]
                .windows(10)
                .position(|w| w == b"\r\nSYSLINUX")?;
            Some((from + name, *at))
        });
        let (boot_sector, (start, mark)) = boot.zip(sys).ok_or_else(other)?;
        let sys = length(&program, start).map(|len| program[start..start + len].to_vec());
        let sys = sys.ok_or_else(other)?;
        Ok(Self {
            boot_sector,
            sys,
            patch_at: mark - start,
        })
    }

    fn patch(&mut self, sectors: &[u64], first_sector: u64) -> Result<(), Error> {
        let many = self.sys.len() / SECTOR;
        if sectors.len() < many + NOTE_SECTORS {
            return Err(Error::refused(SYS, "it is shorter than it was written"));
        }
        let at = self.patch_at;
        let ext = usize::from(self.word(at + 22));
        let field = |loader: &Self, number: usize| usize::from(loader.word(ext + 2 * number));
        // The extended patch area: notes, folder, its room, subvolume, its room, sector list, its
        // entries, and in the boot sector the two halves of the first sector.
        let (notes, folder, room) = (field(self, 0), field(self, 1), field(self, 2));
        let (list, entries) = (field(self, 5), field(self, 6));
        let (low, high) = (field(self, 7), field(self, 8));

        put(
            &mut self.boot_sector,
            low,
            &(sectors[0] as u32).to_le_bytes(),
        )?;
        put(
            &mut self.boot_sector,
            high,
            &((sectors[0] >> 32) as u32).to_le_bytes(),
        )?;
        self.geometry(first_sector)?;

        let runs = runs(&sectors[1..many]);
        if runs.len() > entries || FOLDER.len() >= room {
            return Err(Error::refused(
                SYS,
                format!("it lies in {} pieces", runs.len()),
            ));
        }
        for entry in 0..entries {
            let (sector, len) = runs.get(entry).copied().unwrap_or((0, 0));
            put(&mut self.sys, list + 10 * entry, &sector.to_le_bytes())?;
            put(&mut self.sys, list + 10 * entry + 8, &len.to_le_bytes())?;
        }
        for copy in 0..NOTE_SECTORS {
            put(
                &mut self.sys,
                notes + 8 * copy,
                &sectors[many + copy].to_le_bytes(),
            )?;
        }
        put(&mut self.sys, folder, FOLDER.as_bytes())?;
        put(&mut self.sys, folder + FOLDER.len(), &[0])?;

        put(&mut self.sys, at + 8, &(many as u16).to_le_bytes())?;
        put(&mut self.sys, at + 10, &(NOTE_SECTORS as u16).to_le_bytes())?;
        let words = (self.sys.len() / 4) as u32;
        put(&mut self.sys, at + 12, &words.to_le_bytes())?;
        put(&mut self.sys, at + 16, &0_u32.to_le_bytes())?;
        let sum = checksum(MAGIC, &self.sys);
        put(&mut self.sys, at + 16, &sum.to_le_bytes())
    }

    /// The fields of a FAT boot sector that the loader reads: it knows no other way to be told where
    /// its partition begins.
    fn geometry(&mut self, first_sector: u64) -> Result<(), Error> {
        let boot = &mut self.boot_sector;
        put(boot, 11, &(SECTOR as u16).to_le_bytes())?;
        put(boot, 24, &63_u16.to_le_bytes())?;
        put(boot, 26, &255_u16.to_le_bytes())?;
        put(boot, 28, &(first_sector as u32).to_le_bytes())
    }

    fn word(&self, at: usize) -> u16 {
        let bytes = self.sys.get(at..at + 2).unwrap_or(&[0, 0]);
        u16::from_le_bytes([bytes[0], bytes[1]])
    }
}

/// The length of the file that begins at this byte of the installer: the installer holds it as a
/// number, which is the one that takes the file to the end of initialised data or to another array.
fn length(program: &[u8], start: usize) -> Option<usize> {
    // 6.04 has 58,368 bytes; earlier ones of 6 a little less.
    const LENGTHS: std::ops::Range<usize> = 40_000..80_000;
    let section = data_end(program)?;
    let rest = section
        .checked_sub(start)
        .filter(|rest| LENGTHS.contains(rest))?;
    let stored = (rest as u32).to_le_bytes();
    let known = program.windows(4).step_by(1).any(|bytes| bytes == stored);
    (known && rest % SECTOR == 0).then_some(rest)
}

/// Where the initialised data of a 64-bit ELF program ends in its file: the end of the last segment
/// that is loaded. Source: the System V ABI, chapter 5, program header.
fn data_end(program: &[u8]) -> Option<usize> {
    let number = |at: usize, bytes: usize| {
        let raw = program.get(at..at + bytes)?;
        Some(
            raw.iter()
                .rev()
                .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    };
    if program.get(..5)? != [0x7F, b'E', b'L', b'F', 2] {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let mut end = None;
    for header in (0..count).map(|entry| table + entry * size) {
        if number(header, 4)? == 1 {
            end = end.max(Some(number(header + 8, 8)? + number(header + 32, 8)?));
        }
    }
    end.filter(|end| *end <= program.len())
}

/// Sectors in a row that one read takes.
fn runs(sectors: &[u64]) -> Vec<(u64, u16)> {
    let mut runs: Vec<(u64, u16)> = Vec::new();
    let mut base = LOAD_AT;
    for (at, &sector) in sectors.iter().enumerate() {
        let address = LOAD_AT + at * SECTOR;
        if let Some((first, len)) = runs.last_mut() {
            let bytes = (usize::from(*len) + 1) * SECTOR;
            let same = (base ^ (base + bytes - 1)) < MAX_READ_BYTES;
            if sector == *first + u64::from(*len) && bytes < MAX_READ_BYTES && same {
                *len += 1;
                continue;
            }
        }
        base = address;
        runs.push((sector, 1));
    }
    runs
}

/// What all words are to be taken from for nothing to be left.
fn checksum(from: u32, bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(4);
    words.fold(from, |sum, word| {
        sum.wrapping_sub(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    })
}

/// Two copies of an empty note: a head, a checksum, nothing, a tail.
fn notes() -> Vec<u8> {
    const HEAD: u32 = 0x5A2D_2FA5;
    const SUM: u32 = 0xA304_1767;
    const TAIL: u32 = 0xDD28_BF64;
    let mut note = [0; SECTOR];
    note[..4].copy_from_slice(&HEAD.to_le_bytes());
    note[4..8].copy_from_slice(&SUM.to_le_bytes());
    note[SECTOR - 4..].copy_from_slice(&TAIL.to_le_bytes());
    note.repeat(NOTE_SECTORS)
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) -> Result<(), Error> {
    let place = bytes.get_mut(at..at + new.len());
    let place = place.ok_or_else(|| Error::refused(PROGRAM, "its patch area is out of bounds"))?;
    place.copy_from_slice(new);
    Ok(())
}
