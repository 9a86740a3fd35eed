//! A disk that somebody published, whose guest is told by a seed what it is.

use crate::components::grid::{Grid, wait_for};
use model::blueprint::{Disk, Format, GuestFile, Partition, PartitionTable, User};
use model::id::VmId;
use model::order::{Shutdown, Verb};

/// Whose disk is published; nobody boots it before.
const PUBLISHED: VmId = VmId(10);
const SEEDED: VmId = VmId(11);

/// cloud-init of a real guest takes name, address, user and file from the seed, and nothing else has
/// changed the disk.
#[test]
#[ignore = "cloud-init takes minutes where the guest is emulated; make test-components"]
fn a_guest_is_what_its_seed_tells() {
    let grid = Grid::of(["cloud", "linux"]);
    let mut published = grid.guest(PUBLISHED, "published");
    published.disks[0].shared_base = false;
    let mut blueprint = published.clone();
    let verb = |blueprint| Verb::Create {
        blueprint: Box::new(blueprint),
    };
    grid.order(PUBLISHED, verb(published));
    let image = grid.publish(PUBLISHED);
    grid.order(PUBLISHED, Verb::Delete);

    blueprint.vm = SEEDED;
    blueprint.name = "web-11".to_owned();
    blueprint.disks[0].image = Some(image);
    blueprint.interfaces[0].addresses = vec![("10.0.0.11".parse().expect("an address"), 24)];
    let customisation = &mut blueprint.customisation;
    customisation.add.clear();
    let ssh_keys = vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPears ada".to_owned()];
    let name = "ada".to_owned();
    customisation.users = vec![User { name, ssh_keys }];
    let text = "pears: 42\n".to_owned();
    let file = GuestFile { text, mode: 0o640 };
    customisation.files = [("/etc/stock".to_owned(), file)].into();
    let seed = Disk {
        name: "seed".to_owned(),
        size_mib: 1,
        image: None,
        table: PartitionTable::None,
        partitions: vec![Partition {
            name: "seed".to_owned(),
            size_mib: None,
            format: Format::Seed,
            block_bytes: None,
            mount: None,
            bootable: false,
        }],
        ..blueprint.disks[0].clone()
    };
    blueprint.disks.push(seed);
    grid.order(SEEDED, verb(blueprint));
    grid.order(SEEDED, Verb::Start);
    wait_for("cloud-init to be done", || {
        grid.run(SEEDED, "test -e /var/lib/cloud/instance/boot-finished")
            .ok()
    });
    for line in [
        "cloud-init query ds.meta_data.instance_id | grep -qx vm-11",
        "[ \"$(hostname)\" = web-11 ]",
        "ip -o -4 address | grep -q ' 10.0.0.11/24 '",
        "grep -qx 'ssh-ed25519 .* ada' ~ada/.ssh/authorized_keys",
        "! grep -q 52:54:00:00:00:0b /etc/systemd/network/10-front.network",
        "[ \"$(cat /etc/stock)\" = 'pears: 42' ] && [ \"$(stat -c %a /etc/stock)\" = 640 ]",
    ] {
        let told = grid.run(SEEDED, line);
        told.unwrap_or_else(|told| panic!("{line}: {told}"));
    }
    let shutdown = Shutdown::Forced;
    grid.order(SEEDED, Verb::Stop { shutdown });
    grid.order(SEEDED, Verb::Delete);
}
