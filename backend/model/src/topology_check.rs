//! The checks that make a topology of a design: each tells what it found, none stops the next.

use crate::design::{Component, Design, Thresholds};
use crate::fault::{Fault, nearest};
use crate::grid::MAX_ACCELERATORS;
use crate::hypervisor::Virtualisation;
use crate::kind::KindForm;
use crate::size::{CPU, MEM, Size};
use crate::toml_reader::{is_name, scaled_range};
use std::collections::{BTreeMap, BTreeSet};

/// The most components of a design; a drawing of more is one that a program made by mistake.
pub const MAX_COMPONENTS: usize = 1_000;
/// The most instances of a component.
pub const MAX_INSTANCES: u32 = 10_000;
/// The most instances of a design: as many VMs as the largest zones have nodes.
pub const MAX_INSTANCES_IN_ALL: u64 = 100_000;
/// The longest name of a component: with an instance and a part to it, it still is a host name of
/// 63 characters (RFC 1035).
pub const MAX_NAME_CHARS: usize = 40;
/// The most cores of an instance; far more than one node has, since an instance may be split.
const MAX_CPU_MILLI: u32 = 10_000_000;
/// The most memory of an instance: 64 TiB.
const MAX_MEM_MIB: u32 = 64 << 20;
/// The most disk space of an instance: 1 PiB.
const MAX_DISK_GIB: u32 = 1 << 20;
/// The farthest from the canvas's origin, in points.
const MAX_POSITION: f32 = 1e6;

/// All faults of a design, without file and lines.
pub(crate) fn faults(design: &Design) -> Vec<Fault> {
    let mut checks = Checks::default();
    checks.design(design);
    let mut seen = BTreeSet::new();
    for (place, component) in design.components.iter().enumerate() {
        let at = format!("component[{place}]");
        checks.name(&at, &component.name, &mut seen);
        checks.sizes(&at, component);
        checks.names(&at, component);
        checks.beside(&at, component, design);
        if let Some(thresholds) = &component.thresholds {
            checks.thresholds(&format!("{at}.thresholds"), thresholds, component.instances);
        }
    }
    checks.links(design);
    checks.faults
}

#[derive(Default)]
struct Checks {
    faults: Vec<Fault>,
}

impl Checks {
    fn refuse(&mut self, field: &str, found: impl ToString, expected: impl ToString) {
        self.refuse_with_hint(field, found, expected, String::new());
    }

    fn refuse_with_hint(
        &mut self,
        field: &str,
        found: impl ToString,
        expected: impl ToString,
        hint: String,
    ) {
        self.faults.push(Fault {
            field: field.into(),
            found: found.to_string(),
            expected: expected.to_string(),
            hint,
            ..Fault::default()
        });
    }

    /// A number within a range, told in the unit that people write.
    fn range(&mut self, field: String, value: u32, least: u32, most: u32, scale: u32) {
        if (least..=most).contains(&value) {
            return;
        }
        let expected = scaled_range(&(least..=most), scale);
        self.refuse(&field, f64::from(value) / f64::from(scale), expected);
    }

    fn design(&mut self, design: &Design) {
        if !is_name(&design.name) {
            self.refuse("name", format!("{:?}", design.name), "a name");
        }
        if !design.tenant.is_empty() && !is_name(&design.tenant) {
            self.refuse(
                "tenant",
                format!("{:?}", design.tenant),
                "a name, or nothing",
            );
        }
        match design.components.len() {
            0 => self.refuse("component", "no component", "at least one"),
            count if count > MAX_COMPONENTS => self.refuse(
                "component",
                format!("{count} components"),
                format!("at most {MAX_COMPONENTS}"),
            ),
            _ => {}
        }
        let instances = design.components.iter().map(|c| u64::from(c.instances));
        let in_all: u64 = instances.sum();
        if in_all > MAX_INSTANCES_IN_ALL {
            self.refuse(
                "component",
                format!("{in_all} instances in all"),
                format!("at most {MAX_INSTANCES_IN_ALL}"),
            );
        }
    }

    fn name<'d>(&mut self, at: &str, name: &'d str, seen: &mut BTreeSet<&'d str>) {
        let field = format!("{at}.name");
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty()
            || name.len() > MAX_NAME_CHARS
            || !name.chars().all(plain)
            || name.starts_with('-')
            || name.ends_with('-')
        {
            let expected = format!(
                "a name of 1 to {MAX_NAME_CHARS} letters, digits and inner hyphens, from a to z"
            );
            self.refuse(&field, format!("{name:?}"), expected);
        } else if !seen.insert(name) {
            self.refuse(
                &field,
                format!("{name:?} a second time"),
                "a name that no component before has",
            );
        }
    }

    fn sizes(&mut self, at: &str, component: &Component) {
        let field = |key: &str| format!("{at}.{key}");
        // A wire takes nothing of a node.
        let least = match component.kind.defaults().form {
            KindForm::Vms => 1,
            KindForm::Wire => 0,
        };
        self.range(field("instances"), component.instances, 1, MAX_INSTANCES, 1);
        let size = |size: &Size| (field(size.coarse), size.scale);
        let (cpu, scale) = size(&CPU);
        self.range(cpu, component.cpu_milli, least, MAX_CPU_MILLI, scale);
        let (mem, scale) = size(&MEM);
        self.range(mem, component.mem_mib, least, MAX_MEM_MIB, scale);
        self.range(field("disk_gib"), component.disk_gib, 0, MAX_DISK_GIB, 1);
        self.remote_disk(&field("remote_disk_gib"), component);
        self.range(
            field("expected_load_percent"),
            component.expected_load_milli,
            0,
            1_000,
            10,
        );
        let devices = component.accel_milli;
        let most = MAX_ACCELERATORS as u32 * 1_000;
        if devices > most || devices > 1_000 && !devices.is_multiple_of(1_000) {
            self.refuse(
                &field("accelerators"),
                f64::from(devices) / 1_000.0,
                format!("a share of one device below 1, or whole devices up to {MAX_ACCELERATORS}"),
            );
        }
        if devices == 0 && !component.accel_models.is_empty() {
            self.refuse_with_hint(
                &field("accelerator_models"),
                component.accel_models.join(", "),
                "none where no accelerator is asked for",
                "say how many with accelerators".into(),
            );
        }
        if component
            .position
            .iter()
            .any(|p| !p.is_finite() || p.abs() > MAX_POSITION)
        {
            let [x, y] = component.position;
            self.refuse(
                &field("position"),
                format!("[{x}, {y}]"),
                format!("two numbers from -{MAX_POSITION} to {MAX_POSITION}"),
            );
        }
    }

    /// A disk that other nodes lend is never the first of its VM, and a container has none
    /// (`agent::lending::check_extents`).
    fn remote_disk(&mut self, field: &str, component: &Component) {
        let size_gib = component.remote_disk_gib;
        self.range(field.into(), size_gib, 0, MAX_DISK_GIB, 1);
        if size_gib == 0 {
            return;
        }
        if component.kind.defaults().form == KindForm::Wire {
            let expected = format!("0 in a {}, which has no VM", component.kind);
            self.refuse(field, size_gib, expected);
        } else if component.disk_gib == 0 {
            self.refuse_with_hint(
                field,
                format!("{size_gib} beside no other disk"),
                "a disk that is not the first: a VM boots from its own node",
                "ask for the first with disk_gib".into(),
            );
        } else if component.virtualisation == Some(Virtualisation::Container) {
            let expected = "0 in a container, whose disks lie on its own node";
            self.refuse(field, size_gib, expected);
        }
    }

    fn names(&mut self, at: &str, component: &Component) {
        if !component.image.is_empty() && !is_name(&component.image) {
            self.refuse(
                &format!("{at}.image"),
                format!("{:?}", component.image),
                "a name, or nothing",
            );
        }
        for (key, names) in [
            ("accelerator_models", &component.accel_models),
            ("add_applications", &component.add_applications),
            ("remove_applications", &component.remove_applications),
            ("licences", &component.licences),
            ("sites", &component.sites),
        ] {
            for (place, name) in names.iter().enumerate() {
                if !is_name(name) {
                    self.refuse(
                        &format!("{at}.{key}[{place}]"),
                        format!("{name:?}"),
                        "a name",
                    );
                }
            }
        }
        for (place, name) in component.remove_applications.iter().enumerate() {
            if component.add_applications.contains(name) {
                self.refuse(
                    &format!("{at}.remove_applications[{place}]"),
                    format!("{name:?}, which is added too"),
                    "an application either added or removed",
                );
            }
        }
        for key in component.parameters.keys() {
            if !is_name(key) {
                self.refuse(&format!("{at}.parameters"), format!("{key:?}"), "a name");
            }
        }
    }

    fn beside(&mut self, at: &str, component: &Component, design: &Design) {
        let Some(beside) = &component.beside else {
            return;
        };
        let field = format!("{at}.beside.component");
        if beside.component == component.name {
            self.refuse(
                &field,
                format!("{:?} itself", component.name),
                "another component",
            );
        } else {
            self.known(&field, &beside.component, design);
        }
    }

    fn known(&mut self, field: &str, name: &str, design: &Design) {
        let names = || design.components.iter().map(|c| c.name.as_str());
        if names().any(|known| known == name) {
            return;
        }
        let hint = nearest(name, names())
            .map_or_else(String::new, |near| format!("did you mean {near:?}?"));
        let known: Vec<&str> = names().collect();
        let expected = match known.len() {
            0 => "a component of the design, which has none".into(),
            // More would hide the hint.
            1..=12 => format!("one of {}", known.join(", ")),
            count => format!("one of the design's {count} components"),
        };
        self.refuse_with_hint(field, format!("{name:?}"), expected, hint);
    }

    fn thresholds(&mut self, at: &str, thresholds: &Thresholds, instances: u32) {
        let field = |key: &str| format!("{at}.{key}");
        let (up, down) = (thresholds.up_cpu_milli, thresholds.down_cpu_milli);
        let (least, most) = (thresholds.min_instances, thresholds.max_instances);
        self.range(field("up_cpu_percent"), up, 1, 1_000, 10);
        self.range(field("min_instances"), least, 1, MAX_INSTANCES, 1);
        self.range(field("max_instances"), most, 1, MAX_INSTANCES, 1);
        if down >= up {
            self.refuse(
                &field("down_cpu_percent"),
                f64::from(down) / 10.0,
                format!("less than up_cpu_percent, {}", f64::from(up) / 10.0),
            );
        }
        if most < least {
            self.refuse(
                &field("max_instances"),
                most,
                format!("at least min_instances, {least}"),
            );
        } else if !(least..=most).contains(&instances) {
            // Told at the thresholds, since the instances were drawn first.
            let key = if instances < least {
                "min_instances"
            } else {
                "max_instances"
            };
            self.refuse(
                &field(key),
                format!("{least} to {most} instances"),
                format!("the component's own {instances} among them"),
            );
        }
    }

    fn links(&mut self, design: &Design) {
        let ports: BTreeMap<&str, u16> = design
            .components
            .iter()
            .map(|c| (c.name.as_str(), c.kind.defaults().port))
            .collect();
        let mut seen = BTreeSet::new();
        for (place, link) in design.links.iter().enumerate() {
            let at = format!("link[{place}]");
            self.known(&format!("{at}.from"), &link.from, design);
            self.known(&format!("{at}.to"), &link.to, design);
            if link.from == link.to {
                self.refuse(
                    &at,
                    format!("a link of {:?} to itself", link.from),
                    "a link between two components",
                );
            }
            let default = ports.get(link.to.as_str()).copied().unwrap_or(0);
            let port = if link.port == 0 { default } else { link.port };
            if !seen.insert((&link.from, &link.to, port)) {
                self.refuse(
                    &at,
                    format!("a second link from {:?} to {:?}", link.from, link.to),
                    "one link of a port between two components",
                );
            }
        }
    }
}
