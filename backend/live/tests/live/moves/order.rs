//! The two orders of a move, as a controller sees them through whoever dies.

use super::node::{Node, call_off, wait_for};
use super::pair::Pair;
use model::id::{KeyId, OperationId};
use model::order::{Passage, Verb};
use model::report::Outcome;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The two orders of a move.
pub struct Move {
    key: KeyId,
    receive: (OperationId, Verb),
    migrate: (OperationId, Verb),
}

/// One of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Sender,
    Receiver,
}

/// How the sender's and the receiver's order ended.
pub type Ends = (Outcome, Outcome);

impl Move {
    /// The receiver's order, until it tells where it listens; then the sender's can be made.
    pub fn begin(pair: &mut Pair, passage: Passage, to: usize) -> Self {
        let (key, received, sent) = pair.numbers();
        let storage = pair.storage;
        let receive = Verb::Receive {
            blueprint: pair.blueprint.clone(),
            storage,
            key,
            passage,
        };
        let to = &mut pair.nodes[to];
        let listens = |outcome: &Outcome| matches!(outcome, Outcome::Listening { .. });
        let begun = to.outlives((received, &receive, &[key]), |o| listens(o) || is_end(o));
        let Outcome::Listening { address } = begun else {
            panic!("{receive:?}: {begun:?}")
        };
        let migrate = Verb::Migrate {
            to: to.id,
            address,
            storage,
            key,
            passage,
        };
        Self {
            key,
            receive: (received, receive),
            migrate: (sent, migrate),
        }
    }

    /// Carries both orders out, and calls the receiver off where the sender does not succeed. Once they
    /// have ended, they are sent once more, and end as they did.
    pub fn go(&self, from: &mut Node, to: &mut Node) -> Ends {
        let ends = self.end(from, to);
        assert_eq!(self.end(from, to), ends, "they ended twice");
        ends
    }

    /// Calls the sender's order off, or the receiver's.
    pub fn call_off(&self, end: End, node: &Path) {
        let operation = match end {
            End::Sender => self.migrate.0,
            End::Receiver => self.receive.0,
        };
        wait_for("it to be called off", || call_off(node, operation));
    }

    fn end(&self, from: &mut Node, to: &mut Node) -> Ends {
        let (received, receive) = &self.receive;
        let (sent, migrate) = &self.migrate;
        let [gone, come] = [const { AtomicBool::new(false) }; 2];
        let (has_gone, has_come) = (&gone, &come);
        thread::scope(|scope| {
            let receiver = to.root().to_owned();
            // Whoever dies, somebody starts another, also once its own order has ended: the other end
            // may still have something to say to it.
            let sent = scope.spawn(move || {
                let sent = from.outlives((*sent, migrate, &[self.key]), is_end);
                if sent != Outcome::Done {
                    wait_for("the receiver to be called off", || {
                        call_off(&receiver, *received)
                    });
                }
                has_gone.store(true, Ordering::Relaxed);
                from.lives_until(|| has_come.load(Ordering::Relaxed));
                sent
            });
            let received = to.outlives((*received, receive, &[self.key]), is_end);
            has_come.store(true, Ordering::Relaxed);
            to.lives_until(|| has_gone.load(Ordering::Relaxed));
            (sent.join().expect("it ends"), received)
        })
    }
}

fn is_end(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Done | Outcome::Failed { .. } | Outcome::Refused { .. } | Outcome::Cancelled
    )
}
