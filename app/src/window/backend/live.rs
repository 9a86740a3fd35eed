//! The thread of a live grid: asks its controller for what is new, and hands it over.

use super::attached::{Answer, Request};
use super::keeper::Keeper;
use client::call::{CallError, Client, usual_folder};
use client::live::Live;
use control::backend::Backend;
use model::time::Time;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the controller is asked; and the share of its time that it has for others, where it is large
/// enough to take long.
const LOOK: Duration = Duration::from_millis(500);
const REST_TIMES: u32 = 4;

/// Reaches the controller that was joined from a folder, which is the user's own where none is given.
///
/// # Errors
/// Where none was joined, or it does not answer.
pub fn reach(folder: Option<PathBuf>) -> Result<Live, CallError> {
    let homeless = || CallError::NotJoined("a user without a home".to_owned());
    let folder = folder.or_else(usual_folder).ok_or_else(homeless)?;
    Live::open(Client::open(&folder)?)
}

/// The thread's state.
pub(super) struct Runner {
    pub grid: Live,
    pub requests: Receiver<Request>,
    pub answers: Sender<Answer>,
    pub keeper: Keeper,
}

impl Runner {
    /// Goes on until nobody asks any more.
    pub fn run(mut self) {
        let mut rest = Duration::ZERO;
        loop {
            match self.requests.recv_timeout(rest) {
                Ok(request) => {
                    self.carry_out(request);
                    while let Ok(request) = self.requests.try_recv() {
                        self.carry_out(request);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let begun = Instant::now();
            self.look();
            rest = LOOK.max(begun.elapsed() * REST_TIMES);
        }
    }

    fn carry_out(&mut self, request: Request) {
        self.keeper.handled += 1;
        match request {
            Request::Submit(operation, command) => {
                let answer = self.grid.submit(operation, *command);
                // Nobody listens any more once the window is closed.
                let _ = self.answers.send(Answer { answer });
            }
            Request::CallOff(operation) => self.grid.call_off(operation),
            // Its time passes by itself, and its troubles come unasked.
            Request::Strike(_) | Request::Go(_) | Request::Speed(_) => {}
        }
    }

    fn look(&mut self) {
        let view = self.grid.view();
        let is_new = self.keeper.read_events(&mut self.grid) || !self.keeper.is_shown(&view);
        let goes_on = self.keeper.shown().is_none_or(|(shown, _)| {
            shown.is_busy() || shown.trouble.as_deref() != self.grid.trouble()
        });
        if is_new || goes_on {
            self.keeper.show(&mut self.grid, view, now(), None);
        }
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Time(since.map_or(0, |since| since.as_millis() as i64))
}
