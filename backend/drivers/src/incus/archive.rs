//! Root folders as the archives that Incus takes and gives: `metadata.yaml`, and all below `rootfs`.

use crate::folder::failed;
use agent::driver::DriverError;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use tar::{Archive, Builder, EntryType, Header};

/// The stream of an archive that tar makes while it is read. GNU tar keeps what a root file system
/// has and few other writers do: hard links, holes, devices, capabilities of files.
pub struct Packed {
    tar: Child,
    out: ChildStdout,
    _metadata: tempfile::TempDir,
}

impl Packed {
    /// Packs a root folder.
    ///
    /// # Errors
    /// Where tar cannot be executed or the description not be written.
    pub fn of(root: &Path, metadata: &str) -> Result<Self, DriverError> {
        let folder = tempfile::tempdir().map_err(failed("make", &std::env::temp_dir()))?;
        let file = folder.path().join("metadata.yaml");
        fs::write(&file, metadata).map_err(failed("write", &file))?;
        let words = Self::words(root, folder.path());
        let missing = |_| DriverError::Missing {
            what: "tar".into(),
            hint: "install tar".into(),
        };
        let mut tar = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(missing)?;
        let out = tar.stdout.take().ok_or_else(|| DriverError::Hypervisor {
            doing: "execute tar".into(),
            said: "it has no output".into(),
        })?;
        Ok(Self {
            tar,
            out,
            _metadata: folder,
        })
    }

    /// The command that packs; a link's target is told from a name, so that only names move.
    fn words(root: &Path, metadata: &Path) -> Vec<String> {
        let shown = |path: &Path| path.display().to_string();
        [
            "tar",
            "--create",
            "--format=posix",
            "--numeric-owner",
            "--xattrs",
            "--sparse",
            "--transform=flags=rh;s,^\\.,rootfs,",
            "--directory",
            &shown(metadata),
            "metadata.yaml",
            "--directory",
            &shown(root),
            ".",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.out.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            let status = self.tar.wait()?;
            // 1: a file changed while it was read, which a running program may do to its files.
            if !matches!(status.code(), Some(0 | 1)) {
                return Err(io::Error::other(format!("tar ended with {status}")));
            }
        }
        Ok(read)
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        // Refused where it has ended; then there is only its status to be taken.
        self.tar.kill().ok();
        self.tar.wait().ok();
    }
}

/// Rewrites an image of Incus as a plain archive of its root, with what lies in its extended
/// headers.
///
/// # Errors
/// Where the image is torn or the disk refuses.
pub fn root_of_image(image: &File, to: &mut File) -> io::Result<()> {
    let mut archive = Archive::new(image);
    let mut builder = Builder::new(to);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(path) = below_rootfs(&path) else {
            continue;
        };
        // Names and sizes are written anew; the rest, as capabilities of files, is kept.
        let kept: Vec<(String, Vec<u8>)> = match entry.pax_extensions()? {
            None => Vec::new(),
            Some(extensions) => extensions
                .filter_map(Result::ok)
                .filter_map(|extension| {
                    let key = extension.key().ok()?;
                    let ours = matches!(key, "path" | "linkpath" | "size");
                    (!ours).then(|| (key.to_owned(), extension.value_bytes().to_vec()))
                })
                .collect(),
        };
        if !kept.is_empty() {
            let kept = kept
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_slice()));
            builder.append_pax_extensions(kept)?;
        }
        let mut header: Header = entry.header().clone();
        match header.entry_type() {
            EntryType::Symlink => {
                let target = entry.link_name()?.unwrap_or_default().into_owned();
                builder.append_link(&mut header, &path, target)?;
            }
            EntryType::Link => {
                let target = entry.link_name()?.unwrap_or_default().into_owned();
                let target = below_rootfs(&target).unwrap_or(target);
                builder.append_link(&mut header, &path, target)?;
            }
            _ => builder.append_data(&mut header, &path, &mut entry)?,
        }
    }
    builder.into_inner()?.flush()
}

/// The path within the root; `None`: it is not of the root.
fn below_rootfs(path: &Path) -> Option<PathBuf> {
    let below = path.strip_prefix("rootfs").ok()?;
    if below.as_os_str().is_empty() {
        return Some(PathBuf::from("./"));
    }
    Some(below.to_owned())
}
