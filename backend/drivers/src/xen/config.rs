//! A machine as `xl` is told of it: a file in the notation of xl.cfg(5).
//!
//! Texts stand between single quotes, with a backslash before quotes, backslashes and line ends:
//! these are all that xl's reader asks for, and all that it understands. Of a disk's description the
//! file's path is the last part, which takes all that follows it.

use agent::machine::{AttachedDisk, AttachedInterface, Boot, Machine, Plug};
use agent::naming::tap_name;
use model::id::VmId;
use std::fmt::Write;

/// The name of a VM's domain.
pub fn name(vm: VmId) -> String {
    format!("gridwright-{}", vm.0)
}

/// The UUID of a VM's domain, by which it is known to be ours: a custom one (version 8 of RFC 9562)
/// that begins with `gridwr` and holds the VM's number.
pub fn uuid(vm: VmId) -> String {
    let id = vm.0;
    format!(
        "67726964-7772-800{:x}-8{:03x}-{:012x}",
        id >> 60,
        id >> 48 & 0xfff,
        id & 0xffff_ffff_ffff
    )
}

/// What the guest calls a disk, by its place, `xvda` to `xvdp`.
fn vdev(place: usize) -> String {
    let letters = 'a'..='p';
    let letter = letters.into_iter().nth(place);
    format!(
        "xvd{}",
        letter.expect("validate lets in as many disks as there are letters")
    )
}

/// The whole file. A guest that powers itself off is taken away, one that crashes stays for a look.
pub fn text(machine: &Machine) -> String {
    let mut text = String::new();
    let mut set = |key: &str, value: String| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    };
    set("name", quoted(&name(machine.vm)));
    set("uuid", quoted(&uuid(machine.vm)));
    set("type", quoted("pv"));
    if let Boot::Kernel {
        kernel,
        initrd,
        command_line,
    } = &machine.boot
    {
        set("kernel", quoted(&kernel.to_string_lossy()));
        if let Some(initrd) = initrd {
            set("ramdisk", quoted(&initrd.to_string_lossy()));
        }
        set("cmdline", quoted(command_line));
    }
    set("vcpus", machine.cpus.to_string());
    set("maxvcpus", machine.max_cpus.to_string());
    set("memory", machine.mem_mib.to_string());
    set("maxmem", machine.max_mem_mib.to_string());
    let disks = machine.disks.iter().enumerate();
    set(
        "disk",
        list(disks.map(|(place, disk)| self::disk(place, disk))),
    );
    let interfaces = machine.interfaces.iter().enumerate();
    set(
        "vif",
        list(interfaces.map(|(place, interface)| vif(machine.vm, place, interface))),
    );
    set("on_poweroff", quoted("destroy"));
    set("on_reboot", quoted("restart"));
    set("on_crash", quoted("preserve"));
    text
}

fn disk(place: usize, disk: &AttachedDisk) -> String {
    let access = if disk.read_only { "ro" } else { "rw" };
    format!(
        "format=raw,vdev={},access={access},target={}",
        vdev(place),
        disk.path.to_string_lossy()
    )
}

/// The node's end is called as the network's rules expect it.
fn vif(vm: VmId, place: usize, interface: &AttachedInterface) -> String {
    let mac = interface.mac.map(|octet| format!("{octet:02x}")).join(":");
    match &interface.plug {
        Plug::Bridge { name } => {
            format!("mac={mac},bridge={name},vifname={}", tap_name(vm, place))
        }
        Plug::Tap { .. } | Plug::User { .. } => {
            unreachable!("validate lets in bridges only")
        }
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.map(|item| quoted(&item)).collect();
    format!("[{}]", items.join(", "))
}

/// A text as xl reads it back.
fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}
