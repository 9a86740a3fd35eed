//! The Lab's background work: what it starts, and what becomes of its results.

use super::{BUSY, LabPage, Loading, MIDDLE, ReplayStart};
use crate::window::jobs::{Poll, Progress};
use crate::window::room::Room;
use crate::window::sources::{self, GridChoice, TraceChoice, Trouble};
use egui::Context;
use lab::run::RunResult;
use model::time::Time;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl LabPage {
    /// Reads a user's own rule chain in the background and adds it to the policies.
    pub fn open_policy(&mut self, ctx: &Context, path: PathBuf, room: &mut Room<'_>) {
        let name = format!("Opening {}", path.display());
        let job = room
            .jobs
            .start(ctx, name, move |_| sources::open_policy(&path));
        self.opening_policy = Some(job);
    }

    /// Writes the results into a folder in the background.
    pub fn export(&mut self, ctx: &Context, folder: PathBuf, room: &mut Room<'_>) {
        if self.results.is_empty() {
            let hint = "run a trace first".to_owned();
            room.notices
                .error("There are no results to export", vec![hint]);
            return;
        }
        let results = self.results.clone();
        let target = folder.clone();
        let name = format!("Exporting to {}", folder.display());
        let job = room.jobs.start(ctx, name, move |progress| {
            sources::export(&target, &results, progress)
        });
        self.exporting = Some((folder, job));
    }

    /// Runs the sample trace on the sample grid, so that a first start shows results, and a busy instant.
    pub fn run_sample(&mut self, ctx: &Context, room: &mut Room<'_>) {
        self.setup.trace = TraceChoice::Sample;
        self.setup.grid = GridChoice::Sample(sources::FIRST_SAMPLE);
        self.next_start = BUSY;
        self.run(ctx, room);
    }

    /// Starts the run, unless one is at work.
    pub(super) fn run(&mut self, ctx: &Context, room: &mut Room<'_>) {
        if self.running.is_some() {
            return;
        }
        let open = room.view.map(|view| Arc::clone(&view.grid));
        let Some(setup) = self.setup.asked(open) else {
            room.notices
                .error("Nothing was run", vec!["choose at least one policy".into()]);
            return;
        };
        // Whoever has looked for an instant finds the next run at the same one.
        if room.player.is_loaded() && self.next_start == MIDDLE {
            self.next_start = ReplayStart::Share(room.player.share());
        }
        let name = format!("Running {}", self.setup.trace_title());
        let work = move |progress: &Progress| sources::run(&setup, progress);
        self.running = Some(room.jobs.start(ctx, name, work));
    }

    /// Takes what background work has come to; before every frame.
    pub fn logic(&mut self, ctx: &Context, room: &mut Room<'_>) {
        if let Some(job) = &self.running {
            match job.poll() {
                Poll::Working => {}
                Poll::Done(result) => {
                    self.running = None;
                    self.take(ctx, result, room);
                }
                Poll::Lost => {
                    self.running = None;
                    room.notices.error("The run ended unexpectedly", Vec::new());
                }
            }
        }
        self.take_replay(ctx, room);
        self.take_policy(room);
        self.take_export(room);
    }

    fn take_replay(&mut self, ctx: &Context, room: &mut Room<'_>) {
        let Some(loading) = &self.loading else {
            return;
        };
        match loading.job.poll() {
            Poll::Working => return,
            Poll::Done(Ok(recorded)) => {
                let end = recorded.span().1;
                let (at, plays) = match loading.start {
                    ReplayStart::At(at) => (at, false),
                    ReplayStart::Share(share) => (Time((end.0 as f64 * share) as i64), false),
                    ReplayStart::PlayingAt(at) => (at, true),
                };
                room.player.load(ctx, loading.title.clone(), recorded, at);
                if plays {
                    room.player.play();
                }
            }
            Poll::Done(Err(trouble)) => room.notices.error(trouble.text, trouble.details),
            Poll::Lost => room
                .notices
                .error("The replay ended unexpectedly", Vec::new()),
        }
        self.loading = None;
    }

    fn take_policy(&mut self, room: &mut Room<'_>) {
        let Some(job) = &self.opening_policy else {
            return;
        };
        match job.poll() {
            _ if job.progress().is_cancelled() => {
                room.notices.info("Opening the rule chain was cancelled");
            }
            Poll::Working => return,
            Poll::Done(Ok(policy)) => {
                if let Err(policy) = self.setup.add(policy) {
                    room.notices.error(
                        format!("The rule chain {} was not added", policy.name),
                        vec![
                            "a policy that comes with the program is called so".into(),
                            "hint: give the chain another name in its file".into(),
                        ],
                    );
                }
            }
            Poll::Done(Err(trouble)) => room.notices.error(trouble.text, trouble.details),
            Poll::Lost => room
                .notices
                .error("The rule chain was not opened", Vec::new()),
        }
        self.opening_policy = None;
    }

    fn take_export(&mut self, room: &mut Room<'_>) {
        let Some((folder, job)) = &self.exporting else {
            return;
        };
        match job.poll() {
            Poll::Working => return,
            Poll::Done(Ok(())) => {
                room.notices
                    .info(format!("Results are in {}", folder.display()));
            }
            Poll::Done(Err(trouble)) if trouble.cancelled => {
                room.notices.info("The export was cancelled");
            }
            Poll::Done(Err(trouble)) => room.notices.error(trouble.text, trouble.details),
            Poll::Lost => room
                .notices
                .error("The export ended unexpectedly", Vec::new()),
        }
        self.exporting = None;
    }

    fn take(
        &mut self,
        ctx: &Context,
        result: Result<Vec<RunResult>, Trouble>,
        room: &mut Room<'_>,
    ) {
        match result {
            Ok(results) => {
                for result in &results {
                    room.notices.info(format!(
                        "{} under {}: {} of {} VMs placed in {:.3} s",
                        result.trace.name,
                        result.policy.name,
                        result.outcome.summary.placed,
                        result.outcome.summary.vms,
                        result.sim_seconds
                    ));
                }
                for note in results
                    .first()
                    .map_or(&[][..], |result| &result.trace.notes)
                {
                    room.notices.info(note.clone());
                }
                self.results = results;
                self.first = 0;
                self.second = (self.results.len() > 1).then_some(1);
                self.replayed = None;
                let rest = MIDDLE;
                let start = std::mem::replace(&mut self.next_start, rest);
                self.replay(ctx, 0, start, room);
            }
            Err(trouble) if trouble.cancelled => room.notices.info("The run was cancelled"),
            Err(trouble) => room.notices.error(trouble.text, trouble.details),
        }
    }

    /// Makes a result's replay ready in the background.
    pub(super) fn replay(
        &mut self,
        ctx: &Context,
        place: usize,
        start: ReplayStart,
        room: &mut Room<'_>,
    ) {
        let Some(result) = self.results.get(place).cloned() else {
            return;
        };
        self.replayed = Some(place);
        let trace = Path::new(&result.trace.name).file_name();
        let trace = trace.map_or(result.trace.name.as_str().into(), |name| {
            name.to_string_lossy()
        });
        let title = format!("{trace} under {}", result.policy.name);
        let job = room.jobs.start(ctx, "Preparing the replay", move |_| {
            sources::record(&result)
        });
        self.loading = Some(Loading { title, job, start });
    }
}
