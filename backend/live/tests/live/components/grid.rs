//! A node whose guests are the VMs of a design, and somebody outside who calls them.

use crate::network::node::Room;
use crate::recipes::kept;
use agent::naming::bridge_name;
use ed25519_dalek::SigningKey;
use image::manifest::hex;
use image::publish::{Published, publish};
use image::store::Store;
use model::blueprint::{
    Blueprint, BootLoader, Customisation, Disk, Format, Interface, Partition, PartitionTable,
};
use model::configuration::Configuration;
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::{Generation, KeyId, NetworkId, NodeId, OperationId, TenantId, VmId};
use model::order::{Order, Verb};
use model::time::Time;
use recipe::outfit::Outfit;
use recipe::site::Instance;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Six emulated guests boot in two minutes alone; on a busy machine it takes many times that.
pub const PATIENCE: Duration = Duration::from_secs(1_200);

/// The key of all passwords of the design.
pub const PASSWORD_KEY: KeyId = KeyId(100);
/// The password itself.
pub const PASSWORD: &str = "5f2d9c71b0e84a36";

/// What the guests are made of: a system, and a kernel.
const IMAGES: [&str; 2] = ["services", "linux"];

/// A node with an agent, and a room that is plugged into its VMs' network: the outside.
pub struct Grid {
    folder: tempfile::TempDir,
    images: [String; 2],
    agent: Child,
    room: Room,
    outside: Room,
    operations: AtomicU64,
}

impl Grid {
    pub fn new() -> Self {
        Self::of(IMAGES)
    }

    /// One whose guests are made of these images: a system, and a kernel.
    pub fn of(names: [&str; 2]) -> Self {
        let folder = tempfile::Builder::new().prefix("gw").tempdir_in("/dev/shm");
        let folder = folder.expect("a folder in memory");
        image::sandbox::let_through(folder.path()).expect("our folder");
        let key = key();
        let (store, images) = kept(&key, names);
        let file = folder.path().join("agent.toml");
        let config = format!(
            "node = 1\nroot = {:?}\ndriver = \"qemu\"\nplugging = \"tap\"\nimages = {store:?}\n\
             signers = [{:?}]\n",
            folder.path().join("node"),
            hex(key.verifying_key().as_bytes()),
        );
        fs::write(&file, config).expect("a configuration");
        let room = Room::new();
        let program = env!("CARGO_BIN_EXE_gridwright-agent");
        let mut agent = room.command(&format!("{program} --config {}", file.display()));
        let grid = Self {
            folder,
            images,
            agent: agent.stdin(Stdio::null()).spawn().expect("nsenter"),
            room,
            outside: Room::new(),
            operations: AtomicU64::new(0),
        };
        let socket = grid.root().join("agent.sock");
        wait_for("the agent to listen", || socket.exists().then_some(()));
        grid
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    fn agent_command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridwright-agent"));
        let config = self.folder.path().join("agent.toml");
        command.arg("--config").arg(config);
        command
    }

    /// Sends an order as a controller does, and waits for its end; else what it told.
    pub fn try_order(&self, vm: VmId, verb: Verb) -> Result<(), String> {
        let operation = self.operations.fetch_add(1, Ordering::Relaxed) + 1;
        let order = Order {
            operation: OperationId(operation),
            generation: Generation(1),
            node: NodeId(1),
            vm,
            verb,
            deadline: Time::NEVER,
        };
        let file = self.folder.path().join(format!("order-{operation}.json"));
        let keys = [(PASSWORD_KEY, hex(PASSWORD.as_bytes()))];
        let text = json!({ "order": order, "keys": keys }).to_string();
        fs::write(&file, text).expect("an order");
        let run = self.agent_command().arg("order").arg(&file).output();
        let run = run.expect("it runs");
        fs::remove_file(&file).expect("the order");
        match run.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned()),
        }
    }

    /// An order that must be carried out.
    pub fn order(&self, vm: VmId, verb: Verb) {
        let shown = format!("{verb:?}");
        let done = self.try_order(vm, verb);
        done.unwrap_or_else(|told| panic!("{vm}: {told}\n{shown}\n{}", self.console(vm)));
    }

    /// Configures a guest; one that takes longer to boot than the agent waits for is asked again.
    pub fn configure(&self, vm: VmId, configuration: Configuration) {
        let configuration = Box::new(configuration);
        let verb = Verb::Configure { configuration };
        wait_for("the guest's agent", || {
            match self.try_order(vm, verb.clone()) {
                Ok(()) => Some(()),
                Err(told) if told.contains("an agent in the guest") => None,
                Err(told) => panic!("{vm}: {told}\n{verb:?}\n{}", self.console(vm)),
            }
        });
    }

    /// Makes, starts and configures VMs, all at a time.
    pub fn bring_up<'o>(&self, vms: impl Iterator<Item = (&'o Instance, &'o Outfit)>) {
        thread::scope(|scope| {
            for (instance, outfit) in vms {
                scope.spawn(move || {
                    let blueprint = Box::new(self.blueprint(instance, outfit));
                    self.order(instance.vm, Verb::Create { blueprint });
                    self.order(instance.vm, Verb::Start);
                    self.configure(instance.vm, outfit.configuration());
                });
            }
        });
        self.plug_outside();
    }

    /// Runs a line in a guest's shell, by an order; else what it told.
    pub fn run(&self, vm: VmId, line: &str) -> Result<(), String> {
        let configuration = Box::new(Configuration {
            apply: vec![line.to_owned()],
            ..Configuration::default()
        });
        self.try_order(vm, Verb::Configure { configuration })
    }

    fn plug_outside(&self) {
        let bridge = bridge_name(NetworkId(1));
        self.room.cable("outside", &self.outside, "in");
        let plug = format!("ip link set outside master {bridge} up");
        self.room.run(&plug);
        self.outside.run("ip address add 10.0.0.200/24 dev in");
        self.outside.run("ip link set in up");
    }

    /// A connection from the outside, which waits so many seconds for somebody to take it.
    pub fn call(&self, vm: VmId, port: u16, seconds: u32) -> Child {
        let target = format!("TCP:10.0.0.{}:{port},connect-timeout={seconds}", vm.0);
        let mut command = self.outside.command(&format!("socat -t60 - {target}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::null()).spawn().expect("socat")
    }

    fn console(&self, vm: VmId) -> String {
        let path = format!("driver/vm-{}/console.log", vm.0);
        let bytes = fs::read(self.root().join(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn blueprint(&self, instance: &Instance, outfit: &Outfit) -> Blueprint {
        assert_eq!(outfit.image, IMAGES[0], "the one image of all components");
        let mut blueprint = self.guest(instance.vm, &instance.name);
        let data = outfit.data.iter();
        let data = data.map(|mount| disk("data", 256, None, mount));
        blueprint.disks.extend(data);
        let addresses = instance.addresses.iter().map(|ip| (*ip, 24));
        blueprint.interfaces[0].addresses = addresses.collect();
        blueprint
    }

    /// A VM of the images, with one disk and one interface.
    pub fn guest(&self, vm: VmId, name: &str) -> Blueprint {
        let [system, linux] = self.images.clone();
        Blueprint {
            vm,
            tenant: TenantId(1),
            name: name.to_owned(),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            virtualisation: Virtualisation::Full,
            cpus: 1,
            max_cpus: 1,
            mem_mib: 256,
            max_mem_mib: 256,
            boot: BootLoader::Extlinux,
            kernel_arguments: "console=ttyS0 quiet panic=-1".to_owned(),
            disks: vec![disk("root", 1_200, Some(system), "/")],
            interfaces: vec![Interface {
                name: "front".to_owned(),
                network: NetworkId(1),
                mac: [0x52, 0x54, 0, 0, 0, vm.0 as u8],
                addresses: Vec::new(),
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

    /// Publishes the first disk of a VM as one in which cloud-init runs; the node has the image then.
    pub fn publish(&self, vm: VmId) -> String {
        let key = key();
        let store = Store::open(
            &self.root().join("images"),
            vec![key.verifying_key()],
            2 << 30,
        );
        let published = Published {
            name: "published".to_owned(),
            version: "1".to_owned(),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            cloud_init: true,
            most_bytes: 2 << 30,
        };
        let disk = self.root().join(format!("vms/vm-{}/root.raw", vm.0));
        let store = (&store.expect("the node's store"), &key);
        let watch = &agent::watch::Unwatched;
        let image = publish(&disk, &published, self.folder.path(), store, watch);
        image.expect("an image").id
    }

    /// Where the password is on the node, in files but those of guests' disks, and in arguments.
    pub fn leaks(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder").flatten() {
                let path = entry.path();
                let ending = path.extension().and_then(|ending| ending.to_str());
                let is_disk = matches!(ending, Some("raw" | "qcow2"));
                match path.is_dir() {
                    true if path != self.root().join("images") => folders.push(path),
                    false if path.is_file() && !is_disk => files.push(path),
                    _ => {}
                }
            }
        }
        assert!(
            files.iter().any(|path| path.ends_with("journal")),
            "{files:?}"
        );
        let processes = fs::read_dir("/proc").expect("proc").flatten();
        files.extend(processes.map(|entry| entry.path().join("cmdline")));
        files.retain(|path| {
            let bytes = fs::read(path).unwrap_or_default();
            let mut windows = bytes.windows(PASSWORD.len());
            windows.any(|window| window == PASSWORD.as_bytes())
        });
        files
    }
}

/// Whatever a failed test leaves running ends with its node.
impl Drop for Grid {
    fn drop(&mut self) {
        drop(self.agent.kill());
        drop(self.agent.wait());
        for vm in 10..20 {
            let mut command = self.agent_command();
            command.args(["halt", &vm.to_string()]);
            drop(command.stderr(Stdio::null()).status());
        }
        // Bases may be changed by nobody, so that no folder with one can be removed.
        let mut command = Command::new("chattr");
        command.args(["-R", "-f", "-i"]).arg(self.root());
        drop(command.stderr(Stdio::null()).status());
    }
}

fn disk(name: &str, size_mib: u64, image: Option<String>, mount: &str) -> Disk {
    let bootable = image.is_some();
    Disk {
        name: name.to_owned(),
        size_mib,
        image,
        table: match bootable {
            true => PartitionTable::Gpt,
            false => PartitionTable::None,
        },
        partitions: vec![Partition {
            name: name.to_owned(),
            size_mib: None,
            format: Format::Ext4,
            block_bytes: None,
            mount: Some(mount.to_owned()),
            bootable,
        }],
        shared_base: bootable,
        encryption: None,
        iops: None,
        mibps: None,
        extents: Vec::new(),
    }
}

/// Who signs the images.
fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited for {what}");
        thread::sleep(Duration::from_millis(100));
    }
}
