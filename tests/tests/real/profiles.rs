//! The shipped profiles tell of each hypervisor what its driver does.

use agent::driver::Driver;
use drivers::incus::{Incus, Server};
use drivers::uml::Uml;
use drivers::xen::Xen;
use model::hypervisor::Hypervisor;
use std::collections::BTreeSet;
use std::path::Path;

/// The profile of a driver's name declares exactly the driver's capabilities.
#[test]
fn profiles_declare_what_drivers_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let uml = Uml::open(folder.path(), Path::new("linux.uml")).expect("a driver");
    let xen = Xen::open(folder.path(), "xl").expect("a driver");
    let incus = Incus::new(Server {
        socket: folder.path().join("none"),
        logs: folder.path().to_owned(),
        pool: "default".into(),
    });
    for driver in [&uml as &dyn Driver, &incus, &xen] {
        let name = driver.name();
        let profile = Hypervisor::known(name).unwrap_or_else(|| panic!("no profile {name}"));
        let declared: BTreeSet<_> = profile.capabilities.iter().collect();
        let done = driver.capabilities();
        assert_eq!(
            declared,
            done.iter().collect(),
            "assets/hypervisors/{name}.toml"
        );
    }
}
