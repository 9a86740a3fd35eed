//! Comma-separated text with a header, row by row, and its fields as numbers with their place in every error.

use super::error::{ReadError, fault, fault_of, quoted};
use super::lines::Lines;
use super::source::Source;
use model::fault::Fault;
use model::time::Span;
use std::str;

/// The names in a header line: lower case, without blanks, quotes and byte-order mark.
pub(crate) fn header_of(line: &[u8]) -> Vec<String> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    line.split(|&b| b == b',').map(column_name).collect()
}

fn column_name(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field);
    text.trim_matches(|c: char| c.is_whitespace() || c == '"')
        .to_lowercase()
}

/// A file of rows.
pub(crate) struct Table<'w> {
    lines: Lines<'w>,
    header: Vec<String>,
    fields: Fields,
}

impl<'w> Table<'w> {
    /// Reads the header.
    pub(crate) fn open(source: Source<'w>) -> Result<Self, ReadError> {
        let mut lines = Lines::of(source);
        lines.advance()?;
        Ok(Self {
            header: header_of(lines.line()),
            lines,
            fields: Fields::default(),
        })
    }

    /// The file, as messages name it.
    pub(crate) fn file(&self) -> &str {
        self.lines.file()
    }

    /// Names of the columns.
    pub(crate) fn header(&self) -> &[String] {
        &self.header
    }

    /// Where a column stands.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|known| known == name)
    }

    /// Where columns stand that the format cannot do without.
    pub(crate) fn columns<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[usize; N], ReadError> {
        let missing: Vec<&str> = names
            .into_iter()
            .filter(|name| self.column(name).is_none())
            .collect();
        if missing.is_empty() {
            Ok(names.map(|name| self.column(name).expect("missing columns were told above")))
        } else {
            Err(self.lacks(&missing.join(", "), String::new()))
        }
    }

    /// The error of a header without columns that the format cannot do without.
    pub(crate) fn lacks(&self, missing: &str, hint: String) -> ReadError {
        let found = self.header.join(", ");
        ReadError::Fault(Box::new(Fault {
            file: self.file().to_owned(),
            line: 1,
            field: "header".into(),
            found: quoted(found.as_bytes()),
            expected: format!("also the columns {missing}"),
            hint,
        }))
    }

    /// The next row; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, ReadError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let (file, line) = (self.lines.file(), self.lines.number());
        let text = self.lines.line();
        if !self.fields.split(text) {
            return Err(fault(file, line, "", text, "a quote closed on its line"));
        }
        let (found, expected) = (self.fields.spans.len(), self.header.len());
        if found != expected {
            let found = format!("{found} fields");
            let expected = format!("{expected}, as in the header");
            return Err(fault_of(file, line, "", found, expected));
        }
        Ok(Some(Row {
            file,
            line,
            header: &self.header,
            text: self.fields.of(text),
            spans: &self.fields.spans,
        }))
    }
}

/// Where the fields of a line are.
#[derive(Default)]
struct Fields {
    spans: Vec<(usize, usize)>,
    /// The line without its quotes; empty where it has none, which is so almost always.
    unquoted: Vec<u8>,
}

impl Fields {
    /// Splits a line; false where a quote is not closed.
    fn split(&mut self, line: &[u8]) -> bool {
        self.spans.clear();
        self.unquoted.clear();
        if line.contains(&b'"') {
            return self.split_quoted(line);
        }
        let mut start = 0;
        for (place, &byte) in line.iter().enumerate() {
            if byte == b',' {
                self.spans.push((start, place));
                start = place + 1;
            }
        }
        self.spans.push((start, line.len()));
        true
    }

    /// As RFC 4180 has it: commas between quotes are text, two quotes there are one.
    fn split_quoted(&mut self, line: &[u8]) -> bool {
        let (mut start, mut inside) = (0, false);
        let mut bytes = line.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' if inside && bytes.peek() == Some(&b'"') => {
                    bytes.next();
                    self.unquoted.push(b'"');
                }
                b'"' => inside = !inside,
                b',' if !inside => {
                    self.spans.push((start, self.unquoted.len()));
                    start = self.unquoted.len();
                }
                _ => self.unquoted.push(byte),
            }
        }
        self.spans.push((start, self.unquoted.len()));
        !inside
    }

    /// What the spans are of.
    fn of<'l>(&'l self, line: &'l [u8]) -> &'l [u8] {
        if line.contains(&b'"') {
            &self.unquoted
        } else {
            line
        }
    }
}

/// One row.
#[derive(Clone, Copy)]
pub(crate) struct Row<'t> {
    file: &'t str,
    line: u64,
    header: &'t [String],
    text: &'t [u8],
    spans: &'t [(usize, usize)],
}

impl<'t> Row<'t> {
    /// A field as it stands, without blanks around it.
    pub(crate) fn bytes(self, column: usize) -> &'t [u8] {
        let (start, end) = self.spans[column];
        self.text[start..end].trim_ascii()
    }

    /// A field as text.
    pub(crate) fn text(self, column: usize) -> Result<&'t str, ReadError> {
        str::from_utf8(self.bytes(column)).map_err(|_| self.fault(column, "text in UTF-8"))
    }

    /// An instant, in whole milliseconds.
    pub(crate) fn millis(self, column: usize, scale: f64, unit: &str) -> Result<i64, ReadError> {
        let bytes = self.bytes(column);
        millis(bytes, scale).ok_or_else(|| {
            let most = bound(bytes, scale);
            self.fault(column, &format!("a number of {unit}{most}"))
        })
    }

    /// A span of at least 0.
    pub(crate) fn span(self, column: usize, scale: f64, unit: &str) -> Result<Span, ReadError> {
        let bytes = self.bytes(column);
        let millis = millis(bytes, scale).filter(|&millis| millis >= 0);
        millis.map(Span).ok_or_else(|| {
            let most = bound(bytes, scale);
            self.fault(column, &format!("a number of {unit}, at least 0{most}"))
        })
    }

    /// A quantity of at least 0, multiplied into the unit of the model and rounded up, so that none is lost.
    pub(crate) fn quantity(self, column: usize, scale: f64, unit: &str) -> Result<u32, ReadError> {
        let most = f64::from(u32::MAX) / scale;
        decimal(self.bytes(column))
            .filter(|x| (0.0..=most).contains(x))
            .map(|x| (x * scale - ROUNDING).ceil().max(0.0) as u32)
            .ok_or_else(|| {
                self.fault(
                    column,
                    &format!("a number of {unit}, 0 to {}", most.floor()),
                )
            })
    }

    /// A whole number within a range.
    pub(crate) fn whole(
        self,
        column: usize,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<u32, ReadError> {
        let (low, high) = (*range.start(), *range.end());
        str::from_utf8(self.bytes(column))
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.fault(column, &format!("a whole number, {low} to {high}")))
    }

    /// The error of a field.
    pub(crate) fn fault(self, column: usize, expected: &str) -> ReadError {
        fault(
            self.file,
            self.line,
            &self.header[column],
            self.bytes(column),
            expected,
        )
    }
}

/// A time in units of `scale` milliseconds, as whole milliseconds.
fn millis(bytes: &[u8], scale: f64) -> Option<i64> {
    decimal(bytes).and_then(|number| whole_millis(number * scale))
}

/// What is told of the range to who gave a number out of it.
fn bound(bytes: &[u8], scale: f64) -> String {
    let given = decimal(bytes);
    let out = given.is_some_and(|number| whole_millis(number * scale).is_none());
    match out {
        true => most_units(scale),
        false => String::new(),
    }
}

/// The bound of a time in units of `scale` milliseconds, as a fault tells it.
pub(crate) fn most_units(scale: f64) -> String {
    format!(", at most {}, a thousand years", MOST_MILLIS / scale)
}

/// The nearest whole number of milliseconds, where it is a time that a trace may hold.
pub(crate) fn whole_millis(millis: f64) -> Option<i64> {
    (millis.abs() <= MOST_MILLIS).then(|| millis.round() as i64)
}

/// A thousand years: the sum of two such times is before the [`engine::queue::HORIZON`], so that every VM of a trace
/// can depart.
const MOST_MILLIS: f64 = 1_000.0 * 365.0 * 86_400_000.0;
/// What binary fractions may leave over of a whole number.
const ROUNDING: f64 = 1e-6;

/// A decimal number; `None` where it is none, or not finite.
///
/// Up to 15 digits without exponent are read here: both the digits and the power of ten are exact in an `f64`, so one
/// division rounds correctly (Clinger 1990). The rest goes to the standard library.
pub(crate) fn decimal(bytes: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ];
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if digits.is_empty() || digits.len() > 16 {
        return slow_decimal(bytes);
    }
    let (mut mantissa, mut places, mut point, mut count) = (0_u64, 0, false, 0);
    for &b in digits {
        match b {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + u64::from(b - b'0');
                places += usize::from(point);
                count += 1;
            }
            b'.' if !point => point = true,
            _ => return slow_decimal(bytes),
        }
    }
    if count == 0 || count > 15 {
        return slow_decimal(bytes);
    }
    let value = mantissa as f64 / POWERS[places];
    Some(if negative { -value } else { value })
}

#[cold]
fn slow_decimal(bytes: &[u8]) -> Option<f64> {
    let number: f64 = str::from_utf8(bytes).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<f64>) {
        assert_eq!(decimal(text.as_bytes()), expected, "{text:?}");
    }

    /// The fast path gives what the standard library gives, and refuses what is no finite number.
    #[test]
    fn reads_decimals() {
        for text in [
            "0",
            "-0",
            "1.75",
            "-12.5",
            "491400",
            ".5",
            "5.",
            "1e3",
            "0.1",
            "123456789012345",
            "1234567890123456789",
            "0.000000000000001",
            "99999.99999",
        ] {
            check(text, text.parse().ok());
        }
        for text in [
            "", "-", ".", "-.", "1.2.3", "abc", "1,5", "nan", "inf", "--1", "0x10", " 1",
        ] {
            check(text, None);
        }
    }
}
