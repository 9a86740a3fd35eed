//! What xl is told of a machine, read back as xl reads it.

use crate::machine::machine;
use agent::machine::{Boot, Plug};
use drivers::xen::config::{name, text, uuid};
use model::id::VmId;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A setting of an xl.cfg.
#[derive(Debug, PartialEq)]
enum Value {
    Text(String),
    List(Vec<String>),
}

/// Reads a file as `libxlu_cfg_l.l` and `xlu__cfgl_dequote` of Xen 4.17 do: between quotes stands
/// anything but a quote, a backslash and a line's end, or a backslash with any character but that;
/// of these it knows quotes, backslashes and letters, and refuses the rest.
fn read(text: &str) -> BTreeMap<String, Value> {
    let mut rest = text;
    let mut settings = BTreeMap::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(" = ").expect("a setting");
        assert!(
            key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{key:?}"
        );
        let value;
        (value, rest) = read_value(after);
        rest = rest.strip_prefix('\n').expect("a line's end");
        assert!(
            settings.insert(key.to_owned(), value).is_none(),
            "{key} twice"
        );
    }
    settings
}

fn read_value(text: &str) -> (Value, &str) {
    if let Some(mut rest) = text.strip_prefix('[') {
        let mut items = Vec::new();
        while let Some(quoted) = rest.strip_prefix('\'') {
            let item;
            (item, rest) = read_quoted(quoted);
            items.push(item);
            rest = rest.strip_prefix(", ").unwrap_or(rest);
        }
        return (
            Value::List(items),
            rest.strip_prefix(']').expect("a list's end"),
        );
    }
    if let Some(quoted) = text.strip_prefix('\'') {
        let (value, rest) = read_quoted(quoted);
        return (Value::Text(value), rest);
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .expect("a line's end");
    (Value::Text(text[..end].to_owned()), &text[end..])
}

fn read_quoted(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next().expect("a closing quote") {
            (at, '\'') => return (out, &text[at + 1..]),
            (_, '\n') => panic!("a line ends within quotes"),
            (_, '\\') => match chars.next().expect("an escaped character").1 {
                c @ ('\'' | '"' | '\\') => out.push(c),
                'n' => out.push('\n'),
                other => panic!("\\{other} is not what xl knows"),
            },
            (_, c) => out.push(c),
        }
    }
}

/// Parts of a disk's description as `libxlu_disk_l.l` of Xen takes them: all of the last is a path.
fn disk(text: &str) -> (BTreeMap<&str, &str>, &str) {
    let (head, target) = text.split_once("target=").expect("a path");
    let parts = head.trim_end_matches(',').split(',');
    (
        parts
            .map(|part| part.split_once('=').expect("a part"))
            .collect(),
        target,
    )
}

/// A plain machine in xl's words.
#[test]
fn a_machine_is_told_whole() {
    let told = text(&machine(VmId(7)));
    assert_eq!(
        told,
        "name = 'gridwright-7'\n\
         uuid = '67726964-7772-8000-8000-000000000007'\n\
         type = 'pv'\n\
         kernel = '/vms/kernel'\n\
         ramdisk = '/vms/initrd'\n\
         cmdline = 'console=hvc0 quiet'\n\
         vcpus = 1\n\
         maxvcpus = 2\n\
         memory = 96\n\
         maxmem = 128\n\
         disk = ['format=raw,vdev=xvda,access=rw,target=/vms/root.raw']\n\
         vif = ['mac=52:54:00:00:00:07,bridge=gwb1,vifname=gw7-0']\n\
         on_poweroff = 'destroy'\n\
         on_reboot = 'restart'\n\
         on_crash = 'preserve'\n"
    );
}

/// Every VM has a UUID of its own, of the form that RFC 9562 gives custom ones.
#[test]
fn uuids_are_apart() {
    let bits = (0..64).map(|bit| 1_u64 << bit);
    let ids: BTreeSet<u64> = bits.chain([0, 7, u64::MAX]).collect();
    let uuids: BTreeSet<_> = ids.iter().map(|&id| uuid(VmId(id))).collect();
    assert_eq!(uuids.len(), ids.len());
    for uuid in uuids {
        let bytes = uuid.as_bytes();
        assert_eq!(
            (uuid.len(), bytes[14], bytes[19]),
            (36, b'8', b'8'),
            "{uuid}"
        );
    }
}

proptest! {
    /// Whatever a tenant or a path brings, xl reads it back as it was, and reads nothing else.
    #[test]
    fn hostile_texts_stay_texts(
        id: u64,
        kernel in "/[^\0]{0,60}",
        command_line in "[^\0]{0,80}|.*['\"\\\\\n]+.*on_crash = 'x'.*",
        path in "/[^\0]{0,60}|/[,='\\\\\" a-z]{1,20}",
        bridge in "[A-Za-z0-9._-]{1,15}",
    ) {
        let mut machine = machine(VmId(id));
        machine.boot = Boot::Kernel {
            kernel: kernel.clone().into(),
            initrd: None,
            command_line: command_line.clone(),
        };
        machine.disks[0].path = path.clone().into();
        machine.interfaces[0].plug = Plug::Bridge { name: bridge };
        let read = read(&text(&machine));
        prop_assert_eq!(read.len(), 14);
        prop_assert_eq!(&read["name"], &Value::Text(name(VmId(id))));
        prop_assert_eq!(&read["kernel"], &Value::Text(kernel));
        prop_assert_eq!(&read["cmdline"], &Value::Text(command_line));
        let Value::List(disks) = &read["disk"] else { panic!("disks are a list") };
        prop_assert_eq!(disks.len(), 1);
        let (parts, target) = disk(&disks[0]);
        prop_assert_eq!(target, path);
        prop_assert_eq!(parts.len(), 3);
    }
}
