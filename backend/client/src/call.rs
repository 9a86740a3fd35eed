//! Requests to a controller, over one connection that is made anew where it has ended.

use control::backend::{Command, Refused};
use control::shown::{EventShown, Fault, OperationShown};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use link::HTTP;
use link::identity::Identity;
use link::membership::{Membership, Role};
use link::tls::connect;
use link::token::Token;
use model::id::OperationId;
use model::view::View;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest answer, in bytes: the view of a hundred thousand full nodes.
const MOST_BYTES: usize = 1 << 30;

/// Why a controller did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody has joined from this folder.
    #[error("no controller was joined from {0}")]
    NotJoined(String),
    /// The token makes a node of its bearer.
    #[error("this was the token of node {0}, expected one of an admin")]
    NotAdmin(String),
    /// It cannot be reached.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The connection broke.
    #[error("the connection to the controller")]
    Http(#[from] hyper::Error),
    /// It answers something else.
    #[error("the controller's answer is not understood: {0}")]
    Answer(String),
    /// It cannot be.
    #[error("{}", .0.error)]
    Fault(Box<Fault>),
}

impl CallError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Fault(fault) => fault.hint.as_deref(),
            Self::NotAdmin(_) => Some("`gridwright-controller token admin NAME` prints one"),
            Self::NotJoined(_) => Some(
                "join one by `gridwright join HOST:PORT TOKEN`, with a token that \
                 `gridwright-controller token admin NAME` prints",
            ),
            _ => None,
        }
    }

    /// Why the grid refused a command, if it did.
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Fault(fault) => fault.refused.as_ref(),
            _ => None,
        }
    }
}

/// A controller that is asked in turn.
pub struct Client {
    runtime: Runtime,
    identity: Identity,
    membership: Membership,
    open: Option<SendRequest<Full<Bytes>>>,
}

/// An answer before it is read.
struct Said {
    status: StatusCode,
    tag: Option<String>,
    body: Bytes,
}

impl Client {
    /// For the controller that was joined from a folder; nothing is asked yet.
    ///
    /// # Errors
    /// Where none was, or the folder cannot be read.
    pub fn open(folder: &Path) -> Result<Self, CallError> {
        let membership = Membership::read(folder)?;
        let none = || CallError::NotJoined(folder.display().to_string());
        Ok(Self {
            runtime: runtime()?,
            identity: Identity::open(folder)?,
            membership: membership.ok_or_else(none)?,
            open: None,
        })
    }

    /// Joins a controller at `HOST:PORT` as an admin, and keeps it in a folder; the admin's name there.
    ///
    /// # Errors
    /// Where it is not there, is another one, or does not take the token as one of an admin.
    pub fn join(folder: &Path, at: &str, token: &Token) -> Result<String, CallError> {
        match runtime()?.block_on(link::join::join(folder, at, token))? {
            Role::Admin(name) => Ok(name),
            Role::Node(name) => {
                // Nobody asks for anything as a node.
                fs::remove_file(folder.join(Membership::FILE))?;
                Err(CallError::NotAdmin(name))
            }
        }
    }

    /// Where the controller listens: `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.membership.address
    }

    /// Reads what is at a path.
    ///
    /// # Errors
    /// Where the controller does not answer, or has nothing there.
    pub fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, CallError> {
        read(&self.ask(Method::GET, path, None, None)?)
    }

    /// Asks for something under an id; a repeated id gives the first answer.
    ///
    /// # Errors
    /// Where the controller does not answer, or refuses it.
    pub fn submit(
        &mut self,
        operation: OperationId,
        command: &Command,
    ) -> Result<OperationShown, CallError> {
        let path = format!("/v1/operations/{}", operation.0);
        self.send(Method::PUT, &path, command)
    }

    /// Ends an operation early.
    ///
    /// # Errors
    /// Where the controller does not answer, or knows none such.
    pub fn call_off(&mut self, operation: OperationId) -> Result<OperationShown, CallError> {
        let path = format!("/v1/operations/{}", operation.0);
        read(&self.ask(Method::DELETE, &path, None, None)?)
    }

    /// Sends something to a path.
    ///
    /// # Errors
    /// Where the controller does not answer, or does not take it.
    pub fn send<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        let body =
            serde_json::to_vec(body).map_err(|error| CallError::Answer(error.to_string()))?;
        read(&self.ask(method, path, Some(Bytes::from(body)), None)?)
    }

    /// Takes away what is at a path.
    ///
    /// # Errors
    /// Where the controller does not answer, or has nothing there.
    pub fn delete(&mut self, path: &str) -> Result<(), CallError> {
        self.ask(Method::DELETE, path, None, None).map(|_| ())
    }

    /// The view, with its tag; `None`: it is that of the tag still.
    ///
    /// # Errors
    /// Where the controller does not answer.
    pub fn view(&mut self, known: Option<&str>) -> Result<Option<(View, String)>, CallError> {
        let said = self.ask(Method::GET, "/v1/view", None, known)?;
        if said.status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let view = read(&said)?;
        Ok(Some((view, said.tag.unwrap_or_default())))
    }

    /// Events from this number on, at most so many.
    ///
    /// # Errors
    /// Where the controller does not answer.
    pub fn events(&mut self, from: u64, limit: usize) -> Result<Vec<EventShown>, CallError> {
        self.get(&format!("/v1/events?from={from}&limit={limit}"))
    }

    /// Asks, once more on a new connection where the former has ended meanwhile: everything that is
    /// asked may be asked twice.
    fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        known: Option<&str>,
    ) -> Result<Said, CallError> {
        let was_open = self.open.is_some();
        let request = || self::request(&self.membership.address, &method, path, &body, known);
        let first = request()?;
        match self.try_ask(first) {
            Err(CallError::Http(_)) if was_open => {
                let again = self::request(&self.membership.address, &method, path, &body, known)?;
                self.try_ask(again)
            }
            said => said,
        }
    }

    fn try_ask(&mut self, request: Request<Full<Bytes>>) -> Result<Said, CallError> {
        let (identity, membership) = (&self.identity, &self.membership);
        let open = self.open.take().filter(|open| !open.is_closed());
        let asked = async {
            let mut open = match open {
                Some(open) => open,
                None => dial(identity, membership).await?,
            };
            open.ready().await?;
            let said = open.send_request(request).await?;
            let (head, body) = said.into_parts();
            let body = Limited::new(body, MOST_BYTES).collect().await;
            let body = body.map_err(|error| CallError::Answer(error.to_string()))?;
            let tag = head.headers.get(ETAG).and_then(|tag| tag.to_str().ok());
            let said = Said {
                status: head.status,
                tag: tag.map(str::to_owned),
                body: body.to_bytes(),
            };
            Ok::<_, CallError>((said, open))
        };
        let late = |_| CallError::Io(io::ErrorKind::TimedOut.into());
        let asked = self
            .runtime
            .block_on(async { timeout(PATIENCE, asked).await });
        let (said, open) = asked.map_err(late).and_then(|asked| asked)?;
        self.open = Some(open);
        if said.status.is_success() || said.status == StatusCode::NOT_MODIFIED {
            return Ok(said);
        }
        let fault: Fault = read(&said)?;
        Err(CallError::Fault(Box::new(fault)))
    }
}

fn runtime() -> io::Result<Runtime> {
    // One worker, so that connections are attended to between two requests.
    runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("controller")
        .enable_all()
        .build()
}

async fn dial(
    identity: &Identity,
    membership: &Membership,
) -> Result<SendRequest<Full<Bytes>>, CallError> {
    let (at, controller) = (&membership.address, membership.controller);
    let stream = connect(identity, at, controller, HTTP).await?;
    let (open, connection) = handshake(TokioIo::new(stream)).await?;
    // How it ends is told to whoever asks next.
    tokio::spawn(connection);
    Ok(open)
}

fn request(
    host: &str,
    method: &Method,
    path: &str,
    body: &Option<Bytes>,
    known: Option<&str>,
) -> Result<Request<Full<Bytes>>, CallError> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host);
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(known) = known {
        request = request.header(IF_NONE_MATCH, known);
    }
    let body = Full::new(body.clone().unwrap_or_default());
    request
        .body(body)
        .map_err(|error| CallError::Answer(error.to_string()))
}

fn read<T: DeserializeOwned>(said: &Said) -> Result<T, CallError> {
    let faulty = |error| CallError::Answer(format!("{}: {error}", said.status));
    serde_json::from_slice(&said.body).map_err(faulty)
}

/// Where a user's membership is kept, unless told otherwise: `gridwright` in the user's configuration;
/// `None`: this user has no home.
pub fn usual_folder() -> Option<PathBuf> {
    let path = |name| std::env::var_os(name).filter(|path| !path.is_empty());
    let usual = path("XDG_CONFIG_HOME").map(PathBuf::from);
    let usual = usual.or_else(|| Some(PathBuf::from(path("HOME")?).join(".config")))?;
    Some(usual.join("gridwright"))
}

/// An id for an operation that nobody else has: random, and small enough for programs that hold numbers
/// as floating point.
///
/// # Errors
/// Where the system gives no random bytes.
pub fn new_operation() -> io::Result<OperationId> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(OperationId(u64::from_le_bytes(bytes) >> 11))
}
