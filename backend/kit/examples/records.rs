//! The smallest driver program in Rust: its VMs are records, right or wrong in one chosen way.
//!
//! Usage: `records WAY FOLDER`. The tests of the kit hold it to the kit, and see each wrong way told.

use agent::driver::{Act, Console, Driver, DriverError, Effect, NativeCall, Reading, Seen};
use agent::machine::Machine;
use agent::secret::Keys;
use agent::watch::Watch;
use drivers::admission::admit;
use drivers::folder::Folder;
use drivers::outside::serve::{ServeError, serve};
use model::fingerprint::FoundHypervisor;
use model::hypervisor::Capability;
use model::id::VmId;
use model::report::VmState;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file of a VM's record.
const RECORD: &str = "state.json";

fn main() -> Result<(), ServeError> {
    let mut arguments = std::env::args().skip(1);
    let (Some(way), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err(ServeError::Meaningless("usage: records WAY FOLDER".into()));
    };
    let folder = Folder::open(Path::new(&folder))
        .map_err(|error| ServeError::Meaningless(error.to_string()))?;
    let driver = Records {
        way,
        folder,
        memory: Mutex::default(),
    };
    serve(&driver, std::io::stdin(), std::io::stdout())
}

/// Keeps the state of each VM, and nothing else.
struct Records {
    /// `right`, or one of the ways tried below.
    way: String,
    folder: Folder,
    /// What a driver knows that writes nothing down.
    memory: Mutex<BTreeMap<VmId, VmState>>,
}

impl Records {
    fn is(&self, way: &str) -> bool {
        self.way == way
    }

    fn memory(&self) -> MutexGuard<'_, BTreeMap<VmId, VmState>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, vm: VmId) -> Result<Option<VmState>, DriverError> {
        if self.is("forgets") {
            return Ok(self.memory().get(&vm).copied());
        }
        self.folder.load(vm, RECORD)
    }

    fn write(&self, vm: VmId, state: Option<VmState>) -> Result<(), DriverError> {
        match state {
            Some(state) if self.is("forgets") => {
                self.memory().insert(vm, state);
                Ok(())
            }
            None if self.is("forgets") => {
                self.memory().remove(&vm);
                Ok(())
            }
            Some(state) => self.folder.save(vm, RECORD, &state),
            None => self.folder.remove(vm, RECORD),
        }
    }

    fn unsupported(&self, what: &str) -> DriverError {
        DriverError::Unsupported {
            driver: self.name().to_owned(),
            what: what.to_owned(),
        }
    }
}

impl Driver for Records {
    fn name(&self) -> &str {
        "records"
    }

    fn fingerprint(&self, _watch: &dyn Watch) -> Result<FoundHypervisor, DriverError> {
        let mut capabilities = self.capabilities();
        if self.is("boasts") {
            capabilities.push(Capability::Copy);
        }
        Ok(FoundHypervisor {
            driver: self.name().to_owned(),
            version: "1".into(),
            virtualisation: Vec::new(),
            native: Vec::new(),
            emulated: Vec::new(),
            capabilities,
            evidence: "records need nothing".into(),
        })
    }

    fn capabilities(&self) -> Vec<Capability> {
        vec![Capability::Pause]
    }

    fn validate(&self, _machine: &Machine) -> Result<(), DriverError> {
        Ok(())
    }

    fn translate(&self, vm: VmId, act: &Act) -> Result<Vec<NativeCall>, DriverError> {
        let admitted = admit(self, vm, act)?;
        if self.is("hides") || admitted.state() == admitted.then {
            return Ok(Vec::new());
        }
        Ok(vec![NativeCall {
            interface: "file".into(),
            call: format!("note that {vm} is {:?}", admitted.then),
        }])
    }

    fn perform(
        &self,
        vm: VmId,
        act: &Act,
        _keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<Effect, DriverError> {
        let admitted = admit(self, vm, act)?;
        if admitted.state() != admitted.then {
            watch
                .checkpoint()
                .map_err(|why| DriverError::called_off("note the state", why))?;
            watch.calling(&NativeCall {
                interface: "file".into(),
                call: format!("note that {vm} is {:?}", admitted.then),
            });
            if self.is("loses") {
                // Gone for as long as the message takes, in which it may be killed.
                self.write(vm, None)?;
                watch.progressed(500);
            }
            self.write(vm, admitted.then)?;
        } else if self.is("refuses-repeats") && matches!(act, Act::Pause) {
            return Err(self.unsupported("pause a VM twice"));
        }
        Ok(Effect {
            state: admitted.then,
            ..Effect::default()
        })
    }

    fn inspect(&self, vm: VmId) -> Result<Option<Seen>, DriverError> {
        Ok(self.state(vm)?.map(|state| Seen {
            vm,
            state,
            cpus: None,
            mem_mib: None,
        }))
    }

    fn list(&self) -> Result<Vec<VmId>, DriverError> {
        if self.is("forgets") {
            return Ok(self.memory().keys().copied().collect());
        }
        self.folder.vms(RECORD)
    }

    fn statistics(&self, _vm: VmId) -> Result<Vec<Reading>, DriverError> {
        Ok(Vec::new())
    }

    fn recover(&self) -> Result<Vec<Seen>, DriverError> {
        let seen = self.list()?.into_iter().map(|vm| self.inspect(vm));
        Ok(seen
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    fn console(&self, _vm: VmId) -> Result<Console, DriverError> {
        Err(self.unsupported("show a console"))
    }
}
