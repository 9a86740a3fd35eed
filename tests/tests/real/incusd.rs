//! An Incus server for one test, with nothing of the machine's own.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

/// It takes a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A server and its folder; it ends with its test.
pub struct Incusd {
    folder: PathBuf,
    daemon: Child,
}

impl Incusd {
    /// Starts a server behind these words, as `nsenter …`, that keeps all it has in a folder; it has
    /// one storage pool, `default`.
    pub fn start(folder: &Path, inside: &[&str]) -> Self {
        fs::create_dir(folder).expect("the server's folder");
        let log = File::create(folder.with_extension("log")).expect("a log");
        let words = [inside, &["/usr/libexec/incus/incusd"]].concat();
        let daemon = Command::new(words[0])
            .args(&words[1..])
            .env("INCUS_DIR", folder)
            .env("PATH", "/usr/libexec/incus:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("incusd, of the package incus");
        let folder = folder.to_owned();
        let server = Self { folder, daemon };
        let begun = Instant::now();
        while !server.ask(&["list"]).status.success() {
            assert!(begun.elapsed() < LIMIT, "incusd does not answer");
            thread::sleep(Duration::from_millis(50));
        }
        server.client(&["storage", "create", "default", "dir"]);
        server
    }

    /// The socket of its REST interface.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("unix.socket")
    }

    /// The folder of its logs.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// Runs Incus's own client, as another user of the server would.
    pub fn client(&self, words: &[&str]) -> String {
        let out = self.ask(words);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "incus {words:?}: {said}");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn ask(&self, words: &[&str]) -> std::process::Output {
        let client = Command::new("incus")
            .args(words)
            .env("INCUS_DIR", &self.folder)
            .env("HOME", self.folder.with_extension("client"))
            .output();
        client.expect("incus, of the package incus-client")
    }
}

/// The server ends, and with it whatever a failed test left running.
impl Drop for Incusd {
    fn drop(&mut self) {
        let left = self.ask(&[
            "list",
            "--all-projects",
            "--format",
            "csv",
            "--columns",
            "en",
        ]);
        for line in String::from_utf8_lossy(&left.stdout).lines() {
            if let Some((project, name)) = line.split_once(',') {
                self.ask(&["delete", "--force", "--project", project, name]);
            }
        }
        self.ask(&["admin", "shutdown", "--timeout", "20"]);
        self.daemon.kill().ok();
        self.daemon.wait().ok();
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let own = self.folder.display().to_string();
        for mount in mounts.lines().rev() {
            let point = mount.split(' ').nth(1).unwrap_or_default();
            if point.starts_with(&own) {
                Command::new("umount").args(["--lazy", point]).output().ok();
            }
        }
    }
}
