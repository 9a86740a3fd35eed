//! Where the lines of a file start, and what was found wrong in it so far.

use crate::fault::Fault;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A file being read.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) file: String,
    /// Offset of each line's first byte.
    line_starts: Vec<usize>,
    recorded: RefCell<Vec<Recorded>>,
}

/// A fault, and whether it is of a value that is there: such a fault stays true whatever the
/// broken lines around it were meant to say.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) fault: Fault,
    pub(super) of_value: bool,
}

impl Book {
    pub(super) fn new(file: &str, text: &str) -> Self {
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
    pub(super) fn line_at(&self, offset: usize) -> u32 {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    pub(super) fn record(&self, recorded: Recorded) {
        self.recorded.borrow_mut().push(recorded);
    }

    pub(super) fn into_faults(self, broken_lines: &BTreeSet<u32>) -> impl Iterator<Item = Fault> {
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

pub(super) fn syntax_fault(book: &Book, text: &str, error: &toml::de::Error) -> Fault {
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
        found: format!("`{}`", shortened(&content.replace(char::is_control, "�"))),
        expected: if content.ends_with('=') {
            "a value after the equals sign".into()
        } else {
            format!("TOML ({})", error.message().replace('\n', " "))
        },
        hint: String::new(),
    }
}

/// At most 60 characters, which leaves room for the rest of a line of the terminal.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN {
        return text.into();
    }
    let mut short: String = text.chars().take(SHOWN - 1).collect();
    short.push('…');
    short
}
