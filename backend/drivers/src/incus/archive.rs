//! Root folders as the archives that Incus takes and gives: `metadata.yaml`, and all below `rootfs`.

use crate::folder::failed;
use agent::driver::DriverError;
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use tar::{Builder, Header};

/// The stream of an archive that tar makes while it is read. GNU tar keeps what a root file system
/// has and few other writers do: hard links, holes, devices, capabilities of files.
pub struct Packed {
    tar: Child,
    out: ChildStdout,
    _metadata: tempfile::TempDir,
}

impl Packed {
    /// Packs a root folder.
    ///
    /// # Errors
    /// Where tar cannot be executed or the description not be written.
    pub fn of(root: &Path, metadata: &str) -> Result<Self, DriverError> {
        let folder = tempfile::tempdir().map_err(failed("make", &std::env::temp_dir()))?;
        let file = folder.path().join("metadata.yaml");
        fs::write(&file, metadata).map_err(failed("write", &file))?;
        let words = Self::words(root, folder.path());
        let missing = |_| DriverError::Missing {
            what: "tar".into(),
            hint: "install tar".into(),
        };
        let mut tar = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(missing)?;
        let out = tar.stdout.take().ok_or_else(|| DriverError::Hypervisor {
            doing: "execute tar".into(),
            said: "it has no output".into(),
        })?;
        Ok(Self {
            tar,
            out,
            _metadata: folder,
        })
    }

    /// The command that packs; a link's target is told from a name, so that only names move.
    fn words(root: &Path, metadata: &Path) -> Vec<String> {
        let shown = |path: &Path| path.display().to_string();
        [
            "tar",
            "--create",
            "--format=posix",
            "--numeric-owner",
            "--xattrs",
            "--sparse",
            "--transform=flags=rh;s,^\\.,rootfs,",
            "--directory",
            &shown(metadata),
            "metadata.yaml",
            "--directory",
            &shown(root),
            ".",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.out.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            let status = self.tar.wait()?;
            // 1: a file changed while it was read, which a running program may do to its files.
            if !matches!(status.code(), Some(0 | 1)) {
                return Err(io::Error::other(format!("tar ended with {status}")));
            }
        }
        Ok(read)
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        // Refused where it has ended; then there is only its status to be taken.
        self.tar.kill().ok();
        self.tar.wait().ok();
    }
}

/// Bytes of a block of an archive.
const BLOCK_BYTES: u64 = 512;

/// Bytes that are written at a time; where all of them are zero, they become a hole.
const PORTION_BYTES: u64 = 4096;

/// Most bytes of what stands before an entry: its names, and the attributes that the kernel allows.
const MOST_EXTENSION_BYTES: u64 = 1 << 20;

/// The names of records that name an entry, and the target of a hard link.
const PATH: &str = "path";
const LINK_PATH: &str = "linkpath";

/// Rewrites an image of Incus as a plain archive of its root, with all that it says of its files;
/// zeros become holes in the archive's own file.
///
/// Entries are taken as they are: of what the crate `tar` reads of attributes, those with the byte of
/// a new line are lost.
///
/// # Errors
/// Where the image is torn or the disk refuses.
pub fn root_of_image(image: &File, to: &File) -> io::Result<()> {
    let mut from = BufReader::new(image);
    let mut to = Builder::new(Holed { file: to, at: 0 });
    let mut records = Vec::new();
    loop {
        let mut header = Header::new_old();
        from.read_exact(header.as_mut_bytes())?;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            break;
        }
        let kind = header.entry_type();
        if kind.is_pax_local_extensions() {
            records = read_records(&mut from, header.entry_size()?)?;
            continue;
        }
        if kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_gnu_sparse() {
            return Err(torn("it has an entry that Incus does not write"));
        }
        let mut records = std::mem::take(&mut records);
        let bytes = match told(&records, "size") {
            Some(size) => String::from_utf8_lossy(size)
                .parse()
                .map_err(io::Error::other)?,
            None => header.entry_size()?,
        };
        let blocks = bytes.next_multiple_of(BLOCK_BYTES);
        if !begin_at_root(&header, &mut records) {
            io::copy(&mut from.by_ref().take(blocks), &mut io::sink())?;
            continue;
        }
        let records = records.iter();
        to.append_pax_extensions(records.map(|(name, value)| (name.as_str(), value.as_slice())))?;
        to.get_mut().write_all(header.as_bytes())?;
        let mut left = blocks;
        let mut portion = vec![0; PORTION_BYTES as usize];
        while left > 0 {
            let portion = &mut portion[..left.min(PORTION_BYTES) as usize];
            from.read_exact(portion)?;
            to.get_mut().write_all(portion)?;
            left -= portion.len() as u64;
        }
    }
    let to = to.into_inner()?;
    to.file.set_len(to.at)
}

/// A record of an extended header: its name, and its value, which may be any bytes.
type Record = (String, Vec<u8>);

/// Each is its own length in decimal, a space, its name, `=`, its value and a new line.
fn read_records(from: &mut impl Read, bytes: u64) -> io::Result<Vec<Record>> {
    if bytes > MOST_EXTENSION_BYTES {
        return Err(torn("an extended header is too long"));
    }
    let mut held = vec![0; bytes.next_multiple_of(BLOCK_BYTES) as usize];
    from.read_exact(&mut held)?;
    let mut rest = &held[..bytes as usize];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (record, after) = split_record(rest).ok_or_else(|| torn("a record is malformed"))?;
        records.push(record);
        rest = after;
    }
    Ok(records)
}

fn split_record(from: &[u8]) -> Option<(Record, &[u8])> {
    let space = from.iter().position(|byte| *byte == b' ')?;
    let length: usize = str::from_utf8(&from[..space]).ok()?.parse().ok()?;
    let (record, after) = from.split_at_checked(length)?;
    let text = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let name = str::from_utf8(&text[..equals]).ok()?.to_owned();
    Some(((name, text[equals + 1..].to_vec()), after))
}

fn told<'a>(records: &'a [Record], name: &str) -> Option<&'a [u8]> {
    let found = records.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.as_slice())
}

/// Lets the names of an entry begin at the root; whether it is below it.
fn begin_at_root(header: &Header, records: &mut Vec<Record>) -> bool {
    let path = told(records, PATH).map_or(header.path_bytes(), Cow::from);
    let Some(path) = below_rootfs(&path) else {
        return false;
    };
    let mut names = vec![(PATH.to_owned(), path)];
    if header.entry_type().is_hard_link() {
        let target = told(records, LINK_PATH).map(Cow::from);
        let target = target.or_else(|| header.link_name_bytes());
        let target = target.and_then(|target| below_rootfs(&target));
        names.extend(target.map(|target| (LINK_PATH.to_owned(), target)));
    }
    records.retain(|(name, _)| !names.iter().any(|(own, _)| own == name));
    // Before all that a guest may have written, as some readers take the first of a name.
    records.splice(..0, names);
    true
}

/// The path within the root; `None`: it is not of the root.
fn below_rootfs(path: &[u8]) -> Option<Vec<u8>> {
    let below = path.strip_prefix(b"rootfs")?;
    match below {
        b"" | b"/" => Some(b"./".to_vec()),
        _ => below.strip_prefix(b"/").map(<[u8]>::to_vec),
    }
}

fn torn(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A file in which what is written as zeros is left out, one piece of the caller's at a time.
struct Holed<'a> {
    file: &'a File,
    at: u64,
}

impl Write for Holed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().any(|byte| *byte != 0) {
            self.file.write_all_at(bytes, self.at)?;
        }
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
