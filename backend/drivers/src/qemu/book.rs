//! The receiver's book: every VM that was to come here lately, by the digest of its word, and what
//! became of it.

use super::word::{Words, digest};
use crate::folder::Folder;
use agent::driver::DriverError;
use agent::handover::Book;
use model::id::VmId;
use model::order::Storage;
use serde::{Deserialize, Serialize};
use std::fs;
use std::time::SystemTime;

/// The folder of its pages, in the driver's.
const FOLDER: &str = "words";

/// Pages that are kept: a sender asks within seconds unless it is cut off, and a node has some tens
/// of moves a day.
const MOST_PAGES: usize = 1_024;

/// What is known of one VM that was to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Page {
    /// Which.
    pub(super) vm: VmId,
    /// Where its disks are.
    pub(super) storage: Storage,
    /// What became of it.
    pub(super) book: Book,
    /// What is said once it is taken, and never else.
    pub(super) taken: String,
    /// What is said once it is dropped, and never else.
    pub(super) dropped: String,
}

/// Writes down that a VM is to come; gives the digest of its word.
///
/// # Errors
/// Where the disk refuses.
pub(super) fn expect(
    folder: &Folder,
    vm: VmId,
    storage: Storage,
    words: &Words,
) -> Result<String, DriverError> {
    prune(folder);
    let digest = digest(&words.run);
    if page(folder, &digest)?.is_some_and(|page| page.book != Book::Expected) {
        return Err(DriverError::Invalid {
            field: "key".to_owned(),
            found: "the key of a move that has ended".to_owned(),
            expected: "a new one".to_owned(),
        });
    }
    let page = Page {
        vm,
        storage,
        book: Book::Expected,
        taken: words.taken.clone(),
        dropped: words.dropped.clone(),
    };
    write(folder, &digest, &page)?;
    Ok(digest)
}

/// The page of a word; `None`: nothing is known of it.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn page(folder: &Folder, digest: &str) -> Result<Option<Page>, DriverError> {
    folder.load_own(&file(digest))
}

/// Writes down what became of a VM, once and for all.
///
/// # Errors
/// Where the disk refuses.
pub(super) fn settle(folder: &Folder, digest: &str, book: Book) -> Result<(), DriverError> {
    match page(folder, digest)? {
        Some(page) if page.book == Book::Expected => write(folder, digest, &Page { book, ..page }),
        _ => Ok(()),
    }
}

fn write(folder: &Folder, digest: &str, page: &Page) -> Result<(), DriverError> {
    folder.save_own(&file(digest), page)
}

fn file(digest: &str) -> String {
    format!("{FOLDER}/{digest}.json")
}

/// Removes the oldest pages of VMs that nobody expects any more.
fn prune(folder: &Folder) {
    let entries = fs::read_dir(folder.root().join(FOLDER))
        .into_iter()
        .flatten();
    let mut settled: Vec<(SystemTime, String)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let digest = name.strip_suffix(".json")?.to_owned();
            let expected = page(folder, &digest).ok()??.book == Book::Expected;
            let written = entry.metadata().and_then(|data| data.modified()).ok()?;
            (!expected).then_some((written, digest))
        })
        .collect();
    settled.sort_unstable();
    let old = settled.len().saturating_sub(MOST_PAGES);
    for (_, digest) in &settled[..old] {
        // What stays is met again by the next.
        let _ = fs::remove_file(folder.root().join(file(digest)));
    }
}
