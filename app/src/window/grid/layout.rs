//! Where each node stands on the heatmap: groups as boxes, racks as blocks of cells; computed once a grid, grouping and size.

mod shelf;

use crate::window::grid::layout::shelf::Shelf;
use egui::{Pos2, Rect, Vec2, pos2, vec2};
use model::grid::Grid;
use model::id::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Larger cells waste room on small grids.
const MAX_CELL: f32 = 40.0;
/// Smaller cells cannot be told apart; beyond, the user zooms.
const MIN_CELL: f32 = 0.5;
/// Halvings of the search for the largest cell: 40 / 2^12 is a hundredth of a point.
const HALVINGS: usize = 12;
/// Between a group's frame and its contents.
const GROUP_PADDING: f32 = 7.0;
/// Between groups.
const GROUP_GAP: f32 = 8.0;
/// A group's title.
const GROUP_TITLE: f32 = 20.0;
/// Cells in a row of the texture; every graphics card takes textures four times as wide.
const TEXTURE_WIDTH: usize = 1_024;

/// What stands together.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::VariantArray,
    strum::Display,
)]
#[serde(rename_all = "kebab-case")]
pub enum Grouping {
    /// Racks on their sites.
    #[default]
    Site,
    /// Equal nodes.
    Class,
    /// Nodes under the same hypervisor, by class.
    Hypervisor,
}

impl Grouping {
    /// Its name in the picker.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Site => "Site and rack",
            Self::Class => "Node class",
            Self::Hypervisor => "Hypervisor",
        }
    }
}

/// A site, class or hypervisor.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name.
    pub title: String,
    /// Its nodes.
    pub nodes: usize,
    /// Its frame.
    pub frame: Rect,
}

/// A rack, or another run of nodes: rows of cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its name; empty where the group's says it all.
    pub title: String,
    /// Its cells.
    pub cells: Rect,
    /// Its title's strip above the cells.
    pub band: Rect,
    /// Cells in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
    /// Its first node in [`Layout::order`].
    pub first: usize,
    /// Its nodes.
    pub count: usize,
    /// Its upper left cell in the texture.
    pub texel: [usize; 2],
}

/// The whole picture, in points at zoom 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Frames.
    pub groups: Vec<Group>,
    /// Runs of cells.
    pub blocks: Vec<Block>,
    /// Nodes in the order of blocks and cells.
    pub order: Vec<NodeId>,
    /// The side of a cell.
    pub cell: f32,
    /// Texels across and down.
    pub texture: [usize; 2],
    /// By [`NodeId`]: its block, and its place in it.
    places: Vec<(u32, u32)>,
}

/// A block before it has a place.
struct Run {
    title: String,
    nodes: Vec<NodeId>,
}

impl Layout {
    /// The largest cells with which all nodes fit the size.
    pub fn new(grid: &Grid, grouping: Grouping, size: Vec2) -> Self {
        let gathered = gather(grid, grouping);
        let weights: Vec<f32> = gathered.iter().map(|(_, runs)| weight(runs)).collect();
        let mut frames = Vec::with_capacity(gathered.len());
        split(Rect::from_min_size(Pos2::ZERO, size), &weights, &mut frames);
        let contents: Vec<Rect> = frames.iter().map(|frame| inside(*frame)).collect();
        let fits = |cell: f32| {
            gathered
                .iter()
                .zip(&contents)
                .all(|((_, runs), content)| fitting(runs, *content, cell).is_some())
        };
        let (mut small, mut large) = (MIN_CELL, MAX_CELL);
        for _ in 0..HALVINGS {
            let middle = (small + large) / 2.0;
            if fits(middle) {
                small = middle;
            } else {
                large = middle;
            }
        }
        Self::place(grid, gathered, &frames, &contents, small)
    }

    fn place(
        grid: &Grid,
        gathered: Vec<(String, Vec<Run>)>,
        frames: &[Rect],
        contents: &[Rect],
        cell: f32,
    ) -> Self {
        let mut layout = Self {
            groups: Vec::with_capacity(gathered.len()),
            blocks: Vec::new(),
            order: Vec::with_capacity(grid.nodes.len()),
            cell,
            texture: [TEXTURE_WIDTH, 1],
            places: vec![(0, 0); grid.nodes.len()],
        };
        let mut shelf = Shelf::default();
        for ((title, runs), (frame, content)) in
            gathered.into_iter().zip(frames.iter().zip(contents))
        {
            let (blocks, _) =
                fitting(&runs, *content, cell).unwrap_or_else(|| flow(&runs, *content, cell, 1.0));
            layout.groups.push(Group {
                title,
                nodes: runs.iter().map(|run| run.nodes.len()).sum(),
                frame: *frame,
            });
            for (mut block, run) in blocks.into_iter().zip(runs) {
                block.first = layout.order.len();
                block.texel = shelf.take(block.columns, block.rows);
                for (place, node) in run.nodes.iter().enumerate() {
                    layout.places[node.index()] = (layout.blocks.len() as u32, place as u32);
                }
                layout.order.extend(run.nodes);
                layout.blocks.push(block);
            }
        }
        layout.texture = shelf.size();
        layout
    }

    /// The node at a point, if any.
    pub fn node_at(&self, point: Pos2) -> Option<NodeId> {
        let block = self
            .blocks
            .iter()
            .find(|block| block.cells.contains(point))?;
        let at = (point - block.cells.min) / self.cell;
        let column = (at.x as usize).min(block.columns - 1);
        let row = (at.y as usize).min(block.rows - 1);
        let place = row * block.columns + column;
        (place < block.count).then(|| self.order[block.first + place])
    }

    /// A node's cell.
    pub fn cell_of(&self, node: NodeId) -> Rect {
        let (block, place) = self.places[node.index()];
        let block = &self.blocks[block as usize];
        let (row, column) = (
            place as usize / block.columns,
            place as usize % block.columns,
        );
        let min = block.cells.min + vec2(column as f32, row as f32) * self.cell;
        Rect::from_min_size(min, Vec2::splat(self.cell))
    }

    /// Each node with its texel, in the order of blocks.
    pub fn texels(&self) -> impl Iterator<Item = (NodeId, usize)> {
        let width = self.texture[0];
        self.blocks.iter().flat_map(move |block| {
            (0..block.count).map(move |place| {
                let (row, column) = (place / block.columns, place % block.columns);
                let texel = (block.texel[1] + row) * width + block.texel[0] + column;
                (self.order[block.first + place], texel)
            })
        })
    }

    /// The nearest node in a direction, for the arrow keys.
    pub fn neighbour(&self, node: NodeId, direction: Vec2) -> Option<NodeId> {
        let from = self.cell_of(node).center();
        let cost = |candidate: NodeId| {
            let way = self.cell_of(candidate).center() - from;
            let along = way.dot(direction);
            let across = (way - along * direction).length();
            (along > self.cell * 0.4 && across <= along).then_some(along + 2.0 * across)
        };
        self.order
            .iter()
            .filter_map(|&candidate| Some((cost(candidate)?, candidate)))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
            .map(|(_, candidate)| candidate)
    }
}

/// Nodes by group and block, both in order of id.
fn gather(grid: &Grid, grouping: Grouping) -> Vec<(String, Vec<Run>)> {
    let mut groups: BTreeMap<u32, BTreeMap<u32, Vec<NodeId>>> = BTreeMap::new();
    for node in grid.node_ids() {
        let (class, rack) = (
            grid.nodes[node.index()].class.0,
            grid.nodes[node.index()].rack.0,
        );
        let (group, block) = match grouping {
            Grouping::Site => (grid.site_of(node).0, rack),
            Grouping::Class => (class, 0),
            Grouping::Hypervisor => (grid.class_of(node).hypervisor.0, class),
        };
        groups
            .entry(group)
            .or_default()
            .entry(block)
            .or_default()
            .push(node);
    }
    let group_title = |group: u32| match grouping {
        Grouping::Site => grid.sites[group as usize].name.clone(),
        Grouping::Class => grid.classes[group as usize].name.clone(),
        Grouping::Hypervisor => grid.hypervisors[group as usize].title.clone(),
    };
    let block_title = |block: u32| match grouping {
        Grouping::Site => grid.racks[block as usize].name.clone(),
        Grouping::Class => String::new(),
        Grouping::Hypervisor => grid.classes[block as usize].name.clone(),
    };
    let runs = |blocks: BTreeMap<u32, Vec<NodeId>>| {
        let run = |(block, nodes)| Run {
            title: block_title(block),
            nodes,
        };
        blocks.into_iter().map(run).collect()
    };
    groups
        .into_iter()
        .map(|(group, blocks)| (group_title(group), runs(blocks)))
        .collect()
}

/// Room that a group wants, in cells; titles and gaps count as a few.
fn weight(runs: &[Run]) -> f32 {
    runs.iter()
        .map(|run| run.nodes.len() as f32 + 3.0)
        .sum::<f32>()
        + 8.0
}

/// Splits a rectangle among ordered weights, halving the longer side each time.
fn split(rect: Rect, weights: &[f32], out: &mut Vec<Rect>) {
    if weights.len() <= 1 {
        out.extend(weights.iter().map(|_| rect));
        return;
    }
    let total: f32 = weights.iter().sum();
    let mut left = 0.0;
    let mut middle = 0;
    while middle + 1 < weights.len() && (middle == 0 || left + weights[middle] / 2.0 < total / 2.0)
    {
        left += weights[middle];
        middle += 1;
    }
    let part = left / total;
    let (first, second) = if rect.width() >= rect.height() {
        let at = rect.min.x + rect.width() * part;
        let half = GROUP_GAP / 2.0;
        (
            Rect::from_min_max(rect.min, pos2(at - half, rect.max.y)),
            Rect::from_min_max(pos2(at + half, rect.min.y), rect.max),
        )
    } else {
        let at = rect.min.y + rect.height() * part;
        let half = GROUP_GAP / 2.0;
        (
            Rect::from_min_max(rect.min, pos2(rect.max.x, at - half)),
            Rect::from_min_max(pos2(rect.min.x, at + half), rect.max),
        )
    };
    split(first, &weights[..middle], out);
    split(second, &weights[middle..], out);
}

/// What a group's frame leaves for its blocks.
fn inside(frame: Rect) -> Rect {
    let mut content = frame.shrink(GROUP_PADDING);
    content.min.y = frame.min.y + GROUP_TITLE;
    content
}

/// The squarest blocks with which a group fits its frame, if any.
fn fitting(runs: &[Run], content: Rect, cell: f32) -> Option<(Vec<Block>, f32)> {
    // Width against height of a rack's block.
    const SHAPES: [f32; 7] = [1.0, 1.5, 0.67, 2.2, 0.45, 3.5, 6.0];
    SHAPES
        .into_iter()
        .map(|shape| flow(runs, content, cell, shape))
        .find(|(_, height)| *height <= content.height())
}

/// Puts blocks of a shape side by side in rows; returns them and the height they took.
fn flow(runs: &[Run], content: Rect, cell: f32, shape: f32) -> (Vec<Block>, f32) {
    let gap = (cell * 0.45).clamp(1.5, 8.0);
    let width = content.width().max(cell);
    let alone = runs.len() == 1;
    let mut blocks = Vec::with_capacity(runs.len());
    let (mut x, mut y, mut shelf) = (0.0, 0.0, 0.0_f32);
    for run in runs {
        let count = run.nodes.len();
        let across = (width / cell).floor().max(1.0) as usize;
        let square = (count as f32 * shape).sqrt().ceil() as usize;
        let columns = if alone { across } else { square.min(across) }.clamp(1, count.max(1));
        let rows = count.div_ceil(columns).max(1);
        let band = if run.title.is_empty() {
            0.0
        } else {
            (cell * 0.9).clamp(2.0, 14.0)
        };
        let block = vec2(columns as f32, rows as f32) * cell;
        if x > 0.0 && x + block.x > width {
            x = 0.0;
            y += shelf + gap;
            shelf = 0.0;
        }
        let corner = content.min + vec2(x, y);
        blocks.push(Block {
            title: run.title.clone(),
            band: Rect::from_min_size(corner, vec2(block.x, band)),
            cells: Rect::from_min_size(corner + vec2(0.0, band), block),
            columns,
            rows,
            first: 0,
            count,
            texel: [0, 0],
        });
        shelf = shelf.max(block.y + band);
        x += block.x + gap;
    }
    (blocks, y + shelf)
}
