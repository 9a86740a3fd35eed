//! The event queue against the standard library's heap.

use engine::chance::Stream;
use engine::queue::{Due, HORIZON, Queue};
use model::time::Time;
use proptest::collection::vec;
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What is done to a queue: push an event (instant, rank), or pop one.
#[derive(Clone, Debug)]
enum Act {
    Push(i64, u32),
    Pop,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    // Few instants and ranks, so that all three parts of the order decide.
    let few = (-3i64..4, 0u32..3).prop_map(|(at, rank)| Act::Push(at, rank));
    let any = (-(1i64 << 47)..1 << 47, any::<u32>()).prop_map(|(at, rank)| Act::Push(at, rank));
    vec(prop_oneof![3 => few, 1 => any, 3 => Just(Act::Pop)], 0..400)
}

proptest! {
    /// Whatever is pushed and popped in whatever order, the queue gives what a heap of
    /// (time, rank, sequence) gives, and tells the next instant beforehand.
    #[test]
    fn order_is_that_of_a_heap(acts in acts()) {
        let mut queue = Queue::new();
        let mut heap = BinaryHeap::new();
        for (sequence, act) in acts.into_iter().enumerate() {
            match act {
                Act::Push(at, rank) => {
                    queue.push(Time(at), rank, sequence);
                    heap.push(Reverse((Time(at), rank, sequence)));
                }
                Act::Pop => {
                    prop_assert_eq!(queue.next_at(), heap.peek().map(|e| e.0.0));
                    let expected = heap.pop();
                    let expected = expected.map(|Reverse((at, rank, event))| Due { at, rank, event });
                    prop_assert_eq!(queue.pop(), expected);
                }
            }
            prop_assert_eq!(queue.len(), heap.len());
        }
        while let Some(Reverse((at, rank, event))) = heap.pop() {
            prop_assert_eq!(queue.pop(), Some(Due { at, rank, event }));
        }
        prop_assert!(queue.is_empty());
    }
}

/// Enough events for buckets, at instants spread evenly, bunched, or far apart, with pushes between
/// pops, also to before what is next: the order stays that of a heap.
#[test]
fn long_queues_keep_the_order() {
    for (spread, far) in [(1_000_000, 1), (50, 1), (1_000, 1 << 30)] {
        let mut chance = Stream::new(3, 0, "queue test");
        let mut queue = Queue::new();
        let mut heap = BinaryHeap::new();
        let mut now = 0;
        for event in 0..60_000u32 {
            // Growing at first, then shrinking.
            let growing = event < 40_000;
            if growing || chance.below(3) == 0 {
                let scale = if chance.below(20) == 0 { far } else { 1 };
                let at = now + (chance.below(spread) * scale) as i64;
                let rank = chance.below(4) as u32;
                queue.push(Time(at), rank, event);
                heap.push(Reverse((Time(at), rank, event)));
            }
            if !growing || chance.below(3) == 0 {
                assert_eq!(queue.next_at(), heap.peek().map(|e| e.0.0));
                let expected = heap.pop();
                let expected = expected.map(|Reverse((at, rank, event))| Due { at, rank, event });
                let found = queue.pop();
                assert_eq!(found, expected);
                now = found.map_or(now, |due| due.at.0 - chance.below(3) as i64);
            }
            assert_eq!(queue.len(), heap.len());
        }
        assert!(!queue.is_empty(), "the queue was long");
        while let Some(Reverse((at, rank, event))) = heap.pop() {
            assert_eq!(queue.pop(), Some(Due { at, rank, event }));
        }
        assert!(queue.is_empty());
    }
}

/// An event that never comes is refused where it is pushed, and not lost later.
#[test]
#[should_panic(expected = "horizon")]
fn never_is_not_an_instant() {
    Queue::new().push(Time::NEVER, 0, ());
}

/// The horizon itself is still held exactly.
#[test]
fn the_horizon_is_held() {
    let mut queue = Queue::new();
    queue.push(HORIZON, u32::MAX, ());
    queue.push(Time(-HORIZON.0), 7, ());
    assert_eq!(
        queue.pop().map(|due| (due.at, due.rank)),
        Some((Time(-HORIZON.0), 7))
    );
    assert_eq!(
        queue.pop().map(|due| (due.at, due.rank)),
        Some((HORIZON, u32::MAX))
    );
}
