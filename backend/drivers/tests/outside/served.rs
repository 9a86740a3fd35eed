//! A driver in Rust as a program: what it is asked reaches it, and what means nothing does not.

use agent::driver::{Act, Console, Driver, DriverError, Effect, NativeCall, Reading, Seen};
use agent::machine::Machine;
use agent::secret::Keys;
use agent::watch::Watch;
use drivers::outside::frame;
use drivers::outside::serve::{ServeError, serve};
use drivers::outside::wire::{
    Answer, Answered, Ask, Calling, Cancel, Failed, FromDriver, Hello, Order, Progressed, Request,
    SentKeys, ToDriver, Versions, Why,
};
use model::fingerprint::FoundHypervisor;
use model::hypervisor::Capability;
use model::id::{Generation, KeyId, OperationId, VmId};
use model::report::VmState;
use std::io::{BufReader, PipeReader, PipeWriter, Write, pipe};
use std::sync::Barrier;
use std::thread::{JoinHandle, spawn};
use std::time::{SystemTime, UNIX_EPOCH};

/// A driver of nothing: starting tells what it was given, pausing waits to be called off, resuming
/// waits until another VM is resumed too.
struct Nothing {
    both: Barrier,
}

impl Driver for Nothing {
    fn name(&self) -> &str {
        "nothing"
    }

    fn fingerprint(&self, _watch: &dyn Watch) -> Result<FoundHypervisor, DriverError> {
        Err(unsupported())
    }

    fn capabilities(&self) -> Vec<Capability> {
        vec![Capability::Pause]
    }

    fn validate(&self, _machine: &Machine) -> Result<(), DriverError> {
        Ok(())
    }

    fn translate(&self, _vm: VmId, _act: &Act) -> Result<Vec<NativeCall>, DriverError> {
        Ok(Vec::new())
    }

    fn perform(
        &self,
        _vm: VmId,
        act: &Act,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<Effect, DriverError> {
        match act {
            Act::Start => {
                let cause = watch.cause().expect("an order");
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .expect("after 1970");
                let left = cause.deadline.0 - i64::try_from(now.as_millis()).expect("not so late");
                let key = keys.bytes(KeyId(3)).expect("it was sent");
                watch.calling(&NativeCall {
                    interface: "test".into(),
                    call: format!("{} {} {}", cause.operation, cause.generation, key.len()),
                });
                assert!((50_000..=60_000).contains(&left), "{left} ms are left");
                watch.progressed(500);
            }
            Act::Pause => loop {
                watch
                    .checkpoint()
                    .map_err(|why| DriverError::called_off("wait", why))?;
                std::thread::yield_now();
            },
            Act::Resume => {
                self.both.wait();
            }
            _ => return Err(unsupported()),
        }
        Ok(Effect {
            state: Some(VmState::Running),
            ..Effect::default()
        })
    }

    fn inspect(&self, _vm: VmId) -> Result<Option<Seen>, DriverError> {
        Ok(None)
    }

    fn list(&self) -> Result<Vec<VmId>, DriverError> {
        Ok(vec![VmId(7)])
    }

    fn statistics(&self, _vm: VmId) -> Result<Vec<Reading>, DriverError> {
        Ok(Vec::new())
    }

    fn recover(&self) -> Result<Vec<Seen>, DriverError> {
        // More than one message can hold.
        let seen = Seen {
            vm: VmId(7),
            state: VmState::Stopped,
            cpus: None,
            mem_mib: None,
        };
        Ok(vec![seen; 100_000])
    }

    fn console(&self, _vm: VmId) -> Result<Console, DriverError> {
        Err(unsupported())
    }
}

fn unsupported() -> DriverError {
    DriverError::Unsupported {
        driver: "nothing".into(),
        what: "do anything".into(),
    }
}

/// A served driver and the agent's ends of its pipes.
struct Served {
    to: Option<PipeWriter>,
    from: BufReader<PipeReader>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    fn new() -> Self {
        let (input, to) = pipe().expect("a pipe");
        let (from, output) = pipe().expect("a pipe");
        let driver = Nothing {
            both: Barrier::new(2),
        };
        Self {
            to: Some(to),
            from: BufReader::new(from),
            ended: spawn(move || serve(&driver, input, output)),
        }
    }

    fn greeted() -> Self {
        let mut served = Self::new();
        served.hello(1, 1);
        assert!(matches!(served.hear(), Some(FromDriver::Welcome(_))));
        served
    }

    fn hello(&mut self, oldest: u32, newest: u32) {
        let versions = Versions { oldest, newest };
        self.say(&ToDriver::Hello(Hello { versions }));
    }

    fn ask(&mut self, id: u64, ask: Ask) {
        let order = Some(Order {
            operation: OperationId(42),
            generation: Generation(9),
        });
        self.say(&ToDriver::Request(Box::new(Request {
            id,
            within_millis: 60_000,
            order,
            ask,
        })));
    }

    fn perform(&mut self, id: u64, act: Act, keys: Keys) {
        let keys = SentKeys(keys);
        let vm = VmId(id);
        self.ask(id, Ask::Perform { vm, act, keys });
    }

    fn say(&mut self, message: &ToDriver) {
        let frame = frame::encode(message).expect("it is short");
        self.write(&frame);
    }

    fn write(&mut self, bytes: &[u8]) {
        let to = self.to.as_mut().expect("still open");
        to.write_all(bytes).expect("it reads");
    }

    fn hear(&mut self) -> Option<FromDriver> {
        frame::read(&mut self.from).expect("a message")
    }

    /// Closes its input, and gives how it ended.
    fn end(mut self) -> Result<(), ServeError> {
        self.to.take();
        while self.hear().is_some() {}
        self.ended.join().expect("it does not panic")
    }
}

/// Questions are answered, acts are followed, and the order, its time and its keys arrive.
#[test]
fn what_is_asked_is_answered() {
    let mut served = Served::greeted();
    served.ask(1, Ask::List);
    let listed = Answer::Listed(vec![VmId(7)]);
    let answer = FromDriver::Answered(Answered {
        id: 1,
        answer: listed,
    });
    assert_eq!(served.hear(), Some(answer));
    let mut keys = Keys::default();
    keys.insert(KeyId(3), vec![1; 32]);
    served.perform(2, Act::Start, keys);
    let Some(FromDriver::Calling(Calling { id: 2, call })) = served.hear() else {
        panic!("no call");
    };
    assert_eq!(call.call, "operation 42 generation 9 32");
    let progressed = Progressed {
        id: 2,
        done_milli: 500,
    };
    assert_eq!(served.hear(), Some(FromDriver::Progressed(progressed)));
    assert!(matches!(served.hear(), Some(FromDriver::Answered(_))));
    served.perform(3, Act::Destroy, Keys::default());
    let failed = Failed {
        id: 3,
        error: unsupported(),
    };
    assert_eq!(served.hear(), Some(FromDriver::Failed(failed)));
    served.end().expect("it ends in peace");
}

/// Acts on two VMs run at once, and one that is called off ends while another goes on.
#[test]
fn acts_run_in_parallel_and_are_called_off() {
    let mut served = Served::greeted();
    served.perform(1, Act::Pause, Keys::default());
    served.perform(2, Act::Resume, Keys::default());
    served.perform(3, Act::Resume, Keys::default());
    for _ in 0..2 {
        let heard = served.hear();
        assert!(
            matches!(
                &heard,
                Some(FromDriver::Answered(Answered { id: 2 | 3, .. }))
            ),
            "{heard:?}"
        );
    }
    served.say(&ToDriver::Cancel(Cancel {
        id: 99,
        why: Why::Cancelled,
    }));
    served.say(&ToDriver::Cancel(Cancel {
        id: 1,
        why: Why::Expired,
    }));
    let Some(FromDriver::Failed(Failed { id: 1, error })) = served.hear() else {
        panic!("it goes on");
    };
    assert_eq!(error.to_string(), "wait: the deadline has passed");
    served.end().expect("it ends in peace");
}

/// When the agent goes, what is being done is called off.
#[test]
fn acts_end_with_the_agent() {
    let mut served = Served::greeted();
    served.perform(1, Act::Pause, Keys::default());
    served.end().expect("it ends in peace");
}

/// An act whose time is over is told so without a word of the agent.
#[test]
fn time_runs_out() {
    let mut served = Served::greeted();
    served.say(&ToDriver::Request(Box::new(Request {
        id: 1,
        within_millis: 10,
        order: None,
        ask: Ask::Perform {
            vm: VmId(1),
            act: Act::Pause,
            keys: SentKeys::default(),
        },
    })));
    let heard = served.hear();
    assert!(matches!(heard, Some(FromDriver::Failed(_))), "{heard:?}");
    served.end().expect("it ends in peace");
}

/// An answer that is too long becomes an error that says so.
#[test]
fn too_long_an_answer_fails() {
    let mut served = Served::greeted();
    served.ask(1, Ask::Recover);
    let Some(FromDriver::Failed(Failed { id: 1, error })) = served.hear() else {
        panic!("it was sent");
    };
    assert!(error.to_string().contains("more than 4194304"), "{error}");
    served.end().expect("it ends in peace");
}

/// What means nothing is refused with its reason, which quotes nothing of a message.
#[test]
fn what_means_nothing_is_refused() {
    let check = |greeted: bool, bytes: &[u8], expected: &str| {
        let mut served = if greeted {
            Served::greeted()
        } else {
            Served::new()
        };
        served.write(bytes);
        let refused = loop {
            match served.hear() {
                Some(FromDriver::Refused(refused)) => break refused,
                Some(FromDriver::Failed(_)) => {} // what it was at is called off
                heard => panic!("{} gave {heard:?}", String::from_utf8_lossy(bytes)),
            }
        };
        assert!(refused.reason.contains(expected), "{}", refused.reason);
        assert!(!refused.reason.contains("c2VjcmV0"), "{}", refused.reason);
        served.end().expect_err("it tells");
    };
    let framed = |json: &str| format!("Content-Length: {}\r\n\r\n{json}", json.len()).into_bytes();
    let hello = |range: &str| framed(&format!(r#"{{"hello":{{"versions":{range}}}}}"#));
    check(
        false,
        &hello(r#"{"oldest":2,"newest":3}"#),
        "versions 2 to 3",
    );
    check(
        false,
        &framed(r#"{"cancel":{"id":1,"why":"expired"}}"#),
        "before a hello",
    );
    check(false, b"GET / HTTP/1.1\r\n", "GET /");
    check(true, &hello(r#"{"oldest":1,"newest":1}"#), "second hello");
    check(true, b"Content-Length: 5000000\r\n\r\n", "5000000 bytes");
    check(true, &framed("{}"), "none, at byte");
    let key = r#"{"request":{"id":1,"within_millis":1,"order":null,"ask":{"perform":{"vm":1,"act":{"act":"start"},"keys":[{"key":"c2VjcmV0","base64":"c2VjcmV0"}]}}}}"#;
    check(true, &framed(key), "none, at byte");
    let twice = r#"{"request":{"id":1,"within_millis":60000,"order":null,"ask":{"perform":{"vm":1,"act":{"act":"pause"},"keys":[]}}}}"#;
    let twice = [framed(twice), framed(twice)].concat();
    check(true, &twice, "request 1 twice");
}

/// The agent's end in the middle of a message is told, and ends the driver.
#[test]
fn a_cut_message_ends_it() {
    let mut served = Served::greeted();
    served.write(b"Content-Length: 100\r\n\r\n{");
    let ended = served.end().expect_err("it tells");
    assert!(ended.to_string().contains("within a message"), "{ended}");
    // A driver that never met its agent ends as quietly as it began.
    Served::new().end().expect("it ends in peace");
}
