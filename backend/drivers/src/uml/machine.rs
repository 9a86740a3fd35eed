//! What of a machine User-mode Linux can honour, and the words in which its kernel is told.

use super::registers::Registers;
use super::run::Run;
use crate::field::{expect, invalid, plain_disk};
use agent::driver::DriverError;
use agent::machine::{AttachedInterface, Boot, Machine, Plug};
use model::hypervisor::{Arch, Guest, Virtualisation};
use std::path::Path;

/// Disks of a guest, `ubda` to `ubdp`.
const MAX_DISKS: usize = 16;

/// Bytes of the path of a unix socket, the closing zero left out.
const MAX_SOCKET_PATH: usize = 107;

/// Words that a guest's command line may have beside those of systemd. It comes from its tenant, and
/// the kernel, a program of the node, has options that reach for the node's files, sockets and
/// programs, more of them with each version: so what may stand there is listed, and nothing else.
const FOR_THE_GUEST: &[&str] = &[
    "autopoweroff",
    "console",
    "init",
    "ip",
    "loglevel",
    "net.ifnames",
    "panic",
    "quiet",
    "rdinit",
    "ro",
    "root",
    "rootdelay",
    "rootwait",
    "rw",
    "single",
];

/// Refuses what could not be honoured.
pub fn validate(machine: &Machine, run: &Run) -> Result<(), DriverError> {
    expect(machine.arch == Arch::X86_64, "arch", machine.arch, "x86_64")?;
    expect(
        machine.guest == Guest::Linux,
        "guest",
        machine.guest,
        "linux",
    )?;
    let para = machine.virtualisation == Virtualisation::Para;
    expect(para, "virtualisation", machine.virtualisation, "para")?;
    let one = "1, for the kernel is built for one processor";
    expect(machine.cpus == 1, "cpus", machine.cpus, one)?;
    expect(machine.max_cpus == 1, "max_cpus", machine.max_cpus, one)?;
    let most = machine.max_mem_mib;
    let enough = machine.mem_mib <= most;
    expect(
        enough,
        "mem_mib",
        machine.mem_mib,
        &format!("at most max_mem_mib, {most}"),
    )?;
    let socket = run.mconsole();
    expect(
        socket.as_os_str().len() <= MAX_SOCKET_PATH,
        "vm",
        socket.display(),
        &format!(
            "a socket's path of at most {MAX_SOCKET_PATH} bytes; choose a shorter folder for the driver"
        ),
    )?;
    boot(&machine.boot)?;
    let count = machine.disks.len();
    expect(
        count <= MAX_DISKS,
        "disks",
        count,
        &format!("at most {MAX_DISKS}"),
    )?;
    for (index, disk) in machine.disks.iter().enumerate() {
        plain_disk(index, disk)?;
        plain_path(&format!("disks[{index}].path"), &disk.path)?;
    }
    for (index, interface) in machine.interfaces.iter().enumerate() {
        self::interface(index, interface)?;
    }
    Ok(())
}

/// The kernel's program and its words.
pub fn kernel(machine: &Machine, run: &Run, registers: Registers) -> Vec<String> {
    let Boot::Kernel {
        kernel,
        initrd,
        command_line,
    } = &machine.boot
    else {
        unreachable!("validate lets in kernels only");
    };
    let mut words = vec![
        kernel.display().to_string(),
        format!("mem={}M", machine.max_mem_mib),
    ];
    words.extend(run.words());
    // The console is written to the log and never read: what is typed would come from nowhere.
    words.extend(["con=null", "con0=null,fd:1", "ssl=null"].map(str::to_owned));
    if let Some(initrd) = initrd {
        words.push(format!("initrd={}", initrd.display()));
    }
    for (index, disk) in machine.disks.iter().enumerate() {
        let read_only = if disk.read_only { "r" } else { "" };
        words.push(format!("ubd{index}{read_only}={}", disk.path.display()));
    }
    for (index, interface) in machine.interfaces.iter().enumerate() {
        if let Plug::Tap { name } = &interface.plug {
            let mac = interface.mac.map(|octet| format!("{octet:02x}")).join(":");
            words.push(format!("eth{index}=tuntap,{name},{mac}"));
        }
    }
    if registers == Registers::Legacy {
        words.push(SSE_ONLY.to_owned());
    }
    words.extend(command_line.split_whitespace().map(str::to_owned));
    words
}

/// Becomes a variable of the guest's first process: where the kernel keeps the legacy registers only,
/// threads of one program share the upper halves of the wider ones, so glibc must not use them.
const SSE_ONLY: &str = "GLIBC_TUNABLES=glibc.cpu.hwcaps=\
-AVX_Usable,-AVX2_Usable,-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW";

fn boot(boot: &Boot) -> Result<(), DriverError> {
    let Boot::Kernel {
        kernel,
        initrd,
        command_line,
    } = boot
    else {
        return Err(invalid("boot", "no kernel", "a kernel that is a program"));
    };
    if !kernel.is_file() {
        return Err(DriverError::Missing {
            what: kernel.display().to_string(),
            hint: "install user-mode-linux".into(),
        });
    }
    if let Some(initrd) = initrd {
        plain_path("boot.initrd", initrd)?;
    }
    for word in command_line.split_whitespace() {
        let option = word.split('=').next().unwrap_or_default();
        let known = FOR_THE_GUEST.contains(&option) || option.starts_with("systemd.");
        let expected = format!("systemd.…, or one of {}", FOR_THE_GUEST.join(", "));
        expect(known, "boot.command_line", word, &expected)?;
    }
    Ok(())
}

fn interface(index: usize, interface: &AttachedInterface) -> Result<(), DriverError> {
    let field = |name: &str| format!("interfaces[{index}].{name}");
    expect(interface.mbps.is_none(), &field("mbps"), "set", "no limit")?;
    match &interface.plug {
        Plug::Tap { name } => plain_path(&field("plug"), Path::new(name)),
        Plug::Bridge { .. } => Err(invalid(&field("plug"), "a bridge", "a tap")),
        Plug::User { .. } => Err(invalid(&field("plug"), "address translation", "a tap")),
    }
}

/// The kernel parts its words at blanks, commas and colons, and cannot be told not to.
fn plain_path(field: &str, path: &Path) -> Result<(), DriverError> {
    let parts = |c: char| c.is_whitespace() || c == ',' || c == ':';
    let plain = path.to_str().is_some_and(|path| !path.contains(parts));
    expect(
        plain,
        field,
        path.display(),
        "a path without blanks, commas and colons",
    )
}
