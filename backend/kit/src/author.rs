//! A driver program and machines for it, as its author names them.

use crate::conformance::Subject;
use crate::raw::{Outsider, PATIENCE};
use agent::driver::{Console, Driver};
use agent::machine::Machine;
use drivers::outside::{Limits, Outside, Program};
use model::id::VmId;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// A driver program under test.
#[derive(Debug)]
pub struct Author {
    /// The program.
    pub program: Program,
    /// Called with a VM's number and a folder: makes what the VM needs, and prints the machine.
    pub machine: PathBuf,
    /// What a guest writes to its console once it is up; `None`: it is up when it runs.
    pub marker: Option<String>,
    /// Where machines and images go.
    pub scratch: PathBuf,
}

impl Author {
    /// A driver program over a scratch folder.
    pub fn new(path: PathBuf, machine: PathBuf, scratch: PathBuf) -> Self {
        Self {
            program: Program {
                path,
                arguments: Vec::new(),
                folder: scratch.join("driver"),
                limits: Limits::default(),
            },
            machine,
            marker: None,
            scratch,
        }
    }
}

impl Subject for Author {
    fn driver(&self) -> Box<dyn Driver> {
        let started = Outside::start(self.program.clone());
        Box::new(started.unwrap_or_else(|error| panic!("{error}")))
    }

    fn machine(&self, vm: VmId) -> Machine {
        let folder = self.scratch.join(format!("machine-{}", vm.0));
        fs::create_dir_all(&folder).expect("a folder for the machine");
        let made = Command::new(&self.machine)
            .arg(vm.0.to_string())
            .arg(&folder)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.machine.display()));
        let told = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{}: {told}", self.machine.display());
        serde_json::from_slice(&made.stdout).unwrap_or_else(|error| {
            panic!("{} printed no machine: {error}", self.machine.display())
        })
    }

    fn wait_booted(&self, vm: VmId) {
        let Some(marker) = &self.marker else { return };
        let console = self.driver().console(vm).expect("a console");
        let Console::Log { path } = console else {
            panic!("a marker is looked for in a log, and the console is {console:?}");
        };
        let begun = Instant::now();
        while !fs::read_to_string(&path).is_ok_and(|said| said.contains(marker)) {
            assert!(
                begun.elapsed() < PATIENCE,
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

impl Outsider for Author {
    fn program(&self) -> Program {
        self.program.clone()
    }
}
