//! The rows of a component, by section.

use super::Known;
use crate::window::design::edit::Field;
use crate::window::design::fields::Fields;
use crate::window::design::numbers::{ACCEL, CPU, DISK, INSTANCES, IOPS, MEM, NET, SHARE};
use crate::window::design::typing::Take;
use model::design::{Beside, Component, ComponentKind, Design, Thresholds};
use model::hypervisor::{Arch, Guest, Virtualisation, Work};
use model::kind::DEFAULT_IMAGE;
use model::vm::Scope;
use strum::VariantArray;

pub(super) fn name_row(fields: &mut Fields<'_>, design: &Design) -> egui::Response {
    let place = fields.places[0];
    fields.text(
        "Name",
        "Letters, digits, -",
        Take::WhenLeft,
        |c| c.name.clone(),
        |text| {
            if text.is_empty() {
                return Err("a component needs a name".into());
            }
            if let Some(wrong) = text
                .chars()
                .find(|c| !c.is_ascii_alphanumeric() && *c != '-')
            {
                return Err(format!(
                    "{wrong:?} cannot be in a name; use letters, digits and -"
                ));
            }
            let other = design
                .components
                .iter()
                .enumerate()
                .any(|(at, other)| at != place && other.name == text);
            if other {
                return Err(format!("another component is called {text}"));
            }
            Ok(Field::Name(text.to_owned()))
        },
    )
}

pub(super) fn kind_row(fields: &mut Fields<'_>) {
    let kinds: Vec<_> = ComponentKind::VARIANTS
        .iter()
        .map(|&kind| (kind, kind.defaults().title.to_owned()))
        .collect();
    fields.choice("Kind", &kinds, |c| c.kind, |_, kind| Field::Kind(kind));
}

pub(super) fn size_rows(fields: &mut Fields<'_>, known: &Known) {
    fields.number("Processor", CPU, |c| c.cpu_milli, |_, n| Field::CpuMilli(n));
    fields.number("Memory", MEM, |c| c.mem_mib, |_, n| Field::MemMib(n));
    fields.number("Disk", DISK, |c| c.disk_gib, |_, n| Field::DiskGib(n));
    fields.number(
        "Remote disk",
        DISK,
        |c| c.remote_disk_gib,
        |_, n| Field::RemoteDiskGib(n),
    );
    fields.number(
        "Disk operations",
        IOPS,
        |c| c.disk_iops,
        |_, n| Field::DiskIops(n),
    );
    fields.number("Network", NET, |c| c.net_mbps, |_, n| Field::NetMbps(n));
    fields.number(
        "Accelerators",
        ACCEL,
        |c| c.accel_milli,
        |_, n| Field::AccelMilli(n),
    );
    if fields
        .components
        .iter()
        .any(|c| c.accel_milli > 0 || !c.accel_models.is_empty())
    {
        fields.list(
            "Accelerator models",
            "Any",
            &known.accel_models,
            |c| &c.accel_models,
            Field::AccelModels,
        );
    }
}

pub(super) fn software_rows(fields: &mut Fields<'_>) {
    fields.text(
        "Image",
        DEFAULT_IMAGE,
        Take::AtOnce,
        |c| c.image.clone(),
        |text| Ok(Field::Image(text.to_owned())),
    );
    fields.choice(
        "Guest",
        &words(Guest::VARIANTS),
        |c| c.guest,
        |_, guest| Field::Guest(guest),
    );
    fields.choice(
        "Architecture",
        &optional(Arch::VARIANTS, "Any"),
        |c| c.arch,
        |_, arch| Field::Arch(arch),
    );
    let ways = optional(Virtualisation::VARIANTS, "Any");
    fields.choice(
        "Virtualisation",
        &ways,
        |c| c.virtualisation,
        |_, how| Field::Virtualisation(how),
    );
    fields.list(
        "Add applications",
        "nginx, certbot",
        &[],
        |c| &c.add_applications,
        Field::AddApplications,
    );
    fields.list(
        "Remove applications",
        "telnet",
        &[],
        |c| &c.remove_applications,
        Field::RemoveApplications,
    );
}

pub(super) fn placement_rows(fields: &mut Fields<'_>, design: &Design, known: &Known) {
    fields.list(
        "Licences",
        "None",
        &known.licences,
        |c| &c.licences,
        Field::Licences,
    );
    fields.list("Sites", "Any", &known.sites, |c| &c.sites, Field::Sites);
    let spread = vec![
        (None, "Anywhere".to_owned()),
        (Some(Scope::Node), "On different nodes".to_owned()),
        (Some(Scope::Rack), "In different racks".to_owned()),
        (Some(Scope::Site), "On different sites".to_owned()),
    ];
    fields.choice(
        "Spread instances",
        &spread,
        |c| c.spread,
        |_, scope| Field::Spread(scope),
    );
    let mut others = vec![(None, "Nothing".to_owned())];
    others.extend(
        design
            .components
            .iter()
            .enumerate()
            .filter(|(place, _)| !fields.places.contains(place))
            .map(|(_, other)| (Some(other.name.clone()), other.name.clone())),
    );
    let beside_of = |c: &Component| c.beside.as_ref().map(|beside| beside.component.clone());
    fields.choice("Run beside", &others, beside_of, |c, name| {
        let scope = c.beside.as_ref().map_or(Scope::Node, |beside| beside.scope);
        Field::Beside(name.map(|component| Beside { component, scope }))
    });
    if fields.components.iter().all(|c| c.beside.is_some()) {
        let near: Vec<_> = Scope::VARIANTS
            .iter()
            .map(|&scope| (scope, format!("Same {scope}")))
            .collect();
        let scope_of = |c: &Component| c.beside.as_ref().map_or(Scope::Node, |beside| beside.scope);
        fields.choice("How near", &near, scope_of, |c, scope| {
            Field::Beside(c.beside.clone().map(|beside| Beside { scope, ..beside }))
        });
    }
    fields.switch(
        "Highly available",
        |c| c.highly_available,
        |_, on| Field::HighlyAvailable(on),
    );
}

pub(super) fn load_rows(fields: &mut Fields<'_>) {
    fields.choice(
        "Work",
        &words(Work::VARIANTS),
        |c| c.work,
        |_, work| Field::Work(work),
    );
    fields.number(
        "Expected load",
        SHARE,
        |c| c.expected_load_milli,
        |_, n| Field::ExpectedLoadMilli(n),
    );
    fields.switch(
        "Scale with load",
        |c| c.thresholds.is_some(),
        |c, on| Field::Thresholds(on.then(|| thresholds(c))),
    );
    if !fields.components.iter().all(|c| c.thresholds.is_some()) {
        return;
    }
    let set = |change: fn(&mut Thresholds, u32)| {
        move |c: &Component, n: u32| {
            let mut changed = thresholds(c);
            change(&mut changed, n);
            Field::Thresholds(Some(changed))
        }
    };
    fields.number(
        "Add one above",
        SHARE,
        |c| thresholds(c).up_cpu_milli,
        set(|t, n| t.up_cpu_milli = n),
    );
    fields.number(
        "Remove one below",
        SHARE,
        |c| thresholds(c).down_cpu_milli,
        set(|t, n| t.down_cpu_milli = n),
    );
    fields.number(
        "Fewest instances",
        INSTANCES,
        |c| thresholds(c).min_instances,
        set(|t, n| t.min_instances = n),
    );
    fields.number(
        "Most instances",
        INSTANCES,
        |c| thresholds(c).max_instances,
        set(|t, n| t.max_instances = n),
    );
}

/// The component's thresholds, or those that it begins with.
pub(super) fn thresholds(component: &Component) -> Thresholds {
    component.thresholds.unwrap_or(Thresholds {
        up_cpu_milli: 700,
        down_cpu_milli: 300,
        min_instances: component.instances,
        max_instances: component.instances.saturating_mul(4).max(2),
    })
}

/// A word of the model as people write it: `load-balancer` is `Load balancer`, `x86_64` stays.
pub fn spoken(word: &str) -> String {
    if word.chars().any(|c| c.is_ascii_digit()) {
        return word.to_owned();
    }
    let mut chars = word.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first
        .into_iter()
        .chain(chars.map(|c| if c == '-' { ' ' } else { c }))
        .collect()
}

pub(super) fn words<W: Copy + Into<&'static str>>(all: &[W]) -> Vec<(W, String)> {
    all.iter()
        .map(|&word| (word, spoken(word.into())))
        .collect()
}

pub(super) fn optional<W: Copy + Into<&'static str>>(
    all: &[W],
    none: &str,
) -> Vec<(Option<W>, String)> {
    let named = all.iter().map(|&word| (Some(word), spoken(word.into())));
    std::iter::once((None, none.to_owned()))
        .chain(named)
        .collect()
}
