//! Disks end to end, as one: where a request is cut, and what a client then reads and writes.

use drivers::volume::joined::{Joined, Piece, pieces};
use drivers::volume::nbd::{Command, Disk, Request};
use proptest::prelude::*;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// Sizes of the disks of a real server, in bytes.
const SIZES: [u64; 3] = [3 << 20, 1 << 20, 2 << 20];

proptest! {
    /// Every byte of a request is asked of the disk on which it lies, once, and none beyond the end.
    #[test]
    fn a_request_is_cut_where_disks_end(
        sizes in prop::collection::vec(0_u64..9, 0..6),
        offset in 0_u64..50,
        length in 0_u64..50,
    ) {
        let bytes = sizes.iter().enumerate().flat_map(|(disk, size)| (0..*size).map(move |at| (disk, at)));
        let bytes: Vec<(usize, u64)> = bytes.collect();
        let expected = bytes.get(offset as usize..(offset + length) as usize);
        let found = pieces(&sizes, offset, length);
        prop_assert_eq!(found.is_some(), expected.is_some());
        let mut asked = Vec::new();
        for Piece { disk, offset, start, length } in found.unwrap_or_default() {
            prop_assert_eq!(start, asked.len());
            prop_assert!(length > 0);
            asked.extend((0..length as u64).map(|at| (disk, offset + at)));
        }
        prop_assert_eq!(asked, expected.unwrap_or_default());
    }
}

/// A disk whose end cannot be told is not there.
#[test]
fn an_end_beyond_all_numbers_is_refused() {
    assert_eq!(pieces(&[10], u64::MAX, 2), None);
}

/// QEMU's storage daemon with disks that are called by their numbers.
struct Daemon {
    folder: tempfile::TempDir,
    child: Child,
}

impl Daemon {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
        for (disk, size) in SIZES.iter().enumerate() {
            let file = File::create(folder.path().join(disk.to_string())).expect("a disk");
            file.set_len(*size).expect("its size");
        }
        let child = start(folder.path());
        Self { folder, child }
    }

    fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("a child");
    }

    fn whole(&self) -> Vec<u8> {
        let disks = (0..SIZES.len()).map(|disk| self.folder.path().join(disk.to_string()));
        disks
            .flat_map(|disk| fs::read(disk).expect("a disk"))
            .collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn start(folder: &Path) -> Child {
    let mut command = std::process::Command::new("qemu-storage-daemon");
    let at = folder.display();
    for disk in 0..SIZES.len() {
        command.arg("--blockdev");
        command.arg(format!(
            "driver=file,node-name=n{disk},filename={at}/{disk}"
        ));
    }
    command.args([
        "--nbd-server",
        &format!("addr.type=unix,addr.path={at}/near"),
    ]);
    for disk in 0..SIZES.len() {
        let export = format!("type=nbd,id=e{disk},node-name=n{disk},name={disk},writable=on");
        command.args(["--export", &export]);
    }
    command.stderr(Stdio::null());
    command
        .spawn()
        .expect("qemu-storage-daemon, of qemu-system-common")
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "waited for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A client reads what it wrote, across all borders, and finds it on the disks; it does not notice
/// that their server is killed and started again. Whoever uses the disk is known to have left.
#[test]
fn what_is_written_is_read_whoever_is_killed() {
    let mut daemon = Daemon::new();
    let joined = Joined::new(daemon.folder.path().join("near"), SIZES.to_vec());
    wait_for("the daemon", || joined.check().is_ok());
    let wrong = Joined::new(daemon.folder.path().join("near"), vec![3 << 20, 2 << 20]);
    let told = wrong.check().expect_err("another size").to_string();
    assert!(
        told.contains("volume 1 has 1048576 bytes, expected 2097152"),
        "{told}"
    );

    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let served = thread::spawn(move || {
        let (sender, receiver) = std::sync::mpsc::channel();
        joined
            .serve(theirs, || sender.send(()).expect("we wait"))
            .expect("sense");
        receiver.try_recv().is_ok()
    });
    let mut disk = Disk::open(ours, "whatever").expect("a disk");
    let all: u64 = SIZES.iter().sum();
    assert_eq!(disk.bytes, all);
    let mut expected = vec![0; all as usize];
    let mut cookie = 0;
    let mut ask = |command, offset: u64, data: &mut [u8]| {
        cookie += 1;
        let request = Request {
            flags: 0,
            command,
            cookie,
            offset,
            length: data.len() as u32,
        };
        disk.ask(&request, data).expect("an answer")
    };
    // A border is every MiB or so; each write begins elsewhere and crosses one or two of them.
    for (round, offset) in (0..all).step_by(700_001).enumerate() {
        if round == 3 {
            daemon.kill();
            daemon.child = start(daemon.folder.path());
        }
        let end = (offset + 1_500_000).min(all);
        let mut data: Vec<u8> = (offset..end)
            .map(|at| (at * 31 + round as u64) as u8)
            .collect();
        assert_eq!(ask(Command::Write, offset, &mut data), 0);
        expected[offset as usize..end as usize].copy_from_slice(&data);
        let mut read = vec![0; data.len()];
        assert_eq!(ask(Command::Read, offset, &mut read), 0);
        assert!(read == data, "round {round}");
    }
    assert_eq!(ask(Command::Flush, 0, &mut []), 0);
    let (begin, end) = (SIZES[0] - 4_096, SIZES[0] + SIZES[1] + 4_096);
    let mut zeros = vec![0; (end - begin) as usize];
    assert_eq!(ask(Command::WriteZeroes, begin, &mut zeros), 0);
    expected[begin as usize..end as usize].fill(0);
    assert_eq!(ask(Command::Trim, 0, &mut zeros[..512]), 0);
    expected[..512].fill(0);
    let mut beyond = vec![0; 1_024];
    assert_ne!(
        ask(Command::Read, all - 512, &mut beyond),
        0,
        "beyond the end"
    );
    let mut whole = vec![0; all as usize];
    assert_eq!(ask(Command::Read, 512, &mut whole[512..]), 0);
    assert!(whole[512..] == expected[512..], "what is read at once");
    assert!(
        daemon.whole()[512..] == expected[512..],
        "what is on the disks"
    );
    drop(disk);
    assert!(served.join().expect("it ends"), "it is told of the end");
}
