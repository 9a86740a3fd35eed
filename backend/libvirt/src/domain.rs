//! A machine as libvirt's XML (libvirt.org/formatdomain.html).

use crate::config::Config;
use crate::door::{Door, Ways};
use crate::host::{EMULATED, KVM};
use crate::identity::{domain_name, domain_uuid, secret_usage, secret_uuid};
use agent::driver::DriverError;
use agent::machine::{AttachedDisk, AttachedInterface, Boot, DiskFormat, Machine, Plug};
use model::hypervisor::Arch;
use model::id::{KeyId, VmId};
use quick_xml::Writer;
use quick_xml::events::BytesText;
use std::io;
use std::path::Path;

/// A VM's console in its folder.
pub const CONSOLE: &str = "console";
/// All that the guest wrote to its console.
pub const CONSOLE_LOG: &str = "console.log";

/// The bytes of a name that a virtio disk shows to its guest (`VIRTIO_BLK_ID_BYTES`).
const SERIAL_BYTES: usize = 20;

/// Memory of a domain that does nothing.
const PROBE_MIB: &str = "64";

/// How often QEMU asks the guest's balloon for its memory, in seconds.
const BALLOON_SECONDS: &str = "5";

/// Where a machine is to run.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What runs it.
    pub door: Door,
    /// How its files are reached from there.
    pub config: &'a Config,
    /// libvirt's word for what runs it, as `kvm`.
    pub kind: &'a str,
    /// The VM's folder on this machine.
    pub folder: &'a Path,
}

type Xml = Writer<Vec<u8>>;

/// The domain of a machine.
///
/// # Errors
/// Where a file cannot be reached from there.
pub fn xml(machine: &Machine, place: &Place) -> Result<String, DriverError> {
    let files = Files::of(machine, place.config)?;
    let vm = machine.vm;
    let attributes = [("type", place.kind)];
    Ok(written(|xml| {
        around(xml, "domain", &attributes, |xml| {
            text(xml, "name", &[], &domain_name(vm))?;
            text(xml, "uuid", &[], &domain_uuid(vm).to_string())?;
            text(xml, "title", &[], &machine.name)?;
            let kib = |mib: u32| mib.to_string();
            text(xml, "memory", &[("unit", "MiB")], &kib(machine.max_mem_mib))?;
            text(
                xml,
                "currentMemory",
                &[("unit", "MiB")],
                &kib(machine.mem_mib),
            )?;
            let (now, most) = (machine.cpus.to_string(), machine.max_cpus.to_string());
            text(xml, "vcpu", &[("current", &now)], &most)?;
            boot(xml, machine, place, &files)?;
            processor(xml, machine, place)?;
            text(xml, "on_poweroff", &[], "destroy")?;
            text(xml, "on_reboot", &[], "restart")?;
            text(xml, "on_crash", &[], "destroy")?;
            around(xml, "devices", &[], |xml| {
                devices(xml, machine, place, &files)
            })
        })
    }))
}

/// A domain of nothing, to see whether one runs.
pub fn probe_xml(arch: Arch, kind: &str) -> String {
    let name = format!("gridwright-probe-{arch}-{}", std::process::id());
    written(|xml| {
        around(xml, "domain", &[("type", kind)], |xml| {
            text(xml, "name", &[], &name)?;
            text(xml, "memory", &[("unit", "MiB")], PROBE_MIB)?;
            text(xml, "vcpu", &[], "1")?;
            around(xml, "os", &[], |xml| {
                let arch_name = arch.to_string();
                let kind = [("arch", arch_name.as_str()), ("machine", board(arch))];
                text(xml, "type", &kind, "hvm")
            })?;
            around(xml, "devices", &[], |xml| {
                empty(xml, "controller", &[("type", "usb"), ("model", "none")])?;
                empty(xml, "memballoon", &[("model", "none")])
            })
        })
    })
}

/// The board of QEMU's that a guest of an instruction set gets.
fn board(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "q35",
        Arch::Aarch64 | Arch::Riscv64 => "virt",
    }
}

/// The secret that carries a key to libvirt: never on disk, and told to nobody.
pub fn secret_xml(vm: VmId, key: KeyId) -> String {
    written(|xml| {
        around(
            xml,
            "secret",
            &[("ephemeral", "yes"), ("private", "yes")],
            |xml| {
                text(xml, "uuid", &[], &secret_uuid(vm, key).to_string())?;
                around(xml, "usage", &[("type", "volume")], |xml| {
                    text(xml, "volume", &[], &secret_usage(vm, key))
                })
            },
        )
    })
}

/// What a guest's disk is called in its domain.
pub fn target(ways: &Ways, index: usize) -> String {
    // As the kernel does it: `vda` to `vdz`, then `vdaa`.
    let mut letters = Vec::new();
    let mut rest = index;
    loop {
        letters.push(char::from(b'a' + (rest % 26) as u8));
        match rest / 26 {
            0 => break,
            more => rest = more - 1,
        }
    }
    let letters = letters.into_iter().rev();
    ways.bus.prefix.chars().chain(letters).collect()
}

/// The files of a machine as the hypervisor sees them.
struct Files {
    kernel: Option<(String, Option<String>)>,
    /// Each disk and its base.
    disks: Vec<(String, Option<String>)>,
}

impl Files {
    fn of(machine: &Machine, config: &Config) -> Result<Self, DriverError> {
        let kernel = match &machine.boot {
            Boot::Kernel { kernel, initrd, .. } => {
                let initrd = initrd
                    .as_ref()
                    .map(|path| config.there("boot.initrd", path));
                Some((config.there("boot.kernel", kernel)?, initrd.transpose()?))
            }
            Boot::Disk | Boot::Folder { .. } => None,
        };
        let disks = machine.disks.iter().map(|disk| {
            let base = disk.base.as_ref();
            let base = base
                .map(|base| config.there("disks.base", base))
                .transpose()?;
            Ok((config.there("disks.path", &disk.path)?, base))
        });
        let disks = disks.collect::<Result<_, DriverError>>()?;
        Ok(Self { kernel, disks })
    }
}

fn boot(xml: &mut Xml, machine: &Machine, place: &Place, files: &Files) -> io::Result<()> {
    let is_qemu = place.door == Door::Qemu;
    let arch = machine.arch.to_string();
    let mut kind = vec![("arch", arch.as_str())];
    let mut attributes = Vec::new();
    if is_qemu {
        kind.push(("machine", board(machine.arch)));
        // Boards other than the PC's have no firmware of their own.
        if machine.arch != Arch::X86_64 && machine.boot == Boot::Disk {
            attributes.push(("firmware", "efi"));
        }
    }
    around(xml, "os", &attributes, |xml| {
        text(xml, "type", &kind, "hvm")?;
        if let (Some((kernel, initrd)), Boot::Kernel { command_line, .. }) =
            (&files.kernel, &machine.boot)
        {
            text(xml, "kernel", &[], kernel)?;
            if let Some(initrd) = initrd {
                text(xml, "initrd", &[], initrd)?;
            }
            return text(xml, "cmdline", &[], command_line);
        }
        empty(xml, "boot", &[("dev", "hd")])
    })
}

fn processor(xml: &mut Xml, machine: &Machine, place: &Place) -> io::Result<()> {
    if machine.arch == Arch::X86_64 {
        // By it a guest is asked to shut down.
        around(xml, "features", &[], |xml| empty(xml, "acpi", &[]))?;
    }
    match place.kind {
        KVM => empty(xml, "cpu", &[("mode", "host-passthrough")]),
        EMULATED => empty(xml, "cpu", &[("mode", "maximum")]),
        _ => Ok(()),
    }
}

fn devices(xml: &mut Xml, machine: &Machine, place: &Place, files: &Files) -> io::Result<()> {
    let ways = place.door.ways();
    for (index, (disk, (path, base))) in machine.disks.iter().zip(&files.disks).enumerate() {
        let attached = Attached {
            vm: machine.vm,
            disk,
            path,
            base: base.as_deref(),
            target: &target(&ways, index),
        };
        around(
            xml,
            "disk",
            &[("type", "file"), ("device", "disk")],
            |xml| attached.write(xml, place.door),
        )?;
    }
    for attached in &machine.interfaces {
        interface(xml, attached, &ways)?;
    }
    if place.door == Door::Qemu {
        empty(xml, "controller", &[("type", "usb"), ("model", "none")])?;
        console(xml, place)?;
        around(xml, "memballoon", &[("model", "virtio")], |xml| {
            empty(xml, "stats", &[("period", BALLOON_SECONDS)])
        })?;
        around(xml, "rng", &[("model", "virtio")], |xml| {
            text(xml, "backend", &[("model", "random")], "/dev/urandom")
        })?;
    }
    Ok(())
}

/// A disk with all that is known of it.
struct Attached<'a> {
    vm: VmId,
    disk: &'a AttachedDisk,
    path: &'a str,
    base: Option<&'a str>,
    target: &'a str,
}

impl Attached<'_> {
    fn write(&self, xml: &mut Xml, door: Door) -> io::Result<()> {
        let (ways, disk) = (door.ways(), self.disk);
        let format = match disk.format {
            // To libvirt encryption is no format but a property of one.
            DiskFormat::Raw | DiskFormat::Luks => "raw",
            DiskFormat::Qcow2 => "qcow2",
        };
        let mut driver = vec![("name", "qemu"), ("type", format)];
        if door == Door::Qemu {
            driver.push(("discard", "unmap"));
        }
        empty(xml, "driver", &driver)?;
        around(xml, "source", &[("file", self.path)], |xml| {
            match disk.key {
                Some(key) => around(xml, "encryption", &[("format", "luks")], |xml| {
                    let uuid = secret_uuid(self.vm, key).to_string();
                    empty(xml, "secret", &[("type", "passphrase"), ("uuid", &uuid)])
                }),
                None => Ok(()),
            }
        })?;
        match self.base {
            // No base is followed but the declared one, and nothing is probed.
            None if disk.format == DiskFormat::Qcow2 => empty(xml, "backingStore", &[])?,
            None => {}
            Some(base) => around(xml, "backingStore", &[("type", "file")], |xml| {
                empty(xml, "format", &[("type", "raw")])?;
                empty(xml, "source", &[("file", base)])?;
                empty(xml, "backingStore", &[])
            })?,
        }
        empty(
            xml,
            "target",
            &[("dev", self.target), ("bus", ways.bus.name)],
        )?;
        self.limits(xml)?;
        if disk.read_only {
            empty(xml, "readonly", &[])?;
        }
        if door == Door::Qemu {
            // Names are of one byte a letter.
            let serial = &disk.name[..disk.name.len().min(SERIAL_BYTES)];
            text(xml, "serial", &[], serial)?;
        }
        Ok(())
    }

    fn limits(&self, xml: &mut Xml) -> io::Result<()> {
        let (iops, mibps) = (self.disk.iops, self.disk.mibps);
        if iops.is_none() && mibps.is_none() {
            return Ok(());
        }
        around(xml, "iotune", &[], |xml| {
            if let Some(mibps) = mibps {
                let bytes = u64::from(mibps) << 20;
                text(xml, "total_bytes_sec", &[], &bytes.to_string())?;
            }
            if let Some(iops) = iops {
                text(xml, "total_iops_sec", &[], &iops.to_string())?;
            }
            Ok(())
        })
    }
}

fn interface(xml: &mut Xml, interface: &AttachedInterface, ways: &Ways) -> io::Result<()> {
    let kind = match interface.plug {
        Plug::Tap { .. } => "ethernet",
        Plug::Bridge { .. } => "bridge",
        Plug::User { .. } => "user",
    };
    around(xml, "interface", &[("type", kind)], |xml| {
        let mac = interface.mac.map(|octet| format!("{octet:02x}")).join(":");
        empty(xml, "mac", &[("address", &mac)])?;
        match &interface.plug {
            // It is there already and stays when the VM ends.
            Plug::Tap { name } => empty(xml, "target", &[("dev", name), ("managed", "no")])?,
            Plug::Bridge { name } => empty(xml, "source", &[("bridge", name)])?,
            Plug::User { .. } => {}
        }
        if let Some(card) = ways.card {
            empty(xml, "model", &[("type", card)])?;
        }
        if let Some(mbps) = interface.mbps {
            // libvirt counts thousands of bytes a second.
            let average = (u64::from(mbps) * 125).to_string();
            around(xml, "bandwidth", &[], |xml| {
                empty(xml, "inbound", &[("average", &average)])
            })?;
        }
        Ok(())
    })
}

/// A console in the VM's folder; one of another machine is libvirt's own affair.
fn console(xml: &mut Xml, place: &Place) -> io::Result<()> {
    if !place.config.is_here() {
        return empty(xml, "serial", &[("type", "pty")]);
    }
    let path = |name: &str| place.folder.join(name).to_string_lossy().into_owned();
    around(xml, "serial", &[("type", "unix")], |xml| {
        empty(xml, "source", &[("mode", "bind"), ("path", &path(CONSOLE))])?;
        empty(
            xml,
            "log",
            &[("file", &path(CONSOLE_LOG)), ("append", "on")],
        )
    })
}

fn written(write: impl FnOnce(&mut Xml) -> io::Result<()>) -> String {
    let mut xml = Writer::new(Vec::new());
    write(&mut xml).expect("a vector takes all that is written to it");
    String::from_utf8(xml.into_inner()).expect("all that was written is text")
}

fn around(
    xml: &mut Xml,
    name: &str,
    attributes: &[(&str, &str)],
    inner: impl FnOnce(&mut Xml) -> io::Result<()>,
) -> io::Result<()> {
    let element = xml
        .create_element(name)
        .with_attributes(attributes.iter().copied());
    element.write_inner_content(inner).map(drop)
}

fn text(xml: &mut Xml, name: &str, attributes: &[(&str, &str)], text: &str) -> io::Result<()> {
    let element = xml
        .create_element(name)
        .with_attributes(attributes.iter().copied());
    element.write_text_content(BytesText::new(text)).map(drop)
}

fn empty(xml: &mut Xml, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
    let element = xml
        .create_element(name)
        .with_attributes(attributes.iter().copied());
    element.write_empty().map(drop)
}
