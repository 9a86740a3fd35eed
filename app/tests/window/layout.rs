//! The heatmap's layout: every node has its own cell in its frame, at any size and grouping.

use app::window::grid::layout::{Grouping, Layout};
use app::window::sources::{GridChoice, open_grid};
use egui::{Rect, Vec2, vec2};
use std::collections::BTreeSet;
use strum::VariantArray;

fn check(sample: &'static str, grouping: Grouping, size: Vec2) {
    let grid = open_grid(&GridChoice::Sample(sample), None).expect("samples can be read");
    let layout = Layout::new(&grid, grouping, size);
    let whole = Rect::from_min_size(egui::Pos2::ZERO, size).expand(0.5);
    assert_eq!(layout.order.len(), grid.nodes.len());
    let texels: BTreeSet<usize> = layout.texels().map(|(_, texel)| texel).collect();
    assert_eq!(texels.len(), grid.nodes.len(), "two nodes share a texel");
    let most = layout.texture[0] * layout.texture[1];
    assert!(texels.last().is_none_or(|last| *last < most));
    for node in grid.node_ids() {
        let cell = layout.cell_of(node);
        assert!(
            whole.contains_rect(cell),
            "{sample} {grouping} {size}: {cell} is outside"
        );
    }
    for node in grid.node_ids().step_by(97) {
        let found = layout.node_at(layout.cell_of(node).center());
        assert_eq!(found, Some(node), "{sample} {grouping} {size}");
    }
}

/// Cells never leave the picture or share a texel, and the node under a cell's middle is its own.
#[test]
fn every_node_has_its_cell() {
    for sample in ["sample", "azure", "ten-thousand"] {
        for grouping in Grouping::VARIANTS {
            for size in [vec2(1_000.0, 700.0), vec2(420.0, 900.0), vec2(330.0, 220.0)] {
                check(sample, *grouping, size);
            }
        }
    }
}

/// A hundred thousand nodes still have a cell each.
#[test]
fn a_hundred_thousand_nodes_have_cells() {
    check("hundred-thousand", Grouping::Site, vec2(1_000.0, 700.0));
}
