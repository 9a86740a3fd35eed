//! Exact time averages of what changes in steps: integrals of piecewise constant integers, never samples.

use model::time::Time;

/// Equal bins of the time from a start to an end; bounds are whole milliseconds, so that bins may
/// differ by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bins {
    start: Time,
    end: Time,
    count: usize,
}

impl Bins {
    /// Divides the time from `start` to `end` into at most `count` bins, none of them empty, but for
    /// the one bin of a time without length.
    ///
    /// # Panics
    /// Where `end` is before `start`.
    pub fn new(start: Time, end: Time, count: usize) -> Self {
        assert!(start <= end, "time runs from start to end");
        let most = usize::try_from((end - start).0).unwrap_or(usize::MAX);
        Self {
            start,
            end,
            count: count.min(most).max(1),
        }
    }

    /// How many bins there are; at least one.
    pub fn count(self) -> usize {
        self.count
    }

    /// Where a bin starts; the bin after the last starts at the end.
    pub fn start_of(self, bin: usize) -> Time {
        let span = i128::from((self.end - self.start).0);
        Time(self.start.0 + (span * bin as i128 / self.count as i128) as i64)
    }

    /// Milliseconds in a bin.
    pub fn millis_of(self, bin: usize) -> i64 {
        (self.start_of(bin + 1) - self.start_of(bin)).0
    }

    /// Milliseconds in all.
    pub fn millis(self) -> i64 {
        (self.end - self.start).0
    }
}

/// The integrals of `N` step functions over each of some bins.
///
/// A change of a value by `delta` at `t` adds `delta * (end of bin - t)` to the bin's integral; all
/// is done in whole numbers, so that nothing is lost however many changes there are, and a change
/// costs one multiplication whatever the length of time since the last.
#[derive(Clone, Debug)]
pub struct Integrals<const N: usize> {
    bins: Bins,
    bin: usize,
    bin_end: i64,
    /// Milliseconds from now to the end of the bin.
    left: i64,
    value: [i128; N],
    area: [i128; N],
    done: Vec<[i128; N]>,
}

impl<const N: usize> Integrals<N> {
    /// All values zero at the start of the bins.
    pub fn new(bins: Bins) -> Self {
        Self {
            bins,
            bin: 0,
            bin_end: bins.start_of(1).0,
            left: bins.millis_of(0),
            value: [0; N],
            area: [0; N],
            done: Vec::with_capacity(bins.count),
        }
    }

    /// Moves on to an instant; values hold until then.
    #[inline]
    pub fn advance(&mut self, now: Time) {
        if now.0 >= self.bin_end {
            self.roll(now.0);
        }
        self.left = self.bin_end - now.0;
    }

    /// Changes a value from now on.
    #[inline]
    pub fn add(&mut self, lane: usize, delta: i64) {
        self.value[lane] += i128::from(delta);
        self.area[lane] += i128::from(delta) * i128::from(self.left);
    }

    /// A value now.
    pub fn value(&self, lane: usize) -> i128 {
        self.value[lane]
    }

    /// The bin of now.
    #[inline]
    pub fn bin(&self) -> usize {
        self.bin
    }

    /// The integrals, every value held to the end.
    pub fn finish(mut self) -> Means<N> {
        self.done.push(self.area);
        while self.done.len() < self.bins.count {
            let millis = self.bins.millis_of(self.done.len());
            self.done.push(self.value.map(|v| v * i128::from(millis)));
        }
        Means {
            bins: self.bins,
            areas: self.done,
            last: self.value,
        }
    }

    /// Closes bins that lie before `now`; the last stays open, so that changes at the very end count.
    #[cold]
    fn roll(&mut self, now: i64) {
        while now >= self.bin_end && self.bin + 1 < self.bins.count {
            self.done.push(self.area);
            self.bin += 1;
            self.bin_end = self.bins.start_of(self.bin + 1).0;
            let millis = i128::from(self.bins.millis_of(self.bin));
            self.area = self.value.map(|v| v * millis);
        }
    }
}

/// What [`Integrals`] came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Means<const N: usize> {
    bins: Bins,
    areas: Vec<[i128; N]>,
    last: [i128; N],
}

impl<const N: usize> Means<N> {
    /// The bins.
    pub fn bins(&self) -> Bins {
        self.bins
    }

    /// A value's integral over all bins, in its unit times milliseconds.
    pub fn area(&self, lane: usize) -> i128 {
        self.areas.iter().map(|bin| bin[lane]).sum()
    }

    /// A value's mean over all bins; its last value where there is no length of time.
    pub fn mean(&self, lane: usize) -> f64 {
        quotient(self.area(lane), self.bins.millis(), self.last[lane])
    }

    /// A value's mean over one bin.
    pub fn mean_in(&self, bin: usize, lane: usize) -> f64 {
        let area = self.areas[bin][lane];
        quotient(area, self.bins.millis_of(bin), self.last[lane])
    }
}

/// An integral over its length of time, or the value itself where there is none.
fn quotient(area: i128, millis: i64, value: i128) -> f64 {
    if millis == 0 {
        value as f64
    } else {
        area as f64 / millis as f64
    }
}
