//! From a request to its orders, of a controller with 10,000 nodes, beside the bare placement of the
//! same VMs in the same run; what memory a node and a VM take, and what an agent's call costs.
//!
//! `cargo bench -p control --bench decide` prints the figures of best fit, `-- POLICY NODES DESIGNS
//! REQUESTS` those of another run. A plain program rather than criterion's harness: what is wanted
//! are the slowest of many unlike requests, not the mean of equal ones. The journal is the server's
//! to write, and is not in the figures.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench measures wall clocks and memory, and reads its arguments"
)]

mod grid;
mod run;

use placement::policy::Policy;
use run::Run;
use std::time::Duration;

/// Calls of agents for each request: with a lease of 60 s, 10,000 agents call 500 times a second.
const CALLS: usize = 25;

/// One request of so many comes with the controller's look at the clock, which is told every ten
/// seconds.
const TICK: usize = 200;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words: Vec<&str> = words
        .into_iter()
        .filter(|word| *word != "--bench")
        .collect();
    let policy = words.first().copied().unwrap_or("best-fit");
    let policy: Policy = policy.parse().expect("a policy's name");
    let number = |place: usize, usual: usize| {
        words
            .get(place)
            .map_or(usual, |word| word.parse().expect("a number"))
    };
    let (nodes, designs, requests) = (number(1, 10_000), number(2, 5_000), number(3, 4_000));

    let begin = memory_bytes();
    let mut run = Run::new(nodes, policy);
    let with_nodes = memory_bytes();
    run.fill(designs);
    let with_vms = memory_bytes();
    println!(
        "{nodes} nodes, {} VMs of {designs} designs, {}",
        run.vms(),
        run.policy()
    );
    println!(
        "memory: {} bytes a node, {} bytes a VM, its placer for comparison included",
        (with_nodes - begin) / nodes as u64,
        (with_vms - with_nodes) / run.vms() as u64,
    );
    for request in 0..requests {
        run.request();
        run.calls(CALLS);
        if request % TICK == 0 {
            run.tick();
        }
    }
    println!("µs                                      number      p50      p99      max");
    let times = &run.times;
    row("request of one VM to its orders", &times.one);
    row("bare placement of the same VM", &times.one_bare);
    row("request of several VMs to their orders", &times.several);
    row("bare placement of the same VMs", &times.several_bare);
    row("request refused for lack of room", &times.refused);
    row("request to withdraw, to its orders", &times.withdrawn);
    row("move of a VM to its orders", &times.moved);
    row("an agent's call", &times.calls);
    row("a look at the clock", &times.ticks);
    for (what, whole, bare) in [
        ("one VM", &times.one, &times.one_bare),
        ("several VMs", &times.several, &times.several_bare),
    ] {
        let sum = |times: &[Duration]| times.iter().sum::<Duration>().as_secs_f64();
        let at = |part| micros(quantile(whole, part)) / micros(quantile(bare, part));
        println!(
            "times as long as bare placement, {what}: {:.1} in sum, {:.1} at p50, {:.1} at p99",
            sum(whole) / sum(bare),
            at(0.5),
            at(0.99),
        );
    }
}

fn row(what: &str, times: &[Duration]) {
    if times.is_empty() {
        return;
    }
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| micros(quantile(times, part)));
    println!(
        "{what:38}  {:>7}  {p50:>7.1}  {p99:>7.1}  {max:>7.1}",
        times.len()
    );
}

/// The smallest time that is not exceeded by this part of them.
fn quantile(times: &[Duration], part: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let place = (times.len() as f64 * part).ceil() as usize;
    times[place.clamp(1, times.len()) - 1]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// What this process has in memory.
fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = text.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .expect("a number of KiB")
        * 1_024
}
