//! Makes images of recipes and shows what a store holds: `gridwright-image`.

use agent::watch::Unwatched;
use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use ed25519_dalek::SigningKey;
use image::manifest::hex;
use image::recipe::Recipe;
use image::store::Store;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
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
            let key = signing_key(&key)?;
            let store = Store::open(&out, vec![key.verifying_key()], u64::MAX)?;
            let image = Recipe::read(&text)?.make(&guests, &scratch(), &store, &key, &Unwatched)?;
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

fn signing_key(path: &Path) -> Result<SigningKey> {
    if !path.exists() {
        let mut seed = [0; 32];
        std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut seed))?;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        std::io::Write::write_all(&mut file, &seed)?;
        println!(
            "made key {}",
            hex(SigningKey::from_bytes(&seed).verifying_key().as_bytes())
        );
    }
    let seed = std::fs::read(path).with_context(|| path.display().to_string())?;
    match <[u8; 32]>::try_from(seed) {
        Ok(seed) => Ok(SigningKey::from_bytes(&seed)),
        Err(_) => bail!("{} is no key of 32 bytes", path.display()),
    }
}
