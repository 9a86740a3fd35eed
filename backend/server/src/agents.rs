//! The way to the agents: one connection a node, on which the controller asks.

use crate::ruler::Ruler;
use control::message::{Held, Input};
use link::frame;
use link::protocol::{Answer, HexKey, Request, Status, VERSION};
use model::id::{KeyId, NodeId, OperationId};
use model::order::Order;
use model::report::Report;
use model::time::{Span, Time};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

/// How often an agent is asked for its state, which is how it calls for its lease.
const CALL: Duration = Duration::from_secs(20);

/// How long nothing is heard of an agent before its connection is given up.
const SILENCE: Duration = Duration::from_secs(45);

/// How long a node whose call has ended counts as there: its agent is started again within a second, and
/// nothing that is decided meanwhile is lost.
const RETURN: Duration = Duration::from_secs(15);

/// How long one message may take on its way.
const PATIENCE: Duration = Duration::from_secs(30);

/// What waits for a slow agent; one that lets more come up is cut off, and told all again when it calls.
const MOST_WAITING: usize = 4_096;

/// What an agent is asked.
#[derive(Debug)]
pub enum Ask {
    /// To carry an order out, with its keys.
    Order(Box<Order>, Vec<(KeyId, HexKey)>),
    /// To end an order early.
    CallOff(OperationId),
    /// To take a lease.
    Renew {
        /// From when on, by its own clock.
        from: Time,
        /// For how long.
        span: Span,
    },
}

/// All agents that have called.
#[derive(Debug, Default)]
pub struct Agents {
    calls: Mutex<BTreeMap<NodeId, (u64, Sender<Ask>)>>,
    next: AtomicU64,
}

impl Agents {
    /// Asks the agent of a node, if it has called. Nothing is lost where it has not: it is told again
    /// what matters once it calls.
    pub fn ask(&self, node: NodeId, ask: Ask) {
        let mut calls = self.calls();
        let is_full = |(_, to): &(u64, Sender<Ask>)| to.try_send(ask).is_err();
        if calls.get(&node).is_some_and(is_full) {
            calls.remove(&node);
        }
    }

    /// How many have called.
    pub fn count(&self) -> usize {
        self.calls().len()
    }

    /// Attends to one call until it ends. A node's newer call ends its older one; a node that does not
    /// call again has left.
    ///
    /// # Errors
    /// Why it ended, unless the agent has ended it.
    pub async fn attend<S>(
        self: &Arc<Self>,
        node: NodeId,
        stream: S,
        ruler: &Ruler,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (to, asks) = channel(MOST_WAITING);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.calls().insert(node, (number, to));
        // What was sent on a former call may be lost: all is told again.
        ruler.tell(Input::Left { node });
        let ended = converse(node, stream, asks, ruler).await;
        let is_newest = {
            let mut calls = self.calls();
            let is_newest = calls.get(&node).is_none_or(|(last, _)| *last == number);
            if is_newest {
                calls.remove(&node);
            }
            is_newest
        };
        if is_newest {
            let (agents, ruler) = (Arc::clone(self), ruler.clone());
            tokio::spawn(async move {
                sleep(RETURN).await;
                if !agents.calls().contains_key(&node) {
                    ruler.tell(Input::Left { node });
                }
            });
        }
        ended
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<NodeId, (u64, Sender<Ask>)>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn converse<S>(
    node: NodeId,
    stream: S,
    mut asks: Receiver<Ask>,
    ruler: &Ruler,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut hear, mut say) = tokio::io::split(stream);
    send(&mut say, &Request::Follow).await?;
    // What is read must be read to its end: it is waited for on its own.
    let (heard, mut answers) = channel::<io::Result<Answer>>(64);
    let listening = tokio::spawn(async move {
        loop {
            let said = frame::next(&mut hear).await;
            let (said, is_last) = match said {
                Ok(Some(answer)) => (Ok(answer), false),
                Ok(None) => return,
                Err(error) => (Err(error), true),
            };
            if heard.send(said).await.is_err() || is_last {
                return;
            }
        }
    });
    let mut calls = interval(CALL);
    calls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    let ended = loop {
        let said = tokio::select! {
            answer = answers.recv() => match answer {
                Some(Ok(answer)) => {
                    last = Instant::now();
                    hear_answer(node, answer, ruler)
                }
                Some(Err(error)) => Err(error),
                None => break Ok(()),
            },
            ask = asks.recv() => match ask {
                Some(ask) => send(&mut say, &request(ask)).await,
                None => break Ok(()),
            },
            _ = calls.tick() => send(&mut say, &Request::Status).await,
            () = sleep_until(last + SILENCE) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "it says nothing any more"))
            }
        };
        if said.is_err() {
            break said;
        }
    };
    listening.abort();
    ended
}

fn request(ask: Ask) -> Request {
    match ask {
        Ask::Order(order, keys) => Request::Order { order, keys },
        Ask::CallOff(operation) => Request::CallOff { operation },
        Ask::Renew { from, span } => Request::Renew {
            span,
            from: Some(from),
        },
    }
}

async fn send(to: &mut (impl AsyncWrite + Unpin), request: &Request) -> io::Result<()> {
    let bytes = frame::encode(request)?;
    let sent = timeout(PATIENCE, async {
        to.write_all(&bytes).await?;
        to.flush().await
    });
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    sent.await.map_err(late).and_then(|sent| sent)
}

fn hear_answer(node: NodeId, answer: Answer, ruler: &Ruler) -> io::Result<()> {
    match answer {
        Answer::Reported { report } | Answer::Taken { report } => {
            let report = Box::new(Arc::unwrap_or_clone(report));
            // An agent speaks for its own node.
            let report = Box::new(Report { node, ..*report });
            ruler.tell(Input::Reported { report });
        }
        Answer::Status { status } => return hear_status(node, *status, ruler),
        Answer::Refused { reason } => {
            tracing::warn!(node = node.0, "an agent refused to be asked: {reason}");
        }
        Answer::Heard | Answer::DryRun { .. } | Answer::Log { .. } => {}
    }
    Ok(())
}

fn hear_status(node: NodeId, status: Status, ruler: &Ruler) -> io::Result<()> {
    let faulty = |why: String| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    if status.version != VERSION {
        return faulty(format!(
            "it speaks version {}, expected {VERSION}",
            status.version
        ));
    }
    if status.node != node {
        return faulty(format!(
            "its configuration says that it is {}, expected {node}; hint: mend `node` there",
            status.node
        ));
    }
    let held = status.vms.into_iter().filter_map(|vm| {
        let state = Some(vm.state?);
        Some(Held { vm: vm.vm, state })
    });
    ruler.tell(Input::Called {
        node,
        at: status.now,
        held: held.collect(),
    });
    Ok(())
}
