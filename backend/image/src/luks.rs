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
    Ok(slot(disk, key, watch)?.is_some())
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

/// Lets nothing but this key open a disk.
///
/// # Errors
/// Where it does not open the disk; nothing has changed then.
pub fn keep_key(disk: &Path, key: &[u8], watch: &dyn Watch) -> Result<(), Error> {
    let Some(kept) = slot(disk, key, watch)? else {
        let why = "the key that is to stay does not open it";
        return Err(Error::refused(disk.display().to_string(), why));
    };
    for other in slots(disk, watch)? {
        if other != kept {
            // Asked for no key in batch mode (cryptsetup-luksKillSlot(8)): also one that was killed by
            // half, and that no key opens, goes.
            let tool = Tool::new("cryptsetup").args(["--batch-mode", "luksKillSlot"]);
            let tool = tool.args([disk]).args([other.as_str()]);
            tool.writes(disk).run(watch)?;
        }
    }
    Ok(())
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

/// The number of the slot that a key opens; `None`: it opens none.
fn slot(disk: &Path, key: &[u8], watch: &dyn Watch) -> Result<Option<String>, Error> {
    hand_over(disk)?;
    let tool = Tool::new("cryptsetup").args(["--verbose", "open", "--test-passphrase"]);
    // 2: no slot is opened by this key.
    let tool = tool.args(["--type", "luks1"]).accept(&[0, 2]);
    let tool = tool.args(["--key-file", "-"]).args([disk]);
    let said = tool.input(key).writes(disk).run(watch)?;
    if said.code != 0 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&said.out);
    let number = text
        .lines()
        .find_map(|line| line.strip_prefix("Key slot ")?.strip_suffix(" unlocked."));
    let number = number.map(str::to_owned);
    let unknown = || Error::refused(disk.display().to_string(), "cryptsetup names no key slot");
    number.map(Some).ok_or_else(unknown)
}

/// The numbers of the slots that are in use.
fn slots(disk: &Path, watch: &dyn Watch) -> Result<Vec<String>, Error> {
    let tool = Tool::new("cryptsetup")
        .args(["luksDump"])
        .args([disk])
        .reads(disk);
    let said = tool.run(watch)?;
    let said = String::from_utf8_lossy(&said.out);
    let number = |line: &str| {
        line.strip_prefix("Key Slot ")?
            .strip_suffix(": ENABLED")
            .map(str::to_owned)
    };
    Ok(said.lines().filter_map(number).collect())
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
