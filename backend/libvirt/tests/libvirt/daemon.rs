//! A libvirt of a test's own, in a mount namespace, so that several run on one machine.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use virt::connect::Connect;
use virt::domain::Domain;

/// Its first connection; it then asks each QEMU for all that it can do.
const PATIENCE: Duration = Duration::from_secs(180);

/// Binds its folders over those of a libvirt of the system. What it learns of QEMU is kept between
/// runs, for it takes long and libvirt itself sees when it is old.
const SCRIPT: &str = "mount --make-rprivate / && mkdir -p /etc/libvirt /var/lib/libvirt \
    /var/log/libvirt /var/cache/libvirt && mount --bind \"$1/run\" /run && \
    for name in lib log; do mount --bind \"$1/$name\" /var/$name/libvirt || exit; done && \
    mount --bind \"$2\" /var/cache/libvirt && mount --bind \"$1/etc\" /etc/libvirt && \
    mkdir -p /run/libvirt && exec libvirtd";

/// A libvirt of a test's own; its domains and itself end with it.
pub struct Daemon {
    folder: PathBuf,
    cache: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts one that keeps its files below a folder.
    pub fn start(folder: &Path) -> Self {
        let folder = folder.join("libvirt");
        for name in ["run", "lib", "etc", "log"] {
            fs::create_dir_all(folder.join(name)).expect("a folder");
        }
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libvirt-cache");
        fs::create_dir_all(&cache).expect("a folder");
        // Neither users, namespaces nor groups of processes of the system are needed or touched.
        let settings = "user = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\n\
                        stdio_handler = \"file\"\nnamespaces = [ ]\ncgroup_controllers = [ ]\n";
        fs::write(folder.join("etc/qemu.conf"), settings).expect("settings");
        let access = "unix_sock_group = \"root\"\nauth_unix_rw = \"none\"\n";
        fs::write(folder.join("etc/libvirtd.conf"), access).expect("settings");
        let child = spawn(&folder, &cache);
        let daemon = Self {
            folder,
            cache,
            child,
        };
        daemon.wait();
        daemon
    }

    fn wait(&self) {
        let begun = Instant::now();
        let open = || Connect::open(Some(&self.uri("qemu:///system")));
        while open().and_then(|mut line| line.close()).is_err() {
            assert!(
                begun.elapsed() < PATIENCE,
                "libvirtd does not answer; install libvirt-daemon-system: {:?}",
                fs::read_to_string(self.folder.join("libvirtd.log"))
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts it again after [`Self::kill`].
    pub fn restart(&mut self) {
        self.child = spawn(&self.folder, &self.cache);
        self.wait();
    }

    /// A URI of this libvirt.
    pub fn uri(&self, uri: &str) -> String {
        let (scheme, path) = uri.split_once("://").expect("a URI");
        let socket = self.folder.join("run/libvirt/libvirt-sock");
        format!("{scheme}+unix://{path}?socket={}", socket.display())
    }

    /// Ends it at once, and leaves its domains to run.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it was killed");
    }

    fn end_domains(&self) {
        let Ok(mut line) = Connect::open(Some(&self.uri("qemu:///system"))) else {
            return;
        };
        let domains = line.list_all_domains(0).unwrap_or_default();
        for domain in domains {
            // What cannot be ended is told by the test that looks for leftovers.
            let _ = Domain::destroy(&domain);
        }
        let _ = line.close();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end_domains();
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

fn spawn(folder: &Path, cache: &Path) -> Child {
    let log = fs::File::create(folder.join("libvirtd.log")).expect("a log");
    Command::new("unshare")
        .args(["-m", "sh", "-c", SCRIPT, "libvirt"])
        .args([folder, cache])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .spawn()
        .expect("unshare is there; install util-linux")
}
