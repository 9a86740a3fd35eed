//! Types, ranges and defaults of settings.

use model::fault::{Fault, nearest};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A setting that a recipe takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// For people.
    pub about: String,
    /// What it may be.
    pub kind: ParameterKind,
    /// What it is where nobody sets it.
    pub default: String,
}

/// What a setting may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// A whole number of this range.
    Whole {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// One of these words.
    Word(Vec<String>),
    /// A number of bytes, as `512MB`: a whole number and kB, MB, GB or TB.
    Bytes,
    /// Networks, parted by blanks, as `192.0.2.0/24 2001:db8::/32`; none: nobody.
    Networks,
    /// Letters, digits, `-` and `_`, a letter first: what names something in any program.
    Name,
}

impl ParameterKind {
    /// Whether a text is one.
    ///
    /// # Errors
    /// What was expected.
    pub fn check(&self, text: &str) -> Result<(), String> {
        let (fits, expected) = match self {
            Self::Whole { least, most } => {
                let range = least..=most;
                let fits = is_plain_number(text)
                    && text
                        .parse()
                        .is_ok_and(|number: u64| range.contains(&&number));
                (fits, format!("a whole number from {least} to {most}"))
            }
            Self::Word(words) => {
                let near = nearest(text, words.iter().map(String::as_str));
                let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
                let fits = words.iter().any(|word| word == text);
                (fits, format!("one of {}{hint}", words.join(", ")))
            }
            Self::Bytes => {
                let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                let unit = &text[number.len()..];
                let fits = is_plain_number(number) && ["kB", "MB", "GB", "TB"].contains(&unit);
                (
                    fits,
                    "a whole number with kB, MB, GB or TB, as 512MB".to_owned(),
                )
            }
            Self::Networks => (
                text.split_whitespace().all(is_network),
                "networks parted by blanks, as 192.0.2.0/24 2001:db8::/32".to_owned(),
            ),
            Self::Name => {
                let letters = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
                let fits = text.starts_with(|c: char| c.is_ascii_alphabetic())
                    && text.chars().all(letters)
                    && text.len() <= MOST_NAME;
                (
                    fits,
                    format!("at most {MOST_NAME} letters, digits, - and _, a letter first"),
                )
            }
        };
        if fits { Ok(()) } else { Err(expected) }
    }
}

/// The longest name: that of a role or database of PostgreSQL (`NAMEDATALEN` less one).
const MOST_NAME: usize = 63;

/// At most 18 digits, which any program can count with; no sign, no needless zero.
fn is_plain_number(text: &str) -> bool {
    text.len() <= 18
        && !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

fn is_network(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, prefix)| {
        let most = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        is_plain_number(prefix) && prefix.parse().is_ok_and(|prefix: u32| prefix <= most)
    })
}

/// The settings of a component, defaults filled in.
///
/// # Errors
/// All that are none of the parameters, unless any is taken, or out of their range; fields are
/// `parameters.<name>`.
pub fn settle(
    parameters: &[Parameter],
    set: &BTreeMap<String, String>,
    any: bool,
) -> Result<BTreeMap<String, String>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut settled: BTreeMap<String, String> = parameters
        .iter()
        .map(|parameter| (parameter.name.clone(), parameter.default.clone()))
        .collect();
    for (name, value) in set {
        let known = parameters.iter().find(|parameter| parameter.name == *name);
        let expected = match known {
            Some(parameter) => parameter.kind.check(value).err(),
            None if any => None,
            None => {
                let names = || parameters.iter().map(|parameter| parameter.name.as_str());
                let hint = nearest(name, names());
                faults.push(Fault {
                    field: format!("parameters.{name}"),
                    found: "an unknown setting".into(),
                    expected: format!("one of {}", names().collect::<Vec<_>>().join(", ")),
                    hint: hint.map_or(String::new(), |near| format!("did you mean {near}?")),
                    ..Fault::default()
                });
                continue;
            }
        };
        if let Some(expected) = expected {
            faults.push(Fault {
                field: format!("parameters.{name}"),
                found: format!("{value:?}"),
                expected,
                ..Fault::default()
            });
        }
        settled.insert(name.clone(), value.clone());
    }
    if faults.is_empty() {
        Ok(settled)
    } else {
        Err(faults)
    }
}
