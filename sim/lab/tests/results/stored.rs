//! What is written is what is read back, by us and by other programs' means.

use crate::fixture::{grid, run, trace, written};
use capacity::outcome::Fate;
use capacity::run::{Options, Waiting};
use control::backend::Backend;
use lab::plot::PLOTS;
use lab::recorded::Recorded;
use lab::run::{GridSource, NamedPolicy, Scenario, TraceSource, Unobserved};
use lab::store::open;
use model::time::{Span, Time};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

/// Every figure, series, node, refusal, decision and device comes back to the last bit, also of a
/// user's own chain, and the run can be replayed without its trace or grid file.
#[test]
fn runs_come_back_as_they_were() {
    let results = run(&["best-fit", "tight", "fragmentation-gradient"]);
    let (_place, folder) = written(&results);
    let read = open(&folder).expect("they were just written");
    assert_eq!(read.len(), results.len());
    for (read, written) in read.iter().zip(&results) {
        assert_eq!(read.outcome, written.outcome, "{}", written.policy.name);
        assert_eq!(read.policy, written.policy);
        assert_eq!(read.options, written.options);
        assert_eq!(read.trace, written.trace);
        assert_eq!(read.grid, written.grid);
        let view = |result| {
            let mut recorded = Recorded::new(result).expect("it has its log");
            recorded.seek(Time(2_345_678));
            recorded.view()
        };
        assert_eq!(view(read), view(written));
    }
}

/// So do runs in which VMs wait, give up, or were there before the start.
#[test]
fn queues_and_early_vms_come_back() {
    let mut early = trace();
    for vm in early.vms.iter_mut().take(20) {
        vm.arrival = Time(vm.arrival.0 - 200_000);
    }
    let scenario = Scenario {
        trace: TraceSource::Loaded(Arc::new(early)),
        grid: GridSource::Loaded(Arc::new(grid())),
        policies: vec![NamedPolicy::of("best-fit").expect("a known policy")],
        options: Options {
            waiting: Waiting::Queue {
                patience: Some(Span(300_000)),
            },
            log: true,
            ..Options::default()
        },
    };
    let results = lab::run::run(&scenario, &Unobserved).expect("nobody cancels");
    let fates = |fate| {
        results[0]
            .outcome
            .log
            .iter()
            .any(|entry| entry.fate == fate)
    };
    assert!(
        fates(Fate::Queued) && fates(Fate::GaveUp),
        "the fixture is crowded"
    );
    let (_place, folder) = written(&results);
    let read = open(&folder).expect("they were just written");
    assert_eq!(read[0].outcome, results[0].outcome);
    assert_eq!(read[0].trace, results[0].trace);
}

/// Parquet and CSV hold the same rows, and these are the series of the runs.
#[test]
fn parquet_and_csv_hold_the_series() {
    let results = run(&["first-fit", "worst-fit"]);
    let (_place, folder) = written(&results);
    let file = File::open(folder.join("series.parquet")).expect("it was written");
    let reader = SerializedFileReader::new(file).expect("it is Parquet");
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let names: Vec<&str> = schema
        .columns()
        .iter()
        .map(|column| column.name())
        .collect();
    let csv = fs::read_to_string(folder.join("series.csv")).expect("it was written");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some(names.join(",").as_str()));
    let cpu = names
        .iter()
        .position(|name| *name == "allocated_cpu_share")
        .expect("a column");
    let expected = results.iter().flat_map(|result| {
        let series = result.outcome.series.allocated.iter();
        series.map(|shares| (result.policy.name.clone(), shares[0]))
    });
    let rows = reader.get_row_iter(None).expect("rows can be read");
    let rows = rows.map(|row| row.expect("a sound row"));
    let rows: Vec<_> = rows
        .map(|row| {
            let policy = row.get_string(0).expect("text").clone();
            (policy, row.get_double(cpu).expect("a number"))
        })
        .collect();
    assert_eq!(rows, expected.collect::<Vec<_>>());
    let text = lines.map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[0].to_owned(), cells[cpu].parse().expect("a number"))
    });
    assert_eq!(text.collect::<Vec<_>>(), rows);
}

/// Every decision is in the Parquet file of decisions, with nothing where there is no node.
#[test]
fn decisions_are_kept_in_order() {
    let results = run(&["best-fit"]);
    let (_place, folder) = written(&results);
    let file = File::open(folder.join("decisions.parquet")).expect("it was written");
    let reader = SerializedFileReader::new(file).expect("it is Parquet");
    let rows = reader.get_row_iter(None).expect("rows can be read");
    let vms: Vec<i64> = rows
        .map(|row| row.expect("a sound row").get_long(2).expect("a number"))
        .collect();
    let log = &results[0].outcome.log;
    let expected: Vec<i64> = log.iter().map(|entry| i64::from(entry.vm)).collect();
    assert_eq!(vms, expected);
}

/// The same run gives the same bytes in every file but those with wall clocks.
#[test]
fn files_are_the_same_twice() {
    let (_a, first) = written(&run(&["best-fit", "nova"]));
    let (_b, second) = written(&run(&["best-fit", "nova"]));
    let mut compared = 0;
    for entry in fs::read_dir(&first).expect("it was written") {
        let name = entry.expect("it can be read").file_name();
        if name != "run.sqlite" && name != "summary.json" {
            let bytes = |folder: &Path| fs::read(folder.join(&name)).expect("both are there");
            assert!(bytes(&first) == bytes(&second), "{}", name.display());
            compared += 1;
        }
    }
    assert_eq!(compared, 16);
}

/// Plots are whole pictures: SVG with title and policies as text, PNG of the full size.
#[test]
fn plots_are_whole_pictures() {
    let results = run(&["best-fit", "worst-fit"]);
    for plot in PLOTS {
        let svg = plot.svg(&results).expect("it can be drawn");
        assert!(
            svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"),
            "{}",
            plot.name()
        );
        assert!(
            svg.contains("best-fit") && svg.contains("worst-fit"),
            "{}",
            plot.name()
        );
        let bytes = plot.png(&results).expect("it can be drawn");
        let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        let mut reader = decoder.read_info().expect("it is PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("it fits in memory")];
        reader.next_frame(&mut pixels).expect("it is whole");
        assert!(
            pixels.chunks(3).any(|pixel| pixel == [0, 114, 178]),
            "{}",
            plot.name()
        );
    }
    let nothing = PLOTS[0]
        .svg(&[])
        .expect("a plot of nothing is an empty frame");
    assert!(nothing.contains("Allocated"));
}

/// What is no folder of results is refused with a hint, and so is one that lost a table.
#[test]
fn strange_folders_are_not_opened() {
    let (_place, folder) = written(&run(&["best-fit"]));
    let check = |what: &str| {
        let error = open(&folder).expect_err(what).to_string();
        assert!(
            error.contains("run.sqlite") && error.contains("hint: "),
            "{what}: {error}"
        );
    };
    let database = rusqlite::Connection::open(folder.join("run.sqlite")).expect("it is there");
    database.execute("DROP TABLE node", ()).expect("it had one");
    check("a table is missing");
    database
        .pragma_update(None, "user_version", 99)
        .expect("it can be set");
    check("the layout is of the future");
    drop(database);
    fs::write(folder.join("run.sqlite"), "prose").expect("it can be written");
    check("it is no database");
    fs::remove_file(folder.join("run.sqlite")).expect("it is there");
    check("there is none");
}
