//! A driver program at the level of its messages: sent one by one, heard one by one, and killed.

use crate::conformance::Subject;
use agent::driver::{Act, DriverError, Effect, Seen};
use drivers::outside::Program;
use drivers::outside::frame;
use drivers::outside::wire::{
    Answer, Answered, Ask, Failed, FromDriver, Hello, Order, Request, SentKeys, ToDriver, VERSIONS,
    Welcome,
};
use model::id::{Generation, OperationId, VmId};
use std::fs;
use std::io::{BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a message or an end may take, on a busy machine with a slow hypervisor.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A driver that is a program, with machines for it.
pub trait Outsider: Subject + Sync {
    /// The program.
    fn program(&self) -> Program;
}

/// A running driver program; killed when dropped.
#[derive(Debug)]
pub struct Raw {
    child: Child,
    stdin: Option<ChildStdin>,
    heard: Receiver<FromDriver>,
    next: u64,
}

impl Raw {
    /// Starts a program without a word to it.
    pub fn start(program: &Program) -> Self {
        fs::create_dir_all(&program.folder).expect("a folder for the driver");
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .arg(&program.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.path.display()));
        let mut stdout = BufReader::new(child.stdout.take().expect("it has a pipe"));
        // Room for one message: a program that is not listened to is to wait.
        let (say, heard) = sync_channel(1);
        thread::spawn(move || {
            while let Some(message) = frame::read(&mut stdout).expect("messages, and then the end")
            {
                if say.send(message).is_err() {
                    break;
                }
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            heard,
            next: 1,
        }
    }

    /// Starts a program and greets it.
    pub fn greeted(program: &Program) -> (Self, Welcome) {
        let mut raw = Self::start(program);
        raw.say(&ToDriver::Hello(Hello { versions: VERSIONS }));
        match raw.hear() {
            Some(FromDriver::Welcome(welcome)) => (raw, welcome),
            heard => panic!("the greeting was answered by {heard:?}"),
        }
    }

    /// Sends a message; one to a program that is gone is lost.
    pub fn say(&mut self, message: &ToDriver) {
        self.write(&frame::encode(message).expect("it is short"));
    }

    /// Sends bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &mut self.stdin {
            let _lost = stdin.write_all(bytes);
        }
    }

    /// Sends a request, and gives its id.
    pub fn ask(&mut self, ask: Ask, operation: u64, within: Duration) -> u64 {
        let id = self.next;
        self.next += 1;
        let order = Some(Order {
            operation: OperationId(operation),
            generation: Generation(1),
        });
        let within_millis = u64::try_from(within.as_millis()).expect("a short time");
        self.say(&ToDriver::Request(Box::new(Request {
            id,
            within_millis,
            order,
            ask,
        })));
        id
    }

    /// Sends an act, and gives its id.
    pub fn order(&mut self, vm: VmId, act: &Act, operation: u64) -> u64 {
        let ask = Ask::Perform {
            vm,
            act: act.clone(),
            keys: SentKeys::default(),
        };
        self.ask(ask, operation, PATIENCE)
    }

    /// The next message; `None`: the program has closed its output.
    pub fn hear(&self) -> Option<FromDriver> {
        match self.heard.recv_timeout(PATIENCE) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing was said for {PATIENCE:?}"),
        }
    }

    /// How a request ends; what is said on the way is passed over.
    pub fn outcome(&self, request: u64) -> Result<Answer, DriverError> {
        loop {
            match self.hear() {
                Some(FromDriver::Answered(Answered { id, answer })) if id == request => {
                    return Ok(answer);
                }
                Some(FromDriver::Failed(Failed { id, error })) if id == request => {
                    return Err(error);
                }
                Some(FromDriver::Progressed(_) | FromDriver::Calling(_)) => {}
                heard => panic!("request {request} was answered by {heard:?}"),
            }
        }
    }

    /// Does an act, and gives what came of it.
    pub fn perform(&mut self, vm: VmId, act: &Act, operation: u64) -> Result<Effect, DriverError> {
        let id = self.order(vm, act, operation);
        match self.outcome(id)? {
            Answer::Performed(effect) => Ok(effect),
            answer => panic!("{act:?} was answered by {answer:?}"),
        }
    }

    /// All VMs as `recover` tells them.
    pub fn recover(&mut self) -> Vec<Seen> {
        let id = self.ask(Ask::Recover, 0, PATIENCE);
        match self.outcome(id) {
            Ok(Answer::Recovered(seen)) => seen,
            outcome => panic!("recover was answered by {outcome:?}"),
        }
    }

    /// Kills it, and none of its helpers.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is ours to kill");
        self.child.wait().expect("it was killed");
    }

    /// Closes its input.
    pub fn hang_up(&mut self) {
        self.stdin.take();
    }

    /// Waits for its end.
    pub fn ended(&mut self, limit: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(begun.elapsed() < limit, "it does not end within {limit:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
