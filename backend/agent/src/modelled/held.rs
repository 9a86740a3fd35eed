//! What a modelled node holds, against what its ledger says.

use super::Hands;
use crate::ledger::Ledger;
use crate::lending::is_remote;
use crate::machine::Plug;
use crate::naming::Naming;
use model::blueprint::BootLoader;
use model::hypervisor::Virtualisation;
use model::id::VmId;

impl Hands {
    /// That the node holds what the ledger says, and nothing else.
    pub fn check(&self, ledger: &Ledger, naming: &Naming) {
        assert!(ledger.open.is_empty(), "open: {:?}", ledger.queue);
        let mut expected = Hands::default();
        for (&vm, record) in &ledger.vms {
            let blueprint = &record.blueprint;
            expected.folders.insert(naming.vm_folder(vm));
            for disk in naming
                .disks_of(blueprint)
                .iter()
                .filter(|disk| !is_remote(disk))
            {
                expected.make(naming.attached_disk(blueprint, disk).path);
            }
            if blueprint.virtualisation == Virtualisation::Container {
                expected.make(naming.container_root(vm));
            } else if blueprint.boot == BootLoader::Direct {
                let files = naming.kernel(vm);
                expected.make(files.kernel);
                expected.make(files.initrd);
            }
            for disk in &blueprint.disks {
                if let Some(base) = naming.base(blueprint, disk) {
                    expected.bases.entry(base).or_default().insert(vm);
                }
            }
            for (place, interface) in blueprint.interfaces.iter().enumerate() {
                let name = plug_name(&naming.plug(vm, place, interface));
                expected.plugs.insert((vm, name), interface.clone());
            }
            let modelled = &self.vms[&vm];
            assert_eq!(modelled.machine, naming.machine(blueprint), "{vm}");
            self.seals.check(&modelled.machine);
            assert_eq!(modelled.snapshots, record.snapshots, "{vm}");
            assert!(!modelled.given, "{vm} was given away");
        }
        for (&vm, volumes) in &ledger.lent {
            for volume in volumes {
                let path = naming.lent(vm, volume).path;
                expected
                    .folders
                    .insert(naming.lent_folder(vm, &volume.name));
                expected.make(path.clone());
                assert!(
                    self.served.contains_key(&path),
                    "{vm}: {volume:?} is not served"
                );
            }
        }
        let lent: usize = ledger.lent.values().map(Vec::len).sum();
        assert_eq!(self.served.len(), lent, "served");
        assert_eq!(self.folders, expected.folders, "folders");
        assert_eq!(self.files, expected.files, "files");
        assert_eq!(self.bases, expected.bases, "bases");
        assert_eq!(self.plugs, expected.plugs, "plugs");
        let known: Vec<&VmId> = ledger.vms.keys().collect();
        assert_eq!(self.vms.keys().collect::<Vec<_>>(), known, "VMs");
    }
}

/// A plug by what it is.
pub fn plug_name(plug: &Plug) -> String {
    format!("{plug:?}")
}
