//! Plots of the series of one or several runs, each as SVG and as PNG.

use crate::run::RunResult;
use capacity::outcome::Series;
use model::units::Dimension;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::sync::OnceLock;

/// Width and height of a plot in pixels.
const SIZE: (u32, u32) = (1_200, 600);
/// The name under which the font is known here, and by which a viewer of the SVG finds its own.
const FONT: &str = "sans-serif";
const SECONDS_PER_DAY: f64 = 86_400.0;
/// Okabe and Ito's colours, told apart by colour-blind people as well (jfly.uni-koeln.de/color).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// One plot of a run's series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plot {
    /// Allocated share of the grid, by dimension.
    Allocation,
    /// Share of nodes without a VM.
    EmptyNodes,
    /// Share of capacity that is free where the trace's shapes do not fit, by dimension.
    Stranded,
    /// VMs refused in each bin.
    Rejections,
    /// VMs alive.
    Alive,
}

/// Every plot, in the order in which people look at them.
pub const PLOTS: [Plot; 5] = [
    Plot::Allocation,
    Plot::EmptyNodes,
    Plot::Stranded,
    Plot::Rejections,
    Plot::Alive,
];

/// A plot could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the plot: {0}")]
pub struct PlotError(String);

struct Line {
    label: String,
    values: Vec<f64>,
}

impl Plot {
    /// The name of its file, without what follows the dot.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allocation => "allocation",
            Self::EmptyNodes => "empty-nodes",
            Self::Stranded => "stranded",
            Self::Rejections => "rejections",
            Self::Alive => "alive",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Allocation => "Allocated share of the grid",
            Self::EmptyNodes => "Nodes without a VM",
            Self::Stranded => "Stranded share of the grid",
            Self::Rejections => "VMs rejected",
            Self::Alive => "VMs alive",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Allocation | Self::Stranded => "% of capacity",
            Self::EmptyNodes => "% of nodes",
            Self::Rejections => "VMs in each bin",
            Self::Alive => "VMs",
        }
    }

    /// The plot as SVG text.
    ///
    /// # Errors
    /// Where the drawing fails.
    pub fn svg(self, results: &[RunResult]) -> Result<String, PlotError> {
        let mut text = String::new();
        self.draw(
            SVGBackend::with_string(&mut text, SIZE).into_drawing_area(),
            results,
        )?;
        Ok(text)
    }

    /// The plot as a PNG file's bytes.
    ///
    /// # Errors
    /// Where the drawing fails.
    pub fn png(self, results: &[RunResult]) -> Result<Vec<u8>, PlotError> {
        let mut pixels = vec![0; (SIZE.0 * SIZE.1 * 3) as usize];
        self.draw(
            BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area(),
            results,
        )?;
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, SIZE.0, SIZE.1);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&pixels).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(bytes)
    }

    fn draw<B: DrawingBackend>(
        self,
        area: DrawingArea<B, Shift>,
        results: &[RunResult],
    ) -> Result<(), PlotError> {
        font()?;
        let lines = self.lines(results);
        let days = days(results.first().map(|result| &result.outcome.series));
        let last = days.last().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let highest = lines
            .iter()
            .flat_map(|line| &line.values)
            .fold(0.0_f64, |a, &b| a.max(b));
        // A plot of nothing keeps an axis of 0 to 1; the key stands above the lines, not on them.
        let room = match lines.len() {
            0 | 1 => 1.05,
            several => 1.1 + 0.06 * several as f64,
        };
        let top = if highest > 0.0 { highest * room } else { 1.0 };
        area.fill(&WHITE).map_err(failed)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title(), (FONT, 24))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..last, 0.0..top)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc("days")
            .y_desc(self.unit())
            .axis_desc_style((FONT, 18))
            .label_style((FONT, 15))
            .light_line_style(WHITE)
            .draw()
            .map_err(failed)?;
        for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
            let points = days.iter().copied().zip(line.values.iter().copied());
            let key = move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2));
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))
                .map_err(failed)?
                .label(&line.label)
                .legend(key);
        }
        if lines.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .background_style(WHITE.mix(0.85))
                .border_style(BLACK.mix(0.3))
                .label_font((FONT, 15))
                .draw()
                .map_err(failed)?;
        }
        area.present().map_err(failed)
    }

    fn lines(self, results: &[RunResult]) -> Vec<Line> {
        let each = |values: fn(&Series) -> Vec<f64>| {
            let line = |result: &RunResult| Line {
                label: result.policy.name.clone(),
                values: values(&result.outcome.series),
            };
            results.iter().map(line).collect()
        };
        match self {
            Self::Allocation => by_dimension(results, |series| &series.allocated),
            Self::Stranded => by_dimension(results, |series| &series.stranded),
            Self::EmptyNodes => each(|s| s.empty_nodes.iter().map(|v| v * 100.0).collect()),
            Self::Rejections => each(|s| s.rejected.iter().map(|v| *v as f64).collect()),
            Self::Alive => each(|s| s.alive.clone()),
        }
    }
}

/// A line for each dimension that any VM of the run took something of; of several runs only what
/// every grid has, lest nobody tells the lines apart.
fn by_dimension(
    results: &[RunResult],
    values: fn(&Series) -> &Vec<[f64; model::units::DIMENSIONS]>,
) -> Vec<Line> {
    let several = results.len() > 1;
    let mut lines = Vec::new();
    for result in results {
        let used = result.outcome.summary.allocated;
        for dimension in Dimension::ALL {
            let common = matches!(dimension, Dimension::Cpu | Dimension::Mem);
            if used[dimension as usize] == 0.0 || (several && !common) {
                continue;
            }
            let name = &result.policy.name;
            let series = values(&result.outcome.series);
            lines.push(Line {
                label: if several {
                    format!("{name}, {dimension}")
                } else {
                    dimension.to_string()
                },
                values: series
                    .iter()
                    .map(|v| v[dimension as usize] * 100.0)
                    .collect(),
            });
        }
    }
    lines
}

/// The middle of each bin.
fn days(series: Option<&Series>) -> Vec<f64> {
    let start = series.map_or(&[][..], |series| &series.start);
    let half = match start {
        [first, second, ..] => (*second - *first).seconds() / 2.0,
        _ => 0.0,
    };
    start
        .iter()
        .map(|time| (time.seconds() + half) / SECONDS_PER_DAY)
        .collect()
}

/// Makes the font known once; measuring text needs one even where a viewer brings its own.
fn font() -> Result<(), PlotError> {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT).is_ok()
    });
    known
        .then_some(())
        .ok_or_else(|| PlotError("the built-in font is not readable".into()))
}

fn failed(error: impl std::fmt::Display) -> PlotError {
    PlotError(error.to_string())
}
