//! All of it behind `agent::driver::Driver`.

use crate::config::{Config, ConfigError};
use crate::connection::{Connection, Line, said};
use crate::domain::{CONSOLE, CONSOLE_LOG, Place, xml};
use crate::door::{Door, Ways};
use crate::host::{EMULATED, Host, KVM};
use crate::identity::vm_of;
use crate::look::Look;
use crate::plan::{Known, MACHINE, PUT_AWAY, Plan, REBOOTING, plan};
use crate::run::Runner;
use crate::{check, probe, statistics};
use agent::driver::{Act, Console, Driver, DriverError, Effect, NativeCall, Reading, Seen};
use agent::machine::Machine;
use agent::secret::Keys;
use agent::watch::Watch;
use drivers::admission::{Admitted, admit};
use drivers::field::invalid;
use drivers::folder::Folder;
use drivers::hold::Hold;
use drivers::qemu::kvm_works;
use model::fingerprint::FoundHypervisor;
use model::hypervisor::{Arch, Capability};
use model::id::VmId;
use model::report::VmState;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use virt::connect::Connect;

/// Why the driver cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its configuration leads nowhere.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] DriverError),
}

/// One hypervisor by libvirt.
#[derive(Debug)]
pub struct Libvirt {
    door: Door,
    connection: Connection,
    folder: Folder,
    /// What libvirt offers, once somebody had to know.
    host: OnceLock<Host>,
    /// Whether KVM works here, once somebody had to know.
    kvm: OnceLock<bool>,
}

impl Libvirt {
    /// Opens the folder of this driver; libvirt is first asked when something is.
    ///
    /// # Errors
    /// Where the URI leads nowhere that is known, or the folder can neither be made nor read.
    pub fn open(config: Config, folder: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            door: config.door()?,
            connection: Connection::new(config),
            folder: Folder::open(folder)?,
            host: OnceLock::new(),
            kvm: OnceLock::new(),
        })
    }

    /// What stands behind its URI.
    pub const fn door(&self) -> Door {
        self.door
    }

    /// The connection.
    ///
    /// # Errors
    /// Where libvirt does not answer.
    pub fn line(&self) -> Result<Arc<Line>, DriverError> {
        self.connection.line()
    }

    /// What libvirt offers.
    ///
    /// # Errors
    /// Where it does not answer, or says what means nothing.
    pub fn host(&self, line: &Connect) -> Result<&Host, DriverError> {
        if let Some(host) = self.host.get() {
            return Ok(host);
        }
        let doing = "read libvirt's capabilities";
        let told = line.get_capabilities().map_err(said(doing))?;
        let host = Host::read(&told).map_err(|error| DriverError::Hypervisor {
            doing: doing.to_owned(),
            said: error,
        })?;
        Ok(self.host.get_or_init(|| host))
    }

    /// Whether what libvirt offers for an instruction set really runs: it offers KVM wherever the
    /// device is there.
    pub fn accelerates(&self, arch: Arch, kind: &str) -> bool {
        let config = self.connection.config();
        match (kind, config.is_here()) {
            (KVM, true) => *self.kvm.get_or_init(|| kvm_works(arch)),
            (KVM, false) => config.kvm,
            _ => true,
        }
    }

    /// libvirt's word for what runs guests of an instruction set.
    fn kind(&self, arch: Arch) -> Result<String, DriverError> {
        if self.door == Door::Test {
            return Ok(self.door.ways().scheme.to_owned());
        }
        let line = self.line()?;
        let host = self.host(&line)?;
        if let Some(kind) = host.native(arch)
            && self.accelerates(arch, kind)
        {
            return Ok(kind.to_owned());
        }
        if host.emulates(arch) {
            return Ok(EMULATED.to_owned());
        }
        let known = host.offers.iter().map(|(arch, _)| arch.to_string());
        let known: Vec<String> = known.collect();
        Err(invalid("arch", &arch.to_string(), &known.join(" or ")))
    }

    fn look(&self, line: &Connect, vm: VmId) -> Result<Option<Look>, DriverError> {
        let mut look = Look::at(line, &self.ways(), vm)?;
        if let Some(look) = &mut look
            && look.seen.state == VmState::Failed
            && !look.is_active
            && self.has(vm, PUT_AWAY)?
        {
            look.seen.state = VmState::Stopped;
        }
        Ok(look)
    }

    fn has(&self, vm: VmId, record: &str) -> Result<bool, DriverError> {
        Ok(self.folder.load::<()>(vm, record)?.is_some())
    }

    const fn ways(&self) -> Ways {
        self.door.ways()
    }

    fn plan(&self, line: &Connect, vm: VmId, act: &Act) -> Result<Plan, DriverError> {
        let look = self.look(line, vm)?;
        let machine = self.folder.load::<Machine>(vm, MACHINE)?;
        let known = Known {
            door: self.door,
            vm,
            look: look.as_ref(),
            machine: machine.as_ref(),
            is_rebooting: self.has(vm, REBOOTING)?,
            is_put_away: self.has(vm, PUT_AWAY)?,
        };
        plan(&known, act, |machine| self.xml(machine))
    }

    fn xml(&self, machine: &Machine) -> Result<String, DriverError> {
        let place = Place {
            door: self.door,
            config: self.connection.config(),
            kind: &self.kind(machine.arch)?,
            folder: &self.folder.of(machine.vm),
        };
        xml(machine, &place)
    }

    /// Refuses what cannot be done. A VM that is off in the middle of a reboot may be rebooted, so
    /// that the repeat ends what a killed program began.
    fn admitted(&self, vm: VmId, act: &Act) -> Result<Admitted, DriverError> {
        if matches!(act, Act::Reboot) && self.has(vm, REBOOTING)? {
            let now = self.inspect(vm)?;
            if now.is_some_and(|seen| seen.state == VmState::Stopped) {
                let then = Some(VmState::Running);
                return Ok(Admitted { now, then });
            }
        }
        admit(self, vm, act)
    }
}

impl Driver for Libvirt {
    fn name(&self) -> &str {
        self.ways().name
    }

    fn fingerprint(&self, watch: &dyn Watch) -> Result<FoundHypervisor, DriverError> {
        probe::fingerprint(self, watch)
    }

    fn capabilities(&self) -> Vec<Capability> {
        let mut capabilities = self.ways().capabilities.to_vec();
        if !self.connection.config().is_here() {
            // A console's socket is on the hypervisor's own machine.
            capabilities.retain(|capability| *capability != Capability::Console);
        }
        capabilities
    }

    fn validate(&self, machine: &Machine) -> Result<(), DriverError> {
        check::machine(machine, &self.ways(), self.connection.config())?;
        self.kind(machine.arch).map(drop)
    }

    fn translate(&self, vm: VmId, act: &Act) -> Result<Vec<NativeCall>, DriverError> {
        self.admitted(vm, act)?;
        let plan = self.plan(&*self.line()?, vm, act)?;
        Ok(plan.steps.iter().map(|step| step.told(vm)).collect())
    }

    fn perform(
        &self,
        vm: VmId,
        act: &Act,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<Effect, DriverError> {
        let _hold = Hold::take(&self.folder, vm, MACHINE, watch)?;
        let admitted = self.admitted(vm, act)?;
        let line = self.line()?;
        let plan = self.plan(&line, vm, act)?;
        let runner = Runner {
            folder: &self.folder,
            line: &line,
            ways: &self.ways(),
            vm,
            keys,
            watch,
        };
        runner.run(&plan)?;
        Ok(Effect {
            state: admitted.then,
            ..Effect::default()
        })
    }

    fn inspect(&self, vm: VmId) -> Result<Option<Seen>, DriverError> {
        let look = self.look(&*self.line()?, vm)?;
        Ok(look.map(|look| look.seen))
    }

    fn list(&self) -> Result<Vec<VmId>, DriverError> {
        let line = self.line()?;
        let failed = said("list the domains");
        let mut vms = Vec::new();
        for domain in line.list_all_domains(0).map_err(&failed)? {
            // One that has gone meanwhile has no name.
            if let (Ok(name), Ok(uuid)) = (domain.get_name(), domain.get_uuid()) {
                vms.extend(vm_of(&self.ways(), &name, uuid));
            }
        }
        vms.sort_unstable();
        Ok(vms)
    }

    fn statistics(&self, vm: VmId) -> Result<Vec<Reading>, DriverError> {
        let look = self.look(&*self.line()?, vm)?;
        let machine = self.folder.load::<Machine>(vm, MACHINE)?;
        Ok(match (look, machine) {
            (Some(look), Some(machine)) => statistics::readings(&look, &machine, &self.ways()),
            _ => Vec::new(),
        })
    }

    fn recover(&self) -> Result<Vec<Seen>, DriverError> {
        let vms = self.list()?;
        // One that does not answer is left out, and looked at again later.
        let seen = vms.into_iter().map(|vm| self.inspect(vm));
        Ok(seen.filter_map(Result::ok).flatten().collect())
    }

    fn console(&self, vm: VmId) -> Result<Console, DriverError> {
        if !self.capabilities().contains(&Capability::Console) {
            return Err(DriverError::Unsupported {
                driver: self.name().to_owned(),
                what: "show a VM's console".to_owned(),
            });
        }
        let folder = self.folder.of(vm);
        let look = self.look(&*self.line()?, vm)?;
        let log = folder.join(CONSOLE_LOG);
        match look {
            Some(look) if look.is_active => Ok(Console::Socket {
                path: folder.join(CONSOLE),
                log: Some(log),
            }),
            Some(_) if log.exists() => Ok(Console::Log { path: log }),
            _ => Err(DriverError::Illegal {
                vm,
                act: "show its console".to_owned(),
                state: "not started".to_owned(),
            }),
        }
    }
}
