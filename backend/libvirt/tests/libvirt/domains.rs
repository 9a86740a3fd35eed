//! Machines as domains: what libvirt reads back is what was meant, and what would not be is refused.

use crate::imaginary::{Imaginary, disk, machine};
use agent::driver::{Act, Driver, DriverError};
use agent::machine::{Boot, DiskFormat, Machine, Plug};
use agent::secret::Keys;
use agent::watch::Unwatched;
use libvirt::config::Config;
use libvirt::domain::{Place, target, xml};
use libvirt::door::Door;
use model::hypervisor::Virtualisation;
use model::id::{KeyId, VmId};
use proptest::prelude::*;
use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};
use std::path::Path;
use strum::VariantArray;
use virt::domain::Domain;

/// All texts and values of attributes in a document.
fn words(xml: &str) -> Vec<String> {
    let mut reader = Reader::from_str(xml);
    let (mut words, mut text) = (Vec::new(), String::new());
    loop {
        let event = reader.read_event().expect("libvirt writes XML");
        if let Event::Start(element) | Event::Empty(element) = &event {
            for attribute in element.attributes() {
                let attribute = attribute.expect("an attribute");
                let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                words.push(value.expect("a value").into_owned());
            }
        }
        match event {
            Event::Text(part) => text += &part.decode().expect("text"),
            Event::GeneralRef(name) => {
                let name = name.decode().expect("a name");
                text += quick_xml::escape::resolve_predefined_entity(&name).expect("of XML");
            }
            Event::Eof => return words,
            _ => words.push(std::mem::take(&mut text)),
        }
    }
}

/// Defines a machine under libvirt's imaginary hypervisor and gives what it has understood.
fn understood(imaginary: &Imaginary, machine: &Machine) -> Result<Vec<String>, DriverError> {
    let driver = imaginary.libvirt();
    let vm = machine.vm;
    let define = Act::Define {
        machine: Box::new(machine.clone()),
    };
    driver.perform(vm, &define, &Keys::default(), &Unwatched)?;
    let name = format!("gridwright-{}", vm.0);
    let domain = Domain::lookup_by_name(&imaginary.line, &name).expect("it was defined");
    let told = domain.get_xml_desc(0).expect("its XML");
    driver
        .perform(vm, &Act::Destroy, &Keys::default(), &Unwatched)
        .expect("it goes");
    Ok(words(&told))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any legal name, path and command line comes back from libvirt as it was.
    #[test]
    fn legal_texts_come_back(
        vm in any::<u64>(),
        name in "[a-zA-Z0-9][a-zA-Z0-9-]{0,62}",
        file in "[^/\\p{C}\\p{Z}]([^/\\p{C}]{0,60}[^/\\p{C}\\p{Z}])?",
        line in "[^\\p{C}\\p{Z}]([^\\p{C}]{0,80}[^\\p{C}\\p{Z}])?",
    ) {
        let imaginary = Imaginary::new();
        let path = Path::new("/srv").join(&file);
        let mut machine = machine(VmId(vm), Path::new("/srv"));
        machine.name = name.clone();
        machine.disks[0].path = path.clone();
        machine.boot = Boot::Kernel {
            kernel: path.clone(),
            initrd: Some(path.clone()),
            command_line: line.clone(),
        };
        let words = understood(&imaginary, &machine).expect("it is legal");
        let path = path.to_str().expect("text").to_owned();
        for (word, times) in [(&name, 1), (&path, 3), (&line, 1)] {
            let found = words.iter().filter(|found| *found == word).count();
            prop_assert!(found >= times, "{word:?} {found} times in {words:?}");
        }
    }

    /// Names and paths that XML or a file system would change are refused, and nothing is defined.
    #[test]
    fn hostile_texts_are_refused(text in ".{0,20}[\\p{Cc}\u{fffe}\u{ffff}].{0,20}") {
        let imaginary = Imaginary::new();
        let legal = machine(VmId(7), Path::new("/srv"));
        let mut hostile = vec![legal.clone(); 5];
        hostile[0].name = text.clone();
        hostile[1].disks[0].name = text.clone();
        hostile[2].disks[0].path = Path::new("/srv").join(&text);
        hostile[3].interfaces[0].plug = Plug::Tap { name: text.clone() };
        hostile[4].boot = Boot::Kernel {
            kernel: "/srv/kernel".into(),
            initrd: None,
            command_line: text.clone(),
        };
        for machine in hostile {
            let refused = understood(&imaginary, &machine);
            prop_assert!(matches!(refused, Err(DriverError::Invalid { .. })), "{refused:?}");
        }
        prop_assert_eq!(imaginary.libvirt().list(), Ok(vec![]));
    }
}

/// What a hypervisor could not honour is refused by its field.
#[test]
fn what_cannot_be_honoured_is_refused() {
    let imaginary = Imaginary::new();
    let check = |expected: &str, change: &dyn Fn(&mut Machine)| {
        let mut machine = machine(VmId(7), Path::new("/srv"));
        change(&mut machine);
        let error = imaginary.libvirt().validate(&machine);
        let error = error.expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}, expected {expected}");
    };
    check("virtualisation is", &|m| {
        m.virtualisation = Virtualisation::Container
    });
    check("cpus is 0", &|m| m.cpus = 0);
    check("cpus is 3, expected 1 to 2", &|m| m.cpus = 3);
    check("mem_mib is 512, expected 1 to 256", &|m| m.mem_mib = 512);
    check("disks is empty", &|m| m.disks.clear());
    check("boot is the folder", &|m| {
        m.boot = Boot::Folder {
            root: "/srv/r".into(),
        }
    });
    check("disks[0].path is \"a.raw\"", &|m| {
        m.disks[0].path = "a.raw".into()
    });
    check("disks[0].format is luks", &|m| {
        m.disks[0].format = DiskFormat::Luks
    });
    check("disks[0].key is key 5 of a raw disk", &|m| {
        m.disks[0].key = Some(KeyId(5))
    });
    check("disks[0].base is /b under a raw disk", &|m| {
        m.disks[0].base = Some("/b".into())
    });
    check("interfaces[0].mbps is 100", &|m| {
        m.interfaces[0].plug = Plug::User { forwards: vec![] };
    });
    check("interfaces[0].plug.forwards is 1 ports", &|m| {
        m.interfaces[0].plug = Plug::User {
            forwards: vec![(8_080, 80)],
        };
    });
}

/// Nothing is declared of a hypervisor that nobody tried, and its disks are refused where it opens
/// none of ours.
#[test]
fn untried_hypervisors_promise_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let tried = [Door::Qemu, Door::Test];
    for door in Door::VARIANTS.iter().filter(|door| !tried.contains(door)) {
        let config = Config::of(&format!("{}:///system", door.ways().scheme));
        let driver = libvirt::driver::Libvirt::open(config, folder.path()).expect("a driver");
        assert_eq!(driver.capabilities(), [], "{door:?}");
        let mut machine = machine(VmId(7), Path::new("/srv"));
        machine.disks = vec![disk("root", "/srv/a.luks".into(), DiskFormat::Luks)];
        let error = driver
            .validate(&machine)
            .expect_err("it opens no such disk");
        assert!(
            error.to_string().starts_with("disks[0].format is luks"),
            "{error}"
        );
    }
}

/// A machine with everything, in libvirt's words for QEMU.
#[test]
fn a_machine_in_libvirts_words() {
    let mut machine = machine(VmId(7), Path::new("/srv"));
    machine
        .disks
        .push(disk("data", "/srv/data.qcow2".into(), DiskFormat::Qcow2));
    machine.disks[1].base = Some("/srv/base.raw".into());
    machine.disks[1].iops = None;
    let config = Config::of("qemu:///system");
    let place = Place {
        door: Door::Qemu,
        config: &config,
        kind: "qemu",
        folder: Path::new("/var/vm-7"),
    };
    let written = xml(&machine, &place).expect("a domain");
    for part in [
        "<domain type=\"qemu\"><name>gridwright-7</name>",
        "<memory unit=\"MiB\">256</memory><currentMemory unit=\"MiB\">128</currentMemory>",
        "<vcpu current=\"1\">2</vcpu>",
        "<source file=\"/srv/root.raw\"></source><target dev=\"vda\" bus=\"virtio\"/>\
         <iotune><total_iops_sec>500</total_iops_sec></iotune>",
        "<backingStore type=\"file\"><format type=\"raw\"/><source file=\"/srv/base.raw\"/>\
         <backingStore/></backingStore><target dev=\"vdb\" bus=\"virtio\"/>",
        "<interface type=\"ethernet\"><mac address=\"52:54:00:00:00:07\"/>\
         <target dev=\"tap7\" managed=\"no\"/><model type=\"virtio\"/>\
         <bandwidth><inbound average=\"12500\"/></bandwidth></interface>",
        "<log file=\"/var/vm-7/console.log\" append=\"on\"/>",
    ] {
        assert!(written.contains(part), "{part} is not in {written}");
    }
    let names: Vec<String> = [0, 25, 26, 27, 701, 702]
        .map(|index| target(&Door::Qemu.ways(), index))
        .to_vec();
    assert_eq!(names, ["vda", "vdz", "vdaa", "vdab", "vdzz", "vdaaa"]);
}
