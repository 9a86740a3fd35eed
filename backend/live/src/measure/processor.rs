//! Processors, load and uptime, from `/proc/stat`, `/proc/loadavg` and `/proc/uptime` (proc(5)).

use super::{count, node};
use agent::driver::Reading;
use model::sample::{Metric, Subject};

/// Milliseconds of a tick: Linux shows programs a hundred a second, whatever its own clock does.
pub(super) const TICK_MILLIS: f64 = 10.0;

/// Totals of processor time, of the node and of each core.
pub fn times(stat: &str) -> Vec<Reading> {
    let mut readings = Vec::new();
    for line in stat.lines() {
        let mut words = line.split_whitespace();
        let Some(number) = words.next().and_then(|name| name.strip_prefix("cpu")) else {
            continue;
        };
        let subject = match number.parse() {
            Ok(core) => Subject::Core(core),
            Err(_) if number.is_empty() => Subject::Whole,
            Err(_) => continue,
        };
        let ticks: Vec<Option<f64>> = words.map(|word| count(Some(word))).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; time of guests is in user's.
        let used = [0, 1, 2, 5, 6].map(|at| ticks.get(at).copied().flatten());
        if let Some(used) = used.into_iter().sum::<Option<f64>>() {
            readings.push(node(subject.clone(), Metric::CpuMilli, used * TICK_MILLIS));
        }
        if let Some(stolen) = ticks.get(7).copied().flatten() {
            readings.push(node(subject, Metric::CpuStolenMilli, stolen * TICK_MILLIS));
        }
    }
    readings
}

/// Runnable tasks, averaged over a minute.
pub fn load(loadavg: &str) -> Option<Reading> {
    let load = seconds(loadavg)?;
    Some(node(Subject::Whole, Metric::LoadMilli, load * 1_000.0))
}

/// Time since the boot.
pub fn uptime(uptime: &str) -> Option<Reading> {
    let seconds = seconds(uptime)?;
    Some(node(Subject::Whole, Metric::UptimeSeconds, seconds))
}

/// The first number of a text, which has a fraction.
fn seconds(text: &str) -> Option<f64> {
    let number: f64 = text.split_whitespace().next()?.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}
