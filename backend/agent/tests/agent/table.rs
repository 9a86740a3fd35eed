//! The table of what each order becomes, from every state that a VM can be in.

use crate::node::naming;
use crate::orders::{OTHER, VM, beginning, order, verbs};
use agent::steps::{Circumstances, Record, steps};
use agent::tally::Tally;
use model::order::Verb;
use model::report::VmState;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use strum::VariantArray;

/// Every verb in every state becomes the steps that the table of the file lists, with their ways
/// back, or a refusal in words.
#[test]
fn every_order_in_every_state_has_its_steps() {
    let mut table = String::new();
    for verb in verbs(VM, OTHER) {
        writeln!(table, "{}", title(&verb)).expect("strings take all");
        let states = [None]
            .into_iter()
            .chain(VmState::VARIANTS.iter().copied().map(Some));
        let mut outcomes: Vec<(String, Vec<String>)> = Vec::new();
        for state in states {
            let outcome = outcome(&verb, state);
            let word = agent::lifecycle::state_word(state).to_owned();
            match outcomes.iter_mut().find(|(known, _)| *known == outcome) {
                Some((_, words)) => words.push(word),
                None => outcomes.push((outcome, vec![word])),
            }
        }
        for (outcome, words) in outcomes {
            writeln!(table, "  {}:\n{outcome}", words.join(", ")).expect("strings take all");
        }
    }
    let expected = include_str!("table.txt");
    assert!(
        table == expected,
        "table.txt differs; if it is to be so, replace it by this:\n{table}"
    );
}

fn outcome(verb: &Verb, state: Option<VmState>) -> String {
    let mut vms = BTreeMap::new();
    let mut seen = BTreeMap::new();
    if let Some(state) = state {
        let wanted = matches!(verb, Verb::Restore { .. } | Verb::DropSnapshot { .. });
        let record = Record {
            blueprint: beginning(VM, verb),
            snapshots: BTreeSet::from_iter(wanted.then(|| "before".to_owned())),
            tally: Tally::default(),
        };
        vms.insert(VM, record);
        seen.insert(VM, state);
    }
    let naming = naming();
    let now = Circumstances {
        lent: &Default::default(),
        naming: &naming,
        host: Some("192.0.2.1"),
        vms: &vms,
        seen: &seen,
        silent: &BTreeSet::new(),
        free_mib: 1_000,
        leased: true,
    };
    match steps(&order(1, verb.clone()), now) {
        Err(refusal) => format!("    refused: {refusal}"),
        Ok(steps) if steps.is_empty() => "    nothing to do".to_owned(),
        Ok(steps) => {
            let lines = steps.iter().map(|planned| {
                let keys = match planned.keys.len() {
                    0 => String::new(),
                    count => format!(" ({count} key)"),
                };
                format!("    {}{keys}; {}", planned.step, undo(&planned.undo))
            });
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

fn undo(undo: &agent::step::Undo) -> String {
    use agent::step::Undo;
    match undo {
        Undo::Nothing => "leaves nothing".to_owned(),
        Undo::AskAgain => "asked again".to_owned(),
        Undo::Forward => "no way back".to_owned(),
        Undo::By { steps } => {
            let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
            format!("undone by {}", steps.join(", "))
        }
    }
}

/// A verb on one line, without its blueprint.
fn title(verb: &Verb) -> String {
    let mut value = serde_json::to_value(verb).expect("verbs are JSON");
    for part in ["blueprint", "to"] {
        if value[part].is_object() {
            value[part] = "…".into();
        }
    }
    value.to_string()
}
