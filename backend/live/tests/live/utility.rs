//! The share of a node that its utility VMs have.

use agent::settings::Boot;
use live::config::Config;
use model::fingerprint::Reserved;
use model::time::Time;
use std::fs;
use std::path::Path;

/// Memory and processors of all utility VMs that may run at once come on top of what the agent keeps,
/// each VM with some memory beside its guest's; where KVM does not work they are left out, and so is
/// their share, unless they are forced.
#[test]
fn what_utility_vms_use_is_reserved() {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/utility");
    let modules = fs::read_dir(guests.join("modules")).expect("make guests");
    let modules = modules.flatten().next().expect("a release").path();
    let reserved = |utility: &str| {
        let root = folder.path();
        let file = root.join("agent.toml");
        let text = format!("node = 1\nroot = {root:?}\ndriver = \"uml\"\n{utility}\n");
        fs::write(&file, text).expect("a configuration");
        let mut config = Config::read(&file).expect("a configuration");
        let opened = config.open_utility(|| false).expect("a kernel");
        let boot = Boot {
            id: "this".to_owned(),
            at: Time(0),
        };
        let settings = config.settings(boot).expect("settings");
        (opened.is_some(), settings.reserved)
    };
    let asked = format!(
        "[utility]\nkernel = {:?}\nmodules = {modules:?}\nbusybox = {:?}\n\
         mem_mib = 300\ncpus = 2\nmost = 3",
        guests.join("vmlinuz"),
        guests.join("busybox"),
    );
    let (_, own) = reserved("");
    assert_eq!(reserved(&asked), (false, own));
    let (opened, all) = reserved(&format!("{asked}\nforce = true"));
    assert!(opened);
    let expected = Reserved {
        cpu_milli: own.cpu_milli + 2 * 3 * 1_000,
        mem_mib: own.mem_mib + 3 * (300 + 192),
        ..own
    };
    assert_eq!(all, expected);
}
