//! Reads a TOML file field by field and gathers every fault with its line, not only the first.
//!
//! ```text
//! read(file, text, keys, |table| …) ─▶ Table ─required / optional / tables─▶ Value ─whole / text / word / …─▶ T
//!                                        └── unknown keys, missing fields ──┴── wrong types, out of range ─▶ Faults
//! ```
//!
//! A reader asks for all its fields first and combines them with `?` after that, so that one
//! faulty field does not hide the next:
//!
//! ```
//! use model::toml_reader::read;
//!
//! struct Pool { name: String, nodes: u32 }
//! let pool = |text| read("pool.toml", text, &["name", "nodes"], |table| {
//!     let name = table.required("name", |v| v.name());
//!     let nodes = table.optional("nodes", |v| v.whole(1..=1_000));
//!     Some(Pool { name: name?, nodes: nodes.unwrap_or(1) })
//! });
//! assert_eq!(pool("name = 'a'").map(|p| (p.name, p.nodes)), Ok(("a".into(), 1)));
//! let faults = pool("name = 'a'\nnodes = -4\ncolour = 1").map(|_| ()).expect_err("two faults");
//! assert_eq!(faults.to_string(), "\
//! pool.toml:2: nodes: found -4, expected a whole number from 1 to 1000
//! pool.toml:3: colour: found an unknown key, expected one of name, nodes");
//! ```

use crate::fault::{Fault, Faults, nearest};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The longest name or text that a file may give; longer ones do not fit any window or table.
pub const MAX_TEXT_CHARS: usize = 200;

/// Reads a whole file.
///
/// `keys` are those that the top of the file may have; `read_top` returns `None` only after a
/// fault was recorded.
///
/// # Errors
/// All faults. Where the text is no TOML at all, its syntax errors, and of the fields that could
/// be read nonetheless those with a wrong type or range; what is missing or unknown then is not
/// told, since a broken line may be the reason.
pub fn read<T>(
    file: &str,
    text: &str,
    keys: &[&'static str],
    read_top: impl FnOnce(&Table<'_>) -> Option<T>,
) -> Result<T, Faults> {
    let (read, faults) = read_leniently(file, text, keys, read_top);
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    Ok(read.expect("a reader that returns nothing has recorded a fault"))
}

/// Reads a whole file and gives what `read_top` made of it beside its faults, so that more can be
/// checked of it; nothing where the text is no TOML.
pub fn read_leniently<T>(
    file: &str,
    text: &str,
    keys: &[&'static str],
    read_top: impl FnOnce(&Table<'_>) -> Option<T>,
) -> (Option<T>, Vec<Fault>) {
    let (top, syntax_errors) = DeTable::parse_recoverable(text);
    let book = Book::new(file, text);
    let table = Table {
        book: &book,
        path: String::new(),
        line: 0,
        entries: top.get_ref(),
        keys,
    };
    table.refuse_unknown_keys();
    let read = read_top(&table);
    let mut faults = Vec::new();
    let mut broken_lines = BTreeSet::new();
    for error in &syntax_errors {
        let fault = syntax_fault(&book, text, error);
        // Several errors of one line are mostly echoes of the first.
        if broken_lines.insert(fault.line) {
            faults.push(fault);
        }
    }
    faults.extend(book.into_faults(&broken_lines));
    faults.sort_by_key(|fault| fault.line);
    (read.filter(|_| broken_lines.is_empty()), faults)
}

/// The line of every field of a file, by its path as in [`Fault::field`]; nothing where the text
/// is no TOML.
pub fn field_lines(text: &str) -> BTreeMap<String, u32> {
    let mut lines = BTreeMap::new();
    if let Ok(top) = DeTable::parse(text) {
        gather_lines(&Book::new("", text), "", top.get_ref(), &mut lines);
    }
    lines
}

/// One table of a file.
#[derive(Debug)]
pub struct Table<'d> {
    book: &'d Book,
    path: String,
    line: u32,
    entries: &'d DeTable<'d>,
    keys: &'d [&'static str],
}

impl<'d> Table<'d> {
    /// A field that must be there; where it is not, `read` meets a missing value, and says of it
    /// what was expected.
    pub fn required<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value<'_>) -> Option<T>,
    ) -> Option<T> {
        read(&self.value(key))
    }

    /// A field that may be there. `None` stands for an absent field as for a faulty one: a
    /// default does no harm then, since the file is refused anyway.
    pub fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key);
        value.item.is_some().then(|| read(&value)).flatten()
    }

    /// The tables `[[key]]`, in order, each with the keys that it may have; none where there are
    /// none. Faulty ones are left out.
    pub fn tables<T>(
        &self,
        key: &'static str,
        keys: &[&'static str],
        mut read: impl FnMut(&Table<'_>) -> Option<T>,
    ) -> Vec<T> {
        self.optional(key, |value| {
            if matches!(value.item, Some(DeValue::Table(_))) {
                value.refuse_with_hint(
                    &format!("one table [{key}]"),
                    &format!("a list of tables [[{key}]]"),
                    &format!("write [[{key}]] with two brackets"),
                );
                return None;
            }
            value.list(|item| item.table(keys, &mut read))
        })
        .unwrap_or_default()
    }

    /// Checks `version`, which may be absent, to be the one that this program reads.
    pub fn version(&self, known: u32) {
        self.optional("version", |value| {
            let version = value.whole(0..=u32::MAX)?;
            if version != known {
                value.refuse(&version.to_string(), &format!("version {known}"));
            }
            Some(())
        });
    }

    /// Whether a field is there, right or wrong.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Line of the table, from 1; 0 for the top of the file.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Path of the table, as `node[2]`; empty for the top of the file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Records a fault of one of the table's fields, as of two that contradict each other.
    pub fn refuse(&self, key: &'static str, found: &str, expected: &str, hint: &str) {
        let value = self.value(key);
        self.book.record(Recorded {
            fault: value.fault(found, expected, hint),
            of_value: false,
        });
    }

    fn value(&self, key: &'static str) -> Value<'d> {
        assert!(
            self.keys.contains(&key),
            "the reader of {:?} asks for {key}, which is none of its keys {:?}",
            self.path,
            self.keys
        );
        let entry = self.entries.get(key);
        Value {
            book: self.book,
            path: join(&self.path, key),
            line: entry.map_or(self.line, |item| self.book.line_at(item.span().start)),
            item: entry.map(Spanned::get_ref),
        }
    }

    fn refuse_unknown_keys(&self) {
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if self.keys.contains(&name) {
                continue;
            }
            let hint = nearest(name, self.keys.iter().copied())
                .map_or_else(String::new, |known| format!("did you mean {known}?"));
            self.book.record(Recorded {
                fault: Fault {
                    file: self.book.file.clone(),
                    line: self.book.line_at(key.span().start),
                    field: join(&self.path, name),
                    found: "an unknown key".into(),
                    expected: format!("one of {}", self.keys.join(", ")),
                    hint,
                },
                of_value: false,
            });
        }
    }
}

/// One value of a file, or the place where it is missing.
#[derive(Debug)]
pub struct Value<'d> {
    book: &'d Book,
    path: String,
    line: u32,
    item: Option<&'d DeValue<'d>>,
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
            None => self.refuse_found(&format!(
                "a number from {} to {}",
                f64::from(*range.start()) / f64::from(scale),
                f64::from(*range.end()) / f64::from(scale)
            )),
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
        let expected = format!("one of {}", words.join(", "));
        let Some(DeValue::String(text)) = self.item else {
            return self.refuse_found(&expected);
        };
        let place = words.iter().position(|word| word == text);
        if place.is_none() {
            let hint = nearest(text, words.iter().copied())
                .map_or_else(String::new, |near| format!("did you mean {near:?}?"));
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

    fn fault(&self, found: &str, expected: &str, hint: &str) -> Fault {
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

/// Whether a text may name something.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().count() <= MAX_TEXT_CHARS
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

/// The name of a file without folders and ending: `mine` of `grids/mine.toml`.
pub(crate) fn stem(file: &str, otherwise: &str) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = name.strip_suffix(".toml").unwrap_or(name).trim();
    if is_name(stem) { stem } else { otherwise }.into()
}

/// Where lines start, and what was found wrong so far.
#[derive(Debug)]
struct Book {
    file: String,
    /// Offset of each line's first byte.
    line_starts: Vec<usize>,
    recorded: RefCell<Vec<Recorded>>,
}

/// A fault, and whether it is of a value that is there: such a fault stays true whatever the
/// broken lines around it were meant to say.
#[derive(Debug)]
struct Recorded {
    fault: Fault,
    of_value: bool,
}

impl Book {
    fn new(file: &str, text: &str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0)
            .chain(after_newlines.filter(|at| *at < text.len()))
            .collect();
        Self {
            file: file.into(),
            line_starts,
            recorded: RefCell::default(),
        }
    }

    /// Line of a byte, from 1; the last line for what lies behind the end.
    fn line_at(&self, offset: usize) -> u32 {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    fn record(&self, recorded: Recorded) {
        self.recorded.borrow_mut().push(recorded);
    }

    fn into_faults(self, broken_lines: &BTreeSet<u32>) -> impl Iterator<Item = Fault> {
        self.recorded
            .into_inner()
            .into_iter()
            .filter(|recorded| {
                broken_lines.is_empty()
                    || recorded.of_value && !broken_lines.contains(&recorded.fault.line)
            })
            .map(|recorded| recorded.fault)
    }
}

fn syntax_fault(book: &Book, text: &str, error: &toml::de::Error) -> Fault {
    let line = book.line_at(error.span().map_or(0, |span| span.start));
    let content = text[book.line_starts[line as usize - 1]..]
        .lines()
        .next()
        .unwrap_or("")
        .trim();
    Fault {
        file: book.file.clone(),
        line,
        field: String::new(),
        found: format!("`{}`", shortened(content)),
        expected: if content.ends_with('=') {
            "a value after the equals sign".into()
        } else {
            format!("TOML ({})", error.message().replace('\n', " "))
        },
        hint: String::new(),
    }
}

fn gather_lines(book: &Book, path: &str, table: &DeTable<'_>, lines: &mut BTreeMap<String, u32>) {
    for (key, item) in table {
        gather_value_lines(book, &join(path, key.get_ref()), item, lines);
    }
}

fn gather_value_lines(
    book: &Book,
    path: &str,
    item: &Spanned<DeValue<'_>>,
    lines: &mut BTreeMap<String, u32>,
) {
    lines.insert(path.into(), book.line_at(item.span().start));
    match item.get_ref() {
        DeValue::Table(table) => gather_lines(book, path, table, lines),
        DeValue::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                gather_value_lines(book, &format!("{path}[{place}]"), item, lines);
            }
        }
        _ => {}
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.into()
    } else {
        format!("{path}.{key}")
    }
}

/// At most 60 characters, which leaves room for the rest of a line of the terminal.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN {
        return text.into();
    }
    let mut short: String = text.chars().take(SHOWN - 1).collect();
    short.push('…');
    short
}
