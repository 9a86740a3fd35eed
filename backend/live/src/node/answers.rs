//! What an agent answers to those who ask.

use super::Node;
use crate::lending::Lending;
use crate::socket::Asked;
use agent::driver::Driver;
use agent::message::{Input, Output};
use agent::step::{Planned, Step};
use link::protocol::{Answer, DryStep, Request, Status, VERSION, VmStatus, read_keys};
use model::id::{NodeId, VmId};
use model::order::Order;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;

impl Node {
    /// Answers what can be answered at once; what must be on disk first is due after it.
    pub(super) fn answer(&mut self, asked: Asked, out: &mut Vec<Output>) {
        let Asked {
            request,
            answer: asker,
            reports,
        } = asked;
        let now = self.clock.now();
        let answer = match request {
            Request::Order { order, keys } => {
                return match read_keys(&keys) {
                    Ok(keys) => {
                        let operation = order.operation;
                        let begin = out.len();
                        self.agent.step(now, Input::Ordered { order, keys }, out);
                        let first = out[begin..].iter().find_map(|output| match output {
                            Output::Report(report) if report.operation == Some(operation) => {
                                Some(Arc::new(report.clone()))
                            }
                            _ => None,
                        });
                        self.due
                            .extend(first.map(|report| (asker, Answer::Taken { report })));
                    }
                    Err(error) => {
                        let reason = error.to_string();
                        self.due.push((asker, Answer::Refused { reason }));
                    }
                };
            }
            Request::CallOff { operation } => {
                self.agent.step(now, Input::CalledOff { operation }, out);
                Answer::Heard
            }
            Request::Renew { span, from } => {
                let span = from.map_or(span, |from| from + span - now);
                self.agent.step(now, Input::Renewed { span }, out);
                Answer::Heard
            }
            Request::Status => Answer::Status {
                status: Box::new(self.status()),
            },
            Request::DryRun { order } => return self.dry_run(&order, asker),
            Request::Log { operation } => {
                let calls = self.agent.ledger().calls.iter();
                let calls = calls.filter(|(of, _)| operation.is_none_or(|wanted| *of == wanted));
                Answer::Log {
                    calls: calls.cloned().collect(),
                }
            }
            Request::Follow => {
                self.followers.retain(|follower| !follower.is_gone());
                self.followers.extend(reports);
                Answer::Heard
            }
        };
        self.due.push((asker, answer));
    }

    fn status(&self) -> Status {
        let ledger = self.agent.ledger();
        let seen = self.agent.seen();
        let ids: BTreeSet<VmId> = ledger.vms.keys().chain(seen.keys()).copied().collect();
        let vms = ids.into_iter().map(|vm| VmStatus {
            vm,
            name: ledger
                .vms
                .get(&vm)
                .map(|record| record.blueprint.name.clone()),
            state: seen.get(&vm).copied(),
        });
        let open = ledger.open.iter().map(|(operation, open)| {
            let next = open.run.as_ref().map(|run| run.step());
            let word = match next {
                None => "waiting for its turn".to_owned(),
                Some(None) => "ending".to_owned(),
                Some(Some(planned)) => planned.step.to_string(),
            };
            (*operation, word)
        });
        Status {
            version: VERSION,
            node: NodeId(self.config.node),
            now: self.clock.now(),
            newest: ledger.newest,
            leased_until: self.agent.leased_until(),
            vms: vms.collect(),
            open: open.collect(),
        }
    }

    /// The driver is asked on a thread of its own: it may wait for its hypervisor.
    fn dry_run(&self, order: &Order, asker: SyncSender<Answer>) {
        let (driver, lending) = (self.driver.clone(), self.lending.clone());
        let planned = self.agent.preview(self.clock.now(), order);
        thread::spawn(move || {
            let answer = match planned {
                Ok(steps) => Answer::DryRun {
                    steps: steps
                        .iter()
                        .map(|step| dry(step, &*driver, &lending))
                        .collect(),
                },
                Err(refusal) => Answer::Refused {
                    reason: refusal.to_string(),
                },
            };
            // Whoever has gone meanwhile is told nothing.
            asker.try_send(answer).ok();
        });
    }
}

fn dry(planned: &Planned, driver: &dyn Driver, lending: &Lending) -> DryStep {
    let calls = match &planned.step {
        Step::Act { vm, act } => driver
            .translate(*vm, act)
            .map_err(|error| error.to_string()),
        step => Ok(lending.told(step)),
    };
    DryStep {
        step: planned.step.to_string(),
        calls,
    }
}
