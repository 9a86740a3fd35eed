//! The verbs that ask a controller, where there is none.

use crate::program::Place;

/// Every verb has its help, which also shows that its arguments go together.
#[test]
fn every_verb_tells_what_it_takes() {
    let folder = Place::new();
    for verb in [
        "join",
        "node",
        "node drain",
        "vm",
        "vm stop",
        "vm why",
        "vm move",
        "design",
        "design deploy",
        "operation",
        "operation show",
        "event",
        "peer",
        "peer revoke",
    ] {
        let ran = folder.run(&format!("{verb} --help"));
        assert_eq!(ran.code, Some(0), "{verb}: {}", ran.err);
        assert!(ran.out.contains("--folder"), "{verb}: {}", ran.out);
    }
}

/// Whoever has not joined is told how to, whatever was asked.
#[test]
fn whoever_has_not_joined_is_told_how_to() {
    let folder = Place::new();
    for verb in [
        "node list",
        "node drain north-0",
        "vm list",
        "vm start web-0",
        "vm why web-0",
        "design list",
        "design withdraw shop",
        "operation show 7",
        "event",
        "peer list",
    ] {
        let ran = folder.run(&format!("{verb} --folder nobody"));
        assert_eq!(ran.code, Some(1), "{verb}: {}", ran.err);
        assert!(
            ran.err.contains("hint: join one by `gridwright join"),
            "{verb}: {}",
            ran.err
        );
    }
}

/// What is no token is not taken for one, and not repeated; nor is anything kept where nobody listens.
#[test]
fn what_is_no_token_is_refused() {
    let folder = Place::new();
    let ran = folder.run("join 127.0.0.1:1 secret --folder mine");
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(
        ran.err.contains("this is no token") && !ran.err.contains("secret"),
        "{}",
        ran.err
    );
    let token = format!("{}.{}", "ab".repeat(32), "cd".repeat(16));
    let ran = folder.run(&format!("join 127.0.0.1:1 {token} --folder mine"));
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("controller at 127.0.0.1:1"), "{}", ran.err);
    assert!(!folder.path().join("mine/controller.toml").exists());
}
