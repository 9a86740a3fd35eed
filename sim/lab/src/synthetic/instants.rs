//! When deployments come: a doubly stochastic Poisson process.
//!
//! The rate of an hour is a daily curve times gamma noise. Given their number, the instants of such a process are
//! independent draws by its rate, and that is how they are drawn.

use super::{DAY_HOURS, HOUR_MILLIS, Parameters};
use engine::chance::Stream;
use model::time::Time;

/// Rate of the busiest and the idlest hour of a day (Azure packing trace of 2020).
const BUSIEST_HOUR: f64 = 1.46;
const IDLEST_HOUR: f64 = 0.62;
/// The hour of a day that is busiest. Our choice.
const BUSIEST_AT: f64 = 14.0;
/// Coefficient of variation of the gamma noise of an hour: with the daily curve it gives the 0.53 that requests of one
/// hour have in the Azure packing trace of 2020.
const HOUR_NOISE: f64 = 0.43;

/// When so many deployments come, in order.
pub(crate) fn draw(parameters: &Parameters, count: usize) -> Vec<Time> {
    let mut chance = Stream::new(parameters.seed, 0, "synthetic-times");
    let hours = parameters.days * DAY_HOURS;
    let mean = (BUSIEST_HOUR + IDLEST_HOUR) / 2.0;
    let swing = (BUSIEST_HOUR - IDLEST_HOUR) / 2.0;
    let shape = 1.0 / (HOUR_NOISE * HOUR_NOISE);
    let mut reached = Vec::new();
    let mut sum = 0.0;
    for hour in 0..hours.ceil() as u32 {
        let turn = (f64::from(hour) + 0.5 - BUSIEST_AT) / DAY_HOURS * std::f64::consts::TAU;
        let rate = (mean + swing * libm::cos(turn)) * chance.gamma(shape, 1.0 / shape);
        let part = (hours - f64::from(hour)).min(1.0);
        sum += rate * part;
        reached.push((sum, part));
    }
    let mut instants: Vec<Time> = (0..count)
        .map(|_| {
            let drawn = chance.uniform() * sum;
            let hour = reached.partition_point(|(sum, _)| *sum <= drawn);
            let hour = hour.min(reached.len() - 1);
            let within = chance.uniform() * reached[hour].1;
            Time(((hour as f64 + within) * HOUR_MILLIS) as i64)
        })
        .collect();
    instants.sort_unstable();
    instants
}
