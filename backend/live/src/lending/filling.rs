//! What was built goes on to the volumes of other nodes, holes as zeros that are not sent.

use crate::disks::outcome::{failed, failure};
use crate::hands::broken;
use agent::step::Failure;
use agent::watch::Watch;
use drivers::volume::nbd::{Command, Disk, Request};
use image::error::Error;
use image::extent::{data, pieces};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Bytes that are sent at a time: large beside what goes around them, small enough to be called off
/// soon.
const PIECE_BYTES: u64 = 1 << 20;

/// Zeros that are asked for at a time; nothing goes with them, so that disks of many TiB are done soon.
const ZERO_BYTES: u64 = 1 << 30;

/// After so many pieces they are to lie on the disks of those who lend: a slow one has a GiB down well
/// within [`PATIENCE`], and not whatever its memory holds.
const FLUSH_PIECES: usize = 1 << 10;

/// A piece that is not done within this never is: a guest would wait longer for a node that is away,
/// but an order is not to hang on one.
const PATIENCE: Duration = Duration::from_secs(120);

/// Copies a file over the whole disk that is served on a socket, has it on the disks of those who lend,
/// and reads back what is not zero.
///
/// # Errors
/// Where the sizes differ, somebody does not answer, something else is read back, or it is called off.
pub(super) fn fill(from: &Path, socket: &Path, watch: &dyn Watch) -> Result<(), Failure> {
    let file = File::open(from).map_err(failed("open", from))?;
    let bytes = file.metadata().map_err(failed("look at", from))?.len();
    let filled = data(&file, from).map_err(failure)?;
    let mut target = Target::open(socket)?;
    if target.disk.bytes != bytes {
        let told = format!("the disk has {} bytes, expected {bytes}", target.disk.bytes);
        return Err(broken(&told));
    }
    let read = |piece: &Range<u64>| {
        let mut part = vec![0; (piece.end - piece.start) as usize];
        let read = file.read_exact_at(&mut part, piece.start);
        read.map_err(failed("read", from)).map(|()| part)
    };
    let checkpoint = || {
        let called_off = watch.checkpoint();
        called_off.map_err(|why| failure(Error::CalledOff(why)))
    };
    for hole in pieces(&holes(&filled, bytes), ZERO_BYTES) {
        checkpoint()?;
        target.ask(Command::WriteZeroes, &hole, &mut [])?;
    }
    target.ask(Command::Flush, &(0..0), &mut [])?;
    let filled = pieces(&filled, PIECE_BYTES);
    let mut done = 0;
    let mut progressed = || {
        done += 1;
        watch.progressed((done * 1_000 / (2 * filled.len())) as u16);
    };
    for some in filled.chunks(FLUSH_PIECES) {
        for piece in some {
            checkpoint()?;
            target.ask(Command::Write, piece, &mut read(piece)?)?;
            progressed();
        }
        target.ask(Command::Flush, &(0..0), &mut [])?;
    }
    for piece in &filled {
        checkpoint()?;
        let wanted = read(piece)?;
        let mut found = vec![0; wanted.len()];
        target.ask(Command::Read, piece, &mut found)?;
        progressed();
        if found != wanted {
            let told = format!("the disk differs within a MiB from byte {}", piece.start);
            return Err(broken(&told));
        }
    }
    Ok(())
}

/// What of so many bytes lies between ranges of them.
fn holes(filled: &[Range<u64>], bytes: u64) -> Vec<Range<u64>> {
    let starts = [0].into_iter().chain(filled.iter().map(|range| range.end));
    let ends = filled.iter().map(|range| range.start).chain([bytes]);
    starts.zip(ends).map(|(start, end)| start..end).collect()
}

/// The disk that is filled.
struct Target {
    disk: Disk<UnixStream>,
}

impl Target {
    fn open(socket: &Path) -> Result<Self, Failure> {
        let open = || {
            let stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Disk::open(stream, "")
        };
        let disk = open().map_err(failed("open", socket))?;
        Ok(Self { disk })
    }

    fn ask(
        &mut self,
        command: Command,
        piece: &Range<u64>,
        data: &mut [u8],
    ) -> Result<(), Failure> {
        let request = Request {
            flags: 0,
            command,
            cookie: 0,
            offset: piece.start,
            length: (piece.end - piece.start) as u32,
        };
        let doing = |what: &str| broken(&format!("{command:?} at byte {}: {what}", piece.start));
        match self.disk.ask(&request, data) {
            Ok(0) => Ok(()),
            Ok(errno) => Err(doing(&format!("error {errno} of NBD"))),
            Err(error) => Err(doing(&error.to_string())),
        }
    }
}
