//! The controller's configuration, a TOML file that a person writes.

use control::settings::{Catalogue, Kernel, Otherwise, Settings};
use model::grid::Grid;
use model::grid_file::read_grid;
use model::time::Span;
use placement::policy::Policy;
use recipe::book::Book;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{path}: {why}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
}

/// What a controller is told at its start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder of all that it keeps.
    pub folder: PathBuf,
    /// The grid's file; a path that is not absolute starts at the configuration's folder. Nodes may be
    /// added at its end.
    pub grid: PathBuf,
    /// Where it listens, as `ADDRESS:PORT`; all addresses of the machine unless told.
    #[serde(default = "anywhere")]
    pub listen: String,
    /// The rule by which VMs are placed: a name of the catalogue.
    #[serde(default = "best_fit")]
    pub policy: String,
    /// Feeds policies that draw lots.
    #[serde(default)]
    pub seed: u64,
    /// How long an operation may take, in seconds.
    #[serde(default = "ten_minutes")]
    pub patience_seconds: u32,
    /// How long a node's lease lasts, in seconds; agents ask for it three times in a minute.
    #[serde(default = "a_minute")]
    pub lease_seconds: u32,
    /// Images by the names that designs use: SHA-256 of their manifests, in hexadecimal.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
    /// Kernels as images, for guests that bring none on their disk.
    #[serde(default, rename = "kernel")]
    pub kernels: Vec<Kernel>,
    /// Files of recipes beside those that are built in; one of a known name takes its place. Paths as that
    /// of the grid.
    #[serde(default)]
    pub recipes: Vec<PathBuf>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, or holds something unknown.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self =
            toml::from_str(&text(path)?).map_err(|error| ConfigError::Invalid {
                path: path.to_owned(),
                why: error.to_string(),
            })?;
        let beside = path.parent().unwrap_or(Path::new("."));
        config.grid = beside.join(&config.grid);
        for recipe in &mut config.recipes {
            *recipe = beside.join(&*recipe);
        }
        let images = config.images.values();
        let kernels = config.kernels.iter().map(|kernel| &kernel.image);
        for image in images.chain(kernels) {
            let is_digest = image.len() == 64 && image.bytes().all(|b| b.is_ascii_hexdigit());
            if !is_digest {
                return Err(ConfigError::Invalid {
                    path: path.to_owned(),
                    why: format!("image {image:?}, expected 64 hexadecimal digits"),
                });
            }
        }
        Ok(config)
    }

    /// The grid that its file tells of.
    ///
    /// # Errors
    /// Where it cannot be read, or is none.
    pub fn grid(&self) -> Result<Arc<Grid>, ConfigError> {
        let name = self.grid.display().to_string();
        let read = read_grid(&name, &text(&self.grid)?);
        let grid = read.map_err(|faults| ConfigError::Invalid {
            path: self.grid.clone(),
            why: faults.to_string(),
        })?;
        Ok(Arc::new(grid))
    }

    fn book(&self) -> Result<Book, ConfigError> {
        let named = self
            .recipes
            .iter()
            .map(|path| Ok((path.display().to_string(), text(path)?)));
        let named = named.collect::<Result<Vec<_>, ConfigError>>()?;
        let files: Vec<(&str, &str)> = named
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        Book::with(&files).map_err(|faults| ConfigError::Invalid {
            path: PathBuf::from("recipes"),
            why: faults.to_string(),
        })
    }

    /// What the controller is told.
    ///
    /// # Errors
    /// Where there is no such policy, or a recipe is not sound.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let policy = self.policy.parse::<Policy>();
        let seconds = |n: u32| Span(i64::from(n) * 1_000);
        Ok(Settings {
            policy: policy.map_err(|error| ConfigError::Invalid {
                path: PathBuf::from("policy"),
                why: error.to_string(),
            })?,
            seed: self.seed,
            patience: seconds(self.patience_seconds),
            lease: seconds(self.lease_seconds),
            catalogue: Catalogue {
                images: self.images.clone(),
                kernels: self.kernels.clone(),
                book: Some(Arc::new(self.book()?)),
                otherwise: Otherwise::Refused,
            },
            ..Settings::default()
        })
    }
}

fn text(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn anywhere() -> String {
    format!("[::]:{}", link::PORT)
}

fn best_fit() -> String {
    "best-fit".to_owned()
}

const fn ten_minutes() -> u32 {
    600
}

const fn a_minute() -> u32 {
    60
}
