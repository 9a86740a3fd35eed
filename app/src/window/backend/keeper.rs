//! What a grid's thread hands over: it reads what is new, and wakes the window where something is.

use super::simulated::clock::ClockShown;
use super::snapshot::{Slot, Snapshot};
use control::backend::Backend;
use control::shown::EventShown;
use model::time::Time;
use model::view::View;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Lines of the history that are handed over.
const EVENTS_SHOWN: usize = 1_000;
/// Lines of the history that are read at once.
const EVENTS_READ: usize = 4_096;

/// The thread's end of what is shown.
pub(super) struct Keeper {
    slot: Arc<Slot>,
    ctx: egui::Context,
    events: VecDeque<EventShown>,
    events_read: u64,
    /// Requests that were carried out.
    pub handled: u64,
    shown: Option<(Arc<Snapshot>, Instant)>,
}

impl Keeper {
    pub fn new(slot: Arc<Slot>, ctx: egui::Context) -> Self {
        Self {
            slot,
            ctx,
            events: VecDeque::new(),
            events_read: 0,
            handled: 0,
            shown: None,
        }
    }

    /// What was handed over last, and when.
    pub fn shown(&self) -> Option<(&Snapshot, Instant)> {
        self.shown.as_ref().map(|(shown, at)| (&**shown, *at))
    }

    /// Takes new lines of the history in; whether there were any.
    pub fn read_events(&mut self, grid: &mut dyn Backend) -> bool {
        let before = self.events_read;
        loop {
            let events = grid.events(self.events_read, EVENTS_READ);
            let is_last = events.len() < EVENTS_READ;
            self.events_read += events.len() as u64;
            self.events.extend(events);
            let more = self.events.len().saturating_sub(EVENTS_SHOWN);
            self.events.drain(..more);
            if is_last {
                return self.events_read > before;
            }
        }
    }

    /// Whether this view, these events and these requests were handed over already.
    pub fn is_shown(&self, view: &Arc<View>) -> bool {
        self.shown.as_ref().is_some_and(|(shown, _)| {
            Arc::ptr_eq(&shown.view, view)
                && shown.events_total == self.events_read
                && shown.handled == self.handled
        })
    }

    /// Hands all over, and wakes the window.
    pub fn show(
        &mut self,
        grid: &mut dyn Backend,
        view: Arc<View>,
        at: Time,
        clock: Option<ClockShown>,
    ) {
        let standing = grid.standing();
        let snapshot = Arc::new(Snapshot {
            at,
            view,
            operations: standing.operations,
            events: self.events.iter().cloned().collect(),
            events_total: self.events_read,
            vms: standing.vms.into_iter().map(|vm| (vm.id, vm)).collect(),
            designs: standing.designs,
            trouble: standing.trouble,
            clock,
            handled: self.handled,
        });
        self.shown = Some((Arc::clone(&snapshot), Instant::now()));
        self.slot.put(snapshot);
        self.ctx.request_repaint();
    }
}
