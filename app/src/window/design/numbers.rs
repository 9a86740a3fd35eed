//! Numbers with their units and bounds, to drag or to type. The bounds are those of `Topology::check`.

use egui::{DragValue, Response, Ui, vec2};
use std::ops::RangeInclusive;

/// What a number shows where several differ.
pub const MIXED: &str = "mixed";
/// Width of a number with its unit.
const NUMBER_WIDTH: f32 = 120.0;

/// How a number is shown: the unit, how many stored units make one, and its bounds in stored units.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// Written behind the number, with a blank before it.
    pub suffix: &'static str,
    /// Stored units in one shown unit.
    pub per: f64,
    /// Least and most, in stored units.
    pub least: u32,
    /// See `least`.
    pub most: u32,
    /// Shown units a point of dragging.
    pub speed: f64,
}

/// Instances of a component.
pub const INSTANCES: Unit = Unit {
    suffix: "",
    per: 1.0,
    least: 1,
    most: 10_000,
    speed: 0.1,
};
/// A TCP or UDP port; 0: the default.
pub const PORT: Unit = Unit {
    suffix: "",
    per: 1.0,
    least: 0,
    most: 65_535,
    speed: 1.0,
};
/// Processor.
pub const CPU: Unit = Unit {
    suffix: " cores",
    per: 1_000.0,
    least: 0,
    most: 10_000_000,
    speed: 0.05,
};
/// Memory.
pub const MEM: Unit = Unit {
    suffix: " GiB",
    per: 1_024.0,
    least: 0,
    most: 64 * 1_048_576,
    speed: 0.1,
};
/// Disk space.
pub const DISK: Unit = Unit {
    suffix: " GiB",
    per: 1.0,
    least: 0,
    most: 1_048_576,
    speed: 1.0,
};
/// Disk operations.
pub const IOPS: Unit = Unit {
    suffix: " IO/s",
    per: 1.0,
    least: 0,
    most: 100_000_000,
    speed: 50.0,
};
/// Bandwidth.
pub const NET: Unit = Unit {
    suffix: " Mbit/s",
    per: 1.0,
    least: 0,
    most: 1_000_000,
    speed: 5.0,
};
/// Accelerators: a share of one, or whole ones.
pub const ACCEL: Unit = Unit {
    suffix: " devices",
    per: 1_000.0,
    least: 0,
    most: 16_000,
    speed: 0.05,
};
/// A share in percent.
pub const SHARE: Unit = Unit {
    suffix: " %",
    per: 10.0,
    least: 0,
    most: 1_000,
    speed: 0.5,
};

/// A number with its unit; `set` is called with a new one.
pub fn number(ui: &mut Ui, value: u32, unit: Unit, mixed: bool, set: impl FnOnce(u32)) -> Response {
    let mut shown = f64::from(value) / unit.per;
    let range: RangeInclusive<f64> =
        f64::from(unit.least) / unit.per..=f64::from(unit.most) / unit.per;
    let mut field = DragValue::new(&mut shown)
        .range(range)
        .clamp_existing_to_range(false)
        .speed(unit.speed)
        .max_decimals(3)
        .custom_formatter(|number, _| format!("{}", (number * 1_000.0).round() / 1_000.0));
    field = if mixed {
        field.custom_formatter(|_, _| MIXED.to_owned())
    } else {
        field.suffix(unit.suffix)
    };
    let size = vec2(NUMBER_WIDTH, ui.spacing().interact_size.y);
    let response = ui.add_sized(size, field).on_hover_text(format!(
        "From {} to {}{}. Drag, or click to type.",
        f64::from(unit.least) / unit.per,
        f64::from(unit.most) / unit.per,
        unit.suffix
    ));
    let new = (shown * unit.per).round();
    if response.changed() && new >= 0.0 {
        set(new.min(f64::from(unit.most)) as u32);
    }
    response
}
