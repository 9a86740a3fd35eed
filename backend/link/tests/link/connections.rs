//! Connections over loopback.

use link::identity::{Fingerprint, Identity};
use link::join::{self, Welcome};
use link::membership::{Membership, Role};
use link::tls::{connect, server};
use link::token::{Secret, Token};
use link::{AGENT, HTTP, JOIN};
use rustls::pki_types::CertificateDer;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

/// Takes one call: who called, and the secret that it said, if it was to say one.
async fn take(
    listener: &TcpListener,
    folder: &Path,
    welcome: &Welcome,
) -> io::Result<(Fingerprint, Secret)> {
    let identity = Identity::open(folder)?;
    let config = server(&identity, &[JOIN, AGENT]).map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    let mut stream = TlsAcceptor::from(config).accept(stream).await?;
    let shown = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(<[CertificateDer<'_>]>::first);
    let peer = Fingerprint::of(shown.expect("a certificate is demanded"));
    let secret = join::hear(&mut stream).await?;
    join::answer(&mut stream, welcome).await?;
    Ok((peer, secret))
}

fn joined(
    welcome: &Welcome,
    known: impl Fn(Fingerprint) -> Fingerprint,
) -> (io::Result<Role>, io::Result<(Fingerprint, Secret)>, TempDir) {
    let (mine, theirs) = (folder(), folder());
    let controller = Identity::open(theirs.path()).expect("an identity");
    let token = Token {
        controller: known(controller.fingerprint()),
        secret: Secret([9; 16]),
    };
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address").to_string();
        let (joined, taken) = tokio::join!(
            join::join(mine.path(), &at, &token),
            take(&listener, theirs.path(), welcome)
        );
        (joined, taken, mine)
    })
}

/// Both ends know each other by what they show, and the secret arrives.
#[test]
fn whoever_joins_is_known() {
    let welcome = Welcome::Accepted {
        role: Role::Node("north-1".to_owned()),
    };
    let (joined, taken, mine) = joined(&welcome, |right| right);
    assert_eq!(joined.expect("joined"), Role::Node("north-1".to_owned()));
    let (peer, secret) = taken.expect("taken");
    assert_eq!(secret, Secret([9; 16]));
    assert_eq!(
        peer,
        Identity::open(mine.path()).expect("kept").fingerprint()
    );
    assert!(Membership::read(mine.path()).expect("read").is_some());
    let mode = mine
        .path()
        .join("identity.pem")
        .metadata()
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Programs that begin in one folder at once are one and the same.
#[test]
fn an_identity_is_made_once() {
    let mine = folder();
    let opened: Vec<Fingerprint> = std::thread::scope(|scope| {
        let open = || {
            Identity::open(mine.path())
                .expect("an identity")
                .fingerprint()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|opened| opened.expect("it ends")).collect()
    });
    assert!(opened.iter().all(|other| *other == opened[0]), "{opened:?}");
}

/// Whoever is refused keeps no controller.
#[test]
fn whoever_is_refused_is_told_why() {
    let welcome = Welcome::Refused {
        reason: "the token was used".to_owned(),
    };
    let (joined, _, mine) = joined(&welcome, |right| right);
    assert_eq!(
        joined.expect_err("refused").to_string(),
        "the token was used"
    );
    assert_eq!(Membership::read(mine.path()).expect("read"), None);
}

/// A controller that shows another certificate hears no secret.
#[test]
fn another_controller_hears_nothing() {
    let welcome = Welcome::Accepted {
        role: Role::Node("north-1".to_owned()),
    };
    let (joined, taken, mine) = joined(&welcome, |_| Fingerprint([1; 32]));
    let told = joined.expect_err("it is another").to_string();
    assert!(told.contains("certificate"), "{told}");
    taken.expect_err("the caller has gone");
    assert_eq!(Membership::read(mine.path()).expect("read"), None);
}

/// Nobody is let in on a protocol that is not spoken there.
#[test]
fn an_unknown_protocol_is_refused() {
    let (mine, theirs) = (folder(), folder());
    let controller = Identity::open(theirs.path())
        .expect("an identity")
        .fingerprint();
    let identity = Identity::open(mine.path()).expect("an identity");
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address").to_string();
        let welcome = Welcome::Accepted {
            role: Role::Admin(String::new()),
        };
        let (connected, taken) = tokio::join!(
            connect(&identity, &at, controller, HTTP),
            take(&listener, theirs.path(), &welcome)
        );
        connected.expect_err("it is not spoken");
        taken.expect_err("it is not spoken");
    });
}
