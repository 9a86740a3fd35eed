//! The whole grid of kills: before and after every journal write, and before, within and after every
//! outside call, for every verb.

use crate::node::{Meanwhile, Node, keys, naming};
use crate::orders::{OTHER, VM, beginning, blueprint, lend, order, remote_blueprint, verbs};
use agent::message::Input;
use agent::modelled::{Hands, Modelled};
use model::order::{Order, Passage, Verb, Way};
use model::report::{Outcome, VmState};

/// The operation under test; those that lead there have smaller ids.
const TESTED: u64 = 100;

/// At every named point the agent is killed once, with nothing else happening, with the deadline
/// passing, and with the operation called off; it always ends once, leaves what the ledger says and
/// nothing else, and answers a repeat with the first result.
#[test]
fn a_kill_at_any_point_leaves_nothing_behind() {
    let mut tried = 0;
    let mut names = std::collections::BTreeSet::new();
    for (start, verb) in cases() {
        let reference = Reference::of(start, &verb);
        names.extend(reference.points.iter().cloned());
        for meanwhile in [Meanwhile::Nothing, Meanwhile::Expire, Meanwhile::CallOff] {
            for point in 0..reference.points.len() {
                reference.check_killed(start, &verb, &[point], meanwhile);
                tried += 1;
            }
        }
    }
    println!("{tried} kills at {} named points", names.len());
    assert!(tried > 1_500, "only {tried} kills were tried");
}

/// The agent that goes on is killed as well, at every point of its own.
#[test]
fn two_kills_leave_nothing_behind_either() {
    let mut tried = 0;
    for (start, verb) in cases() {
        let reference = Reference::of(start, &verb);
        let points = reference.points.len();
        for first in 0..points {
            // The second comes where a first one led to; beyond the end it is none.
            for second in first + 1..points + 4 {
                reference.check_killed(start, &verb, &[first, second], Meanwhile::Nothing);
                tried += 1;
            }
        }
    }
    println!("{tried} pairs of kills");
    assert!(tried > 5_000, "only {tried} pairs were tried");
}

/// Every verb with the states from which it is carried out.
fn cases() -> Vec<(Option<VmState>, Verb)> {
    use VmState::{Paused, Running, Stopped};
    let mut cases = Vec::new();
    for verb in verbs(VM, OTHER) {
        let starts: &[Option<VmState>] = match &verb {
            Verb::Create { .. } | Verb::Receive { .. } => &[None],
            // Of a node that runs the VM, and then has lent it the volume already, and of another one.
            Verb::Lend { .. } => &[None, Some(Stopped), Some(Running)],
            Verb::Migrate {
                passage: Passage::Cold { shutdown },
                ..
            } => match shutdown {
                None => &[Some(Stopped)],
                Some(_) => &[Some(Stopped), Some(Running)],
            },
            Verb::Modify {
                way: Way::InPlace, ..
            } => &[Some(Stopped)],
            Verb::Modify { .. } | Verb::Migrate { .. } | Verb::Reboot | Verb::Configure { .. } => {
                &[Some(Running)]
            }
            Verb::Start => &[Some(Stopped), Some(Running)],
            Verb::Pause | Verb::Resume => &[Some(Running), Some(Paused)],
            Verb::Delete => &[None, Some(Stopped), Some(Running), Some(Paused)],
            Verb::Scale { .. } => &[Some(Stopped), Some(Running)],
            _ => &[Some(Stopped), Some(Running), Some(Paused)],
        };
        cases.extend(starts.iter().map(|start| (*start, verb.clone())));
    }
    let blueprint = Box::new(remote_blueprint(VM));
    cases.push((None, Verb::Create { blueprint }));
    cases
}

/// A node whose VM is in a state.
fn node(start: Option<VmState>, verb: &Verb) -> Node {
    let mut node = Node::new();
    let mut before = Vec::new();
    if start.is_some() {
        let blueprint = Box::new(beginning(VM, verb));
        before.push(Verb::Create { blueprint });
    }
    if matches!(verb, Verb::Restore { .. } | Verb::DropSnapshot { .. }) {
        let name = "before".to_owned();
        before.push(Verb::Snapshot { name });
    }
    let lends = matches!(verb, Verb::Lend { .. });
    // A VM that is deleted has a volume here as well, and may have that alone.
    if *verb == Verb::Delete || lends && start == Some(VmState::Running) {
        before.push(lend());
    }
    match start {
        Some(VmState::Running) => before.push(Verb::Start),
        Some(VmState::Paused) => before.extend([Verb::Start, Verb::Pause]),
        _ => {}
    }
    for (index, verb) in before.into_iter().enumerate() {
        node.order(&order(1 + index as u64, verb));
    }
    node.settle();
    assert!(node.ends.values().all(|ends| *ends == [Outcome::Done]));
    if let Verb::Receive { storage, .. } = verb {
        node.world.elsewhere.insert(VM);
        if *storage == model::order::Storage::Shared {
            share_disks(&mut node.world);
        }
    }
    node.points.clear();
    node
}

/// Shared disks are there before the VM comes, and nobody here makes or wipes them.
fn share_disks(world: &mut Hands) {
    let blueprint = blueprint(VM);
    world.folders.insert(naming().vm_folder(VM));
    for disk in &blueprint.disks {
        let path = naming().attached_disk(&blueprint, disk).path;
        world.files.insert(path, true);
        if let Some(base) = naming().base(&blueprint, disk) {
            world.bases.entry(base).or_default().insert(VM);
        }
    }
    let files = naming().kernel(VM);
    world
        .files
        .extend([(files.kernel, true), (files.initrd, true)]);
}

/// The same order without a kill.
struct Reference {
    before: Hands,
    after: Hands,
    points: Vec<String>,
    order: Order,
}

impl Reference {
    fn of(start: Option<VmState>, verb: &Verb) -> Self {
        let mut node = node(start, verb);
        let before = node.world.clone();
        let order = order(TESTED, verb.clone());
        node.order(&order);
        node.settle();
        assert_eq!(
            node.ends[&order.operation],
            [Outcome::Done],
            "{verb:?} from {start:?}"
        );
        if !is_shared(verb) {
            node.world.check(node.agent.ledger(), &naming());
        }
        Self {
            before,
            after: node.world,
            points: node.points,
            order,
        }
    }

    fn check_killed(
        &self,
        start: Option<VmState>,
        verb: &Verb,
        kills: &[usize],
        meanwhile: Meanwhile,
    ) {
        let mut node = node(start, verb);
        node.kill_at = kills.iter().copied().collect();
        node.meanwhile = meanwhile;
        node.order(&self.order);
        node.settle();
        let at: Vec<&String> = kills
            .iter()
            .filter_map(|kill| node.points.get(*kill))
            .collect();
        let case = format!("{verb:?} from {start:?}, killed {at:?}, {meanwhile:?}");
        let end = self.end_of(&mut node, &case);
        let world = normal(&node.world);
        match end {
            Some(Outcome::Done) => assert_eq!(world, normal(&self.after), "{case}"),
            // A stop that was late may have stopped it all the same, which is seen.
            _ if stops(verb) => assert!(
                world == normal(&self.before) || world == normal(&self.after),
                "{case}"
            ),
            _ => assert_eq!(world, normal(&self.before), "{case}"),
        }
        if meanwhile == Meanwhile::Nothing {
            assert_eq!(end, Some(Outcome::Done), "{case}");
        }
        if !is_shared(verb) {
            node.world.check(node.agent.ledger(), &naming());
        }
        self.check_repeated(&mut node, &end, &case);
    }

    /// The one end of the operation; `None`: it was refused, having never been accepted.
    fn end_of(&self, node: &mut Node, case: &str) -> Option<Outcome> {
        let operation = self.order.operation;
        let ends = node.ends.get(&operation).cloned().unwrap_or_default();
        // An end whose report was lost, or came again, is the same end.
        for end in &ends {
            assert_eq!(end, &ends[0], "{case}: two ends");
        }
        if ends.is_empty() {
            assert!(!node.agent.ledger().past.contains_key(&operation), "{case}");
        }
        let finished = node.journal.iter().filter(|line| {
            line.contains("\"entry\":\"finished\"") && line.contains(&format!(":{TESTED},"))
        });
        assert!(finished.count() <= 1, "{case}: ended twice");
        ends.first().cloned()
    }

    fn check_repeated(&self, node: &mut Node, end: &Option<Outcome>, case: &str) {
        let Some(end) = end else {
            return;
        };
        let (points, reports) = (node.points.len(), node.reports.len());
        let order = Box::new(self.order.clone());
        let keys = keys();
        node.tell(Input::Ordered { order, keys });
        node.settle();
        assert_eq!(node.points.len(), points, "{case}: a repeat did something");
        let answers: Vec<_> = node.reports[reports..].iter().map(|r| &r.outcome).collect();
        let (last, told) = answers.split_last().expect("an answer");
        assert_eq!(*last, end, "{case}: the answer to a repeat");
        let lent = matches!(self.order.verb, Verb::Lend { .. }) && *end == Outcome::Done;
        match told {
            [] => assert!(!lent, "{case}: nobody knows where it is lent"),
            [Outcome::Listening { .. }] => assert!(lent, "{case}: {told:?}"),
            _ => panic!("{case}: {told:?}"),
        }
    }
}

/// The world without what may differ: what was stored of an image that then was not wanted stays
/// in the node's store, and a failed VM is one that a kill caught on its way down.
fn normal(world: &Hands) -> Hands {
    let mut world = world.clone();
    world.coming.clear();
    world.book.retain(|_, taken| !*taken);
    for modelled in world.vms.values_mut() {
        let Modelled { state, .. } = modelled;
        if *state == VmState::Stopping {
            *state = VmState::Stopped;
        }
    }
    world
}

fn stops(verb: &Verb) -> bool {
    matches!(verb, Verb::Stop { .. } | Verb::Reboot)
}

fn is_shared(verb: &Verb) -> bool {
    use model::order::Storage::Shared;
    match verb {
        Verb::Receive { storage, .. } | Verb::Migrate { storage, .. } => *storage == Shared,
        _ => false,
    }
}
