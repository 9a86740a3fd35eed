//! What is kept of a VM: instants, copies and images, each with the data of its time.

use super::node::{Node, PATIENCE, boot};
use crate::guest::{run, wait_for};
use agent::driver::Act;
use agent::machine::DiskFormat;
use model::id::VmId;
use model::order::Shutdown;
use model::report::VmState;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

/// Writes a word to the guest's first disk, and waits until it is there.
fn write_word(node: &Node, vm: VmId, word: &str) {
    let line = format!(
        "printf {word} | dd of=/dev/vda conv=sync 2>/dev/null; sync; echo wrote-$((1))-{word}"
    );
    node.type_line(vm, &line);
    node.wait_console(vm, &format!("wrote-1-{word}"));
}

/// What lies at the start of a raw file.
fn word_of(path: &Path) -> String {
    let bytes = fs::read(path).expect("a raw disk");
    let word = bytes.iter().take_while(|&&byte| byte != 0);
    String::from_utf8(word.copied().collect()).expect("a word")
}

/// A running VM goes back with disk and memory; a copy and an image have the data of their instant;
/// and a stopped VM goes back too.
#[test]
fn instants_copies_and_images() {
    let node = Node::new();
    let (vm, copy) = (VmId(1), VmId(2));
    node.boot(node.machine(vm));
    write_word(&node, vm, "first");
    node.type_line(vm, "kept=remembered");
    let name = || "an instant".to_owned();
    node.perform(vm, &Act::Snapshot { name: name() });
    node.perform(vm, &Act::Snapshot { name: name() });
    let to = Box::new(node.machine(copy));
    node.perform(vm, &Act::Copy { to });
    let file = node.path("saved.raw");
    node.save(vm, &file);
    assert_eq!(word_of(&file), "first", "the image of a running VM");
    assert_eq!(node.state(vm), Some(VmState::Running));
    write_word(&node, vm, "second");
    node.type_line(vm, "kept=forgotten");

    node.perform(vm, &Act::Restore { name: name() });
    assert_eq!(node.state(vm), Some(VmState::Running));
    node.type_line(vm, "echo memory-$((1))-$kept disk=$(head -c 5 /dev/vda)");
    node.wait_console(vm, "memory-1-remembered disk=first");

    assert_eq!(node.state(copy), Some(VmState::Stopped));
    node.save(copy, &file);
    assert_eq!(word_of(&file), "first", "the image of a stopped copy");

    write_word(&node, vm, "third");
    let shutdown = Shutdown::Forced;
    node.perform(vm, &Act::Stop { shutdown });
    node.perform(vm, &Act::Restore { name: name() });
    node.save(vm, &file);
    assert_eq!(word_of(&file), "first", "a stopped VM that went back");
    node.perform(vm, &Act::DropSnapshot { name: name() });
    node.perform(vm, &Act::DropSnapshot { name: name() });
    let error = node
        .try_perform(vm, &Act::Restore { name: name() })
        .expect_err("it was dropped");
    assert!(error.to_string().contains("there is none"), "{error}");
}

/// Tells a running QEMU to do something, and leaves it alone with that.
fn leave_alone(node: &Node, vm: VmId, commands: &[&str]) {
    let path = node.path(&format!("vms/vm-{}/qmp", vm.0));
    let mut qemu = UnixStream::connect(path).expect("QEMU listens");
    let mut lines = BufReader::new(qemu.try_clone().expect("a socket")).lines();
    lines.next().expect("a greeting").expect("a line");
    for command in ["qmp_capabilities"].iter().chain(commands) {
        let command = match command.starts_with('{') {
            true => (*command).to_owned(),
            false => format!(r#"{{"execute":"{command}"}}"#),
        };
        qemu.write_all(command.as_bytes()).expect("QEMU reads");
        let mut answers = lines.by_ref().map(|line| line.expect("an answer"));
        let answer = answers.find(|line| !line.contains(r#""event""#));
        let answer = answer.expect("an answer");
        assert!(!answer.contains("error"), "{answer}");
    }
}

/// The job of a snapshot that nobody has followed to its end stands in no later one's way.
#[test]
fn a_snapshot_that_was_left_alone_is_ended() {
    let node = Node::new();
    let vm = VmId(1);
    node.boot(node.machine(vm));
    let name = |name: &str| name.to_owned();
    let first = || name("first");
    node.perform(vm, &Act::Snapshot { name: first() });
    for end in ["left", "kept"] {
        let save = format!(
            r#"{{"execute":"snapshot-save","arguments":{{"job-id":"snapshot","tag":"{end}",
            "vmstate":"memory","devices":["disk0","memory"]}}}}"#
        );
        leave_alone(&node, vm, &[&save]);
        match end {
            "left" => node.perform(vm, &Act::Restore { name: first() }),
            _ => node.perform(vm, &Act::Snapshot { name: name(end) }),
        };
        assert_eq!(node.state(vm), Some(VmState::Running));
    }
    node.perform(vm, &Act::Restore { name: name("kept") });
}

/// Whether any process has a file open.
fn is_open(path: &Path) -> bool {
    let list = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let mut files = list(Path::new("/proc")).flat_map(|process| list(&process.path().join("fd")));
    files.any(|file| fs::read_link(file.path()).is_ok_and(|open| open == path))
}

/// A copy that nobody has followed to its end, however far it came, stands in no later one's way, and
/// none is left at work for a driver that was begun anew.
#[test]
fn a_copy_that_was_left_alone_is_ended() {
    let node = Node::new();
    let vm = VmId(1);
    node.boot(node.machine(vm));
    write_word(&node, vm, "first");
    let file = node.path("saved.raw");
    let partial = node.path("saved.raw.partial");
    let open = format!(
        r#"{{"execute":"blockdev-add","arguments":{{"driver":"raw","node-name":"target0",
        "file":{{"driver":"file","node-name":"target0-file","filename":"{}"}}}}}}"#,
        partial.display()
    );
    // Too slow to end by itself.
    let copy = r#"{"execute":"blockdev-backup","arguments":{"job-id":"copy0","device":"disk0",
        "target":"target0","sync":"full","auto-dismiss":false,"speed":65536}}"#;
    let left = || fs::write(&partial, vec![0; 64 << 20]);
    for commands in [&[open.as_str()][..], &[&open, copy]] {
        left().expect("a file");
        leave_alone(&node, vm, commands);
        node.save(vm, &file);
        assert_eq!(word_of(&file), "first");
        left().expect("a file");
        leave_alone(&node, vm, commands);
        assert!(is_open(&partial));
        node.restart();
        assert!(!is_open(&partial));
    }
    assert_eq!(node.state(vm), Some(VmState::Running));
}

/// A VM over a shared base writes to its own disk alone, and its copy shares the base.
#[test]
fn a_base_is_shared_and_never_written() {
    let node = Node::new();
    let (vm, copy) = (VmId(1), VmId(2));
    let base = node.path("base.raw");
    let mut bytes = vec![0; 64 << 20];
    bytes[..4].copy_from_slice(b"base");
    fs::write(&base, &bytes).expect("a base");
    let over_base = |vm| {
        let mut machine = node.machine(vm);
        let disk = &mut machine.disks[0];
        run(Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
            .args([&base, &disk.path]));
        disk.base = Some(base.clone());
        machine
    };
    node.boot(over_base(vm));
    node.type_line(vm, "echo found-$((1))-$(head -c 4 /dev/vda)");
    node.wait_console(vm, "found-1-base");
    write_word(&node, vm, "mine");
    let to = Box::new(over_base(copy));
    node.perform(vm, &Act::Copy { to });
    let file = node.path("saved.raw");
    node.save(copy, &file);
    assert_eq!(word_of(&file), "mine");
    assert!(
        fs::read(&base).expect("the base") == bytes,
        "the base was written to"
    );
}

/// A raw disk keeps no instants, and says so.
#[test]
fn a_raw_disk_keeps_no_instants() {
    let node = Node::new();
    let vm = VmId(1);
    let mut machine = node.machine(vm);
    machine.disks = vec![node.disk(vm, "data", DiskFormat::Raw)];
    let machine = Box::new(machine);
    node.perform(vm, &Act::Define { machine });
    let error = node
        .try_perform(vm, &Act::Snapshot { name: "now".into() })
        .expect_err("a refusal");
    assert!(error.to_string().contains("raw disk data"), "{error}");
}

/// A guest that is asked and does not listen is forced; one that ends by itself has failed, and
/// starts again.
#[test]
fn ends_are_told_apart() {
    let node = Node::new();
    let vm = VmId(1);
    let mut machine = node.machine(vm);
    machine.boot = boot(machine.arch, "");
    node.boot(machine);
    node.type_line(vm, "poweroff -f");
    wait_for("the guest's own end", PATIENCE, || {
        (node.state(vm) == Some(VmState::Failed)).then_some(())
    });
    node.perform(vm, &Act::Start);
    assert_eq!(node.state(vm), Some(VmState::Running));
    let shutdown = Shutdown::Asked {
        patience_millis: 300,
    };
    let stopped = node.perform(vm, &Act::Stop { shutdown });
    assert_eq!(stopped.state, Some(VmState::Stopped));
    assert_eq!(node.state(vm), Some(VmState::Stopped));
}
