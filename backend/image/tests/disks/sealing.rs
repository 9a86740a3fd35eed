//! Encryption: who opens a disk, and where keys never appear.

use crate::scratch::{folder, hole, run, small_guest};
use agent::driver::NativeCall;
use agent::watch::{CalledOff, Unwatched, Watch};
use image::luks::{add_key, destroy_keys, encrypt, format, keep_key, opens};
use std::process::{Command, Stdio};
use std::sync::Mutex;

const KEY: &[u8] = b"first-key-0123456789abcdef";
const NEW: &[u8] = b"second-key-fedcba9876543210";

/// An encrypted disk reads as the original with its key, and shows nothing of it without.
#[test]
fn an_encrypted_disk_opens_with_its_key_alone() {
    let folder = folder();
    let guest = small_guest(folder.path(), 0);
    let (sealed, plain) = (folder.path().join("sealed"), folder.path().join("plain"));
    encrypt(&guest, &sealed, KEY, &Unwatched).expect("encrypted");
    assert!(opens(&sealed, KEY, &Unwatched).expect("asked"));
    assert!(!opens(&sealed, NEW, &Unwatched).expect("asked"));
    let bytes = std::fs::read(&sealed).expect("the disk");
    assert!(!bytes.windows(9).any(|window| window == b"localhost"));

    let options = format!(
        "driver=luks,key-secret=k,file.driver=file,file.filename={}",
        sealed.display()
    );
    let mut qemu = Command::new("qemu-img")
        .args([
            "convert",
            "--object",
            "secret,id=k,file=/dev/stdin",
            "--image-opts",
            &options,
        ])
        .args(["-O", "raw"])
        .arg(&plain)
        .stdin(Stdio::piped())
        .spawn()
        .expect("qemu-img");
    std::io::Write::write_all(&mut qemu.stdin.take().expect("piped"), KEY).expect("it reads");
    assert!(qemu.wait().expect("it ends").success());
    assert!(std::fs::read(&plain).expect("plain") == std::fs::read(&guest).expect("guest"));
}

/// Keys are added and dropped, each as often as one likes, until no slot but one is left; one that does
/// not open a disk cannot be the one that stays; once the slots are overwritten no key opens.
#[test]
fn keys_come_and_go() {
    let folder = folder();
    let disk = folder.path().join("disk");
    hole(&disk, 16 << 20);
    format(&disk, KEY, &Unwatched).expect("formatted");
    let opened = |by: &[u8]| opens(&disk, by, &Unwatched).expect("asked");
    // More often than there are slots: none is left over.
    for (old, new) in [(KEY, NEW), (NEW, KEY)].repeat(5) {
        for _ in 0..2 {
            add_key(&disk, old, new, &Unwatched).expect("added");
            assert!(opened(old) && opened(new));
        }
        for _ in 0..2 {
            keep_key(&disk, new, &Unwatched).expect("kept");
            assert!(opened(new) && !opened(old));
        }
    }
    let error = keep_key(&disk, NEW, &Unwatched).expect_err("a stranger");
    assert!(error.to_string().contains("does not open it"), "{error}");
    assert!(opened(KEY));
    destroy_keys(&disk, &Unwatched).expect("destroyed");
    destroy_keys(&disk, &Unwatched).expect("again");
    assert!(opens(&disk, KEY, &Unwatched).is_err());
    let name = disk.to_str().expect("plain");
    run("sh", &["-c", &format!("! cryptsetup isLuks {name}")]);
}

/// No key is in what is told of a call, in an error, or in an argument of a process.
#[test]
fn keys_are_never_shown() {
    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);
    impl Watch for Told {
        fn progressed(&self, _done_milli: u16) {}
        fn calling(&self, call: &NativeCall) {
            self.0.lock().expect("ours").push(call.call.clone());
        }
        fn checkpoint(&self) -> Result<(), CalledOff> {
            let mut told = self.0.lock().expect("ours");
            for process in std::fs::read_dir("/proc").expect("proc").flatten() {
                let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).into_owned();
                if line.contains("luks") || line.contains("qemu-img") {
                    told.push(line);
                }
            }
            Ok(())
        }
    }
    let folder = folder();
    let told = Told::default();
    let guest = small_guest(folder.path(), 0);
    let sealed = folder.path().join("sealed");
    encrypt(&guest, &sealed, KEY, &told).expect("encrypted");
    add_key(&sealed, KEY, NEW, &told).expect("added");
    keep_key(&sealed, NEW, &told).expect("kept");
    let error = add_key(&sealed, KEY, b"third-key", &told).expect_err("no such key any more");
    let mut told = told.0.into_inner().expect("ours");
    assert!(
        told.iter().any(|line| line.contains("luksFormat")),
        "nothing was seen"
    );
    told.extend([error.to_string(), format!("{error:?}")]);
    for line in told {
        for key in [KEY, NEW, b"third-key"] {
            let key = std::str::from_utf8(key).expect("text");
            assert!(!line.contains(key), "{line}");
        }
    }
}
