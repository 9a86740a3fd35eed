//! Incus's REST interface over its unix socket: requests, and the operations that they begin.
//!
//! Each request has a connection and a runtime of its own: a driver makes few, from any thread, and
//! none outlives the call.

use agent::driver::DriverError;
use agent::watch::{Unwatched, Watch};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt::Display;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

/// How often the watch is looked at while Incus works.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Parts of a body that wait to be sent; more would only use memory.
const QUEUED_PARTS: usize = 4;

/// What Incus says where an operation has not ended within the time of a wait for it.
const WAITED_IN_VAIN: &str = "context deadline exceeded";

/// Bytes of such a part.
const PART: usize = 256 << 10;

/// One Incus server, seen through one project of it.
#[derive(Clone, Debug)]
pub struct Api {
    socket: PathBuf,
    project: String,
}

/// What Incus answered.
#[derive(Debug)]
pub enum Answer {
    /// At once, with this.
    Done(Value),
    /// It has begun the operation of this path.
    Begun(String),
    /// There is no such thing.
    Absent,
}

type Body = BoxBody<Bytes, io::Error>;

impl Api {
    /// Through this project of the server behind this socket; nothing is asked yet.
    pub fn new(socket: PathBuf, project: &str) -> Self {
        Self {
            socket,
            project: project.to_owned(),
        }
    }

    /// A path below `/1.0` in this project.
    pub fn path(&self, below: &str) -> String {
        let mark = if below.contains('?') { '&' } else { '?' };
        format!("/1.0/{below}{mark}project={}", self.project)
    }

    /// What the server says of itself.
    ///
    /// # Errors
    /// Where Incus does not answer.
    pub fn about(&self, watch: &dyn Watch) -> Result<Value, DriverError> {
        match self.send(Method::GET, "/1.0", None, watch)? {
            Answer::Done(about) => Ok(about),
            Answer::Begun(_) | Answer::Absent => Err(failed("GET /1.0", "no such thing")),
        }
    }

    /// What lies at a path below `/1.0`; `None`: nothing.
    ///
    /// # Errors
    /// Where Incus does not answer.
    pub fn read(&self, below: &str, watch: &dyn Watch) -> Result<Option<Value>, DriverError> {
        match self.send(Method::GET, &self.path(below), None, watch)? {
            Answer::Done(value) => Ok(Some(value)),
            Answer::Begun(_) | Answer::Absent => Ok(None),
        }
    }

    /// Sends a request of JSON.
    ///
    /// # Errors
    /// Where Incus refuses or does not answer, or the watch calls off.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        watch: &dyn Watch,
    ) -> Result<Answer, DriverError> {
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let body = Full::from(bytes).map_err(io::Error::other).boxed();
        let doing = format!("{method} {path}");
        let request = request(method, path, "application/json", body, &doing)?;
        let (status, bytes) = self.exchange(request, &doing, watch, async |response| {
            let status = response.status();
            let body = response.into_body().collect().await;
            let body = body.map_err(io::Error::other)?;
            Ok((status, body.to_bytes()))
        })?;
        understand(&doing, status, &bytes)
    }

    /// Sends what `source` gives, to the path.
    ///
    /// # Errors
    /// Where the source fails, Incus refuses or does not answer, or the watch calls off.
    pub fn upload(
        &self,
        path: &str,
        mut source: impl Read + Send + 'static,
        watch: &dyn Watch,
    ) -> Result<Answer, DriverError> {
        let doing = format!("POST {path}");
        let (sender, mut receiver) = mpsc::channel(QUEUED_PARTS);
        let reader = std::thread::spawn(move || {
            loop {
                let mut part = vec![0; PART];
                let read = source.read(&mut part);
                let part = match read {
                    Ok(0) => return,
                    Ok(read) => {
                        part.truncate(read);
                        Ok(Frame::data(Bytes::from(part)))
                    }
                    Err(error) => Err(error),
                };
                // Nobody receives any more: the request has failed, which its sender tells.
                if sender.blocking_send(part).is_err() {
                    return;
                }
            }
        });
        let parts = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        let body = StreamBody::new(parts).boxed();
        let request = request(Method::POST, path, "application/octet-stream", body, &doing)?;
        let answered = self.exchange(request, &doing, watch, async |response| {
            let status = response.status();
            let body = response.into_body().collect().await;
            Ok((status, body.map_err(io::Error::other)?.to_bytes()))
        });
        reader
            .join()
            .map_err(|_| failed(&doing, "the reader panicked"))?;
        let (status, bytes) = answered?;
        understand(&doing, status, &bytes)
    }

    /// Writes what lies at a path into a file.
    ///
    /// # Errors
    /// Where there is nothing, the disk refuses, or the watch calls off.
    pub fn download(
        &self,
        path: &str,
        file: &mut File,
        watch: &dyn Watch,
    ) -> Result<(), DriverError> {
        let doing = format!("GET {path}");
        let body = Full::default().map_err(io::Error::other).boxed();
        let request = request(Method::GET, path, "application/json", body, &doing)?;
        let status = self.exchange(request, &doing, watch, async |response| {
            let status = response.status();
            let mut body = response.into_body();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(io::Error::other)?;
                if let Some(data) = frame.data_ref() {
                    file.write_all(data)?;
                }
            }
            Ok(status)
        })?;
        if status.is_success() {
            return Ok(());
        }
        Err(failed(&doing, status))
    }

    /// Waits for an operation and returns what it tells of itself; one that is called off is
    /// cancelled where Incus lets it be, and otherwise ends by itself.
    ///
    /// # Errors
    /// Where it failed, or the watch calls off.
    pub fn finish(
        &self,
        doing: &str,
        operation: &str,
        watch: &dyn Watch,
    ) -> Result<Value, DriverError> {
        let path = format!("{operation}?project={}", self.project);
        let wait = format!("{operation}/wait?timeout=1&project={}", self.project);
        loop {
            let mut answer = self.send(Method::GET, &wait, None, watch);
            match &answer {
                // Said of the wait, or else of the operation itself, which then tells.
                Err(DriverError::Hypervisor { said, .. }) if said == WAITED_IN_VAIN => {
                    answer = self.send(Method::GET, &path, None, watch);
                }
                Err(DriverError::CalledOff { .. }) => {
                    // Refused where it cannot be cancelled; the act is called off in either case.
                    self.send(Method::DELETE, &path, None, &Unwatched).ok();
                }
                _ => {}
            }
            let Answer::Done(told) = answer.map_err(|error| named(error, doing))? else {
                return Err(failed(doing, "its operation is forgotten"));
            };
            if let Some(percent) = told["metadata"]["progress"]["percent"].as_str()
                && let Ok(percent) = percent.parse::<u16>()
            {
                watch.progressed(percent.min(100) * 10);
            }
            // Codes of Incus: 200 is success, 400 and 401 are failure and cancellation.
            match told["status_code"].as_u64() {
                Some(200) => return Ok(told["metadata"].clone()),
                Some(400..) => {
                    let said = told["err"].as_str().unwrap_or("it gives no reason");
                    return Err(failed(doing, said));
                }
                _ => {}
            }
        }
    }

    /// Sends a request and lets `then` take the response, both within the watch.
    fn exchange<T>(
        &self,
        request: Request<Body>,
        doing: &str,
        watch: &dyn Watch,
        then: impl AsyncFnOnce(Response<Incoming>) -> io::Result<T>,
    ) -> Result<T, DriverError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(doing, error))?;
        runtime.block_on(watched(doing, watch, async {
            let stream =
                UnixStream::connect(&self.socket)
                    .await
                    .map_err(|error| DriverError::Missing {
                        what: format!("an Incus server at {} ({error})", self.socket.display()),
                        hint: "install incus and start it".into(),
                    })?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .map_err(|error| failed(doing, error))?;
            let connection = tokio::spawn(connection);
            let exchanged = async {
                then(
                    sender
                        .send_request(request)
                        .await
                        .map_err(io::Error::other)?,
                )
                .await
            };
            let outcome = exchanged.await.map_err(|error| failed(doing, error));
            connection.abort();
            outcome
        }))
    }
}

/// Runs a future until it ends or the watch calls off.
async fn watched<T>(
    doing: &str,
    watch: &dyn Watch,
    work: impl Future<Output = Result<T, DriverError>>,
) -> Result<T, DriverError> {
    let mut work = std::pin::pin!(work);
    loop {
        if let Ok(outcome) = tokio::time::timeout(LOOK_EVERY, &mut work).await {
            return outcome;
        }
        watch
            .checkpoint()
            .map_err(|why| DriverError::called_off(doing, why))?;
    }
}

fn request(
    method: Method,
    path: &str,
    content: &str,
    body: Body,
    doing: &str,
) -> Result<Request<Body>, DriverError> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("Host", "incus")
        .header("Content-Type", content)
        .body(body)
        .map_err(|error| failed(doing, error))
}

/// Every answer is an envelope of JSON that says what it is.
fn understand(doing: &str, status: StatusCode, bytes: &[u8]) -> Result<Answer, DriverError> {
    let envelope: Value = serde_json::from_slice(bytes)
        .map_err(|error| failed(doing, format!("{status}, {error}")))?;
    match envelope["type"].as_str() {
        Some("sync") => Ok(Answer::Done(envelope["metadata"].clone())),
        Some("async") => {
            let path = envelope["operation"].as_str();
            let path = path.ok_or_else(|| failed(doing, "it began no operation"))?;
            Ok(Answer::Begun(path.to_owned()))
        }
        _ if status == StatusCode::NOT_FOUND => Ok(Answer::Absent),
        _ => {
            let said = envelope["error"].as_str().unwrap_or("it gives no reason");
            Err(failed(doing, said))
        }
    }
}

/// The failure of waiting is the failure of what was waited for.
fn named(error: DriverError, doing: &str) -> DriverError {
    match error {
        DriverError::Hypervisor { said, .. } => failed(doing, said),
        other => other,
    }
}

fn failed(doing: &str, said: impl Display) -> DriverError {
    DriverError::Hypervisor {
        doing: doing.to_owned(),
        said: said.to_string(),
    }
}
