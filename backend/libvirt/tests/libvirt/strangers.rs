//! Domains that are not ours, and states that libvirt tells in its own words.

use crate::imaginary::{Imaginary, machine};
use agent::driver::{Act, Driver, DriverError};
use agent::secret::Keys;
use agent::watch::Unwatched;
use libvirt::config::Config;
use libvirt::driver::Libvirt;
use libvirt::identity::{domain_name, domain_uuid};
use model::id::VmId;
use model::order::Shutdown;
use model::report::VmState;
use std::fs;
use virt::domain::Domain;

/// A domain of one of our names and another UUID is not listed, not told and never touched.
#[test]
fn a_namesake_is_left_alone() {
    let imaginary = Imaginary::new();
    let vm = VmId(7);
    let xml = "<domain type='test'><name>gridwright-7</name><memory>65536</memory>\
               <os><type>hvm</type></os></domain>";
    let stranger = Domain::define_xml(&imaginary.line, xml).expect("a domain");
    stranger.create().expect("it runs");
    let driver = imaginary.libvirt();
    assert_eq!(driver.list().expect("a list"), []);
    assert_eq!(driver.recover().expect("all VMs"), []);
    let machine = Box::new(machine(vm, imaginary.folder.path()));
    let shutdown = Shutdown::Forced;
    let acts = [
        Act::Define { machine },
        Act::Start,
        Act::Stop { shutdown },
        Act::Pause,
        Act::Reboot,
        Act::Destroy,
    ];
    for act in acts {
        let error = driver.perform(vm, &act, &Keys::default(), &Unwatched);
        let error = error.expect_err("it is somebody else's");
        assert!(error.to_string().contains("somebody else's"), "{error}");
    }
    let (state, _) = stranger.get_state().expect("an answer");
    assert_eq!(state, virt_sys::VIR_DOMAIN_RUNNING);
    stranger.destroy().expect("ended");
    stranger.undefine().expect("gone");
}

/// Names that only look like ours are somebody else's.
#[test]
fn look_alikes_are_not_ours() {
    let ways = libvirt::door::Door::Qemu.ways();
    let vm_of = libvirt::identity::vm_of;
    let check = |name: &str, expected| {
        let found = vm_of(&ways, name, domain_uuid(VmId(7)));
        assert_eq!(found, expected, "{name}");
    };
    check("gridwright-7", Some(VmId(7)));
    check("gridwright-07", None);
    check("gridwright-+7", None);
    check("gridwright-7 ", None);
    check("gridwright-", None);
    check("gridwright-8", None);
    check("Gridwright-7", None);
    check("7", None);
}

/// A VM whose guest has given up is told so until it is stopped or started; libvirt itself goes on
/// telling it.
#[test]
fn a_crash_is_told_until_it_is_put_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let vm = VmId(9);
    let node = format!(
        "<node xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><domain type='test'>\
         <name>{}</name><uuid>{}</uuid><memory>65536</memory><os><type>hvm</type></os>\
         <test:runstate>6</test:runstate></domain></node>",
        domain_name(vm),
        domain_uuid(vm)
    );
    let file = folder.path().join("node.xml");
    fs::write(&file, node).expect("a file");
    let config = Config::of(&format!("test://{}", file.display()));
    let driver = Libvirt::open(config, &folder.path().join("driver")).expect("a driver");
    let state = || {
        driver
            .inspect(vm)
            .expect("an answer")
            .map(|seen| seen.state)
    };
    let perform = |act: &Act| driver.perform(vm, act, &Keys::default(), &Unwatched);
    assert_eq!(state(), Some(VmState::Failed));
    let error = perform(&Act::Pause).expect_err("it does not run");
    assert!(matches!(error, DriverError::Illegal { .. }), "{error}");
    let shutdown = Shutdown::Forced;
    perform(&Act::Stop { shutdown }).expect("stopped");
    assert_eq!(state(), Some(VmState::Stopped));
}
