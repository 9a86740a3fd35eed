//! What xl prints: recorded from Xen 4.17, and whatever else.

use drivers::xen::console::folder_of;
use drivers::xen::told::{Doing, Domain, MOST_BYTES, Reason, domains, info, vcpus};
use proptest::prelude::*;
use std::path::PathBuf;

const PAUSED: &str = include_str!("told/paused");
const CRASHED: &str = include_str!("told/crashed");
const VCPUS: &str = include_str!("told/vcpus");
const INFO: &str = include_str!("told/info");

/// Domains as Xen told of them, one paused, one crashed.
#[test]
fn recorded_domains_are_read() {
    let read = domains(PAUSED);
    let names: Vec<_> = read.iter().map(|domain| domain.name.as_str()).collect();
    assert_eq!(names, ["Domain-0", "u1"]);
    assert_eq!((read[0].id, read[0].doing), (0, Doing::Runs));
    assert_eq!(
        read[1],
        Domain {
            name: "u1".into(),
            id: 1,
            mem_mib: 192,
            cpus: 1,
            doing: Doing::Paused,
            cpu_seconds: 24.2,
            uuid: "8ec7eb0d-9937-4f33-b452-607977a986cf".into(),
        }
    );
    let crashed = &domains(CRASHED)[1];
    assert_eq!(
        (crashed.doing, crashed.cpus, crashed.mem_mib),
        (Doing::Shut(Reason::Crash), 2, 160)
    );
}

/// Reasons of those that have shut themselves down.
#[test]
fn reasons_are_told_apart() {
    for (flags, reason, expected) in [
        ("---s--", "0", Doing::Shut(Reason::Poweroff)),
        ("---s--", "1", Doing::Shut(Reason::Reboot)),
        ("---s--", "2", Doing::Shut(Reason::Suspend)),
        ("---s--", "9", Doing::Shut(Reason::Crash)),
        ("--ps-d", "0", Doing::Dying),
        ("------", "-", Doing::Runs),
        ("-b----", "-", Doing::Runs),
    ] {
        let text = CRASHED
            .replace("---sc-", flags)
            .replace("  3  ", &format!("  {reason}  "));
        assert_eq!(domains(&text)[1].doing, expected, "{flags} {reason}");
    }
}

/// Processor time of the vCPUs that are online, of the domain that was asked for.
#[test]
fn recorded_vcpus_are_read() {
    assert_eq!(vcpus(VCPUS, "u1"), [(0, 26.5)]);
    assert_eq!(vcpus(VCPUS, "Domain-0"), [(0, 157.5)]);
    assert_eq!(vcpus(VCPUS, "u"), []);
}

/// Fields of Xen's account of itself.
#[test]
fn recorded_info_is_read() {
    assert_eq!(info(INFO, "xen_version"), Some("4.17.7"));
    assert_eq!(info(INFO, "free_memory"), Some("1324"));
    assert!(info(INFO, "xen_caps").is_some_and(|caps| caps.contains("xen-3.0-x86_64")));
    assert_eq!(info(INFO, "xen"), None);
}

/// Logs of guests' consoles are kept where xenconsoled was told so, and where it was told.
#[test]
fn console_folders_are_found() {
    let check = |line: &str, expected: Option<&str>| {
        let line = line.replace(' ', "\0");
        assert_eq!(
            folder_of(line.as_bytes()),
            expected.map(PathBuf::from),
            "{line}"
        );
    };
    check(
        "/usr/lib/xen-4.17/bin/xenconsoled --log=guest",
        Some("/var/log/xen/console"),
    );
    check("xenconsoled --log=all --log-dir=/logs", Some("/logs"));
    check("xenconsoled --log=hv --log-dir=/logs", None);
    check("xenconsoled", None);
    check("vi xenconsoled --log=guest", None);
}

/// A row as xl formats it, `print_domain` and `list_domains` of its source.
fn row(domain: &Domain, flags: &str, reason: &str) -> String {
    format!(
        "{:<40} {:>5} {:>5} {:>5}     {flags}  {:>8.1} {} {reason:>16} {:>16}\n",
        domain.name, domain.id, domain.mem_mib, domain.cpus, domain.cpu_seconds, domain.uuid, "-",
    )
}

prop_compose! {
    fn any_domain()(
        name in "[!-~][ -~]{0,80}[!-~]|[!-~]",
        id: u32,
        mem_mib: u32,
        cpus in 0..5000_u32,
        tenths in 0..u64::from(u32::MAX),
        uuid: u128,
        doing in prop_oneof![
            Just((Doing::Runs, "r-----", "-")),
            Just((Doing::Paused, "--p---", "-")),
            Just((Doing::Shut(Reason::Poweroff), "---s--", "0")),
            Just((Doing::Dying, "--ps-d", "0")),
        ],
    ) -> (Domain, String) {
        let hex = format!("{uuid:032x}");
        let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        let cpu_seconds = tenths as f64 / 10.0;
        let (doing, flags, reason) = doing;
        let domain = Domain { name, id, mem_mib, cpus, doing, cpu_seconds, uuid };
        let row = row(&domain, flags, reason);
        (domain, row)
    }
}

proptest! {
    /// Whatever domains are called, each row is read as the domain that it is.
    #[test]
    fn hostile_names_change_no_column(all in proptest::collection::vec(any_domain(), 0..8)) {
        let head = PAUSED.lines().next().expect("a heading");
        let rows: String = all.iter().map(|(_, row)| row.as_str()).collect();
        let read = domains(&format!("{head}\n{rows}"));
        let expected: Vec<_> = all.into_iter().map(|(domain, _)| domain).collect();
        prop_assert_eq!(read, expected);
    }

    /// Recorded answers with bytes changed, cut off and added are read without a panic, and no
    /// domain has a UUID that is none.
    #[test]
    fn damaged_answers_are_read(
        which in 0..4_usize,
        changes in proptest::collection::vec((any::<usize>(), any::<char>()), 0..20),
        length in any::<usize>(),
    ) {
        let text = [PAUSED, CRASHED, VCPUS, INFO][which];
        let mut chars: Vec<char> = text.chars().collect();
        for (at, change) in changes {
            let at = at % chars.len();
            chars[at] = change;
        }
        chars.truncate(length % (chars.len() + 1));
        let text: String = chars.into_iter().collect();
        for domain in domains(&text) {
            prop_assert_eq!(domain.uuid.len(), 36);
            prop_assert!(domain.cpu_seconds >= 0.0);
        }
        vcpus(&text, "u1");
        info(&text, "xen_version");
    }
}

/// Of an endless answer the beginning is read, and no half row of it.
#[test]
fn endless_answers_are_cut_off() {
    let row = PAUSED.lines().nth(2).expect("a domain");
    let text = format!("{row}\n").repeat(MOST_BYTES / row.len() + 10);
    let read = domains(&text);
    assert!(read.len() <= MOST_BYTES / row.len());
    assert!(read.iter().all(|domain| domain.name == "u1"));
}
