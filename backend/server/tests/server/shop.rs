//! A shop whose components the controller sets up by their recipes, on real guests.

use crate::grid::{Grid, Ruled};
use crate::waiting::{all_reached, ended, until};
use crate::wires::Room;
use client::call::{Client, new_operation};
use control::backend::Command;
use control::shown::{EventShown, OperationState, VmShown};
use model::design::Design;
use model::id::NetworkId;
use model::order::Verb;
use std::collections::BTreeSet;

/// A balancer before so many web servers, which keep what they know in a database.
fn shop(servers: u32) -> Command {
    let component = |name: &str, kind: &str, instances: u32, disk_gib: u32| {
        format!(
            "[[component]]\nname = {name:?}\nkind = {kind:?}\ninstances = {instances}\n\
             cpu_cores = 1\nmem_mib = 256\ndisk_gib = {disk_gib}\n"
        )
    };
    let text = [
        "version = 1\nname = \"Shop\"\ntenant = \"jane\"\n".to_owned(),
        component("balancer", "load-balancer", 1, 2),
        component("web", "web-server", servers, 2),
        component("db", "database", 1, 4),
        "[[link]]\nfrom = \"balancer\"\nto = \"web\"\n".to_owned(),
        "[[link]]\nfrom = \"web\"\nto = \"db\"\n".to_owned(),
    ];
    let text = text.concat().replace(
        "kind = \"database\"",
        "kind = \"database\"\nparameters = { shared_buffers = \"16MB\" }",
    );
    let design: Design = model::design_file::read_design("shop.toml", &text).expect("a design");
    let design = Box::new(design);
    Command::Deploy { design, plan: None }
}

fn done(client: &mut Client, command: &Command) {
    let id = new_operation().expect("an id");
    client.submit(id, command).expect("it is accepted");
    let shown = ended(client, id);
    assert_eq!(shown.state, OperationState::Done, "{shown:?}");
}

fn vms(client: &mut Client) -> Vec<VmShown> {
    client.get("/v1/vms").expect("a list")
}

fn set_up(client: &mut Client, all: usize) {
    until("all guests to be set up", || {
        let vms = vms(client);
        (vms.len() == all && vms.iter().all(|vm| vm.is_configured)).then_some(())
    });
}

/// Which web servers answer at the balancer, of as many calls.
fn serving(outside: &Room, at: &str, calls: usize) -> BTreeSet<String> {
    let call = || {
        let answer = outside.call(&format!("{at}:443"), "GET / HTTP/1.0\r\n\r\n");
        let is_good = answer.starts_with("HTTP/1.1 200");
        let mut lines = answer.lines().filter(|_| is_good);
        let name = lines.find_map(|line| line.strip_prefix("X-Served-By: "));
        name.map_or_else(|| "nobody".to_owned(), str::to_owned)
    };
    (0..calls).map(|_| call()).collect()
}

/// A design that names no images becomes what its components' recipes say: the balancer serves from the
/// web server, from both once there are two, and from the one that is left once the other is deleted;
/// withdrawn, nothing of it is left.
#[test]
#[ignore = "four guests take minutes: make test-components"]
fn a_shop_serves_and_follows_its_instances() {
    let mut grid = Grid::with_services(&[Ruled::Qemu, Ruled::Qemu]);
    let mut client = grid.admin("jane");
    grid.start_agents();
    all_reached(&mut client, 2);
    done(&mut client, &shop(1));
    set_up(&mut client, 3);
    let all = vms(&mut client);
    let named = |name: &str| all.iter().find(|vm| vm.name == name).expect("it is there");
    let at = named("balancer-0").addresses[0].to_string();
    let outside = grid.outside(0, NetworkId(1), "10.0.200.1/16");
    let only = |name: &str| BTreeSet::from([name.to_owned()]);
    until("the shop to serve", || {
        (serving(&outside, &at, 1) == only("web-0")).then_some(())
    });

    done(&mut client, &shop(2));
    let both = &only("web-0") | &only("web-1");
    until("both web servers to serve", || {
        (serving(&outside, &at, 4) == both).then_some(())
    });

    let (vm, verb) = (named("web-0").id, Verb::Delete);
    done(&mut client, &Command::Vm { vm, verb });
    until("the other one to be left", || {
        (serving(&outside, &at, 4) == only("web-1")).then_some(())
    });
    let events: Vec<EventShown> = client.events(0, 10_000).expect("the history");
    let told: Vec<&str> = events.iter().map(|event| event.text.as_str()).collect();
    assert!(told.contains(&"done, configure balancer-0"), "{told:?}");

    let withdraw = Command::Withdraw {
        tenant: "jane".to_owned(),
        design: "Shop".to_owned(),
    };
    done(&mut client, &withdraw);
    assert_eq!(vms(&mut client), Vec::new());
    assert_eq!(grid.left_over(), Vec::<String>::new());
}
