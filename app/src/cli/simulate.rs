//! `gridwright simulate`: a trace on a grid under one or several policies.

use super::failure::Failure;
use super::kind::Kind;
use super::progress::Console;
use super::table::{Table, counted, grouped};
use capacity::run::{Options, Waiting};
use lab::read::Format;
use lab::run::figures::{Figure, Unit, figures, hash_word, json, refusals};
use lab::run::policy::PolicyError;
use lab::run::{Error, GridSource, NamedPolicy, RunResult, TraceSource};
use lab::store::Store;
use model::time::Span;
use placement::placer::Search;
use std::io::Write;
use std::path::PathBuf;
use strum::VariantArray;

/// What the verb is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The requests: a file or a folder, plain or gzipped
    #[arg(long, value_name = "PATH")]
    pub trace: PathBuf,
    /// Format of the trace; told from the file where not named
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// The nodes: a grid file
    #[arg(long, value_name = "PATH")]
    pub grid: PathBuf,
    /// How nodes are chosen: a name of `gridwright policies` or a file with a rule chain; several to compare them
    #[arg(long, value_name = "NAME", required = true)]
    pub policy: Vec<String>,
    /// Feeds policies that draw lots
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Scan every node for every decision; the decisions are the same
    #[arg(long)]
    pub naive: bool,
    /// Let VMs wait that find no node, instead of refusing them
    #[arg(long)]
    pub queue: bool,
    /// How long they wait before they give up; for ever where not given
    #[arg(long, value_name = "SECONDS", requires = "queue", value_parser = seconds, allow_negative_numbers = true)]
    pub patience: Option<Span>,
    /// Bins of time in the series
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub bins: u32,
    /// Keep all results in this folder: tables, plots, a database
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Keep every decision too
    #[arg(long, requires = "out")]
    pub log: bool,
    /// Print one JSON object (an array of them where several policies are given)
    #[arg(long)]
    pub json: bool,
}

/// Runs, prints.
///
/// # Errors
/// What went wrong, for the user.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let policies: Vec<NamedPolicy> = args
        .policy
        .iter()
        .map(|name| policy(name))
        .collect::<Result<_, _>>()?;
    let mut names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Failure::usage(
            format!("policy {} is given twice", twice[0]),
            "give each policy once; runs are repeated with another --seed",
        ));
    }
    Kind::Grid.expect_of("--grid", &args.grid)?;
    let results = simulated(args, &policies)?;
    if args.json {
        print_json(&results, out)
    } else {
        print_table(args, &results, out)
    }
}

fn simulated(args: &Args, policies: &[NamedPolicy]) -> Result<Vec<RunResult>, Failure> {
    let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
    let scenario = lab::run::Scenario {
        trace: TraceSource::File {
            path: args.trace.clone(),
            format: args.format.as_deref().map(format).transpose()?,
        },
        grid: GridSource::File(args.grid.clone()),
        policies: policies.to_vec(),
        options: options(args),
    };
    // From here on an interrupt is looked after, so that no folder in the making outlives one.
    let console = Console::new(&names);
    // A place that takes no results is told before the run, not after it.
    let store = args.out.as_deref().map(Store::prepare).transpose();
    let store = store.map_err(|error| Failure::of(&error))?;
    let results = lab::run::run(&scenario, &console);
    console.clear();
    let results = results.map_err(|error| match error {
        Error::Cancelled => Failure::failed(error),
        Error::Read(error) => Failure::of(&error),
    })?;
    if let Some(store) = store {
        let written = store.write(&results, &console);
        written.map_err(|error| Failure::of(&error))?;
    }
    Ok(results)
}

fn options(args: &Args) -> Options {
    Options {
        seed: args.seed,
        search: if args.naive {
            Search::Naive
        } else {
            Search::Indexed
        },
        waiting: if args.queue {
            Waiting::Queue {
                patience: args.patience,
            }
        } else {
            Waiting::Refuse
        },
        bins: args.bins as usize,
        log: args.log,
    }
}

fn print_json(results: &[RunResult], out: &mut dyn Write) -> Result<(), Failure> {
    let value = match results {
        [one] => json(one),
        several => several.iter().map(json).collect(),
    };
    Ok(writeln!(out, "{value:#}")?)
}

/// One column a policy. Dimensions of which no VM took anything are left out, and waits where nobody may wait.
fn print_table(args: &Args, results: &[RunResult], out: &mut dyn Write) -> Result<(), Failure> {
    let first = &results[0];
    writeln!(
        out,
        "{} on {}: {}, {}, {}",
        first.trace.name,
        first.grid.name,
        counted(first.trace.vms.len(), "VM"),
        counted(first.grid.nodes.len(), "node"),
        first.trace.end,
    )?;
    for note in &first.trace.notes {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out)?;
    let mut table = Table {
        head: std::iter::once(String::new())
            .chain(results.iter().map(|result| result.policy.name.clone()))
            .collect(),
        words: 1,
        rows: Vec::new(),
    };
    let columns: Vec<Vec<Figure>> = results
        .iter()
        .map(|result| figures(&result.outcome.summary))
        .collect();
    for (row, figure) in columns[0].iter().enumerate() {
        let cells: Vec<f64> = columns.iter().map(|column| column[row].value).collect();
        let dull = match figure.dimension {
            Some(dimension) => results
                .iter()
                .all(|result| result.outcome.summary.allocated[dimension as usize] == 0.0),
            None => figure.unit == Unit::Seconds && !args.queue,
        };
        if !dull {
            let values = cells.into_iter().map(|value| shown(figure.unit, value));
            table.rows.push(
                std::iter::once(figure.words.clone())
                    .chain(values)
                    .collect(),
            );
        }
    }
    for (filter, counts) in refusals(results) {
        let cells = counts.into_iter().map(grouped);
        let words = std::iter::once(format!("rejected, {filter}"));
        table.rows.push(words.chain(cells).collect());
    }
    table.rows.push(row("decision hash", results, |result| {
        hash_word(result.outcome.summary.decision_hash)
    }));
    table.rows.push(row("reading", results, |result| {
        format!("{:.3} s", result.load_seconds)
    }));
    table.rows.push(row("simulating", results, |result| {
        format!("{:.3} s", result.sim_seconds)
    }));
    table.rows.push(row("speed", results, |result| {
        let events = result.outcome.summary.events as f64;
        format!("{} events/s", grouped((events / result.sim_seconds) as u64))
    }));
    table.print(out)?;
    if let Some(folder) = &args.out {
        writeln!(out, "\nresults are in {}", folder.display())?;
    }
    Ok(())
}

fn row(words: &str, results: &[RunResult], cell: impl Fn(&RunResult) -> String) -> Vec<String> {
    std::iter::once(words.to_owned())
        .chain(results.iter().map(cell))
        .collect()
}

fn shown(unit: Unit, value: f64) -> String {
    match unit {
        _ if value.is_infinite() => "never".to_owned(),
        Unit::Count => grouped(value as u64),
        Unit::Mean => format!("{value:.1}"),
        Unit::Share => format!("{:.2} %", value * 100.0),
        Unit::Seconds => format!("{value:.1} s"),
    }
}

/// The policy of a word on the command line.
///
/// # Errors
/// Usage where no policy has the name; failure where its file has faults.
pub(super) fn policy(word: &str) -> Result<NamedPolicy, Failure> {
    NamedPolicy::of(word).map_err(|error| match &error {
        PolicyError::Unknown { .. } => Failure::usage_of(&error),
        PolicyError::Chain(_) => Failure::of(&error),
    })
}

fn format(name: &str) -> Result<Format, Failure> {
    name.parse().map_err(|_| {
        let known: Vec<&str> = Format::VARIANTS
            .iter()
            .map(|format| format.into())
            .collect();
        let known = known.join(", ");
        let error = format!("unknown format {name:?}; known are {known}");
        Failure::usage(error, "without --format it is told from the file")
    })
}

fn seconds(text: &str) -> Result<Span, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if seconds.is_finite() && seconds >= 0.0 {
        Ok(Span::from_seconds(seconds))
    } else {
        Err("not a number of seconds from 0 on".to_owned())
    }
}
