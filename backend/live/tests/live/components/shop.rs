//! A whole shop for real: firewall, balancer, web servers, database and storage as their recipes say,
//! in guests of QEMU on one network; instances go and come while it serves.

use super::grid::{Grid, PASSWORD, PASSWORD_KEY, wait_for};
use model::design_file::check_design;
use model::id::{ComponentId, VmId};
use model::order::{Shutdown, Verb};
use model::topology::Topology;
use recipe::book::Book;
use recipe::outfit::{Outfit, changes, logins, outfits};
use recipe::site::{Instance, Site};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Child;
use std::time::Instant;

/// What every shop has.
const SHOP: &str = r#"
    name = "Shop"
    [[component]]
    name = "balancer"
    kind = "load-balancer"
    [[component]]
    name = "web"
    kind = "web-server"
    [[component]]
    name = "db"
    kind = "database"
    parameters = { shared_buffers = "16MB" }
    [[link]]
    from = "balancer"
    to = "web"
    [[link]]
    from = "web"
    to = "db"
"#;

/// What a large one has beside.
const MORE: &str = r#"
    [[component]]
    name = "files"
    kind = "storage"
    [[component]]
    name = "firewall"
    kind = "firewall"
    [[link]]
    from = "web"
    to = "files"
    [[link]]
    from = "firewall"
    to = "balancer"
"#;

const WEB: ComponentId = ComponentId(1);

fn design(text: &str) -> Topology {
    check_design("shop.toml", text).expect("a right design")
}

fn large() -> String {
    SHOP.replace("\"web-server\"", "\"web-server\"\ninstances = 2") + MORE
}

/// All instances of a design: of component 1, VM 11 with the address 10.0.0.11 and VM 16.
fn site(topology: &Topology) -> Site<'_> {
    let mut instances = BTreeMap::new();
    for (place, component) in topology.components().iter().enumerate() {
        let all = (0..component.instances).map(|index| {
            let vm = 10 + place as u64 + 5 * u64::from(index);
            Instance {
                vm: VmId(vm),
                name: format!("{}-{index}", component.name),
                addresses: vec![format!("10.0.0.{vm}").parse().expect("an address")],
            }
        });
        instances.insert(ComponentId(place as u32), all.collect());
    }
    let logins = logins(topology, &Book::shipped()).expect("right settings");
    Site {
        topology,
        instances,
        passwords: logins.into_iter().map(|l| (l, PASSWORD_KEY)).collect(),
    }
}

const BALANCER: VmId = VmId(10);
const WEB_0: VmId = VmId(11);
const DB: VmId = VmId(12);
const FILES: VmId = VmId(13);
const FIREWALL: VmId = VmId(14);
const WEB_1: VmId = VmId(16);

fn fitted(site: &Site<'_>) -> BTreeMap<VmId, Outfit> {
    outfits(site, &Book::shipped()).unwrap_or_else(|error| panic!("{error:?}"))
}

fn bring_up(grid: &Grid, site: &Site<'_>) -> BTreeMap<VmId, Outfit> {
    let outfits = fitted(site);
    let begun = Instant::now();
    let instances = site.instances.values().flatten();
    grid.bring_up(instances.map(|instance| (instance, &outfits[&instance.vm])));
    println!(
        "{} components were up after {:?}",
        outfits.len(),
        begun.elapsed()
    );
    outfits
}

/// The least shop serves what its web server has, whose login alone opens the database.
#[test]
fn a_small_shop_serves_and_keeps() {
    let topology = design(SHOP);
    let site = site(&topology);
    let grid = Grid::new();
    bring_up(&grid, &site);
    wait_for("the web server to serve", || {
        (served_by(&grid, BALANCER)? == "web-0").then_some(())
    });
    logs_in(&grid);
}

/// A shop of six VMs serves from both web servers, through the firewall alone; one that goes is
/// asked no more, and asked again once it is back. Each VM is reached by those that are linked to it
/// alone. nginx balances as HAProxy does.
#[test]
#[ignore = "six guests take minutes: make test-components"]
fn a_large_shop_follows_its_instances() {
    let text = large();
    let topology = design(&text);
    let mut site = site(&topology);
    let grid = Grid::new();
    let whole = bring_up(&grid, &site);
    serves_from_both(&grid);
    lets_through_what_is_linked(&grid);
    logs_in(&grid);
    shares(&grid);

    let gone = site.instances.get_mut(&WEB).and_then(Vec::pop);
    let without = fitted(&site);
    for (vm, configuration) in changes(&whole, &without) {
        grid.configure(vm, configuration);
    }
    grid.run(WEB_1, &query("SELECT 1"))
        .expect_err("it is linked no more");
    let shutdown = Shutdown::Forced;
    grid.order(WEB_1, Verb::Stop { shutdown });
    for _ in 0..6 {
        let name = served_by(&grid, FIREWALL);
        assert_eq!(name.as_deref(), Some("web-0"), "the other one has gone");
    }

    grid.order(WEB_1, Verb::Start);
    site.instances.get_mut(&WEB).expect("web").extend(gone);
    let again = fitted(&site);
    grid.configure(WEB_1, again[&WEB_1].configuration());
    for (vm, configuration) in changes(&without, &again) {
        grid.configure(vm, configuration);
    }
    serves_from_both(&grid);

    let nginx = "\"load-balancer\"\nadd_applications = [\"nginx\"]";
    let text = text.replace("\"load-balancer\"", nginx);
    let topology = design(&text);
    let site = Site {
        topology: &topology,
        ..site
    };
    let by_nginx = fitted(&site);
    let changed = changes(&again, &by_nginx);
    assert_eq!(changed.keys().collect::<Vec<_>>(), [&BALANCER]);
    for (vm, configuration) in changed {
        grid.configure(vm, configuration);
    }
    let line = "systemctl is-active -q nginx && ! systemctl is-active -q haproxy && nginx -t -q";
    grid.run(BALANCER, line).expect("nginx has taken its place");
    serves_from_both(&grid);
}

fn serves_from_both(grid: &Grid) {
    wait_for("both web servers to serve", || {
        let names = [(); 2].map(|()| served_by(grid, FIREWALL));
        let both = ["web-0", "web-1"].map(|name| names.contains(&Some(name.to_owned())));
        (both == [true; 2]).then_some(())
    });
}

/// Calls go by the firewall or not at all, and between VMs by links alone.
fn lets_through_what_is_linked(grid: &Grid) {
    for (vm, port) in [(FIREWALL, 80), (BALANCER, 443), (WEB_0, 80), (DB, 5432)] {
        let mut connection = grid.call(vm, port, 5);
        ask(&mut connection, "GET / HTTP/1.0\r\n\r\n");
        assert_eq!(server(connection), None, "{vm} answers strangers");
    }
    for (vm, port, linked, other) in [
        (WEB_0, 80, BALANCER, DB),
        (DB, 5432, WEB_0, BALANCER),
        (FILES, 2049, WEB_1, DB),
    ] {
        let reach = |seconds| {
            let address = format!("/dev/tcp/10.0.0.{}/{port}", vm.0);
            format!("timeout {seconds} bash -c '<{address}'")
        };
        let reached = grid.run(linked, &reach(120));
        reached.unwrap_or_else(|told| panic!("{linked} to {vm}: {told}"));
        grid.run(other, &reach(5)).expect_err("it is not linked");
    }
}

/// The web server's login opens the database: no other password does, and no other VM's call. The
/// password is nowhere on the node.
fn logs_in(grid: &Grid) {
    let owned = "[ \"$(stat -c %a:%U /etc/gridwright/links/db.env)\" = 600:root ]";
    grid.run(WEB_0, owned)
        .expect("the password's file is root's alone");
    let write = "CREATE TABLE stock (pears int); INSERT INTO stock VALUES (42)";
    grid.run(WEB_0, &query(write)).expect("a table");
    let read = query("SELECT pears FROM stock") + " | grep -qx 42";
    grid.run(WEB_0, &read).expect("its row");
    let wrong = query("SELECT 1").replace("psql", "env PGPASSWORD=wrong psql");
    let told = grid.run(WEB_0, &wrong).expect_err("a wrong password");
    assert!(told.contains("password authentication failed"), "{told}");
    assert_eq!(grid.leaks(), Vec::<PathBuf>::new());
    // Its journal has the password from now on.
    let unlinked =
        format!("PGPASSWORD={PASSWORD} timeout 10 psql -h 10.0.0.12 -U web app -c 'SELECT 1'");
    let told = grid.run(BALANCER, &unlinked).expect_err("it is not linked");
    assert!(
        told.contains("ended with 124"),
        "its calls are dropped: {told}"
    );
}

/// What one web server writes into the storage the other one reads, and it lies on the storage's
/// own disk.
fn shares(grid: &Grid) {
    let mounted =
        "for i in $(seq 240); do mountpoint -q /srv/files && exit; sleep 0.5; done; exit 1";
    for vm in [WEB_0, WEB_1] {
        grid.run(vm, mounted).expect("a mount");
    }
    grid.run(WEB_0, "echo pears >/srv/files/stock")
        .expect("a file");
    grid.run(WEB_1, "grep -qx pears /srv/files/stock")
        .expect("the other one's file");
    let data = "mountpoint -q /srv/data && grep -qx pears /srv/data/files/stock";
    grid.run(FILES, data)
        .expect("it lies on the storage's own disk");
}

/// A query with what the database has handed to the guest.
fn query(text: &str) -> String {
    format!(
        "set -a; . /etc/gridwright/links/db.env; PGCONNECT_TIMEOUT=60 timeout 60 \
         psql -qAt -v ON_ERROR_STOP=1 -c '{text}'"
    )
}

fn ask(connection: &mut Child, text: &str) {
    let pipe = connection.stdin.as_mut().expect("piped");
    // Where nobody is at the other end, the answer tells.
    drop(pipe.write_all(text.as_bytes()));
}

/// Which web server answers a request to a VM.
fn served_by(grid: &Grid, vm: VmId) -> Option<String> {
    let mut connection = grid.call(vm, 443, 60);
    ask(&mut connection, "GET / HTTP/1.0\r\n\r\n");
    server(connection)
}

/// Which web server has answered.
fn server(mut connection: Child) -> Option<String> {
    let mut answer = String::new();
    let mut pipe = connection.stdout.take().expect("piped");
    pipe.read_to_string(&mut answer).expect("text");
    connection.wait().expect("a child");
    let is_good = answer.starts_with("HTTP/1.1 200");
    let mut lines = answer.lines().filter(|_| is_good);
    let name = lines.find_map(|line| line.strip_prefix("X-Served-By: "));
    name.map(str::to_owned)
}
