//! Who is let in, and as what: one port, TLS 1.3 on which both ends are known.

use crate::agents::Agents;
use crate::api::{self, Api, forbidden};
use crate::ruler::{Clock, Ruler};
use crate::store::{Store, StoreError};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use link::identity::{Fingerprint, Identity};
use link::join::{self, Welcome};
use link::membership::Role;
use link::tls::{PATIENCE, server};
use link::token::Secret;
use link::{AGENT, HTTP, JOIN};
use model::grid::NodeState;
use model::view::NodeView;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{Receiver, Sender, channel, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Connections at once: a grid's agents, and those who ask.
const MOST: usize = 16_384;

/// How long a controller waits after its start for agents that are there.
const SETTLING: Duration = Duration::from_secs(20);

/// How long nobody new is let in once the process has no more files.
const FULL_PAUSE: Duration = Duration::from_millis(100);

/// Everything that a connection may need.
pub struct Door {
    /// The way to the controller.
    pub ruler: Ruler,
    /// The way to the agents.
    pub agents: Arc<Agents>,
    /// The clock by which tokens lapse.
    pub clock: Clock,
    /// This controller's.
    pub fingerprint: Fingerprint,
    begun: Instant,
    peers: Mutex<Store>,
    revoked: Sender<Fingerprint>,
}

impl Door {
    /// A door with its own connection to the database.
    pub fn new(
        ruler: Ruler,
        agents: Arc<Agents>,
        clock: Clock,
        fingerprint: Fingerprint,
        store: Store,
    ) -> Arc<Self> {
        Arc::new(Self {
            ruler,
            agents,
            clock,
            fingerprint,
            begun: Instant::now(),
            peers: Mutex::new(store),
            revoked: channel(64).0,
        })
    }

    /// The database of peers and of history.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all nodes that have joined have called, for the first seconds of a controller: a grid
    /// without nodes would refuse what it can carry out a moment later.
    pub async fn settled(&self) {
        let joined = self.store().peers().unwrap_or_default();
        let nodes = joined
            .iter()
            .filter(|peer| matches!(peer.role, Role::Node(_)));
        let nodes = nodes.count();
        let mut shown = self.ruler.shown();
        let all = shown.wait_for(|shown| {
            let is_up = |node: &&NodeView| node.state != NodeState::Down;
            shown.view.nodes.iter().filter(is_up).count() >= nodes
        });
        let rest = SETTLING.saturating_sub(self.begun.elapsed());
        // Those that have not called by then are away.
        timeout(rest, all).await.ok();
    }

    /// Makes nobody of a peer, and ends its connections at once; whether it was one.
    ///
    /// # Errors
    /// Where it cannot be written down.
    pub fn revoke(&self, peer: Fingerprint) -> Result<bool, StoreError> {
        let was = self.store().revoke(peer)?;
        // Nobody may be connected.
        self.revoked.send(peer).ok();
        Ok(was)
    }

    /// Lets in whoever comes, for ever.
    ///
    /// # Errors
    /// Where the controller's own identity is none that TLS can use.
    pub async fn open(
        self: Arc<Self>,
        listener: TcpListener,
        identity: &Identity,
        api: Api,
    ) -> io::Result<()> {
        let config = server(identity, &[AGENT, HTTP, JOIN]).map_err(io::Error::other)?;
        let acceptor = TlsAcceptor::from(config);
        let places = Arc::new(Semaphore::new(MOST));
        let routes = api::routes(api);
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let place = place.map_err(io::Error::other)?;
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("let nobody in for now: {error}");
                    sleep(FULL_PAUSE).await;
                    continue;
                }
            };
            let (door, acceptor) = (Arc::clone(&self), acceptor.clone());
            let routes = routes.clone();
            tokio::spawn(async move {
                if let Err(error) = door.let_in(stream, acceptor, routes, place).await {
                    tracing::info!("a connection ended: {error}");
                }
            });
        }
    }

    async fn let_in(
        &self,
        stream: TcpStream,
        acceptor: TlsAcceptor,
        routes: Router,
        _place: OwnedSemaphorePermit,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut revoked = self.revoked.subscribe();
        let shaken = timeout(PATIENCE, acceptor.accept(stream)).await;
        let stream = shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(|shown| shown.first());
        let shown = shown.ok_or_else(|| io::Error::other("it showed no certificate"))?;
        let peer = Fingerprint::of(shown);
        let speaks = session.alpn_protocol().unwrap_or_default().to_vec();
        let role = self.store().role(peer).map_err(io::Error::other)?;
        let served = async {
            match (speaks.as_slice(), role) {
                (JOIN, _) => self.take_in(stream, peer).await,
                (AGENT, Some(Role::Node(name))) => self.attend(stream, &name).await,
                (HTTP, Some(Role::Admin(_))) => serve(stream, routes).await,
                (HTTP, _) => serve(stream, forbidden()).await,
                (_, other) => {
                    let who = other.map_or("nobody".to_owned(), |role| role.to_string());
                    Err(io::Error::other(format!("{peer} is {who} here")))
                }
            }
        };
        tokio::select! {
            // Before any request that came after it.
            biased;
            () = is_told(&mut revoked, peer, self) => Err(io::Error::other("it was revoked")),
            served = served => served,
        }
    }

    async fn take_in(&self, mut stream: TlsStream<TcpStream>, peer: Fingerprint) -> io::Result<()> {
        let secret = join::hear(&mut stream).await?;
        let welcome = self.redeem(&secret, peer).map_err(io::Error::other)?;
        join::answer(&mut stream, &welcome).await
    }

    fn redeem(&self, secret: &Secret, peer: Fingerprint) -> Result<Welcome, StoreError> {
        let digest = secret.digest();
        let redeemed = self.store().redeem(&digest, peer, self.clock.now())?;
        let Some(redeemed) = redeemed else {
            tracing::warn!("{peer} has shown a token that is good for nothing");
            let reason = "the token was used, has lapsed, or is none; hint: ask for a new one";
            return Ok(Welcome::Refused {
                reason: reason.to_owned(),
            });
        };
        for former in redeemed.former {
            self.revoked.send(former).ok();
        }
        let role = redeemed.role;
        tracing::info!("{peer} is {role} from now on");
        Ok(Welcome::Accepted { role })
    }

    async fn attend(&self, stream: TlsStream<TcpStream>, name: &str) -> io::Result<()> {
        let node = self.ruler.shown().borrow().view.grid.node_named(name);
        let Some(node) = node else {
            return Err(io::Error::other(format!("the grid has no node {name}")));
        };
        tracing::info!("node {name} has called");
        let attended = self.agents.attend(node, stream, &self.ruler).await;
        attended.map_err(|error| io::Error::new(error.kind(), format!("node {name}: {error}")))
    }
}

/// Waits until a peer is none any more.
async fn is_told(revoked: &mut Receiver<Fingerprint>, peer: Fingerprint, door: &Door) {
    loop {
        match revoked.recv().await {
            Ok(gone) if gone == peer => return,
            Ok(_) => {}
            // Some were missed: it is looked up.
            Err(RecvError::Lagged(_)) => {
                if !matches!(door.store().role(peer), Ok(Some(_))) {
                    return;
                }
            }
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

async fn serve(stream: TlsStream<TcpStream>, routes: Router) -> io::Result<()> {
    let service = TowerToHyperService::new(routes);
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE * 6);
    let served = server.serve_connection(TokioIo::new(stream), service).await;
    served.map_err(io::Error::other)
}
