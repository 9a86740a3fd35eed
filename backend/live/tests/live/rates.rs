//! Totals made rates.

use agent::driver::Reading;
use live::rates::Rates;
use model::id::{NodeId, VmId};
use model::sample::{Metric, Source, Subject};
use model::time::Time;

fn reading(metric: Metric, value: f64) -> Reading {
    Reading {
        subject: Subject::Disk("root".to_owned()),
        source: Source::Hypervisor,
        metric,
        value,
    }
}

/// The values that a VM's readings of one metric become, one at each instant.
fn values(metric: Metric, totals: &[(i64, f64)]) -> Vec<Option<f64>> {
    let mut rates = Rates::default();
    let values = totals.iter().map(|(millis, total)| {
        let readings = vec![reading(metric, *total)];
        let samples = rates.samples(NodeId(1), Some(VmId(7)), Time(*millis), readings);
        samples.first().map(|sample| sample.value)
    });
    values.collect()
}

/// A rate is the difference over the seconds between; the first is absent, and so is one whose
/// counter began anew or whose clock stood still. A level is told as it is.
#[test]
fn totals_become_rates() {
    let check = |metric, totals: &[(i64, f64)], expected: &[Option<f64>]| {
        assert_eq!(values(metric, totals), expected, "{metric}");
    };
    check(
        Metric::ReadIops,
        &[
            (0, 100.0),
            (2_000, 150.0),
            (2_000, 160.0),
            (3_000, 5.0),
            (4_000, 5.0),
        ],
        &[None, Some(25.0), None, None, Some(0.0)],
    );
    check(
        Metric::SpaceUsedMib,
        &[(0, 100.0), (1_000, 90.0)],
        &[Some(100.0), Some(90.0)],
    );
}

/// The totals of a VM that is gone are not those of one that comes under its number.
#[test]
fn a_vm_that_is_gone_is_forgotten() {
    let mut rates = Rates::default();
    let read = |rates: &mut Rates, millis| {
        let readings = vec![reading(Metric::ReadIops, millis as f64)];
        rates.samples(NodeId(1), Some(VmId(7)), Time(millis), readings)
    };
    read(&mut rates, 0);
    rates.forget(VmId(7));
    assert_eq!(read(&mut rates, 1_000), []);
    assert_eq!(read(&mut rates, 2_000).len(), 1);
}
