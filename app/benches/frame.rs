//! Processor time of a frame of the window, headless, at 10,000 and 100,000 nodes: layout of widgets, painting, tessellation.
//!
//! `cargo bench -p app --bench frame`. The time is that of the drawing thread alone, so other work on the machine
//! hardly shows in it; the wall clock stands beside it. The graphics card's own time is in neither.

use app::window::OpenArgs;
use app::window::files::DesktopDialogs;
use app::window::grid::heatmap::{Ask, Heatmap};
use app::window::grid::layout::{Grouping, Layout};
use app::window::grid::metric::Metric;
use app::window::grid::painting::Look;
use app::window::shell::Shell;
use app::window::sources::{GridChoice, open_grid};
use app::window::theme::{self, colour_map::ColourMap};
use egui::{Event, Pos2, RawInput, Rect, Vec2, pos2, vec2};
use model::units::Resources;
use model::view::View;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SIZE: Vec2 = vec2(1_600.0, 1_000.0);
/// So many that the 99th of a hundred is not the slowest of all.
const FRAMES: usize = 1_000;
/// Atlas, caches and branch predictors are filled by then.
const WARM_UP: usize = 100;
/// The processor time that a frame of the window may take: an eighth of a frame at 60 a second.
const BOUND: Duration = Duration::from_millis(2);
/// The size of the grid for which the bound is meant.
const BOUND_NODES: usize = 10_000;

fn main() {
    println!(
        "{:44} {:^27}   {:^27}",
        "", "processor time, µs", "wall clock, µs"
    );
    let head = format!("{:>8} {:>8} {:>9}", "median", "p99", "max");
    println!("{:44} {head}   {head}", "A frame, 1600 x 1000");
    for sample in ["ten-thousand", "hundred-thousand"] {
        let views = views(sample);
        let nodes = views[0].nodes.len();
        let mut slowest = Duration::ZERO;
        for (what, views) in [
            ("pointer moves", &views[..1]),
            ("a new view a frame", &views),
        ] {
            slowest = slowest
                .max(heatmap(&format!("heatmap, {nodes} nodes, {what}"), views))
                .max(window(
                    &format!("whole window, {nodes} nodes, {what}"),
                    views,
                ));
        }
        layout(nodes, &views[0]);
        if nodes == BOUND_NODES {
            let verdict = if slowest <= BOUND { "held" } else { "MISSED" };
            println!(
                "99 of 100 frames at {nodes} nodes within {BOUND:?} of processor time: {verdict}"
            );
        }
    }
}

/// Two instants of a grid: every node used differently.
fn views(sample: &'static str) -> [Arc<View>; 2] {
    let grid = open_grid(&GridChoice::Sample(sample), None).expect("samples can be read");
    [3_u64, 7].map(|factor| {
        let mut view = View::empty(Arc::clone(&grid));
        for node in grid.node_ids() {
            let capacity = grid.class_of(node).capacity.to_array();
            let part = (u64::from(node.0) * factor) % 101;
            let used = capacity.map(|amount| (u64::from(amount) * part / 100) as u32);
            view.nodes[node.index()].used = Resources::from_array(used);
        }
        Arc::new(view)
    })
}

fn heatmap(name: &str, views: &[Arc<View>]) -> Duration {
    let ctx = context();
    let mut heatmap = Heatmap::default();
    measure(name, &ctx, |ui, frame| {
        let ask = Ask {
            view: &views[frame % views.len()],
            grouping: Grouping::Site,
            look: Look {
                metric: Metric::Cpu,
                map: ColourMap::Viridis,
                search: 0,
            },
            hits: None,
            chosen: None,
            name: "Heatmap",
        };
        black_box(heatmap.ui(ui, &ask));
    })
}

fn layout(nodes: usize, view: &View) {
    let begun = Stamp::now();
    black_box(Layout::new(&view.grid, Grouping::Site, SIZE));
    let [processor, wall] = begun.micros_since();
    println!(
        "{:44} {processor:>8.0} {:18}   {wall:>8.0}",
        format!("layout once, {nodes} nodes"),
        ""
    );
}

fn window(name: &str, views: &[Arc<View>]) -> Duration {
    let ctx = context();
    let creation = eframe::CreationContext::_new_kittest(ctx.clone());
    let failure = Arc::new(Mutex::new(None));
    let dialogs = Arc::new(DesktopDialogs);
    let shell = Shell::new(&creation, OpenArgs::default(), dialogs, failure);
    let mut shell = shell.without_sample();
    measure(name, &ctx, |ui, frame| {
        shell.tick(ui.ctx());
        shell.show_view(Arc::clone(&views[frame % views.len()]));
        shell.show(ui);
    })
}

fn context() -> egui::Context {
    let ctx = egui::Context::default();
    theme::install(&ctx);
    ctx
}

/// Draws many frames and prints what they took; returns the 99th hundredth of the processor time.
fn measure(
    name: &str,
    ctx: &egui::Context,
    mut draw: impl FnMut(&mut egui::Ui, usize),
) -> Duration {
    let (mut processor, mut wall): (Vec<f64>, Vec<f64>) = (0..WARM_UP + FRAMES)
        .map(|frame| {
            let input = RawInput {
                screen_rect: Some(Rect::from_min_size(Pos2::ZERO, SIZE)),
                time: Some(frame as f64 / 60.0),
                events: vec![Event::PointerMoved(pos2(
                    300.0 + (frame % 100) as f32 * 5.0,
                    300.0 + (frame % 70) as f32 * 5.0,
                ))],
                ..RawInput::default()
            };
            let begun = Stamp::now();
            let mut output = ctx.run_ui(input, |ui| draw(ui, frame));
            let shapes = std::mem::take(&mut output.shapes);
            black_box(ctx.tessellate(shapes, output.pixels_per_point));
            let [processor, wall] = begun.micros_since();
            output.drop_without_applying_deltas();
            (processor, wall)
        })
        .skip(WARM_UP)
        .unzip();
    processor.sort_by(f64::total_cmp);
    wall.sort_by(f64::total_cmp);
    println!("{name:44} {}   {}", row(&processor), row(&wall));
    Duration::from_secs_f64(at(&processor, 0.99) / 1e6)
}

fn row(sorted: &[f64]) -> String {
    let [median, late, last] = [0.5, 0.99, 1.0].map(|share| at(sorted, share));
    format!("{median:>8.0} {late:>8.0} {last:>9.0}")
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// An instant by both clocks.
struct Stamp {
    processor: Duration,
    wall: Instant,
}

impl Stamp {
    fn now() -> Self {
        Self {
            processor: thread_time(),
            wall: Instant::now(),
        }
    }

    /// Microseconds since then: of this thread on a processor, and of the wall clock.
    fn micros_since(&self) -> [f64; 2] {
        let wall = self.wall.elapsed();
        let processor = thread_time().saturating_sub(self.processor);
        [processor, wall].map(|gone| gone.as_secs_f64() * 1e6)
    }
}

/// What this thread has spent on processors so far.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
