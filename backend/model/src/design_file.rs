//! Reads design files: every component starts from its kind's defaults, and the file tells the rest.
//!
//! At the top stand `version = 1`, `name` (else the file's), `tenant` and `risk`. Each `[[link]]`
//! has `from`, `to` and, where it is not the default of the accepting kind, `port`. Each
//! `[[component]]` has a `name` and a `kind`; every other key has the default of
//! [`crate::kind::KindDefaults`], or stands for nothing asked:
//!
//! | Key | Is |
//! |---|---|
//! | `instances` | how many equal VMs |
//! | `cpu_cores`, `mem_gib`, `disk_gib`, `disk_iops`, `net_mbps` | size of one instance |
//! | `remote_disk_gib` | a further disk of one instance, joined of volumes that other nodes of its site lend |
//! | `accelerators`, `accelerator_models` | devices of one instance, or a share of one below 1; models any of which will do |
//! | `image`, `guest`, `arch`, `virtualisation` | what it boots, and what that needs |
//! | `add_applications`, `remove_applications`, `parameters` | changes to the image; settings by name |
//! | `licences`, `sites` | what its nodes must have; where they may stand |
//! | `spread` | instances apart by `node`, `rack` or `site` |
//! | `beside` | `{ component, scope }`: near another component |
//! | `work`, `expected_load_percent` | `compute`, `memory`, `disk` or `network`; how busy its vCPUs are |
//! | `highly_available` | restart elsewhere when its node dies |
//! | `thresholds` | `{ up_cpu_percent, down_cpu_percent, min_instances, max_instances }` |
//! | `position` | `[x, y]` on the canvas, in points |

use crate::design::{Beside, Component, ComponentKind, Design, Link, Thresholds};
use crate::fault::{Fault, Faults};
use crate::size::{CPU, MEM, size_from};
use crate::toml_reader::{Table, Value, field_lines, read_leniently, stem};
use crate::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};

/// The version of the format that is read and written.
pub const DESIGN_VERSION: u32 = 1;
/// The longest value of an application's setting; a longer one belongs into a file of the image.
pub const MAX_PARAMETER_CHARS: usize = 4_096;

const TOP_KEYS: &[&str] = &["version", "name", "tenant", "risk", "component", "link"];
const COMPONENT_KEYS: &[&str] = &[
    "name",
    "kind",
    "instances",
    "cpu_cores",
    "cpu_milli",
    "mem_gib",
    "mem_mib",
    "disk_gib",
    "remote_disk_gib",
    "disk_iops",
    "net_mbps",
    "accelerators",
    "accelerator_models",
    "image",
    "guest",
    "arch",
    "virtualisation",
    "add_applications",
    "remove_applications",
    "licences",
    "sites",
    "spread",
    "beside",
    "work",
    "expected_load_percent",
    "highly_available",
    "thresholds",
    "parameters",
    "position",
];
const LINK_KEYS: &[&str] = &["from", "to", "port"];

/// Reads a design, right or wrong, as long as every field holds what its kind of field may hold.
/// A dangling link, say, is read: the designer shows it, and [`Topology::check`] refuses it.
///
/// ```
/// let design = model::design_file::read_design("shop.toml", r#"
///     [[component]]
///     name = "web"
///     kind = "web-server"      # everything else has the kind's default
///
///     [[link]]
///     from = "web"
///     to = "db"
/// "#).expect("a drawing");
/// assert_eq!(design.components[0].mem_mib, 4_096);
/// ```
///
/// # Errors
/// All faults of the file's form: syntax, unknown keys, wrong types, unknown words.
pub fn read_design(file: &str, text: &str) -> Result<Design, Faults> {
    let (design, faults) = read_drawing(file, text);
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    Ok(design.expect("a drawing without faults is there"))
}

/// Reads a design and checks it.
///
/// # Errors
/// All faults with their lines, of the file's form and of the design.
pub fn check_design(file: &str, text: &str) -> Result<Topology, Faults> {
    let (design, mut faults) = read_drawing(file, text);
    let Some(design) = design else {
        return Err(Faults(faults));
    };
    let checked = match Topology::check(&design) {
        Ok(topology) if faults.is_empty() => return Ok(topology),
        Ok(_) => Vec::new(),
        Err(Faults(checked)) => checked,
    };
    // Where a field could not be read, the drawing has a default, of which nothing is to be told.
    let unread: BTreeSet<String> = faults.iter().map(|fault| fault.field.clone()).collect();
    let lines = field_lines(text);
    for fault in checked {
        if !unread.contains(&fault.field) {
            faults.push(Fault {
                file: file.into(),
                line: line_of(&lines, &fault.field),
                ..fault
            });
        }
    }
    faults.sort_by_key(|fault| fault.line);
    Err(Faults(faults))
}

/// The line of a field, or of the nearest table around it; 0 where there is none.
fn line_of(lines: &BTreeMap<String, u32>, field: &str) -> u32 {
    let mut path = field;
    loop {
        if let Some(line) = lines.get(path) {
            return *line;
        }
        match path.rfind(['.', '[']) {
            Some(end) => path = &path[..end],
            None => return 0,
        }
    }
}

fn read_drawing(file: &str, text: &str) -> (Option<Design>, Vec<Fault>) {
    read_leniently(file, text, TOP_KEYS, |top| {
        top.version(DESIGN_VERSION);
        Some(Design {
            name: top
                .optional("name", |v| v.text())
                .unwrap_or_else(|| stem(file, "design")),
            tenant: top.optional("tenant", |v| v.text()).unwrap_or_default(),
            risk: top.optional("risk", |v| v.word()),
            components: top.tables("component", COMPONENT_KEYS, |table| Some(component(table))),
            links: top.tables("link", LINK_KEYS, |table| Some(link(table))),
        })
    })
}

/// A component; faulty fields have their defaults, so that those after them are read too.
fn component(table: &Table<'_>) -> Component {
    let name = table.optional("name", |v| v.text()).unwrap_or_default();
    let kind = table.required("kind", |v| v.word::<ComponentKind>());
    let base = Component::new(kind.unwrap_or(ComponentKind::ApplicationServer), &name);
    let any = |key, otherwise: u32| {
        let read = table.optional(key, |v| v.whole(0..=u32::MAX));
        read.unwrap_or(otherwise)
    };
    let texts = |key, otherwise: &[String]| {
        let read = table.optional(key, |v| v.list(|item| item.text()));
        read.unwrap_or_else(|| otherwise.to_vec())
    };
    Component {
        instances: any("instances", base.instances),
        cpu_milli: size_from(table, &CPU, 0).unwrap_or(base.cpu_milli),
        mem_mib: size_from(table, &MEM, 0).unwrap_or(base.mem_mib),
        disk_gib: any("disk_gib", base.disk_gib),
        remote_disk_gib: any("remote_disk_gib", base.remote_disk_gib),
        disk_iops: any("disk_iops", base.disk_iops),
        net_mbps: any("net_mbps", base.net_mbps),
        accel_milli: table
            .optional("accelerators", |v| v.scaled(1_000, 0..=u32::MAX))
            .unwrap_or(0),
        accel_models: texts("accelerator_models", &[]),
        image: table.optional("image", |v| v.text()).unwrap_or_default(),
        guest: table.optional("guest", |v| v.word()).unwrap_or(base.guest),
        arch: table.optional("arch", |v| v.word()),
        virtualisation: table.optional("virtualisation", |v| v.word()),
        add_applications: texts("add_applications", &base.add_applications),
        remove_applications: texts("remove_applications", &[]),
        licences: texts("licences", &[]),
        sites: texts("sites", &[]),
        spread: table.optional("spread", |v| v.word()),
        beside: table.optional("beside", beside),
        work: table.optional("work", |v| v.word()).unwrap_or(base.work),
        expected_load_milli: table
            .optional("expected_load_percent", |v| v.scaled(10, 0..=u32::MAX))
            .unwrap_or(base.expected_load_milli),
        highly_available: table
            .optional("highly_available", |v| v.switch())
            .unwrap_or(base.highly_available),
        thresholds: table.optional("thresholds", thresholds),
        parameters: table
            .optional("parameters", |v| {
                v.map(|item| item.text_within(MAX_PARAMETER_CHARS))
            })
            .unwrap_or_default(),
        position: table
            .optional("position", position)
            .unwrap_or(base.position),
        ..base
    }
}

fn link(table: &Table<'_>) -> Link {
    Link {
        from: table.required("from", |v| v.text()).unwrap_or_default(),
        to: table.required("to", |v| v.text()).unwrap_or_default(),
        port: table
            .optional("port", |v| v.whole(1..=u32::from(u16::MAX)))
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or(0),
    }
}

fn beside(value: &Value<'_>) -> Option<Beside> {
    value.table(&["component", "scope"], |table| {
        let component = table.required("component", |v| v.text());
        let scope = table.required("scope", |v| v.word());
        Some(Beside {
            component: component?,
            scope: scope?,
        })
    })
}

fn thresholds(value: &Value<'_>) -> Option<Thresholds> {
    const KEYS: &[&str] = &[
        "up_cpu_percent",
        "down_cpu_percent",
        "min_instances",
        "max_instances",
    ];
    value.table(KEYS, |table| {
        let percent = |key| table.required(key, |v| v.scaled(10, 0..=u32::MAX));
        let count = |key| table.required(key, |v| v.whole(0..=u32::MAX));
        let (up, down) = (percent("up_cpu_percent"), percent("down_cpu_percent"));
        let (least, most) = (count("min_instances"), count("max_instances"));
        Some(Thresholds {
            up_cpu_milli: up?,
            down_cpu_milli: down?,
            min_instances: least?,
            max_instances: most?,
        })
    })
}

fn position(value: &Value<'_>) -> Option<[f32; 2]> {
    let numbers = value.list(|item| item.number(f64::from(f32::MIN)..=f64::from(f32::MAX)))?;
    let Ok([x, y]) = <[f64; 2]>::try_from(numbers) else {
        value.refuse(&value.found(), "a list of two numbers");
        return None;
    };
    Some([x as f32, y as f32])
}
