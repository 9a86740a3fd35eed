//! Turns the running totals that drivers and the kernel count into the rates of the schema.

use agent::driver::Reading;
use model::id::{NodeId, VmId};
use model::sample::{Metric, Sample, Source, Subject};
use model::time::Time;
use std::collections::BTreeMap;

/// The last totals of one node.
#[derive(Debug, Default)]
pub struct Rates(BTreeMap<Key, (Time, f64)>);

/// What a total belongs to.
type Key = (Option<VmId>, Subject, Source, Metric);

impl Rates {
    /// Samples of readings. A rate is absent until there are two totals, and where the later is the
    /// smaller: its counter began anew.
    pub fn samples(
        &mut self,
        node: NodeId,
        vm: Option<VmId>,
        at: Time,
        readings: Vec<Reading>,
    ) -> Vec<Sample> {
        let samples = readings.into_iter().filter_map(|reading| {
            let value = if is_rate(reading.metric) {
                self.rate(vm, &reading, at)?
            } else {
                reading.value
            };
            Some(Sample {
                at,
                node,
                vm,
                subject: reading.subject,
                source: reading.source,
                metric: reading.metric,
                value,
            })
        });
        samples.collect()
    }

    /// Forgets a VM that is gone.
    pub fn forget(&mut self, vm: VmId) {
        self.0.retain(|(of, ..), _| *of != Some(vm));
    }

    /// Forgets processes of which nothing was told at this instant: they have ended.
    pub fn forget_processes(&mut self, at: Time) {
        let is_process = |subject: &Subject| matches!(subject, Subject::Process(..));
        self.0
            .retain(|(_, subject, ..), (told, _)| !is_process(subject) || *told == at);
    }

    fn rate(&mut self, vm: Option<VmId>, reading: &Reading, at: Time) -> Option<f64> {
        let key = (vm, reading.subject.clone(), reading.source, reading.metric);
        let (before, total) = self.0.insert(key, (at, reading.value))?;
        let seconds = (at - before).seconds();
        let rate = (reading.value - total) / seconds;
        (seconds > 0.0 && rate >= 0.0).then_some(rate)
    }
}

/// Whether the schema's figure is over time, so that readings of it are totals: of core-milliseconds
/// for processor time, of milliseconds for busy time, of operations, KiB, kbit, packets and errors.
pub fn is_rate(metric: Metric) -> bool {
    use Metric as M;
    match metric {
        M::CpuMilli
        | M::CpuStolenMilli
        | M::MajorFaults
        | M::ReadIops
        | M::WriteIops
        | M::ReadKibps
        | M::WriteKibps
        | M::BusyMilli
        | M::ReceivedKbps
        | M::SentKbps
        | M::ReceivedPackets
        | M::SentPackets
        | M::ReceiveErrors
        | M::SendErrors
        | M::ReceiveDrops
        | M::SendDrops => true,
        M::LoadMilli
        | M::MemUsedMib
        | M::MemTotalMib
        | M::MemAvailableMib
        | M::MemOvercommitMilli
        | M::MemSharedMib
        | M::SwapUsedMib
        | M::ReadLatencyMicros
        | M::WriteLatencyMicros
        | M::SpaceUsedMib
        | M::SpaceFreeMib
        | M::Fragments
        | M::ReallocatedSectors
        | M::TemperatureCelsius
        | M::Vms
        | M::UptimeSeconds
        | M::Reboots
        | M::Stops
        | M::Logins
        | M::Messages
        | M::MessageFailures
        | M::MessageRetries => false,
    }
}
