//! The TOML of a rule chain: read with all its faults, and written.
//!
//! ```toml
//! version = 1
//! name = "tight-and-cheap"
//! title = "Waste no dear licence, then fit as tightly as can be"
//!
//! [[rule]]                  # the most important first
//! term = "licence-cost"
//! prefer = "low"            # low or high
//!
//! [[rule]]
//! term = "leftover"
//! dimension = "mem"         # cpu, mem, disk, disk_io, net, accel, or all: the mean share
//! prefer = "low"
//! bucket = 64               # units in a bucket; nodes in one bucket are equal to this rule
//! up_to = 1048576           # from here on everything is in the last bucket
//!
//! [[rule]]
//! term = "fullest"          # a share from 0 to 1
//! prefer = "low"
//! buckets = 16              # equal buckets over it
//!
//! [[rule]]
//! term = "site"
//! sites = ["berlin", "paris"] # the best first
//! ```

use super::term::{Over, Term, TermKind};
use super::{Buckets, ChainError, KEY_BITS, MAX_BUCKETS, Prefer, Rule, RuleChain, WIDTH_HINT};
use model::fault::Faults;
use model::toml_reader::{self, Table};
use model::toml_writer::TomlWriter;
use model::units::Dimension;
use std::collections::BTreeSet;

/// The version of the format that is read and written.
const VERSION: u32 = 1;

const CHAIN_KEYS: [&str; 4] = ["version", "name", "title", "rule"];
const RULE_KEYS: [&str; 7] = [
    "term",
    "prefer",
    "dimension",
    "bucket",
    "up_to",
    "buckets",
    "sites",
];

impl RuleChain {
    /// Reads a chain that a user wrote; `file` is its name in the faults.
    ///
    /// # Errors
    /// All faults of the text, each with its line and what was expected.
    pub fn read(file: &str, text: &str) -> Result<Self, Faults> {
        toml_reader::read(file, text, &CHAIN_KEYS, |top| {
            top.version(VERSION);
            let name = top.required("name", |value| value.name());
            let title = top.optional("title", |value| value.text());
            let mut tables = 0;
            let rules = top.tables("rule", &RULE_KEYS, |table| {
                tables += 1;
                read_rule(table)
            });
            if tables == 0 {
                top.refuse("rule", "none", "at least one [[rule]]", "");
            }
            if rules.len() < tables || tables == 0 {
                return None;
            }
            match Self::new(name?, rules) {
                Ok(chain) => Some(chain.titled(title.unwrap_or_default())),
                Err(error) => {
                    refuse_chain(top, &error);
                    None
                }
            }
        })
    }

    /// The chain as [`RuleChain::read`] reads it; what is a term's default is left out.
    pub fn write(&self) -> String {
        let mut file = TomlWriter::default();
        file.plain("version", VERSION);
        file.text("name", self.name());
        if !self.title().is_empty() {
            file.text("title", self.title());
        }
        for rule in self.rules() {
            write_rule(&mut file, rule);
        }
        file.finish()
    }
}

fn read_rule(table: &Table<'_>) -> Option<Rule> {
    let kind = table.required("term", |value| value.word::<TermKind>());
    let prefer = match kind {
        // The list itself tells what is better, so the word may be left out.
        Some(TermKind::Site) => table.optional("prefer", |value| value.word::<Prefer>()),
        _ => table.required("prefer", |value| value.word::<Prefer>()),
    };
    let dimension = match kind {
        Some(kind) if kind.has_dimension() => table.required("dimension", |value| {
            let words: Vec<&str> = std::iter::once("all")
                .chain(Dimension::ALL.map(<&str>::from))
                .collect();
            let place = value.one_of(&words)?;
            Some(match place {
                0 => Over::All,
                place => Over::One(Dimension::ALL[place - 1]),
            })
        }),
        _ => None,
    };
    let sites = match kind {
        Some(TermKind::Site) => table.required("sites", |value| {
            let sites = value.list(|item| item.name())?;
            let distinct: BTreeSet<&String> = sites.iter().collect();
            if sites.is_empty() || distinct.len() < sites.len() {
                value.refuse(
                    &format!("{sites:?}"),
                    "a list of different sites, the best first",
                );
                return None;
            }
            Some(sites)
        }),
        _ => None,
    };
    let width = table.optional("bucket", |value| value.whole(1..=u32::MAX));
    let up_to = table.optional("up_to", |value| value.whole(1..=u32::MAX));
    let count = table.optional("buckets", |value| value.whole(2..=MAX_BUCKETS));
    let term = term(kind?, dimension, sites)?;
    let fits = refuse_foreign_fields(table, &term);
    let buckets = match term.default_buckets() {
        Buckets::OfShare { count: usual } => Buckets::OfShare {
            count: count.unwrap_or(usual),
        },
        Buckets::OfUnits {
            width: usual,
            up_to: end,
        } => Buckets::OfUnits {
            width: width.unwrap_or(usual),
            up_to: up_to.unwrap_or(end),
        },
    };
    if let Buckets::OfUnits { width, up_to } = buckets
        && up_to < width
    {
        let key = if table.has("up_to") {
            "up_to"
        } else {
            "bucket"
        };
        table.refuse(
            key,
            &format!("one bucket of {width} up to {up_to}"),
            "an up_to of at least one bucket, or all nodes are equal to this rule",
            "",
        );
        return None;
    }
    let prefer = match term {
        Term::Site(_) => prefer.unwrap_or(Prefer::Low),
        _ => prefer?,
    };
    fits.then_some(Rule {
        term,
        prefer,
        buckets,
    })
}

/// `None` where a fault of the dimension or the sites was recorded.
fn term(kind: TermKind, dimension: Option<Over>, sites: Option<Vec<String>>) -> Option<Term> {
    Some(match kind {
        TermKind::Leftover => Term::Leftover(dimension?),
        TermKind::Fullness => Term::Fullness(dimension?),
        TermKind::Fullest => Term::Fullest,
        TermKind::Efficiency => Term::Efficiency,
        TermKind::LicenceCost => Term::LicenceCost,
        TermKind::UnusedLicences => Term::UnusedLicences,
        TermKind::NodeCost => Term::NodeCost,
        TermKind::TenantRiskGap => Term::TenantRiskGap,
        TermKind::TenantRiskMix => Term::TenantRiskMix,
        TermKind::ExpectedLoad => Term::ExpectedLoad,
        TermKind::Site => Term::Site(sites?),
        TermKind::Vms => Term::Vms,
        TermKind::EmptyNode => Term::EmptyNode,
        TermKind::DotProduct => Term::DotProduct,
        TermKind::Cosine => Term::Cosine,
        TermKind::L2 => Term::L2,
        TermKind::Stranded => Term::Stranded,
    })
}

/// Refuses fields that say nothing about the term, so that nobody believes they do.
fn refuse_foreign_fields(table: &Table<'_>, term: &Term) -> bool {
    let mut own = vec!["term", "prefer"];
    if term.kind().has_dimension() {
        own.push("dimension");
    }
    if matches!(term, Term::Site(_)) {
        own.push("sites");
    }
    if term.is_share() {
        own.push("buckets");
    } else {
        own.extend(["bucket", "up_to"]);
    }
    let mut fits = true;
    for key in RULE_KEYS {
        if table.has(key) && !own.contains(&key) {
            let hint = match key {
                "buckets" => "this term counts units: cut it by bucket = … and up_to = …",
                "bucket" | "up_to" => "this term is a share from 0 to 1: cut it by buckets = …",
                _ => "",
            };
            table.refuse(
                key,
                &format!("a field that {term} has not"),
                &format!("only {}", own.join(", ")),
                hint,
            );
            fits = false;
        }
    }
    fits
}

fn refuse_chain(top: &Table<'_>, error: &ChainError) {
    match error {
        ChainError::TooWide { bits, rules, .. } => top.refuse(
            "rule",
            &format!("rules of {bits} bits ({})", rules.join(" + ")),
            &format!("at most {KEY_BITS} bits in all"),
            WIDTH_HINT,
        ),
        // Only a chain built by hand gets here; still it is told.
        other => top.refuse("rule", &other.to_string(), "usable rules", ""),
    }
}

fn write_rule(file: &mut TomlWriter, rule: &Rule) {
    file.table("rule");
    file.text("term", rule.term.kind().into());
    match &rule.term {
        Term::Leftover(over) | Term::Fullness(over) => file.text("dimension", &over.to_string()),
        Term::Site(sites) => file.texts("sites", sites),
        _ => {}
    }
    file.text("prefer", rule.prefer.into());
    match rule.buckets {
        usual if usual == rule.term.default_buckets() => {}
        Buckets::OfShare { count } => file.plain("buckets", count),
        Buckets::OfUnits { width, up_to } => {
            file.plain("bucket", width);
            file.plain("up_to", up_to);
        }
    }
}
