//! Carries the steps of a plan out, one after the other, and tells each before it is done.

use crate::connection::{found, said};
use crate::domain::secret_xml;
use crate::door::Ways;
use crate::identity::{domain_name, secret_uuid};
use crate::plan::{Affects, MACHINE, Plan, Step};
use agent::driver::DriverError;
use agent::secret::Keys;
use agent::watch::{Unwatched, Watch};
use drivers::folder::Folder;
use drivers::wait::pause;
use model::id::VmId;
use std::time::{Duration, Instant};
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::{Error, ErrorNumber};
use virt::secret::Secret;

/// How often is looked whether what was asked has come true.
const TICK: Duration = Duration::from_millis(20);

/// A guest that has a balloon driver answers it within seconds.
const BALLOON_PATIENCE: Duration = Duration::from_secs(60);

/// A balloon takes whole pages and stops short of the last few.
const BALLOON_SLACK_KIB: u64 = 1_024;

/// One act on one VM.
pub struct Runner<'a> {
    /// The records.
    pub folder: &'a Folder,
    /// The connection.
    pub line: &'a Connect,
    /// The hypervisor's ways.
    pub ways: &'a Ways,
    /// Which.
    pub vm: VmId,
    /// Keys that came with the act.
    pub keys: &'a Keys,
    /// Who is told, and says whether to go on.
    pub watch: &'a dyn Watch,
}

impl Runner<'_> {
    /// Carries a plan out; where a step fails, what was done is undone.
    ///
    /// # Errors
    /// That of the first step that failed; before any is done, a key that was not sent.
    pub fn run(&self, plan: &Plan) -> Result<(), DriverError> {
        for step in &plan.steps {
            if let Step::SetSecret(key) = step
                && self.keys.bytes(*key).is_none()
            {
                return Err(DriverError::KeyMissing { key: *key });
            }
        }
        let done = plan.steps.iter().try_for_each(|step| {
            let call = step.told(self.vm);
            self.watch
                .checkpoint()
                .map_err(|why| DriverError::called_off(&call.call, why))?;
            self.watch.calling(&call);
            self.step(step, self.watch)
        });
        if done.is_err() {
            for step in &plan.undo {
                // The first error is the one that is told.
                let _ = self.step(step, &Unwatched);
            }
        }
        done
    }

    fn step(&self, step: &Step, watch: &dyn Watch) -> Result<(), DriverError> {
        match step {
            Step::SaveMachine(machine) => return self.folder.save(self.vm, MACHINE, machine),
            Step::Note(record) => return self.folder.save(self.vm, record, &()),
            Step::Forget(record) => return self.folder.forget(self.vm, record),
            Step::ForgetAll => return self.folder.remove(self.vm, MACHINE),
            Step::Destroy { patience_millis } => return self.destroy(*patience_millis, watch),
            Step::AwaitMem(mib) => return self.await_mem(*mib, watch),
            _ => {}
        }
        self.call(step).map_err(said(&step.told(self.vm).call))
    }

    /// A step that is one call of libvirt.
    fn call(&self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Define(xml) => Domain::define_xml(self.line, xml).map(drop),
            Step::Create => {
                let domain = self.domain()?;
                let created = domain.create();
                // A killed program's call may have come true since we looked.
                unless(created, || domain.is_active())
            }
            Step::Reset => self.domain()?.reset().map(drop),
            Step::Shutdown => {
                let domain = self.domain()?;
                let asked = domain.shutdown();
                unless(asked, || domain.is_active().map(|is_active| !is_active))
            }
            Step::Undefine => {
                let Some(domain) = found(self.domain(), ErrorNumber::NoDomain)? else {
                    return Ok(());
                };
                let undefined = domain.undefine_flags(self.ways.undefine);
                found(undefined, ErrorNumber::NoDomain).map(drop)
            }
            Step::Suspend => self.domain()?.suspend().map(drop),
            Step::Resume => self.domain()?.resume().map(drop),
            Step::SetCpus(cpus, affects) => {
                let flags = affects.flag();
                self.domain()?.set_vcpus_flags(*cpus, flags).map(drop)
            }
            Step::SetMem(mib, affects) => {
                let kib = u64::from(*mib) * 1_024;
                self.domain()?
                    .set_memory_flags(kib, affects.flag())
                    .map(drop)
            }
            Step::DefineSecret(key) => {
                Secret::define_xml(self.line, &secret_xml(self.vm, *key), 0).map(drop)
            }
            Step::SetSecret(key) => {
                let uuid = secret_uuid(self.vm, *key).to_string();
                let secret = Secret::lookup_by_uuid_string(self.line, &uuid)?;
                secret.set_value(self.keys.passphrase(*key).unwrap_or_default(), 0)
            }
            Step::UndefineSecret(key) => {
                let uuid = secret_uuid(self.vm, *key).to_string();
                let secret = Secret::lookup_by_uuid_string(self.line, &uuid);
                match found(secret, ErrorNumber::NoSecret)? {
                    Some(secret) => secret.undefine(),
                    None => Ok(()),
                }
            }
            Step::SaveMachine(_)
            | Step::Note(_)
            | Step::Forget(_)
            | Step::ForgetAll
            | Step::Destroy { .. }
            | Step::AwaitMem(_) => Ok(()),
        }
    }

    fn domain(&self) -> Result<Domain, Error> {
        Domain::lookup_by_name(self.line, &domain_name(self.vm))
    }

    /// Ends it, once its guest has had its time.
    fn destroy(&self, patience_millis: u32, watch: &dyn Watch) -> Result<(), DriverError> {
        let doing = format!("virDomainDestroy {}", domain_name(self.vm));
        let failed = said(&doing);
        let Some(domain) = found(self.domain(), ErrorNumber::NoDomain).map_err(&failed)? else {
            return Ok(());
        };
        let begun = Instant::now();
        let patience = Duration::from_millis(patience_millis.into());
        while domain.is_active().map_err(&failed)? && begun.elapsed() < patience {
            pause(&doing, TICK, watch)?;
        }
        if !domain.is_active().map_err(&failed)? {
            return Ok(());
        }
        let ended = domain.destroy();
        unless(ended, || domain.is_active().map(|is_active| !is_active)).map_err(&failed)
    }

    fn await_mem(&self, mib: u32, watch: &dyn Watch) -> Result<(), DriverError> {
        let doing = format!("scale the memory of {} to {mib} MiB", self.vm);
        let failed = said(&doing);
        let domain = self.domain().map_err(&failed)?;
        let wanted = u64::from(mib) * 1_024;
        let begun = Instant::now();
        loop {
            let kib = domain.get_info().map_err(&failed)?.memory;
            if kib.abs_diff(wanted) <= BALLOON_SLACK_KIB {
                return Ok(());
            }
            if begun.elapsed() > BALLOON_PATIENCE {
                let mib = kib / 1_024;
                return Err(DriverError::Hypervisor {
                    doing: doing.clone(),
                    said: format!("its guest stays at {mib} MiB; it may have no balloon driver"),
                });
            }
            pause(&doing, TICK, watch)?;
        }
    }
}

impl Affects {
    const fn flag(self) -> u32 {
        match self {
            Self::Live => virt_sys::VIR_DOMAIN_AFFECT_LIVE,
            Self::Config => virt_sys::VIR_DOMAIN_AFFECT_CONFIG,
        }
    }
}

/// The answer of a call; a failed one is as good where its effect holds anyway.
fn unless<T>(
    answer: Result<T, Error>,
    holds: impl FnOnce() -> Result<bool, Error>,
) -> Result<(), Error> {
    match answer {
        Ok(_) => Ok(()),
        Err(error) => match holds() {
            Ok(true) => Ok(()),
            _ => Err(error),
        },
    }
}
