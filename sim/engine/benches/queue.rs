//! The event queue beside the standard library's heap: nanoseconds for a pop and a push.

#![expect(clippy::disallowed_types, reason = "a bench measures wall clocks")]

use engine::chance::Stream;
use engine::queue::Queue;
use model::time::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

const STEPS: usize = 3_000_000;
const REPEATS: usize = 3;

fn main() {
    println!("hold model: pop the first event, push one a lognormal time (sigma 1.2) later");
    println!("   pending  BinaryHeap ns   Queue ns");
    for pending in [1_000, 10_000, 100_000, 1_000_000] {
        let mut chance = Stream::new(1, 0, "hold");
        let stays: Vec<i64> = (0..1 << 16)
            .map(|_| chance.lognormal(14.4, 1.2) as i64)
            .collect();
        let stay = |step: usize| stays[step & (stays.len() - 1)];
        let heap = best_of(|| hold_heap(pending, stay));
        let queue = best_of(|| hold_queue(pending, stay));
        assert_eq!(heap.1, queue.1, "both end at the same instant");
        println!("{pending:>10}  {:>13.0}  {:>9.0}", heap.0, queue.0);
    }
}

fn hold_heap(pending: usize, stay: impl Fn(usize) -> i64) -> (f64, Time) {
    let mut heap = BinaryHeap::new();
    for event in 0..pending as u32 {
        heap.push(Reverse((Time(stay(event as usize)), event, event as u64)));
    }
    let start = Instant::now();
    let mut now = Time(0);
    for step in 0..STEPS {
        let Some(Reverse((at, event, _))) = heap.pop() else {
            break;
        };
        now = at;
        heap.push(Reverse((
            Time(at.0 + stay(step)),
            event,
            (pending + step) as u64,
        )));
    }
    (nanos_a_step(start), now)
}

fn hold_queue(pending: usize, stay: impl Fn(usize) -> i64) -> (f64, Time) {
    let mut queue = Queue::new();
    for event in 0..pending as u32 {
        queue.push(Time(stay(event as usize)), event, ());
    }
    let start = Instant::now();
    let mut now = Time(0);
    for step in 0..STEPS {
        let Some(due) = queue.pop() else { break };
        now = due.at;
        queue.push(Time(due.at.0 + stay(step)), due.rank, ());
    }
    (nanos_a_step(start), now)
}

fn nanos_a_step(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e9 / STEPS as f64
}

fn best_of(mut measure: impl FnMut() -> (f64, Time)) -> (f64, Time) {
    let all = (0..REPEATS).map(|_| measure());
    all.min_by(|a, b| a.0.total_cmp(&b.0))
        .expect("there is one measurement at least")
}
