//! The kit itself: a driver that is right passes, and one that is wrong is told in what.

use std::path::Path;
use std::process::Command;

/// Runs the kit over a driver of records, right or wrong in one way; gives whether it passed, and
/// all that was said.
fn kit(way: &str) -> (bool, String) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kit");
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let program = Path::new(env!("CARGO_BIN_EXE_gridwright-driver-kit"));
    let driver = program.with_file_name("examples").join("records");
    assert!(driver.exists(), "examples are built by `cargo test -p kit`");
    let out = Command::new(program)
        .arg("--machine")
        .arg(here.join("machine.sh"))
        .arg("--scratch")
        .arg(scratch.path().join("kit"))
        .arg(driver)
        .arg(way)
        .output()
        .expect("the kit runs");
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (out.status.success(), said)
}

/// A driver that is right passes every check.
#[test]
fn what_is_right_passes() {
    let (passed, said) = kit("right");
    assert!(passed && said.contains("conforms"), "{said}");
}

/// Each wrong driver is stopped by the check that is there for it.
#[test]
fn what_is_wrong_is_told() {
    let check = |way: &str, expected: &str| {
        let (passed, said) = kit(way);
        assert!(!passed && said.contains(expected), "{way}: {said}");
    };
    check("boasts", "Copy");
    check("forgets", "the VM was touched");
    check("hides", "told []");
    check("refuses-repeats", "pause a VM twice");
    // It is seen where the program dies after it said that it was half done.
    check("loses", "it is None, expected one of");
}
