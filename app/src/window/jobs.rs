//! Work in the background: one thread a job, with progress, cancel, and a word to the window when it ends.

use engine::watch::{Cancelled, Watch};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

/// The least time between two repaints for progress; a bar that moves ten times a second looks smooth enough.
const REPAINT_MILLIS: u64 = 100;

/// How far a job is; shared between its thread and the window.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
    ended: AtomicBool,
    repainted_millis: AtomicU64,
    ctx: egui::Context,
}

impl Progress {
    fn new(ctx: egui::Context) -> Self {
        Self {
            started: Instant::now(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            repainted_millis: AtomicU64::new(0),
            ctx,
        }
    }

    /// Done share, 0 to 1; `None` where the total is unknown.
    pub fn share(&self) -> Option<f32> {
        let total = self.total.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed);
        (total > 0).then(|| (done as f32 / total as f32).clamp(0.0, 1.0))
    }

    /// Whether somebody asked it to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Asks it to stop.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Watch for Progress {
    fn progress(&self, done: u64, total: u64) -> Result<(), Cancelled> {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        let now = self.started.elapsed().as_millis() as u64;
        if now >= self.repainted_millis.load(Ordering::Relaxed) + REPAINT_MILLIS {
            self.repainted_millis.store(now, Ordering::Relaxed);
            self.ctx.request_repaint();
        }
        if self.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }
}

/// Marks the job as ended however its thread ends, by a panic too.
struct EndMark {
    progress: Arc<Progress>,
    ends: Sender<()>,
}

impl Drop for EndMark {
    fn drop(&mut self) {
        self.progress.ended.store(true, Ordering::Release);
        // Nobody listens any more once the window is closed.
        let _ = self.ends.send(());
        self.progress.ctx.request_repaint();
    }
}

/// The end of a job that one page waits for.
#[derive(Debug)]
pub struct Job<T> {
    results: Receiver<T>,
    progress: Arc<Progress>,
}

/// What a job has come to.
#[derive(Debug, PartialEq)]
pub enum Poll<T> {
    /// Still at work.
    Working,
    /// Here is its result.
    Done(T),
    /// Its thread ended without one: a bug in the work.
    Lost,
}

impl<T> Job<T> {
    /// Looks without waiting.
    pub fn poll(&self) -> Poll<T> {
        match self.results.try_recv() {
            Ok(result) => Poll::Done(result),
            Err(TryRecvError::Empty) => Poll::Working,
            Err(TryRecvError::Disconnected) => Poll::Lost,
        }
    }

    /// Waits at most this long; for tests, never for a frame.
    pub fn wait(&self, limit: Duration) -> Poll<T> {
        match self.results.recv_timeout(limit) {
            Ok(result) => Poll::Done(result),
            Err(RecvTimeoutError::Timeout) => Poll::Working,
            Err(RecvTimeoutError::Disconnected) => Poll::Lost,
        }
    }

    /// How far it is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// All work in the background, for the status line.
#[derive(Debug)]
pub struct Jobs {
    running: Vec<(String, Arc<Progress>)>,
    ends: (Sender<()>, Receiver<()>),
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            running: Vec::new(),
            ends: channel(),
        }
    }
}

impl Jobs {
    /// Starts work on a thread of its own.
    pub fn start<T: Send + 'static>(
        &mut self,
        ctx: &egui::Context,
        name: impl Into<String>,
        work: impl FnOnce(&Progress) -> T + Send + 'static,
    ) -> Job<T> {
        let progress = Arc::new(Progress::new(ctx.clone()));
        let (sender, results) = channel();
        let shared = Arc::clone(&progress);
        let ends = self.ends.0.clone();
        std::thread::spawn(move || {
            let end = EndMark {
                progress: shared,
                ends,
            };
            let result = work(&end.progress);
            // The page that asked may be gone; its answer is then of no use to anybody.
            let _ = sender.send(result);
        });
        self.running.push((name.into(), Arc::clone(&progress)));
        Job { results, progress }
    }

    /// Names and progress of what is at work, oldest first.
    pub fn running(&self) -> impl Iterator<Item = (&str, &Progress)> {
        self.running
            .iter()
            .map(|(name, progress)| (name.as_str(), progress.as_ref()))
    }

    /// Waits until a job ends, at most this long; for tests, never for a frame.
    pub fn wait_for_end(&self, limit: Duration) -> bool {
        self.running.is_empty() || self.ends.1.recv_timeout(limit).is_ok()
    }

    /// Forgets what has ended.
    pub fn sweep(&mut self) {
        // First, so that an end between the two lines still wakes a waiter.
        self.ends.1.try_iter().for_each(drop);
        self.running
            .retain(|(_, progress)| !progress.ended.load(Ordering::Acquire));
    }

    /// Asks everything to stop.
    pub fn cancel_all(&self) {
        for (_, progress) in &self.running {
            progress.cancel();
        }
    }
}
