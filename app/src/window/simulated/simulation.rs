//! The window's end of a simulated grid: it asks without waiting, and takes what has come of it.

use super::clock::{Going, Speed};
use super::runner::{Runner, begin};
use super::snapshot::{Slot, Snapshot};
use crate::window::notices::Notices;
use control::backend::{Command, Refused};
use model::design::Design;
use model::grid::Grid;
use model::id::OperationId;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use world::fault::Fault;

/// The largest grid that is simulated in the window: each agent ticks, so that time goes the slower the
/// more there are.
pub const MOST_NODES: usize = 2_000;

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum Request {
    /// Something of the grid, under an id.
    Submit(OperationId, Box<Command>),
    /// To call an operation off.
    CallOff(OperationId),
    /// To let something befall it.
    Strike(Fault),
    /// To let time pass, or stand.
    Go(Going),
    /// To let it pass as fast as this.
    Speed(Speed),
}

/// What the grid said to a command.
#[derive(Debug)]
pub(super) struct Answer {
    /// What it said.
    pub answer: Result<(), Refused>,
}

/// A simulated grid that runs on a thread of its own, as long as this lives.
#[derive(Debug)]
pub struct Simulation {
    grid: Arc<Grid>,
    requests: Sender<Request>,
    answers: Receiver<Answer>,
    slot: Arc<Slot>,
    latest: Option<Arc<Snapshot>>,
    sent: u64,
    next: u64,
}

impl Simulation {
    /// Begins with a grid on which nothing was done yet but that these designs were deployed, as far as
    /// there was room, at the speed of real time.
    pub fn start(ctx: &egui::Context, grid: Arc<Grid>, designs: Vec<Design>) -> Self {
        let (requests, asked) = channel();
        let (told, answers) = channel();
        let slot = Arc::<Slot>::default();
        let (of, into, ctx) = (Arc::clone(&grid), Arc::clone(&slot), ctx.clone());
        let next = designs.len() as u64 + 1;
        std::thread::spawn(move || {
            let world = begin(of, designs);
            Runner::new(world, asked, told, into, ctx).run();
        });
        Self {
            grid,
            requests,
            answers,
            slot,
            latest: None,
            sent: 0,
            next,
        }
    }

    /// The grid.
    pub fn grid(&self) -> &Arc<Grid> {
        &self.grid
    }

    /// It as it was last; `None`: it has not begun.
    pub fn latest(&self) -> Option<&Arc<Snapshot>> {
        self.latest.as_ref()
    }

    /// Asks for something of the grid.
    pub fn submit(&mut self, command: Command) {
        let operation = OperationId(self.next);
        self.next += 1;
        self.send(Request::Submit(operation, Box::new(command)));
    }

    /// Calls an operation off.
    pub fn call_off(&mut self, operation: OperationId) {
        self.send(Request::CallOff(operation));
    }

    /// Lets something befall it.
    pub fn strike(&mut self, fault: Fault) {
        self.send(Request::Strike(fault));
    }

    /// Lets its time pass, or stand.
    pub fn go(&mut self, going: Going) {
        self.send(Request::Go(going));
    }

    /// Lets its time pass as fast as this.
    pub fn set_speed(&mut self, speed: Speed) {
        self.send(Request::Speed(speed));
    }

    fn send(&mut self, request: Request) {
        self.sent += 1;
        // The thread lives as long as this sender; a failed send is a bug there, and shows.
        let _ = self.requests.send(request);
    }

    /// Takes what has come; before every frame.
    pub fn tick(&mut self, notices: &mut Notices) {
        if let Some(latest) = self.slot.latest() {
            let before = self.latest.replace(Arc::clone(&latest));
            tell_ends(before.as_deref(), &latest, notices);
        }
        for Answer { answer } in self.answers.try_iter() {
            if let Err(refused) = answer {
                let hint = format!("hint: {}", refused.hint());
                let mut lines: Vec<String> =
                    refused.to_string().lines().map(str::to_owned).collect();
                lines.push(hint);
                notices.error("The grid refused it", lines);
            }
        }
    }

    /// Waits until all requests are carried out and time no longer runs towards a goal; whether it came
    /// to that. For tests, never for a frame.
    pub fn settle(&mut self, limit: Duration) -> bool {
        let sent = self.sent;
        self.slot.wait(limit, |snapshot| {
            let has_goal = matches!(snapshot.going, Going::ToEvent | Going::ToRest);
            snapshot.handled == sent && !has_goal
        })
    }
}

/// Says which operations have failed since.
fn tell_ends(before: Option<&Snapshot>, now: &Snapshot, notices: &mut Notices) {
    let Some(before) = before else {
        return;
    };
    if std::ptr::eq(before, now) {
        return;
    }
    let open = before.operations.iter().filter(|shown| shown.is_open());
    for was in open.filter(|shown| !shown.is_own()) {
        let is = now.operations.iter().find(|shown| shown.id == was.id);
        let Some(is) = is.filter(|shown| !shown.is_open()) else {
            continue;
        };
        match is.state {
            super::shown::OperationState::Failed => {
                let details = vec![is.details.clone()];
                notices.error(format!("Failed to {}", is.what), details);
            }
            _ => notices.info(format!("{}, {}", is.state.title(), is.what)),
        }
    }
}
