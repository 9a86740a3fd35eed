//! Parameters of a synthetic trace as people write them: `synthetic:azure2019?vms=100000&days=14`, or a TOML file.
//!
//! ```toml
//! version = 1
//!
//! [synthetic]
//! like = "azure2019"     # or azure2019-all, azure2017, azure2017-all, huawei
//! vms = 100000
//! days = 14
//! start = "stationary"   # or empty
//! repeat = 0.85
//! longest_days = 90
//! seed = 1
//! ```
//!
//! Every key may be left out; both forms have the same.

use super::tables::{self, Tables};
use super::{Parameters, Start};
use model::fault::{Fault, Faults, nearest};
use model::toml_reader::{self, Table};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// What a path starts with that is no path.
pub const PREFIX: &str = "synthetic:";

const KEYS: [&str; 7] = [
    "like",
    "vms",
    "days",
    "start",
    "repeat",
    "longest_days",
    "seed",
];
/// A VM takes 50 bytes, so that this many take a gigabyte.
const VMS: RangeInclusive<u32> = 1..=20_000_000;
const DAYS: RangeInclusive<f64> = 0.01..=3_650.0;
const REPEAT: RangeInclusive<f64> = 0.0..=1.0;

/// The parameters of a TOML file.
///
/// # Errors
/// All faults of the text.
pub fn read_toml(file: &str, text: &str) -> Result<Parameters, Faults> {
    toml_reader::read(file, text, &["version", "synthetic"], |top| {
        top.version(1);
        top.required("synthetic", |value| value.table(&KEYS, from_table))
    })
}

fn from_table(table: &Table<'_>) -> Option<Parameters> {
    let defaults = Parameters::default();
    let names = tables::ALL.map(|tables| tables.name);
    let like = table.optional("like", |v| v.one_of(&names));
    let vms = table.optional("vms", |v| v.whole(VMS));
    let days = table.optional("days", |v| v.number(DAYS));
    let start = table.optional("start", |v| v.word());
    let repeat = table.optional("repeat", |v| v.number(REPEAT));
    let longest_days = table.optional("longest_days", |v| v.number(DAYS));
    let seed = table.optional("seed", |v| v.whole_wide(0..=u64::MAX));
    Some(Parameters {
        tables: &tables::ALL[like.unwrap_or(0)],
        vms: vms.unwrap_or(defaults.vms),
        days: days.unwrap_or(defaults.days),
        start: start.unwrap_or(defaults.start),
        repeat: repeat.unwrap_or(defaults.repeat),
        longest_days: longest_days.unwrap_or(defaults.longest_days),
        seed: seed.unwrap_or(defaults.seed),
    })
}

/// The parameters of a line such as `synthetic:azure2019?vms=100000&days=14`.
///
/// # Errors
/// The first fault.
pub fn read_line(line: &str) -> Result<Parameters, Box<Fault>> {
    let rest = line.strip_prefix(PREFIX).unwrap_or(line);
    let (like, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut parameters = Parameters::default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    for (key, value) in std::iter::once(("like", like)).chain(pairs.map(pair)) {
        let expected = set(&mut parameters, key, value);
        expected.map_err(|(expected, hint)| {
            Box::new(Fault {
                file: line.to_owned(),
                line: 0,
                field: key.to_owned(),
                found: format!("{value:?}"),
                expected,
                hint: hint.unwrap_or_default(),
            })
        })?;
    }
    Ok(parameters)
}

fn pair(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, ""))
}

/// Sets one parameter; the error is what was expected, and a hint.
fn set(
    parameters: &mut Parameters,
    key: &str,
    value: &str,
) -> Result<(), (String, Option<String>)> {
    match key {
        "like" => {
            let names = tables::ALL.map(|tables| tables.name);
            parameters.tables = Tables::named(value).ok_or_else(|| one_of(value, &names))?;
        }
        "vms" => parameters.vms = within(value, VMS, "a whole number")?,
        "days" => parameters.days = within(value, DAYS, "a number")?,
        "start" => {
            parameters.start =
                Start::from_str(value).map_err(|_| one_of(value, &["stationary", "empty"]))?;
        }
        "repeat" => parameters.repeat = within(value, REPEAT, "a number")?,
        "longest_days" => parameters.longest_days = within(value, DAYS, "a number")?,
        "seed" => parameters.seed = within(value, 0..=u64::MAX, "a whole number")?,
        _ => {
            let hint = nearest(key, KEYS).map(|near| format!("did you mean {near:?}?"));
            return Err((format!("no key but {}", KEYS.join(", ")), hint));
        }
    }
    Ok(())
}

fn one_of(value: &str, known: &[&str]) -> (String, Option<String>) {
    let hint = nearest(value, known.iter().copied()).map(|near| format!("did you mean {near:?}?"));
    (format!("one of {}", known.join(", ")), hint)
}

fn within<N: FromStr + PartialOrd + std::fmt::Display>(
    value: &str,
    range: RangeInclusive<N>,
    what: &str,
) -> Result<N, (String, Option<String>)> {
    let number = value.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        (
            format!("{what}, {} to {}", range.start(), range.end()),
            None,
        )
    })
}
