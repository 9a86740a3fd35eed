//! Cells of a database of results, each checked to be what a run can have written there.

use rusqlite::types::{FromSql, ValueRef};
use rusqlite::{Connection, Row};
use std::ops::RangeInclusive;

/// What is wrong with a database of results.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
    /// Not there, no database, or a table or a column is missing.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// Of an older or a newer program.
    #[error("found layout {found}, expected {expected}")]
    Layout { found: i32, expected: i32 },
    /// An input is not what it was.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The stored grid names what it has not.
    #[error("{0}")]
    Grid(#[from] model::grid::BrokenGrid),
    /// The summary lacks a figure.
    #[error("table summary: found no figure {key}")]
    Figure { key: String },
    /// A value that no run leaves behind.
    #[error("table {table}, row {row}: {column}: found {found}, expected {expected}")]
    Cell {
        table: &'static str,
        /// As SQLite counts them, from 1.
        row: i64,
        column: String,
        found: String,
        expected: String,
    },
    /// Rows are missing.
    #[error("table {table}: found {found} rows, expected {expected}")]
    Rows {
        table: &'static str,
        found: usize,
        expected: String,
    },
}

pub(crate) type Read<T> = Result<T, Damage>;

/// A row of a table.
pub(crate) struct Cells<'r> {
    table: &'static str,
    number: i64,
    row: &'r Row<'r>,
}

/// Every row of a table in the order in which it was written; only those of a policy, if one is named.
pub(crate) fn each(
    database: &Connection,
    table: &'static str,
    policy: Option<&str>,
    mut take: impl FnMut(&Cells<'_>) -> Read<()>,
) -> Read<()> {
    let of_policy = if policy.is_some() {
        "WHERE policy = ?"
    } else {
        ""
    };
    let sql = format!("SELECT rowid AS row_number, * FROM {table} {of_policy} ORDER BY rowid");
    let mut select = database.prepare(&sql)?;
    let mut rows = select.query(rusqlite::params_from_iter(policy))?;
    while let Some(row) = rows.next()? {
        let number = row.get("row_number")?;
        take(&Cells { table, number, row })?;
    }
    Ok(())
}

impl Cells<'_> {
    /// A cell of any value of its type.
    pub(crate) fn get<T: FromSql>(&self, column: &str) -> Read<T> {
        self.row.get(column).map_err(|error| match error {
            rusqlite::Error::InvalidColumnName(_) => Damage::Database(error),
            other => self.refuse(column, other.to_string()),
        })
    }

    /// A whole number within a range.
    pub(crate) fn whole(&self, column: &str, range: RangeInclusive<i64>) -> Read<i64> {
        let expected = || format!("a whole number from {} to {}", range.start(), range.end());
        match self.row.get_ref(column)? {
            ValueRef::Integer(value) if range.contains(&value) => Ok(value),
            _ => Err(self.refuse(column, expected())),
        }
    }

    /// A count of things.
    pub(crate) fn count(&self, column: &str) -> Read<u64> {
        self.whole(column, 0..=i64::MAX).map(i64::unsigned_abs)
    }

    /// The place of something in a list of `of`, and of what: `"shape"`.
    pub(crate) fn place(&self, column: &str, of: usize, what: &str) -> Read<u32> {
        match self.row.get_ref(column)? {
            ValueRef::Integer(value) if (0..of as i64).contains(&value) => Ok(value as u32),
            _ => Err(self.refuse(column, format!("one of the {of} {what}s, counted from 0"))),
        }
    }

    /// The same where there may be nothing.
    pub(crate) fn maybe_place(&self, column: &str, of: usize, what: &str) -> Read<Option<u32>> {
        match self.row.get_ref(column)? {
            ValueRef::Null => Ok(None),
            _ => self.place(column, of, what).map(Some),
        }
    }

    /// A word, by what it stands for.
    pub(crate) fn word<T>(
        &self,
        column: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Read<T> {
        let word: String = self.get(column)?;
        read(&word).ok_or_else(|| self.refuse(column, expected))
    }

    /// That a cell is not what was expected.
    pub(crate) fn refuse(&self, column: &str, expected: impl Into<String>) -> Damage {
        let found = match self.row.get_ref(column) {
            Ok(ValueRef::Null) => "nothing".to_owned(),
            Ok(ValueRef::Integer(value)) => value.to_string(),
            Ok(ValueRef::Real(value)) => value.to_string(),
            Ok(ValueRef::Text(text)) => format!("{:?}", String::from_utf8_lossy(text)),
            Ok(ValueRef::Blob(bytes)) => format!("{} bytes", bytes.len()),
            Err(error) => error.to_string(),
        };
        Damage::Cell {
            table: self.table,
            row: self.number,
            column: column.to_owned(),
            found,
            expected: expected.into(),
        }
    }
}
