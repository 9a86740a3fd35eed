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

mod book;
mod value;

use crate::fault::{Fault, Faults, nearest};
use crate::toml_writer::quoted_key;
use book::{Book, Recorded, syntax_fault};
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
pub use value::Value;
pub(crate) use value::scaled_range;

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
    let key = quoted_key(key);
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}
