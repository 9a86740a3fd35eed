//! Orders under way, and what agents tell of them.

use link::frame;
use link::protocol::Answer;
use model::id::OperationId;
use model::order::Verb;
use model::report::Outcome;
use std::os::unix::net::UnixStream;

/// An order under way.
pub struct Under {
    operation: OperationId,
    shown: String,
    stream: UnixStream,
    told: Vec<Outcome>,
}

impl Under {
    /// One that was sent by a connection that follows the agent.
    pub fn new(operation: OperationId, verb: &Verb, stream: UnixStream) -> Self {
        Self {
            operation,
            shown: format!("{verb:?}"),
            stream,
            told: Vec::new(),
        }
    }

    /// Waits until an outcome of its own is this.
    pub fn until(&mut self, what: &str, is: impl Fn(&Outcome) -> bool) -> Outcome {
        loop {
            let answer = frame::receive(&mut self.stream);
            let answer = answer.unwrap_or_else(|error| panic!("{what}: {}: {error}", self.shown));
            let report = match answer.expect("the agent lives") {
                Answer::Reported { report } => report,
                Answer::Refused { reason } => panic!("{}: {reason}", self.shown),
                _ => continue,
            };
            if report.operation != Some(self.operation) {
                continue;
            }
            self.told.push(report.outcome.clone());
            if is(&report.outcome) {
                return report.outcome.clone();
            }
            let bad = matches!(
                report.outcome,
                Outcome::Failed { .. } | Outcome::Refused { .. } | Outcome::Cancelled
            );
            assert!(!bad, "{what}: {}: {:?}", self.shown, report.outcome);
        }
    }

    pub fn done(mut self) -> Vec<Outcome> {
        self.until("its end", |outcome| *outcome == Outcome::Done);
        self.told
    }
}
