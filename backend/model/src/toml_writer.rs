//! Writes the TOML files that people read: keys in the reader's order, one a line.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A file in the making.
#[derive(Debug, Default)]
pub struct TomlWriter {
    text: String,
}

impl TomlWriter {
    /// The file, whole.
    pub fn finish(self) -> String {
        self.text
    }

    /// Starts a table of a list, as `[[node]]`, after an empty line.
    pub fn table(&mut self, key: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.line(format_args!("[[{key}]]"));
    }

    /// A value that is TOML already, as a number is.
    pub fn plain(&mut self, key: &str, value: impl std::fmt::Display) {
        self.line(format_args!("{key} = {value}"));
    }

    /// A text.
    pub fn text(&mut self, key: &str, text: &str) {
        self.plain(key, quoted(text));
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &str, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        let texts: Vec<String> = texts.into_iter().map(|t| quoted(t.as_ref())).collect();
        self.plain(key, format_args!("[{}]", texts.join(", ")));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a string takes all that is written to it");
    }
}

/// A text as a basic string of TOML, on one line whatever it holds.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => {
                write!(quoted, "\\u{:04X}", u32::from(c)).expect("a string takes all");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// An inline table of texts by free names.
pub fn inline_map(map: &BTreeMap<String, String>) -> String {
    let entries: Vec<String> = map
        .iter()
        .map(|(name, text)| format!("{} = {}", quoted_key(name), quoted(text)))
        .collect();
    format!("{{ {} }}", entries.join(", "))
}

/// Thousandths as a decimal number: `500` as `0.5`.
pub fn decimal(milli: u32) -> String {
    let (whole, rest) = (milli / 1_000, milli % 1_000);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:03}").trim_end_matches('0').into()
}

/// A key, quoted where TOML asks for it.
pub fn quoted_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) {
        key.into()
    } else {
        quoted(key)
    }
}
