//! Exact averages against hand-made figures and against adding up millisecond by millisecond.

use engine::average::{Bins, Integrals, Means};
use model::time::Time;
use proptest::collection::vec;
use proptest::prelude::*;

/// Runs changes (instant, delta) of one value over the time from 0 to `end`.
fn means(end: i64, bins: usize, changes: &[(i64, i64)]) -> Means<1> {
    let mut integrals = Integrals::new(Bins::new(Time(0), Time(end), bins));
    for &(at, delta) in changes {
        integrals.advance(Time(at));
        integrals.add(0, delta);
    }
    integrals.finish()
}

/// 0 to 2, 3 to 5, 1 to 10: 0·2 + 3·3 + 1·5 = 14; bins of 5 have 9 and 5.
#[test]
fn a_staircase_is_as_reckoned_by_hand() {
    let means = means(10, 2, &[(2, 3), (5, -2)]);
    assert_eq!(means.area(0), 14);
    assert_eq!(means.mean(0), 1.4);
    assert_eq!((means.mean_in(0, 0), means.mean_in(1, 0)), (1.8, 1.0));
}

/// Bins of 10 ms in three: 3, 3 and 4 ms, each averaged over its own length.
#[test]
fn uneven_bins_have_their_own_length() {
    let means = means(10, 3, &[(0, 6), (4, -6), (9, 8)]);
    let starts: Vec<i64> = (0..4).map(|bin| means.bins().start_of(bin).0).collect();
    assert_eq!(starts, [0, 3, 6, 10]);
    let found: Vec<f64> = (0..3).map(|bin| means.mean_in(bin, 0)).collect();
    assert_eq!(found, [6.0, 2.0, 2.0]);
}

/// A change at the very end is a value without a length of time; without any time the value is the mean.
#[test]
fn the_end_has_no_length() {
    assert_eq!(means(10, 2, &[(0, 1), (10, 5)]).mean(0), 1.0);
    assert_eq!(means(0, 7, &[(0, 3), (0, 1)]).mean(0), 4.0);
    assert_eq!(means(0, 7, &[(0, 3)]).bins().count(), 1);
}

/// Sums far beyond 64 bits stay exact: 2^62 for 2^40 ms.
#[test]
fn nothing_overflows() {
    let means = means(1 << 40, 1, &[(0, 1 << 62)]);
    assert_eq!(means.area(0), 1 << 102);
    assert_eq!(means.mean(0), (1u64 << 62) as f64);
}

proptest! {
    /// Any changes over any bins: each bin's mean is the sum of its milliseconds over its length.
    #[test]
    fn bins_are_the_sum_of_their_milliseconds(
        end in 1i64..300,
        bins in 1usize..40,
        changes in vec((0i64..300, -1000i64..1000), 0..60),
    ) {
        let mut changes: Vec<_> = changes.into_iter().map(|(at, d)| (at.min(end), d)).collect();
        changes.sort_by_key(|change| change.0);
        let means = means(end, bins, &changes);
        let value = |at: i64| -> i64 {
            changes.iter().filter(|change| change.0 <= at).map(|change| change.1).sum()
        };
        let mut total = 0;
        for bin in 0..means.bins().count() {
            let millis = means.bins().start_of(bin).0..means.bins().start_of(bin + 1).0;
            let length = (millis.end - millis.start) as f64;
            let sum: i64 = millis.map(value).sum();
            prop_assert_eq!(means.mean_in(bin, 0), sum as f64 / length);
            total += sum;
        }
        prop_assert_eq!(means.area(0), i128::from(total));
    }
}
