//! The store of images: signatures, digests, transfers that break, and its bound.

use crate::scratch::folder;
use agent::watch::Unwatched;
use ed25519_dalek::SigningKey;
use image::archive::Bounds;
use image::manifest::{Compression, Content, Manifest};
use image::store::{Image, Store, Wanted, best};
use model::hypervisor::{Arch, Guest};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

fn store(folder: &Path, most_bytes: u64) -> Store {
    Store::open(folder, vec![key().verifying_key()], most_bytes).expect("a store")
}

fn manifest(name: &str, version: &str, applications: &[&str]) -> Manifest {
    Manifest {
        name: name.to_owned(),
        version: version.to_owned(),
        arch: Arch::X86_64,
        guest: Guest::Linux,
        content: Content::System,
        applications: applications.iter().map(|&name| name.to_owned()).collect(),
        compression: Compression::None,
        stream: String::new(),
        stream_bytes: 0,
        bounds: Bounds {
            entries: 1,
            bytes: 1 << 20,
        },
        disk_bytes: 0,
        templates: Vec::new(),
        parameters: [].into(),
        cloud_init: false,
    }
}

fn add(store: &Store, folder: &Path, manifest: Manifest, byte: u8) -> Image {
    let file = folder.join("made");
    std::fs::write(&file, vec![byte; 300_000]).expect("room");
    store
        .add(manifest, &file, &key(), &Unwatched)
        .expect("added")
}

/// Serves a folder over HTTP/1.1; each answer of a stream breaks after so many bytes of its body,
/// and the ranges asked for are noted.
fn serve(folder: &Path, break_after: usize) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let (folder, ranges) = (folder.to_owned(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&ranges);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
            let first = lines.next().and_then(Result::ok).unwrap_or_default();
            let name = first
                .split(' ')
                .nth(1)
                .unwrap_or_default()
                .trim_start_matches('/')
                .to_owned();
            let headers: Vec<String> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let range = headers.iter().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case("range").then(|| value.to_owned())
            });
            let from = range.as_deref().and_then(|range| {
                range
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse::<usize>()
                    .ok()
            });
            let is_stream = name.ends_with(".stream");
            if is_stream {
                noted.lock().expect("ours").push(range.unwrap_or_default());
            }
            let Ok(bytes) = std::fs::read(folder.join(&name)) else {
                drop(stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
                continue;
            };
            let body = &bytes[from.unwrap_or(0)..];
            let status = if from.is_some() {
                "206 Partial Content"
            } else {
                "200 OK"
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let sent = if is_stream {
                body.len().min(break_after)
            } else {
                body.len()
            };
            drop(stream.write_all(head.as_bytes()));
            drop(stream.write_all(&body[..sent]));
        }
    });
    (address, ranges)
}

/// A transfer that breaks goes on where it broke, and what came is what was sent.
#[test]
fn a_broken_transfer_goes_on() {
    let (there, here) = (folder(), folder());
    let from = store(&there.path().join("s"), u64::MAX);
    let made = add(&from, there.path(), manifest("debian", "12", &[]), 7);
    let (server, ranges) = serve(&there.path().join("s"), 100_000);
    let to = store(here.path(), u64::MAX);
    let image = to.fetch(&server, &made.id, &Unwatched).expect("fetched");
    assert_eq!(image, made);
    let mut bytes = Vec::new();
    to.stream(&image)
        .expect("a stream")
        .read_to_end(&mut bytes)
        .expect("its bytes");
    assert!(bytes == [7; 300_000]);
    assert_eq!(
        *ranges.lock().expect("ours"),
        ["", "bytes=100000-", "bytes=200000-"]
    );
    // A second time nobody is asked.
    to.fetch("http://127.0.0.1:1", &made.id, &Unwatched)
        .expect("it is here");
}

/// A changed stream, a changed manifest and a stranger's signature are refused, and nothing stays.
#[test]
fn what_is_not_as_signed_is_refused() {
    let check = |spoil: &dyn Fn(&Path, &Image), expected: &str| {
        let (there, here) = (folder(), folder());
        let from = store(&there.path().join("s"), u64::MAX);
        let made = add(&from, there.path(), manifest("debian", "12", &[]), 7);
        spoil(&there.path().join("s"), &made);
        let (server, _) = serve(&there.path().join("s"), usize::MAX);
        let to = store(here.path(), u64::MAX);
        let error = to
            .fetch(&server, &made.id, &Unwatched)
            .expect_err(expected)
            .to_string();
        assert!(error.ends_with(expected), "{error}");
        assert!(to.images().expect("readable").is_empty());
    };
    check(
        &|folder, image| {
            let path = folder.join(format!("{}.stream", image.manifest.stream));
            std::fs::write(path, vec![8; 300_000]).expect("room");
        },
        "its digest is not the manifest's",
    );
    check(
        &|folder, image| {
            let path = folder.join(format!("{}.toml", image.id));
            let text = std::fs::read_to_string(&path)
                .expect("it")
                .replace("\"12\"", "\"13\"");
            std::fs::write(path, text).expect("room");
        },
        "its manifest has another digest",
    );
    check(
        &|folder, image| {
            let text = std::fs::read_to_string(folder.join(format!("{}.toml", image.id)));
            let stranger = SigningKey::from_bytes(&[4; 32]);
            let signature = ed25519_dalek::Signer::sign(&stranger, text.expect("it").as_bytes());
            let hex = image::manifest::hex(&signature.to_bytes());
            std::fs::write(folder.join(format!("{}.sig", image.id)), hex).expect("room");
        },
        "nobody trusted has signed it",
    );
}

/// The store keeps to its bound: the least lately used goes, and what never fits is not begun.
#[test]
fn the_store_keeps_its_bound() {
    let (there, here) = (folder(), folder());
    let from = store(&there.path().join("s"), u64::MAX);
    let made: Vec<Image> = (1..=3)
        .map(|n| {
            add(
                &from,
                there.path(),
                manifest("debian", &n.to_string(), &[]),
                n,
            )
        })
        .collect();
    let (server, _) = serve(&there.path().join("s"), usize::MAX);
    let to = store(here.path(), 700_000);
    for image in &made[..2] {
        to.fetch(&server, &image.id, &Unwatched).expect("fits");
    }
    drop(to.stream(&made[0]).expect("used again"));
    to.fetch(&server, &made[2].id, &Unwatched).expect("fits");
    let versions: Vec<String> = to
        .images()
        .expect("readable")
        .into_iter()
        .map(|image| image.manifest.version)
        .collect();
    assert!(
        !versions.contains(&"2".to_owned()) && versions.len() == 2,
        "{versions:?}"
    );
    let small = store(here.path(), 100_000);
    let error = small
        .fetch(&server, &made[1].id, &Unwatched)
        .expect_err("too large");
    assert!(
        error
            .to_string()
            .ends_with("300000 bytes, the store keeps 100000 at most"),
        "{error}"
    );
}

/// The image with most of what is asked for and least besides is the best, then the newest.
#[test]
fn the_best_image_is_chosen() {
    let image = |version: &str, applications: &[&str]| Image {
        id: format!("{version}{applications:?}"),
        manifest: manifest("debian", version, applications),
    };
    let images = [
        image("12", &[]),
        image("12.9", &["nginx"]),
        image("12.10", &["nginx"]),
        image("13", &["nginx", "postgresql"]),
    ];
    let check = |name: &str, applications: &[&str], expected: Option<&str>| {
        let applications: Vec<String> = applications.iter().map(|&a| a.to_owned()).collect();
        let wanted = Wanted {
            name,
            arch: Arch::X86_64,
            guest: Guest::Linux,
            applications: &applications,
        };
        let found = best(&images, &wanted).map(|image| image.manifest.version.as_str());
        assert_eq!(found, expected, "{applications:?}");
    };
    check("debian", &[], Some("12"));
    check("debian", &["nginx"], Some("12.10"));
    check("debian", &["nginx", "postgresql"], Some("13"));
    check("debian", &["haproxy"], Some("12"));
    check("plan9", &[], None);
}
