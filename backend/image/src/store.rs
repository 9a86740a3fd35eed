//! The node's images: fetched by digest, checked, kept within a bound, the least used dropped first.
//!
//! A folder with one file a manifest (`ID.toml`), its signature (`ID.sig`) and one a stream
//! (`DIGEST.stream`). A file is written as `.part` and renamed once its digest is right, so that what
//! has its name is whole whatever was killed.

use crate::error::{At, Error};
use crate::fetch;
use crate::manifest::{Compression, Content, MAX_MANIFEST_BYTES, Manifest, Signed, hex, is_digest};
use crate::replicate::{partial, replicate};
use agent::watch::Watch;
use ed25519_dalek::{SigningKey, VerifyingKey};
use model::hypervisor::{Arch, Guest};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Memory that a hostile XZ stream may make its decoder take: that of preset 9.
const XZ_MEMORY_BYTES: u64 = 128 << 20;
/// The same for Zstandard, as a power of two: what `zstd --long` needs.
const ZSTD_WINDOW_LOG: u32 = 27;

/// The images of one node.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    trusted: Vec<VerifyingKey>,
    /// Whose images are kept: they are nowhere else.
    own: Option<VerifyingKey>,
    most_bytes: u64,
}

/// An image that is here, its signature checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// SHA-256 of its manifest, in hex.
    pub id: String,
    /// What it is.
    pub manifest: Manifest,
}

/// What a configuration asks of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// Instruction set.
    pub arch: Arch,
    /// Operating system.
    pub guest: Guest,
    /// Applications that it should have.
    pub applications: &'a [String],
}

impl Store {
    /// Opens a folder as a store that trusts these keys and keeps at most so many bytes of streams.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn open(folder: &Path, trusted: Vec<VerifyingKey>, most_bytes: u64) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).at(folder)?;
        let folder = folder.to_owned();
        Ok(Self {
            folder,
            trusted,
            own: None,
            most_bytes,
        })
    }

    /// Trusts one more signer, whose images are never dropped to make room.
    #[must_use]
    pub fn keeping(mut self, own: VerifyingKey) -> Self {
        self.trusted.push(own);
        self.own = Some(own);
        self
    }

    /// An image that is here.
    ///
    /// # Errors
    /// Where it is not, or is not what its id and signature say.
    pub fn image(&self, id: &str) -> Result<Image, Error> {
        let missing = || Error::NoImage(id.to_owned());
        if !is_digest(id) {
            return Err(missing());
        }
        let text = |ending| {
            let path = self.folder.join(format!("{id}.{ending}"));
            read_small(&path).map_err(|_| missing())
        };
        let signed = Signed {
            text: text("toml")?,
            signature: text("sig")?,
        };
        let manifest = signed.open(id, &self.trusted)?;
        if !is_digest(&manifest.stream) || !self.stream_path(&manifest).is_file() {
            return Err(missing());
        }
        Ok(Image {
            id: id.to_owned(),
            manifest,
        })
    }

    /// Brings an image here from a server that holds a store's folder under this address, unless it
    /// is here; a broken transfer goes on where it broke.
    ///
    /// # Errors
    /// Where the server does not have it, or what comes is not what its digests and signature say.
    pub fn fetch(&self, server: &str, id: &str, watch: &dyn Watch) -> Result<Image, Error> {
        let server = server.trim_end_matches('/');
        let way = Way {
            small: &|name| fetch::small(&format!("{server}/{name}"), MAX_MANIFEST_BYTES),
            large: &|name, part, bytes| {
                fetch::large(&format!("{server}/{name}"), part, bytes, watch)
            },
        };
        self.bring(id, &way, watch)
    }

    /// Brings an image here from the folder of another store, unless it is here.
    ///
    /// # Errors
    /// As [`Store::fetch`].
    pub fn take(&self, folder: &Path, id: &str, watch: &dyn Watch) -> Result<Image, Error> {
        let small = |name: &str| {
            let path = folder.join(name);
            read_small(&path).at(&path)
        };
        let way = Way {
            small: &small,
            large: &|name, part, _| replicate(&folder.join(name), part, watch),
        };
        self.bring(id, &way, watch)
    }

    fn bring(&self, id: &str, way: &Way<'_>, watch: &dyn Watch) -> Result<Image, Error> {
        if let Ok(image) = self.image(id) {
            return Ok(image);
        }
        if !is_digest(id) {
            return Err(Error::NoImage(id.to_owned()));
        }
        let signed = Signed {
            text: (way.small)(&format!("{id}.toml"))?,
            signature: (way.small)(&format!("{id}.sig"))?,
        };
        let manifest = signed.open(id, &self.trusted)?;
        if !is_digest(&manifest.stream) {
            return Err(Error::refused(
                format!("image {id}"),
                "its stream has no digest",
            ));
        }
        let path = self.stream_path(&manifest);
        self.make_room(manifest.stream_bytes, id)?;
        if !path.is_file() {
            let part = partial(&path);
            let name = format!("{}.stream", manifest.stream);
            (way.large)(&name, &part, manifest.stream_bytes)?;
            if file_digest(&part, watch)? != manifest.stream {
                std::fs::remove_file(&part).at(&part)?;
                return Err(Error::refused(name, "its digest is not the manifest's"));
            }
            std::fs::rename(&part, &path).at(&path)?;
        }
        self.write_manifest(&signed)
    }

    /// Takes a stream that was made here, signs its manifest and keeps both. The manifest's digest
    /// and size of the stream are filled in.
    ///
    /// # Errors
    /// Where the stream cannot be read or kept.
    pub fn add(
        &self,
        mut manifest: Manifest,
        stream: &Path,
        key: &SigningKey,
        watch: &dyn Watch,
    ) -> Result<Image, Error> {
        manifest.stream = file_digest(stream, watch)?;
        manifest.stream_bytes = stream.metadata().at(stream)?.len();
        let signed = Signed::new(&manifest, key);
        let path = self.stream_path(&manifest);
        if !path.is_file() {
            self.make_room(manifest.stream_bytes, &signed.id())?;
            let part = partial(&path);
            replicate(stream, &part, watch)?;
            std::fs::rename(&part, &path).at(&path)?;
        }
        self.write_manifest(&signed)
    }

    /// All images that are here and good.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn images(&self) -> Result<Vec<Image>, Error> {
        let mut images = Vec::new();
        for entry in self.folder.read_dir().at(&self.folder)? {
            let name = entry.at(&self.folder)?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".toml"));
            images.extend(id.and_then(|id| self.image(id).ok()));
        }
        images.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(images)
    }

    /// The unpacked bytes of an image's stream.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn stream(&self, image: &Image) -> Result<Box<dyn Read>, Error> {
        let path = self.stream_path(&image.manifest);
        let file = File::open(&path).at(&path)?;
        // Told to the cache: the least lately used goes first.
        file.set_modified(SystemTime::now()).at(&path)?;
        unpacked(file, image.manifest.compression).at(&path)
    }

    /// Drops the least lately used streams until another of this size fits.
    fn make_room(&self, bytes: u64, id: &str) -> Result<(), Error> {
        if bytes > self.most_bytes {
            let why = format!("{bytes} bytes, the store keeps {} at most", self.most_bytes);
            return Err(Error::refused(format!("image {id}"), why));
        }
        let mut kept = Vec::new();
        for entry in self.folder.read_dir().at(&self.folder)? {
            let path = entry.at(&self.folder)?.path();
            let about = path.metadata().at(&path)?;
            if path.extension().is_some_and(|ending| ending == "stream") {
                kept.push((about.modified().at(&path)?, about.len(), path));
            }
        }
        kept.sort();
        let mut total: u64 = kept.iter().map(|(_, len, _)| len).sum();
        if total.saturating_add(bytes) <= self.most_bytes {
            return Ok(());
        }
        let own = self.own_streams()?;
        for (_, len, path) in kept.into_iter().filter(|(_, _, path)| !own.contains(path)) {
            if total.saturating_add(bytes) <= self.most_bytes {
                break;
            }
            std::fs::remove_file(&path).at(&path)?;
            total -= len;
        }
        if total.saturating_add(bytes) <= self.most_bytes {
            return Ok(());
        }
        let most = self.most_bytes;
        let why = format!("{bytes} bytes beside {total} of images saved here, of {most} at most");
        Err(Error::refused(format!("image {id}"), why))
    }

    /// The streams of the images that this store's own key has signed.
    fn own_streams(&self) -> Result<BTreeSet<PathBuf>, Error> {
        let mut streams = BTreeSet::new();
        let own: Vec<VerifyingKey> = self.own.into_iter().collect();
        for image in self.images()? {
            let text = |ending| {
                let path = self.folder.join(format!("{}.{ending}", image.id));
                read_small(&path).at(&path)
            };
            let signed = Signed {
                text: text("toml")?,
                signature: text("sig")?,
            };
            if signed.open(&image.id, &own).is_ok() {
                streams.insert(self.stream_path(&image.manifest));
            }
        }
        Ok(streams)
    }

    fn stream_path(&self, manifest: &Manifest) -> PathBuf {
        self.folder.join(format!("{}.stream", manifest.stream))
    }

    fn write_manifest(&self, signed: &Signed) -> Result<Image, Error> {
        let id = signed.id();
        for (ending, text) in [("sig", &signed.signature), ("toml", &signed.text)] {
            let path = self.folder.join(format!("{id}.{ending}"));
            let part = partial(&path);
            let mut file = crate::replicate::create(&part)?;
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .at(&part)?;
            std::fs::rename(&part, &path).at(&path)?;
        }
        self.image(&id)
    }
}

/// How the files of another store come here, by their names.
struct Way<'a> {
    /// A text that is small.
    small: &'a dyn Fn(&str) -> Result<String, Error>,
    /// A stream, to a file, of so many bytes.
    large: &'a dyn Fn(&str, &Path, u64) -> Result<(), Error>,
}

/// The image that fits best: of the name, instruction set and system asked for, the one with most of
/// the applications, then with fewest others, then of the highest version.
pub fn best<'i>(images: &'i [Image], wanted: &Wanted<'_>) -> Option<&'i Image> {
    let fits = |image: &&Image| {
        let manifest = &image.manifest;
        manifest.content != Content::Application
            && (manifest.name.as_str(), manifest.arch, manifest.guest)
                == (wanted.name, wanted.arch, wanted.guest)
    };
    images.iter().filter(fits).max_by(|one, other| {
        let rank = |image: &Image| {
            let has = &image.manifest.applications;
            let asked = has
                .iter()
                .filter(|name| wanted.applications.contains(name))
                .count();
            (asked, usize::MAX - (has.len() - asked))
        };
        let versions = || (version(one), version(other));
        rank(one)
            .cmp(&rank(other))
            .then_with(|| versions().0.cmp(&versions().1))
            .then_with(|| other.id.cmp(&one.id))
    })
}

/// Numbers of a version by value, all else by letter: 1.10 comes after 1.9.
fn version(image: &Image) -> Vec<(u64, &str)> {
    let parts = image.manifest.version.split(['.', '-', '+', '~']);
    parts
        .map(|part| (part.parse().unwrap_or(0), part))
        .collect()
}

/// The bytes of a compressed file; a hostile one takes no more memory than is said above.
pub(crate) fn unpacked(file: File, compression: Compression) -> std::io::Result<Box<dyn Read>> {
    let file = BufReader::with_capacity(1 << 20, file);
    Ok(match compression {
        Compression::None => Box::new(file),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(file)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_BYTES, 0)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(file, stream))
        }
    })
}

fn read_small(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_MANIFEST_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// SHA-256 of a file, in hex.
///
/// # Errors
/// Where it cannot be read, or is called off.
pub fn file_digest(path: &Path, watch: &dyn Watch) -> Result<String, Error> {
    let mut file = File::open(path).at(path)?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        watch.checkpoint()?;
        match file.read(&mut buffer).at(path)? {
            0 => return Ok(hex(&sha.finalize())),
            many => sha.update(&buffer[..many]),
        }
    }
}
