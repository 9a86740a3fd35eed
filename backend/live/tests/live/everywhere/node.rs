//! A node of one test: its agent, its network, and what a VM leaves there.

use super::room::{Ends, Room};
use crate::incusd::Incusd;
use crate::recipes::make;
use crate::sys::sees_its_network;
use ed25519_dalek::SigningKey;
use image::manifest::hex;
use image::store::Store;
use model::blueprint::Blueprint;
use model::id::{Generation, NodeId, OperationId, VmId};
use model::order::{Order, Scale, Verb};
use model::report::{Outcome, Report};
use model::sample::{Metric, Sample, Subject};
use model::time::Time;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// An emulated guest boots in 4 s alone; with all tests on two cores it takes many times that.
const PATIENCE: Duration = Duration::from_secs(120);

pub const VM: VmId = VmId(7);

/// The guest's address.
pub const ADDRESS: &str = "192.0.2.7";

/// A node in a network namespace of its own; nothing of it outlives a test.
pub struct Node {
    agent: Option<Child>,
    incus: Option<Incusd>,
    /// Keeps the node's network namespace.
    room: Room,
    operations: u64,
    /// Where the guest writes what it says.
    console: PathBuf,
    folder: tempfile::TempDir,
}

impl Node {
    /// A node whose configuration has these lines beside the usual ones.
    pub fn new(lines: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("gw").tempdir_in("/dev/shm");
        let folder = folder.expect("a folder in memory");
        // The tools' own user and containers find their way through.
        let open = fs::Permissions::from_mode(0o711);
        fs::set_permissions(folder.path(), open).expect("our folder");
        let node = Self {
            agent: None,
            incus: None,
            room: Room::new(),
            operations: 0,
            console: folder.path().join("node/driver/vm-7/console.log"),
            folder,
        };
        let config = format!(
            "node = 1\nroot = {:?}\nimages = {:?}\nsigners = [{:?}]\n{lines}\n",
            node.root(),
            node.path("store"),
            hex(key().verifying_key().as_bytes()),
        );
        fs::write(node.path("agent.toml"), config).expect("a configuration");
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.path("node")
    }

    /// Starts an Incus server in the node's network and tells the agent of it.
    pub fn serve_incus(&mut self) {
        let net = format!("--net=/proc/{}/ns/net", self.room.holder());
        let sys = self.path("incus-sys");
        fs::create_dir(&sys).expect("a folder");
        let sees = sees_its_network(&sys);
        let sees = sees.each_ref().map(String::as_str);
        let inside = [&["nsenter", &net][..], &sees].concat();
        let server = Incusd::start(&self.path("incus"), &inside);
        let file = self.path("agent.toml");
        let mut config = fs::read_to_string(&file).expect("a configuration");
        let (socket, logs) = (server.socket(), server.logs());
        config += &format!("[incus]\nsocket = {socket:?}\nlogs = {logs:?}\n");
        fs::write(&file, config).expect("a configuration");
        self.console = logs.join("gridwright_vm-7/console.log");
        self.incus = Some(server);
    }

    fn start(&mut self) {
        let mut log = fs::File::options();
        let log = log.create(true).append(true).open(self.path("agent.log"));
        let sys = self.path("agent-sys");
        fs::create_dir_all(&sys).expect("a folder");
        let sees = sees_its_network(&sys);
        let mut command = self.room.command(&sees.each_ref().map(String::as_str));
        command.arg(env!("CARGO_BIN_EXE_gridwright-agent"));
        command.arg("--config").arg(self.path("agent.toml"));
        let command = command.stdin(Stdio::null()).stderr(log.expect("a log"));
        self.agent = Some(command.spawn().expect("nsenter, of util-linux"));
        wait_for("the agent to answer", || {
            self.ask(&["status"]).status.success()
        });
    }

    fn kill(&mut self) {
        let mut agent = self.agent.take().expect("an agent was started");
        agent.kill().expect("it is killed");
        agent.wait().expect("a child");
    }

    fn ask(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridwright-agent"));
        command
            .arg("--config")
            .arg(self.path("agent.toml"))
            .args(words);
        command.output().expect("it runs")
    }

    /// Sends an order and waits until it is carried out; the reports that came meanwhile.
    fn order(&mut self, verb: Verb) -> String {
        self.operations += 1;
        let shown = format!("{verb:?}");
        let order = Order {
            operation: OperationId(self.operations),
            generation: Generation(1),
            node: NodeId(1),
            vm: VM,
            verb,
            deadline: Time::NEVER,
        };
        let file = self.path("order.json");
        let text = serde_json::to_vec(&order).expect("JSON");
        fs::write(&file, text).expect("an order");
        let run = self.ask(&["order", &file.display().to_string()]);
        assert!(run.status.success(), "{shown}: {run:?}");
        String::from_utf8(run.stdout).expect("reports are JSON")
    }

    /// What the agent says that the VM does; `None`: there is none.
    fn state(&self) -> Option<String> {
        let told = self.ask(&["status"]).stdout;
        let told: Value = serde_json::from_slice(&told).expect("JSON");
        let vm = told["vms"].as_array().expect("VMs").first()?;
        Some(vm["state"].as_str().expect("a state").to_owned())
    }

    pub fn make(&self, recipe: &str) -> String {
        let trusted = vec![key().verifying_key()];
        let store = Store::open(&self.path("store"), trusted, 1 << 30).expect("a store");
        make(recipe, self.folder.path(), &store, &key())
    }

    /// Processes of the guest, by the instant at which they were started: what names both the node's
    /// folder and the VM.
    fn guest(&self) -> Vec<(u64, String)> {
        let folder = self.folder.path().display().to_string();
        let mut found = Vec::new();
        for process in fs::read_dir("/proc").expect("proc").flatten() {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            // Field 22 of proc(5), counted from behind the name.
            let started = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.split(' ').nth(19)?.parse().ok());
            if let Some(started) = started
                && line.contains(&folder)
                && (line.contains("vm-7") || line.contains("uml-7"))
            {
                found.push((started, line));
            }
        }
        found.sort();
        found
    }

    /// Whatever is left of the VM: files, processes, devices and rules.
    fn traces(&self) -> Vec<String> {
        let mut found: Vec<String> = self.guest().into_iter().map(|(_, line)| line).collect();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let shown = path.display().to_string();
                // Incus has of every instance that it deleted a folder and a profile, empty of it.
                let of_incus = ["/incus/run/", "/incus/security/"];
                if of_incus.iter().any(|part| shown.contains(part)) {
                    continue;
                }
                if shown.contains("vm-7") || shown.contains("gw7-") {
                    found.push(shown);
                } else if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                }
            }
        }
        for words in [&["ip", "-o", "link"][..], &["nft", "list", "ruleset"]] {
            let told = self.room.run(words).stdout;
            let told = String::from_utf8_lossy(&told).into_owned();
            let lines = told
                .lines()
                .filter(|line| line.contains("gw7-") || line.contains("gwb1"));
            found.extend(lines.map(str::to_owned));
        }
        if let Some(incus) = &self.incus {
            for list in ["list", "image list"] {
                let words = list.split(' ').chain(["--all-projects", "--format", "csv"]);
                let told = incus.client(&words.collect::<Vec<_>>());
                // The probe of the agent's start may still be under way.
                found.extend(
                    told.lines()
                        .filter(|l| l.contains("vm-7"))
                        .map(str::to_owned),
                );
            }
        }
        found
    }

    /// From create to delete, with the agent killed between.
    pub fn goes_all_the_way(&mut self, blueprint: Blueprint) {
        let console = self.console.clone();
        self.start();
        let plugged = !blueprint.interfaces.is_empty();
        let limited = blueprint.interfaces.iter().any(|i| i.mbps.is_some());
        let blueprint = Box::new(blueprint);
        self.order(Verb::Create { blueprint });
        self.order(Verb::Start);
        let said = || String::from_utf8_lossy(&fs::read(&console).unwrap_or_default()).into_owned();
        let up = "GUEST-UP host=web-7 ";
        wait_for("the guest to be up", || said().contains(up));
        let guest = self.guest();
        self.kill();
        self.start();
        // On a busy machine a guest may answer a later look.
        wait_for("the guest to be found", || {
            self.state().as_deref() == Some("running")
        });
        assert_eq!(self.guest().first(), guest.first(), "another guest runs");
        assert_eq!(said().matches(up).count(), 1, "booted again: {}", said());
        if plugged {
            let neighbour = self.neighbour();
            wait_for("the guest to answer a neighbour", || {
                let ping = ["busybox", "ping", "-c1", "-W2", "-q", ADDRESS];
                neighbour.run(&ping).status.success()
            });
            self.measures_what_flows(&neighbour);
            if limited {
                self.limits_what_is_sent(&neighbour);
            }
        }
        self.order(Verb::Delete);
        assert_eq!(self.state(), None);
        let traces = || self.traces();
        let begun = Instant::now();
        while !traces().is_empty() {
            assert!(begun.elapsed() < PATIENCE, "left over: {:?}", traces());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Pings go through the guest's interface in both directions, and are measured.
    fn measures_what_flows(&mut self, neighbour: &Room) {
        let begun = Instant::now();
        loop {
            let ping = neighbour.run(&["busybox", "ping", "-c2", "-q", ADDRESS]);
            assert!(ping.status.success(), "{ping:?}");
            let told = self.order(Verb::ReportStatistics);
            let samples = told.lines().filter_map(|line| {
                let report: Report = serde_json::from_str(line).expect("a report");
                match report.outcome {
                    Outcome::Sampled { samples } => Some(samples),
                    _ => None,
                }
            });
            let samples: Vec<Sample> = samples.flatten().collect();
            let flows = |metric| {
                let front = Subject::Interface("front".to_owned());
                let mut samples = samples.iter();
                samples.any(|s| s.metric == metric && s.subject == front && s.value > 0.0)
            };
            if flows(Metric::ReceivedPackets) && flows(Metric::SentPackets) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{samples:?}");
        }
    }

    /// A container that may send 1 Mbit/s sends half a megabyte in no less than 4 s once its allowance
    /// of a second is spent, and without the limit in less than half of that.
    fn limits_what_is_sent(&mut self, neighbour: &Room) {
        let sink = ["socat", "-u", "TCP-LISTEN:9", "/dev/null"];
        let _sink = Ends(neighbour.command(&sink).spawn().expect("socat"));
        let incus = self.incus.as_ref().expect("a server of containers");
        let flood = "busybox nc 192.0.2.8 9 </dev/zero >/dev/null 2>&1 &";
        incus.client(&[
            "exec",
            "--project",
            "gridwright",
            "vm-7",
            "--",
            "/bin/sh",
            "-c",
            flood,
        ]);
        let limited = neighbour.seconds_of(500_000, 250_000);
        assert!(limited > 3.6, "{limited} s at 1 Mbit/s");
        let interface = "front".to_owned();
        let mbps = None;
        let scale = Scale::Net { interface, mbps };
        self.order(Verb::Scale { scale });
        let free = neighbour.seconds_of(500_000, 250_000);
        assert!(free < 2.0, "{free} s without a limit");
    }

    /// Somebody in the VM's network.
    fn neighbour(&self) -> Room {
        let neighbour = Room::new();
        let inside = neighbour.holder();
        let node = [
            format!("link add nb0 type veth peer name eth0 netns {inside}"),
            "link set nb0 master gwb1 up".to_owned(),
        ];
        let own = ["address add 192.0.2.8/24 dev eth0", "link set eth0 up"];
        let own = own.map(str::to_owned);
        for (room, lines) in [(&self.room, node), (&neighbour, own)] {
            for line in lines {
                let words: Vec<&str> = ["ip"].into_iter().chain(line.split(' ')).collect();
                let run = room.run(&words);
                assert!(run.status.success(), "{line}: {run:?}");
            }
        }
        neighbour
    }
}

/// Whatever a failed test leaves running ends with its node.
impl Drop for Node {
    fn drop(&mut self) {
        if thread::panicking() {
            for log in [&self.path("agent.log"), &self.console] {
                let said = fs::read(log).unwrap_or_default();
                eprintln!("{}", String::from_utf8_lossy(&said));
            }
        }
        if let Some(mut agent) = self.agent.take() {
            agent.kill().ok();
            agent.wait().ok();
        }
        self.ask(&["halt", "7"]);
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
