//! Wall clock of a frame of the window, headless, at 10,000 and 100,000 nodes: layout of widgets, painting, tessellation.
//!
//! `cargo bench -p app --bench frame`; the graphics card's own time is not in it.

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
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Instant;

const SIZE: Vec2 = vec2(1_600.0, 1_000.0);
const FRAMES: usize = 200;

fn main() {
    println!(
        "{:44} {:>10} {:>10}",
        "Wall time of a frame, 1600 x 1000", "median µs", "p99 µs"
    );
    for sample in ["ten-thousand", "hundred-thousand"] {
        let views = views(sample);
        let nodes = views[0].nodes.len();
        heatmap(
            &format!("heatmap, {nodes} nodes, pointer moves"),
            &views[..1],
        );
        heatmap(
            &format!("heatmap, {nodes} nodes, a new view a frame"),
            &views,
        );
        layout(nodes, &views[0]);
        window(
            &format!("whole window, {nodes} nodes, pointer moves"),
            &views[..1],
        );
        window(
            &format!("whole window, {nodes} nodes, a new view a frame"),
            &views,
        );
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

fn heatmap(name: &str, views: &[Arc<View>]) {
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
    });
}

fn layout(nodes: usize, view: &View) {
    let begun = Instant::now();
    black_box(Layout::new(&view.grid, Grouping::Site, SIZE));
    let micros = begun.elapsed().as_secs_f64() * 1e6;
    println!(
        "{:44} {micros:>10.0}",
        format!("layout once, {nodes} nodes")
    );
}

fn window(name: &str, views: &[Arc<View>]) {
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
    });
}

fn context() -> egui::Context {
    let ctx = egui::Context::default();
    theme::install(&ctx);
    ctx
}

fn measure(name: &str, ctx: &egui::Context, mut draw: impl FnMut(&mut egui::Ui, usize)) {
    let mut micros: Vec<f64> = (0..FRAMES)
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
            let begun = Instant::now();
            let mut output = ctx.run_ui(input, |ui| draw(ui, frame));
            let shapes = std::mem::take(&mut output.shapes);
            black_box(ctx.tessellate(shapes, output.pixels_per_point));
            let micros = begun.elapsed().as_secs_f64() * 1e6;
            output.drop_without_applying_deltas();
            micros
        })
        .skip(FRAMES / 10)
        .collect();
    micros.sort_by(f64::total_cmp);
    let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize];
    println!("{name:44} {:>10.0} {:>10.0}", at(0.5), at(0.99));
}
