//! A controller that serves: all of its parts put together.

use crate::agents::Agents;
use crate::api::Api;
use crate::config::{Config, ConfigError};
use crate::door::Door;
use crate::metrics::Metrics;
use crate::ruler::{Clock, Reign, Ruler, RulerError};
use crate::store::{Store, StoreError};
use crate::vault::{Vault, VaultError};
use link::identity::{Fingerprint, Identity};
use link::membership::Role;
use link::token::{NoChance, Secret, Token};
use model::time::Span;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// How long connections that are being answered may take once the controller is to end.
const GRACE: Duration = Duration::from_millis(500);

/// Why a controller does not serve, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its keys.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What it decides cannot be written down.
    #[error(transparent)]
    Ruler(#[from] RulerError),
    /// Its system gives no random bytes.
    #[error(transparent)]
    Chance(#[from] NoChance),
    /// Its folder or its threads.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Somebody has its folder.
    #[error("another controller has {0}")]
    Claimed(PathBuf),
    /// Somebody has its port, or it has no such address.
    #[error("listen on {at}: {source}")]
    Listen {
        /// Where it was to listen.
        at: String,
        /// Why it does not.
        source: io::Error,
    },
    /// The grid has no such node.
    #[error("{grid} has no node {name:?}")]
    NoNode {
        /// The grid's file.
        grid: PathBuf,
        /// The name.
        name: String,
    },
    /// A fault of the program's own.
    #[error("the controller broke down; nothing that was accepted is lost")]
    Broken,
}

/// A controller that serves until it is told to end; dropped, it serves nobody any more.
pub struct Serving {
    runtime: Runtime,
    ruler: Ruler,
    reigning: JoinHandle<Result<(), RulerError>>,
    address: SocketAddr,
    fingerprint: Fingerprint,
    /// The folder is ours as long as this is open.
    _claim: File,
}

impl Serving {
    /// Starts one, which listens by then.
    ///
    /// # Errors
    /// Where its folder or its port is another one's, or a file of it is not sound.
    pub fn start(config: &Config) -> Result<Self, ServingError> {
        let (grid, settings) = (config.grid()?, config.settings()?);
        let identity = Identity::open(&config.folder)?;
        let _claim = claim(&config.folder)?;
        let mut store = Store::open(&config.folder)?;
        store.check(&grid)?;
        let vault = Vault::open(&config.folder)?;
        let (agents, metrics) = (Arc::<Agents>::default(), Arc::<Metrics>::default());
        let (reign, ruler) = Reign::new(
            settings,
            grid,
            store,
            vault,
            Arc::clone(&agents),
            Arc::clone(&metrics),
        )?;
        let (clock, fingerprint) = (Clock::start(), identity.fingerprint());
        let peers = Store::open(&config.folder)?;
        let door = Door::new(ruler.clone(), agents, clock, fingerprint, peers);
        let api = Api {
            door: Arc::clone(&door),
            metrics,
            start: clock.now().0.unsigned_abs(),
        };
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind(&config.listen));
        let listener = listener.map_err(|source| {
            let at = config.listen.to_string();
            ServingError::Listen { at, source }
        })?;
        let address = listener.local_addr()?;
        tracing::info!("listening on {address}");
        let reigning = thread::Builder::new()
            .name("ruler".to_owned())
            .spawn(move || reign.run())?;
        runtime.spawn(async move {
            let opened = door.open(listener, &identity, api).await;
            tracing::error!("nobody is let in any more: {opened:?}");
        });
        Ok(Self {
            runtime,
            ruler,
            reigning,
            address,
            fingerprint,
            _claim,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it is known by.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The way to the thread that steps, which can be told to end.
    pub fn ruler(&self) -> &Ruler {
        &self.ruler
    }

    /// What runs beside it.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// Where it did not end because it was told to.
    pub fn wait(self) -> Result<(), ServingError> {
        let ended = self.reigning.join();
        self.runtime.shutdown_timeout(GRACE);
        match ended {
            Ok(ended) => Ok(ended?),
            Err(_) => Err(ServingError::Broken),
        }
    }
}

/// A token that lets somebody in once, for so long; whether the controller runs or not.
///
/// # Errors
/// Where the grid has no such node, or the token cannot be written down.
pub fn token(config: &Config, role: &Role, lives: Span) -> Result<Token, ServingError> {
    if let Role::Node(name) = role
        && config.grid()?.node_named(name).is_none()
    {
        return Err(ServingError::NoNode {
            grid: config.grid.clone(),
            name: name.clone(),
        });
    }
    let controller = Identity::open(&config.folder)?.fingerprint();
    let secret = Secret::new()?;
    let until = Clock::start().now() + lives;
    Store::open(&config.folder)?.admit(&secret.digest(), role, until)?;
    Ok(Token { controller, secret })
}

/// A folder has one controller.
fn claim(folder: &Path) -> Result<File, ServingError> {
    fs::create_dir_all(folder)?;
    let lock = File::options()
        .create(true)
        .append(true)
        .open(folder.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(_) => Err(ServingError::Claimed(folder.to_owned())),
    }
}
