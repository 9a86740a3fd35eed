//! Writes design files: of each component only what differs from its kind's defaults.

use crate::design::{Component, Design};
use crate::design_file::DESIGN_VERSION;
use crate::size::{CPU, MEM};
use crate::toml_writer::{TomlWriter, decimal, inline_map, quoted};

/// Writes a design, right or wrong, so that [`crate::design_file::read_design`] gives it back equal.
///
/// What no file can hold does not come back: positions that are no numbers become 0.
pub fn write_design(design: &Design) -> String {
    let mut writer = TomlWriter::default();
    writer.plain("version", DESIGN_VERSION);
    writer.text("name", &design.name);
    if !design.tenant.is_empty() {
        writer.text("tenant", &design.tenant);
    }
    if let Some(risk) = design.risk {
        writer.text("risk", &risk.to_string());
    }
    for component in &design.components {
        write_component(&mut writer, component);
    }
    for link in &design.links {
        writer.table("link");
        writer.text("from", &link.from);
        writer.text("to", &link.to);
        if link.port > 0 {
            writer.plain("port", link.port);
        }
    }
    writer.finish()
}

fn write_component(writer: &mut TomlWriter, component: &Component) {
    let base = Component::new(component.kind, &component.name);
    writer.table("component");
    writer.text("name", &component.name);
    writer.text("kind", &component.kind.to_string());
    if component.instances != base.instances {
        writer.plain("instances", component.instances);
    }
    for (size, amount, default) in [
        (&CPU, component.cpu_milli, base.cpu_milli),
        (&MEM, component.mem_mib, base.mem_mib),
    ] {
        if amount != default {
            let (key, value) = size.written(amount);
            writer.plain(key, value);
        }
    }
    for (key, amount, default) in [
        ("disk_gib", component.disk_gib, base.disk_gib),
        (
            "remote_disk_gib",
            component.remote_disk_gib,
            base.remote_disk_gib,
        ),
        ("disk_iops", component.disk_iops, base.disk_iops),
        ("net_mbps", component.net_mbps, base.net_mbps),
    ] {
        if amount != default {
            writer.plain(key, amount);
        }
    }
    if component.accel_milli > 0 {
        writer.plain("accelerators", decimal(component.accel_milli));
    }
    if !component.accel_models.is_empty() {
        writer.texts("accelerator_models", &component.accel_models);
    }
    write_software(writer, component, &base);
    write_placing(writer, component, &base);
    if !component.parameters.is_empty() {
        writer.plain("parameters", inline_map(&component.parameters));
    }
    let [x, y] = component.position.map(coordinate);
    writer.plain("position", format_args!("[{x}, {y}]"));
}

fn write_software(writer: &mut TomlWriter, component: &Component, base: &Component) {
    if !component.image.is_empty() {
        writer.text("image", &component.image);
    }
    if component.guest != base.guest {
        writer.text("guest", &component.guest.to_string());
    }
    if let Some(arch) = component.arch {
        writer.text("arch", &arch.to_string());
    }
    if let Some(virtualisation) = component.virtualisation {
        writer.text("virtualisation", &virtualisation.to_string());
    }
    if component.add_applications != base.add_applications {
        writer.texts("add_applications", &component.add_applications);
    }
    if !component.remove_applications.is_empty() {
        writer.texts("remove_applications", &component.remove_applications);
    }
}

fn write_placing(writer: &mut TomlWriter, component: &Component, base: &Component) {
    for (key, names) in [
        ("licences", &component.licences),
        ("sites", &component.sites),
    ] {
        if !names.is_empty() {
            writer.texts(key, names);
        }
    }
    if let Some(spread) = component.spread {
        writer.text("spread", &spread.to_string());
    }
    if let Some(beside) = &component.beside {
        let other = quoted(&beside.component);
        let scope = quoted(&beside.scope.to_string());
        writer.plain(
            "beside",
            format_args!("{{ component = {other}, scope = {scope} }}"),
        );
    }
    if component.work != base.work {
        writer.text("work", &component.work.to_string());
    }
    if component.expected_load_milli != base.expected_load_milli {
        writer.plain(
            "expected_load_percent",
            percent(component.expected_load_milli),
        );
    }
    if component.highly_available != base.highly_available {
        writer.plain("highly_available", component.highly_available);
    }
    if let Some(thresholds) = &component.thresholds {
        writer.plain(
            "thresholds",
            format_args!(
                "{{ up_cpu_percent = {}, down_cpu_percent = {}, min_instances = {}, max_instances = {} }}",
                percent(thresholds.up_cpu_milli),
                percent(thresholds.down_cpu_milli),
                thresholds.min_instances,
                thresholds.max_instances
            ),
        );
    }
}

/// Thousandths as percent: `805` as `80.5`.
fn percent(milli: u32) -> String {
    match milli % 10 {
        0 => (milli / 10).to_string(),
        tenth => format!("{}.{tenth}", milli / 10),
    }
}

fn coordinate(points: f32) -> String {
    if !points.is_finite() {
        "0".into()
    } else if points.fract() == 0.0 && points.abs() < 1e6 {
        format!("{}", points as i32)
    } else {
        format!("{points:?}")
    }
}
