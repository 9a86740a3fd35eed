//! What libvirt says of its guests, read; and URIs.

use libvirt::door::{Door, is_here};
use libvirt::host::Host;
use model::hypervisor::{Arch, Hypervisor};
use proptest::prelude::*;
use strum::VariantArray;

const TOLD: &str = "<capabilities><host><cpu><arch>x86_64</arch><model>EPYC</model></cpu></host>\
    <guest><os_type>hvm</os_type><arch name='i686'><domain type='qemu'/></arch></guest>\
    <guest><os_type>hvm</os_type><arch name='x86_64'><wordsize>64</wordsize>\
    <domain type='qemu'/><domain type='kvm'><emulator>/usr/bin/kvm</emulator></domain></arch></guest>\
    <guest><os_type>xenpvh</os_type><arch name='x86_64'><domain type='xen'/></arch></guest>\
    <guest><os_type>hvm</os_type><arch name='riscv64'><domain type='qemu'/></arch></guest>\
    </capabilities>";

/// Offers are told by instruction set; what we do not know is passed over.
#[test]
fn offers_are_read() {
    let host = Host::read(TOLD).expect("capabilities");
    assert_eq!(host.arch, Some(Arch::X86_64));
    assert_eq!(host.native(Arch::X86_64), Some("kvm"));
    assert!(host.emulates(Arch::X86_64) && host.emulates(Arch::Riscv64));
    assert_eq!(host.native(Arch::Riscv64), None);
    assert!(!host.emulates(Arch::Aarch64));
    assert_eq!(host.offers.len(), 3);
}

/// URIs lead to the hypervisor that their scheme names, here or elsewhere.
#[test]
fn uris_are_told_apart() {
    let check = |uri: &str, door, here| {
        assert_eq!((Door::of(uri), is_here(uri)), (door, here), "{uri}");
    };
    check("qemu:///system", Some(Door::Qemu), true);
    check("qemu+unix:///system?socket=/run/s", Some(Door::Qemu), true);
    check("qemu+ssh://root@far/system", Some(Door::Qemu), false);
    check("test:///default", Some(Door::Test), true);
    check("vbox:///session", Some(Door::VirtualBox), true);
    check("bhyve:///system", Some(Door::Bhyve), true);
    check("vz:///system", Some(Door::Virtuozzo), true);
    check("esx://root@far/?no_verify=1", Some(Door::Esx), false);
    check("hyperv://far", Some(Door::HyperV), false);
    check("xen:///system", None, true);
    check("qemu", None, false);
}

/// Profiles of hypervisors that nothing but libvirt reaches declare what their doors do.
#[test]
fn profiles_declare_what_doors_do() {
    for name in ["bhyve", "esxi", "hyper-v", "virtualbox"] {
        let mut doors = Door::VARIANTS.iter().map(|door| door.ways());
        let ways = doors.find(|ways| ways.name == name).expect("a door");
        let profile = Hypervisor::known(name).unwrap_or_else(|| panic!("no profile {name}"));
        assert_eq!(profile.capabilities, ways.capabilities, "{name}");
    }
}

proptest! {
    /// Whatever stands there, reading ends and does not panic.
    #[test]
    fn anything_is_read_to_its_end(text in ".{0,400}", at in 0..TOLD.len(), cut in 0..TOLD.len()) {
        let _ = Host::read(&text);
        let mangled = format!("{}{text}{}", &TOLD[..at], &TOLD[cut..]);
        let _ = Host::read(&mangled);
    }
}
