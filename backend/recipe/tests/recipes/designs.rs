//! The sample designs, and a shop whose instances come and go.

use model::configuration::{Configuration, Piece};
use model::design_file::check_design;
use model::id::{ComponentId, KeyId, VmId};
use model::kind::KindForm;
use model::samples::DESIGNS;
use model::topology::Topology;
use recipe::book::Book;
use recipe::outfit::{OutfitError, changes, logins, outfits};
use recipe::site::{Instance, Site};
use std::collections::BTreeMap;

/// A site with all instances of a topology, each with an address of either family.
fn site(topology: &Topology) -> Site<'_> {
    let mut vm = 0;
    let mut instances = BTreeMap::new();
    for (place, component) in topology.components().iter().enumerate() {
        if component.kind.defaults().form != KindForm::Vms {
            continue;
        }
        let all = (0..component.instances).map(|index| {
            vm += 1;
            Instance {
                vm: VmId(vm),
                name: format!("{}-{index}", component.name),
                addresses: [format!("10.0.0.{vm}"), format!("2001:db8::{vm}")]
                    .map(|ip| ip.parse().expect("an address"))
                    .to_vec(),
            }
        });
        instances.insert(ComponentId(place as u32), all.collect());
    }
    let logins = logins(topology, &Book::shipped()).unwrap_or_else(|faults| panic!("{faults}"));
    let keys = logins.into_iter().zip(100..);
    Site {
        topology,
        instances,
        passwords: keys.map(|(login, id)| (login, KeyId(id))).collect(),
    }
}

/// A text of a configuration's file, keys as `<key 5>`.
fn text(configuration: &Configuration, path: &str) -> String {
    let file = configuration.files.get(path);
    let file = file.unwrap_or_else(|| panic!("no {path} in {:?}", configuration.files.keys()));
    let pieces = file.pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Key(key) => format!("<{key}>"),
    });
    pieces.collect()
}

/// Every component of every sample design has a recipe, and all its templates fill.
#[test]
fn every_sample_becomes_something() {
    let mut recipes = BTreeMap::<String, usize>::new();
    for sample in DESIGNS {
        let topology = check_design(sample.name, sample.text).expect("a right design");
        let site = site(&topology);
        let outfits = outfits(&site, &Book::shipped());
        let outfits = outfits.unwrap_or_else(|error| panic!("{}: {error:?}", sample.name));
        let vms: usize = site.instances.values().map(Vec::len).sum();
        assert_eq!(outfits.len(), vms, "{}", sample.name);
        for outfit in outfits.values() {
            let configuration = outfit.configuration();
            assert!(outfit.recipe == "windows" || !configuration.files.is_empty());
            *recipes.entry(outfit.recipe.clone()).or_default() += 1;
        }
    }
    let expected = [
        "haproxy",
        "nfs",
        "nftables",
        "nginx",
        "plain",
        "postgresql",
        "windows",
    ];
    assert_eq!(recipes.keys().collect::<Vec<_>>(), expected);
}

const SHOP: &str = r#"
    name = "Shop"
    [[component]]
    name = "balancer"
    kind = "load-balancer"
    [[component]]
    name = "web"
    kind = "web-server"
    instances = 3
    [[component]]
    name = "db"
    kind = "database"
    [[component]]
    name = "files"
    kind = "storage"
    [[component]]
    name = "other"
    kind = "web-server"
    [[link]]
    from = "balancer"
    to = "web"
    [[link]]
    from = "web"
    to = "db"
    [[link]]
    from = "web"
    to = "files"
"#;

fn shop() -> Topology {
    check_design("shop.toml", SHOP).expect("a right design")
}

/// Servers, rules, roles and exports are those of the links, and of nothing else.
#[test]
fn links_become_configuration() {
    let topology = shop();
    let site = site(&topology);
    let outfits = outfits(&site, &Book::shipped()).expect("outfits");
    let of = |vm| outfits[&VmId(vm)].configuration();
    let (balancer, web, db, files, other) = (of(1), of(2), of(5), of(6), of(7));

    let haproxy = text(&balancer, "/etc/haproxy/haproxy.cfg");
    for server in [
        "web-0-80 10.0.0.2:80",
        "web-1-80 10.0.0.3:80",
        "web-2-80 10.0.0.4:80",
    ] {
        let line = format!("\tserver {server} check");
        assert!(haproxy.contains(&line), "{haproxy}");
    }
    assert_eq!(haproxy.matches("\tserver ").count(), 3);
    let rules = |configuration| text(configuration, "/etc/nftables.conf");
    let anyone = |port| format!("\n\t\ttcp dport {port} accept");
    assert!(rules(&balancer).contains(&anyone(443)));
    assert!(rules(&web).contains("ip saddr 10.0.0.1 tcp dport 80 accept"));
    assert!(rules(&web).contains("ip6 saddr 2001:db8::1 tcp dport 80 accept"));
    assert!(!rules(&web).contains(&anyone(80)), "{}", rules(&web));
    assert_eq!(rules(&db).matches(" tcp dport 5432 accept").count(), 6);

    let hba = text(&db, "/etc/postgresql/15/main/pg_hba.conf");
    assert!(hba.contains("host app \"web\" 10.0.0.2/32 scram-sha-256\n"));
    assert!(!hba.contains("other") && !hba.contains("10.0.0.7"), "{hba}");
    let roles = text(&db, "/etc/gridwright/roles.sql");
    assert!(roles.contains("ALTER ROLE \"web\" PASSWORD '<key 100>';"));
    let handed = &web.files["/etc/gridwright/links/db.env"];
    assert_eq!((handed.mode, handed.owner.as_str()), (0o600, "root"));
    assert_eq!(
        text(&web, "/etc/gridwright/links/db.env"),
        "PGHOST=10.0.0.5\nPGPORT=5432\nPGDATABASE=app\nPGUSER=web\nPGPASSWORD=<key 100>\n"
    );
    assert!(!other.files.contains_key("/etc/gridwright/links/db.env"));
    assert!(other.keys().is_empty() && balancer.keys().is_empty());

    let exports = text(&files, "/etc/exports.d/gridwright.exports");
    assert!(
        exports.contains("/srv/data/files 10.0.0.2(rw,"),
        "{exports}"
    );
    assert!(!exports.contains("10.0.0.7"), "{exports}");
    let mount = text(&web, "/etc/systemd/system/gridwright-mount-files.service");
    assert!(mount.contains("port=2049,rw 10.0.0.6:/ /srv/files\n"));
}

/// An instance that goes changes those that are linked to it, by what changes, and nobody else; one
/// that comes back makes it undone.
#[test]
fn comings_and_goings_concern_the_linked() {
    let topology = shop();
    let mut site = site(&topology);
    let book = Book::shipped();
    let before = outfits(&site, &book).expect("outfits");
    assert_eq!(changes(&before, &before), BTreeMap::new());
    let web = ComponentId(1);
    let gone = site.instances.get_mut(&web).expect("web").pop();
    let changed = changes(&before, &outfits(&site, &book).expect("outfits"));
    let concerned: Vec<&VmId> = changed.keys().collect();
    // The balancer's servers, the database's and the storage's clients.
    assert_eq!(concerned, [&VmId(1), &VmId(5), &VmId(6)]);
    let balancer = &changed[&VmId(1)];
    assert_eq!(
        balancer.files.keys().collect::<Vec<_>>(),
        ["/etc/haproxy/haproxy.cfg"],
        "its own rules are as they were"
    );
    assert!(!text(balancer, "/etc/haproxy/haproxy.cfg").contains("web-2"));
    site.instances.get_mut(&web).expect("web").extend(gone);
    assert_eq!(outfits(&site, &book).expect("outfits"), before);
}

/// A firewall passes on what is called on the ports of its links, in either family.
#[test]
fn a_firewall_passes_on_its_links() {
    let text_of = SHOP.replace("load-balancer", "firewall");
    let topology = check_design("shop.toml", &text_of).expect("a right design");
    let outfits = outfits(&site(&topology), &Book::shipped()).expect("outfits");
    let rules = text(&outfits[&VmId(1)].configuration(), "/etc/nftables.conf");
    for line in [
        "ip saddr 0.0.0.0/0 tcp dport 80 dnat ip to numgen inc mod 3 map { 0 : 10.0.0.2, 1 : 10.0.0.3, 2 : 10.0.0.4 }\n",
        "ip6 saddr ::/0 tcp dport 80 dnat ip6 to numgen inc mod 3 map { 0 : 2001:db8::2, ",
    ] {
        assert!(rules.contains(line), "{rules}");
    }
}

/// A balancer that adds the application nginx is one, and passes on to the same servers.
#[test]
fn nginx_balances_where_it_is_asked_for() {
    let nginx = "\"load-balancer\"\nadd_applications = [\"nginx\"]\nparameters = { balance = \"leastconn\" }";
    let text_of = SHOP.replace("\"load-balancer\"", nginx);
    let topology = check_design("shop.toml", &text_of).expect("a right design");
    let mut site = site(&topology);
    let balancer = |site: &Site<'_>| {
        let outfits = outfits(site, &Book::shipped()).expect("outfits");
        assert_eq!(outfits[&VmId(1)].recipe, "nginx-balancer");
        text(&outfits[&VmId(1)].configuration(), "/etc/nginx/nginx.conf")
    };
    let conf = balancer(&site);
    let expected = "\t\tleast_conn;\n\t\tserver 10.0.0.2:80;\n\t\tserver 10.0.0.3:80;\n\t\tserver 10.0.0.4:80;\n\t}\n";
    assert!(conf.contains(expected), "{conf}");
    assert!(conf.contains("\t\tlisten 443 default_server;\n"), "{conf}");
    site.instances
        .get_mut(&ComponentId(1))
        .expect("web")
        .clear();
    let conf = balancer(&site);
    assert!(
        conf.contains("return 503;") && !conf.contains("upstream"),
        "{conf}"
    );
}

/// What a design asks of its components' recipes is checked against them, all at once.
#[test]
fn wrong_settings_are_told() {
    let text = SHOP.to_owned()
        + r#"
    [[component]]
    name = "more"
    kind = "database"
    [component.parameters]
    max_conections = "5"
    shared_buffers = "much"
    database = "a'b"
    backup_keep = "0"
"#;
    let topology = check_design("shop.toml", &text).expect("a right design");
    let faults = logins(&topology, &Book::shipped()).expect_err("wrong settings");
    let faults = faults.to_string();
    for told in [
        "component[5].parameters.max_conections: found an unknown setting, expected one of ",
        "did you mean max_connections?",
        "component[5].parameters.shared_buffers: found \"much\", expected a whole number with kB",
        "component[5].parameters.database: found \"a'b\"",
        "component[5].parameters.backup_keep: found \"0\", expected a whole number from 1 to 1000",
    ] {
        assert!(faults.contains(told), "{told}\n{faults}");
    }
    assert_eq!(faults.lines().count(), 4, "{faults}");
}

/// A link without its password is refused, not filled with nothing.
#[test]
fn a_missing_password_is_told() {
    let topology = shop();
    let mut site = site(&topology);
    site.passwords.clear();
    let error = outfits(&site, &Book::shipped()).expect_err("no password");
    assert!(matches!(&error, OutfitError::NoPassword { from, to } if from == "web" && to == "db"));
}
