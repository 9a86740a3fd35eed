//! The receiver's book: every VM that was to come here lately, by the digest of its word, and what
//! became of it.

use super::word::{Words, digest};
use crate::folder::Folder;
use crate::killpoint;
use agent::driver::DriverError;
use agent::handover::Book;
use model::id::VmId;
use model::order::Storage;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// The folder of its pages, in the driver's.
const FOLDER: &str = "words";

/// Pages that are kept: a sender asks within seconds unless it is cut off, and a node has some tens
/// of moves a day.
const MOST_PAGES: usize = 1_024;

/// What is known of one VM that was to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Which.
    pub vm: VmId,
    /// Where its disks are.
    pub storage: Storage,
    /// Files that come with it and must be on the disk before it is taken, where nobody else sees to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
    /// What became of it.
    pub book: Book,
    /// What is said once it is taken, and never else.
    pub taken: String,
    /// What is said once it is dropped, and never else.
    pub dropped: String,
}

/// A VM that is to come.
#[derive(Clone, Debug)]
pub struct Coming {
    /// Which.
    pub vm: VmId,
    /// Where its disks are.
    pub storage: Storage,
    /// As [`Page::files`] has them.
    pub files: Vec<PathBuf>,
}

/// Writes down that a VM is to come; gives the digest of its word.
///
/// # Errors
/// Where the disk refuses.
pub fn expect(folder: &Folder, coming: Coming, words: &Words) -> Result<String, DriverError> {
    prune(folder);
    let digest = digest(&words.run);
    if page(folder, &digest)?.is_some_and(|page| page.book != Book::Expected) {
        return Err(DriverError::Invalid {
            field: "key".to_owned(),
            found: "the key of a move that has ended".to_owned(),
            expected: "a new one".to_owned(),
        });
    }
    let Coming { vm, storage, files } = coming;
    let page = Page {
        vm,
        storage,
        files,
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
pub fn page(folder: &Folder, digest: &str) -> Result<Option<Page>, DriverError> {
    folder.load_own(&file(digest))
}

/// Writes down what became of a VM, once and for all.
///
/// # Errors
/// Where the disk refuses.
pub fn settle(folder: &Folder, digest: &str, book: Book) -> Result<(), DriverError> {
    match page(folder, digest)? {
        Some(page) if page.book == Book::Expected => {
            let vm = page.vm;
            killpoint::around(
                || format!("booking {vm} as {book:?}"),
                || write(folder, digest, &Page { book, ..page }),
            )
        }
        _ => Ok(()),
    }
}

fn write(folder: &Folder, digest: &str, page: &Page) -> Result<(), DriverError> {
    folder.save_own(&file(digest), page)
}

fn file(digest: &str) -> String {
    format!("{FOLDER}/{digest}.json")
}

/// The page of a VM that was written last, with the digest of its word; `None`: it never was to come.
///
/// # Errors
/// Where a page cannot be read.
pub fn last(folder: &Folder, vm: VmId) -> Result<Option<(String, Page)>, DriverError> {
    let mut last: Option<(Option<SystemTime>, String, Page)> = None;
    for digest in digests(folder) {
        if let Some(page) = page(folder, &digest)?.filter(|page| page.vm == vm) {
            let written = written(folder, &digest);
            if last.as_ref().is_none_or(|(latest, ..)| *latest < written) {
                last = Some((written, digest, page));
            }
        }
    }
    Ok(last.map(|(_, digest, page)| (digest, page)))
}

/// When a page was written; `None`: nobody can tell, or it has gone.
fn written(folder: &Folder, digest: &str) -> Option<SystemTime> {
    let path = folder.root().join(file(digest));
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

fn digests(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.root().join(FOLDER))
        .into_iter()
        .flatten();
    let names = entries.flatten().map(|entry| entry.file_name());
    let digests = names.filter_map(|name| Some(name.to_str()?.strip_suffix(".json")?.to_owned()));
    digests.collect()
}

/// Removes the oldest pages of VMs that nobody expects any more.
fn prune(folder: &Folder) {
    let digests = digests(folder).into_iter();
    let mut settled: Vec<(SystemTime, String)> = digests
        .filter_map(|digest| {
            let expected = page(folder, &digest).ok()??.book == Book::Expected;
            (!expected).then_some((written(folder, &digest)?, digest))
        })
        .collect();
    settled.sort_unstable();
    let old = settled.len().saturating_sub(MOST_PAGES);
    for (_, digest) in &settled[..old] {
        // What stays is met again by the next.
        let _ = fs::remove_file(folder.root().join(file(digest)));
    }
}
