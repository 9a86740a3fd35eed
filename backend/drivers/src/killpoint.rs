//! Points at which a test kills this process, as if by `kill -9`.
//!
//! They are there in debug builds alone: nothing has to be remembered to test them, and no release
//! can be killed by its environment.

/// The number of the point at which to be killed, from 1, or its name; unset: at none.
pub const VARIABLE: &str = "GRIDWRIGHT_KILL_AT";

/// Passes a point; in a debug build the process may end here, with its name as its last word.
#[cfg(debug_assertions)]
pub fn pass(name: impl Fn() -> String) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: AtomicU64 = AtomicU64::new(0);
    static KILL_AT: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(VARIABLE).ok());
    let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    let is_here = |at: &String| *at == number.to_string() || *at == name();
    if KILL_AT.as_ref().is_some_and(is_here) {
        eprintln!("killed at point {number}, {}", name());
        let own = rustix::process::getpid();
        // SIGKILL leaves no time for anything; where it is refused, abort is as sudden.
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        std::process::abort();
    }
}

/// Passes a point; nothing happens in a release.
#[cfg(not(debug_assertions))]
pub fn pass(_name: impl Fn() -> String) {}

/// Does something between two points, before and after it.
pub fn around<T>(name: impl Fn() -> String, does: impl FnOnce() -> T) -> T {
    pass(|| format!("before {}", name()));
    let done = does();
    pass(|| format!("after {}", name()));
    done
}
