//! Disks that nobody reads without their key.
//!
//! LUKS1, which both QEMU and cryptsetup open. Keys reach the tools on their input alone: never in
//! an argument, a file or an error.

use crate::error::{At, Error};
use crate::replicate::create;
use crate::sandbox::hand_over;
use crate::tool::Tool;
use crate::wipe::{Pattern, wipe_range};
use agent::watch::Watch;
use std::path::Path;

/// Bytes of a LUKS1 header with all its key slots: 2 MiB, as cryptsetup and QEMU write it by default
/// for 256-bit keys, rounded up to where cryptsetup puts the data.
pub const HEADER_BYTES: u64 = 2 << 20;

/// Writes an encrypted copy of a raw disk.
///
/// # Errors
/// Where it cannot be read or written.
pub fn encrypt(from: &Path, to: &Path, key: &[u8], watch: &dyn Watch) -> Result<(), Error> {
    let len = from.metadata().at(from)?.len();
    create(to)?.set_len(HEADER_BYTES + len).at(to)?;
    format(to, key, watch)?;
    let source = options(&[("driver", "raw"), ("file.driver", "file")], from)?;
    let target = opened(to)?;
    hand_over(from)?;
    let tool = Tool::new("qemu-img").args(["convert", "-n", "--object", SECRET]);
    let tool = tool.args(["--image-opts", "--target-image-opts", &source, &target]);
    let tool = tool.input(key).names_input();
    tool.reads(from).writes(to).run(watch).map(drop)
}

/// Turns a file into an empty encrypted disk; what was in it is lost.
///
/// # Errors
/// Where it cannot be written.
pub fn format(disk: &Path, key: &[u8], watch: &dyn Watch) -> Result<(), Error> {
    hand_over(disk)?;
    let tool = Tool::new("cryptsetup").args(["--batch-mode", "luksFormat", "--type", "luks1"]);
    // Keys come from a generator and have all the entropy they need: stretching them is for words
    // that people think of.
    let tool = tool.args(["--pbkdf-force-iterations", "1000", "--key-file", "-"]);
    tool.args([disk])
        .input(key)
        .writes(disk)
        .run(watch)
        .map(drop)
}

/// Whether a key opens a disk.
///
/// # Errors
/// Where it is no encrypted disk.
pub fn opens(disk: &Path, key: &[u8], watch: &dyn Watch) -> Result<bool, Error> {
    hand_over(disk)?;
    let tool = Tool::new("cryptsetup").args(["open", "--test-passphrase", "--type", "luks1"]);
    // 2: no slot is opened by this key.
    let tool = tool.args(["--key-file", "-"]).args([disk]).accept(&[0, 2]);
    Ok(tool.input(key).writes(disk).run(watch)?.code == 0)
}

/// Lets another key open a disk, beside the one that does.
///
/// # Errors
/// Where the old key does not open it, or all eight slots are taken.
pub fn add_key(disk: &Path, key: &[u8], new: &[u8], watch: &dyn Watch) -> Result<(), Error> {
    hand_over(disk)?;
    if opens(disk, new, watch)? {
        return Ok(());
    }
    let tool = Tool::new("cryptsetup").args(["--batch-mode", "luksAddKey"]);
    let tool = tool.args(["--pbkdf-force-iterations", "1000", "--key-file", "-"]);
    let size = format!("--keyfile-size={}", key.len());
    // Both on one input: the first by its length, the second to the end.
    let tool = tool.args([size.as_str()]).args([disk]).args(["/dev/stdin"]);
    tool.input(&[key, new].concat())
        .names_input()
        .writes(disk)
        .run(watch)
        .map(drop)
}

/// Lets a key open a disk no more; another must be left.
///
/// # Errors
/// Where it is the last one.
pub fn remove_key(disk: &Path, key: &[u8], watch: &dyn Watch) -> Result<(), Error> {
    if !opens(disk, key, watch)? {
        return Ok(());
    }
    if slots(disk, watch)? < 2 {
        let why = "it is the last key\nhint: add another first, or destroy the keys";
        return Err(Error::refused(disk.display().to_string(), why));
    }
    let tool = Tool::new("cryptsetup").args(["--batch-mode", "luksRemoveKey", "--key-file", "-"]);
    tool.args([disk])
        .input(key)
        .writes(disk)
        .run(watch)
        .map(drop)
}

/// Puts a new key in place of the old one. It may be repeated with the same two keys.
///
/// # Errors
/// Where neither opens the disk.
pub fn rotate(disk: &Path, old: &[u8], new: &[u8], watch: &dyn Watch) -> Result<(), Error> {
    add_key(disk, old, new, watch)?;
    remove_key(disk, old, watch)
}

/// Makes an encrypted disk unreadable for ever by overwriting its header with all key slots: the
/// fast wipe. It may be repeated.
///
/// # Errors
/// Where it cannot be written or reads otherwise than written.
pub fn destroy_keys(disk: &Path, watch: &dyn Watch) -> Result<(), Error> {
    let len = disk.metadata().at(disk)?.len();
    wipe_range(disk, 0..len.min(HEADER_BYTES), Pattern::Random, watch)
}

/// How many keys open a disk.
fn slots(disk: &Path, watch: &dyn Watch) -> Result<usize, Error> {
    let tool = Tool::new("cryptsetup")
        .args(["luksDump"])
        .args([disk])
        .reads(disk);
    let said = tool.run(watch)?;
    let said = String::from_utf8_lossy(&said.out);
    Ok(said
        .lines()
        .filter(|line| line.starts_with("Key Slot") && line.contains("ENABLED"))
        .count())
}

/// The key as QEMU's tools read it from their input.
const SECRET: &str = "secret,id=key,file=/dev/stdin";

fn opened(disk: &Path) -> Result<String, Error> {
    options(
        &[
            ("driver", "luks"),
            ("key-secret", "key"),
            ("file.driver", "file"),
        ],
        disk,
    )
}

fn options(words: &[(&str, &str)], file: &Path) -> Result<String, Error> {
    let name = file.to_str().filter(|name| !name.contains(','));
    let name =
        name.ok_or_else(|| Error::refused(file.display().to_string(), "a comma in its name"))?;
    let words = words.iter().map(|(key, value)| format!("{key}={value},"));
    Ok(words.collect::<String>() + "file.filename=" + name)
}
