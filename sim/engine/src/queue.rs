//! Events in a total order of (time, rank, sequence), so that a run is the same on every machine.

use crate::heap::Heap;
use model::time::Time;

/// Bits of the instant in a key: 2^48 ms are 8,900 years.
const TIME_BITS: u32 = 48;
/// Bits of the sequence number in a key; at a push a nanosecond they last for three days.
const SEQUENCE_BITS: u32 = 48;
/// What is added to an instant so that negative ones sort first.
const TIME_BIAS: i64 = 1 << (TIME_BITS - 1);

/// Events up to which all are near: a heap of so many lies in the second-level cache, and there
/// sorting into buckets gains nothing.
const MOST_NEAR: usize = 1 << 12;
/// Pending events for each bucket. Buckets span the time of all that is pending, and in that time
/// ten or twenty times as many events come as are pending now, so that a bucket fills to some dozens.
const EVENTS_PER_BUCKET: usize = 4;
/// The most buckets; their tails should stay in the second-level cache.
const MOST_BUCKETS: usize = 1 << 13;

/// The latest instant a queue can hold, 4,459 years after zero.
pub const HORIZON: Time = Time(TIME_BIAS - 1);

/// An event whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due<E> {
    /// When.
    pub at: Time,
    /// Its rank among the events of the same instant.
    pub rank: u32,
    /// What.
    pub event: E,
}

/// Pending events, the earliest first; at one instant the lowest rank; at one rank the first pushed.
///
/// ```text
///   push ──▶ before `near_end`? ── yes ──▶ near: a heap, small enough for the cache ──▶ pop
///                │ no                                   ▲ one bucket at a time
///                ├── before `far_start`? ── yes ──▶ buckets of equal width, unsorted
///                │                                      ▲ all at once, when buckets run out
///                └── no ──▶ far, unsorted ──────────────┘
/// ```
///
/// A ladder queue of one rung (Tang, Goh, Thng: "Ladder Queue", ACM TOMACS 2005) whose bottom is a
/// heap, so that however unevenly events lie in time, no step costs more than the heap's. What a heap
/// alone loses on long queues is the way from level to level through memory; `cargo bench -p engine`
/// measures both. The order is that of the packed keys, whichever way an event took.
#[derive(Clone, Debug)]
pub struct Queue<E> {
    near: Heap<E>,
    /// Keys from here on are not in `near`; [`u128::MAX`] while everything is.
    near_end: u128,
    /// Those from `next_bucket` to before `last_bucket` are in use; the others keep their room.
    buckets: Vec<Vec<(u128, E)>>,
    next_bucket: usize,
    last_bucket: usize,
    /// Key at which the first bucket starts.
    bucket_start: u128,
    /// Width of a bucket as a power of two of a key.
    bucket_shift: u32,
    /// Keys from here on are in `far`.
    far_start: u128,
    far: Vec<(u128, E)>,
    len: usize,
    sequence: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            near: Heap::default(),
            near_end: u128::MAX,
            buckets: Vec::new(),
            next_bucket: 0,
            last_bucket: 0,
            bucket_start: 0,
            bucket_shift: 0,
            far_start: 0,
            far: Vec::new(),
            len: 0,
            sequence: 0,
        }
    }
}

impl<E> Queue<E> {
    /// Nothing pending.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many events are pending.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an event.
    ///
    /// # Panics
    /// Where `at` is beyond the [`HORIZON`]; an event that never comes is not to be pushed.
    #[inline]
    pub fn push(&mut self, at: Time, rank: u32, event: E) {
        assert!(
            (-TIME_BIAS..TIME_BIAS).contains(&at.0),
            "an event lies within the horizon of the queue"
        );
        let time = (at.0 + TIME_BIAS) as u128;
        let key = ((time << 32 | u128::from(rank)) << SEQUENCE_BITS) | u128::from(self.sequence);
        self.sequence += 1;
        self.len += 1;
        if key < self.near_end {
            self.near.push(key, event);
            if self.near_end == u128::MAX && self.near.len() > 2 * MOST_NEAR {
                self.far.extend(self.near.drain());
                self.spread();
            }
        } else if key < self.far_start {
            let bucket = ((key - self.bucket_start) >> self.bucket_shift) as usize;
            self.buckets[bucket].push((key, event));
        } else {
            self.far.push((key, event));
        }
    }

    /// When the next event is due.
    #[inline]
    pub fn next_at(&mut self) -> Option<Time> {
        if self.near.is_empty() {
            self.fetch();
        }
        self.near.first().map(instant_of)
    }

    /// Takes the next event.
    #[inline]
    pub fn pop(&mut self) -> Option<Due<E>> {
        if self.near.is_empty() {
            self.fetch();
        }
        let (key, event) = self.near.pop()?;
        self.len -= 1;
        Some(Due {
            at: instant_of(key),
            rank: (key >> SEQUENCE_BITS) as u32,
            event,
        })
    }

    /// Brings the next events near, if there are any.
    #[cold]
    fn fetch(&mut self) {
        while self.near.is_empty() && self.len > 0 {
            if self.next_bucket == self.last_bucket {
                self.spread();
                continue;
            }
            let bucket = &mut self.buckets[self.next_bucket];
            self.near.extend(bucket.drain(..));
            self.next_bucket += 1;
            let end = (self.next_bucket as u128) << self.bucket_shift;
            self.near_end = (self.bucket_start + end).min(self.far_start);
        }
    }

    /// Spreads what is far over buckets anew, or takes it near where it is little. Only called when
    /// nothing else is pending.
    fn spread(&mut self) {
        if self.far.len() <= MOST_NEAR {
            self.near_end = u128::MAX;
            self.near.extend(self.far.drain(..));
            return;
        }
        let keys = self.far.iter().map(|(key, _)| *key);
        let (first, last) = keys.fold((u128::MAX, 0), |(a, b), key| (a.min(key), b.max(key)));
        let count = (self.far.len() / EVENTS_PER_BUCKET).min(MOST_BUCKETS) as u128;
        // The least power of two of which so many cover the span.
        let width = (last - first) / count + 1;
        self.bucket_shift = width.next_power_of_two().trailing_zeros();
        self.bucket_start = first;
        self.near_end = first;
        self.far_start = last + 1;
        self.next_bucket = 0;
        self.last_bucket = ((last - first) >> self.bucket_shift) as usize + 1;
        if self.buckets.len() < self.last_bucket {
            self.buckets.resize_with(self.last_bucket, Vec::new);
        }
        for (key, event) in self.far.drain(..) {
            let bucket = ((key - first) >> self.bucket_shift) as usize;
            self.buckets[bucket].push((key, event));
        }
    }
}

/// The instant packed into a key.
#[inline]
fn instant_of(key: u128) -> Time {
    Time((key >> (32 + SEQUENCE_BITS)) as i64 - TIME_BIAS)
}
