//! How a stranger becomes a peer: it shows its token's secret once, and is known by its certificate from
//! then on.

use crate::JOIN;
use crate::identity::{Identity, write_private};
use crate::membership::{Membership, Role};
use crate::tls::{PATIENCE, connect};
use crate::token::{Secret, Token};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The longest answer, in bytes.
const MOST_BYTES: u64 = 4_096;

/// What the controller says to somebody who joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "joined", rename_all = "kebab-case")]
pub enum Welcome {
    /// It is a peer from now on.
    Accepted {
        /// As what.
        role: Role,
    },
    /// It is nobody.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Joins the grid of a controller at `HOST:PORT`, and keeps in the folder what is needed to call it.
///
/// # Errors
/// Where the controller is not there, is another one, or does not take the token.
pub async fn join(folder: &Path, at: &str, token: &Token) -> io::Result<Role> {
    let identity = Identity::open(folder)?;
    let mut stream = connect(&identity, at, token.controller, JOIN).await?;
    let conversed = timeout(PATIENCE, async {
        stream.write_all(&token.secret.0).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        (&mut stream)
            .take(MOST_BYTES)
            .read_to_end(&mut answer)
            .await?;
        Ok::<_, io::Error>(answer)
    });
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let answer = conversed.await.map_err(late).and_then(|said| said)?;
    let role = match serde_json::from_slice(&answer)? {
        Welcome::Accepted { role } => role,
        Welcome::Refused { reason } => {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
    };
    let membership = Membership {
        address: at.to_owned(),
        controller: token.controller,
    };
    write_private(
        &folder.join(Membership::FILE),
        membership.written().as_bytes(),
    )?;
    Ok(role)
}

/// The controller's end: hears the secret.
///
/// # Errors
/// Where the stranger says less, or nothing in time.
pub async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Secret> {
    let mut secret = Secret([0; 16]);
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let heard = timeout(PATIENCE, stream.read_exact(&mut secret.0)).await;
    heard.map_err(late).and_then(|said| said)?;
    Ok(secret)
}

/// The controller's end: tells what came of it, and ends.
///
/// # Errors
/// Where the stranger has gone.
pub async fn answer(stream: &mut (impl AsyncWrite + Unpin), welcome: &Welcome) -> io::Result<()> {
    stream.write_all(&serde_json::to_vec(welcome)?).await?;
    stream.shutdown().await
}
