//! Framed JSON: what comes through, what is refused, and what is never shown.

use link::frame::{MOST_BYTES, receive, send};
use link::protocol::{Answer, HexKey, Request, read_keys};
use model::id::{Generation, KeyId, NodeId, OperationId, VmId};
use model::order::{Order, Verb};
use model::time::Time;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use zeroize::Zeroizing;

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

/// Gives a byte at a time, and is interrupted before each.
struct Interrupted<'a>(&'a [u8], bool);

impl Read for Interrupted<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        match self.1 {
            true => Err(ErrorKind::Interrupted.into()),
            false => self.0.read(&mut bytes[..1]),
        }
    }
}

/// One who waits for a message may be suspended meanwhile.
#[test]
fn messages_survive_interruptions() {
    let mut bytes = Vec::new();
    send(&mut bytes, &Request::Status).expect("a buffer");
    let heard = receive::<Request>(&mut Interrupted(&bytes, false));
    assert!(matches!(heard, Ok(Some(Request::Status))), "{heard:?}");
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

/// Under which the tests hold what they look for, so that they hold no copy of it themselves.
const MASK: u8 = 0x5a;

/// How often bytes lie in this process's memory, freed memory included.
fn copies(masked: &[u8]) -> usize {
    // Large enough to come from fresh pages: what was freed just now must not be written over.
    let mut maps = String::with_capacity(1 << 20);
    let own = File::open("/proc/self/maps").and_then(|mut file| file.read_to_string(&mut maps));
    own.expect("our own memory");
    let memory = File::open("/proc/self/mem").expect("our own memory");
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (range, _) = line.split_once(' ').expect("a range");
        let (from, to) = range.split_once('-').expect("a range");
        let [from, to] = [from, to].map(|at| u64::from_str_radix(at, 16).expect("an address"));
        let mut part = Zeroizing::new(vec![0; 1 << 20]);
        let mut at = from;
        while at < to {
            let most = part.len().min((to - at) as usize);
            let Ok(read) = memory.read_at(&mut part[..most], at) else {
                break; // the kernel's own pages
            };
            let is_copy = |seen: &[u8]| seen.iter().zip(masked).all(|(s, m)| s ^ MASK == *m);
            found += part[..read]
                .windows(masked.len())
                .filter(|w| is_copy(w))
                .count();
            if read < masked.len() {
                break;
            }
            // One that lies across two parts is in the second one whole.
            at += (read + 1 - masked.len()) as u64;
        }
    }
    found
}

/// A key comes in a message, is read, and is gone with it: no copy of it stays anywhere in memory,
/// neither of its bytes nor of its digits.
#[test]
fn keys_are_wiped() {
    let mut masked = [0; 32];
    let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut masked));
    random.expect("chance");
    let key = masked.iter().map(|byte| byte ^ MASK);
    let key: Zeroizing<Vec<u8>> = Zeroizing::new(key.collect());
    let hex = HexKey::new(&key);
    let json = Zeroizing::new(serde_json::to_vec(&hex).expect("JSON"));
    let digits: Vec<u8> = json[1..65].iter().map(|digit| digit ^ MASK).collect();
    drop(json);
    assert!(
        copies(&masked) > 0 && copies(&digits) > 0,
        "nothing is found at all"
    );
    let order = Order {
        operation: OperationId(1),
        generation: Generation(1),
        node: NodeId(1),
        vm: VmId(1),
        verb: Verb::Start,
        deadline: Time::NEVER,
    };
    let (mut ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    // With enough behind it that a vector which grows would move it several times.
    let others = (2..60).map(|id| (KeyId(id), HexKey::new(&[0; 32])));
    let keys = [(KeyId(1), hex)].into_iter().chain(others).collect();
    let order = Box::new(order);
    let request = Request::Order { order, keys };
    assert_eq!(copies(&digits), 1, "before it is sent");
    send(&mut ours, &request).expect("it is heard");
    assert_eq!(copies(&digits), 1, "after it is sent");
    drop(request);
    let request = receive(&mut theirs).expect("a message");
    let Some(Request::Order { keys, .. }) = &request else {
        panic!("no order");
    };
    let read = read_keys(keys).expect("hex");
    assert!(read.bytes(KeyId(1)) == Some(&key[..]), "another key came");
    drop((read, request, key));
    assert_eq!((copies(&masked), copies(&digits)), (0, 0));
}
