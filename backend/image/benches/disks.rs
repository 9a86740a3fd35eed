//! Disks side by side with the tools that others use for the same step, as one table of ratios.
//!
//! `cargo bench --package image`. Every pair works on the same bytes in the same folder, one after
//! the other in turns; the ratio is that of the least times, as other work on the machine only ever
//! adds. `-- replicate`, `-- wipe` or `-- customise` runs that pair alone.

use agent::edit::Edit;
use agent::watch::Unwatched;
use image::customise::customise;
use image::replicate::replicate;
use image::wipe::{Pattern, overwrite_only};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::error::Error;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
/// Turns of each pair but the slow one.
const TURNS: usize = 9;
/// Turns of the slow one.
const SLOW_TURNS: usize = 3;

type Pair = fn(&Path) -> Result<(), Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    let shm = Path::new("/dev/shm");
    let place = if shm.is_dir() {
        shm.to_owned()
    } else {
        std::env::temp_dir()
    };
    let folder = tempfile::Builder::new()
        .prefix("disks-")
        .tempdir_in(place)?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(folder.path(), open)?;
    println!("times as least / median, in milliseconds");
    println!(
        "{:<38} {:>15} {:>15} {:>7}",
        "step", "others", "ours", "ratio"
    );
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let pairs: [(&str, Pair); 3] = [
        ("replicate", replication),
        ("wipe", wiping),
        ("customise", customising),
    ];
    for (name, pair) in pairs {
        if chosen.is_empty() || chosen.iter().any(|word| word == name) {
            pair(folder.path())?;
        }
    }
    Ok(())
}

/// 2 GiB with 1 GiB of data in pieces of 8 MiB.
fn replication(folder: &Path) -> Result<(), Box<dyn Error>> {
    let (from, to) = (folder.join("from"), folder.join("to"));
    let file = File::create(&from)?;
    file.set_len(2_048 * MIB)?;
    let mut bytes = vec![0; 8 * MIB as usize];
    ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut bytes);
    for at in (0..2_048).step_by(16) {
        file.write_all_at(&bytes, at * MIB)?;
    }
    let pair = in_turns(
        TURNS,
        &to,
        || {
            run(
                "qemu-img",
                &[
                    "convert",
                    "-O",
                    "raw",
                    "-W",
                    "-m16",
                    text(&from)?,
                    text(&to)?,
                ],
            )
        },
        || Ok(replicate(&from, &to, &Unwatched)?),
    )?;
    report("replicate, qemu-img convert -W -m16", pair);
    std::fs::remove_file(&from)?;
    Ok(std::fs::remove_file(&to)?)
}

/// 1 GiB, random, writing alone.
fn wiping(folder: &Path) -> Result<(), Box<dyn Error>> {
    let disk = folder.join("disk");
    File::create(&disk)?.set_len(1_024 * MIB)?;
    overwrite_only(&disk, Pattern::Zero, &Unwatched)?;
    let pair = in_turns(
        TURNS,
        &folder.join("none"),
        || run("shred", &["-n1", text(&disk)?]),
        || Ok(overwrite_only(&disk, Pattern::Random, &Unwatched)?),
    )?;
    report("wipe by writing, shred -n1", pair);
    Ok(std::fs::remove_file(&disk)?)
}

/// A Debian image, copied and given a name and a file. Both results are checked.
fn customising(folder: &Path) -> Result<(), Box<dyn Error>> {
    let base = debian(folder)?;
    let (theirs, ours) = (folder.join("theirs.raw"), folder.join("ours.raw"));
    let appliance = Appliance::new(folder)?;
    let edits = [
        Edit::file("/etc/hostname", "bench\n", 0o644),
        Edit::file("/etc/motd", "made by the benchmark\n", 0o644),
    ];
    let pair = in_turns(
        SLOW_TURNS,
        &ours,
        || {
            run("cp", &["--sparse=always", text(&base)?, text(&theirs)?])?;
            appliance.customise(&theirs)
        },
        || Ok(customise(&base, &ours, &edits, &Unwatched)?),
    )?;
    for (disk, path, expected) in [
        (&theirs, "/etc/hostname", "bench\n"),
        (&ours, "/etc/hostname", "bench\n"),
        (&theirs, "/etc/motd", "made by the benchmark\n"),
        (&ours, "/etc/motd", "made by the benchmark\n"),
    ] {
        run("/usr/sbin/e2fsck", &["-fn", text(disk)?])?;
        let output = Command::new("/usr/sbin/debugfs")
            .args(["-R", &format!("cat {path}")])
            .arg(disk)
            .output()?;
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            expected,
            "{}",
            disk.display()
        );
    }
    report("customise and check, virt-customize", pair);
    Ok(())
}

/// Debian as its smallest set of packages, in an ext4 file system without a table, as
/// virt-customize takes it.
fn debian(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let sources = std::fs::read_to_string("/etc/apt/sources.list.d/debian.sources")?;
    let archive = sources.lines().find_map(|line| line.strip_prefix("URIs:"));
    let archive = archive
        .ok_or("no archive in /etc/apt/sources.list.d/debian.sources")?
        .trim();
    let (tar, root, image) = (
        folder.join("d.tar"),
        folder.join("d"),
        folder.join("debian.raw"),
    );
    let mut make = Command::new("mmdebstrap");
    make.args([
        "--variant=minbase",
        "--quiet",
        "--skip=output/dev",
        "bookworm",
    ]);
    finish(
        "mmdebstrap",
        make.arg(&tar).arg(archive).env("TMPDIR", folder),
    )?;
    std::fs::create_dir(&root)?;
    run("tar", &["-C", text(&root)?, "-xf", text(&tar)?])?;
    File::create(&image)?.set_len(512 * MIB)?;
    run(
        "/usr/sbin/mke2fs",
        &["-q", "-F", "-t", "ext4", "-d", text(&root)?, text(&image)?],
    )?;
    std::fs::remove_dir_all(&root)?;
    std::fs::remove_file(&tar)?;
    Ok(image)
}

/// What virt-customize needs to start its own machine: a kernel that the system does not have to
/// have installed, and emulation, as in most machines that are virtual themselves.
struct Appliance {
    cache: PathBuf,
    guests: PathBuf,
    made_modules: bool,
}

/// supermin copies the access of this folder, even where its modules come from elsewhere.
const SYSTEM_MODULES: &str = "/lib/modules";

impl Appliance {
    fn new(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/x86_64");
        let guests = guests
            .canonicalize()
            .map_err(|error| format!("{}: {error}; run make guests", guests.display()))?;
        let cache = folder.join("cache");
        std::fs::create_dir(&cache)?;
        let made_modules = !Path::new(SYSTEM_MODULES).exists();
        if made_modules {
            std::fs::create_dir(SYSTEM_MODULES)
                .map_err(|error| format!("{SYSTEM_MODULES}: {error}; make it as root"))?;
        }
        let appliance = Self {
            cache,
            guests,
            made_modules,
        };
        // The first start builds the machine's disk, which later ones keep.
        let image = folder.join("warm.raw");
        File::create(&image)?.set_len(8 * MIB)?;
        run("/usr/sbin/mke2fs", &["-q", "-F", text(&image)?])?;
        let mut warm = Command::new("guestfish");
        appliance.environment(warm.args(["-a", text(&image)?, "run"]));
        finish("guestfish", &mut warm)?;
        Ok(appliance)
    }

    fn customise(&self, disk: &Path) -> Result<(), Box<dyn Error>> {
        let mut command = Command::new("virt-customize");
        command.args([
            "--quiet",
            "--no-network",
            "-a",
            text(disk)?,
            "--hostname",
            "bench",
        ]);
        command.args(["--write", "/etc/motd:made by the benchmark\n"]);
        self.environment(&mut command);
        finish("virt-customize", &mut command)
    }

    fn environment(&self, command: &mut Command) {
        let modules = self.guests.join("modules");
        let release = modules
            .read_dir()
            .ok()
            .and_then(|mut found| found.next()?.ok());
        if let Some(release) = release {
            command.env("SUPERMIN_MODULES", release.path());
            command.env("SUPERMIN_KERNEL_VERSION", release.file_name());
        }
        command
            .env("SUPERMIN_KERNEL", self.guests.join("vmlinuz"))
            .env("LIBGUESTFS_BACKEND", "direct")
            .env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")
            .env("LIBGUESTFS_MEMSIZE", "512")
            .env("LIBGUESTFS_CACHEDIR", &self.cache)
            .env("TMPDIR", &self.cache);
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if self.made_modules {
            drop(std::fs::remove_dir(SYSTEM_MODULES));
        }
    }
}

type Act<'a> = dyn Fn() -> Result<(), Box<dyn Error>> + 'a;

/// Times of one side of a pair, sorted.
struct Times(Vec<Duration>);

impl Times {
    fn least(&self) -> Duration {
        self.0[0]
    }

    fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }
}

/// Both by turns; the file that they make is removed before each, outside the time.
fn in_turns(
    turns: usize,
    made: &Path,
    theirs: impl Fn() -> Result<(), Box<dyn Error>>,
    ours: impl Fn() -> Result<(), Box<dyn Error>>,
) -> Result<(Times, Times), Box<dyn Error>> {
    let time = |act: &Act<'_>| -> Result<Duration, Box<dyn Error>> {
        match std::fs::remove_file(made) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let begun = Instant::now();
        act()?;
        Ok(begun.elapsed())
    };
    let mut pair = (Vec::new(), Vec::new());
    for _ in 0..turns {
        pair.0.push(time(&theirs)?);
        pair.1.push(time(&ours)?);
    }
    pair.0.sort_unstable();
    pair.1.sort_unstable();
    Ok((Times(pair.0), Times(pair.1)))
}

fn report(step: &str, (theirs, ours): (Times, Times)) {
    let ratio = theirs.least().as_secs_f64() / ours.least().as_secs_f64();
    let told = |times: &Times| {
        let (least, median) = (times.least().as_millis(), times.median().as_millis());
        format!("{least} / {median}")
    };
    let (theirs, ours) = (told(&theirs), told(&ours));
    println!("{step:<38} {theirs:>15} {ours:>15} {ratio:>6.1}×");
}

fn text(path: &Path) -> Result<&str, Box<dyn Error>> {
    path.to_str()
        .ok_or_else(|| format!("{} is no text", path.display()).into())
}

fn run(program: &str, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    finish(program, Command::new(program).args(arguments))
}

fn finish(program: &str, command: &mut Command) -> Result<(), Box<dyn Error>> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| match package(program) {
        Some(package) => format!("{program}: {error}; it comes with the package {package}"),
        None => format!("{program}: {error}"),
    })?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// The Debian package of a program that a pair needs.
fn package(program: &str) -> Option<&'static str> {
    match program {
        "guestfish" => Some("guestfish"),
        "virt-customize" => Some("guestfs-tools"),
        "shred" => Some("coreutils"),
        "qemu-img" => Some("qemu-utils"),
        "mmdebstrap" => Some("mmdebstrap"),
        _ => None,
    }
}
