//! Frames: what is written is read again, and anything else is told for what it is.

use agent::driver::Act;
use agent::secret::Keys;
use drivers::outside::frame::{self, FrameError, MAX_FRAME_BYTES};
use drivers::outside::wire::{Ask, Cancel, Request, SentKeys, ToDriver, Why};
use model::id::{KeyId, VmId};

fn read(bytes: &[u8]) -> Result<Option<ToDriver>, FrameError> {
    frame::read(&mut &*bytes)
}

/// Two messages after each other, and then the end.
#[test]
fn what_is_written_is_read() {
    let mut pipe = Vec::new();
    for id in [1, u64::MAX] {
        let why = Why::Expired;
        frame::write(&mut pipe, &ToDriver::Cancel(Cancel { id, why })).expect("room");
    }
    let mut rest = &*pipe;
    for id in [1, u64::MAX] {
        let message = frame::read::<ToDriver>(&mut rest).expect("a message");
        assert!(
            matches!(message, Some(ToDriver::Cancel(cancel)) if cancel.id == id),
            "{message:?}"
        );
    }
    assert!(
        frame::read::<ToDriver>(&mut rest)
            .expect("the end")
            .is_none()
    );
}

/// A message that is cut anywhere is no message, and no end either.
#[test]
fn a_cut_message_is_told() {
    let cancel = Cancel {
        id: 7,
        why: Why::Cancelled,
    };
    let whole = frame::encode(&ToDriver::Cancel(cancel)).expect("it is short");
    for end in 1..whole.len() {
        assert!(read(&whole[..end]).is_err(), "cut at {end}");
    }
}

/// Each malformed beginning is quoted, in short; a length beyond the bound is not even reserved.
#[test]
fn what_is_no_frame_is_told() {
    let check = |bytes: &[u8], expected: &str| {
        let told = read(bytes).expect_err("it is none").to_string();
        assert!(told.contains(expected), "{told}");
        assert!(told.len() < 300, "{told}");
    };
    check(b"hello\n", "hello");
    check(&[b'x'; 100_000], "xxxxx");
    check(b"Content-Length: 5\n\nabcde", "Content-Length: 5");
    check(b"Content-Length: +5\r\n\r\nabcde", "+5");
    check(b"Content-Length: 2\r\nOther: 1\r\n\r\n{}", "Other");
    check(b"Content-Length: 99999999999999999999\r\n\r\n", "9999");
    check(
        b"Content-Length: 999999999999\r\n\r\n",
        "999999999999 bytes",
    );
    check(b"Content-Length: 2\r\n\r\n{}", "not a message");
    check(
        b"Content-Length: 4\r\n\r\n\xff\xff\xff\xff",
        "not a message",
    );
}

/// What is too long is not written at all.
#[test]
fn too_long_a_message_is_not_written() {
    let long = "x".repeat(MAX_FRAME_BYTES);
    let error = frame::encode(&long).expect_err("it has quotes around it");
    assert!(matches!(error, FrameError::TooLong(bytes) if bytes == MAX_FRAME_BYTES + 2));
}

/// Keys arrive whole, and are in no text that a log could hold.
#[test]
fn keys_travel_and_are_not_shown() {
    let secret = b"0123456789-a-secret-key\x00\xff";
    let mut keys = Keys::default();
    keys.insert(KeyId(3), secret.to_vec());
    let request = ToDriver::Request(Box::new(Request {
        id: 1,
        within_millis: 1,
        order: None,
        ask: Ask::Perform {
            vm: VmId(7),
            act: Act::Start,
            keys: SentKeys(keys),
        },
    }));
    let shown = format!("{request:?}");
    assert!(
        !shown.contains("secret") && !shown.contains("48, 49, 50"),
        "{shown}"
    );
    let frame = frame::encode(&request).expect("it is short");
    let Some(ToDriver::Request(request)) = read(&frame).expect("a message") else {
        panic!("no request");
    };
    let Ask::Perform { keys, .. } = request.ask else {
        panic!("another question");
    };
    assert_eq!(keys.0.bytes(KeyId(3)), Some(&secret[..]));
}
