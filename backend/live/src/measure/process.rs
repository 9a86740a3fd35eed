//! Single processes, from `/proc/PID/stat` and `/proc/PID/io` (proc(5)).

use super::processor::TICK_MILLIS;
use super::{count, node};
use agent::driver::Reading;
use model::sample::{Metric, Subject};

/// What a process used; nothing where it has ended.
pub fn readings(id: u32, stat: &str, io: &str, page_bytes: usize) -> Vec<Reading> {
    // The name stands in brackets and may hold blanks and brackets itself.
    let Some((name, rest)) = stat.split_once('(').and_then(|(_, at)| at.rsplit_once(')')) else {
        return Vec::new();
    };
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Counted from 1 with id and name, as proc(5) does.
    let field = |number: usize| count(fields.get(number - 3).copied());
    let ticks = field(14).zip(field(15)).map(|(user, system)| user + system);
    let kib = |name| {
        let bytes = io.lines().find_map(|line| line.strip_prefix(name));
        count(bytes.map(str::trim)).map(|bytes| bytes / 1_024.0)
    };
    [
        (Metric::CpuMilli, ticks.map(|ticks| ticks * TICK_MILLIS)),
        (Metric::MajorFaults, field(12)),
        (
            Metric::MemUsedMib,
            field(24).map(|pages| pages * page_bytes as f64 / 1_048_576.0),
        ),
        (Metric::ReadKibps, kib("read_bytes:")),
        (Metric::WriteKibps, kib("write_bytes:")),
    ]
    .into_iter()
    .filter_map(|(metric, value)| {
        let subject = Subject::Process(id, name.to_owned());
        Some(node(subject, metric, value?))
    })
    .collect()
}
