//! The steps of building a disk, or a container's root folder, as data that a person can read before anything happens.
//!
//! [`plan`] turns one disk of a blueprint, or a container's root folder, into [`BuildStep`]s; the crate `image` carries them out.
//! The order is fixed by what needs what: a file system is made together with its content, so all
//! that changes files stands before [`BuildStep::Format`].

mod error;

pub use self::error::BuildError;

use crate::edit::Edit;
use crate::guest::Guest;
use crate::layout::{Layout, Place, label};
use crate::seed::seed;
use model::blueprint::{Blueprint, BootLoader, Disk, Format, PartitionTable, Script};
use model::hypervisor::{Arch, Virtualisation};
use model::id::KeyId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One step of building a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::EnumDiscriminants)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[strum_discriminants(
    name(BuildStepKind),
    doc = "A [`BuildStep`] without its particulars, as scripts name it.",
    derive(
        strum::VariantArray,
        strum::IntoStaticStr,
        strum::EnumString,
        strum::Display
    ),
    strum(serialize_all = "kebab-case")
)]
pub enum BuildStep {
    /// Decide where each partition lies, and write the table.
    Partition {
        /// Where.
        layout: Layout,
    },
    /// Take the files of the image, checked against its manifest.
    Unpack {
        /// SHA-256 of the image's manifest, in hex.
        image: String,
    },
    /// Take components out.
    Remove {
        /// Package names, or absolute paths.
        components: Vec<String>,
    },
    /// Put an application in.
    Add {
        /// SHA-256 of the application image's manifest, in hex.
        image: String,
    },
    /// Change files: names, users, keys, settings.
    Modify {
        /// The changes in order.
        edits: Vec<Edit>,
        /// Values for the templates of the images.
        parameters: BTreeMap<String, String>,
    },
    /// Write addresses and firewall rules.
    Network {
        /// The changes in order.
        edits: Vec<Edit>,
    },
    /// Choose the kernel and write the boot loader's configuration.
    Boot {
        /// What starts the kernel.
        loader: BootLoader,
        /// The kernel's command line.
        command_line: String,
    },
    /// Make one partition's file system with its content.
    Format {
        /// Its index in the layout.
        partition: usize,
    },
    /// Write the boot loader's own sectors.
    Install {
        /// Which.
        loader: BootLoader,
    },
    /// Bring the partitions from the temporary to the allocated disk, holes skipped.
    Replicate,
    /// Check every file system and the table on the allocated disk.
    Verify,
    /// Make the disk unreadable without its key.
    Encrypt {
        /// Which key.
        key: KeyId,
    },
    /// Run a script of the customer's inside the files as they are at this point.
    Script {
        /// It.
        script: Script,
    },
}

/// The steps that build one disk of a VM; only its first disk boots.
///
/// # Errors
/// Where the blueprint asks for what cannot be built.
pub fn plan(blueprint: &Blueprint, index: usize) -> Result<Vec<BuildStep>, BuildError> {
    let disk = blueprint
        .disks
        .get(index)
        .ok_or_else(|| BuildError::NoDisk {
            vm: blueprint.name.clone(),
            index,
        })?;
    let boots = index == 0;
    if boots && blueprint.virtualisation == Virtualisation::Container {
        return plan_root(blueprint, disk);
    }
    let loader = if boots {
        blueprint.boot
    } else {
        BootLoader::Direct
    };
    let mut layout = Layout::of(disk, loader)?;
    let seeded = seed_place(disk, boots, &mut layout)?;
    let mut steps = vec![BuildStep::Partition {
        layout: layout.clone(),
    }];
    if let Some(image) = &disk.image {
        let root = root_place(disk, &layout, loader)?;
        steps.push(BuildStep::Unpack {
            image: image.clone(),
        });
        if boots {
            steps.extend(customised(blueprint, Some(fstab(blueprint, &layout))));
            steps.push(BuildStep::Boot {
                loader: blueprint.boot,
                command_line: command_line(blueprint, root),
            });
        }
    }
    if seeded {
        steps.push(BuildStep::Modify {
            edits: seed(blueprint),
            parameters: BTreeMap::new(),
        });
    }
    if let Some(mount) = disk.configuration() {
        steps.push(BuildStep::Modify {
            edits: Guest::new(blueprint).configuration(mount),
            parameters: BTreeMap::new(),
        });
    }
    let formats = 0..layout.partitions.len();
    steps.extend(
        formats
            .filter(|&at| !layout.partitions[at].grub_core)
            .map(|partition| BuildStep::Format { partition }),
    );
    if loader != BootLoader::Direct && disk.image.is_some() {
        steps.push(BuildStep::Install { loader });
    }
    steps.extend([BuildStep::Replicate, BuildStep::Verify]);
    if let Some(encryption) = disk.encryption {
        steps.push(BuildStep::Encrypt {
            key: encryption.key,
        });
    }
    if boots {
        insert_scripts(&mut steps, &blueprint.customisation.scripts)?;
    }
    Ok(steps)
}

/// Whether a disk is a seed, whose one partition then takes all files.
fn seed_place(disk: &Disk, boots: bool, layout: &mut Layout) -> Result<bool, BuildError> {
    let partitions = &disk.partitions;
    let Some(partition) = partitions.iter().find(|p| p.format == Format::Seed) else {
        return Ok(false);
    };
    let why = match () {
        () if boots => "is the first of its VM",
        () if disk.image.is_some() => "an image",
        () if partitions.len() > 1 => "other partitions",
        () if partition.mount.is_some() => "a place where the guest mounts it",
        () => {
            let place = layout.partitions.iter_mut();
            place.for_each(|place| place.partition.mount = Some("/".to_owned()));
            return Ok(true);
        }
    };
    let disk = disk.name.clone();
    Err(BuildError::NoSeed { disk, why })
}

/// The files alone: whatever runs the container brings kernel, partitions and all.
fn plan_root(blueprint: &Blueprint, disk: &Disk) -> Result<Vec<BuildStep>, BuildError> {
    let refused = |found, expected| BuildError::NoFolder {
        disk: disk.name.clone(),
        found,
        expected,
    };
    let image = disk.image.clone();
    let image = image.ok_or_else(|| refused("begins empty", "an image"))?;
    if !disk.partitions.is_empty() {
        return Err(refused("has partitions", "none"));
    }
    if disk.encryption.is_some() {
        return Err(refused("is encrypted", "no encryption"));
    }
    if disk.shared_base {
        return Err(refused("shares a base", "its own files"));
    }
    if disk.iops.is_some() || disk.mibps.is_some() {
        return Err(refused(
            "is limited",
            "to be read and written as fast as may be",
        ));
    }
    let mut steps = vec![BuildStep::Unpack { image }];
    steps.extend(customised(blueprint, None));
    insert_scripts(&mut steps, &blueprint.customisation.scripts)?;
    Ok(steps)
}

fn customised(blueprint: &Blueprint, fstab: Option<Edit>) -> Vec<BuildStep> {
    let customisation = &blueprint.customisation;
    let mut steps = Vec::new();
    if !customisation.remove.is_empty() {
        steps.push(BuildStep::Remove {
            components: customisation.remove.clone(),
        });
    }
    for image in &customisation.add {
        steps.push(BuildStep::Add {
            image: image.clone(),
        });
    }
    let guest = Guest::new(blueprint);
    let mut edits = guest.identity();
    edits.extend(fstab);
    steps.push(BuildStep::Modify {
        edits,
        parameters: customisation.parameters.clone(),
    });
    steps.push(BuildStep::Network {
        edits: guest.network(),
    });
    steps
}

fn insert_scripts(steps: &mut Vec<BuildStep>, scripts: &[Script]) -> Result<(), BuildError> {
    // Backwards, so that two scripts after one step keep their order.
    for script in scripts.iter().rev() {
        let after = script.after.parse::<BuildStepKind>().ok();
        let at = steps
            .iter()
            .rposition(|step| Some(BuildStepKind::from(step)) == after)
            .ok_or_else(|| BuildError::NoSuchStep {
                script: script.name.clone(),
                after: script.after.clone(),
            })?;
        let script = script.clone();
        steps.insert(at + 1, BuildStep::Script { script });
    }
    Ok(())
}

fn root_place<'l>(
    disk: &Disk,
    layout: &'l Layout,
    loader: BootLoader,
) -> Result<&'l Place, BuildError> {
    let root = layout.root().ok_or_else(|| BuildError::NoRoot {
        disk: disk.name.clone(),
    })?;
    let why = match (loader, disk.table, root.partition.format) {
        (BootLoader::Extlinux | BootLoader::Grub, PartitionTable::None, _) => {
            Some("it has no partition table")
        }
        (BootLoader::Extlinux, _, format) if format != Format::Ext4 => Some("its root is not ext4"),
        (BootLoader::Grub, _, Format::Ext4 | Format::Xfs | Format::Btrfs) => None,
        (BootLoader::Grub, _, _) => Some("its root is none of ext4, xfs and btrfs"),
        _ => None,
    };
    match why {
        None => Ok(root),
        Some(why) => Err(BuildError::CannotBoot {
            disk: disk.name.clone(),
            loader,
            why,
        }),
    }
}

/// What the guest mounts: of the disk it boots from, and then of the others.
fn fstab(blueprint: &Blueprint, layout: &Layout) -> Edit {
    let mut text = String::new();
    let own = layout.partitions.iter().map(|place| &place.partition);
    let others = blueprint
        .disks
        .iter()
        .skip(1)
        .flat_map(|disk| &disk.partitions);
    for partition in own.chain(others) {
        let label = label(partition);
        let (kind, pass) = match partition.format {
            Format::Ext4 => ("ext4", 2),
            Format::Xfs => ("xfs", 0),
            Format::Btrfs => ("btrfs", 0),
            Format::Fat32 => ("vfat", 2),
            Format::Ntfs => ("ntfs", 0),
            Format::Swap => ("swap", 0),
            Format::Seed | Format::Unformatted => continue,
        };
        match &partition.mount {
            Some(mount) => {
                let pass = if mount == "/" && pass > 0 { 1 } else { pass };
                text += &format!("LABEL={label} {mount} {kind} defaults 0 {pass}\n");
            }
            None if partition.format == Format::Swap => {
                text += &format!("LABEL={label} none swap sw 0 0\n");
            }
            None => {}
        }
    }
    Edit::file("/etc/fstab", text, 0o644)
}

fn command_line(blueprint: &Blueprint, root: &Place) -> String {
    let console = match blueprint.arch {
        Arch::X86_64 | Arch::Riscv64 => "ttyS0",
        Arch::Aarch64 => "ttyAMA0",
    };
    let label = label(&root.partition);
    let more = &blueprint.kernel_arguments;
    format!("root=LABEL={label} rw console={console} {more}")
        .trim_end()
        .to_owned()
}
