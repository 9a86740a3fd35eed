//! VMs are sent what their components' recipes say, and again where that changes.

use crate::fixture::{Fixture, component, deploy};
use control::backend::{Command, Refused};
use control::record::VmRecord;
use model::configuration::{Configuration, Piece};
use model::design::{ComponentKind, Design, Link};
use model::id::{KeyId, VmId};
use model::order::Verb;
use model::report::{Outcome, VmState};
use model::time::Span;
use std::collections::BTreeSet;

const SOON: Span = Span(20_000);

/// A balancer before web servers that have a database.
fn shop(servers: u32) -> Design {
    let link = |from: &str, to: &str| Link {
        from: from.to_owned(),
        to: to.to_owned(),
        port: 0,
    };
    let mut balancer = component(ComponentKind::LoadBalancer, 1);
    balancer.name = "balancer".to_owned();
    let mut web = component(ComponentKind::WebServer, servers);
    web.name = "web".to_owned();
    let mut db = component(ComponentKind::Database, 1);
    db.name = "db".to_owned();
    Design {
        name: "shop".to_owned(),
        tenant: "acme".to_owned(),
        components: vec![balancer, web, db],
        links: vec![link("balancer", "web"), link("web", "db")],
        ..Design::default()
    }
}

/// A shop that has had its time.
fn standing(servers: u32) -> Fixture {
    let mut fixture = Fixture::with_recipes(4);
    fixture.done(deploy(shop(servers)));
    settle(&mut fixture);
    fixture
}

fn settle(fixture: &mut Fixture) {
    for _ in 0..4 {
        fixture.pass(SOON);
        fixture.carry_out();
    }
}

fn record<'f>(fixture: &'f Fixture, name: &str) -> &'f VmRecord {
    let mut all = fixture.controller.ledger().vms.values();
    all.find(|record| record.name == name).expect("there")
}

fn sent<'f>(fixture: &'f Fixture, name: &str) -> &'f [Configuration] {
    let sent = fixture.sent.get(&record(fixture, name).id);
    sent.map(Vec::as_slice).unwrap_or_default()
}

fn address(fixture: &Fixture, name: &str) -> String {
    let (address, _) = record(fixture, name).blueprint.interfaces[0].addresses[0];
    address.to_string()
}

/// All texts that a configuration writes.
fn text(configuration: &Configuration) -> String {
    let pieces = configuration.files.values().flat_map(|file| &file.pieces);
    let texts = pieces.map(|piece| match piece {
        Piece::Text(text) => text.as_str(),
        Piece::Key(_) => "",
    });
    texts.collect()
}

fn keys(all: &[Configuration]) -> BTreeSet<KeyId> {
    all.iter().flat_map(Configuration::keys).collect()
}

/// Each VM of a design is sent its services once it runs: the balancer knows all web servers, and these
/// have a password at the database, which knows it too.
#[test]
fn a_shop_is_set_up() {
    let fixture = standing(2);
    for name in ["balancer-0", "web-0", "web-1", "db-0"] {
        assert_eq!(sent(&fixture, name).len(), 1, "{name}");
        assert_eq!(
            record(&fixture, name).blueprint.disks[0].image,
            Some("5e".repeat(32))
        );
    }
    let balancer = text(&sent(&fixture, "balancer-0")[0]);
    for name in ["web-0", "web-1"] {
        assert!(balancer.contains(&address(&fixture, name)), "{balancer}");
    }
    let password = keys(sent(&fixture, "db-0"));
    assert_eq!(password.len(), 1);
    assert_eq!(keys(sent(&fixture, "web-0")), password);
    assert_eq!(keys(sent(&fixture, "web-1")), password);
    assert_eq!(keys(sent(&fixture, "balancer-0")), BTreeSet::new());
    assert!(
        fixture
            .controller
            .vms_shown()
            .all(|shown| shown.is_configured)
    );
    let data = &record(&fixture, "db-0").blueprint.disks;
    assert_eq!(data.len(), 2, "the database's data has a disk of its own");
    let all_mib: u64 = data.iter().map(|disk| disk.size_mib).sum();
    assert_eq!(all_mib, 10 * 1_024);
}

/// A server that comes or goes is told to those who speak to it, and to nobody else.
#[test]
fn a_change_reaches_those_concerned() {
    let mut fixture = standing(2);
    fixture.done(deploy(shop(3)));
    settle(&mut fixture);
    let new = address(&fixture, "web-2");
    let balancer = sent(&fixture, "balancer-0");
    assert_eq!(balancer.len(), 2);
    assert!(text(&balancer[1]).contains(&new));
    assert_eq!(sent(&fixture, "web-0").len(), 1, "it speaks to no server");
    assert_eq!(sent(&fixture, "web-2").len(), 1);
    let gone = address(&fixture, "web-0");
    let (vm, verb) = (record(&fixture, "web-0").id, Verb::Delete);
    fixture.done(Command::Vm { vm, verb });
    settle(&mut fixture);
    let balancer = sent(&fixture, "balancer-0");
    assert_eq!(balancer.len(), 3);
    let last = text(&balancer[2]);
    assert!(last.contains(&new) && !last.contains(&gone), "{last}");
}

/// What a VM was sent is sent again where it was made anew, and not where it was only started again.
#[test]
fn a_vm_made_anew_is_set_up_anew() {
    let mut fixture = standing(1);
    let (vm, node) = {
        let record = record(&fixture, "web-0");
        (record.id, record.node)
    };
    fixture.see(node, vm, VmState::Failed);
    settle(&mut fixture);
    assert_eq!(fixture.held[node.index()][&vm], VmState::Running);
    assert_eq!(sent(&fixture, "web-0").len(), 1);
    let mut design = shop(1);
    design.components[1].highly_available = true;
    design.name = "other".to_owned();
    fixture.done(deploy(design));
    settle(&mut fixture);
    let all = fixture.controller.ledger().vms.values();
    let (vm, node) = all
        .filter(|record| record.is_highly_available())
        .map(|record| (record.id, record.node))
        .next()
        .expect("one is");
    fixture.leave(node);
    for _ in 0..8 {
        fixture.pass(SOON);
        fixture.carry_out();
    }
    let record = &fixture.controller.ledger().vms[&vm];
    assert_ne!(record.node, node);
    assert_eq!(fixture.sent[&vm].len(), 1, "since it was made there");
    assert!(!record.configured.is_empty());
}

/// A guest that takes nothing yet is asked again until it does; the design stands meanwhile.
#[test]
fn a_guest_that_is_late_is_asked_again() {
    let mut fixture = Fixture::with_recipes(4);
    let deployed = fixture.done(deploy(shop(1)));
    let mut refused = BTreeSet::new();
    for _ in 0..8 {
        fixture.pass(SOON);
        let orders: Vec<_> = fixture.orders.values().cloned().collect();
        for order in orders {
            let is_first = matches!(order.verb, Verb::Configure { .. }) && refused.insert(order.vm);
            if is_first {
                let reason = "there is no agent in the guest".to_owned();
                fixture.end(&order, Outcome::Failed { reason });
            }
        }
        fixture.carry_out();
    }
    let vms: BTreeSet<VmId> = fixture.controller.ledger().vms.keys().copied().collect();
    assert_eq!(refused, vms);
    assert!(fixture.sent.keys().eq(&vms), "{:?}", fixture.sent.keys());
    assert_eq!(fixture.ends(deployed), [Outcome::Done]);
}

/// What a recipe does not take is refused with the field, before anything is made; a component with an
/// image of its own is sent nothing.
#[test]
fn a_recipe_takes_what_it_knows() {
    let mut fixture = Fixture::with_recipes(4);
    let mut design = shop(1);
    let parameters = &mut design.components[0].parameters;
    parameters.insert("balance".to_owned(), "by-moonlight".to_owned());
    let (_, answer) = fixture.ask(deploy(design));
    let Err(Refused::Faulty { why }) = answer else {
        panic!("{answer:?}");
    };
    assert!(why.contains("component[0].parameters.balance"), "{why}");
    assert!(fixture.controller.ledger().vms.is_empty());
    let mut design = shop(1);
    for component in &mut design.components {
        component.image = "mine".to_owned();
    }
    fixture.done(deploy(design));
    settle(&mut fixture);
    assert!(fixture.sent.is_empty());
}
