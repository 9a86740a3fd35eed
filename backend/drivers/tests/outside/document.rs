//! `OUTSIDE.md` shows the messages as they are, and all of them.

use agent::driver::{Act, ActKind, DriverError};
use drivers::outside::frame;
use drivers::outside::wire::{
    Answer, Answered, Ask, Failed, FromDriver, Hello, Request, ToDriver, VERSIONS, Versions,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use strum::{VariantArray, VariantNames};

const DOCUMENT: &str = include_str!("../../OUTSIDE.md");

/// The texts of the fenced blocks of a kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let fence = format!("```{kind}\n");
    let mut rest = DOCUMENT;
    let mut blocks = Vec::new();
    while let Some(at) = rest.find(&fence) {
        rest = &rest[at + fence.len()..];
        let end = rest.find("\n```").expect("a block ends");
        blocks.push(&rest[..end]);
    }
    blocks
}

/// Examples of a type, each of which is written just as it is shown.
fn examples<T: DeserializeOwned + Serialize>(kind: &str) -> Vec<(Value, T)> {
    let parse = |text: &str| {
        let shown: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let parsed: T = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let written = serde_json::to_value(&parsed).expect("it can be written");
        assert_eq!(shown, written, "shown is not what is written");
        (shown, parsed)
    };
    blocks(&format!("json {kind}"))
        .into_iter()
        .map(parse)
        .collect()
}

/// The word by which a message is told: itself, or the name of its one member.
fn word(message: &Value) -> String {
    let only = message
        .as_object()
        .and_then(|members| members.keys().next());
    only.map_or_else(
        || message.as_str().expect("a word").to_owned(),
        Clone::clone,
    )
}

fn check_words(shown: impl Iterator<Item = String>, all: &[&str]) {
    let shown: BTreeSet<String> = shown.collect();
    let all: BTreeSet<String> = all.iter().map(|&word| word.to_owned()).collect();
    assert_eq!(shown, all);
}

/// Every message, question, answer, act and error is shown, as it is on the pipe.
#[test]
fn all_is_shown_as_it_is() {
    let to = examples::<ToDriver>("to-driver");
    check_words(to.iter().map(|(shown, _)| word(shown)), ToDriver::VARIANTS);
    let from = examples::<FromDriver>("from-driver");
    check_words(
        from.iter().map(|(shown, _)| word(shown)),
        FromDriver::VARIANTS,
    );

    let mut asks: Vec<String> = examples::<Ask>("ask")
        .iter()
        .map(|(ask, _)| word(ask))
        .collect();
    asks.extend(to.iter().filter_map(|(_, message)| match message {
        ToDriver::Request(request) => Some(ask_word(request)),
        _ => None,
    }));
    check_words(asks.into_iter(), Ask::VARIANTS);
    let mut answers: Vec<_> = examples::<Answer>("answer")
        .iter()
        .map(|(answer, _)| word(answer))
        .collect();
    answers.extend(from.iter().filter_map(|(_, message)| match message {
        FromDriver::Answered(Answered { answer, .. }) => Some(word(
            &serde_json::to_value(answer).expect("it can be written"),
        )),
        _ => None,
    }));
    check_words(answers.into_iter(), Answer::VARIANTS);

    let acts: BTreeSet<_> = examples::<Act>("act")
        .iter()
        .map(|(_, act)| ActKind::from(act))
        .collect();
    assert_eq!(acts, ActKind::VARIANTS.iter().copied().collect());
    let mut errors: BTreeSet<_> = examples::<DriverError>("error")
        .iter()
        .map(|(_, error)| error_word(error))
        .collect();
    errors.extend(from.iter().filter_map(|(_, message)| match message {
        FromDriver::Failed(Failed { error, .. }) => Some(error_word(error)),
        _ => None,
    }));
    assert_eq!(errors.len(), 8, "{errors:?}");
}

/// The frame shown is the one that is sent, and the versions shown are those that are spoken.
#[test]
fn the_frame_is_shown_as_it_is() {
    let hello = ToDriver::Hello(Hello { versions: VERSIONS });
    let frame = frame::encode(&hello).expect("it is short");
    let text = String::from_utf8_lossy(&frame).replace("\r\n", "\\r\\n\n");
    assert_eq!(blocks("text"), [text]);
    assert!(DOCUMENT.contains("4,194,304") && frame::MAX_FRAME_BYTES == 4_194_304);
}

/// The newest version that both know is spoken, and none where the ranges do not meet.
#[test]
fn versions_meet_at_the_newest() {
    let range = |oldest, newest| Versions { oldest, newest };
    assert_eq!(range(1, 3).common(range(2, 5)), Some(3));
    assert_eq!(range(2, 5).common(range(1, 3)), Some(3));
    assert_eq!(range(1, 1).common(range(1, 1)), Some(1));
    assert_eq!(range(1, 1).common(range(2, 3)), None);
}

fn ask_word(request: &Request) -> String {
    word(&serde_json::to_value(&request.ask).expect("it can be written"))
}

/// Fails to compile where an error is added, so that it is added to the document too.
fn error_word(error: &DriverError) -> &'static str {
    match error {
        DriverError::Unsupported { .. } => "unsupported",
        DriverError::Illegal { .. } => "illegal",
        DriverError::Invalid { .. } => "invalid",
        DriverError::KeyMissing { .. } => "key-missing",
        DriverError::Missing { .. } => "missing",
        DriverError::Hypervisor { .. } => "hypervisor",
        DriverError::Unfinished { .. } => "unfinished",
        DriverError::CalledOff { .. } => "called-off",
    }
}
