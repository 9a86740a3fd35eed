//! The thread of a simulated grid: lets virtual time pass as the clock says, and hands over what is new.

use super::super::attached::{Answer, Request};
use super::super::keeper::Keeper;
use super::clock::{ClockShown, Going, Pace, Speed};
use super::trouble::TroubleShown;
use control::backend::{Backend, Command};
use control::settings::Settings;
use model::design::Design;
use model::grid::Grid;
use model::id::OperationId;
use model::time::{Span, Time};
use model::view::View;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use world::profile::Profile;
use world::simulated::Simulated;
use world::workload::catalogue;
use world::world::World;

/// The same grid, asked the same at the same instants, does the same.
const SEED: u64 = 1;
/// How long an operation may take: several disks of terabytes on one node take longer than the ten minutes
/// that a controller grants by itself.
const PATIENCE: Span = Span(3_600_000);
/// Of a disk how much holds data, in thousandths. It is an image's size that counts, and that does not grow
/// with the disk: of the samples' disks, which are up to tens of terabytes, some gigabytes are used.
const USED_MILLI: u64 = 1;
/// How long all agents take to make themselves known at the beginning.
const BEGINNING: Span = Span(2_000);
/// How long time passes before somebody is heard again: a frame at 30 a second.
const SLICE: Duration = Duration::from_millis(33);
/// The same while nothing is going on.
const LONG_SLICE: Duration = Duration::from_millis(200);
/// How often a clock that alone moves is shown.
const CLOCK: Duration = Duration::from_millis(100);
/// Virtual time between two looks at the real clock, while it passes at a given speed.
const STRIDE: Span = Span(1_000);
/// Things that happen between two looks at the real clock, while it passes as fast as it goes.
const STEPS: usize = 64;
/// How long it takes until every node has told what it has: agents call every 20 s.
const CALLS: Span = Span(21_000);
/// The most that a goal is run after: longer than any operation may take.
const LONGEST: Span = Span(4_000_000);
/// How long nothing must have happened before time that goes as fast as it can stands still.
const REST: Span = Span(60_000);

/// The thread's state.
pub(in crate::window::backend) struct Runner {
    grid: Simulated,
    requests: Receiver<Request>,
    answers: Sender<Answer>,
    keeper: Keeper,
    going: Going,
    speed: Speed,
    pace: Pace,
    /// Where a goal was set: the lines of the history then, and until when it is run after.
    goal: (usize, Time),
    /// Since when no operation is open, while that is the goal.
    calm: Option<Time>,
    /// The instant.
    now: Time,
    /// The last instant at which something was going on.
    busy_at: Time,
    troubles: Vec<TroubleShown>,
}

/// A grid on which these designs were deployed, as far as there was room.
pub(in crate::window::backend) fn begin(grid: Arc<Grid>, designs: Vec<Design>) -> Simulated {
    let settings = Settings {
        catalogue: catalogue(),
        patience: PATIENCE,
        ..Settings::default()
    };
    let profile = Profile {
        used_milli: USED_MILLI,
        ..Profile::default()
    };
    let mut world = World::new(grid, settings, profile, SEED);
    world.run_until(Time::ZERO + BEGINNING);
    let mut grid = Simulated::new(world);
    let has_designs = !designs.is_empty();
    for (number, design) in (1..).zip(designs) {
        let (design, plan) = (Box::new(design), None);
        // What finds no room is left out.
        let _ = grid.submit(OperationId(number), Command::Deploy { design, plan });
    }
    let world = grid.world();
    let until = world.now() + LONGEST;
    let is_open = |world: &World| {
        let controller = world.controller();
        controller.is_some_and(|controller| !controller.ledger().open.is_empty())
    };
    while world.now() < until && is_open(world) {
        world.step();
    }
    if has_designs {
        world.run_until(world.now() + REST);
    }
    grid
}

impl Runner {
    pub fn new(
        mut grid: Simulated,
        requests: Receiver<Request>,
        answers: Sender<Answer>,
        keeper: Keeper,
    ) -> Self {
        let now = grid.world().now();
        Self {
            grid,
            requests,
            answers,
            keeper,
            going: Going::On,
            speed: Speed::default(),
            pace: Pace::from(Instant::now(), now),
            goal: (0, now),
            calm: None,
            now,
            busy_at: now,
            troubles: Vec::new(),
        }
    }

    /// Goes on until nobody asks any more.
    pub fn run(mut self) {
        self.show();
        loop {
            match self.next_request() {
                Ok(request) => {
                    self.carry_out(request);
                    while let Ok(request) = self.requests.try_recv() {
                        self.carry_out(request);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.pass();
            self.show();
        }
    }

    fn next_request(&self) -> Result<Request, RecvTimeoutError> {
        let slice = match self.going {
            Going::Paused => None,
            Going::ToEvent | Going::ToRest => Some(Duration::ZERO),
            Going::On => match (self.speed.times(), self.rests()) {
                (Some(_), true) => Some(LONG_SLICE),
                (Some(_), false) => Some(SLICE),
                (None, true) => None,
                (None, false) => Some(Duration::ZERO),
            },
        };
        match slice {
            Some(slice) => self.requests.recv_timeout(slice),
            None => self
                .requests
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Whether nothing has been going on for a while.
    fn rests(&self) -> bool {
        let shown = self.keeper.shown();
        shown.is_some_and(|(shown, _)| !shown.is_busy() && self.busy_at + REST <= self.now)
    }

    fn carry_out(&mut self, request: Request) {
        self.keeper.handled += 1;
        let now = self.grid.world().now();
        match request {
            Request::Submit(operation, command) => {
                let answer = self.grid.submit(operation, *command);
                // Nobody listens any more once the window is closed.
                let _ = self.answers.send(Answer { answer });
            }
            Request::CallOff(operation) => self.grid.call_off(operation),
            Request::Strike(fault) => {
                let grid = Arc::clone(self.grid.world().grid());
                self.troubles.push(TroubleShown::of(&fault, now, &grid));
                self.grid.world().befall(now, fault);
                self.grid.world().run_until(now);
            }
            Request::Go(going) => {
                self.going = going;
                self.calm = None;
                self.goal = (self.grid.world().history().len(), now + LONGEST);
            }
            Request::Speed(speed) => self.speed = speed,
        }
        self.busy_at = now;
        self.set_pace();
    }

    /// Time passes from here on as the clock says.
    fn set_pace(&mut self) {
        self.pace = Pace::from(Instant::now(), self.grid.world().now());
    }

    /// Lets a slice of time pass.
    fn pass(&mut self) {
        match (self.going, self.speed.times()) {
            (Going::Paused, _) => {}
            (Going::On, Some(times)) => self.keep_pace(times),
            (Going::On, None) => {
                if !self.rests() {
                    self.rush(|_| false);
                }
            }
            (Going::ToEvent, _) => {
                let (events, until) = self.goal;
                let is_there =
                    move |world: &World| world.history().len() > events || world.now() >= until;
                self.rush_to(is_there);
            }
            (Going::ToRest, _) => {
                let (until, mut calm) = (self.goal.1, self.calm);
                self.rush_to(|world| {
                    let controller = world.controller();
                    let rests = controller.is_some_and(|c| c.ledger().open.is_empty());
                    calm = rests.then(|| calm.unwrap_or(world.now()));
                    let is_told = calm.is_some_and(|since| since + CALLS <= world.now());
                    is_told || world.now() >= until
                });
                self.calm = calm;
            }
        }
    }

    fn keep_pace(&mut self, times: u32) {
        let begun = Instant::now();
        let due = self.pace.due(begun, times);
        let world = self.grid.world();
        while world.now() < due {
            let next = world.now() + STRIDE;
            world.run_until(next.min(due));
            if begun.elapsed() > SLICE {
                // It cannot go as fast; what it is behind is let go.
                return self.set_pace();
            }
        }
    }

    /// Goes as fast as it can for a slice, or until something holds; whether it does.
    fn rush(&mut self, mut is_there: impl FnMut(&World) -> bool) -> bool {
        let begun = Instant::now();
        let world = self.grid.world();
        while begun.elapsed() < SLICE {
            for _ in 0..STEPS {
                if is_there(world) {
                    return true;
                }
                world.step();
            }
        }
        false
    }

    /// Goes as fast as it can until something holds, and stands then.
    fn rush_to(&mut self, is_there: impl FnMut(&World) -> bool) {
        if self.rush(is_there) {
            self.going = Going::Paused;
        }
    }

    /// Hands over what is new.
    fn show(&mut self) {
        let view = self.grid.view();
        let now = self.grid.world().now();
        if self.keeper.read_events(&mut self.grid) {
            self.busy_at = now;
        }
        self.now = now;
        self.troubles.retain(|trouble| trouble.until > now);
        let clock = ClockShown {
            going: self.going,
            speed: self.speed,
            troubles: self.troubles.clone(),
            violations: self.grid.world().violations().to_vec(),
        };
        if self.is_shown(&view, &clock) {
            return;
        }
        self.keeper.show(&mut self.grid, view, now, Some(clock));
        if self
            .keeper
            .shown()
            .is_some_and(|(shown, _)| shown.is_busy())
        {
            self.busy_at = now;
        }
    }

    /// Whether all that there is to show is shown already.
    fn is_shown(&mut self, view: &Arc<View>, clock: &ClockShown) -> bool {
        let Some((shown, at)) = self.keeper.shown() else {
            return false;
        };
        let has_controller = self.grid.world().controller().is_some();
        let is_same = self.keeper.is_shown(view)
            && shown.clock.as_ref() == Some(clock)
            && shown.trouble.is_none() == has_controller;
        let ticks = shown.is_busy() && shown.at != self.now && at.elapsed() >= CLOCK;
        is_same && !ticks
    }
}
