//! Instants in words.

use chrono::DateTime;
use model::time::Time;

/// Instants before it are of a clock that began with its grid or its trace: 2000-01-01, in UTC.
const FIRST_OF_CALENDAR: Time = Time(946_684_800_000);

/// In UTC, as `2026-03-01 12:30:05`; one of a clock that began with its grid as `2d 03:15:07`.
pub fn in_words(at: Time) -> String {
    let known = DateTime::from_timestamp_millis(at.0).filter(|_| at >= FIRST_OF_CALENDAR);
    known.map_or_else(|| at.to_string(), |at| at.format("%F %T").to_string())
}
