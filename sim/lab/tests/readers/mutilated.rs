//! Mutilated files: whatever is cut or changed, a reader never panics, and its error names the file.

use crate::{data, read_bytes};
use flate2::{Compression, write::GzEncoder};
use lab::read::Format;
use proptest::prelude::*;
use std::io::Write;
use strum::VariantArray;

/// Sound files, as bytes.
fn sound() -> Vec<(&'static str, Vec<u8>)> {
    let files = [
        "vms.csv",
        "vms_all_columns.csv",
        "huawei.csv",
        "openb_pods.csv",
        "jobs.swf",
    ];
    let mut sound: Vec<(&str, Vec<u8>)> = files
        .map(|name| (name, std::fs::read(data(name)).expect("a file of ours")))
        .to_vec();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    let day = "7\n".repeat(288);
    header.set_size(day.len() as u64);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, "day/vm", day.as_bytes())
        .expect("into memory");
    sound.push(("day.tar", archive.into_inner().expect("into memory")));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&sound[0].1).expect("into memory");
    sound.push(("vms.csv.gz", gzip.finish().expect("into memory")));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("packing.sqlite");
    crate::azure::packing(&path, "");
    sound.push((
        "packing.sqlite",
        std::fs::read(&path).expect("a file of ours"),
    ));
    sound
}

/// A byte to overwrite, or a place to cut.
#[derive(Clone, Debug)]
enum Edit {
    Write(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Double(prop::sample::Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let byte = prop_oneof![
        any::<u8>(),
        Just(b','),
        Just(b'"'),
        Just(b'-'),
        Just(b'\n'),
        Just(b'9')
    ];
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (index(), byte.clone()).prop_map(|(at, byte)| Edit::Write(at, byte)),
        3 => (index(), byte).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        1 => index().prop_map(Edit::Cut),
        1 => index().prop_map(Edit::Double),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    if bytes.is_empty() {
        return;
    }
    match edit {
        Edit::Write(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Edit::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
        Edit::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Edit::Double(at) => {
            let tail = bytes[at.index(bytes.len())..].to_vec();
            bytes.extend(tail);
        }
    }
}

/// An error names its file and is one line; a trace keeps what its fields promise.
fn check_outcome(name: &str, bytes: &[u8], format: Option<Format>) {
    match read_bytes(name, bytes, format) {
        Err(error) => {
            assert!(error.starts_with(name), "{error}");
            // Of a file that a person wrote all faults are told.
            assert!(
                !error.contains('\n') || format == Some(Format::Synthetic),
                "{error}"
            );
        }
        Ok(trace) => {
            assert!(!trace.vms.is_empty());
            assert!(trace.vms.is_sorted_by_key(|vm| vm.arrival));
            assert!(trace.names.is_empty() || trace.names.len() == trace.vms.len());
            for vm in &trace.vms {
                assert!((vm.shape as usize) < trace.shapes.len());
                assert!((vm.tenant as usize) < trace.tenants.len());
                assert!(
                    vm.group
                        .is_none_or(|group| (group as usize) < trace.groups.len())
                );
                assert!(vm.duration.is_none_or(|duration| duration.0 >= 0));
                assert!(vm.arrival <= trace.end);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Bytes overwritten, inserted, cut and doubled, in every format and under every other format's name.
    #[test]
    fn never_panics(
        edits in prop::collection::vec(edit(), 0..6),
        file in any::<prop::sample::Index>(),
        format in prop::option::weighted(0.7, prop::sample::select(Format::VARIANTS)),
    ) {
        thread_local!(static SOUND: Vec<(&'static str, Vec<u8>)> = sound());
        SOUND.with(|sound| {
            let (name, bytes) = &sound[file.index(sound.len())];
            let mut bytes = bytes.clone();
            for edit in &edits {
                apply(&mut bytes, edit);
            }
            check_outcome(name, &bytes, format);
        });
    }

    /// The order of lines with distinct arrivals does not matter.
    #[test]
    fn order_of_lines_is_no_matter(
        lines in prop::collection::btree_map(0_u32..100_000, (1_u32..100_000, 1_u32..64), 1..40)
            .prop_map(|lines| lines.into_iter().collect::<Vec<_>>())
            .prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle())),
    ) {
        let text = |lines: &[(u32, (u32, u32))]| {
            let mut text = "name,start_s,duration_s,vcpu,memory_gb\n".to_owned();
            for (start, (duration, vcpu)) in lines {
                text.push_str(&format!("vm-{start},{start},{duration},{vcpu},{vcpu}\n"));
            }
            text
        };
        let (sorted, shuffled) = lines;
        let key = |text: String| {
            let trace = read_bytes("vms.csv", text.as_bytes(), None).expect("sound");
            let sizes: Vec<_> = trace.vms.iter()
                .map(|vm| (vm.arrival, vm.duration, trace.shapes[vm.shape as usize].demand.clone()))
                .collect();
            (sizes, trace.names, trace.end)
        };
        prop_assert_eq!(key(text(&sorted)), key(text(&shuffled)));
    }
}

/// Every line of every text format, made faulty in turn, is the line that the error names.
#[test]
fn names_the_faulty_line() {
    for (name, bytes) in sound() {
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        if !["vms.csv", "huawei.csv", "openb_pods.csv", "jobs.swf"].contains(&name) {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for faulty in 1..lines.len() {
            if lines[faulty].starts_with(';') {
                continue;
            }
            let mut lines = lines.clone();
            lines[faulty] = "no,such line";
            let error = read_bytes(name, lines.join("\n").as_bytes(), None).expect_err("a fault");
            let place = format!("{name}:{}: ", faulty + 1);
            assert!(error.starts_with(&place), "{error}");
        }
    }
}
