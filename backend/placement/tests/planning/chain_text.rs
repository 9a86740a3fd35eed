//! The TOML of chains: samples, faults, round trips, mutilated files.

use model::units::Dimension;
use placement::rule::sample::CHAINS;
use placement::rule::term::{Over, Term};
use placement::rule::{Buckets, Prefer, Rule, RuleChain};
use proptest::prelude::*;

/// Checks that a text is refused with exactly these faults.
fn check_faults(text: &str, expected: &[&str]) {
    let faults = RuleChain::read("chain.toml", text).expect_err("a faulty chain");
    let told: Vec<String> = faults.0.iter().map(ToString::to_string).collect();
    assert_eq!(told, expected, "of\n{text}");
}

/// A chain as the guide shows it is read field by field.
#[test]
fn a_chain_is_read() {
    let text = r#"
version = 1
name = "tight-and-cheap"
[[rule]]
term = "licence-cost"
prefer = "low"
bucket = 10
up_to = 100000
[[rule]]
term = "leftover"
dimension = "mem"
prefer = "low"
bucket = 64
up_to = 1048576
[[rule]]
term = "fullest"
prefer = "high"
buckets = 10
[[rule]]
term = "site"
sites = ["berlin", "paris"]
"#;
    let rule = |term, prefer, buckets| Rule {
        term,
        prefer,
        buckets,
    };
    let units = |width, up_to| Buckets::OfUnits { width, up_to };
    let rules = vec![
        rule(Term::LicenceCost, Prefer::Low, units(10, 100_000)),
        rule(
            Term::Leftover(Over::One(Dimension::Mem)),
            Prefer::Low,
            units(64, 1_048_576),
        ),
        rule(Term::Fullest, Prefer::High, Buckets::OfShare { count: 10 }),
        rule(
            Term::Site(vec!["berlin".into(), "paris".into()]),
            Prefer::Low,
            units(1, 2),
        ),
    ];
    let expected = RuleChain::new("tight-and-cheap", rules).expect("it fits");
    assert_eq!(RuleChain::read("chain.toml", text), Ok(expected));
}

/// Every sample is read, carries the name and title of its list entry, and survives being written.
#[test]
fn samples_are_sound() {
    for sample in CHAINS {
        let chain = RuleChain::read(sample.name, sample.text).expect("a sample is sound");
        assert_eq!(chain.name(), sample.name);
        assert_eq!(chain.title(), sample.about);
        assert_eq!(RuleChain::read("written", &chain.write()), Ok(chain));
    }
    assert!(CHAINS.is_sorted_by_key(|sample| sample.name));
}

/// All faults are told at once, each with line, what was found and what was expected.
#[test]
fn all_faults_are_told() {
    check_faults(
        r#"version = 1
name = "wrong"
[[rule]]
term = "leftovers"
prefer = "low"
[[rule]]
term = "leftover"
prefer = "lowest"
dimension = "memory"
bucket = 0
[[rule]]
term = "fullest"
prefer = "low"
bucket = 64
[[rule]]
term = "vms"
prefer = "low"
buckets = 16
sites = ["a"]
[[rule]]
term = "site"
sites = ["a", "a"]
"#,
        &[
            "chain.toml:4: rule[0].term: found \"leftovers\", expected one of leftover, fullness, \
             fullest, efficiency, licence-cost, unused-licences, node-cost, tenant-risk-gap, \
             tenant-risk-mix, expected-load, site, vms, empty-node, dot-product, cosine, l2, stranded; \
             hint: did you mean \"leftover\"?",
            "chain.toml:8: rule[1].prefer: found \"lowest\", expected one of low, high; \
             hint: did you mean \"low\"?",
            "chain.toml:9: rule[1].dimension: found \"memory\", expected one of all, cpu, mem, \
             disk, disk_io, net, accel; hint: did you mean \"mem\"?",
            "chain.toml:10: rule[1].bucket: found 0, expected a whole number from 1 to 4294967295",
            "chain.toml:14: rule[2].bucket: found a field that fullest has not, expected only \
             term, prefer, buckets; hint: this term is a share from 0 to 1: cut it by buckets = …",
            "chain.toml:18: rule[3].buckets: found a field that vms has not, expected only term, \
             prefer, bucket, up_to; hint: this term counts units: cut it by bucket = … and up_to = …",
            "chain.toml:19: rule[3].sites: found a field that vms has not, expected only term, \
             prefer, bucket, up_to",
            "chain.toml:22: rule[4].sites: found [\"a\", \"a\"], expected a list of different \
             sites, the best first",
        ],
    );
}

/// A rule to which all nodes are equal is refused, by whichever number makes it so.
#[test]
fn rules_that_tell_nothing_are_refused() {
    let head = "name = \"x\"\n[[rule]]\nprefer = \"low\"\n";
    let (units, share) = ("term = \"vms\"\n", "term = \"fullest\"\n");
    let least = "an up_to of at least one bucket, or all nodes are equal to this rule";
    check_faults(
        &format!("{head}{units}bucket = 8\nup_to = 7\n"),
        &[&format!(
            "chain.toml:6: rule[0].up_to: found one bucket of 8 up to 7, expected {least}"
        )],
    );
    check_faults(
        &format!("{head}{units}bucket = 5000\n"),
        &[&format!(
            "chain.toml:5: rule[0].bucket: found one bucket of 5000 up to 4095, expected {least}"
        )],
    );
    check_faults(
        &format!("{head}{share}buckets = 1\n"),
        &["chain.toml:5: rule[0].buckets: found 1, expected a whole number from 2 to 65536"],
    );
}

/// A chain without rules, and one wider than its key, say so.
#[test]
fn an_empty_and_a_wide_chain_are_refused() {
    check_faults(
        "name = \"none\"\n",
        &["chain.toml: rule: found none, expected at least one [[rule]]"],
    );
    let rule = "[[rule]]\nterm = \"leftover\"\ndimension = \"mem\"\nprefer = \"low\"\n";
    check_faults(
        &format!("name = \"wide\"\n{}", rule.repeat(3)),
        &[
            "chain.toml:2: rule: found rules of 96 bits (leftover mem 32 + leftover mem 32 + leftover mem 32), \
         expected at most 63 bits in all; \
         hint: give wider buckets (bucket = …), an end (up_to = …) or fewer buckets (buckets = …)",
        ],
    );
}

fn rule() -> impl Strategy<Value = Rule> {
    let over = prop_oneof![
        Just(Over::All),
        prop::sample::select(Dimension::ALL.to_vec()).prop_map(Over::One)
    ];
    let sites = prop::sample::subsequence(vec!["a", "b \"quoted\"", "ç"], 1..=3);
    let term = prop_oneof![
        over.clone().prop_map(Term::Leftover),
        over.prop_map(Term::Fullness),
        sites.prop_map(|sites| Term::Site(sites.into_iter().map(String::from).collect())),
        prop::sample::select(vec![
            Term::Fullest,
            Term::Efficiency,
            Term::LicenceCost,
            Term::UnusedLicences,
            Term::NodeCost,
            Term::TenantRiskGap,
            Term::TenantRiskMix,
            Term::ExpectedLoad,
            Term::Vms,
            Term::EmptyNode,
            Term::DotProduct,
            Term::Cosine,
            Term::L2,
            Term::Stranded,
        ]),
    ];
    (term, any::<bool>(), 1..60_000_u32, 1..u32::MAX).prop_map(|(term, low, number, up_to)| Rule {
        buckets: if term.is_share() {
            Buckets::OfShare { count: number }
        } else {
            Buckets::OfUnits {
                width: number,
                up_to,
            }
        },
        prefer: if low { Prefer::Low } else { Prefer::High },
        term,
    })
}

proptest! {
    /// Whatever chain is written is read back the same.
    #[test]
    fn what_is_written_is_read(rules in prop::collection::vec(rule(), 1..4), title in "[a-z\"\\\\ ]{0,20}") {
        if let Ok(chain) = RuleChain::new("some chain", rules) {
            let chain = chain.titled(title);
            prop_assert_eq!(RuleChain::read("written", &chain.write()), Ok(chain));
        }
    }

    /// A sample with bytes cut out, doubled or replaced is read or refused, never a panic.
    #[test]
    fn mutilated_files_never_panic(
        sample in prop::sample::select(CHAINS.to_vec()),
        wounds in prop::collection::vec((any::<prop::sample::Index>(), any::<char>(), 0..4_u8), 1..8),
    ) {
        let mut chars: Vec<char> = sample.text.chars().collect();
        for (at, with, how) in wounds {
            if chars.is_empty() {
                break;
            }
            let at = at.index(chars.len());
            match how {
                0 => { chars.remove(at); }
                1 => chars[at] = with,
                2 => chars.truncate(at),
                _ => { let tail = chars[at..].to_vec(); chars.extend(tail); }
            }
        }
        let text: String = chars.into_iter().collect();
        if let Err(faults) = RuleChain::read("mutilated.toml", &text) {
            prop_assert!(!faults.0.is_empty());
        }
    }
}
