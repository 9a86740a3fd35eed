//! The store of results: a folder with everything that runs left behind, whole or not there.
//!
//! | File | What |
//! |---|---|
//! | `summary.json` | inputs, wall clocks and figures of each run |
//! | `run.sqlite` | everything below as tables `run`, `summary`, `series`, `node`, `rejection`, and with the log `decision`, `vm`, `shape`, … |
//! | `series.csv`, `series.parquet` | exact means over equal bins of time |
//! | `nodes.csv`, `nodes.parquet` | each node over the whole run |
//! | `rejections.csv` | refusals by filter |
//! | `decisions.parquet` | every decision in order, where the log was kept |
//! | `*.svg`, `*.png` | plots of the series |
//!
//! Each table's first column is the policy, so that several runs of one scenario lie in one folder.

mod cell;
mod course;
mod files;
mod reading;
mod table;
mod tables;

use crate::plot::{PLOTS, PlotError};
use crate::run::figures::json;
use crate::run::{Observer, RunResult};
use cell::Damage;
use files::Partial;
use rusqlite::Connection;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use table::Table;

const DATABASE: &str = "run.sqlite";
const SUMMARY: &str = "summary.json";
const FILES: [&str; 8] = [
    DATABASE,
    SUMMARY,
    "series.csv",
    "series.parquet",
    "nodes.csv",
    "nodes.parquet",
    "rejections.csv",
    "decisions.parquet",
];

/// Why results could not be kept; nothing half-written is left then.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something else stands where the results are to go.
    #[error(
        "{path} holds {found}, which is no result of a run\nhint: name a folder that is new, empty or holds former results"
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// One thing in it.
        found: String,
    },
    /// The place is a file, a mount point, or the root.
    #[error("{path} cannot be replaced by a folder\nhint: name a new folder")]
    InUse {
        /// The place.
        path: PathBuf,
    },
    /// The disk is full.
    #[error(
        "no space is left to write {path}\nhint: free some, or name a folder on another disk; nothing was left behind"
    )]
    Full {
        /// What was being written.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot write {path}")]
    Io {
        /// What was being written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database refused.
    #[error("cannot write {path}")]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A plot could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// Whoever watched said so.
    #[error("cancelled")]
    Cancelled,
}

impl StoreError {
    /// What the system said of a write, a full disk told apart.
    pub(crate) fn writing(path: &Path, source: io::Error) -> Self {
        let path = visible(path);
        // Parquet and CSV wrap the system's error, and some say it in words alone.
        let full = source.kind() == io::ErrorKind::StorageFull
            || source.to_string().contains("No space left on device");
        if full {
            Self::Full { path }
        } else {
            Self::Io { path, source }
        }
    }

    fn database(path: &Path, source: rusqlite::Error) -> Self {
        let path = visible(path);
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full { path },
            _ => Self::Database { path, source },
        }
    }
}

/// A folder that will hold results.
#[derive(Debug)]
pub struct Store {
    partial: Partial,
}

impl Store {
    /// Sees to the place before a long run rather than after it. Former results there stay until the
    /// new ones are whole.
    ///
    /// # Errors
    /// Where something else lies there, or nothing can be written.
    pub fn prepare(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            partial: Partial::prepare(folder, is_ours)?,
        })
    }

    /// Writes all there is of these runs, which are of one scenario, and puts the folder into its place.
    ///
    /// # Errors
    /// The first thing that could not be written; [`StoreError::Cancelled`] where the observer said
    /// so. The folder is as it was before then.
    pub fn write(self, results: &[RunResult], observer: &dyn Observer) -> Result<(), StoreError> {
        let folder = self.partial.path().to_owned();
        let go_on = || {
            if observer.cancelled() {
                Err(StoreError::Cancelled)
            } else {
                Ok(())
            }
        };
        write_summary(&folder.join(SUMMARY), results)?;
        let mut tables = vec![tables::runs(results), tables::summary(results)];
        let series = tables::series(results);
        series.write_csv(&folder.join("series.csv"))?;
        series.write_parquet(&folder.join("series.parquet"))?;
        tables.push(series);
        go_on()?;
        let nodes = tables::nodes(results);
        nodes.write_csv(&folder.join("nodes.csv"))?;
        nodes.write_parquet(&folder.join("nodes.parquet"))?;
        tables.push(nodes);
        go_on()?;
        let rejections = tables::rejections(results);
        rejections.write_csv(&folder.join("rejections.csv"))?;
        tables.push(rejections);
        tables.extend(results.first().map(tables::inputs));
        if let Some(logged) = results.iter().find(|result| result.options.log) {
            let decisions = tables::decisions(results);
            decisions.write_parquet(&folder.join("decisions.parquet"))?;
            tables.push(decisions);
            tables.push(tables::devices(results));
            tables.push(tables::vms(logged));
        }
        go_on()?;
        write_database(&folder.join(DATABASE), &tables)?;
        go_on()?;
        for plot in PLOTS {
            let write = |ending: &str, bytes: &[u8]| {
                write_file(&folder.join(plot.name()).with_extension(ending), bytes)
            };
            write("svg", plot.svg(results)?.as_bytes())?;
            write("png", &plot.png(results)?)?;
            go_on()?;
        }
        go_on()?;
        self.partial.commit()
    }
}

/// Reads the runs of a folder back, as they were written; those without a log come without the VMs
/// of their trace, and cannot be replayed.
///
/// # Errors
/// Where the folder holds no results, or those of another layout, or damaged ones.
pub fn open(folder: &Path) -> Result<Vec<RunResult>, OpenError> {
    let path = folder.join(DATABASE);
    reading::runs(&path).map_err(|why| OpenError { path, why })
}

/// Results could not be read back.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path} cannot be read as results: {why}\nhint: name a folder that simulate --out has written"
)]
pub struct OpenError {
    path: PathBuf,
    why: Damage,
}

fn write_summary(path: &Path, results: &[RunResult]) -> Result<(), StoreError> {
    let runs: serde_json::Value = results.iter().map(json).collect();
    write_file(path, format!("{runs:#}\n").as_bytes())
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let failed = |error| StoreError::writing(path, error);
    let mut file = files::create(path)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)
}

fn write_database(path: &Path, tables: &[Table]) -> Result<(), StoreError> {
    let write = || {
        let mut database = Connection::open(path)?;
        // The folder is thrown away where anything fails, so no journal is needed; the file is made
        // durable as a whole below.
        database.pragma_update(None, "journal_mode", "OFF")?;
        database.pragma_update(None, "synchronous", "OFF")?;
        database.pragma_update(None, "user_version", tables::LAYOUT)?;
        let transaction = database.transaction()?;
        for table in tables {
            table.write_sqlite(&transaction)?;
        }
        transaction.commit()?;
        database.close().map_err(|(_, error)| error)
    };
    write().map_err(|error| StoreError::database(path, error))?;
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| StoreError::writing(path, error))
}

/// Whether a name in a folder is one that a store gives, so that the folder may be replaced.
fn is_ours(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    FILES.contains(&name.as_ref())
        || PLOTS.iter().any(|plot| {
            let ending = name.strip_prefix(plot.name());
            matches!(ending, Some(".svg" | ".png"))
        })
}

/// A path as the user knows it: with the folder's final name in the stead of the one it has while
/// it is written.
fn visible(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(files::target_of);
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
