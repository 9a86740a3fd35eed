//! A node whose VMs are built of signed images and booted by QEMU, by orders to its agent.

use crate::recipes::make;
use ed25519_dalek::SigningKey;
use image::manifest::{hex, signing_key};
use image::store::Store;
use model::blueprint::{
    Blueprint, BootLoader, Customisation, Disk, Encryption, Format, Interface, Partition,
    PartitionTable,
};
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::{Generation, KeyId, NetworkId, NodeId, OperationId, TenantId, VmId};
use model::order::{Order, Verb};
use model::time::Time;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// An emulated guest boots in 4 s alone; with all tests on two cores it takes many times that.
const PATIENCE: Duration = Duration::from_secs(120);

/// The key of encrypted disks, unless a test says otherwise.
pub const KEY: KeyId = KeyId(5);

/// A node in a network namespace of its own; nothing of it outlives a test.
pub struct Node {
    folder: tempfile::TempDir,
    images: [String; 2],
    agent: Child,
    operations: u64,
    /// The keys that come with its orders.
    pub keys: Vec<KeyId>,
}

impl Node {
    /// Starts an agent that takes images of the small system and its kernel from a folder.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("gw").tempdir_in("/dev/shm");
        let folder = folder.expect("a folder in memory");
        image::sandbox::let_through(folder.path()).expect("our folder");
        let key = SigningKey::from_bytes(&[7; 32]);
        let images = folder.path().join("store");
        let store = Store::open(&images, vec![key.verifying_key()], 1 << 30).expect("a store");
        let made = ["busybox", "linux"].map(|name| make(name, folder.path(), &store, &key));
        Self::taking(folder, &images, &key, made)
    }

    /// Another node, which takes the images that this one has saved.
    pub fn beside(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("gw").tempdir_in("/dev/shm");
        let folder = folder.expect("a folder in memory");
        image::sandbox::let_through(folder.path()).expect("our folder");
        let key = signing_key(&self.root().join("signing.key")).expect("the node's key");
        Self::taking(
            folder,
            &self.root().join("images"),
            &key,
            self.images.clone(),
        )
    }

    fn taking(
        folder: tempfile::TempDir,
        images: &Path,
        signer: &SigningKey,
        made: [String; 2],
    ) -> Self {
        let config = format!(
            "node = 1\nroot = {:?}\ndriver = \"qemu\"\nplugging = \"tap\"\nimages = {images:?}\n\
             signers = [{:?}]\n",
            folder.path().join("node"),
            hex(signer.verifying_key().as_bytes()),
        );
        fs::write(folder.path().join("agent.toml"), config).expect("a configuration");
        let agent = spawn(folder.path());
        let node = Self {
            folder,
            images: made,
            agent,
            operations: 0,
            keys: vec![KEY],
        };
        node.hears();
        node
    }

    fn hears(&self) {
        let socket = self.root().join("agent.sock");
        self.wait_for("the agent to listen", || {
            UnixStream::connect(&socket).is_ok().then_some(())
        });
    }

    /// Kills the agent at once.
    pub fn kill(&mut self) {
        self.agent.kill().expect("it is killed");
        self.agent.wait().expect("a child");
    }

    /// Starts the next one.
    pub fn start(&mut self) {
        self.agent = spawn(self.folder.path());
        self.hears();
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    /// Sends an order by the agent's own command and waits until it is carried out.
    pub fn order(&mut self, vm: VmId, verb: Verb) {
        let shown = format!("{verb:?}");
        self.try_order(vm, verb)
            .unwrap_or_else(|told| panic!("{shown}: {told}"));
    }

    /// The same; else what it told.
    pub fn try_order(&mut self, vm: VmId, verb: Verb) -> Result<String, String> {
        self.write_order(vm, verb);
        self.repeat()
    }

    /// Sends an order and does not wait.
    pub fn begin(&mut self, vm: VmId, verb: Verb) -> Child {
        self.write_order(vm, verb);
        let mut command = self.order_command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("it runs")
    }

    /// Sends the last order again and waits until it is carried out.
    pub fn repeat(&self) -> Result<String, String> {
        let run = self.order_command().output().expect("it runs");
        let told = [run.stdout, run.stderr].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        match run.status.success() {
            true => Ok(told),
            false => Err(told),
        }
    }

    fn order_command(&self) -> Command {
        let mut command = self.command("order");
        command.arg(self.folder.path().join("order.json"));
        command
    }

    /// The agent's own command of a name.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridwright-agent"));
        let config = self.folder.path().join("agent.toml");
        command.arg("--config").arg(config).arg(name);
        command
    }

    /// What the agent would do for an order, and the calls that it has made.
    pub fn shown(&mut self, vm: VmId, verb: Verb) -> String {
        self.write_order(vm, verb);
        let mut dry_run = self.command("dry-run");
        dry_run.arg(self.folder.path().join("order.json"));
        let shown = [dry_run, self.command("log")].map(|mut command| {
            let run = command.output().expect("it runs");
            assert!(run.status.success(), "{run:?}");
            String::from_utf8_lossy(&run.stdout).into_owned()
        });
        shown.concat()
    }

    fn write_order(&mut self, vm: VmId, verb: Verb) {
        self.operations += 1;
        let order = Order {
            operation: OperationId(self.operations),
            generation: Generation(1),
            node: NodeId(1),
            vm,
            verb,
            deadline: Time::NEVER,
        };
        let file = self.folder.path().join("order.json");
        let keys = self.keys.iter();
        let keys: Vec<_> = keys.map(|&key| (key, hex(&key_bytes(key)))).collect();
        let text: Value = json!({ "order": order, "keys": keys });
        fs::write(&file, text.to_string()).expect("an order");
    }

    /// Saves the first disk of a VM as an image; the image's id.
    pub fn save(&mut self, vm: VmId, name: &str) -> String {
        let saved = self.save_disks(vm, name, &[]);
        saved.into_values().next().expect("its id is told")
    }

    /// Saves disks of a VM as images; their ids by the disks' names.
    pub fn save_disks(&mut self, vm: VmId, name: &str, disks: &[&str]) -> BTreeMap<String, String> {
        let name = name.to_owned();
        let disks = disks.iter().map(|&disk| disk.to_owned()).collect();
        let told = self.try_order(vm, Verb::SaveImage { name, disks });
        let told = told.expect("it is saved");
        let saved = told.split(r#""what":"saved","disk":""#).skip(1);
        let saved = saved.filter_map(|report| report.split_once(r#"","image":""#));
        let ids = saved.map(|(disk, rest)| (disk.to_owned(), rest[..64].to_owned()));
        ids.collect()
    }

    pub fn console(&self, vm: VmId) -> String {
        let path = format!("driver/vm-{}/console.log", vm.0);
        let bytes = fs::read(self.root().join(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Types at a guest's console, once its shell asks for it: a line that comes sooner may be cut.
    pub fn type_in(&self, vm: VmId, text: &str) {
        self.says(vm, "/ # ");
        let path = self.root().join(format!("driver/vm-{}/console", vm.0));
        let mut console = UnixStream::connect(path).expect("a console");
        console.write_all(text.as_bytes()).expect("it is read");
        // What is typed is lost where the line is cut before the guest has it.
        let (begun, mut echo) = (Instant::now(), [0]);
        console.set_read_timeout(Some(PATIENCE)).expect("a socket");
        // A shell breaks long lines: the end of this one comes after all of its letters.
        let mut letters = text.bytes().filter(|byte| !byte.is_ascii_control());
        let mut next = letters.next();
        while begun.elapsed() < PATIENCE && matches!(console.read(&mut echo), Ok(1)) {
            match next {
                Some(letter) if letter == echo[0] => next = letters.next(),
                None if echo == *b"\n" => break,
                _ => {}
            }
        }
    }

    /// Waits until a guest has said something; all that it has said then.
    pub fn says(&self, vm: VmId, text: &str) -> String {
        self.wait_for(text, || {
            Some(self.console(vm)).filter(|console| console.contains(text))
        })
    }

    /// Waits until a guest has come up so often; what it says then.
    pub fn boots(&self, vm: VmId, times: usize) -> String {
        self.wait_for("the guest to be up", || {
            let console = self.console(vm);
            let mut lines = console.lines().filter(|line| line.contains("root=ext4"));
            lines.nth(times - 1).map(str::to_owned)
        })
    }

    /// The devices of the node's network.
    pub fn links(&self) -> String {
        let pid = self.agent.id().to_string();
        let mut command = Command::new("nsenter");
        let run = command
            .args(["--net", "--target", &pid, "ip", "-o", "link"])
            .output();
        let run = run.expect("nsenter and ip");
        assert!(run.status.success(), "{run:?}");
        String::from_utf8_lossy(&run.stdout).into_owned()
    }

    /// All files of the node but its store.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder").flatten() {
                let path = entry.path();
                match path.is_dir() {
                    true if path != self.root().join("images") => folders.push(path),
                    true => {}
                    false => drop(files.insert(path)),
                }
            }
        }
        files
    }

    /// Processes that name a file of the node's VMs.
    pub fn processes(&self) -> Vec<String> {
        let root = self.root().display().to_string();
        let lines = fs::read_dir("/proc").expect("proc").flatten();
        let lines = lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| line.contains(&root)).collect()
    }

    pub fn wait_for<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = found() {
                return found;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "waited for {what}; consoles: {:?}",
                [7, 8, 9].map(|vm| self.console(VmId(vm)))
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn blueprint(
        &self,
        vm: VmId,
        boot: BootLoader,
        encryption: Option<Encryption>,
    ) -> Blueprint {
        let [system, linux] = self.images.clone();
        Blueprint {
            vm,
            tenant: TenantId(1),
            name: format!("web-{}", vm.0),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            virtualisation: Virtualisation::Full,
            cpus: 1,
            max_cpus: 1,
            mem_mib: 256,
            max_mem_mib: 256,
            boot,
            kernel_arguments: "console=ttyS0 quiet panic=-1".to_owned(),
            disks: vec![Disk {
                name: "root".to_owned(),
                size_mib: 96,
                image: Some(system),
                table: PartitionTable::Gpt,
                partitions: vec![Partition {
                    name: "root".to_owned(),
                    size_mib: None,
                    format: Format::Ext4,
                    block_bytes: None,
                    mount: Some("/".to_owned()),
                    bootable: true,
                }],
                shared_base: false,
                encryption,
                iops: None,
                mibps: None,
                extents: Vec::new(),
            }],
            interfaces: vec![Interface {
                name: "front".to_owned(),
                network: NetworkId(1),
                mac: [0x52, 0x54, 0, 0, 0, vm.0 as u8],
                addresses: vec![([192, 0, 2, vm.0 as u8].into(), 24)],
                gateway: None,
                mbps: None,
                allowed: Vec::new(),
            }],
            customisation: Customisation {
                add: vec![linux],
                ..Customisation::default()
            },
            highly_available: false,
        }
    }
}

/// What a key is: no text, as what a generator gives is none.
pub fn key_bytes(KeyId(key): KeyId) -> [u8; 32] {
    let mut bytes = [0xe6 + key as u8; 32];
    bytes[7] = 0;
    bytes[8] = b'\n';
    bytes
}

/// Whatever a failed test leaves running ends with its node.
impl Drop for Node {
    fn drop(&mut self) {
        drop(self.agent.kill());
        drop(self.agent.wait());
        for vm in [7, 8, 9] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_gridwright-agent"));
            command
                .arg("--config")
                .arg(self.folder.path().join("agent.toml"));
            command
                .args(["halt", &vm.to_string()])
                .stderr(Stdio::null());
            drop(command.status());
        }
        // Bases may be changed by nobody, so that no folder with one can be removed.
        let mut command = Command::new("chattr");
        command.args(["-R", "-f", "-i"]).arg(self.root());
        drop(command.stderr(Stdio::null()).status());
    }
}

fn spawn(folder: &Path) -> Child {
    let mut command = Command::new("unshare");
    command.args(["--net", env!("CARGO_BIN_EXE_gridwright-agent"), "--config"]);
    command.arg(folder.join("agent.toml"));
    command.stdin(Stdio::null()).spawn().expect("unshare")
}
