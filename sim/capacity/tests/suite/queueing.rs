//! The simulator against queueing theory: loss and waiting where they are known in closed form.
//!
//! Each check makes independent replications and takes it that theory lies within the interval of
//! Student's t that misses once in a thousand (19 degrees of freedom); seeds are fixed.

use crate::fixture;
use capacity::outcome::{Fate, Outcome};
use capacity::run::{Options, Waiting, run};
use capacity::trace::Trace;
use engine::chance::Stream;
use engine::watch::Unwatched;
use model::units::{Dimension, Resources};
use placement::policy::Policy;

const REPLICATIONS: u64 = 20;
/// t with 19 degrees of freedom at 0.9995.
const T_19: f64 = 3.883;
/// Mean stay: long in milliseconds, so that rounding to them is nothing.
const MEAN_STAY: f64 = 1e6;

/// How long VMs stay, with a mean of [`MEAN_STAY`].
#[derive(Clone, Copy)]
enum Stay {
    Exponential,
    Constant,
}

/// A stream of VMs of one shape: what it asks, and how many arrive in a mean stay.
type Class = (Resources, f64);

fn poisson_trace(classes: &[Class], vms: usize, stay: Stay, replication: u64) -> Trace {
    let mut gaps = Stream::new(2026, replication, "gaps");
    let mut stays = Stream::new(2026, replication, "stays");
    let mut shapes = Stream::new(2026, replication, "shapes");
    let rates: Vec<f64> = classes.iter().map(|class| class.1).collect();
    let gap = MEAN_STAY / rates.iter().sum::<f64>();
    let mut at = 0.0;
    let vms: Vec<_> = (0..vms)
        .map(|_| {
            at += gaps.exponential(gap);
            let stay = match stay {
                Stay::Exponential => stays.exponential(MEAN_STAY),
                Stay::Constant => MEAN_STAY,
            };
            (
                at.round() as i64,
                Some(stay.round() as i64),
                shapes.pick(&rates) as u32,
            )
        })
        .collect();
    let asked: Vec<_> = classes.iter().map(|class| class.0).collect();
    fixture::trace(&asked, &vms, at.round() as i64)
}

/// A run of a scene, and the figures to be compared with theory.
struct Scene<'a> {
    groups: &'a [(u32, Resources)],
    classes: &'a [Class],
    vms: usize,
    stay: Stay,
    waiting: Waiting,
}

impl Scene<'_> {
    /// Checks that each figure's expected value lies within the interval that the replications give.
    fn check<const N: usize>(
        &self,
        expected: [f64; N],
        figures: impl Fn(&Trace, &Outcome) -> [f64; N],
    ) {
        let grid = fixture::grid(self.groups);
        let options = Options {
            waiting: self.waiting,
            log: true,
            ..Options::default()
        };
        let found: Vec<[f64; N]> = (0..REPLICATIONS)
            .map(|replication| {
                let trace = poisson_trace(self.classes, self.vms, self.stay, replication);
                let outcome = run(&trace, &grid, &Policy::FirstFit, &options, &Unwatched);
                figures(&trace, &outcome.expect("nobody cancels"))
            })
            .collect();
        for (figure, expected) in expected.into_iter().enumerate() {
            let n = REPLICATIONS as f64;
            let mean = found.iter().map(|f| f[figure]).sum::<f64>() / n;
            let squares = found
                .iter()
                .map(|f| (f[figure] - mean).powi(2))
                .sum::<f64>();
            let half = T_19 * (squares / (n - 1.0) / n).sqrt();
            // An interval wider than a tenth of the figure would show nothing.
            assert!(half < 0.1 * expected, "figure {figure}: {mean} +- {half}");
            let error = (mean - expected).abs();
            assert!(
                error <= half,
                "figure {figure}: {mean} +- {half}, expected {expected}"
            );
        }
    }
}

fn loss(_: &Trace, outcome: &Outcome) -> [f64; 1] {
    [1.0 - outcome.summary.acceptance]
}

/// Share of refused VMs by shape, and mean allocated cores.
fn loss_by_shape<const N: usize>(trace: &Trace, outcome: &Outcome) -> [f64; N] {
    let mut came = [0.0; N];
    let mut refused = [0.0; N];
    for vm in &trace.vms {
        came[vm.shape as usize] += 1.0;
    }
    for entry in &outcome.log {
        if matches!(entry.fate, Fate::Refused(_)) {
            refused[trace.vms[entry.vm as usize].shape as usize] += 1.0;
        }
    }
    std::array::from_fn(|shape| refused[shape] / came[shape])
}

/// Ten slots on five nodes, eight arrivals a stay: Erlang's B formula gives 0.121661064253, whatever
/// the distribution of the stay.
#[test]
fn loss_is_erlang_b() {
    for stay in [Stay::Exponential, Stay::Constant] {
        let scene = Scene {
            groups: &[(5, Resources::cpu_mem(2, 2))],
            classes: &[(Resources::cpu_mem(1, 1), 8.0)],
            vms: 40_000,
            stay,
            waiting: Waiting::Refuse,
        };
        scene.check([0.121661064253], loss);
    }
}

/// Half loaded and with more slots: 0.0183845703366 of (10, 5).
#[test]
fn rare_loss_is_erlang_b() {
    let scene = Scene {
        groups: &[(10, Resources::cpu_mem(1, 1))],
        classes: &[(Resources::cpu_mem(1, 1), 5.0)],
        vms: 60_000,
        stay: Stay::Exponential,
        waiting: Waiting::Refuse,
    };
    scene.check([0.0183845703366], loss);
}

/// One node of 20 cores, shapes of 1 and 4: the recursion of Kaufman and Roberts.
#[test]
fn loss_of_two_shapes_is_kaufman_roberts() {
    let scene = Scene {
        groups: &[(1, Resources::cpu_mem(20, 0))],
        classes: &[
            (Resources::cpu_mem(1, 0), 8.0),
            (Resources::cpu_mem(4, 0), 2.0),
        ],
        vms: 40_000,
        stay: Stay::Exponential,
        waiting: Waiting::Refuse,
    };
    scene.check([0.05764475743, 0.2682188475], loss_by_shape);
    scene.check([13.39309116 / 20.0], |_, outcome| {
        [outcome.summary.allocated[Dimension::Cpu as usize]]
    });
}

/// One node of 16 cores and 64 GiB, three shapes: the product form over both resources.
#[test]
fn loss_in_two_dimensions_is_the_product_form() {
    let scene = Scene {
        groups: &[(1, Resources::cpu_mem(16, 64))],
        classes: &[
            (Resources::cpu_mem(1, 2), 4.0),
            (Resources::cpu_mem(2, 16), 2.0),
            (Resources::cpu_mem(4, 8), 1.0),
        ],
        vms: 40_000,
        stay: Stay::Exponential,
        waiting: Waiting::Refuse,
    };
    scene.check([0.05584201472, 0.2784202405, 0.273377], loss_by_shape);
}

/// Ten slots, eight arrivals a stay, everybody waits: Erlang's C formula gives the share that waits
/// (0.409180150796) and the mean wait (0.204590075398 stays).
#[test]
fn waiting_is_erlang_c() {
    let scene = Scene {
        groups: &[(5, Resources::cpu_mem(2, 2))],
        classes: &[(Resources::cpu_mem(1, 1), 8.0)],
        vms: 100_000,
        stay: Stay::Exponential,
        waiting: Waiting::Queue { patience: None },
    };
    scene.check([0.409180150796, 0.204590075398], |trace, outcome| {
        let queued = outcome
            .log
            .iter()
            .filter(|entry| entry.fate == Fate::Queued);
        let share = queued.count() as f64 / trace.vms.len() as f64;
        [share, outcome.summary.wait_seconds[0] * 1_000.0 / MEAN_STAY]
    });
}
