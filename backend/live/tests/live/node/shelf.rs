//! The images that nodes take: one for each hypervisor, whose guest just sleeps.

use super::Hypervisor;
use agent::watch::Unwatched;
use ed25519_dalek::SigningKey;
use image::archive::Bounds;
use image::manifest::{Compression, Content, Manifest, hex};
use image::store::Store;
use model::hypervisor::{Arch, Guest};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A store with one image.
pub(super) struct Shelf {
    folder: tempfile::TempDir,
    image: String,
}

impl Shelf {
    /// That of a hypervisor, kept by the nodes that are there, so that it goes with the last of them.
    pub(super) fn of(hypervisor: Hypervisor) -> Arc<Self> {
        static SHELVES: [Mutex<Weak<Shelf>>; 4] = [const { Mutex::new(Weak::new()) }; 4];
        let shelf = &SHELVES[hypervisor as usize];
        let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let found = shelf.upgrade();
        let found = found.unwrap_or_else(|| Arc::new(Self::new(hypervisor)));
        *shelf = Arc::downgrade(&found);
        found
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The image's id.
    pub(super) fn image(&self) -> &str {
        &self.image
    }

    /// Who has signed it, in hex.
    pub(super) fn signer() -> String {
        hex(signing_key().verifying_key().as_bytes())
    }

    fn new(hypervisor: Hypervisor) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the image");
        let system = folder.path().join("guest");
        hypervisor.write_system(&system);
        let stream = folder.path().join("made");
        let mut tar = tar::Builder::new(File::create(&stream).expect("a file"));
        tar.follow_symlinks(false);
        tar.append_dir_all(".", &system).expect("a layer");
        tar.finish().expect("a layer");
        let manifest = Manifest {
            name: "sleeper".to_owned(),
            version: "1".to_owned(),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            content: Content::System,
            applications: Vec::new(),
            compression: Compression::None,
            stream: String::new(),
            stream_bytes: 0,
            bounds: Bounds {
                entries: 20,
                bytes: fs::metadata(&stream).expect("a layer").len(),
            },
            disk_bytes: 0,
            templates: Vec::new(),
            parameters: BTreeMap::new(),
            cloud_init: false,
        };
        let store = Store::open(folder.path(), vec![signing_key().verifying_key()], 1 << 30);
        let store = store.expect("a store");
        let image = store.add(manifest, &stream, &signing_key(), &Unwatched);
        let image = image.expect("an image").id;
        Self { folder, image }
    }
}

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}
