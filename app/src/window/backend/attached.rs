//! The window's end of a grid that takes commands: it asks without waiting, and takes what has come of it.

use super::keeper::Keeper;
use super::live;
use super::simulated::clock::{ClockShown, Going, Speed};
use super::simulated::runner;
use super::snapshot::{Slot, Snapshot};
use crate::window::notices::Notices;
use client::call::new_operation;
use client::live::Live;
use control::backend::{Command, Refused};
use control::shown::OperationState;
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

/// Where the ids of operations come from.
#[derive(Debug)]
enum Ids {
    /// Nobody else asks this grid for anything.
    Counted(u64),
    /// Others ask it too.
    Random,
}

/// A grid with a thread of its own, as long as this lives.
#[derive(Debug)]
pub struct Attached {
    requests: Sender<Request>,
    answers: Receiver<Answer>,
    slot: Arc<Slot>,
    latest: Option<Arc<Snapshot>>,
    sent: u64,
    ids: Ids,
    /// Who rules it: `HOST:PORT`; `None`: it is simulated.
    address: Option<String>,
}

impl Attached {
    /// Begins to simulate a grid on which nothing was done yet but that these designs were deployed, as
    /// far as there was room, at the speed of real time.
    pub fn simulated(ctx: &egui::Context, grid: Arc<Grid>, designs: Vec<Design>) -> Self {
        let ids = Ids::Counted(designs.len() as u64 + 1);
        Self::begin(ctx, ids, None, |keeper, requests, answers| {
            let world = runner::begin(grid, designs);
            runner::Runner::new(world, requests, answers, keeper).run();
        })
    }

    /// Attaches to a live grid.
    pub fn live(ctx: &egui::Context, grid: Live) -> Self {
        let address = grid.address().to_owned();
        Self::begin(
            ctx,
            Ids::Random,
            Some(address),
            |keeper, requests, answers| {
                let runner = live::Runner {
                    grid,
                    requests,
                    answers,
                    keeper,
                };
                runner.run();
            },
        )
    }

    fn begin(
        ctx: &egui::Context,
        ids: Ids,
        address: Option<String>,
        run: impl FnOnce(Keeper, Receiver<Request>, Sender<Answer>) + Send + 'static,
    ) -> Self {
        let (requests, asked) = channel();
        let (told, answers) = channel();
        let slot = Arc::<Slot>::default();
        let keeper = Keeper::new(Arc::clone(&slot), ctx.clone());
        std::thread::spawn(move || run(keeper, asked, told));
        Self {
            requests,
            answers,
            slot,
            latest: None,
            sent: 0,
            ids,
            address,
        }
    }

    /// Who rules it: `HOST:PORT`; `None`: it is simulated.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// It as it was last; `None`: it has not begun.
    pub fn latest(&self) -> Option<&Arc<Snapshot>> {
        self.latest.as_ref()
    }

    /// Asks for something of the grid.
    pub fn submit(&mut self, command: Command, notices: &mut Notices) {
        let operation = match &mut self.ids {
            Ids::Counted(next) => {
                *next += 1;
                OperationId(*next - 1)
            }
            Ids::Random => match new_operation() {
                Ok(operation) => operation,
                Err(error) => {
                    notices.error("Nothing can be asked of the grid", vec![error.to_string()]);
                    return;
                }
            },
        };
        self.send(Request::Submit(operation, Box::new(command)));
    }

    /// Calls an operation off.
    pub fn call_off(&mut self, operation: OperationId) {
        self.send(Request::CallOff(operation));
    }

    /// Lets something befall it, where it is simulated.
    pub fn strike(&mut self, fault: Fault) {
        self.send(Request::Strike(fault));
    }

    /// Lets its time pass, or stand, where it is simulated.
    pub fn go(&mut self, going: Going) {
        self.send(Request::Go(going));
    }

    /// Lets its time pass as fast as this, where it is simulated.
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
            let has_goal =
                |clock: &ClockShown| matches!(clock.going, Going::ToEvent | Going::ToRest);
            snapshot.handled == sent && !snapshot.clock.as_ref().is_some_and(has_goal)
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
    let open = before.operations.iter();
    let open = open.filter(|shown| !shown.state.is_over() && !shown.is_own());
    for was in open {
        let is = now.operations.iter().find(|shown| shown.id == was.id);
        let Some(is) = is.filter(|shown| shown.state.is_over()) else {
            continue;
        };
        match &is.state {
            OperationState::Failed { reason } => {
                notices.error(format!("Failed to {}", is.what), vec![reason.clone()]);
            }
            state => notices.info(format!("{}, {}", state.title(), is.what)),
        }
    }
}
