//! How long a near-idle guest of 256 MiB stands still while it moves, with its disk, from one running
//! agent to another and back. Fails where the median is not below what is promised.
//!
//! `cargo bench --package live`. The figure is what the sender's agent tells: from the last instruction
//! on the one node to the first on the other, at most.

#[path = "../../../tests/tests/real/incusd.rs"]
mod incusd;
#[path = "../tests/live/moves/kind.rs"]
#[expect(dead_code, reason = "tests alone move what User-mode Linux runs")]
mod kind;
#[path = "../tests/live/moves/node.rs"]
#[expect(dead_code, reason = "tests alone look into guests")]
mod node;
#[path = "../tests/live/moves/pair.rs"]
#[expect(dead_code, reason = "tests alone kill agents")]
mod pair;
#[path = "../tests/live/recipes.rs"]
#[expect(dead_code, reason = "tests alone keep images")]
mod recipes;
#[path = "../tests/live/network/node.rs"]
#[expect(dead_code, reason = "tests alone have networks without agents")]
mod room;
#[path = "../tests/live/sys.rs"]
mod sys;
#[path = "../tests/live/moves/under.rs"]
mod under;

use model::order::Verb;
use model::report::Outcome;
use pair::Pair;

/// The promise.
const MOST_MILLIS: u64 = 50;

const MOVES: usize = 40;

fn main() {
    let mut pair = Pair::new(kind::Kind::Qemu);
    pair.create();
    pair.order(0, Verb::Start);
    pair.nodes[0].says("GUEST-UP");
    let mut millis: Vec<u64> = (0..MOVES)
        .map(|turn| {
            let told = pair.moves(turn % 2);
            let moved = told.iter().find_map(|outcome| match outcome {
                Outcome::Moved { downtime_millis } => Some(*downtime_millis),
                _ => None,
            });
            moved.expect("the sender tells the downtime")
        })
        .collect();
    pair.order(MOVES % 2, Verb::Delete);
    println!("stood still, {MOVES} moves there and back in turn: {millis:?} ms");
    millis.sort_unstable();
    let median = millis[MOVES / 2];
    println!("median {median} ms, less than {MOST_MILLIS} promised");
    assert!(median < MOST_MILLIS, "{median} ms");
}
