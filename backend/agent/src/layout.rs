//! Where the partitions of a disk lie, and the table that says so.

use crate::build::BuildError;
use model::blueprint::{BootLoader, Disk, Format, Partition, PartitionTable};
use serde::{Deserialize, Serialize};

/// Bytes of a sector: what partition tables and boot loaders count in.
pub const SECTOR_BYTES: u64 = 512;

/// Partitions begin at multiples of this, 1 MiB: what every current partitioning tool aligns to.
const ALIGN_SECTORS: u64 = 2048;

/// The last sectors of a GPT disk hold the table's copy: one header and 32 sectors of entries.
const GPT_TAIL_SECTORS: u64 = 33;

/// Where the partitions of a disk lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// How the table is written.
    pub table: PartitionTable,
    /// Size of the disk in sectors.
    pub sectors: u64,
    /// In order of place.
    pub partitions: Vec<Place>,
}

/// Where one partition lies, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The partition as the blueprint has it.
    pub partition: Partition,
    /// Its first sector.
    pub first_sector: u64,
    /// Its size in sectors.
    pub sectors: u64,
    /// Whether GRUB keeps its core there, outside of any file system.
    pub grub_core: bool,
}

impl Layout {
    /// Where the partitions of a disk lie when this loader starts from it.
    ///
    /// # Errors
    /// Where they do not fit.
    pub fn of(disk: &Disk, loader: BootLoader) -> Result<Self, BuildError> {
        let sectors = disk.size_mib * (1 << 20) / SECTOR_BYTES;
        let (first, end, most) = match disk.table {
            PartitionTable::None => (0, sectors, 1),
            PartitionTable::Gpt => (ALIGN_SECTORS, sectors.saturating_sub(GPT_TAIL_SECTORS), 128),
            PartitionTable::Mbr => (ALIGN_SECTORS, sectors, 4),
        };
        let core = loader == BootLoader::Grub && disk.table == PartitionTable::Gpt;
        let count = disk.partitions.len() + usize::from(core);
        if count > most {
            return Err(BuildError::TooMany {
                disk: disk.name.clone(),
                count,
                most,
            });
        }
        let mut next = first;
        let mut partitions = Vec::new();
        if core {
            partitions.push(grub_core(next));
            next += ALIGN_SECTORS;
        }
        for (at, partition) in disk.partitions.iter().enumerate() {
            let last = at + 1 == disk.partitions.len();
            let wanted = match partition.size_mib {
                Some(mib) => mib * (1 << 20) / SECTOR_BYTES,
                // Whole MiB, so that any block size divides it.
                None if last => end.saturating_sub(next) / ALIGN_SECTORS * ALIGN_SECTORS,
                None => {
                    return Err(BuildError::SizeMissing {
                        disk: disk.name.clone(),
                        partition: partition.name.clone(),
                    });
                }
            };
            if wanted == 0 || next + wanted > end {
                return Err(BuildError::TooSmall {
                    disk: disk.name.clone(),
                    partition: partition.name.clone(),
                    disk_mib: disk.size_mib,
                });
            }
            partitions.push(Place {
                partition: partition.clone(),
                first_sector: next,
                sectors: wanted,
                grub_core: false,
            });
            next += wanted;
        }
        Ok(Self {
            table: disk.table,
            sectors,
            partitions,
        })
    }

    /// The partition that is mounted at `/`.
    pub fn root(&self) -> Option<&Place> {
        let root = |place: &&Place| place.partition.mount.as_deref() == Some("/");
        self.partitions.iter().find(root)
    }

    /// The table in the input language of sfdisk; `None`: the disk has none.
    pub fn sfdisk_script(&self) -> Option<String> {
        let mut script = String::from(match self.table {
            PartitionTable::None => return None,
            // The first usable sector is left to sfdisk: 34, or what the entries need.
            PartitionTable::Gpt => "label: gpt\n",
            PartitionTable::Mbr => "label: dos\n",
        });
        for place in &self.partitions {
            let (start, size) = (place.first_sector, place.sectors);
            script += &format!("start={start}, size={size}, {}\n", self.kind(place));
        }
        Some(script)
    }

    fn kind(&self, place: &Place) -> String {
        let Partition {
            name,
            format,
            bootable,
            ..
        } = &place.partition;
        if self.table == PartitionTable::Mbr {
            let kind = match format {
                Format::Swap => "82",
                Format::Fat32 | Format::Seed => "c",
                Format::Ntfs => "7",
                _ => "83",
            };
            return format!("type={kind}{}", if *bootable { ", bootable" } else { "" });
        }
        // UEFI Specification 2.10, table 5.7, and the Discoverable Partitions Specification.
        let kind = match format {
            _ if place.grub_core => "21686148-6449-6E6F-744E-656564454649",
            Format::Fat32 if *bootable => "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
            Format::Fat32 | Format::Seed | Format::Ntfs => "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
            Format::Swap => "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
            _ => "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
        };
        let flag = if *bootable && *format != Format::Fat32 {
            ", attrs=LegacyBIOSBootable"
        } else {
            ""
        };
        format!("type={kind}, name=\"{name}\"{flag}")
    }
}

/// The label of a partition's file system: its name, as far as the format holds it.
pub fn label(partition: &Partition) -> &str {
    let most = match partition.format {
        Format::Seed => return crate::seed::LABEL,
        Format::Fat32 => 11,
        Format::Xfs => 12,
        _ => 16,
    };
    let name = &partition.name;
    name.get(..most).unwrap_or(name)
}

fn grub_core(first_sector: u64) -> Place {
    Place {
        partition: Partition {
            name: "grub-core".to_owned(),
            size_mib: Some(1),
            format: Format::Unformatted,
            block_bytes: None,
            mount: None,
            bootable: false,
        },
        first_sector,
        sectors: ALIGN_SECTORS,
        grub_core: true,
    }
}
