//! The configuration: what it may hold, who reads the credentials, how files are called over there.

use agent::driver::Driver;
use libvirt::config::Config;
use libvirt::driver::Libvirt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn written(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
    path
}

/// A faulty file is refused with what was found and what was expected.
#[test]
fn faulty_files_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |text: &str, expected: &str| {
        let path = written(folder.path(), "libvirt.toml", text, 0o644);
        let error = Config::read(&path).expect_err("it is faulty").to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    check(
        "uri = \"xen:///system\"",
        "uri is xen:///system, expected one of",
    );
    check("uri = 7", "expected a string");
    check("", "uri");
    check("uri = \"test:///default\"\npassword = \"p\"", "password");
}

/// A hypervisor that asks who we are is told by the file; wrong answers, none, and files that others
/// may read are refused, and no password is told.
#[test]
fn who_we_are_is_told_when_asked() {
    virt::error::clear_error_callback();
    let folder = tempfile::tempdir().expect("a folder");
    let node = "<node><auth><user password='sesame'>admin</user></auth></node>";
    let node = written(folder.path(), "node.xml", node, 0o600);
    let try_list = |credentials: Option<(&str, u32)>| {
        let mut config = Config::of(&format!("test://{}", node.display()));
        config.credentials = credentials.map(|(password, mode)| {
            let told = format!(
                "[credentials-grid]\nusername=admin\npassword={password}\n\n\
                 [auth-test-default]\ncredentials=grid\n"
            );
            written(folder.path(), "who we are?", &told, mode)
        });
        let driver = Libvirt::open(config, &folder.path().join("driver")).expect("a driver");
        driver.list().map_err(|error| error.to_string())
    };
    assert_eq!(try_list(Some(("sesame", 0o600))), Ok(vec![]));
    let check = |credentials, expected: &[&str]| {
        let error = try_list(credentials).expect_err("nobody is let in");
        assert!(expected.iter().all(|part| error.contains(part)), "{error}");
        assert!(
            !error.contains("sesame") && !error.contains("other-word"),
            "{error}"
        );
    };
    check(None, &["authentication", "set credentials"]);
    check(
        Some(("other-word", 0o600)),
        &["authentication", "set credentials"],
    );
    check(
        Some(("sesame", 0o640)),
        &["who we are?: its mode is 640, expected 600"],
    );
}

/// Files are called as the hypervisor's machine sees them; one that it does not see is refused.
#[test]
fn files_are_named_as_they_are_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "uri = \"esx://far\"\n[[share]]\nhere = \"/srv/grid\"\nthere = \"[grid] \"\n\
                [[share]]\nhere = \"/srv\"\nthere = \"/mnt/srv/\"\n";
    let config = Config::read(&written(folder.path(), "libvirt.toml", text, 0o644));
    let config = config.expect("a configuration");
    let there = |path: &str| config.there("disks[0].path", Path::new(path));
    assert_eq!(
        there("/srv/grid/vm-7/a.raw"),
        Ok("[grid] vm-7/a.raw".into())
    );
    assert_eq!(there("/srv/other/a.raw"), Ok("/mnt/srv/other/a.raw".into()));
    let error = there("/var/a.raw")
        .expect_err("it is not shared")
        .to_string();
    let expected = "disks[0].path is /var/a.raw, expected a file below /srv/grid or /srv";
    assert_eq!(error, expected);
}
