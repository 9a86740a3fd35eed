//! Disks saved as images, and disks made of such images.

use super::outcome::{done, failed, failure};
use super::{Disks, Own, index_of};
use crate::hands::refused;
use agent::build::BuildStep;
use agent::secret::Keys;
use agent::shared::shared;
use agent::step::{Failure, Step};
use agent::watch::Watch;
use image::build::{Workshop, make_own};
use image::error::Error;
use image::luks;
use image::manifest::{Compression, Content, Manifest};
use image::resize::{bytes_seen, resize};
use image::saved::pack_root;
use image::store::Image;
use image::view::Shape;
use image::whole::{clean, pack, unpack};
use image::wipe::{Pattern, wipe_and_remove};
use model::blueprint::{Blueprint, BootLoader, EncryptedPart};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

impl Disks {
    /// Makes an image of a disk or a root that was saved, and keeps it; its id. Repeated, it is the same one.
    pub(super) fn store(&self, step: &Step, watch: &dyn Watch) -> Result<String, Failure> {
        let Step::Store {
            is_system,
            is_root,
            file,
            name,
            arch,
            guest,
            ..
        } = step
        else {
            return Err(refused(&format!("{step} makes no image")));
        };
        let key = self.signing_key.as_ref();
        let key = key.ok_or_else(|| refused("this node has no key to sign images with"))?;
        let about = fs::metadata(file).map_err(failed("measure", file))?;
        let version = saved_at(file, about.mtime())?;
        let stream = file.with_extension("stream");
        let compression = Compression::Zstd;
        if *is_system && !is_root {
            done(clean(file, watch))?;
        }
        let packed = match is_root {
            true => pack_root(file, &stream, compression, watch),
            false => pack(file, &stream, compression, watch),
        };
        let bounds = packed.map_err(failure)?;
        let (content, disk_bytes) = match is_root {
            true => (Content::System, 0),
            false => (Content::Disk, about.len()),
        };
        let manifest = Manifest {
            name: name.clone(),
            version,
            arch: *arch,
            guest: *guest,
            content,
            applications: Vec::new(),
            compression,
            stream: String::new(),
            stream_bytes: 0,
            bounds,
            disk_bytes,
            templates: Vec::new(),
            parameters: [].into(),
            cloud_init: false,
        };
        let image = self.store.add(manifest, &stream, key, watch);
        Ok(image.map_err(failure)?.id)
    }

    /// The image of a disk, where that is a whole disk by itself.
    pub(super) fn whole_image(
        &self,
        blueprint: &Blueprint,
        index: usize,
        watch: &dyn Watch,
    ) -> Result<Option<Image>, Failure> {
        let Some(id) = &blueprint.disks[index].image else {
            return Ok(None);
        };
        self.fetch(id, watch)?;
        let image = self.store.image(id).map_err(failure)?;
        if image.manifest.content != Content::Disk {
            return Ok(None);
        }
        let customisation = &blueprint.customisation;
        let why = if index > 0 {
            None
        } else if blueprint.boot == BootLoader::Direct {
            Some("it boots by its own loader alone\nhint: ask for extlinux or grub")
        } else if blueprint.disks.iter().any(|d| d.configuration().is_some()) {
            Some("it does not mount a configuration of its own\nhint: encrypt its seed as a whole")
        } else if !(customisation.add.is_empty()
            && customisation.remove.is_empty()
            && customisation.scripts.is_empty())
        {
            Some("nothing can be added to it, removed from it or run in it before it boots")
        } else {
            None
        };
        match why {
            None => Ok(Some(image)),
            Some(why) => Err(refused(&format!("{id} is a whole disk: {why}"))),
        }
    }

    /// Unpacks a whole disk.
    pub(super) fn unpack_whole(
        &self,
        image: &Image,
        at: &Path,
        watch: &dyn Watch,
    ) -> Result<(), Failure> {
        let stream = self.store.stream(image).map_err(failure)?;
        done(unpack(stream, &image.manifest, at, watch))
    }

    /// Makes a VM's disk of an image of a whole disk: its size, and what is its VM's own.
    pub(super) fn build_whole(
        &self,
        image: &Image,
        own: Own<'_>,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<(), Failure> {
        let Own {
            blueprint,
            disk,
            at,
        } = own;
        let index = index_of(blueprint, disk)?;
        let disk = &blueprint.disks[index];
        let whole = disk.encryption.filter(|e| e.part == EncryptedPart::Whole);
        let clear = at.with_extension("clear");
        let made = if whole.is_some() { &clear } else { at };
        self.unpack_whole(image, made, watch)?;
        if bytes_seen(made, Shape::Raw).map_err(failure)? != disk.size_mib << 20 {
            done(resize(made, Shape::Raw, disk.size_mib, watch))?;
        }
        // What is the VM's own lies on the disk from which it boots; where cloud-init is told it, that
        // stays as it was published.
        let told = image.manifest.cloud_init && blueprint.has_seed();
        if index == 0 && !told {
            let steps = shared(blueprint, index);
            let steps = without_mounts(steps.map_err(|error| refused(&error.to_string()))?.own);
            let workshop = Workshop {
                store: &self.store,
                keys,
                watch,
            };
            done(make_own(&steps, &[&image.id], made, workshop))?;
        }
        let Some(key) = whole.map(|encryption| encryption.key) else {
            return Ok(());
        };
        let passphrase = keys.passphrase(key);
        let passphrase = passphrase.ok_or(Error::NoKey(key)).map_err(failure)?;
        done(luks::encrypt(&clear, at, passphrase, watch))?;
        done(wipe_and_remove(&clear, Pattern::Zero, watch))
    }
}

/// The second at which a disk was saved, which later images of that name exceed; noted beside it
/// before it is changed, so that doing that again makes the same image.
fn saved_at(file: &Path, seconds: i64) -> Result<String, Failure> {
    let note = file.with_extension("saved");
    if let Ok(noted) = fs::read_to_string(&note) {
        return Ok(noted);
    }
    let part = note.with_extension("part");
    let written = fs::write(&part, seconds.to_string()).and_then(|()| fs::rename(&part, &note));
    written.map_err(failed("write", &note))?;
    Ok(seconds.to_string())
}

/// What a whole disk mounts where is written in it already, by the labels that it has.
pub(super) fn without_mounts(mut steps: Vec<BuildStep>) -> Vec<BuildStep> {
    for step in &mut steps {
        if let BuildStep::Modify { edits, .. } = step {
            edits.retain(|edit| edit.path() != Some("/etc/fstab"));
        }
    }
    steps
}
