//! NoCloud seeds: what makes an image the guest of one blueprint where cloud-init runs in it.
//!
//! The three files of cloud-init's NoCloud source, in the root of a volume labelled CIDATA. They are
//! JSON, which is YAML too, so that no value needs quotes of another kind. Sources: cloud-init's
//! `reference/datasources/nocloud.html` and `reference/network-config-format-v2.html`.

use crate::edit::Edit;
use crate::guest::Guest;
use model::blueprint::{Blueprint, Interface};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// The label by which cloud-init finds the volume.
pub const LABEL: &str = "CIDATA";

/// The files of the seed of a VM: its name, users and keys, files, firewall rules and addresses.
pub fn seed(blueprint: &Blueprint) -> Vec<Edit> {
    // Not of another VM of that name: what it was told before is another instance's.
    let meta = json!({
        "instance-id": format!("vm-{}", blueprint.vm.0),
        "local-hostname": blueprint.name,
    });
    let user = format!("#cloud-config\n{}\n", user_data(blueprint));
    let mut files = vec![
        Edit::file("/meta-data", format!("{meta}\n"), 0o644),
        Edit::file("/user-data", user, 0o644),
    ];
    // Without one cloud-init asks all interfaces for DHCP, as it should where nothing is said.
    if !blueprint.interfaces.is_empty() {
        let network = network(&blueprint.interfaces);
        files.push(Edit::file("/network-config", format!("{network}\n"), 0o644));
    }
    files
}

fn user_data(blueprint: &Blueprint) -> Value {
    let customisation = &blueprint.customisation;
    let mut data = json!({ "hostname": blueprint.name, "manage_etc_hosts": true });
    if !customisation.users.is_empty() {
        let users = customisation.users.iter().map(|user| {
            json!({
                "name": user.name,
                "lock_passwd": true,
                "shell": "/bin/sh",
                "ssh_authorized_keys": user.ssh_keys,
            })
        });
        data["users"] = users.collect();
    }
    let rules = Guest::new(blueprint).ruleset();
    let files = Guest::new(blueprint).files();
    let files = files.map(|(path, file)| written(path, &file.text, file.mode));
    let firewall = rules
        .iter()
        .map(|rules| written(Guest::RULES, rules, 0o600));
    let files: Vec<Value> = files.chain(firewall).collect();
    if !files.is_empty() {
        data["write_files"] = files.into();
    }
    if rules.is_some() {
        data["runcmd"] = json!([["systemctl", "enable", "--now", "nftables"]]);
    }
    data
}

fn written(path: &str, text: &str, mode: u32) -> Value {
    json!({ "path": path, "content": text, "permissions": format!("{mode:04o}") })
}

/// Interfaces are found by their hardware addresses, and keep the names that the guest gives them.
fn network(interfaces: &[Interface]) -> Value {
    let ethernets = interfaces.iter().map(|interface| {
        let mac = crate::guest::mac(interface);
        let mut told = json!({ "match": { "macaddress": mac } });
        match interface.addresses.is_empty() {
            true => told["dhcp4"] = true.into(),
            false => {
                let addresses = interface.addresses.iter();
                let addresses = addresses.map(|(ip, prefix)| format!("{ip}/{prefix}"));
                told["addresses"] = addresses.collect::<Vec<String>>().into();
            }
        }
        if let Some(gateway) = interface.gateway {
            let to = match gateway {
                IpAddr::V4(_) => "0.0.0.0/0",
                IpAddr::V6(_) => "::/0",
            };
            told["routes"] = json!([{ "to": to, "via": gateway }]);
        }
        (interface.name.clone(), told)
    });
    json!({ "version": 2, "ethernets": ethernets.collect::<Map<String, Value>>() })
}
