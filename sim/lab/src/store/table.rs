//! A table of results, built once and written as CSV, as Parquet, and into SQLite.

use super::StoreError;
use super::files::create;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use rusqlite::types::{ToSqlOutput, Value};
use std::borrow::Cow;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

/// A word of a table; most are known at compile time or shared by many rows.
pub(crate) type Word = Cow<'static, str>;

/// Columns of equal length.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name in SQLite.
    pub(crate) name: &'static str,
    /// In order.
    pub(crate) columns: Vec<Column>,
}

/// One column, its unit part of the name.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) cells: Cells,
}

/// The cells of a column; what is unknown or without end is `None`.
#[derive(Debug)]
pub(crate) enum Cells {
    Count(Vec<Option<i64>>),
    Number(Vec<Option<f64>>),
    Text(Vec<Option<Word>>),
}

impl Table {
    /// A table without columns.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            columns: Vec::new(),
        }
    }

    /// Adds a column of whole numbers.
    pub(crate) fn count(&mut self, name: &str, cells: impl IntoIterator<Item = i64>) {
        self.add(name, Cells::Count(cells.into_iter().map(Some).collect()));
    }

    /// Adds a column of whole numbers, some of them unknown.
    pub(crate) fn maybe_count(&mut self, name: &str, cells: impl IntoIterator<Item = Option<i64>>) {
        self.add(name, Cells::Count(cells.into_iter().collect()));
    }

    /// Adds a column of numbers; those without end become unknown.
    pub(crate) fn number(&mut self, name: &str, cells: impl IntoIterator<Item = f64>) {
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        self.add(name, Cells::Number(cells.into_iter().map(finite).collect()));
    }

    /// Adds a column of words.
    pub(crate) fn text(&mut self, name: &str, cells: impl IntoIterator<Item = impl Into<Word>>) {
        let cells = cells.into_iter().map(|word| Some(word.into())).collect();
        self.add(name, Cells::Text(cells));
    }

    /// Adds a column of words, some of them unknown.
    pub(crate) fn maybe_text(&mut self, name: &str, cells: impl IntoIterator<Item = Option<Word>>) {
        self.add(name, Cells::Text(cells.into_iter().collect()));
    }

    fn add(&mut self, name: &str, cells: Cells) {
        self.columns.push(Column {
            name: name.to_owned(),
            cells,
        });
    }

    /// How many rows.
    pub(crate) fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.cells.len())
    }

    /// Appends the rows of a table of the same columns.
    pub(crate) fn append(&mut self, other: Self) {
        if self.columns.is_empty() {
            self.columns = other.columns;
            return;
        }
        for (column, more) in self.columns.iter_mut().zip(other.columns) {
            assert_eq!(
                column.name, more.name,
                "tables of one name have the same columns"
            );
            match (&mut column.cells, more.cells) {
                (Cells::Count(cells), Cells::Count(more)) => cells.extend(more),
                (Cells::Number(cells), Cells::Number(more)) => cells.extend(more),
                (Cells::Text(cells), Cells::Text(more)) => cells.extend(more),
                _ => unreachable!("columns of one name are of one kind"),
            }
        }
    }

    /// Writes a CSV file with a header; what is unknown is empty.
    pub(crate) fn write_csv(&self, path: &Path) -> Result<(), StoreError> {
        let failed = |error: csv::Error| StoreError::writing(path, error.into());
        let file = create(path)?;
        let mut writer = csv::Writer::from_writer(BufWriter::new(&file));
        writer
            .write_record(self.columns.iter().map(|column| &column.name))
            .map_err(failed)?;
        for row in 0..self.rows() {
            let cells = self.columns.iter().map(|column| column.cells.text(row));
            writer
                .write_record(cells.map(Cow::into_owned))
                .map_err(failed)?;
        }
        writer
            .flush()
            .map_err(|error| StoreError::writing(path, error))?;
        drop(writer);
        file.sync_all()
            .map_err(|error| StoreError::writing(path, error))
    }

    /// Writes a Parquet file, compressed with Snappy.
    pub(crate) fn write_parquet(&self, path: &Path) -> Result<(), StoreError> {
        let failed = |error| parquet_failed(path, error);
        let file = create(path)?;
        let fields = self
            .columns
            .iter()
            .map(|column| column.field().map(Arc::new));
        let fields = fields.collect::<Result<_, _>>().map_err(failed)?;
        let schema = Type::group_type_builder(self.name)
            .with_fields(fields)
            .build();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("gridwright ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let mut writer = SerializedFileWriter::new(
            BufWriter::new(&file),
            Arc::new(schema.map_err(failed)?),
            Arc::new(properties),
        )
        .map_err(failed)?;
        let mut from = 0;
        while from < self.rows() {
            let to = self.rows().min(from + ROWS_PER_GROUP);
            let mut group = writer.next_row_group().map_err(failed)?;
            let mut columns = self.columns.iter();
            while let Some(into) = group.next_column().map_err(failed)? {
                let column = columns
                    .next()
                    .expect("the schema was made of these columns");
                column.cells.write(from..to, into).map_err(failed)?;
            }
            group.close().map_err(failed)?;
            from = to;
        }
        writer.finish().map_err(failed)?;
        writer
            .inner_mut()
            .flush()
            .map_err(|error| StoreError::writing(path, error))?;
        drop(writer);
        file.sync_all()
            .map_err(|error| StoreError::writing(path, error))
    }

    /// Makes the table in a database and fills it.
    pub(crate) fn write_sqlite(&self, database: &rusqlite::Connection) -> rusqlite::Result<()> {
        let columns: Vec<String> = self.columns.iter().map(Column::declaration).collect();
        database.execute(
            &format!("CREATE TABLE {} ({}) STRICT", self.name, columns.join(", ")),
            (),
        )?;
        let holes = vec!["?"; columns.len()].join(", ");
        let mut insert =
            database.prepare(&format!("INSERT INTO {} VALUES ({holes})", self.name))?;
        for row in 0..self.rows() {
            let cells = self.columns.iter().map(|column| column.cells.value(row));
            insert.execute(rusqlite::params_from_iter(cells))?;
        }
        Ok(())
    }
}

/// Rows of a Parquet row group: large enough to compress well, small enough to be read in part.
const ROWS_PER_GROUP: usize = 1 << 20;

impl Column {
    fn field(&self) -> Result<Type, parquet::errors::ParquetError> {
        let (physical, logical) = match self.cells {
            Cells::Count(_) => (Physical::INT64, None),
            Cells::Number(_) => (Physical::DOUBLE, None),
            Cells::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        Type::primitive_type_builder(&self.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
    }

    fn declaration(&self) -> String {
        let kind = match self.cells {
            Cells::Count(_) => "INTEGER",
            Cells::Number(_) => "REAL",
            Cells::Text(_) => "TEXT",
        };
        format!("\"{}\" {kind}", self.name)
    }
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Self::Count(cells) => cells.len(),
            Self::Number(cells) => cells.len(),
            Self::Text(cells) => cells.len(),
        }
    }

    fn text(&self, row: usize) -> Cow<'_, str> {
        match self {
            Self::Count(cells) => cells[row].map_or(Cow::Borrowed(""), |v| v.to_string().into()),
            Self::Number(cells) => cells[row].map_or(Cow::Borrowed(""), |v| v.to_string().into()),
            Self::Text(cells) => cells[row].as_deref().unwrap_or_default().into(),
        }
    }

    fn value(&self, row: usize) -> ToSqlOutput<'_> {
        match self {
            Self::Count(cells) => ToSqlOutput::Owned(Value::from(cells[row])),
            Self::Number(cells) => ToSqlOutput::Owned(Value::from(cells[row])),
            Self::Text(cells) => match &cells[row] {
                Some(word) => ToSqlOutput::from(word.as_ref()),
                None => ToSqlOutput::Owned(Value::Null),
            },
        }
    }

    fn write(
        &self,
        rows: std::ops::Range<usize>,
        mut into: SerializedColumnWriter<'_>,
    ) -> Result<(), parquet::errors::ParquetError> {
        match self {
            Self::Count(cells) => {
                let (known, levels) = split(&cells[rows], |v| *v);
                let into = into.typed::<Int64Type>();
                into.write_batch(&known, Some(&levels), None)?;
            }
            Self::Number(cells) => {
                let (known, levels) = split(&cells[rows], |v| *v);
                let into = into.typed::<DoubleType>();
                into.write_batch(&known, Some(&levels), None)?;
            }
            Self::Text(cells) => {
                let (known, levels) = split(&cells[rows], |v| ByteArray::from(v.as_ref()));
                let into = into.typed::<ByteArrayType>();
                into.write_batch(&known, Some(&levels), None)?;
            }
        }
        into.close()
    }
}

/// Known values, and for each cell whether it is one of them: Parquet's definition levels.
fn split<T, U>(cells: &[Option<T>], value: impl Fn(&T) -> U) -> (Vec<U>, Vec<i16>) {
    let known = cells.iter().flatten().map(value).collect();
    let levels = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    (known, levels)
}

fn parquet_failed(path: &Path, error: parquet::errors::ParquetError) -> StoreError {
    StoreError::writing(path, std::io::Error::other(error))
}
