//! What an agent tells of a node by itself, of processes and disks that really are there.

use crate::node::{Hypervisor, Node};
use link::frame;
use link::protocol::{Answer, Request};
use model::order::Verb;
use model::report::Outcome;
use model::sample::{Metric, Sample, Source, Subject};
use std::collections::BTreeSet;

/// Each process of a guest is told of by itself, and so are the agent and its messages; and what no
/// source tells is absent.
#[test]
fn processes_and_messages_are_told() {
    let mut node = Node::new(Hypervisor::Uml);
    node.configure("sample_seconds = 1");
    node.start(None);
    assert_eq!(node.order(&node.create()), Some(Outcome::Done));
    assert_eq!(node.order(&Verb::Start), Some(Outcome::Done));
    let guest: BTreeSet<u32> = node
        .processes()
        .iter()
        .map(|(guest, _)| guest.pid)
        .collect();
    let mut stream = node.connect().expect("the agent lives");
    frame::send(&mut stream, &Request::Follow).expect("it hears");
    let used = |samples: &[Sample], pid| {
        samples.iter().any(|sample| {
            matches!(&sample.subject, Subject::Process(of, _) if *of == pid)
                && sample.metric == Metric::MemUsedMib
                && sample.value > 0.0
        })
    };
    let samples = loop {
        let told: Option<Answer> = frame::receive(&mut stream).expect("reports");
        let Some(Answer::Reported { report }) = told else {
            continue;
        };
        if let Outcome::Sampled { samples } = &report.outcome
            && guest.iter().any(|pid| used(samples, *pid))
            && used(samples, node.agent_id())
        {
            break samples.clone();
        }
    };
    let messages = samples.iter().find(|s| s.metric == Metric::Messages);
    let messages = messages.expect("the agent counts them");
    assert_eq!((messages.source, messages.value), (Source::Agent, 2.0));
    // The node's disks are in memory, which has no extents.
    assert!(samples.iter().all(|s| s.metric != Metric::Fragments));
}
