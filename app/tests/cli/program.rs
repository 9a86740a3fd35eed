//! Runs the binary, in a folder of its own with small inputs of our own.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Two nodes of 4 cores and 8 GiB.
pub const GRID: &str = r#"
[[node]]
name = "small"
count = 2
cpu_cores = 4
mem_gib = 8
hypervisor = "qemu"
"#;

/// First fit puts a, b and e on the first node and c on the second; d finds both full.
pub const TRACE: &str = "\
vm_id,start_s,duration_s,vcpu,memory_gb
a,0,100,2,4
b,10,50,2,4
c,20,30,4,8
d,25,10,1,1
e,60,10,2,4
";

/// How a run of the binary ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Standard output as one JSON value.
    pub fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            err: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }
}

/// A folder with a trace and a grid, removed at the end of the test.
pub struct Place(TempDir);

impl Place {
    /// With [`TRACE`] as `trace.csv` and [`GRID`] as `grid.toml`.
    pub fn new() -> Self {
        let place = Self(TempDir::new().expect("a temporary folder can be made"));
        place.put("trace.csv", TRACE);
        place.put("grid.toml", GRID);
        place
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn put(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("the temporary folder can be written");
    }

    /// The binary, to be run in this folder.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(self.path());
        command
    }

    /// Runs the binary with these words.
    pub fn run(&self, words: &str) -> Ran {
        let mut command = self.command();
        command.args(words.split_whitespace());
        command.output().expect("the binary can be run").into()
    }

    /// Runs `simulate` on the trace and the grid of this folder with these further words.
    pub fn simulate(&self, words: &str) -> Ran {
        self.run(&format!(
            "simulate --trace trace.csv --grid grid.toml {words}"
        ))
    }

    /// Names in a folder here, hidden ones too, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path().join(folder)).expect("the folder is there");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let name = entry.expect("the folder can be read").file_name();
            name.into_string().expect("names are UTF-8")
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }
}

pub fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_gridwright"))
}

/// A file of this repository.
pub fn asset(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../assets")
        .join(path)
}
