//! Streams are repeatable and apart, and distributions are what they say.

use engine::chance::Stream;

const DRAWS: usize = 200_000;

/// The first numbers of a stream are the same on every machine and in every version; the first three are
/// those of ChaCha with 8 rounds, reckoned by another program from the 32 bytes of the key.
#[test]
fn values_are_pinned() {
    let mut stream = Stream::new(1, 2, "arrivals");
    let bits: [u64; 3] = std::array::from_fn(|_| stream.bits());
    assert_eq!(bits, PINNED_BITS);
    let drawn = [
        stream.uniform(),
        stream.exponential(1.0),
        stream.normal(0.0, 1.0),
        stream.lognormal(0.0, 1.0),
        stream.gamma(0.5, 2.0),
        stream.pareto(1.0, 1.5),
        stream.weibull(0.5, 3.0),
    ];
    assert_eq!(drawn.map(f64::to_bits), PINNED_DRAWS);
    assert_eq!(
        [
            stream.poisson(3.0),
            stream.poisson(300.0),
            stream.below(1_000)
        ],
        PINNED_COUNTS
    );
}

/// Seed, replication, purpose and index each make another stream; asking for one twice gives it from
/// its beginning, however much was drawn from others.
#[test]
fn streams_are_apart_and_repeatable() {
    let first = |mut stream: Stream| stream.bits();
    let base = Stream::new(1, 2, "a");
    let mut used = base.clone();
    (0..100).for_each(|_| {
        used.bits();
    });
    let mut all = vec![
        first(base.clone()),
        first(Stream::new(2, 1, "a")),
        first(Stream::new(1, 2, "b")),
        first(Stream::new(1, 2, "a b")),
        first(base.nth(0)),
        first(base.nth(1)),
    ];
    assert_eq!(all[0], first(Stream::new(1, 2, "a")));
    assert_eq!(all[5], first(used.nth(1)));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 6);
}

/// Two streams of neighbouring seeds have no correlation beyond four standard errors.
#[test]
fn neighbours_are_uncorrelated() {
    let (mut a, mut b) = (Stream::new(1, 0, "x"), Stream::new(2, 0, "x"));
    let products = (0..DRAWS).map(|_| (a.uniform() - 0.5) * (b.uniform() - 0.5));
    let correlation = products.sum::<f64>() / DRAWS as f64 * 12.0;
    assert!(
        correlation.abs() < 4.0 / (DRAWS as f64).sqrt(),
        "{correlation}"
    );
}

/// Each continuous distribution lies within the Kolmogorov-Smirnov bound of its own distribution
/// function: 1.95 / sqrt(n) is passed by chance once in a thousand, and the seed is fixed.
#[test]
fn distributions_match_their_functions() {
    let check = |name: &str, draw: &dyn Fn(&mut Stream) -> f64, cdf: &dyn Fn(f64) -> f64| {
        let mut stream = Stream::new(11, 0, name);
        let mut drawn: Vec<f64> = (0..DRAWS).map(|_| draw(&mut stream)).collect();
        drawn.sort_by(f64::total_cmp);
        let n = DRAWS as f64;
        let gap = |(place, &x): (usize, &f64)| {
            let below = place as f64 / n;
            (cdf(x) - below).abs().max((below + 1.0 / n - cdf(x)).abs())
        };
        let distance = drawn.iter().enumerate().map(gap).fold(0.0, f64::max);
        assert!(distance < 1.95 / n.sqrt(), "{name}: {distance}");
    };
    let normal = |x: f64| 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2);
    check("uniform", &|s| s.uniform(), &|x| x);
    check("uniform in", &|s| s.uniform_in(-2.0, 6.0), &|x| {
        (x + 2.0) / 8.0
    });
    check("exponential", &|s| s.exponential(4.0), &|x| {
        1.0 - (-x / 4.0).exp()
    });
    check("normal", &|s| s.normal(3.0, 2.0), &|x| {
        normal((x - 3.0) / 2.0)
    });
    check("lognormal", &|s| s.lognormal(0.05, 1.42), &|x| {
        normal((x.ln() - 0.05) / 1.42)
    });
    // With shape 1/2 and scale 2, gamma is the square of a standard normal; with 2, a sum of two
    // exponentials.
    check("gamma half", &|s| s.gamma(0.5, 2.0), &|x| {
        2.0 * normal(x.sqrt()) - 1.0
    });
    check("gamma two", &|s| s.gamma(2.0, 1.0), &|x| {
        1.0 - (1.0 + x) * (-x).exp()
    });
    check("pareto", &|s| s.pareto(2.0, 1.1), &|x| {
        1.0 - (2.0 / x).powf(1.1)
    });
    check("weibull", &|s| s.weibull(0.48, 816.6), &|x| {
        1.0 - (-(x / 816.6).powf(0.48)).exp()
    });
}

/// Counts of Poisson draws have its mean and its variance, small and large, within four standard errors.
#[test]
fn poisson_has_its_mean_and_variance() {
    let check = |mean: f64| {
        let mut stream = Stream::new(5, 0, "poisson");
        let drawn: Vec<f64> = (0..DRAWS).map(|_| stream.poisson(mean) as f64).collect();
        let n = DRAWS as f64;
        let found = drawn.iter().sum::<f64>() / n;
        let variance = drawn.iter().map(|x| (x - found).powi(2)).sum::<f64>() / n;
        assert!(
            (found - mean).abs() < 4.0 * (mean / n).sqrt(),
            "mean {found} of {mean}"
        );
        // The fourth central moment of a Poisson variable is mean + 3 mean².
        let error = ((mean + 2.0 * mean * mean) / n).sqrt();
        assert!(
            (variance - mean).abs() < 4.0 * error,
            "variance {variance} of {mean}"
        );
    };
    [0.3, 4.0, 90.0].into_iter().for_each(check);
    assert_eq!(Stream::new(1, 0, "x").poisson(0.0), 0);
}

/// Whole numbers and weighted picks come as often as they should, within four standard errors.
#[test]
fn picks_are_as_likely_as_their_weights() {
    let check = |shares: &[f64], mut draw: Box<dyn FnMut() -> usize>| {
        let mut counts = vec![0.0; shares.len()];
        (0..DRAWS).for_each(|_| counts[draw()] += 1.0);
        for (count, share) in counts.iter().zip(shares) {
            let n = DRAWS as f64;
            let error = 4.0 * (n * share * (1.0 - share)).sqrt();
            assert!(
                (count - n * share).abs() <= error,
                "{counts:?} of {shares:?}"
            );
        }
    };
    let mut stream = Stream::new(9, 0, "below");
    check(&[0.2; 5], Box::new(move || stream.below(5) as usize));
    let mut stream = Stream::new(9, 0, "pick");
    check(
        &[0.0, 0.25, 0.0, 0.75, 0.0],
        Box::new(move || stream.pick(&[0.0, 1.0, 0.0, 3.0, 0.0])),
    );
}

/// A name that would not fit the key is refused.
#[test]
#[should_panic(expected = "at most 16 bytes")]
fn long_purposes_are_refused() {
    Stream::new(1, 0, "a purpose of many words");
}

const PINNED_BITS: [u64; 3] = [
    14_156_380_924_493_012_955,
    1_030_625_492_655_654_491,
    618_517_717_015_566_581,
];
const PINNED_DRAWS: [u64; 7] = [
    0x3fe5_dfda_14d5_62c9,
    0x3fe5_c179_f5fb_5dff,
    0xbfcb_7adf_8d41_9a81,
    0x3fe7_4042_de29_3d84,
    0x3f53_9d30_f823_de04,
    0x3ff1_dd2e_8229_1f94,
    0x3ff2_409b_6232_b24c,
];
const PINNED_COUNTS: [u64; 3] = [4, 276, 991];
