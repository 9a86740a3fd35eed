//! Where a dragged group comes to rest: on a neighbour's line, else on the grid.

use egui::{Pos2, Vec2, pos2, vec2};

/// Distance of the canvas's grid lines, in points of the drawing.
pub const GRID: f32 = 20.0;
/// How near, in points of the drawing, a card must come to a neighbour's line to be drawn to it.
const REACH: f32 = 6.0;

/// A line that shows with what a dragged card is aligned, in the drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guide {
    /// One end.
    pub from: Pos2,
    /// The other.
    pub to: Pos2,
}

/// The nearest crossing of grid lines.
pub fn to_grid(at: Pos2) -> Pos2 {
    pos2((at.x / GRID).round() * GRID, (at.y / GRID).round() * GRID)
}

/// By how much a dragged card that would lie at `wanted` is to be shifted, and the guides to draw:
/// its centre goes on to the line through a neighbour's centre within reach, else on to the grid.
pub fn shift(wanted: Pos2, neighbours: &[Pos2]) -> (Vec2, Vec<Guide>) {
    let nearest = |distance: fn(Pos2, Pos2) -> f32| {
        neighbours
            .iter()
            .copied()
            .map(|other| (distance(wanted, other), other))
            .filter(|(d, _)| d.abs() <= REACH)
            .min_by(|(a, _), (b, _)| a.abs().total_cmp(&b.abs()))
    };
    let column = nearest(|at, other| other.x - at.x);
    let row = nearest(|at, other| other.y - at.y);
    let grid = to_grid(wanted) - wanted;
    let by = vec2(
        column.map_or(grid.x, |(d, _)| d),
        row.map_or(grid.y, |(d, _)| d),
    );
    let rest = wanted + by;
    let guides = [column, row]
        .into_iter()
        .flatten()
        .map(|(_, to)| Guide { from: rest, to });
    (by, guides.collect())
}
