//! One value of a file: of which type, within which range, and what is told where it is neither.

use super::book::{Book, Recorded, shortened};
use super::{MAX_TEXT_CHARS, Table, is_name, join};
use crate::fault::{Fault, nearest};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use toml::de::DeValue;

/// One value of a file, or the place where it is missing.
#[derive(Debug)]
pub struct Value<'d> {
    pub(super) book: &'d Book,
    pub(super) path: String,
    pub(super) line: u32,
    pub(super) item: Option<&'d DeValue<'d>>,
}

impl Value<'_> {
    /// Line of the value, or of the table that misses it; from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Path of the value, as `node[2].cpu_cores`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Any text of at most [`MAX_TEXT_CHARS`].
    pub fn text(&self) -> Option<String> {
        self.text_within(MAX_TEXT_CHARS)
    }

    /// Any text of at most so many characters.
    pub fn text_within(&self, most: usize) -> Option<String> {
        match self.item {
            Some(DeValue::String(text)) if text.chars().count() <= most => Some(text.to_string()),
            _ => self.refuse_found(&format!("a text of at most {most} characters")),
        }
    }

    /// A text fit to name something: not empty, no control characters, no blank at either end.
    pub fn name(&self) -> Option<String> {
        match self.item {
            Some(DeValue::String(text)) if is_name(text) => Some(text.to_string()),
            _ => self.refuse_found(&format!(
                "a name of 1 to {MAX_TEXT_CHARS} characters, without control characters or outer blanks"
            )),
        }
    }

    /// A whole number within a range.
    pub fn whole(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let wide = u64::from(*range.start())..=u64::from(*range.end());
        self.whole_wide(wide).and_then(|n| u32::try_from(n).ok())
    }

    /// A whole number within a range, for what outgrows 32 bits.
    pub fn whole_wide(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let number = match self.item {
            Some(DeValue::Integer(integer)) => {
                u64::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            _ => None,
        };
        match number.filter(|n| range.contains(n)) {
            Some(number) => Some(number),
            None => self.refuse_found(&format!(
                "a whole number from {} to {}",
                range.start(),
                range.end()
            )),
        }
    }

    /// A number, whole or not, within a range.
    pub fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        match self.as_f64().filter(|n| range.contains(n)) {
            Some(number) => Some(number),
            None => self.refuse_found(&format!(
                "a number from {} to {}",
                range.start(),
                range.end()
            )),
        }
    }

    /// A number that is kept as a whole count of smaller units, rounded: `0.5` cores at `scale`
    /// 1000 are 500 thousandths. The range is one of the smaller units.
    pub fn scaled(&self, scale: u32, range: RangeInclusive<u32>) -> Option<u32> {
        let units = self.as_f64().map(|n| (n * f64::from(scale)).round());
        match units.filter(|n| f64::from(*range.start()) <= *n && *n <= f64::from(*range.end())) {
            Some(units) => Some(units as u32),
            None => self.refuse_found(&scaled_range(&range, scale)),
        }
    }

    /// `true` or `false`.
    pub fn switch(&self) -> Option<bool> {
        match self.item {
            Some(DeValue::Boolean(on)) => Some(*on),
            _ => self.refuse_found("true or false"),
        }
    }

    /// One word of an enum.
    pub fn word<W>(&self) -> Option<W>
    where
        W: strum::VariantArray + Copy + Into<&'static str>,
    {
        let words: Vec<&'static str> = W::VARIANTS.iter().map(|word| (*word).into()).collect();
        let place = self.one_of(&words)?;
        Some(W::VARIANTS[place])
    }

    /// One of the words given; its place among them.
    pub fn one_of(&self, words: &[&str]) -> Option<usize> {
        let text = match self.item {
            Some(DeValue::String(text)) => text.as_ref(),
            _ => "",
        };
        let place = words.iter().position(|word| *word == text);
        if place.is_none() {
            let hint = nearest(text, words.iter().copied())
                .map_or_else(String::new, |near| format!("did you mean {near:?}?"));
            let expected = format!("one of {}", words.join(", "));
            self.refuse_with_hint(&self.found(), &expected, &hint);
        }
        place
    }

    /// A list, each of whose values is read alike; nothing where any of them is faulty.
    pub fn list<T>(&self, mut read: impl FnMut(&Value<'_>) -> Option<T>) -> Option<Vec<T>> {
        let Some(DeValue::Array(items)) = self.item else {
            return self.refuse_found("a list");
        };
        let mut all = Some(Vec::with_capacity(items.len()));
        for (place, item) in items.iter().enumerate() {
            let value = Value {
                book: self.book,
                path: format!("{}[{place}]", self.path),
                line: self.book.line_at(item.span().start),
                item: Some(item.get_ref()),
            };
            match (read(&value), &mut all) {
                (Some(read), Some(all)) => all.push(read),
                _ => all = None,
            }
        }
        all
    }

    /// A table with the keys that it may have.
    pub fn table<T>(
        &self,
        keys: &[&'static str],
        read: impl FnOnce(&Table<'_>) -> Option<T>,
    ) -> Option<T> {
        let Some(DeValue::Table(entries)) = self.item else {
            return self.refuse_found(&format!("a table of {}", keys.join(", ")));
        };
        let table = Table {
            book: self.book,
            path: self.path.clone(),
            line: self.line,
            entries,
            keys,
        };
        table.refuse_unknown_keys();
        read(&table)
    }

    /// A table of free names, each of whose values is read alike; nothing where any is faulty.
    pub fn map<T>(
        &self,
        mut read: impl FnMut(&Value<'_>) -> Option<T>,
    ) -> Option<BTreeMap<String, T>> {
        let Some(DeValue::Table(entries)) = self.item else {
            return self.refuse_found("a table");
        };
        let mut all = Some(BTreeMap::new());
        for (key, item) in entries {
            let value = Value {
                book: self.book,
                path: join(&self.path, key.get_ref()),
                line: self.book.line_at(item.span().start),
                item: Some(item.get_ref()),
            };
            match (read(&value), &mut all) {
                (Some(read), Some(all)) => {
                    all.insert(key.get_ref().to_string(), read);
                }
                _ => all = None,
            }
        }
        all
    }

    /// Records a fault of this value.
    pub fn refuse(&self, found: &str, expected: &str) {
        self.refuse_with_hint(found, expected, "");
    }

    /// Records a fault of this value with what the user might do about it.
    pub fn refuse_with_hint(&self, found: &str, expected: &str, hint: &str) {
        self.book.record(Recorded {
            fault: self.fault(found, expected, hint),
            of_value: self.item.is_some(),
        });
    }

    /// What stands here, in short, as faults tell it.
    pub fn found(&self) -> String {
        match self.item {
            None => "nothing".into(),
            Some(DeValue::String(text)) => format!("{:?}", shortened(text)),
            Some(DeValue::Integer(integer)) => shortened(&integer.to_string()),
            Some(DeValue::Float(float)) => shortened(&float.to_string()),
            Some(DeValue::Boolean(on)) => on.to_string(),
            Some(DeValue::Datetime(date)) => format!("the date {date}"),
            Some(DeValue::Array(items)) => format!("a list of {}", items.len()),
            Some(DeValue::Table(_)) => "a table".into(),
        }
    }

    fn refuse_found<T>(&self, expected: &str) -> Option<T> {
        self.refuse(&self.found(), expected);
        None
    }

    pub(super) fn fault(&self, found: &str, expected: &str, hint: &str) -> Fault {
        Fault {
            file: self.book.file.clone(),
            line: self.line,
            field: self.path.clone(),
            found: found.into(),
            expected: expected.into(),
            hint: hint.into(),
        }
    }

    fn as_f64(&self) -> Option<f64> {
        match self.item {
            Some(DeValue::Integer(integer)) => {
                i64::from_str_radix(integer.as_str(), integer.radix())
                    .ok()
                    .map(|n| n as f64)
            }
            Some(DeValue::Float(float)) => float.as_str().parse().ok(),
            _ => None,
        }
    }
}

/// A range of small units in large ones, both ends rounded inwards to three decimals:
/// `a number from 0.001 to 4194303.999`.
pub(crate) fn scaled_range(range: &RangeInclusive<u32>, scale: u32) -> String {
    let thousandths = |units: &u32| f64::from(*units) * 1_000.0 / f64::from(scale);
    let least = thousandths(range.start()).ceil() / 1_000.0;
    let most = thousandths(range.end()).floor() / 1_000.0;
    format!("a number from {least} to {most}")
}
