//! Events in a total order of (time, rank, sequence), so that a run is the same on every machine.

use model::time::Time;

/// Children of an entry of the heap: four keys of 16 bytes are one cache line, and a heap of four
/// is half as deep as one of two.
const ARITY: usize = 4;
/// Bits of the instant in a key: 2^48 ms are 8,900 years.
const TIME_BITS: u32 = 48;
/// Bits of the sequence number in a key; at a push a nanosecond they last for three days.
const SEQUENCE_BITS: u32 = 48;
/// What is added to an instant so that negative ones sort first.
const TIME_BIAS: i64 = 1 << (TIME_BITS - 1);

/// The instants a queue can hold: from minus to plus 4,459 years.
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
/// A heap of four children an entry over packed 128-bit keys. The keys stand apart from the events,
/// so that searching touches keys alone and a queue of `()` (where the rank says it all) costs
/// 16 bytes an event.
#[derive(Clone, Debug)]
pub struct Queue<E> {
    keys: Vec<u128>,
    events: Vec<E>,
    sequence: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            events: Vec::new(),
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
        self.keys.len()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
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
        self.keys.push(key);
        self.events.push(event);
        self.rise(self.keys.len() - 1, key);
    }

    /// When the next event is due.
    #[inline]
    pub fn next_at(&self) -> Option<Time> {
        self.keys.first().map(|&key| instant_of(key))
    }

    /// Takes the next event.
    #[inline]
    pub fn pop(&mut self) -> Option<Due<E>> {
        let last = self.keys.pop()?;
        let event = self.events.swap_remove(0);
        let first = match self.keys.first() {
            None => last,
            Some(&first) => {
                self.sink(last);
                first
            }
        };
        Some(Due {
            at: instant_of(first),
            rank: (first >> SEQUENCE_BITS) as u32,
            event,
        })
    }

    /// Moves the hole at `place` up until `key` is not before its parent, and fills it.
    #[inline]
    fn rise(&mut self, mut place: usize, key: u128) {
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if self.keys[parent] <= key {
                break;
            }
            self.keys[place] = self.keys[parent];
            self.events.swap(place, parent);
            place = parent;
        }
        self.keys[place] = key;
    }

    /// Moves the hole at the top down to a leaf, and `key` up from there: a key that was last in the
    /// heap nearly always belongs to the bottom, and this way it is compared there only.
    #[inline]
    fn sink(&mut self, key: u128) {
        let mut hole = 0;
        loop {
            let first = hole * ARITY + 1;
            let child = match self.keys.get(first..first + ARITY) {
                Some(four) => {
                    let left = usize::from(four[1] < four[0]);
                    let right = 2 + usize::from(four[3] < four[2]);
                    first
                        + if four[right] < four[left] {
                            right
                        } else {
                            left
                        }
                }
                None => {
                    let rest = self.keys.get(first..).unwrap_or_default();
                    match rest.iter().enumerate().min_by_key(|(_, key)| **key) {
                        Some((place, _)) => first + place,
                        None => break,
                    }
                }
            };
            self.keys[hole] = self.keys[child];
            self.events.swap(hole, child);
            hole = child;
        }
        self.rise(hole, key);
    }
}

/// The instant packed into a key.
#[inline]
fn instant_of(key: u128) -> Time {
    Time((key >> (32 + SEQUENCE_BITS)) as i64 - TIME_BIAS)
}
