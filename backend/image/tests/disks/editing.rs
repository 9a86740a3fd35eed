//! Edits of ext4 images without mounting them.

use crate::scratch::{at, cat, folder, run, small_guest};
use agent::edit::Edit;
use agent::watch::Unwatched;
use image::customise::customise;
use image::error::Error;
use model::blueprint::User;

fn edits() -> Vec<Edit> {
    vec![
        Edit::file("/etc/hostname", "after\n", 0o644),
        Edit::Line {
            path: "/etc/hosts".to_owned(),
            beginning: "127.0.1.1".to_owned(),
            line: "127.0.1.1\tafter".to_owned(),
        },
        Edit::file("/srv/deep er/page", "a page\n", 0o600),
        Edit::User {
            user: User {
                name: "bob".to_owned(),
                ssh_keys: vec!["ssh-ed25519 AAAA bob".to_owned()],
            },
        },
    ]
}

/// Names, users and files are changed with the modes and owners they should have, the original is
/// not, and the file system has no fault; alone in its file as well as behind a partition table.
#[test]
fn an_image_is_edited_in_a_copy() {
    for offset in [0, 1 << 20] {
        let folder = folder();
        let guest = small_guest(folder.path(), offset);
        if offset > 0 {
            let name = guest.to_str().expect("a plain path");
            run(
                "sh",
                &[
                    "-c",
                    &format!("echo 2048,,83,* | sfdisk -q --no-reread {name}"),
                ],
            );
        }
        let copy = folder.path().join("copy.raw");
        customise(&guest, &copy, &edits(), &Unwatched).expect("a good edit");

        let offset = format!("offset={offset}");
        let (before, after) = (at(&guest, &offset), at(&copy, &offset));
        run("e2fsck", &["-fn", &after]);
        assert_eq!(cat(&before, "/etc/hostname"), "before\n");
        assert_eq!(cat(&after, "/etc/hostname"), "after\n");
        assert_eq!(
            cat(&after, "/etc/hosts"),
            "127.0.0.1\tlocalhost\n127.0.1.1\tafter\n"
        );
        assert_eq!(cat(&after, "\"/srv/deep er/page\""), "a page\n");
        assert!(cat(&after, "/etc/passwd").ends_with("bob:x:1001:1001::/home/bob:/bin/sh\n"));
        assert!(cat(&after, "/etc/shadow").ends_with("bob:*:::::::\n"));
        for (path, expected) in [
            ("/etc/shadow", "0640 0 42"),
            ("\"/srv/deep er/page\"", "0600 0 0"),
            ("/home/bob/.ssh", "0700 1001 1001"),
            ("/home/bob/.ssh/authorized_keys", "0600 1001 1001"),
        ] {
            assert_eq!(access(&after, path), expected, "{path}");
        }
    }
}

/// An edit that cannot be made leaves no copy behind, and its error says which.
#[test]
fn an_impossible_edit_leaves_nothing() {
    let folder = folder();
    let guest = small_guest(folder.path(), 0);
    let copy = folder.path().join("copy.raw");
    let check = |edit: Edit, expected: &str| {
        let error = customise(&guest, &copy, &[edit], &Unwatched).expect_err("impossible");
        assert_eq!(error.to_string(), expected);
        assert!(!copy.exists());
    };
    check(
        Edit::file("/etc", "", 0o644),
        "refused /etc: there is a folder of that name",
    );
    check(
        Edit::file("/etc/hostname/below", "", 0o644),
        "refused /etc/hostname: there is a file of that name",
    );
    check(
        Edit::file("/etc/../shadow", "", 0o644),
        "\"/etc/../shadow\" is no path of a guest\nhint: absolute, without .. and quotes",
    );
    check(
        Edit::file("/a\"\nwrite /etc/shadow \"/b", "", 0o644),
        "\"/a\\\"\\nwrite /etc/shadow \\\"/b\" is no path of a guest\nhint: absolute, without .. and quotes",
    );
}

/// What does not fit is told, rather than cut off.
#[test]
fn a_full_file_system_is_told() {
    let folder = folder();
    let guest = small_guest(folder.path(), 0);
    let large = "x".repeat(40 << 20);
    let copy = folder.path().join("copy.raw");
    let edits = [Edit::file("/large", large, 0o644)];
    let error = customise(&guest, &copy, &edits, &Unwatched).expect_err("no room");
    assert!(
        matches!(&error, Error::Refused { why, .. } if why.contains("block")),
        "{error}"
    );
    assert!(!copy.exists());
}

fn access(image: &str, path: &str) -> String {
    let stat = run("debugfs", &["-R", &format!("stat {path}"), image]);
    let after = |key: &str| {
        let rest = stat
            .split_once(key)
            .unwrap_or_else(|| panic!("{path}: {stat}"))
            .1;
        rest.split_whitespace().next().expect("a value").to_owned()
    };
    format!("{} {} {}", after("Mode:"), after("User:"), after("Group:"))
}
