//! A driver under test and machines for it, as its author names them.

use crate::conformance::Subject;
use crate::raw::Outsider;
use agent::driver::{Console, Driver, DriverError};
use agent::machine::Machine;
use drivers::outside::{Limits, Outside, Program};
use drivers::qemu::Qemu;
use drivers::uml::Uml;
use drivers::xen::Xen;
use model::id::VmId;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Where a driver's machines come from, and how it is seen that they have booted.
#[derive(Clone, Debug)]
pub struct Machines {
    /// Called with a VM's number and a folder: makes what the VM needs, and prints the machine.
    pub maker: PathBuf,
    /// What a guest writes to its console once it is up; `None`: it is up when it runs.
    pub marker: Option<String>,
    /// How long a guest may take until then.
    pub patience: Duration,
    /// Where machines and images go.
    pub scratch: PathBuf,
}

/// A driver program under test.
#[derive(Debug)]
pub struct Author {
    /// The program.
    pub program: Program,
    /// Its machines.
    pub machines: Machines,
}

impl Author {
    /// A driver program over the scratch folder of its machines.
    pub fn new(path: PathBuf, machines: Machines) -> Self {
        Self {
            program: Program {
                path,
                arguments: Vec::new(),
                folder: machines.scratch.join("driver"),
                limits: Limits::default(),
            },
            machines,
        }
    }
}

/// A driver of the agent's own under test, where its hypervisor is.
#[derive(Debug)]
pub struct BuiltIn {
    name: String,
    machines: Machines,
}

impl BuiltIn {
    /// Names of those that can be tried.
    pub const KNOWN: [&str; 3] = ["qemu", "uml", "xen"];

    /// A driver by its name, over the scratch folder of its machines.
    pub fn new(name: &str, machines: Machines) -> Self {
        let name = name.to_owned();
        Self { name, machines }
    }

    fn open(&self, folder: &Path) -> Result<Box<dyn Driver>, DriverError> {
        Ok(match self.name.as_str() {
            "qemu" => Box::new(Qemu::open(folder)?),
            "uml" => Box::new(Uml::open(folder, Path::new("/usr/bin/linux.uml"))?),
            "xen" => Box::new(Xen::open(folder, "xl")?),
            other => panic!("{other} is none of {}", Self::KNOWN.join(", ")),
        })
    }
}

impl Machines {
    fn make(&self, vm: VmId) -> Machine {
        let folder = self.scratch.join(format!("machine-{}", vm.0));
        fs::create_dir_all(&folder).expect("a folder for the machine");
        let made = Command::new(&self.maker)
            .arg(vm.0.to_string())
            .arg(&folder)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.maker.display()));
        let told = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{}: {told}", self.maker.display());
        serde_json::from_slice(&made.stdout)
            .unwrap_or_else(|error| panic!("{} printed no machine: {error}", self.maker.display()))
    }

    fn wait_booted(&self, driver: &dyn Driver, vm: VmId) {
        let Some(marker) = &self.marker else { return };
        let console = driver.console(vm).expect("a console");
        let Console::Log { path } = console else {
            panic!("a marker is looked for in a log, and the console is {console:?}");
        };
        let begun = Instant::now();
        let said = || fs::read(&path).unwrap_or_default();
        while !String::from_utf8_lossy(&said()).contains(marker) {
            assert!(
                begun.elapsed() < self.patience,
                "{marker} is not in {}",
                path.display()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn image_file(&self, vm: VmId) -> PathBuf {
        self.scratch.join(format!("image-{}", vm.0))
    }
}

impl Subject for Author {
    fn driver(&self) -> Box<dyn Driver> {
        let started = Outside::start(self.program.clone());
        Box::new(started.unwrap_or_else(|error| panic!("{error}")))
    }

    fn machine(&self, vm: VmId) -> Machine {
        self.machines.make(vm)
    }

    fn wait_booted(&self, vm: VmId) {
        self.machines.wait_booted(&*self.driver(), vm);
    }

    fn image_file(&self, vm: VmId) -> PathBuf {
        self.machines.image_file(vm)
    }
}

impl Subject for BuiltIn {
    fn driver(&self) -> Box<dyn Driver> {
        let opened = self.open(&self.machines.scratch.join("driver"));
        opened.unwrap_or_else(|error| panic!("{error}"))
    }

    fn machine(&self, vm: VmId) -> Machine {
        self.machines.make(vm)
    }

    fn wait_booted(&self, vm: VmId) {
        self.machines.wait_booted(&*self.driver(), vm);
    }

    fn image_file(&self, vm: VmId) -> PathBuf {
        self.machines.image_file(vm)
    }
}

impl Outsider for Author {
    fn program(&self) -> Program {
        self.program.clone()
    }
}
