//! A distribution given by a few points: straight in the logarithm between them, a Pareto tail beyond.

/// A cumulative distribution of something above 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Values, and the share of all that is no larger; both rise.
    points: Vec<(f64, f64)>,
    /// Exponent of the tail.
    exponent: f64,
    /// Nothing is larger; what the tail would put beyond stands here.
    largest: f64,
}

impl Curve {
    /// The curve through these points, its tail cut at `largest`.
    ///
    /// # Panics
    /// Where the points do not rise, lie outside 0 to 1, or end beyond `largest`.
    pub fn new(points: Vec<(f64, f64)>, largest: f64) -> Self {
        let rises = points
            .windows(2)
            .all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1);
        let (last, share) = *points.last().expect("a curve has points");
        assert!(rises && points[0].0 > 0.0 && points[0].1 >= 0.0 && share <= 1.0);
        assert!(last <= largest);
        let exponent = match points.len() {
            0 | 1 => f64::INFINITY,
            count => {
                let (before, before_share) = points[count - 2];
                libm::log((1.0 - before_share) / (1.0 - share)) / libm::log(last / before)
            }
        };
        Self {
            points,
            exponent,
            largest,
        }
    }

    /// The share of all that is no larger than this.
    pub fn share(&self, value: f64) -> f64 {
        let (first, first_share) = self.points[0];
        let (last, last_share) = self.last();
        if value < first {
            return 0.0;
        }
        if value >= self.largest {
            return 1.0;
        }
        if value >= last {
            return 1.0 - (1.0 - last_share) * self.beyond(value / last);
        }
        let segment = self
            .points
            .windows(2)
            .find(|w| value < w[1].0)
            .expect("the value lies between the first point and the last");
        let [(a, share_a), (b, share_b)] = [segment[0], segment[1]];
        debug_assert!(a >= first && share_a >= first_share);
        share_a + (share_b - share_a) * libm::log(value / a) / libm::log(b / a)
    }

    /// The value that this share of all does not exceed.
    pub fn quantile(&self, share: f64) -> f64 {
        let (first, first_share) = self.points[0];
        let (last, last_share) = self.last();
        if share <= first_share {
            return first;
        }
        if share > last_share {
            let left = (1.0 - share) / (1.0 - last_share);
            return (last * libm::pow(left, -1.0 / self.exponent)).min(self.largest);
        }
        let segment = self
            .points
            .windows(2)
            .find(|w| share <= w[1].1)
            .expect("the share lies between the first point and the last");
        let [(a, share_a), (b, share_b)] = [segment[0], segment[1]];
        a * libm::pow(b / a, (share - share_a) / (share_b - share_a))
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.weights().iter().sum()
    }

    /// A value drawn by its size: large ones are met more often by who looks at one instant, in proportion.
    ///
    /// `place` and `within` are uniform from 0 to below 1. Within a segment the density falls as 1/t, so that after
    /// weighing by t it is uniform; in the tail it is a power.
    pub fn by_size(&self, place: f64, within: f64) -> f64 {
        let weights = self.weights();
        let mut left = place * weights.iter().sum::<f64>();
        let chosen = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        let chosen = chosen.unwrap_or(weights.len() - 1);
        let segments = self.points.len() - 1;
        if chosen == 0 {
            self.points[0].0
        } else if chosen <= segments {
            let [(a, _), (b, _)] = [self.points[chosen - 1], self.points[chosen]];
            a + (b - a) * within
        } else if chosen == segments + 1 {
            let power = 1.0 - self.exponent;
            let last = self.last().0;
            let ratio = libm::pow(self.largest / last, power) - 1.0;
            last * libm::pow(1.0 + within * ratio, 1.0 / power)
        } else {
            self.largest
        }
    }

    /// What each part gives to the mean: the first point's mass, the segments, the tail, the mass at the largest.
    fn weights(&self) -> Vec<f64> {
        let (first, first_share) = self.points[0];
        let (last, last_share) = self.last();
        let mut weights = vec![first * first_share];
        weights.extend(self.points.windows(2).map(|w| {
            let [(a, share_a), (b, share_b)] = [w[0], w[1]];
            (share_b - share_a) * (b - a) / libm::log(b / a)
        }));
        let left = 1.0 - last_share;
        if left > 0.0 && self.exponent.is_finite() {
            let ratio = self.largest / last;
            // An exponent of exactly 1 has no power law here; none of the tables comes near.
            let power = 1.0 - self.exponent;
            weights.push(left * last * self.exponent * (libm::pow(ratio, power) - 1.0) / power);
            weights.push(left * self.beyond(ratio) * self.largest);
        } else {
            weights.extend([0.0, left * self.largest]);
        }
        weights
    }

    /// The share of the tail that is more than `ratio` times its start.
    fn beyond(&self, ratio: f64) -> f64 {
        libm::pow(ratio, -self.exponent)
    }

    fn last(&self) -> (f64, f64) {
        self.points[self.points.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> Curve {
        Curve::new(vec![(1.0, 0.0), (10.0, 0.5), (100.0, 0.8)], 5_000.0)
    }

    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!(
            (found - expected).abs() <= tolerance * expected.abs().max(1e-9),
            "found {found}, expected {expected}"
        );
    }

    /// Shares and values are each other's inverse, through points, segments and tail.
    #[test]
    fn inverts() {
        let curve = curve();
        near(curve.share(10.0), 0.5, 1e-12);
        near(curve.share(f64::sqrt(10.0)), 0.25, 1e-12);
        // The tail goes on as the last segment went: 0.5 to 0.2 over a factor of ten.
        near(curve.share(1_000.0), 1.0 - 0.2 * 0.4, 1e-12);
        for percent in 1..92 {
            let share = f64::from(percent) / 100.0;
            near(curve.share(curve.quantile(share)), share, 1e-9);
        }
        assert_eq!(curve.quantile(0.999_999), 5_000.0);
        assert_eq!((curve.share(0.5), curve.share(5_000.0)), (0.0, 1.0));
    }

    /// The mean in closed form is that of a million quantiles; values by size have the mean of squares over the mean.
    #[test]
    fn has_its_mean() {
        let curve = curve();
        let count = 1_000_000;
        let at = |i: i32| (f64::from(i) + 0.5) / f64::from(count);
        let (mut sum, mut squares, mut by_size) = (0.0, 0.0, 0.0);
        for i in 0..count {
            let value = curve.quantile(at(i));
            sum += value;
            squares += value * value;
            let within = (f64::from(i) * 0.618_033_988_749_895).fract();
            by_size += curve.by_size(at(i), within);
        }
        near(curve.mean(), sum / f64::from(count), 1e-3);
        near(by_size / f64::from(count), squares / sum, 1e-3);
    }
}
