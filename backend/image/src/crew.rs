//! Several threads over the pieces of one file, called off together.

use crate::error::Error;
use agent::watch::Watch;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// More threads than this do not make a disk faster, and a node has other work.
const MAX_THREADS: usize = 4;

/// Does the same to each piece, on several threads; tells the share that is done.
pub(crate) fn each<S>(
    pieces: &[Range<u64>],
    watch: &dyn Watch,
    start: impl Fn() -> S + Sync,
    act: impl Fn(&mut S, &Range<u64>) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.clamp(1, MAX_THREADS).min(pieces.len().max(1));
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let work = || -> Result<(), Error> {
        let mut state = start();
        while !stop.load(Ordering::Relaxed) {
            let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            let acted = watch.checkpoint().map_err(Error::from);
            if let Err(error) = acted.and_then(|()| act(&mut state, piece)) {
                stop.store(true, Ordering::Relaxed);
                return Err(error);
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            watch.progressed((done * 1_000 / pieces.len()) as u16);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut first = work();
        for other in others {
            let ended = other.join().expect("a worker only returns errors");
            first = first.and(ended);
        }
        first
    })
}
