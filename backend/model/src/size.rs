//! Sizes that files give in human or in fine units: `cpu_cores` or `cpu_milli`, `mem_gib` or `mem_mib`.

use crate::toml_reader::Table;
use crate::toml_writer::decimal;

/// A size with its two keys.
#[derive(Debug)]
pub(crate) struct Size {
    /// The key that people write, as `cpu_cores`.
    pub coarse: &'static str,
    /// The key of what is kept, as `cpu_milli`.
    pub fine: &'static str,
    /// Fine units in a coarse one.
    pub scale: u32,
    /// Coarse units in words.
    pub unit: &'static str,
}

/// Processor.
pub(crate) const CPU: Size = Size {
    coarse: "cpu_cores",
    fine: "cpu_milli",
    scale: 1_000,
    unit: "cores",
};

/// Memory.
pub(crate) const MEM: Size = Size {
    coarse: "mem_gib",
    fine: "mem_mib",
    scale: 1_024,
    unit: "GiB",
};

impl Size {
    /// The key by which a table gives the size.
    pub fn key_in(&self, table: &Table<'_>) -> &'static str {
        if table.has(self.fine) {
            self.fine
        } else {
            self.coarse
        }
    }

    /// For people: `0.5 cores`.
    pub fn shown(&self, fine: u32) -> String {
        format!("{} {}", f64::from(fine) / f64::from(self.scale), self.unit)
    }

    /// The key and the value that a file gives.
    pub fn written(&self, fine: u32) -> (&'static str, String) {
        // Thousandths are short as decimals, 1024ths are not.
        if fine.is_multiple_of(self.scale) {
            (self.coarse, (fine / self.scale).to_string())
        } else if self.scale == 1_000 {
            (self.coarse, decimal(fine))
        } else {
            (self.fine, fine.to_string())
        }
    }
}

/// A size above zero, in fine units, that must be given.
pub(crate) fn required_size(table: &Table<'_>, size: &Size) -> Option<u32> {
    if table.has(size.fine) || table.has(size.coarse) {
        optional_size(table, size)
    } else {
        table.required(size.coarse, |v| v.scaled(size.scale, 1..=u32::MAX))
    }
}

/// A size above zero, in fine units, that may be given.
pub(crate) fn optional_size(table: &Table<'_>, size: &Size) -> Option<u32> {
    size_from(table, size, 1)
}

/// A size of at least this many fine units, that may be given.
pub(crate) fn size_from(table: &Table<'_>, size: &Size, least: u32) -> Option<u32> {
    let coarse = table.optional(size.coarse, |v| v.scaled(size.scale, least..=u32::MAX));
    let fine = table.optional(size.fine, |v| v.whole(least..=u32::MAX));
    if table.has(size.coarse) && table.has(size.fine) {
        let found = format!("{} beside {}", size.fine, size.coarse);
        table.refuse(size.fine, &found, "one of the two", "");
    }
    fine.or(coarse)
}
