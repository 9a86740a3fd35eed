//! The command line of a machine, the same for every start, so that a moved or restored VM finds
//! the devices it knows.

use super::record;
use super::step::{Argument, Exec, key_name};
use crate::volume;
use agent::machine::{AttachedDisk, Boot, DiskFormat, Machine, Plug};
use agent::naming::tap_name;
use model::hypervisor::Arch;
use serde_json::{Value, json};
use std::path::Path;

/// What the emulator of an instruction set is.
pub(super) struct Emulator {
    /// The program.
    pub(super) program: &'static str,
    /// The Debian package that has it.
    pub(super) package: &'static str,
    machine: &'static str,
    cpu: &'static str,
    /// Firmware for a boot loader on a disk; `None`: the emulator brings its own.
    pub(super) firmware: Option<(&'static str, &'static str)>,
}

/// The emulator of an instruction set.
pub(super) const fn emulator(arch: Arch) -> Emulator {
    match arch {
        Arch::X86_64 => Emulator {
            program: "qemu-system-x86_64",
            package: "qemu-system-x86",
            // Neither timer nor port is missed by a guest of this century; each costs idle time.
            machine: "q35,hpet=off,vmport=off",
            cpu: "max",
            firmware: None,
        },
        Arch::Aarch64 => Emulator {
            program: "qemu-system-aarch64",
            package: "qemu-system-arm",
            machine: "virt",
            // Pointer authentication by its own algorithm takes half of an emulated processor.
            cpu: "max,pauth-impdef=on",
            firmware: Some(("/usr/share/AAVMF/AAVMF_CODE.fd", "qemu-efi-aarch64")),
        },
        Arch::Riscv64 => Emulator {
            program: "qemu-system-riscv64",
            package: "qemu-system-riscv",
            machine: "virt",
            cpu: "max",
            firmware: Some((
                "/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd",
                "qemu-efi-riscv64",
            )),
        },
    }
}

/// Whether a machine is to boot or to wait for one that moves here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It boots.
    Boots,
    /// It arrives.
    Arrives,
}

/// The call that starts a machine, frozen before its first instruction.
pub(super) fn start(folder: &Path, machine: &Machine, kvm: bool, origin: Origin) -> Exec {
    let emulator = emulator(machine.arch);
    let mut line = Line::default();
    line.plain(["-name", &format!("guest=vm-{}", machine.vm.0)]);
    line.plain(["-nodefaults", "-no-user-config", "-display", "none"]);
    line.plain([
        "-machine",
        emulator.machine,
        "-cpu",
        accelerated(kvm, &emulator),
    ]);
    line.plain(["-accel", if kvm { "kvm" } else { "tcg" }]);
    line.plain(["-smp", &cpus(machine)]);
    // All that it may ever have; a balloon takes back what it has not now. So a VM has the same
    // layout of memory before and after scaling, which moves and snapshots need.
    line.plain([
        "-m",
        &format!("{}M", machine.max_mem_mib.max(machine.mem_mib)),
    ]);
    line.plain(["-sandbox", "on", "-daemonize"]);
    line.files(folder);
    line.boot(machine, &emulator);
    line.channels(folder, machine.arch);
    for (index, disk) in machine.disks.iter().enumerate() {
        line.disk(folder, index, disk, &machine.boot);
    }
    for (index, interface) in machine.interfaces.iter().enumerate() {
        line.interface(machine, index, &interface.plug, interface.mac);
    }
    match origin {
        Origin::Boots => line.plain(["-S"]),
        // Once it has everything it stays frozen, until its sender has given it.
        Origin::Arrives => line.plain(["-S", "-incoming", "defer"]),
    }
    Exec {
        program: emulator.program,
        arguments: line.0,
        package: emulator.package,
    }
}

const fn accelerated(kvm: bool, emulator: &Emulator) -> &'static str {
    if kvm { "host" } else { emulator.cpu }
}

fn cpus(machine: &Machine) -> String {
    if hotplugs_cpus(machine.arch) {
        let most = machine.max_cpus.max(machine.cpus);
        format!("cpus={},maxcpus={most}", machine.cpus)
    } else {
        machine.cpus.to_string()
    }
}

/// Whether vCPUs come and go while a machine runs; of QEMU's `virt` boards none does so.
pub(super) const fn hotplugs_cpus(arch: Arch) -> bool {
    matches!(arch, Arch::X86_64)
}

/// How a disk is called inside QEMU, where a customer's name may be too long or of other letters.
pub(super) fn disk_node(index: usize) -> String {
    format!("disk{index}")
}

/// How a disk's device is called.
pub(super) fn disk_device(index: usize) -> String {
    format!("drive{index}")
}

/// How a disk's file is called below its format.
pub(super) fn file_node(index: usize) -> String {
    format!("disk{index}-file")
}

/// A disk as QEMU opens it: nothing is probed, and no base is followed but the declared one.
pub(super) fn disk_option(index: usize, disk: &AttachedDisk) -> Value {
    let mut option = json!({
        "driver": disk.format.to_string(),
        "node-name": disk_node(index),
        "read-only": disk.read_only,
        "discard": "unmap",
        "file": file_option(&file_node(index), &disk.path, disk.read_only),
    });
    match (disk.format, disk.key) {
        (DiskFormat::Luks, Some(key)) => option["key-secret"] = key_name(key).into(),
        (DiskFormat::Qcow2, Some(key)) => {
            option["encrypt"] = json!({ "format": "luks", "key-secret": key_name(key) });
        }
        _ => {}
    }
    if disk.format == DiskFormat::Qcow2 {
        option["backing"] = disk.base.as_ref().map_or(Value::Null, |base| {
            json!({
                "driver": "raw",
                "node-name": format!("disk{index}-base"),
                "read-only": true,
                "file": file_option(&format!("disk{index}-base-file"), base, true),
            })
        });
    }
    option
}

/// A file as QEMU opens it.
pub(super) fn file_option(node: &str, path: &Path, read_only: bool) -> Value {
    json!({
        "driver": "file",
        "node-name": node,
        "filename": path,
        "read-only": read_only,
        "discard": "unmap",
    })
}

/// A disk of other nodes' volumes as QEMU opens it. It ends with the server that has joined them,
/// which in turn waits for the other nodes.
fn joined_option(node: &str, folder: &Path) -> Value {
    json!({
        "driver": "nbd",
        "node-name": node,
        "server": { "type": "unix", "path": volume::socket(folder) },
        "discard": "unmap",
    })
}

#[derive(Default)]
struct Line(Vec<Argument>);

impl Line {
    fn plain<const N: usize>(&mut self, words: [&str; N]) {
        self.0.extend(words.map(Argument::from));
    }

    fn json(&mut self, option: &str, value: &Value) {
        self.plain([option, &value.to_string()]);
    }

    /// QEMU's own files.
    fn files(&mut self, folder: &Path) {
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        self.plain(["-pidfile", &path(record::PID_FILE)]);
        // With a log of its own, QEMU goes on complaining there after it went into the background.
        self.plain(["-D", &path(record::LOG)]);
        for (id, socket) in [("act", record::ACT_SOCKET), ("look", record::LOOK_SOCKET)] {
            let socket = comma(&path(socket));
            self.plain([
                "-chardev",
                &format!("socket,id={id},path={socket},server=on,wait=off"),
            ]);
            self.plain(["-mon", &format!("chardev={id},mode=control")]);
        }
    }

    fn boot(&mut self, machine: &Machine, emulator: &Emulator) {
        match &machine.boot {
            Boot::Kernel {
                kernel,
                initrd,
                command_line,
            } => {
                self.plain(["-kernel", &kernel.to_string_lossy()]);
                if let Some(initrd) = initrd {
                    self.plain(["-initrd", &initrd.to_string_lossy()]);
                }
                self.plain(["-append", command_line]);
            }
            Boot::Disk | Boot::Folder { .. } => {
                if let Some((firmware, _)) = emulator.firmware {
                    self.plain(["-bios", firmware]);
                }
            }
        }
    }

    /// Console, balloon, chance, and the way to an agent inside the guest.
    fn channels(&mut self, folder: &Path, arch: Arch) {
        let path = |name: &str| comma(&folder.join(name).to_string_lossy());
        self.plain([
            "-chardev",
            &format!(
                "socket,id=console,path={},server=on,wait=off,logfile={},logappend=on",
                path(record::CONSOLE),
                path(record::CONSOLE_LOG)
            ),
        ]);
        self.plain(["-serial", "chardev:console"]);
        self.plain([
            "-chardev",
            &format!(
                "socket,id=guest,path={},server=on,wait=off",
                path(record::GUEST_SOCKET)
            ),
        ]);
        self.json(
            "-device",
            &json!({
                "driver": "virtio-balloon-pci",
                "id": "balloon",
                "free-page-reporting": true,
                "guest-stats-polling-interval": super::statistics::ASK_GUEST_SECONDS,
            }),
        );
        self.json(
            "-device",
            &json!({ "driver": "virtio-rng-pci", "id": "chance" }),
        );
        self.json(
            "-device",
            &json!({ "driver": "virtio-serial-pci", "id": "ports" }),
        );
        self.json(
            "-device",
            &json!({
                "driver": "virtserialport",
                "bus": "ports.0",
                "chardev": "guest",
                "name": "org.qemu.guest_agent.0",
            }),
        );
        if arch == Arch::X86_64 {
            // A guest that panics says so here instead of standing still.
            self.json("-device", &json!({ "driver": "pvpanic-pci" }));
        }
    }

    fn disk(&mut self, folder: &Path, index: usize, disk: &AttachedDisk, boot: &Boot) {
        if let Some(key) = disk.key {
            let secret = Argument::Secret(key);
            if !self.0.contains(&secret) {
                self.plain(["-object"]);
                self.0.push(secret);
            }
        }
        let mut option = disk_option(index, disk);
        if !disk.extents.is_empty() {
            option["file"] = joined_option(&file_node(index), &record::join(folder, index));
        }
        self.json("-blockdev", &option);
        let mut device = json!({
            "driver": "virtio-blk-pci",
            "id": disk_device(index),
            "drive": disk_node(index),
            "serial": serial(&disk.name),
        });
        if index == 0 && *boot == Boot::Disk {
            device["bootindex"] = 0.into();
        }
        self.json("-device", &device);
    }

    fn interface(&mut self, machine: &Machine, index: usize, plug: &Plug, mac: [u8; 6]) {
        let id = format!("net{index}");
        let netdev = match plug {
            Plug::Tap { name } => tap(&id, name),
            Plug::Bridge { .. } => tap(&id, &tap_name(machine.vm, index)),
            Plug::User { forwards } => {
                let forwards: Vec<Value> = forwards
                    .iter()
                    .map(|(node, guest)| json!({ "str": format!("tcp:127.0.0.1:{node}-:{guest}") }))
                    .collect();
                json!({ "type": "user", "id": id, "hostfwd": forwards })
            }
        };
        self.json("-netdev", &netdev);
        let mac: Vec<String> = mac.iter().map(|octet| format!("{octet:02x}")).collect();
        self.json(
            "-device",
            &json!({
                "driver": "virtio-net-pci",
                "id": format!("nic{index}"),
                "netdev": id,
                "mac": mac.join(":"),
                // Nothing boots from a network here, and its ROM takes time to load.
                "romfile": "",
            }),
        );
    }
}

fn tap(id: &str, name: &str) -> Value {
    json!({ "type": "tap", "id": id, "ifname": name, "script": "no", "downscript": "no" })
}

/// The bytes of a name that a virtio disk shows to its guest (`VIRTIO_BLK_ID_BYTES`).
fn serial(name: &str) -> String {
    const MOST: usize = 20;
    let mut end = name.len().min(MOST);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

/// A text inside an option that commas divide.
pub(super) fn comma(text: &str) -> String {
    text.replace(',', ",,")
}
