//! Lexicographic chains of quantised rules that a user writes.
//!
//! The method is Protean's (Hadary et al., OSDI 2020): each rule measures a (VM, node) pair, the
//! measure is quantised so that the rules after it still have a say, and rules are compared one
//! after the other. Here the buckets are packed, first rule highest, into one `u64`: the lowest
//! key is the best node.
//!
//! ```text
//!  key   0…0 │ rule 1 │  rule 2  │ rule 3 │   lower is better in every field
//!            └ bits of its buckets ┘
//! ```
//!
//! In reading order:
//!
//! - [`term`]: what a rule measures
//! - this module: [`RuleChain`], checked to fit the key
//! - [`key`]: the chain made ready for one grid, lean enough for the fast index
//! - [`text`]: the TOML that a user writes
//! - [`sample`]: chains to start from

pub mod key;
pub mod sample;
pub mod term;
pub mod text;

use serde::Serialize;
use term::{Measured, Term};

/// The bits of a key, shared by all rules of a chain. The search keeps the highest bit to say that a
/// node is refused.
pub const KEY_BITS: u32 = u64::BITS - 1;

/// The most buckets of one rule over a share: finer than any share that placement reckons with.
pub const MAX_BUCKETS: u32 = 65_536;

/// Which end of the measure is better.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    strum::VariantArray,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::Display,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Prefer {
    /// The node where the measure is lower.
    Low,
    /// The node where it is higher.
    High,
}

/// How a measure becomes a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Buckets {
    /// So many equal buckets over a share from 0 to 1.
    OfShare {
        /// How many.
        count: u32,
    },
    /// Buckets of so many units each; from `up_to` on everything is in the last one.
    OfUnits {
        /// Units in a bucket.
        width: u32,
        /// Where the last bucket begins.
        up_to: u32,
    },
}

impl Buckets {
    /// The number of the last bucket, counted from 0.
    pub const fn last(self) -> u32 {
        match self {
            Self::OfShare { count } => count - 1,
            Self::OfUnits { width, up_to } => up_to / width,
        }
    }

    /// The bits that hold every bucket's number.
    pub const fn bits(self) -> u32 {
        u32::BITS - self.last().leading_zeros()
    }

    /// The bucket in which a measure falls.
    pub fn of(self, measured: Measured) -> u32 {
        let (Self::OfShare { count: scale } | Self::OfUnits { width: scale, .. }) = self;
        let bucket = match measured {
            Measured::Units(units) => units / u64::from(scale),
            // Whole numbers stay whole: 29 of 100 is in bucket 29 of 100, where 0.29 × 100 is not.
            Measured::Part { part, whole } => part.saturating_mul(u64::from(scale)) / whole.max(1),
            Measured::Real(share) => (share * f64::from(scale)) as u64,
        };
        bucket.min(u64::from(self.last())) as u32
    }
}

/// One rule: what is measured, how finely, and which end is better.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Rule {
    /// What is measured.
    pub term: Term,
    /// Which end is better.
    pub prefer: Prefer,
    /// How finely.
    pub buckets: Buckets,
}

impl Rule {
    /// A rule with the term's own buckets.
    pub fn new(term: Term, prefer: Prefer) -> Self {
        let buckets = term.default_buckets();
        Self {
            term,
            prefer,
            buckets,
        }
    }

    /// The bucket of a measure, turned so that lower is better.
    pub fn rank(&self, measured: Measured) -> u32 {
        let bucket = self.buckets.of(measured);
        match self.prefer {
            Prefer::Low => bucket,
            Prefer::High => self.buckets.last() - bucket,
        }
    }
}

/// Why rules do not make a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// There is nothing to decide by.
    #[error("chain {name:?} has no rule")]
    NoRule {
        /// The chain.
        name: String,
    },
    /// The key is too short for all the rules.
    #[error(
        "chain {name:?} needs {bits} bits, its key has {KEY_BITS} ({})\nhint: {WIDTH_HINT}",
        .rules.join(" + ")
    )]
    TooWide {
        /// The chain.
        name: String,
        /// What the rules need together.
        bits: u32,
        /// Each rule with its bits: `leftover mem 26`.
        rules: Vec<String>,
    },
    /// A rule's buckets are not of its term's kind, or are not even two, so that they tell nothing.
    #[error("rule {rule} ({term}) of chain {name:?} has no usable buckets")]
    NoBuckets {
        /// The chain.
        name: String,
        /// The rule, from 1.
        rule: usize,
        /// What it measures.
        term: String,
    },
}

/// How a chain that is too wide gets narrower.
pub(crate) const WIDTH_HINT: &str =
    "give wider buckets (bucket = …), an end (up_to = …) or fewer buckets (buckets = …)";

/// Rules that fit one key; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct RuleChain {
    name: String,
    title: String,
    rules: Vec<Rule>,
}

impl RuleChain {
    /// A chain of rules, the most important first.
    ///
    /// # Errors
    /// Where there is no rule, a rule has not even two buckets, or they do not fit the key.
    pub fn new(name: impl Into<String>, rules: Vec<Rule>) -> Result<Self, ChainError> {
        let name = name.into();
        if rules.is_empty() {
            return Err(ChainError::NoRule { name });
        }
        let unusable = |rule: &Rule| match rule.buckets {
            Buckets::OfShare { count } => {
                !rule.term.is_share() || !(2..=MAX_BUCKETS).contains(&count)
            }
            Buckets::OfUnits { width, up_to } => {
                rule.term.is_share() || width == 0 || up_to < width
            }
        };
        if let Some(rule) = rules.iter().position(unusable) {
            return Err(ChainError::NoBuckets {
                name,
                rule: rule + 1,
                term: rules[rule].term.to_string(),
            });
        }
        let bits = rules.iter().map(|rule| rule.buckets.bits()).sum();
        if bits > KEY_BITS {
            let rules = rules
                .iter()
                .map(|rule| format!("{} {}", rule.term, rule.buckets.bits()))
                .collect();
            return Err(ChainError::TooWide { name, bits, rules });
        }
        Ok(Self {
            name,
            title: String::new(),
            rules,
        })
    }

    /// The same chain with a sentence that says what it is for.
    pub fn titled(mut self, title: String) -> Self {
        self.title = title;
        self
    }

    /// The word by which people name the chain.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for, in a sentence; empty where nobody said.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The rules, the most important first.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// How many bits of the key the rules use.
    pub fn bits(&self) -> u32 {
        self.rules.iter().map(|rule| rule.buckets.bits()).sum()
    }

    /// Packs ranks, first rule highest, into a key.
    ///
    /// # Panics
    /// In a debug build, where a rank is above its rule's last bucket.
    pub fn pack(&self, ranks: &[u32]) -> u64 {
        pack(self.rules.iter().zip(ranks).map(|(rule, &rank)| {
            debug_assert!(rank <= rule.buckets.last(), "a rank past its last bucket");
            (rule.buckets.bits(), rank)
        }))
    }
}

/// A key of fields of so many bits each, the first highest.
#[inline]
fn pack(fields: impl Iterator<Item = (u32, u32)>) -> u64 {
    fields.fold(0, |key, (bits, rank)| key << bits | u64::from(rank))
}
