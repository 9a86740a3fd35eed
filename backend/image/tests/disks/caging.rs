//! The cage: a customer's script is the most hostile program that ever runs in it.

use crate::scripted;
use agent::watch::Unwatched;

fn build(script: &str) -> Result<String, String> {
    scripted::build(script, &Unwatched)
}

/// A script sees the guest's files and no other, no network, no other process, and is nobody on the
/// node; what it wrote is on the disk.
#[test]
fn a_script_sees_nothing_of_the_node() {
    let said = build(
        "{ echo files=$(ls / | tr '\\n' ' ')\n\
         echo node=$(cat /etc/debian_version /root/.profile 2>/dev/null | wc -c)\n\
         echo interfaces=$(ls /sys/class/net 2>/dev/null; grep -c : /proc/net/dev)\n\
         echo processes=$(ls /proc | grep -c '^[0-9]')\n\
         nc -w 1 127.0.0.1 22 </dev/null && echo reached\n\
         echo mapped=$(awk '{print $2}' /proc/self/uid_map)\n\
         } >/result 2>/dev/null",
    )
    .expect("a harmless script");
    let value = |key: &str| {
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{key}: {said}")).to_owned()
    };
    assert!(
        !value("files").contains("usr") && value("files").contains("srv"),
        "{said}"
    );
    assert_eq!(value("node"), "0");
    assert_eq!(value("interfaces"), "1", "the loopback of its own alone");
    assert!(
        value("processes").parse::<u32>().expect("a number") < 12,
        "{said}"
    );
    assert!(!said.contains("reached"), "{said}");
    assert_ne!(value("mapped"), "0", "root inside is not root outside");
}

/// A script that fails, or fills memory or a file without end, ends the build with its name.
#[test]
fn a_script_has_limits() {
    let check = |script: &str| {
        let error = build(script).expect_err(script);
        assert!(
            error.starts_with("refused script it: "),
            "{script}: {error}"
        );
    };
    check("exit 3");
    check("dd if=/dev/zero of=/large bs=1M seek=1100 count=1");
    check("x=x; while :; do x=$x$x; done");
}
