//! File systems and how scattered files are, from `/proc/self/mountinfo` (proc(5)), statvfs(3) and
//! filefrag(8).

use super::{count, node};
use agent::driver::Reading;
use model::sample::{Metric, Subject};
use rustix::fs::StatVfs;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where the file systems on disks are mounted, each once. Others have no space of their own, and a
/// server that does not answer would hold whoever asks.
pub fn mounts(mountinfo: &str) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut mounts = Vec::new();
    for line in mountinfo.lines() {
        let Some((before, after)) = line.split_once(" - ") else {
            continue;
        };
        let mut fields = before.split(' ').skip(2);
        let (Some(device), Some(mount)) = (fields.next(), fields.nth(1)) else {
            continue;
        };
        let source = after.split(' ').nth(1);
        if source.is_some_and(|source| source.starts_with("/dev/")) && seen.insert(device) {
            mounts.push(PathBuf::from(unescaped(mount)));
        }
    }
    mounts
}

/// Space in use, and free for programs that are not the system's own.
pub fn space(mount: &Path, found: &StatVfs) -> Vec<Reading> {
    let mib = |blocks: u64| blocks as f64 * found.f_frsize as f64 / 1_048_576.0;
    let used = found.f_blocks.saturating_sub(found.f_bfree);
    [
        (Metric::SpaceUsedMib, mib(used)),
        (Metric::SpaceFreeMib, mib(found.f_bavail)),
    ]
    .into_iter()
    .map(|(metric, value)| {
        let subject = Subject::Volume(mount.to_string_lossy().into_owned());
        node(subject, metric, value)
    })
    .collect()
}

/// Extents of a file beyond the first, from what `filefrag` prints.
pub fn fragments(file: &Path, printed: &str) -> Option<Reading> {
    let (_, told) = printed.trim_end().rsplit_once(": ")?;
    let (extents, word) = told.split_once(' ')?;
    let extents = count(Some(extents)).filter(|_| word.starts_with("extent"))?;
    let subject = Subject::Volume(file.to_string_lossy().into_owned());
    Some(node(subject, Metric::Fragments, (extents - 1.0).max(0.0)))
}

/// A path in which blanks and the like stand as `\040`.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let octal = part.get(..3).and_then(|n| u8::from_str_radix(n, 8).ok());
        match octal {
            Some(byte) => {
                path.push(char::from(byte));
                path.push_str(&part[3..]);
            }
            None => {
                path.push('\\');
                path.push_str(part);
            }
        }
    }
    path
}
