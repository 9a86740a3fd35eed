//! Hypervisor profiles, shipped and of a grid's own.

use model::hypervisor::{Arch, Hypervisor, Work, profiles};
use model::hypervisor_file::read_profile;
use std::path::Path;
use strum::VariantArray;

/// Every file of `assets/hypervisors/` is built in, right, named after its file, and tells its source.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test compares with the folder"
)]
fn every_profile_of_the_assets_is_built_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/hypervisors");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("the assets are part of the repository")
        .map(|entry| {
            let name = entry.expect("a readable folder").file_name();
            let name = name.into_string().expect("a plain name");
            name.strip_suffix(".toml").expect("a TOML file").to_owned()
        })
        .collect();
    files.sort();
    let names: Vec<&str> = profiles().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, files);
    for profile in profiles() {
        assert!(!profile.source.is_empty(), "{}: no source", profile.name);
    }
}

/// KVM's figures are those computed from Felter 2014, and a container's are neutral.
#[test]
fn efficiency_is_that_of_the_source() {
    let milli =
        |name, work| Hypervisor::known(name).map(|profile| profile.efficiency.milli_for(work));
    assert_eq!(milli("qemu", Work::Compute), Some(977)); // 284.2 / 290.8
    assert_eq!(milli("qemu", Work::Disk), Some(506)); // 42,543 / 84,092
    assert_eq!(milli("qemu", Work::Network), Some(553)); // 14,719 / 26,608
    assert_eq!(milli("incus", Work::Disk), Some(1_000));
    assert_eq!(milli("nothing", Work::Disk), None);
}

/// A profile without a figure of its own is no better than those with one: what runs a kernel of its
/// own counts as KVM, only a plain container counts as native.
#[test]
fn nothing_unmeasured_is_ahead() {
    let kvm = Hypervisor::known("qemu")
        .expect("a shipped profile")
        .efficiency;
    for profile in profiles() {
        let plain_container = ["incus", "lxc"].contains(&profile.name.as_str());
        for work in Work::VARIANTS {
            let milli = profile.efficiency.milli_for(*work);
            assert!(
                plain_container || milli <= kvm.milli_for(*work),
                "{}",
                profile.name
            );
        }
    }
}

/// A guest runs on a node of its own architecture, or where the hypervisor emulates its one.
#[test]
fn a_guest_runs_where_its_architecture_is_ruled_or_emulated() {
    let runs = |name, node, guest| {
        Hypervisor::known(name)
            .expect("a shipped profile")
            .runs_arch(node, guest)
    };
    assert!(runs("qemu", Arch::Aarch64, Arch::Aarch64));
    assert!(!runs("qemu", Arch::Aarch64, Arch::X86_64));
    assert!(runs("qemu-tcg", Arch::Aarch64, Arch::X86_64));
    assert!(!runs("esxi", Arch::Aarch64, Arch::Aarch64));
}

/// A profile with faults is refused with all of them.
#[test]
fn all_faults_of_a_profile_are_told() {
    let text = "\
name = 'mine'
type = 'type3'
virtualisation = ['full', 'half']
archs = []
efficiency = { compute_milli = 0, speed = 1 }
";
    let faults = read_profile("mine.toml", text).expect_err("it is wrong");
    assert_eq!(
        faults.to_string(),
        "\
mine.toml: guests: found nothing, expected a list
mine.toml:2: type: found \"type3\", expected one of type1, type2, container; hint: did you mean \"type1\"?
mine.toml:3: virtualisation[1]: found \"half\", expected one of full, para, container
mine.toml:4: archs: found an empty list, expected at least one of x86_64, aarch64, riscv64
mine.toml:5: efficiency.speed: found an unknown key, expected one of compute_milli, memory_milli, disk_milli, network_milli
mine.toml:5: efficiency.compute_milli: found 0, expected a whole number from 1 to 10000"
    );
}
