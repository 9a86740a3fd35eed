//! `gridwright event`: what happened on a live grid.

use super::failed;
use crate::cli::failure::Failure;
use crate::instant::in_words;
use control::shown::EventShown;
use std::io::Write;
use std::thread;
use std::time::Duration;

/// How often a controller is asked for more.
const LOOK: Duration = Duration::from_millis(500);

/// How many events are asked for at once.
const MOST: usize = 1_000;

/// What the verb is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whom to ask
    #[command(flatten)]
    pub live: super::Asking,
    /// The number of the first event that is shown
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from: u64,
    /// Go on as events happen, until interrupted
    #[arg(long)]
    pub follow: bool,
}

/// Prints the history, a line an event; with `--json` an object a line.
///
/// # Errors
/// Where the controller does not answer.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = args.live.client()?;
    let mut next = args.from;
    loop {
        let events = client.events(next, MOST).map_err(failed)?;
        let (is_last, length) = (events.len() < MOST, events.len() as u64);
        for event in events {
            line(args, &event, out)?;
        }
        next += length;
        if !is_last {
            continue;
        }
        if !args.follow {
            return Ok(());
        }
        out.flush()?;
        thread::sleep(LOOK);
    }
}

fn line(args: &Args, event: &EventShown, out: &mut dyn Write) -> Result<(), Failure> {
    if args.live.json {
        let text = serde_json::to_string(event).map_err(Failure::failed)?;
        return Ok(writeln!(out, "{text}")?);
    }
    let EventShown { number, text, .. } = event;
    let at = in_words(event.event.at);
    Ok(writeln!(out, "{number:>6}  {at}  {text}")?)
}
