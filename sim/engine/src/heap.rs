//! A heap of four children an entry over 128-bit keys.

/// Four keys of 16 bytes are one cache line, and a heap of four is half as deep as one of two.
const ARITY: usize = 4;

/// Entries by key, the least first. Keys stand apart from what belongs to them, so that searching
/// touches keys alone.
#[derive(Clone, Debug)]
pub(crate) struct Heap<E> {
    keys: Vec<u128>,
    events: Vec<E>,
}

impl<E> Default for Heap<E> {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            events: Vec::new(),
        }
    }
}

impl<E> Heap<E> {
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes all entries, in no order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (u128, E)> {
        self.keys.drain(..).zip(self.events.drain(..))
    }

    /// The least key.
    #[inline]
    pub(crate) fn first(&self) -> Option<u128> {
        self.keys.first().copied()
    }

    #[inline]
    pub(crate) fn push(&mut self, key: u128, event: E) {
        self.keys.push(key);
        self.events.push(event);
        self.rise(self.keys.len() - 1, key);
    }

    pub(crate) fn extend(&mut self, entries: impl Iterator<Item = (u128, E)>) {
        entries.for_each(|(key, event)| self.push(key, event));
    }

    /// Takes the entry of the least key.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(u128, E)> {
        let last = self.keys.pop()?;
        let event = self.events.swap_remove(0);
        let Some(&first) = self.keys.first() else {
            return Some((last, event));
        };
        self.sink(last);
        Some((first, event))
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
