//! Carries out the steps that build a disk, or the root folder of a container.
//!
//! All is made in a folder beside the target, which gets its name once it is whole: a build
//! that was killed is begun again and nothing of it was ever taken for a disk.

use crate::archive::unpack;
use crate::boot::{self, Kernel};
use crate::customise::customise_in_place;
use crate::error::{At, Error};
use crate::folder::write_root;
use crate::format::{Filling, check, format};
use crate::luks;
use crate::manifest::{Content, Manifest, Template};
use crate::package;
use crate::replicate::{create, partial, put_in_place, replicate_into};
use crate::sandbox::hand_over;
use crate::script;
use crate::store::Store;
use crate::tool::Tool;
use crate::tree::Tree;
use crate::wipe::{Pattern, wipe_and_remove};
use crate::work::Work;
use agent::build::BuildStep;
use agent::edit::Edit;
use agent::layout::{Layout, SECTOR_BYTES};
use agent::secret::Keys;
use agent::watch::Watch;
use model::blueprint::{BootLoader, PartitionTable};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a build draws on.
#[derive(Clone, Copy)]
pub struct Workshop<'a> {
    /// Where the images are; those that the steps name must have been fetched.
    pub store: &'a Store,
    /// The keys that came with the order.
    pub keys: &'a Keys,
    /// Who follows.
    pub watch: &'a dyn Watch,
}

/// What a build made beside the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// The guest's kernel, where the hypervisor is to load it.
    pub kernel: Option<Kernel>,
}

/// Builds a disk by steps as [`agent::build::plan`] gives them; a file of the target's name is
/// replaced.
///
/// # Errors
/// Where a step fails; the target is then as it was.
pub fn build_disk(
    steps: &[BuildStep],
    target: &Path,
    workshop: Workshop<'_>,
) -> Result<Built, Error> {
    let work = Work::beside(target)?;
    let bench = Bench::after(steps, work.path(), target, workshop)?;
    crate::customise::take_back(&bench.disk)?;
    put_in_place(&bench.disk, target, workshop.watch)?;
    Ok(bench.built)
}

/// Makes a VM's own disk of one that was built already, by the steps that change files alone, as
/// [`agent::shared::shared`] gives them. `images`: those of which the disk was built.
///
/// # Errors
/// Where a change cannot be made; the disk may then hold some of them.
pub fn make_own(
    steps: &[BuildStep],
    images: &[&String],
    disk: &Path,
    workshop: Workshop<'_>,
) -> Result<(), Error> {
    let (templates, mut parameters) = templates(images.iter().copied(), workshop.store)?;
    let mut all = Vec::new();
    for step in steps {
        match step {
            BuildStep::Modify {
                edits,
                parameters: set,
            } => {
                all.extend(filled(&templates, &mut parameters, set)?);
                all.extend(edits.iter().cloned());
            }
            BuildStep::Network { edits } => all.extend(edits.iter().cloned()),
            _ => return Err(Error::refused("the plan", "a step that changes no files")),
        }
    }
    match all.is_empty() {
        true => Ok(()),
        false => customise_in_place(disk, &all, workshop.watch),
    }
}

/// The templates of images, and the defaults of all that they are filled with.
pub(crate) fn templates<'i>(
    images: impl IntoIterator<Item = &'i String>,
    store: &Store,
) -> Result<(Vec<Template>, BTreeMap<String, String>), Error> {
    let (mut templates, mut parameters) = (Vec::new(), BTreeMap::new());
    for id in images {
        let manifest = store.image(id)?.manifest;
        templates.extend(manifest.templates);
        parameters.extend(manifest.parameters);
    }
    Ok((templates, parameters))
}

/// The edits that fill templates with the values that were set and the defaults of all others.
pub(crate) fn filled(
    templates: &[Template],
    parameters: &mut BTreeMap<String, String>,
    set: &BTreeMap<String, String>,
) -> Result<Vec<Edit>, Error> {
    if let Some(name) = set.keys().find(|name| !parameters.contains_key(*name)) {
        let known: Vec<&str> = parameters.keys().map(String::as_str).collect();
        let why = format!(
            "no image of it takes that parameter\nhint: they take {}",
            known.join(", ")
        );
        return Err(Error::refused(name, why));
    }
    parameters.extend(set.clone());
    let edits = templates.iter().map(|template| {
        let text = template.fill(parameters)?;
        Ok(Edit::file(&template.path, text, template.mode))
    });
    edits.collect()
}

/// Puts the files of an image over those of a tree; what the image says of itself.
pub(crate) fn put_over(
    id: &str,
    tree: &mut Tree,
    workshop: Workshop<'_>,
) -> Result<Manifest, Error> {
    let image = workshop.store.image(id)?;
    let manifest = &image.manifest;
    if manifest.content == Content::Disk {
        let why = "it is a whole disk, not files";
        return Err(Error::refused(&manifest.name, why));
    }
    let stream = workshop.store.stream(&image)?;
    let (name, bounds) = (&manifest.name, manifest.bounds);
    unpack(stream, name, bounds, tree, workshop.watch)?;
    Ok(image.manifest)
}

/// Builds the root folder of a container by steps as [`agent::build::plan`] gives them, with the
/// owners that the image tells; a folder of the target's name is replaced.
///
/// # Errors
/// Where a step fails; the target is then as it was.
pub fn build_root(steps: &[BuildStep], target: &Path, workshop: Workshop<'_>) -> Result<(), Error> {
    let work = Work::beside(target)?;
    let bench = Bench::after(steps, work.path(), target, workshop)?;
    write_root(&bench.tree, target)
}

/// A build on its way.
struct Bench<'a> {
    workshop: Workshop<'a>,
    work: PathBuf,
    target: PathBuf,
    /// The disk under its temporary name.
    disk: PathBuf,
    layout: Option<Layout>,
    tree: Tree,
    templates: Vec<Template>,
    parameters: BTreeMap<String, String>,
    loader: BootLoader,
    /// Files of the partitions, by index.
    parts: BTreeMap<usize, PathBuf>,
    built: Built,
}

impl<'a> Bench<'a> {
    /// A bench after these steps.
    fn after(
        steps: &[BuildStep],
        work: &Path,
        target: &Path,
        workshop: Workshop<'a>,
    ) -> Result<Self, Error> {
        let mut bench = Self::new(work, target, workshop)?;
        for (done, step) in steps.iter().enumerate() {
            workshop.watch.checkpoint()?;
            bench.carry_out(step)?;
            workshop
                .watch
                .progressed(((done + 1) * 1_000 / steps.len()) as u16);
        }
        Ok(bench)
    }

    fn new(work: &Path, target: &Path, workshop: Workshop<'a>) -> Result<Self, Error> {
        let spool = work.join("spool");
        std::fs::create_dir(&spool).at(&spool)?;
        hand_over(work)?;
        Ok(Self {
            workshop,
            work: work.to_owned(),
            target: target.to_owned(),
            disk: partial(target),
            layout: None,
            tree: Tree::new(&spool),
            templates: Vec::new(),
            parameters: BTreeMap::new(),
            loader: BootLoader::Direct,
            parts: BTreeMap::new(),
            built: Built::default(),
        })
    }

    fn carry_out(&mut self, step: &BuildStep) -> Result<(), Error> {
        match step {
            BuildStep::Partition { layout } => self.partition(layout),
            BuildStep::Unpack { image } | BuildStep::Add { image } => self.unpack(image),
            BuildStep::Remove { components } => package::remove(&mut self.tree, components),
            BuildStep::Modify { edits, parameters } => self.modify(edits, parameters),
            BuildStep::Network { edits } => self.tree.edit(edits),
            BuildStep::Boot {
                loader,
                command_line,
            } => self.boot(*loader, command_line),
            BuildStep::Format { partition } => self.format(*partition),
            BuildStep::Install { loader } => self.install(*loader),
            BuildStep::Replicate => self.replicate(),
            BuildStep::Verify => self.verify(),
            BuildStep::Encrypt { key } => {
                let passphrase = self.workshop.keys.passphrase(*key);
                let passphrase = passphrase.ok_or(Error::NoKey(*key))?;
                let (clear, watch) = (self.work.join("clear"), self.workshop.watch);
                std::fs::rename(&self.disk, &clear).at(&self.disk)?;
                luks::encrypt(&clear, &self.disk, passphrase, watch)?;
                // What was made in the clear is not left to whoever gets the space.
                let made = self.parts.values().chain([&clear]);
                made.cloned()
                    .try_for_each(|file| wipe_and_remove(&file, Pattern::Zero, watch))
            }
            BuildStep::Script { script } => {
                script::run(&mut self.tree, script, &self.work, self.workshop.watch)
            }
        }
    }

    fn partition(&mut self, layout: &Layout) -> Result<(), Error> {
        let file = create(&self.disk)?;
        file.set_len(layout.sectors * SECTOR_BYTES).at(&self.disk)?;
        if let Some(script) = layout.sfdisk_script() {
            hand_over(&self.disk)?;
            let tool = Tool::new("sfdisk").args(["--quiet", "--no-reread", "--no-tell-kernel"]);
            let tool = tool
                .args([&self.disk])
                .input(script.as_bytes())
                .writes(&self.disk);
            tool.run(self.workshop.watch)?;
        }
        self.layout = Some(layout.clone());
        Ok(())
    }

    fn unpack(&mut self, id: &str) -> Result<(), Error> {
        let manifest = put_over(id, &mut self.tree, self.workshop)?;
        self.templates.extend(manifest.templates);
        self.parameters.extend(manifest.parameters);
        Ok(())
    }

    fn modify(&mut self, edits: &[Edit], set: &BTreeMap<String, String>) -> Result<(), Error> {
        self.tree
            .edit(&filled(&self.templates, &mut self.parameters, set)?)?;
        // After the templates: a file that the customer names is the customer's.
        self.tree.edit(edits)
    }

    fn boot(&mut self, loader: BootLoader, command_line: &str) -> Result<(), Error> {
        self.loader = loader;
        boot::configure(&mut self.tree, loader, command_line)?;
        if loader == BootLoader::Direct {
            self.built.kernel = boot::take_out(&self.tree, &self.target, command_line)?;
        }
        Ok(())
    }

    fn format(&mut self, partition: usize) -> Result<(), Error> {
        let place = &self.layout()?.partitions[partition];
        let mounts: BTreeSet<String> = self
            .layout()?
            .partitions
            .iter()
            .filter_map(|place| place.partition.mount.clone())
            .collect();
        let filling = Filling {
            tree: &self.tree,
            mounts: &mounts,
            for_extlinux: boot::for_extlinux(self.loader, place.partition.format),
        };
        let file = self.work.join(format!("part{partition}"));
        format(place, filling, &file, self.workshop.watch)?;
        self.parts.insert(partition, file);
        Ok(())
    }

    fn install(&self, loader: BootLoader) -> Result<(), Error> {
        let layout = self.layout()?;
        let root = layout
            .partitions
            .iter()
            .position(|place| Some(place) == layout.root());
        let root = root.and_then(|at| self.parts.get(&at));
        let root =
            root.ok_or_else(|| Error::refused("the plan", "it installs before it formats"))?;
        boot::install(loader, layout, &self.disk, root, self.workshop.watch)
    }

    fn replicate(&self) -> Result<(), Error> {
        for (at, file) in &self.parts {
            let first = self.layout()?.partitions[*at].first_sector;
            replicate_into(file, &self.disk, first * SECTOR_BYTES, self.workshop.watch)?;
        }
        Ok(())
    }

    /// Compares what lies on the disk with what was made, checks it, and reads the table back.
    fn verify(&self) -> Result<(), Error> {
        let layout = self.layout()?;
        let watch = self.workshop.watch;
        for (at, file) in &self.parts {
            let place = &layout.partitions[*at];
            let place_at = place.first_sector * SECTOR_BYTES;
            crate::replicate::compare_with(file, &self.disk, place_at, watch)?;
            check(place.partition.format, file, watch)?;
        }
        if layout.table == PartitionTable::None {
            return Ok(());
        }
        let found = crate::customise::partitions(&self.disk, watch)?;
        let found = found.iter().map(|part| (part.start, part.size));
        let wanted = layout
            .partitions
            .iter()
            .map(|place| (place.first_sector, place.sectors));
        match found.eq(wanted) {
            true => Ok(()),
            false => Err(Error::refused(
                self.target.display().to_string(),
                "its table reads otherwise than written",
            )),
        }
    }

    fn layout(&self) -> Result<&Layout, Error> {
        let none = || Error::refused("the plan", "it does not begin with the partitions");
        self.layout.as_ref().ok_or_else(none)
    }
}
