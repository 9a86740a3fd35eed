//! The keys that open a modelled node's encrypted disks.

use crate::machine::{AttachedDisk, Machine};
use model::id::KeyId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// By the disk's file; one that is not in here does not exist yet, or is shared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seals(BTreeMap<PathBuf, BTreeSet<KeyId>>);

impl Seals {
    /// A disk is new.
    pub fn format(&mut self, disk: &AttachedDisk) {
        if let Some(key) = disk.key {
            self.0.insert(disk.path.clone(), [key].into());
        }
    }

    /// A disk is opened by one more key.
    pub fn add(&mut self, disk: &AttachedDisk, key: KeyId) {
        let keys = self.0.get_mut(&disk.path).expect("an encrypted disk");
        let own = disk.key.is_some_and(|own| keys.contains(&own));
        assert!(own || keys.contains(&key), "neither key opens {disk:?}");
        keys.insert(key);
    }

    /// A disk is opened by its own key alone.
    pub fn keep(&mut self, disk: &AttachedDisk) {
        let own = disk.key.expect("an encrypted disk");
        let keys = self.0.get_mut(&disk.path).expect("an encrypted disk");
        assert!(keys.contains(&own), "nothing would open {disk:?}");
        keys.retain(|key| *key == own);
    }

    /// A file is gone.
    pub fn wipe(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// That every disk of a machine that is there is opened by the key that its driver takes.
    pub fn open(&self, machine: &Machine) {
        for (disk, keys) in self.of(machine) {
            let own = disk.key.is_some_and(|own| keys.contains(&own));
            assert!(own, "{disk:?} is opened by {keys:?}");
        }
    }

    /// That nothing else opens them.
    pub fn check(&self, machine: &Machine) {
        for (disk, keys) in self.of(machine) {
            assert_eq!(*keys, BTreeSet::from_iter(disk.key), "{disk:?}");
        }
    }

    fn of<'a>(
        &'a self,
        machine: &'a Machine,
    ) -> impl Iterator<Item = (&'a AttachedDisk, &'a BTreeSet<KeyId>)> {
        let disks = machine.disks.iter();
        disks.filter_map(|disk| Some((disk, self.0.get(&disk.path)?)))
    }
}
