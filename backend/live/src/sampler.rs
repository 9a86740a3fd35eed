//! Looks at VMs every second and measures them and the node now and then, on threads of its own.

use crate::clock::Clock;
use crate::console;
use crate::hands::Tell;
use crate::machine;
use crate::measure::{Known, Meter};
use crate::rates::Rates;
use agent::driver::{Console, Driver, Reading, Seen};
use agent::message::Input;
use agent::step::SeenState;
use drivers::process::Process;
use model::id::{NodeId, VmId};
use model::report::VmState;
use model::sample::Sample;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often VMs are looked at: a guest that gave up is known a second later.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often disks are asked for their health, each by a program.
const HEALTH_EVERY: Duration = Duration::from_secs(300);

/// What a sampler works with.
pub struct Sampler {
    /// Which node.
    pub node: NodeId,
    /// Its folder.
    pub root: PathBuf,
    /// Its clock.
    pub clock: Clock,
    /// Its hypervisor.
    pub driver: Arc<dyn Driver>,
    /// The totals that were read last.
    pub rates: Arc<Mutex<Rates>>,
    /// How often to measure.
    pub every: Duration,
    /// VMs that are known.
    pub known: BTreeSet<VmId>,
    /// Those of them that answered the last look.
    pub answering: BTreeSet<VmId>,
    /// Whom to tell.
    pub tell: Tell,
}

/// Starts looking and measuring, until the process ends. The node is found out about once.
pub fn start(sampler: Sampler) {
    let Sampler { driver, tell, .. } = &sampler;
    let (driver, tell) = (driver.clone(), tell.clone());
    thread::spawn(move || tell_fingerprint(&*driver, &tell));
    thread::spawn(move || sampler.run());
}

/// A probe may take seconds: it boots a guest.
fn tell_fingerprint(driver: &dyn Driver, tell: &Tell) {
    let mut fingerprint = match machine::fingerprint(Path::new("/")) {
        Ok(fingerprint) => Box::new(fingerprint),
        Err(error) => return eprintln!("find out about the node: {error}"),
    };
    match driver.fingerprint(&agent::watch::Unwatched) {
        Ok(found) => fingerprint.hypervisors.push(found),
        Err(error) => eprintln!("probe {}: {error}", driver.name()),
    }
    tell(Input::Fingerprinted { fingerprint });
}

impl Sampler {
    fn run(mut self) {
        let mut meter = Meter::new(Path::new("/"));
        let (mut measured, mut healthy): (Option<Instant>, Option<Instant>) = (None, None);
        let due = |last: Option<Instant>, every| last.is_none_or(|last| last.elapsed() >= every);
        loop {
            let mut known = self.look();
            if due(measured, self.every) {
                measured = Some(Instant::now());
                known.processes = processes(&self.root);
                let mut readings = meter.readings(&known);
                if due(healthy, HEALTH_EVERY) {
                    healthy = measured;
                    readings.extend(meter.slow_readings(&disks(&self.root)));
                }
                let samples = self.measure(readings);
                (self.tell)(Input::Sampled { samples });
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// A VM that is gone is told once; one whose hypervisor does not answer is not told at all.
    fn look(&mut self) -> Known {
        let asked = self.clock.now();
        let (Ok(listed), Ok(found)) = (self.driver.list(), self.driver.recover()) else {
            return Known::default();
        };
        let listed: BTreeSet<VmId> = listed.into_iter().collect();
        self.answering = found.iter().map(|seen| seen.vm).collect();
        let told = |seen: &Seen| SeenState {
            vm: seen.vm,
            state: Some(seen.state),
        };
        let mut states: Vec<SeenState> = found.iter().map(told).collect();
        for &vm in self.known.difference(&listed) {
            // One that was made again since the list was taken is there.
            if !self.answering.contains(&vm) {
                states.push(SeenState { vm, state: None });
            }
            self.rates().forget(vm);
        }
        self.known = listed;
        (self.tell)(Input::Seen { asked, states });
        let runs = |seen: &&Seen| seen.state == VmState::Running;
        let running: Vec<&Seen> = found.iter().filter(runs).collect();
        Known {
            vms: u32::try_from(running.len()).ok(),
            promised_mib: running.iter().map(|vm| vm.mem_mib.map(u64::from)).sum(),
            processes: Vec::new(),
        }
    }

    fn measure(&self, readings: Vec<Reading>) -> Vec<Sample> {
        let mut samples = Vec::new();
        let at = self.clock.now();
        let of_node = self.rates().samples(self.node, None, at, readings);
        samples.extend(of_node);
        self.rates().forget_processes(at);
        for &vm in &self.answering {
            // A VM that cannot be measured now is absent, never zero.
            if let Ok(readings) = self.driver.statistics(vm) {
                let at = self.clock.now();
                samples.extend(self.rates().samples(self.node, Some(vm), at, readings));
            }
            self.bound_console(vm);
        }
        samples
    }

    fn bound_console(&self, vm: VmId) {
        let log = match self.driver.console(vm) {
            Ok(Console::Log { path }) => Some(path),
            Ok(Console::Socket { log, .. }) => log,
            // A VM without a console says nothing.
            Err(_) => None,
        };
        if let Some(log) = log
            && let Err(error) = console::bound(&log)
        {
            eprintln!("bound {}: {error}", log.display());
        }
    }

    fn rates(&self) -> std::sync::MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The agent, its watchdog and the processes of VMs: those that name a file of the node.
fn processes(root: &Path) -> Vec<u32> {
    let root = root.as_os_str().as_bytes();
    let names = |word: &Vec<u8>| word.windows(root.len()).any(|part| part == root);
    let own = std::process::id();
    let all = Process::all();
    let all = all.filter(|process| process.pid == own || process.words().iter().any(names));
    all.map(|process| process.pid).collect()
}

/// The files that are disks of VMs.
fn disks(root: &Path) -> Vec<PathBuf> {
    let within = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let files = within(&root.join("vms")).into_iter();
    let files = files.flat_map(|folder| within(&folder));
    let is_disk = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("raw" | "qcow2" | "luks"))
    };
    files.filter(is_disk).collect()
}
