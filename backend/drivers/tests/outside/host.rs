//! The agent's side against programs that misbehave: each is told for what it is, and none is left.

use agent::driver::{Act, Driver, DriverError};
use agent::secret::Keys;
use agent::watch::Unwatched;
use drivers::outside::{Limits, Outside, Program};
use model::hypervisor::Capability;
use model::id::VmId;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Says messages of the protocol, in shell; and takes note of each start.
const SAY: &str = r#"
for folder; do :; done
echo $$ >>"$folder/starts"
say() { printf 'Content-Length: %d\r\n\r\n%s' "${#1}" "$1"; }
welcome() { say '{"welcome":{"version":1,"driver":"odd","capabilities":["pause"]}}'; }
# Takes one message: the headers, and then as many bytes as they say.
keep() { read -r _ length && read -r _ && head -c "${length%?}"; }
take() { keep >/dev/null; }
"#;

const LIMITS: Limits = Limits {
    greeting: Duration::from_secs(2),
    question: Duration::from_secs(2),
    act: Duration::from_millis(300),
    grace: Duration::from_millis(300),
};

/// A program in shell, its folder, and how long it may take.
fn start(folder: &Path, script: &str) -> Result<Outside, DriverError> {
    let file = folder.join("program.sh");
    fs::write(&file, format!("{SAY}{script}")).expect("a script");
    Outside::start(Program {
        path: "/bin/sh".into(),
        arguments: vec![file.display().to_string()],
        folder: folder.to_owned(),
        limits: LIMITS,
    })
}

/// The process ids of all starts.
fn starts(folder: &Path) -> Vec<u32> {
    let starts = fs::read_to_string(folder.join("starts")).expect("it was started");
    starts
        .lines()
        .map(|id| id.parse().expect("an id"))
        .collect()
}

fn assert_gone(folder: &Path) {
    for id in starts(folder) {
        let still = Path::new(&format!("/proc/{id}")).exists();
        assert!(!still, "process {id} is left over");
    }
}

fn check_no_start(script: &str, expected: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let told = start(folder.path(), script).expect_err("it is no driver");
    let told = told.to_string();
    assert!(told.contains(expected), "{told}");
    assert_gone(folder.path());
}

/// What cannot be greeted is refused with its reason, and killed.
#[test]
fn no_driver_is_refused() {
    check_no_start("echo hello, world; sleep 100", "hello, world");
    check_no_start(
        "printf 'Content-Length: 99999999\\r\\n\\r\\n'; sleep 100",
        "99999999 bytes",
    );
    check_no_start("say '{\"welcome\":{}}'; sleep 100", "not a message");
    check_no_start(
        "say '{\"refused\":{\"reason\":\"versions 8 to 9\"}}'",
        "versions 8 to 9",
    );
    check_no_start("exit 3", "exit status: 3");
    check_no_start("sleep 100 & sleep 100", "within 2s");
}

/// A program that is not there is told by its name.
#[test]
fn a_missing_program_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program {
        path: "/nowhere/my-driver".into(),
        arguments: Vec::new(),
        folder: folder.path().to_owned(),
        limits: LIMITS,
    };
    let told = Outside::start(program)
        .expect_err("nothing is there")
        .to_string();
    assert!(told.contains("/nowhere/my-driver"), "{told}");
}

/// A program that dies over an act fails it, is started again, and dies over a question twice.
#[test]
fn a_dead_program_is_started_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let driver = start(folder.path(), "take; welcome; take; exit 4").expect("it greets");
    assert_eq!(
        (driver.name(), driver.capabilities()),
        ("odd", vec![Capability::Pause])
    );
    let told = driver.perform(VmId(7), &Act::Start, &Keys::default(), &Unwatched);
    let told = told.expect_err("it dies").to_string();
    assert!(
        told.contains("exit status: 4") && told.contains("driver.log"),
        "{told}"
    );
    assert_eq!(starts(folder.path()).len(), 1, "an act is not asked again");
    driver.list().expect_err("it dies again");
    assert_eq!(
        starts(folder.path()).len(),
        3,
        "a question is asked once more"
    );
    drop(driver);
    assert_gone(folder.path());
}

/// A program that does not answer in time is called off, then killed, then started again.
#[test]
fn a_hanging_program_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = "take; welcome; take; sleep 100 & sleep 100";
    let driver = start(folder.path(), script).expect("it greets");
    let begun = Instant::now();
    let done = driver.perform(VmId(7), &Act::Start, &Keys::default(), &Unwatched);
    let took = begun.elapsed();
    assert!(
        matches!(done, Err(DriverError::CalledOff { .. })),
        "{done:?}"
    );
    assert!(took >= LIMITS.act + LIMITS.grace, "{took:?}");
    assert_gone(folder.path());
    driver.list().expect_err("it hangs again");
    assert_eq!(starts(folder.path()).len(), 2);
}

/// A program that is called off and answers keeps running; the answer counts.
#[test]
fn an_answer_after_the_deadline_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"take; welcome; take; keep >"$folder/cancel"
        say '{"answered":{"id":1,"answer":{"performed":{"state":"running"}}}}'; take"#;
    let driver = start(folder.path(), script).expect("it greets");
    let done = driver.perform(VmId(7), &Act::Start, &Keys::default(), &Unwatched);
    assert!(done.is_ok(), "{done:?}");
    let cancel = fs::read_to_string(folder.path().join("cancel")).expect("it was told");
    assert_eq!(cancel, r#"{"cancel":{"id":1,"why":"expired"}}"#);
    drop(driver);
    assert_gone(folder.path());
}

/// An answer to another question, and words between messages, are told.
#[test]
fn what_means_nothing_is_told() {
    let check = |script: &str, expected: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let driver = start(folder.path(), &format!("take; welcome; {script}")).expect("it greets");
        let told = driver.list().expect_err("no list").to_string();
        assert!(told.contains(expected), "{told}");
    };
    check(
        "take; say '{\"answered\":{\"id\":1,\"answer\":\"valid\"}}'; take",
        "something else",
    );
    check("take; echo oops; take", "oops");
    check("take; welcome; take", "welcomed twice");
}

/// What a program says on its standard error is kept, and does not grow without end.
#[test]
fn the_log_is_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let script =
        r#"echo first >&2; head -c 5000000 /dev/zero >&2; echo last >&2; take; welcome; take"#;
    let driver = start(folder.path(), script).expect("it greets");
    let log = driver.log();
    let begun = Instant::now();
    let kept = loop {
        let kept = fs::read(&log).expect("a log");
        if kept.ends_with(b"last\n") {
            break kept;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the log ends early"
        );
        std::thread::yield_now();
    };
    let old = fs::metadata(log.with_extension("log.old")).expect("the log before");
    assert!(
        kept.len() as u64 + old.len() < (2 << 20) + 8192,
        "{} + {}",
        kept.len(),
        old.len()
    );
}
