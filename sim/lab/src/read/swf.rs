//! The Standard Workload Format of the Parallel Workloads Archive (Chapin et al. 1999, version 2.2): one line a job.
//!
//! A line has 18 numbers between blanks, -1 where one is unknown; a line that starts with `;` is a comment. A job becomes
//! one VM: it arrives when it was submitted (2), runs as long as it ran (4), or where that is unknown as long as was
//! asked for (9); its cores are the processors asked for (8), or else given (5); its memory is that asked for (10), or
//! else used (7), in KB for each processor; its tenant is the user (12). Jobs with neither processors nor run time were
//! cancelled before their start, and of those without a submit time nobody knows when they came: both are left out, and
//! the trace's notes tell how many.

use super::builder::Builder;
use super::error::{ReadError, fault, fault_of};
use super::lines::Lines;
use super::source::Source;
use super::table::{decimal, most_units};
use capacity::trace::{Trace, VmRequest};
use model::time::{Span, Time};
use model::units::Resources;

const FIELDS: usize = 18;

/// What the numbers of a line are, by place.
const NAMES: [&str; FIELDS] = [
    "job_number",
    "submit_time",
    "wait_time",
    "run_time",
    "allocated_processors",
    "average_cpu_time",
    "used_memory",
    "requested_processors",
    "requested_time",
    "requested_memory",
    "status",
    "user_id",
    "group_id",
    "executable",
    "queue",
    "partition",
    "preceding_job",
    "think_time",
];

/// Whether a head is of this format.
pub(crate) fn knows(head: &[u8]) -> bool {
    let mut lines = head.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
    first.starts_with(b";") || numbers(first).is_some_and(|n| n.len() == FIELDS)
}

pub(crate) fn read(source: Source<'_>) -> Result<Trace, ReadError> {
    let mut lines = Lines::of(source);
    let mut builder = Builder::new(lines.file());
    let mut left_out = 0_u64;
    while lines.advance()? {
        if lines.line().starts_with(b";") {
            continue;
        }
        let job = Job::parse(lines.file(), lines.number(), lines.line())?;
        match job.request(&mut builder)? {
            Some(request) => {
                let name = job.field(1).to_string();
                builder.push(Some(&name), request);
            }
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        builder.note(format!(
            "jobs without submit time, processors or run time are left out: {left_out}"
        ));
    }
    builder.finish()
}

fn numbers(text: &[u8]) -> Option<Vec<f64>> {
    let words = text.split(u8::is_ascii_whitespace);
    words.filter(|word| !word.is_empty()).map(decimal).collect()
}

/// A line's numbers, and where it stands.
struct Job<'a> {
    file: &'a str,
    line: u64,
    fields: [f64; FIELDS],
}

impl<'a> Job<'a> {
    fn parse(file: &'a str, line: u64, text: &[u8]) -> Result<Self, ReadError> {
        let words: Vec<&[u8]> = text
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .collect();
        if words.len() != FIELDS {
            let found = format!("{} numbers", words.len());
            return Err(fault_of(file, line, "", found, format!("{FIELDS}")));
        }
        let mut fields = [0.0; FIELDS];
        for (place, word) in words.into_iter().enumerate() {
            fields[place] =
                decimal(word).ok_or_else(|| fault(file, line, NAMES[place], word, "a number"))?;
        }
        Ok(Self { file, line, fields })
    }

    /// A number, by its place from 1, as the format's definition counts.
    fn field(&self, place: usize) -> f64 {
        self.fields[place - 1]
    }

    /// The first known one of several numbers, which is at least `least`.
    fn known(&self, places: [usize; 2], least: f64) -> Option<(usize, f64)> {
        let known = |place: &usize| self.field(*place) >= least;
        let place = places.into_iter().find(known)?;
        Some((place, self.field(place)))
    }

    /// The VM of this job; `None` where it never ran, or came nobody knows when.
    fn request(&self, builder: &mut Builder) -> Result<Option<VmRequest>, ReadError> {
        // No processors are as good as unknown ones: those given tell more.
        let (Some((lasted, seconds)), Some((place, processors))) =
            (self.known([4, 9], 0.0), self.known([8, 5], 1.0))
        else {
            return Ok(None);
        };
        if self.field(2) < 0.0 {
            return Ok(None);
        }
        let cpu_milli = self.quantity(place, processors * 1e3, "processors")?;
        let mem_mib = match self.known([10, 7], 0.0) {
            Some((place, kb)) => self.quantity(place, kb * processors / 1024.0, "KB")?,
            None => 0,
        };
        let user = self.field(12).to_string();
        let user = if self.field(12) < 0.0 {
            "unknown"
        } else {
            &user
        };
        Ok(Some(VmRequest {
            arrival: Time(self.millis(2, self.field(2))?),
            duration: Some(Span(self.millis(lasted, seconds)?)),
            shape: builder.plain_shape(Resources::cpu_mem(cpu_milli, mem_mib)),
            tenant: builder.tenant(user.as_bytes()),
            priority: 0,
            group: None,
        }))
    }

    fn millis(&self, place: usize, seconds: f64) -> Result<i64, ReadError> {
        super::table::whole_millis(seconds * 1e3)
            .ok_or_else(|| self.fault(place, &format!("a number of seconds{}", most_units(1e3))))
    }

    fn quantity(&self, place: usize, quantity: f64, unit: &str) -> Result<u32, ReadError> {
        if quantity <= f64::from(u32::MAX) {
            Ok(quantity.ceil() as u32)
        } else {
            Err(self.fault(place, &format!("a number of {unit} that a grid could have")))
        }
    }

    fn fault(&self, place: usize, expected: &str) -> ReadError {
        let found = format!("{:?}", self.field(place));
        fault(
            self.file,
            self.line,
            NAMES[place - 1],
            found.as_bytes(),
            expected,
        )
    }
}
