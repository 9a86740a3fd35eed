//! Design files, and the check that makes topologies of designs.

mod written;

use model::design::{Beside, Component, ComponentKind, Design, Link, Place, Thresholds};
use model::design_file::{check_design, read_design};
use model::design_writer::write_design;
use model::fault::Faults;
use model::hypervisor::Virtualisation;
use model::id::ComponentId;
use model::kind::KindForm;
use model::topology::Topology;
use model::vm::{Risk, Scope};
use strum::VariantArray;

fn lines(faults: &Faults) -> String {
    faults.0.iter().map(|fault| format!("{fault}\n")).collect()
}

/// What the check says of a good design changed in one way.
fn check(change: impl FnOnce(&mut Design), expected: &str) {
    let mut design = Design {
        name: "d".into(),
        components: vec![
            Component::new(ComponentKind::WebServer, "web"),
            Component::new(ComponentKind::Database, "db"),
        ],
        links: vec![Link {
            from: "web".into(),
            to: "db".into(),
            port: 0,
        }],
        ..Design::default()
    };
    change(&mut design);
    let told = Topology::check(&design).map_or_else(|faults| lines(&faults), |_| String::new());
    assert_eq!(told.trim_end(), expected);
}

/// A good design becomes a topology with ids in its links and no port left open.
#[test]
fn a_good_design_becomes_a_topology() {
    let text = "name = 'd'\n[[component]]\nname='web'\nkind='web-server'\n[[component]]\nname='db'\nkind='database'\n\
        [[component]]\nname='lan'\nkind='network'\n[[link]]\nfrom='web'\nto='db'\n[[link]]\nfrom='db'\nto='web'\nport=81\n\
        [[link]]\nfrom='db'\nto='lan'\n";
    let topology = check_design("d.toml", text).expect("a good design");
    assert_eq!(topology.risk(), Risk::Medium);
    assert_eq!(topology.components()[1].disk_gib, 200);
    let links: Vec<_> = topology
        .links()
        .iter()
        .map(|link| (link.from.0, link.to.0, link.port))
        .collect();
    assert_eq!(links, [(0, 1, 5_432), (1, 0, 81), (1, 2, 0)]);
    assert_eq!(ComponentId(0).index(), 0);
}

/// Each rule of the check, broken alone, is told alone.
#[test]
fn every_rule_is_told() {
    check(|_| (), "");
    check(|d| d.name.clear(), "name: found \"\", expected a name");
    check(
        |d| d.tenant = "a\nb".into(),
        "tenant: found \"a\\nb\", expected a name, or nothing",
    );
    check(
        |d| {
            *d = Design {
                name: "d".into(),
                ..Design::default()
            }
        },
        "component: found no component, expected at least one",
    );
    let name = "a name of 1 to 40 letters, digits and inner hyphens, from a to z";
    check(
        |d| {
            d.components
                .push(Component::new(ComponentKind::Storage, "Größe"))
        },
        &format!("component[2].name: found \"Größe\", expected {name}"),
    );
    check(
        |d| {
            d.components
                .push(Component::new(ComponentKind::Storage, "db"))
        },
        "component[2].name: found \"db\" a second time, expected a name that no component before has",
    );
    check(
        |d| d.components[0].instances = 0,
        "component[0].instances: found 0, expected a number from 1 to 10000",
    );
    check(
        |d| (d.components[0].cpu_milli, d.components[1].mem_mib) = (0, u32::MAX),
        "component[0].cpu_cores: found 0, expected a number from 0.001 to 10000\n\
         component[1].mem_gib: found 4194303.9990234375, expected a number from 0.001 to 65536",
    );
    check(
        |d| {
            d.components = (0..11)
                .map(|n| Component {
                    instances: 10_000,
                    ..Component::new(ComponentKind::WebServer, &format!("web-{n}"))
                })
                .collect();
            d.links.clear();
        },
        "component: found 110000 instances in all, expected at most 100000",
    );
    check(
        |d| d.components[0].accel_milli = 1_500,
        "component[0].accelerators: found 1.5, expected a share of one device below 1, or whole devices up to 16",
    );
    check(
        |d| d.components[0].accel_models = vec!["T4".into()],
        "component[0].accelerator_models: found T4, expected none where no accelerator is asked for; hint: say how many with accelerators",
    );
    check(
        |d| d.components[0].expected_load_milli = 1_005,
        "component[0].expected_load_percent: found 100.5, expected a number from 0 to 100",
    );
    check(
        |d| d.components[0].position[1] = f32::NAN,
        "component[0].position: found [0, NaN], expected two numbers from -1000000 to 1000000",
    );
    check(
        |d| {
            d.components[0].remove_applications = vec!["nginx".into()];
            d.components[0].sites = vec![String::new()];
        },
        "component[0].sites[0]: found \"\", expected a name\n\
         component[0].remove_applications[0]: found \"nginx\", which is added too, expected an application either added or removed",
    );
}

/// A remote disk is one beside a disk of the VM's own node, and none of what has no such disk.
#[test]
fn remote_disks_are_never_the_first() {
    let with = |own: u32, remote: u32| {
        move |d: &mut Design| {
            d.components[1].disk_gib = own;
            d.components[1].remote_disk_gib = remote;
        }
    };
    let at = "component[1].remote_disk_gib";
    check(with(1, 1_048_576), "");
    check(
        with(1, 1_048_577),
        &format!("{at}: found 1048577, expected a number from 0 to 1048576"),
    );
    check(
        with(0, 500),
        &format!(
            "{at}: found 500 beside no other disk, expected a disk that is not the first: \
             a VM boots from its own node; hint: ask for the first with disk_gib"
        ),
    );
    check(
        |d| {
            with(10, 500)(d);
            d.components[1].virtualisation = Some(Virtualisation::Container);
        },
        &format!("{at}: found 500, expected 0 in a container, whose disks lie on its own node"),
    );
    check(
        |d| {
            let mut lan = Component::new(ComponentKind::Network, "lan");
            lan.remote_disk_gib = 500;
            d.components.push(lan);
        },
        "component[2].remote_disk_gib: found 500, expected 0 in a network, which has no VM",
    );
}

/// Links and neighbourhoods end at other components of the design.
#[test]
fn what_leads_nowhere_is_told() {
    let beside = |name: &str| {
        Some(Beside {
            component: name.into(),
            scope: Scope::Rack,
        })
    };
    let link = |from: &str, to: &str, port| Link {
        from: from.into(),
        to: to.into(),
        port,
    };
    check(
        |d| d.components[0].beside = beside("web"),
        "component[0].beside.component: found \"web\" itself, expected another component",
    );
    check(
        |d| d.components[0].beside = beside("dbs"),
        "component[0].beside.component: found \"dbs\", expected one of web, db; hint: did you mean \"db\"?",
    );
    check(
        |d| d.links[0].to = "cache".into(),
        "link[0].to: found \"cache\", expected one of web, db",
    );
    check(
        |d| d.links.push(link("db", "db", 0)),
        "link[1]: found a link of \"db\" to itself, expected a link between two components",
    );
    check(|d| d.links.push(link("web", "db", 5_433)), "");
    check(
        |d| d.links.push(link("web", "db", 5_432)),
        "link[1]: found a second link from \"web\" to \"db\", expected one link of a port between two components",
    );
}

/// Thresholds that would never settle, or that exclude what is drawn, are told.
#[test]
fn bad_thresholds_are_told() {
    let with = |up: u32, down: u32, least: u32, most: u32| {
        move |d: &mut Design| {
            d.components[0].instances = 3;
            d.components[0].thresholds = Some(Thresholds {
                up_cpu_milli: up,
                down_cpu_milli: down,
                min_instances: least,
                max_instances: most,
            });
        }
    };
    let at = "component[0].thresholds";
    check(with(800, 200, 1, 3), "");
    check(
        with(200, 200, 1, 3),
        &format!("{at}.down_cpu_percent: found 20, expected less than up_cpu_percent, 20"),
    );
    check(
        with(1_001, 1, 1, 3),
        &format!("{at}.up_cpu_percent: found 100.1, expected a number from 0.1 to 100"),
    );
    check(
        with(800, 200, 4, 3),
        &format!("{at}.max_instances: found 3, expected at least min_instances, 4"),
    );
    check(
        with(800, 200, 1, 2),
        &format!(
            "{at}.max_instances: found 1 to 2 instances, expected the component's own 3 among them"
        ),
    );
    check(
        with(800, 200, 0, 3),
        &format!("{at}.min_instances: found 0, expected a number from 1 to 10000"),
    );
}

/// A file's faults of form and of sense are told together, with lines; a drawing that is merely
/// wrong can still be opened.
#[test]
fn all_faults_of_a_design_file_are_told() {
    let wrong = r#"name = "d"

[[component]]
name = "web"
kind = "web-server"
instances = 0

[[link]]
from = "web"
to = "nowhere"
"#;
    let design = read_design("d.toml", wrong).expect("a drawing may be wrong");
    assert_eq!(design.components[0].instances, 0);
    let faults = check_design("d.toml", wrong).expect_err("it is wrong");
    assert_eq!(
        lines(&faults),
        "\
d.toml:6: component[0].instances: found 0, expected a number from 1 to 10000
d.toml:10: link[0].to: found \"nowhere\", expected one of web
"
    );

    let unreadable = format!(
        "{wrong}\n[[component]]\nname = \"web\"\nkind = \"wep-server\"\nmem_gib = \"four\"\nthresholds = {{ up = 1 }}\n"
    );
    let faults = read_design("d.toml", &unreadable).expect_err("it cannot be read");
    assert_eq!(faults.0.len(), 7);
    let faults = check_design("d.toml", &unreadable).expect_err("it is wrong");
    assert_eq!(
        lines(&faults),
        "\
d.toml:6: component[0].instances: found 0, expected a number from 1 to 10000
d.toml:10: link[0].to: found \"nowhere\", expected one of web, web
d.toml:13: component[1].name: found \"web\" a second time, expected a name that no component before has
d.toml:14: component[1].kind: found \"wep-server\", expected one of load-balancer, web-server, application-server, database, storage, firewall, network; hint: did you mean \"web-server\"?
d.toml:15: component[1].mem_gib: found \"four\", expected a number from 0 to 4194303.999
d.toml:16: component[1].thresholds.up: found an unknown key, expected one of up_cpu_percent, down_cpu_percent, min_instances, max_instances; hint: did you mean up_cpu_percent?
d.toml:16: component[1].thresholds.up_cpu_percent: found nothing, expected a number from 0 to 429496729.5
d.toml:16: component[1].thresholds.down_cpu_percent: found nothing, expected a number from 0 to 429496729.5
d.toml:16: component[1].thresholds.min_instances: found nothing, expected a whole number from 0 to 4294967295
d.toml:16: component[1].thresholds.max_instances: found nothing, expected a whole number from 0 to 4294967295
"
    );
    let places: Vec<Place> = faults.0.iter().map(|f| Place::of_field(&f.field)).collect();
    assert_eq!(
        places[..3],
        [Place::Component(0), Place::Link(0), Place::Component(1)]
    );
    assert_eq!(Place::of_field("name"), Place::Design);
}

/// A new component of any kind passes the check as it is, and its file is three lines.
#[test]
fn every_kind_starts_right_and_short() {
    for kind in ComponentKind::VARIANTS {
        let defaults = kind.defaults();
        let design = Design {
            name: "d".into(),
            components: vec![Component::new(*kind, defaults.short_name)],
            ..Design::default()
        };
        assert!(Topology::check(&design).is_ok(), "{kind}");
        let text = write_design(&design);
        let expected = format!(
            "version = 1\nname = \"d\"\n\n[[component]]\nname = \"{}\"\nkind = \"{kind}\"\nposition = [0, 0]\n",
            defaults.short_name
        );
        assert_eq!(text, expected);
        assert_eq!(
            defaults.form == KindForm::Wire,
            *kind == ComponentKind::Network
        );
    }
}
