//! The plots of a run: one or two policies over time, with a line at the replayed instant.

use crate::window::grid::metric::dimension_title;
use crate::window::theme::Palette;
use capacity::outcome::Series;
use egui::{Color32, RichText, Stroke, Ui};
use egui_plot::{AxisHints, GridMark, Line, LineStyle, Plot, PlotPoints, VLine};
use lab::run::RunResult;
use model::time::Time;
use model::units::Dimension;

const HOUR: f64 = 3_600.0;
const DAY: f64 = 24.0 * HOUR;

/// What is plotted.
#[derive(Clone, Copy, Debug)]
pub struct Compared<'a> {
    /// Drawn in full lines.
    pub first: &'a RunResult,
    /// Drawn in dashes.
    pub second: Option<&'a RunResult>,
    /// Of allocation and stranding.
    pub dimension: Dimension,
    /// The replayed instant.
    pub now: Option<Time>,
    /// Colours.
    pub palette: &'static Palette,
}

/// One pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plotted {
    /// Allocated share.
    Allocated,
    /// Share of nodes without a VM.
    EmptyNodes,
    /// Free but useless share.
    Stranded,
    /// VMs alive.
    Alive,
    /// VMs refused in each bin.
    Rejected,
}

impl Plotted {
    /// All, in the order of the panes.
    pub const ALL: [Self; 5] = [
        Self::Allocated,
        Self::EmptyNodes,
        Self::Stranded,
        Self::Alive,
        Self::Rejected,
    ];

    fn title(self, dimension: Dimension) -> String {
        match self {
            Self::Allocated => format!("Allocated {}", dimension_title(dimension)),
            Self::EmptyNodes => "Empty nodes".to_owned(),
            Self::Stranded => format!("Stranded {}", dimension_title(dimension)),
            Self::Alive => "VMs alive".to_owned(),
            Self::Rejected => "VMs rejected".to_owned(),
        }
    }

    const fn is_share(self) -> bool {
        matches!(self, Self::Allocated | Self::EmptyNodes | Self::Stranded)
    }

    fn value(self, series: &Series, bin: usize, dimension: Dimension) -> f64 {
        match self {
            Self::Allocated => series.allocated[bin][dimension as usize],
            Self::EmptyNodes => series.empty_nodes[bin],
            Self::Stranded => series.stranded[bin][dimension as usize],
            Self::Alive => series.alive[bin],
            Self::Rejected => series.rejected[bin] as f64,
        }
    }
}

/// Draws one pane; returns the instant that was clicked.
pub fn plot(ui: &mut Ui, what: Plotted, compared: &Compared<'_>) -> Option<Time> {
    let title = what.title(compared.dimension);
    ui.label(RichText::new(&title).strong());
    let share = what.is_share();
    let end = compared.first.trace.end.seconds().max(1.0);
    let plot = Plot::new(("lab plot", what as usize))
        .height(ui.available_height())
        .width(ui.available_width())
        .show_background(false)
        .allow_scroll(false)
        .allow_drag(egui::Vec2b::new(true, false))
        .allow_zoom(egui::Vec2b::new(true, false))
        .allow_boxed_zoom(false)
        .include_x(0.0)
        .include_x(end)
        .include_y(0.0)
        .link_axis("lab time", egui::Vec2b::new(true, false))
        .link_cursor("lab time", egui::Vec2b::new(true, false))
        .custom_x_axes(vec![
            AxisHints::new_x()
                .formatter(|mark, range| time_mark(mark, *range.end() - *range.start()))
                .label_spacing(20.0..=36.0),
        ])
        .custom_y_axes(vec![
            AxisHints::new_y()
                .formatter(move |mark, _| value_mark(mark, share))
                .label_spacing(12.0..=20.0)
                .min_thickness(44.0),
        ])
        .x_grid_spacer(time_grid)
        .y_grid_spacer(value_grid)
        .grid_color(compared.palette.line)
        .grid_fade(0.0)
        .include_y(if share { 0.01 } else { 1.0 })
        .label_formatter(move |hover| {
            use egui_plot::HoverPosition::{Elsewhere, NearDataPoint};
            match hover {
                NearDataPoint {
                    plot_name,
                    position,
                    ..
                } => {
                    let value = if share {
                        format!("{:.1} %", position.y * 100.0)
                    } else {
                        short(position.y)
                    };
                    Some(format!(
                        "{plot_name}\n{value} at {}",
                        Time::from_seconds(position.x)
                    ))
                }
                Elsewhere { position } => Some(Time::from_seconds(position.x).to_string()),
            }
        });
    let palette = compared.palette;
    let response = plot.show(ui, |plot_ui| {
        let first = line(what, compared.first, compared.dimension, palette.series[0]);
        plot_ui.line(first.width(1.8));
        if let Some(second) = compared.second {
            let second = line(what, second, compared.dimension, palette.series[1]);
            plot_ui.line(second.width(1.6).style(LineStyle::dashed_loose()));
        }
        if let Some(now) = compared.now {
            let stroke = Stroke::new(1.0, palette.cell_chosen);
            plot_ui.vline(
                VLine::new("", now.seconds())
                    .stroke(stroke)
                    .allow_hover(false),
            );
        }
        plot_ui.pointer_coordinate()
    });
    response.response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::WidgetType::Image, true, format!("Plot of {title}"))
    });
    let clicked = response.response.clicked();
    let at = response.inner.filter(|_| clicked)?;
    Some(Time::from_seconds(at.x))
}

fn line<'a>(what: Plotted, result: &RunResult, dimension: Dimension, colour: Color32) -> Line<'a> {
    let series = &result.outcome.series;
    let points: PlotPoints<'_> = series
        .start
        .iter()
        .enumerate()
        .map(|(bin, start)| [start.seconds(), what.value(series, bin, dimension)])
        .collect();
    Line::new(result.policy.name.clone(), points).color(colour)
}

/// Marks on whole hours or days, whichever leaves room for their names.
fn time_grid(input: egui_plot::GridInput) -> Vec<GridMark> {
    let (from, to) = input.bounds;
    let step = [
        60.0,
        600.0,
        HOUR,
        3.0 * HOUR,
        6.0 * HOUR,
        12.0 * HOUR,
        DAY,
        2.0 * DAY,
        7.0 * DAY,
        28.0 * DAY,
    ]
    .into_iter()
    .find(|step| (to - from) / step <= 7.0)
    .unwrap_or(((to - from) / 7.0 / DAY).ceil() * DAY);
    let first = (from / step).ceil() as i64;
    let last = (to / step).floor() as i64;
    (first..=last)
        .map(|mark| GridMark {
            value: mark as f64 * step,
            step_size: step,
        })
        .collect()
}

fn time_mark(mark: GridMark, span: f64) -> String {
    let seconds = mark.value;
    if seconds < 0.0 {
        return String::new();
    }
    let (day, hour) = ((seconds / DAY).floor(), (seconds % DAY) / HOUR);
    if mark.step_size >= DAY || (span > DAY && hour == 0.0) {
        format!("{day:.0} d")
    } else if mark.step_size >= HOUR {
        format!("{hour:.0} h")
    } else {
        format!("{:.0} min", seconds / 60.0)
    }
}

/// Four or five marks on 1, 2 or 5 times a power of ten.
fn value_grid(input: egui_plot::GridInput) -> Vec<GridMark> {
    let (from, to) = input.bounds;
    let rough = ((to - from) / 4.0).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    let (first, last) = ((from / step).ceil() as i64, (to / step).floor() as i64);
    (first..=last)
        .map(|mark| GridMark {
            value: mark as f64 * step,
            step_size: step,
        })
        .collect()
}

fn value_mark(mark: GridMark, share: bool) -> String {
    if mark.value < 0.0 {
        return String::new();
    }
    if !share {
        let whole = mark.step_size >= 1.0 || mark.value == 0.0;
        return if whole {
            short(mark.value)
        } else {
            String::new()
        };
    }
    let decimals = match mark.step_size {
        step if step >= 0.01 => 0,
        step if step >= 0.001 => 1,
        _ => 2,
    };
    format!("{:.decimals$} %", mark.value * 100.0)
}

fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{:.1}M", value / 1e6),
        v if v >= 1e4 => format!("{:.0}k", value / 1e3),
        v if v >= 1e3 => format!("{:.1}k", value / 1e3),
        v if v >= 10.0 || v.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}
