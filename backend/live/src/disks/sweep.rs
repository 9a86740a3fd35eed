//! What killed builds left: put aside before anything begins, and wiped while the node works.
//!
//! Nothing under way has files of such names when an agent starts: the tools of a killed agent die
//! with it, if a moment later, and what it had begun is begun again. What was fetched of an image
//! stays, as its transfer goes on there.

use super::Disks;
use super::outcome::failed;
use agent::step::Failure;
use agent::watch::Unwatched;
use drivers::process::Process;
use image::view::unmount;
use image::wipe::wipe_data_and_remove;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// How long a tool of a killed agent is given to end before it is looked for again.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long after a wipe that failed it is tried again: a full disk or a stuck one is told of so often.
const TRY_EVERY: Duration = Duration::from_secs(10);

/// How the names end of files that are on their way to another name, or are needed no longer once
/// that is there: half written, disks before they are encrypted, bases before they are kept, and of
/// saved disks the blocks in use and the stream of them. Names of disks have no dot.
const ENDINGS: [&str; 5] = ["part", "clear", "new", "used", "stream"];

/// Folders of a node, each of which has folders in which disks are made.
const MAKING: [&str; 3] = ["vms", "build", "saved"];

impl Disks {
    /// Puts all of it aside and begins to wipe it.
    ///
    /// # Errors
    /// Where a folder cannot be read or a file cannot be moved.
    pub fn sweep(&self) -> Result<(), Failure> {
        let aside = self.root.join("swept");
        let mut left = Vec::new();
        for folder in MAKING {
            for inside in entries(&self.root.join(folder))? {
                left.extend(unfinished(&inside)?);
            }
        }
        left.extend(unfinished(&self.root.join("bases"))?);
        let before = entries(&aside)?;
        if left.is_empty() && before.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(&aside).map_err(failed("make", &aside))?;
        let free = (0_u64..).map(|number| aside.join(number.to_string()));
        let free = free.filter(|path| !before.contains(path));
        for (path, to) in left.iter().zip(free) {
            unmount(&path.join("view"));
            fs::rename(path, &to).map_err(failed("put aside", path))?;
        }
        thread::spawn(move || {
            while let Err(failure) = clear(&aside) {
                eprintln!("wipe what was left unfinished: {failure}");
                thread::sleep(TRY_EVERY);
            }
        });
        Ok(())
    }
}

/// What of a folder is a file or a folder on its way to another name.
fn unfinished(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut left = entries(folder)?;
    left.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ending = path.extension().unwrap_or_default();
        name.starts_with(".work-") || ENDINGS.iter().any(|known| ending == *known)
    });
    Ok(left)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let read = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(Vec::new()),
        read => read.map_err(failed("read", folder))?,
    };
    let paths = read.map(|entry| entry.map(|entry| entry.path()));
    let paths: Result<_, _> = paths.collect();
    paths.map_err(failed("read", folder))
}

/// Wipes what is aside once nobody writes there any more.
fn clear(aside: &Path) -> Result<(), Failure> {
    let mut files = BTreeSet::new();
    collect(aside, &mut files)?;
    while Process::all().any(|process| process.writes(&files)) {
        thread::sleep(LOOK_EVERY);
    }
    super::wipe(aside, wipe_data_and_remove, &Unwatched)
}

/// The files below a folder, by device and number.
fn collect(folder: &Path, files: &mut BTreeSet<(u64, u64)>) -> Result<(), Failure> {
    for path in entries(folder)? {
        let about = fs::symlink_metadata(&path).map_err(failed("look at", &path))?;
        match about.is_dir() {
            true => collect(&path, files)?,
            false => drop(files.insert((about.dev(), about.ino()))),
        }
    }
    Ok(())
}
