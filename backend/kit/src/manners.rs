//! What a driver program does with messages that mean nothing, and with haste.

use crate::conformance::{clear, reach};
use crate::raw::{Outsider, PATIENCE, Raw};
use agent::driver::{Act, DriverError};
use drivers::outside::wire::{
    Ask, Cancel, FromDriver, Hello, MAX_OPEN_REQUESTS, SentKeys, ToDriver, VERSIONS, Versions, Why,
};
use model::id::VmId;
use model::report::VmState;
use std::time::{Duration, Instant};

/// How long a program may take to end what is called off, and itself.
const GRACE: Duration = Duration::from_secs(5);

/// Messages that mean nothing are refused by a last message and the end, and no VM is touched.
pub fn refuses_what_means_nothing(outsider: &dyn Outsider) {
    let vm = VmId(1);
    assert!(reach(outsider, vm, Some(VmState::Stopped)));
    let framed = |json: &str| format!("Content-Length: {}\r\n\r\n{json}", json.len()).into_bytes();
    let hello = framed(r#"{"hello":{"versions":{"oldest":1,"newest":1}}}"#);
    let other = Versions {
        oldest: VERSIONS.newest + 1,
        newest: u32::MAX,
    };
    let other = serde_json::to_string(&ToDriver::Hello(Hello { versions: other }));
    let unknown = r#"{"request":{"id":1,"within_millis":1,"order":null,"ask":null}}"#;
    for (greeted, bytes) in [
        (false, framed(&other.expect("it can be written"))),
        (false, framed(r#"{"cancel":{"id":1,"why":"expired"}}"#)),
        (false, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        (true, hello),
        (true, framed("{}")),
        (true, framed("[]")),
        (true, framed("{\"request\":")),
        (true, framed(unknown)),
        (true, framed("\u{feff}nothing")),
        (true, b"Content-Length: -1\r\n\r\n".to_vec()),
        (true, b"Content-Length: 2\n\n{}".to_vec()),
        (true, b"Content-Length: 4194305\r\n\r\n".to_vec()),
        (true, vec![b'x'; 100_000]),
        (true, vec![0; 100]),
    ] {
        let said = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let mut raw = if greeted {
            Raw::greeted(&outsider.program()).0
        } else {
            Raw::start(&outsider.program())
        };
        raw.write(&bytes);
        match raw.hear() {
            Some(FromDriver::Refused(refused)) => {
                assert!(
                    !refused.reason.is_empty(),
                    "{said:?} was refused without a reason"
                );
            }
            heard => panic!("{said:?} was answered by {heard:?}, expected `refused`"),
        }
        raw.ended(GRACE);
    }
    // An agent that ends within a message leaves nobody to be answered.
    let (mut raw, _) = Raw::greeted(&outsider.program());
    raw.write(b"Content-Length: 100\r\n\r\n{");
    raw.hang_up();
    raw.ended(GRACE);
    let seen = outsider.driver().inspect(vm).expect("an answer");
    let state = seen.map(|seen| seen.state);
    assert_eq!(state, Some(VmState::Stopped), "the VM was touched");
    clear(outsider, &[vm]);
}

/// An act that is called off at once, or has no time at all, is answered in time and leaves the VM
/// as before or as after it.
pub fn ends_what_is_called_off(outsider: &dyn Outsider) {
    for (number, within) in [(1, PATIENCE), (2, Duration::ZERO)] {
        let vm = VmId(number);
        assert!(reach(outsider, vm, Some(VmState::Stopped)));
        let (mut raw, _) = Raw::greeted(&outsider.program());
        let begun = Instant::now();
        let ask = Ask::Perform {
            vm,
            act: Act::Start,
            keys: SentKeys::default(),
        };
        let id = raw.ask(ask, 1, within);
        // Of a request that is not open: it means nothing.
        for id in [id + 1_000, id] {
            let why = Why::Cancelled;
            raw.say(&ToDriver::Cancel(Cancel { id, why }));
        }
        let outcome = raw.outcome(id);
        let took = begun.elapsed();
        assert!(took < GRACE, "it took {took:?}");
        let seen = outsider.driver().inspect(vm).expect("an answer");
        let state = seen.map(|seen| seen.state);
        match outcome {
            Ok(_) => assert_eq!(state, Some(VmState::Running)),
            Err(DriverError::CalledOff { .. }) => assert!(
                matches!(state, Some(VmState::Stopped | VmState::Running)),
                "called off it is {state:?}"
            ),
            Err(error) => panic!("called off it says: {error}"),
        }
        raw.perform(vm, &Act::Start, 2)
            .expect("it starts after all");
        clear(outsider, &[vm]);
    }
}

/// As many questions as may be open are all answered, though nobody listens meanwhile; and the
/// program ends when its agent goes.
pub fn answers_a_slow_listener(outsider: &dyn Outsider) {
    let (mut raw, _) = Raw::greeted(&outsider.program());
    let asked: Vec<u64> = (0..MAX_OPEN_REQUESTS)
        .map(|_| raw.ask(Ask::List, 1, PATIENCE))
        .collect();
    let mut answered: Vec<u64> = asked
        .iter()
        .map(|_| match raw.hear() {
            Some(FromDriver::Answered(answered)) => answered.id,
            heard => panic!("a list was answered by {heard:?}"),
        })
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, asked);
    raw.hang_up();
    let status = raw.ended(GRACE);
    assert!(status.success(), "let go, it ended with {status}");
}
