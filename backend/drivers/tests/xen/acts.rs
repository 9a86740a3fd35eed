//! What an act comes to, as a dry run tells it: over a toolstack that prints a list of domains, takes
//! domain 3 off it, and refuses all else.

use crate::machine::machine;
use agent::driver::{Act, Driver, DriverError};
use agent::machine::{Boot, DiskFormat, Machine, Plug};
use agent::secret::Keys;
use agent::watch::Unwatched;
use drivers::xen::Xen;
use drivers::xen::config::{name, uuid};
use model::id::VmId;
use model::order::{Scale, Shutdown};
use model::report::VmState;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

const VM: VmId = VmId(7);

/// A node whose toolstack tells of these domains.
struct Node {
    folder: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let node = Self { folder };
        let list = node.folder.path().join("list");
        let script = format!(
            "#!/bin/sh\ncase $* in 'list -v') exec cat '{list}';; 'destroy 3') exec sed -i 2d '{list}';; esac\n\
             echo \"refused $*\" >&2\nexit 1\n",
            list = list.display()
        );
        let program = node.folder.path().join("xl");
        fs::write(&program, script).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("our file");
        node.tell("");
        node
    }

    fn xen(&self) -> Xen {
        let program = self.folder.path().join("xl");
        let program = program.to_str().expect("a plain path");
        Xen::open(&self.folder.path().join("xen"), program).expect("a driver")
    }

    fn tell(&self, rows: &str) {
        let text =
            format!("Name ID Mem VCPUs\tState\tTime(s) UUID Reason-Code\tSecurity Label\n{rows}");
        fs::write(self.folder.path().join("list"), text).expect("a list");
    }

    /// One domain, with these flags and this reason.
    fn tell_domain(&self, name: &str, uuid: &str, flags: &str, reason: &str) {
        self.tell(&format!("{name} 3 96 1 {flags} 1.5 {uuid} {reason} -\n"));
    }

    fn tell_ours(&self, flags: &str, reason: &str) {
        self.tell_domain(&name(VM), &uuid(VM), flags, reason);
    }

    fn define(&self) {
        let machine = Box::new(machine(VM));
        let act = Act::Define { machine };
        let done = self.xen().perform(VM, &act, &Keys::default(), &Unwatched);
        assert_eq!(done.expect("a definition").state, Some(VmState::Stopped));
    }

    /// The calls of an act, the node's folder left out.
    fn calls(&self, act: &Act) -> Vec<String> {
        let calls = self.xen().translate(VM, act).expect("a dry run");
        let folder = self.folder.path().display().to_string();
        let told = calls
            .into_iter()
            .map(|call| format!("{} {}", call.interface, call.call));
        told.map(|call| call.replace(&folder, "")).collect()
    }

    fn state(&self) -> Option<VmState> {
        let seen = self.xen().inspect(VM).expect("an answer");
        seen.map(|seen| seen.state)
    }
}

/// States, as domains show them.
#[test]
fn domains_are_seen_as_what_they_are() {
    let node = Node::new();
    assert_eq!(node.state(), None);
    node.define();
    assert_eq!(node.state(), Some(VmState::Stopped));
    for (flags, reason, expected) in [
        ("r-----", "-", VmState::Running),
        ("-b----", "-", VmState::Running),
        ("--p---", "-", VmState::Paused),
        ("---sc-", "3", VmState::Failed),
        ("---s--", "0", VmState::Stopped),
        // Nobody is there who would begin it anew.
        ("---s--", "1", VmState::Failed),
    ] {
        node.tell_ours(flags, reason);
        assert_eq!(node.state(), Some(expected), "{flags} {reason}");
    }
}

/// Each act in xl's words.
#[test]
fn acts_are_told_in_xls_words() {
    let node = Node::new();
    node.define();
    let start = [
        "file write /xen/vm-7/domain.cfg",
        "file write /xen/vm-7/begun.json",
        "exec xl create -q /xen/vm-7/domain.cfg",
        "file remove /xen/vm-7/begun.json",
    ];
    assert_eq!(node.calls(&Act::Start), start);
    node.tell_ours("---sc-", "3");
    let mut again = vec!["exec xl destroy gridwright-7"];
    again.extend(start);
    assert_eq!(node.calls(&Act::Start), again);

    node.tell_ours("r-----", "-");
    let check = |act: Act, expected: &[&str]| assert_eq!(node.calls(&act), expected, "{act:?}");
    check(Act::Start, &[]);
    check(Act::Pause, &["exec xl pause gridwright-7"]);
    let asked = Shutdown::Asked { patience_millis: 1 };
    check(
        Act::Stop { shutdown: asked },
        &[
            "exec xl shutdown gridwright-7",
            "exec xl destroy gridwright-7",
        ],
    );
    check(
        Act::Scale {
            scale: Scale::Cpu { cpus: 2 },
        },
        &[
            "exec xl vcpu-set gridwright-7 2",
            "file write /xen/vm-7/machine.json",
        ],
    );
    check(
        Act::Scale {
            scale: Scale::Mem { mem_mib: 128 },
        },
        &[
            "exec xl mem-set gridwright-7 128m",
            "file write /xen/vm-7/machine.json",
        ],
    );
    check(
        Act::Snapshot { name: "a".into() },
        &[
            "file write /xen/vm-7/resting.json",
            "exec xl save -p gridwright-7 /vms/root.raw.a.memory",
            "file copy /vms/root.raw to /vms/root.raw.a.copy",
            "file write /xen/vm-7/snapshot-a.json",
            "exec xl unpause gridwright-7",
            "file remove /xen/vm-7/resting.json",
        ],
    );
    check(
        Act::Destroy,
        &["exec xl destroy gridwright-7", "file remove /xen/vm-7"],
    );
}

/// What cannot be honoured, and why.
#[test]
fn what_cannot_be_honoured_is_refused() {
    let xen = Node::new().xen();
    let check = |change: &dyn Fn(&mut Machine), field: &str| {
        let mut machine = machine(VM);
        change(&mut machine);
        match xen.validate(&machine) {
            Err(DriverError::Invalid { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    };
    assert_eq!(xen.validate(&machine(VM)), Ok(()));
    check(&|m| m.cpus = 3, "cpus");
    check(&|m| m.mem_mib = 0, "mem_mib");
    check(&|m| m.boot = Boot::Disk, "boot");
    check(
        &|m| m.disks[0].format = DiskFormat::Qcow2,
        "disks[0].format",
    );
    check(&|m| m.disks[0].iops = Some(1), "disks[0].iops");
    for path in ["/a\nb", "/a,", "a", "/a\0"] {
        check(&|m| m.disks[0].path = path.into(), "disks[0].path");
    }
    check(&|m| m.interfaces[0].mbps = Some(1), "interfaces[0].mbps");
    for bridge in ["", "a,ip=1", "a b", "sixteen-letters-"] {
        let plug = |name: &str| Plug::Bridge { name: name.into() };
        check(
            &|m| m.interfaces[0].plug = plug(bridge),
            "interfaces[0].plug",
        );
    }
    let line = |m: &mut Machine, text: &str| {
        if let Boot::Kernel { command_line, .. } = &mut m.boot {
            *command_line = text.to_owned();
        }
    };
    check(&|m| line(m, "a\nb"), "boot.command_line");
    check(&|m| line(m, &"a".repeat(1024)), "boot.command_line");
}

/// A domain of our name that is somebody else's is neither seen as ours nor touched, and neither is
/// one of ours that was renamed taken for gone.
#[test]
fn domains_of_others_are_not_touched() {
    let node = Node::new();
    node.define();
    let other = "8ec7eb0d-9937-4f33-b452-607977a986cf";
    node.tell_domain(&name(VM), other, "r-----", "-");
    assert_eq!(node.state(), Some(VmState::Stopped));
    let refused = |act: &Act, hint: &str| {
        let done = node.xen().perform(VM, act, &Keys::default(), &Unwatched);
        let error = done.expect_err("it would be another's").to_string();
        assert!(error.contains(hint), "{act:?}: {error}");
        let dry = node.xen().translate(VM, act).expect_err("the same");
        assert_eq!(dry.to_string(), error);
    };
    refused(&Act::Start, "somebody else's");
    refused(&Act::Destroy, "somebody else's");
    node.tell_domain("renamed", &uuid(VM), "r-----", "-");
    assert_eq!(node.state(), Some(VmState::Running));
    refused(&Act::Pause, "xl rename 3 gridwright-7");
}

/// Whoever holds a VM, and however long, its domain is ended, and what would begin it anew; a domain
/// that has taken its name stays.
#[test]
fn a_held_vm_is_halted() {
    let node = Node::new();
    node.define();
    node.tell_ours("r-----", "-");
    let folder = node.folder.path().join("xen/vm-7");
    let lock = fs::File::open(folder.join("lock")).expect("the VM's lock");
    lock.lock().expect("nobody holds it");
    let mut monitor = Command::new("sh")
        .arg0("xl")
        .args(["-c", "read -r word"])
        .arg(folder.join("domain.cfg"))
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    node.xen().halt(VM, &Unwatched).expect("it is ended");
    assert_eq!(node.state(), Some(VmState::Stopped));
    let ended = monitor.wait().expect("it is ours");
    assert_eq!(ended.signal(), Some(9), "{ended}");
    let other = "8ec7eb0d-9937-4f33-b452-607977a986cf";
    node.tell_domain(&name(VM), other, "r-----", "-");
    node.xen().halt(VM, &Unwatched).expect("nothing is ours");
    let list = fs::read_to_string(node.folder.path().join("list")).expect("a list");
    assert!(list.contains(other), "{list}");
}

/// A toolstack that refuses is told with its words, and one that is missing by its name.
#[test]
fn refusals_are_told() {
    let node = Node::new();
    node.define();
    node.tell_ours("r-----", "-");
    let error = node
        .xen()
        .perform(VM, &Act::Pause, &Keys::default(), &Unwatched)
        .expect_err("it refuses");
    let told = error.to_string();
    assert!(
        told.contains("xl pause gridwright-7") && told.contains("refused pause gridwright-7"),
        "{told}"
    );
    let missing = Xen::open(node.folder.path(), "/none/xl").expect("a driver");
    let error = missing.recover().expect_err("nobody answers");
    assert!(matches!(error, DriverError::Missing { .. }), "{error}");
}
