//! Which guests really run here: for each instruction set a machine that executes a few
//! instructions and ends itself.

use super::command_line::emulator;
use super::{Qemu, check};
use agent::driver::{Driver, DriverError};
use agent::watch::Watch;
use model::fingerprint::FoundHypervisor;
use model::hypervisor::{Arch, Virtualisation};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use strum::VariantArray;

/// A probe takes a tenth of a second; a loaded node some.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tries all emulators.
///
/// # Errors
/// Where none works, with what is missing.
pub(super) fn fingerprint(qemu: &Qemu, watch: &dyn Watch) -> Result<FoundHypervisor, DriverError> {
    check::installed("qemu-img", "qemu-utils")?;
    let mut evidence = Vec::new();
    let mut found = FoundHypervisor {
        driver: qemu.name().to_owned(),
        version: String::new(),
        virtualisation: vec![Virtualisation::Full, Virtualisation::Para],
        native: Vec::new(),
        emulated: Vec::new(),
        capabilities: qemu.capabilities(),
        evidence: String::new(),
    };
    let mut first_error = None;
    for &arch in Arch::VARIANTS {
        let begun = Instant::now();
        watch
            .checkpoint()
            .map_err(|why| DriverError::called_off("try the emulators", why))?;
        match runs(arch, "tcg") {
            Ok(()) => {
                let millis = begun.elapsed().as_millis();
                evidence.push(format!("{arch} emulated: a guest ran in {millis} ms"));
                found.emulated.push(arch);
                if found.version.is_empty() {
                    found.version = version(emulator(arch).program)?;
                }
            }
            Err(error) => {
                evidence.push(format!("{arch}: {error}"));
                first_error = first_error.or(Some(error));
            }
        }
        if arch.to_string() != std::env::consts::ARCH {
            continue;
        }
        if qemu.accelerates(arch) {
            evidence.push(format!("{arch} by KVM: a guest ran"));
            found.native.push(arch);
        } else {
            evidence.push(format!("{arch} by KVM: {}", without_kvm(arch)));
        }
    }
    found.evidence = evidence.join("; ");
    match first_error {
        Some(error) if found.emulated.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// Whether guests run on the processor itself. The device file may be there, and guests may even
/// start, where another hypervisor only pretends; so the processor must tell of it too.
pub fn kvm_works(arch: Arch) -> bool {
    processor_virtualises(arch) && runs(arch, "kvm").is_ok()
}

fn without_kvm(arch: Arch) -> &'static str {
    if processor_virtualises(arch) {
        "a guest did not run"
    } else {
        "the processor does not tell of vmx or svm"
    }
}

fn processor_virtualises(arch: Arch) -> bool {
    // Only x86 tells by a flag; for the others the probe's guest decides alone.
    arch != Arch::X86_64
        || std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| {
            text.split_whitespace()
                .any(|flag| flag == "vmx" || flag == "svm")
        })
}

/// Runs the probe's guest to its end.
fn runs(arch: Arch, accelerator: &str) -> Result<(), DriverError> {
    let emulator = emulator(arch);
    check::installed(emulator.program, emulator.package)?;
    let failed = |said: String| DriverError::Hypervisor {
        doing: format!("try {} by {accelerator}", emulator.program),
        said,
    };
    let (code, options, ending) = guest(arch);
    let mut file = tempfile::NamedTempFile::new().map_err(|error| failed(error.to_string()))?;
    file.write_all(&code)
        .map_err(|error| failed(error.to_string()))?;
    let path = file.path().to_string_lossy().into_owned();
    let mut child = Command::new(emulator.program)
        .args(["-nodefaults", "-no-user-config", "-display", "none"])
        .args(["-m", "64", "-accel", accelerator])
        .args(options.iter().map(|option| option.replace("CODE", &path)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child
            .try_wait()
            .map_err(|error| failed(error.to_string()))?
        {
            return match status.code() {
                Some(code) if code == ending => Ok(()),
                _ => Err(failed(format!("the guest did not end itself ({status})"))),
            };
        }
        if begun.elapsed() > PATIENCE {
            // It is our own child and has nothing to lose.
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(format!("nothing within {} s", PATIENCE.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A guest of a few instructions, how it is loaded, and the status with which its QEMU then ends.
fn guest(arch: Arch) -> (Vec<u8>, &'static [&'static str], i32) {
    match arch {
        Arch::X86_64 => {
            // At the reset vector: mov al,0x2a; out 0xf4,al; the device ends QEMU with 2·0x2a+1.
            const RESET_VECTOR: usize = 0xfff0;
            let mut rom = vec![0xf4; 0x1_0000];
            rom[RESET_VECTOR..][..6].copy_from_slice(&[0xb0, 0x2a, 0xe6, 0xf4, 0xeb, 0xfe]);
            let options: &[&str] = &[
                "-machine",
                "q35",
                "-bios",
                "CODE",
                "-device",
                "isa-debug-exit,iobase=0xf4,iosize=4",
            ];
            (rom, options, 0x2a * 2 + 1)
        }
        Arch::Aarch64 => {
            // mov w0,#0x84000008 (PSCI SYSTEM_OFF); hvc #0; b .
            let code = [0x52b0_8000, 0x7280_0100, 0xd400_0002, 0x1400_0000];
            let options: &[&str] = &[
                "-machine",
                "virt",
                "-cpu",
                "max",
                "-device",
                "loader,file=CODE,addr=0x40200000,cpu-num=0,force-raw=on",
            ];
            (words(&code), options, 0)
        }
        Arch::Riscv64 => {
            // lui a0,0x100; lui a1,0x5; addiw a1,a1,0x555; sw a1,0(a0); j . : the test device ends
            // QEMU.
            let code = [
                0x0010_0537,
                0x0000_55b7,
                0x5555_859b,
                0x00b5_2023,
                0x0000_006f,
            ];
            let options: &[&str] = &[
                "-machine",
                "virt",
                "-bios",
                "none",
                "-device",
                "loader,file=CODE,addr=0x80000000,cpu-num=0,force-raw=on",
            ];
            (words(&code), options, 0)
        }
    }
}

fn words(code: &[u32]) -> Vec<u8> {
    code.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn version(program: &str) -> Result<String, DriverError> {
    let output = Command::new(program).arg("--version").output();
    let output = output.map_err(|error| DriverError::Hypervisor {
        doing: format!("{program} --version"),
        said: error.to_string(),
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().unwrap_or_default();
    let version = first.split("version ").nth(1).unwrap_or(first);
    Ok(version
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned())
}
