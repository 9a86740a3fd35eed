//! Columns of our own format that most traces lack: accelerators, groups, and what else a VM may ask of a node.

use super::{Finder, filled};
use crate::read::builder::Builder;
use crate::read::error::ReadError;
use crate::read::table::Row;
use model::grid::MAX_ACCELERATORS;
use model::units::{AccelMilli, Resources};
use model::vm::{AcceleratorAmount, AcceleratorAsk, Affinity, GroupRule, Scope, VmSpec};
use std::collections::BTreeSet;
use std::str::FromStr;
use strum::VariantArray;

/// Columns that most traces lack; a trace without any of them is read without looking at them again.
pub(super) struct Rare {
    pub(super) any: bool,
    gpu: Option<usize>,
    gpu_milli: Option<usize>,
    gpu_model: Option<usize>,
    group: Option<usize>,
    group_rule: Option<usize>,
    arch: Option<usize>,
    guest: Option<usize>,
    virtualisation: Option<usize>,
    work: Option<usize>,
    risk: Option<usize>,
    licences: Option<usize>,
    sites: Option<usize>,
    roles: Option<usize>,
    load: Option<usize>,
}

impl Rare {
    pub(super) fn of(find: &mut Finder<'_, '_>) -> Self {
        let before = find.used.len();
        let mut rare = Self {
            any: false,
            gpu: find.plain(&["gpu", "num_gpu"]),
            gpu_milli: find.plain(&["gpu_milli"]),
            gpu_model: find.plain(&["gpu_model"]),
            group: find.plain(&["group"]),
            group_rule: find.plain(&["group_rule"]),
            arch: find.plain(&["arch"]),
            guest: find.plain(&["guest"]),
            virtualisation: find.plain(&["virtualisation"]),
            work: find.plain(&["work"]),
            risk: find.plain(&["risk"]),
            licences: find.plain(&["licences"]),
            sites: find.plain(&["sites"]),
            roles: find.plain(&["roles"]),
            load: find.plain(&["expected_load_milli"]),
        };
        rare.any = find.used.len() > before;
        rare
    }

    pub(super) fn spec(&self, row: Row<'_>, resources: Resources) -> Result<VmSpec, ReadError> {
        let mut resources = resources;
        let accelerators = self.accelerators(row)?;
        if let Some(ask) = &accelerators {
            resources.accel_milli = AccelMilli(ask.amount.milli());
        }
        let mut spec = VmSpec::plain(resources);
        spec.accelerators = accelerators;
        spec.arch = word(row, self.arch)?;
        spec.guest = word(row, self.guest)?.unwrap_or(spec.guest);
        spec.virtualisation = word(row, self.virtualisation)?;
        spec.work = word(row, self.work)?.unwrap_or(spec.work);
        spec.risk = word(row, self.risk)?.unwrap_or(spec.risk);
        spec.licences = words(row, self.licences)?;
        spec.sites = words(row, self.sites)?;
        spec.roles = words(row, self.roles)?;
        if let Some(column) = filled(row, self.load) {
            spec.expected_load_milli = row.whole(column, 0..=1_000)?;
        }
        Ok(spec)
    }

    fn accelerators(&self, row: Row<'_>) -> Result<Option<AcceleratorAsk>, ReadError> {
        let devices = match filled(row, self.gpu) {
            Some(column) => Some(row.whole(column, 0..=MAX_ACCELERATORS as u32)?),
            None => None,
        };
        let share = match filled(row, self.gpu_milli) {
            Some(column) => Some((column, row.whole(column, 0..=1_000)?)),
            None => None,
        };
        let amount = match (devices, share) {
            (None | Some(0), None | Some((_, 0))) => return Ok(None),
            (None | Some(1), Some((_, milli @ 1..=999))) => AcceleratorAmount::ShareMilli(milli),
            (None, Some(_)) => AcceleratorAmount::Devices(1),
            (Some(count @ 1..), None | Some((_, 1_000))) => AcceleratorAmount::Devices(count),
            (Some(count), Some((column, _))) => {
                let expected = format!("1000, or a share where 1 device is asked for, not {count}");
                return Err(row.fault(column, &expected));
            }
        };
        let models = words(row, self.gpu_model)?;
        Ok(Some(AcceleratorAsk { models, amount }))
    }

    pub(super) fn group(
        &self,
        row: Row<'_>,
        builder: &mut Builder,
    ) -> Result<Option<u32>, ReadError> {
        let Some(group) = filled(row, self.group) else {
            return Ok(None);
        };
        let rule = match filled(row, self.group_rule) {
            Some(column) => rule_of(row, column)?,
            None => GroupRule {
                kind: Affinity::Apart,
                scope: Scope::Node,
            },
        };
        match builder.group(row.bytes(group), rule) {
            Some(id) => Ok(Some(id)),
            None => Err(row.fault(group, "the same rule on every line of a group")),
        }
    }
}

/// A rule as `apart-node`.
fn rule_of(row: Row<'_>, column: usize) -> Result<GroupRule, ReadError> {
    let parsed = row.text(column)?.split_once('-').and_then(|(kind, scope)| {
        Some(GroupRule {
            kind: kind.parse().ok()?,
            scope: scope.parse().ok()?,
        })
    });
    parsed.ok_or_else(|| {
        row.fault(
            column,
            "together or apart, a dash, and node, rack or site: apart-node",
        )
    })
}

fn word<W>(row: Row<'_>, column: Option<usize>) -> Result<Option<W>, ReadError>
where
    W: FromStr + VariantArray + Into<&'static str> + Copy,
{
    let Some(column) = filled(row, column) else {
        return Ok(None);
    };
    let word = row.text(column)?.parse().map_err(|_| {
        let known: Vec<&str> = W::VARIANTS.iter().map(|w| (*w).into()).collect();
        row.fault(column, &format!("one of {}", known.join(", ")))
    })?;
    Ok(Some(word))
}

fn words(row: Row<'_>, column: Option<usize>) -> Result<BTreeSet<String>, ReadError> {
    let Some(column) = filled(row, column) else {
        return Ok(BTreeSet::new());
    };
    let words = row.text(column)?.split('|').map(str::trim);
    Ok(words.filter(|w| !w.is_empty()).map(str::to_owned).collect())
}
