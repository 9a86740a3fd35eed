//! Progress bars on a terminal, and Ctrl-C.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lab::run::{Observer, Stage};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Set by Ctrl-C; one for the process, as the signal is.
static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Shows a run on standard error where that is a terminal, and stops it at Ctrl-C.
pub struct Console {
    reading: ProgressBar,
    simulating: Vec<ProgressBar>,
    interrupted: Arc<AtomicBool>,
}

impl Console {
    /// A bar for reading and one for each policy; from now on Ctrl-C stops the run and not the
    /// process, so that what was begun is tidied up.
    pub fn new(policies: &[&str]) -> Self {
        // A terminal is told by indicatif itself: into a pipe or a file it draws nothing.
        let bars = MultiProgress::new();
        let reading = bars.add(bar("reading", "{bytes} of {total_bytes}"));
        let simulating = policies
            .iter()
            .map(|name| bars.add(bar(name, "{human_pos} of {human_len} VMs, {eta}")))
            .collect();
        Self {
            reading,
            simulating,
            interrupted: interruption(),
        }
    }

    /// Takes the bars off the screen.
    pub fn clear(&self) {
        self.reading.finish_and_clear();
        for bar in &self.simulating {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Console {
    fn progress(&self, stage: Stage, done: u64, total: u64) {
        let bar = match stage {
            Stage::Reading => &self.reading,
            Stage::Simulating(policy) => &self.simulating[policy],
        };
        bar.set_length(total);
        bar.set_position(done);
    }

    fn cancelled(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

fn interruption() -> Arc<AtomicBool> {
    let flag = INTERRUPTED.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&flag);
        // Where no handler can be set, Ctrl-C ends the process as it always did.
        let _ = ctrlc::set_handler(move || set.store(true, Ordering::Relaxed));
        flag
    });
    Arc::clone(flag)
}

fn bar(name: &str, figures: &str) -> ProgressBar {
    let template = format!("{{prefix:>16}} {{bar:30}} {{percent:>3}} % {figures}");
    let style = ProgressStyle::with_template(&template).expect("the template is a constant");
    ProgressBar::new(0)
        .with_prefix(name.to_owned())
        .with_style(style)
}
