//! The requests to Incus as data: shown to the admin, or sent.

use super::api::{Answer, Api};
use super::archive::{Packed, root_of_image};
use crate::folder::failed;
use agent::driver::{DriverError, NativeCall};
use agent::watch::Watch;
use hyper::Method;
use model::hypervisor::Arch;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Stands for the fingerprint of the image that a step before has made.
pub const FINGERPRINT: &str = "<fingerprint>";

/// The property of an image that says for which instance's sake it is there.
pub const IMAGE_OF: &str = "gridwright.instance";

/// One step of an act.
#[derive(Clone, Debug)]
pub enum Step {
    /// A request of JSON.
    Ask(Ask),
    /// Sends a root folder as an image.
    Upload {
        root: PathBuf,
        arch: Arch,
        image_of: String,
    },
    /// Writes the root of an image as an archive; it appears whole or not at all.
    Download { file: PathBuf },
    /// Removes a folder with all that is in it.
    Sweep { folder: PathBuf },
}

/// A request of JSON.
#[derive(Clone, Debug)]
pub struct Ask {
    method: Method,
    path: String,
    body: Option<Value>,
    shrugs_at: &'static [&'static str],
}

impl Step {
    /// A request; `path` is whole.
    pub fn ask(method: Method, path: String, body: Option<Value>) -> Self {
        Self::Ask(Ask {
            method,
            path,
            body,
            shrugs_at: &[],
        })
    }

    /// A request that may be refused with any of these words; any refusal has the empty one.
    pub fn try_to(
        method: Method,
        path: String,
        body: Value,
        words: &'static [&'static str],
    ) -> Self {
        Self::Ask(Ask {
            method,
            path,
            body: Some(body),
            shrugs_at: words,
        })
    }

    /// The call that this step makes, with the fingerprint where it is known.
    pub fn call(&self, api: &Api, fingerprint: &str) -> NativeCall {
        let interface = match self {
            Self::Sweep { .. } => "file",
            _ => "http",
        };
        let call = match self {
            Self::Sweep { folder } => format!("remove {}", folder.display()),
            Self::Ask(ask) => {
                let body = ask.body.as_ref().map(|body| format!(" {body}"));
                format!("{} {}{}", ask.method, ask.path, body.unwrap_or_default())
            }
            Self::Upload { root, .. } => {
                format!(
                    "POST {} (an archive of {})",
                    api.path("images"),
                    root.display()
                )
            }
            Self::Download { file } => {
                format!("GET {} (its root into {})", export(api), file.display())
            }
        };
        NativeCall {
            interface: interface.to_owned(),
            call: call.replace(FINGERPRINT, fingerprint),
        }
    }

    /// Makes it; tells the fingerprint of the image that it made, if it made one.
    pub fn carry_out(
        &self,
        api: &Api,
        fingerprint: &str,
        watch: &dyn Watch,
    ) -> Result<Option<String>, DriverError> {
        let answer = match self {
            Self::Ask(ask) => ask.send(api, fingerprint, watch)?,
            Self::Upload {
                root,
                arch,
                image_of,
            } => {
                let packed = Packed::of(root, &metadata(*arch, image_of))?;
                let path = api.path("images");
                let answer = api.upload(&path, packed, watch)?;
                finish(api, &format!("POST {path}"), answer, watch)?
            }
            Self::Download { file } => {
                let path = export(api).replace(FINGERPRINT, fingerprint);
                download(api, &path, file, watch)?;
                Value::Null
            }
            Self::Sweep { folder } => match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(failed("remove", folder)(error));
                }
                _ => Value::Null,
            },
        };
        Ok(answer["fingerprint"].as_str().map(str::to_owned))
    }
}

impl Ask {
    fn send(&self, api: &Api, fingerprint: &str, watch: &dyn Watch) -> Result<Value, DriverError> {
        let path = self.path.replace(FINGERPRINT, fingerprint);
        let body = match &self.body {
            Some(body) => Some(known(body, fingerprint)?),
            None => None,
        };
        let doing = format!("{} {path}", self.method);
        let sent = api
            .send(self.method.clone(), &path, body.as_ref(), watch)
            .and_then(|answer| finish(api, &doing, answer, watch));
        match (sent, self.shrugs_at) {
            (Err(DriverError::Hypervisor { said, .. }), words)
                if words.iter().any(|word| said.contains(word)) =>
            {
                Ok(Value::Null)
            }
            (sent, _) => sent,
        }
    }
}

/// A body with the fingerprint in its place.
fn known(body: &Value, fingerprint: &str) -> Result<Value, DriverError> {
    let text = body.to_string().replace(FINGERPRINT, fingerprint);
    serde_json::from_str(&text).map_err(|error| DriverError::Hypervisor {
        doing: "write a request".into(),
        said: error.to_string(),
    })
}

/// What an answer comes to. Deleting what is not there is done; nothing else may be absent.
fn finish(api: &Api, doing: &str, answer: Answer, watch: &dyn Watch) -> Result<Value, DriverError> {
    match answer {
        Answer::Done(value) => Ok(value),
        Answer::Begun(operation) => api.finish(doing, &operation, watch),
        Answer::Absent if doing.starts_with("DELETE ") => Ok(Value::Null),
        Answer::Absent => Err(DriverError::Hypervisor {
            doing: doing.to_owned(),
            said: "there is no such thing".into(),
        }),
    }
}

fn export(api: &Api) -> String {
    api.path(&format!("images/{FINGERPRINT}/export"))
}

fn download(api: &Api, path: &str, file: &Path, watch: &dyn Watch) -> Result<(), DriverError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut image = tempfile::tempfile_in(folder).map_err(failed("make a file in", folder))?;
    api.download(path, &mut image, watch)?;
    let root = tempfile::NamedTempFile::new_in(folder).map_err(failed("make a file in", folder))?;
    std::io::Seek::rewind(&mut image).map_err(failed("read an image in", folder))?;
    root_of_image(&image, root.as_file()).map_err(failed("write", file))?;
    root.as_file().sync_all().map_err(failed("write", file))?;
    root.persist(file)
        .map_err(|error| failed("write", file)(error.error))?;
    let folder = File::open(folder).map_err(failed("open", folder))?;
    folder.sync_all().map_err(failed("write", file))
}

/// What an image says of itself. Without properties, Incus 6.0 would fall over it.
fn metadata(arch: Arch, image_of: &str) -> String {
    let metadata = json!({
        "architecture": arch,
        "creation_date": 1,
        "properties": {IMAGE_OF: image_of},
    });
    metadata.to_string() // JSON is YAML
}

/// Whether a folder is there to be sent.
pub fn check_root(root: &Path) -> Result<(), DriverError> {
    match fs::metadata(root) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        _ => Err(DriverError::Missing {
            what: root.display().to_string(),
            hint: "build the container's root folder first".into(),
        }),
    }
}
