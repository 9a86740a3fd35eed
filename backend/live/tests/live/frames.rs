//! Framed JSON: what comes through, what is refused, and what is never shown.

use live::frame::{MOST_BYTES, receive, send};
use live::protocol::{Answer, HexKey, Request, read_keys};
use model::id::{KeyId, OperationId};
use std::io::ErrorKind;

/// Messages come out one by one as they went in, and the end between two is an end.
#[test]
fn messages_come_through() {
    let mut bytes = Vec::new();
    let operation = OperationId(7);
    send(&mut bytes, &Request::CallOff { operation }).expect("a buffer");
    send(&mut bytes, &Request::Status).expect("a buffer");
    let mut from = bytes.as_slice();
    let first: Option<Request> = receive(&mut from).expect("a message");
    assert!(matches!(first, Some(Request::CallOff { operation }) if operation.0 == 7));
    let second: Option<Request> = receive(&mut from).expect("a message");
    assert!(matches!(second, Some(Request::Status)));
    let end: Option<Request> = receive(&mut from).expect("an end");
    assert!(end.is_none());
}

/// A message that breaks off, is too long, or is something else is an error, and never one that
/// makes room for it first.
#[test]
fn what_is_no_message_is_refused() {
    let check = |bytes: &[u8], expected: ErrorKind| {
        let mut from = bytes;
        let error = receive::<Answer>(&mut from).expect_err("no message");
        assert_eq!(error.kind(), expected, "{error}");
    };
    check(&[0, 0], ErrorKind::UnexpectedEof);
    check(&[0, 0, 0, 9, b'{'], ErrorKind::UnexpectedEof);
    check(&(MOST_BYTES + 1).to_be_bytes(), ErrorKind::InvalidData);
    check(&[0, 0, 0, 2, b'{', b'}'], ErrorKind::InvalidData);
    check(b"GET / HTTP/1.1\r\n", ErrorKind::InvalidData);
}

/// Keys travel in hex and are not shown; what is no hex is refused without being told.
#[test]
fn keys_travel_unseen() {
    let key = HexKey::new(&[0, 0x7f, 0xff]);
    assert_eq!(format!("{key:?}"), "HexKey(…)");
    assert_eq!(serde_json::to_string(&key).expect("JSON"), "\"007fff\"");
    let keys = read_keys(&[(KeyId(1), key)]).expect("hex");
    assert_eq!(keys.bytes(KeyId(1)), Some(&[0, 0x7f, 0xff][..]));
    for wrong in ["\"0\"", "\"zz\"", "\"0é\""] {
        let key: HexKey = serde_json::from_str(wrong).expect("a text");
        let error = key.bytes().expect_err("no hex").to_string();
        assert_eq!(error, "a key is not an even number of hexadecimal digits");
    }
}
