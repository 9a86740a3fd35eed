//! Makes images of recipes and shows what a store holds: `gridwright-image`.

use agent::watch::Unwatched;
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use image::manifest::{hex, signing_key};
use image::publish::{Published, publish};
use image::recipe::Recipe;
use image::store::Store;
use model::hypervisor::{Arch, Guest};
use std::path::{Path, PathBuf};

/// Makes the images that Gridwright's nodes start from.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an image from a recipe and put it into a store.
    Build {
        /// The recipe's file.
        recipe: PathBuf,
        /// The store's folder; served over HTTP as it is, nodes fetch from it.
        #[arg(long)]
        out: PathBuf,
        /// File of the key that signs; made if it is not there.
        #[arg(long)]
        key: PathBuf,
        /// Folder with vmlinuz, modules and busybox, as `make guests` fetches them.
        #[arg(long, default_value = "target/guests/x86_64")]
        guests: PathBuf,
    },
    /// Take a disk that somebody publishes, raw or qcow2, into a store as an image.
    Publish {
        /// The disk's file; it may be compressed by zstd or xz.
        disk: PathBuf,
        /// What people call it, as `debian`.
        #[arg(long)]
        name: String,
        /// Which of that name.
        #[arg(long = "as-version")]
        version: String,
        /// Instruction set of its programs, as `x86-64`.
        #[arg(long)]
        arch: Arch,
        /// Its operating system, as `linux`.
        #[arg(long, default_value = "linux")]
        guest: Guest,
        /// Whether cloud-init runs in it.
        #[arg(long)]
        cloud_init: bool,
        /// The most MiB that its guest may see.
        #[arg(long, default_value_t = 65_536)]
        most_mib: u64,
        /// The store's folder.
        #[arg(long)]
        out: PathBuf,
        /// File of the key that signs; made if it is not there.
        #[arg(long)]
        key: PathBuf,
    },
    /// List the images of a store.
    List {
        /// The store's folder.
        store: PathBuf,
        /// File of the key that signed them.
        #[arg(long)]
        key: PathBuf,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Build {
            recipe,
            out,
            key,
            guests,
        } => {
            let text =
                std::fs::read_to_string(&recipe).with_context(|| recipe.display().to_string())?;
            let is_new = !key.exists();
            let key = signing_key(&key)?;
            if is_new {
                println!("made key {}", hex(key.verifying_key().as_bytes()));
            }
            let store = Store::open(&out, vec![key.verifying_key()], u64::MAX)?;
            let image = Recipe::read(&text)?.make(&guests, &scratch(), &store, &key, &Unwatched)?;
            println!("{} {} bytes", image.id, image.manifest.stream_bytes);
        }
        Command::Publish {
            disk,
            name,
            version,
            arch,
            guest,
            cloud_init,
            most_mib,
            out,
            key,
        } => {
            let key = signing_key(&key)?;
            let store = Store::open(&out, vec![key.verifying_key()], u64::MAX)?;
            let published = Published {
                name,
                version,
                arch,
                guest,
                cloud_init,
                most_bytes: most_mib << 20,
            };
            let image = publish(&disk, &published, &out, (&store, &key), &Unwatched)?;
            println!("{} {} bytes", image.id, image.manifest.stream_bytes);
        }
        Command::List { store, key } => {
            let key = signing_key(&key)?;
            for image in Store::open(&store, vec![key.verifying_key()], u64::MAX)?.images()? {
                let manifest = image.manifest;
                let has = manifest.applications.join(" ");
                println!(
                    "{} {} {} {} {has}",
                    image.id, manifest.name, manifest.version, manifest.arch
                );
            }
        }
    }
    Ok(())
}

/// Thousands of small files are written and read once: in memory, where the machine has a place.
fn scratch() -> PathBuf {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() {
        shm.to_owned()
    } else {
        std::env::temp_dir()
    }
}
