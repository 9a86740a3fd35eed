//! Runs of several policies: order, equality, cancelling.

use crate::fixture::{grid, run, trace};
use capacity::run::Options;
use lab::run::figures::{figures, json};
use lab::run::policy::names;
use lab::run::{Error, GridSource, NamedPolicy, Observer, Scenario, Stage, TraceSource};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whatever finishes first, results come in the order asked for, and a policy gives the same alone
/// as among others.
#[test]
fn results_keep_their_order_and_do_not_touch_each_other() {
    let names = ["worst-fit", "first-fit", "tight", "random-fit", "best-fit"];
    let together = run(&names);
    let found: Vec<&str> = together
        .iter()
        .map(|result| result.policy.name.as_str())
        .collect();
    assert_eq!(found, names);
    for (name, result) in names.iter().zip(&together) {
        assert_eq!(run(&[name])[0].outcome, result.outcome, "{name}");
    }
}

/// Every name that is told to users is one that can be used.
#[test]
fn every_known_name_names_a_policy() {
    for name in names() {
        assert_eq!(NamedPolicy::of(&name).expect("a known name").name, name);
    }
    let error = NamedPolicy::of("worstfit")
        .expect_err("no such policy")
        .to_string();
    assert!(error.ends_with("hint: did you mean worst-fit?"), "{error}");
}

/// Keys of figures are unique, and JSON has each of them.
#[test]
fn figures_have_unique_keys() {
    let result = run(&["best-fit"]).remove(0);
    let list = figures(&result.outcome.summary);
    let keys: BTreeSet<&str> = list.iter().map(|figure| figure.key.as_str()).collect();
    assert_eq!(keys.len(), list.len());
    let object = json(&result);
    assert!(
        keys.iter().all(|key| object.get(key).is_some()),
        "{object:#}"
    );
}

/// Cancels once told so often.
struct Impatient {
    told: AtomicUsize,
    patience: usize,
}

impl Observer for Impatient {
    fn progress(&self, _stage: Stage, _done: u64, _total: u64) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.told.load(Ordering::Relaxed) >= self.patience
    }
}

/// A run stops at the next word to its observer.
#[test]
fn an_observer_can_cancel() {
    let scenario = Scenario {
        trace: TraceSource::Loaded(Arc::new(trace())),
        grid: GridSource::Loaded(Arc::new(grid())),
        policies: vec![NamedPolicy::of("best-fit").expect("a known policy")],
        options: Options::default(),
    };
    for patience in [0, 1] {
        let observer = Impatient {
            told: AtomicUsize::new(0),
            patience,
        };
        let error = lab::run::run(&scenario, &observer).expect_err("it is cancelled");
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert_eq!(observer.told.load(Ordering::Relaxed), patience);
    }
}
