//! Reads the `[[licence]]` tables of a grid file: what each licence costs on one node.

use crate::fault::nearest;
use crate::grid_builder::GridBuilder;
use crate::toml_reader::Table;
use std::collections::BTreeSet;

const KEYS: &[&str] = &["name", "cost_per_hour"];

/// Enters the prices of licences; `all_sound` tells that every group of nodes was entered, so that
/// a licence of none of them is a slip.
pub(super) fn price(top: &Table<'_>, all_sound: bool, builder: &mut GridBuilder) {
    let carried: BTreeSet<String> = builder
        .grid()
        .licences()
        .into_iter()
        .map(Into::into)
        .collect();
    let mut priced = BTreeSet::new();
    top.tables("licence", KEYS, |table| {
        let name = table.required("name", |v| v.name());
        let cost = table.required("cost_per_hour", |v| v.scaled(1_000, 0..=u32::MAX));
        let name = name?;
        if !priced.insert(name.clone()) {
            let found = format!("{name:?} a second time");
            table.refuse("name", &found, "one price of a licence", "");
        }
        if all_sound && !carried.contains(&name) {
            let hint = nearest(&name, carried.iter().map(String::as_str))
                .map_or_else(String::new, |near| format!("did you mean {near:?}?"));
            let found = format!("{name:?}, which no node carries");
            table.refuse("name", &found, "a licence of some [[node]]", &hint);
        }
        builder.set_licence_cost(name, cost?);
        Some(())
    });
}
