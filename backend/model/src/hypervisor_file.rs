//! Reads hypervisor profiles: the files of `assets/hypervisors/`, and a grid's own `[[hypervisor]]` tables.

use crate::fault::Faults;
use crate::hypervisor::{Arch, Efficiency, Hypervisor, HypervisorType};
use crate::toml_reader::{Table, Value, read};

/// Keys of a profile.
pub(crate) const PROFILE_KEYS: &[&str] = &[
    "name",
    "title",
    "type",
    "virtualisation",
    "archs",
    "emulated_archs",
    "guests",
    "capabilities",
    "efficiency",
    "source",
];

/// Reads one profile.
///
/// # Errors
/// All faults of the file.
pub fn read_profile(file: &str, text: &str) -> Result<Hypervisor, Faults> {
    read(file, text, PROFILE_KEYS, |table| profile(table, |_| None))
}

/// A profile; what it leaves out is taken from the known one of its name, if `known` has one.
pub(crate) fn profile<'k>(
    table: &Table<'_>,
    known: impl FnOnce(&str) -> Option<&'k Hypervisor>,
) -> Option<Hypervisor> {
    let name = table.required("name", |v| v.name());
    let base = name.as_deref().and_then(known);
    let hypervisor_type: Option<HypervisorType> =
        or_base(table, "type", base, |b| b.hypervisor_type, |v| v.word());
    let virtualisation = or_base(
        table,
        "virtualisation",
        base,
        |b| b.virtualisation.clone(),
        some_words,
    );
    let archs: Option<Vec<Arch>> = or_base(table, "archs", base, |b| b.archs.clone(), some_words);
    let guests = or_base(table, "guests", base, |b| b.guests.clone(), some_words);
    let title = table.optional("title", |v| v.name());
    let emulated_archs = table.optional("emulated_archs", words);
    let capabilities = table.optional("capabilities", words);
    let efficiency = table.optional("efficiency", |v| {
        efficiency(v, base.map(|b| b.efficiency).unwrap_or_default())
    });
    let source = table.optional("source", |v| v.text());
    let name = name?;
    Some(Hypervisor {
        title: title
            .or_else(|| base.map(|b| b.title.clone()))
            .unwrap_or_else(|| name.clone()),
        name,
        hypervisor_type: hypervisor_type?,
        virtualisation: virtualisation?,
        archs: archs?,
        emulated_archs: emulated_archs
            .or_else(|| base.map(|b| b.emulated_archs.clone()))
            .unwrap_or_default(),
        guests: guests?,
        capabilities: capabilities
            .or_else(|| base.map(|b| b.capabilities.clone()))
            .unwrap_or_default(),
        efficiency: efficiency
            .or_else(|| base.map(|b| b.efficiency))
            .unwrap_or_default(),
        source: source
            .or_else(|| base.map(|b| b.source.clone()))
            .unwrap_or_default(),
    })
}

/// A field that is required unless a known profile gives it.
fn or_base<T>(
    table: &Table<'_>,
    key: &'static str,
    base: Option<&Hypervisor>,
    of_base: impl FnOnce(&Hypervisor) -> T,
    read: impl FnOnce(&Value<'_>) -> Option<T>,
) -> Option<T> {
    match base {
        Some(base) if !table.has(key) => Some(of_base(base)),
        _ => table.required(key, read),
    }
}

/// A list of at least one word; a hypervisor that runs nothing rules nothing.
fn some_words<W>(value: &Value<'_>) -> Option<Vec<W>>
where
    W: strum::VariantArray + Copy + Into<&'static str>,
{
    let words: Vec<W> = words(value)?;
    if words.is_empty() {
        let known: Vec<&'static str> = W::VARIANTS.iter().map(|word| (*word).into()).collect();
        let expected = format!("at least one of {}", known.join(", "));
        value.refuse("an empty list", &expected);
        return None;
    }
    Some(words)
}

fn words<W>(value: &Value<'_>) -> Option<Vec<W>>
where
    W: strum::VariantArray + Copy + Into<&'static str>,
{
    value.list(|item| item.word())
}

fn efficiency(value: &Value<'_>, base: Efficiency) -> Option<Efficiency> {
    const KEYS: &[&str] = &[
        "compute_milli",
        "memory_milli",
        "disk_milli",
        "network_milli",
    ];
    value.table(KEYS, |table| {
        // Up to ten times native speed: a profile may tell of a device that the reference lacked.
        let milli = |key, otherwise| {
            table
                .optional(key, |v| v.whole(1..=10_000))
                .unwrap_or(otherwise)
        };
        Some(Efficiency {
            compute_milli: milli("compute_milli", base.compute_milli),
            memory_milli: milli("memory_milli", base.memory_milli),
            disk_milli: milli("disk_milli", base.disk_milli),
            network_milli: milli("network_milli", base.network_milli),
        })
    })
}
