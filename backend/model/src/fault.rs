//! What is wrong with a file: where, what was found, and what was expected.

use serde::Serialize;
use std::fmt;

/// One fault of a file that a person wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file, as the user named it; empty for what was drawn and never saved.
    pub file: String,
    /// Line, from 1; 0 where the fault is of the whole file.
    pub line: u32,
    /// The field, as `node[2].cpu_cores`, counted from 0; empty where there is none.
    pub field: String,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// What the user might do about it; empty where `expected` says all.
    pub hint: String,
}

impl fmt::Display for Fault {
    /// `grid.toml:7: node[2].cpu_cores: found -4, expected a number from 0.001 to 4294967.295`,
    /// and after a semicolon the hint, if there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            f.write_str(&self.file)?;
            if self.line > 0 {
                write!(f, ":{}", self.line)?;
            }
            f.write_str(": ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "found {}, expected {}", self.found, self.expected)?;
        if !self.hint.is_empty() {
            write!(f, "; hint: {}", self.hint)?;
        }
        Ok(())
    }
}

/// All faults of a file, in the order of its lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
#[serde(transparent)]
pub struct Faults(pub Vec<Fault>);

/// The known word that a person most likely meant, if any is near enough.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // 0.7 is the threshold at which clap offers a suggestion; below it they mislead.
    const NEAR: f64 = 0.7;
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|known| {
            // One word inside the other, as `cores` in `cpu_cores`, counts as near as can be
            // without being equal.
            let inside = word.len() > 2 && (known.contains(&word) || word.contains(known));
            (
                strsim::jaro_winkler(&word, known).max(if inside { 0.95 } else { 0.0 }),
                known,
            )
        })
        .filter(|(likeness, _)| *likeness > NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)))
        .map(|(_, known)| known)
}
