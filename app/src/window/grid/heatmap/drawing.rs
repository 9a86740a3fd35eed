//! How the heatmap is drawn: frames, one textured quad a rack, lines between cells, names, outlines.

use super::{Ask, Heatmap};
use crate::window::grid::layout::Layout;
use crate::window::grid::metric::counted;
use crate::window::theme::{Palette, font, size};
use egui::{
    Align2, Color32, FontId, Mesh, Painter, Rect, Shape, Stroke, StrokeKind, Ui, pos2, vec2,
};
use model::id::NodeId;

/// Cells smaller than this are drawn without lines between them.
const LEAST_LINED_CELL: f32 = 4.0;
/// Cells from this side on carry the node's name.
const LEAST_NAMED_CELL: f32 = 58.0;
/// Strips lower than this carry no rack name.
const LEAST_BAND: f32 = 9.0;

impl Heatmap {
    pub(super) fn draw(&self, ui: &Ui, rect: Rect, ask: &Ask<'_>, hovered: Option<NodeId>) {
        let (Some(placed), Some(painting)) = (&self.placed, &self.painting) else {
            return;
        };
        let layout = &placed.layout;
        let palette = Palette::of(ui.ctx());
        let painter = ui.painter_at(rect);
        for group in &layout.groups {
            self.draw_group(
                &painter,
                self.on_screen(group.frame),
                &group.title,
                group.nodes,
                palette,
            );
        }
        let cell = layout.cell * self.camera.zoom;
        let mut cells = Mesh::with_texture(painting.texture());
        let mut lines = Mesh::default();
        let pixel = 1.0 / ui.pixels_per_point();
        let [width, height] = layout.texture.map(|side| side as f32);
        for block in &layout.blocks {
            let on_screen = self.on_screen(block.cells);
            if !on_screen.intersects(rect) {
                continue;
            }
            let from = pos2(
                block.texel[0] as f32 / width,
                block.texel[1] as f32 / height,
            );
            let extent = vec2(block.columns as f32 / width, block.rows as f32 / height);
            cells.add_rect_with_uv(on_screen, Rect::from_min_size(from, extent), Color32::WHITE);
            if cell >= LEAST_LINED_CELL {
                rule(&mut lines, on_screen, cell, rect, pixel, palette.card);
            }
        }
        painter.add(Shape::mesh(cells));
        painter.add(Shape::mesh(lines));
        self.draw_names(&painter, layout, ask, cell, palette);
        for (node, colour, width) in [
            (hovered, palette.cell_hover, 1.5),
            (ask.chosen, palette.cell_chosen, 2.5),
        ] {
            let Some(node) = node else {
                continue;
            };
            let cell = self.on_screen(layout.cell_of(node));
            let outline = cell.expand(if cell.width() < 8.0 { 2.0 } else { 0.0 });
            painter.rect_stroke(
                outline,
                1.0,
                Stroke::new(width, colour),
                StrokeKind::Outside,
            );
        }
    }

    fn draw_group(
        &self,
        painter: &Painter,
        frame: Rect,
        title: &str,
        nodes: usize,
        palette: &Palette,
    ) {
        if !frame.intersects(painter.clip_rect()) {
            return;
        }
        painter.rect(
            frame,
            size::CORNER,
            palette.card,
            Stroke::new(1.0, palette.line),
            StrokeKind::Inside,
        );
        // A title stays in sight while its group is.
        let left = frame.left().max(painter.clip_rect().left()) + 8.0;
        let place = painter.text(
            pos2(left, frame.top() + 4.0),
            Align2::LEFT_TOP,
            title,
            FontId::proportional(font::BODY),
            palette.text_strong,
        );
        let text = counted(nodes, "node");
        if place.right() + 70.0 < frame.right() {
            painter.text(
                place.right_bottom() + vec2(8.0, -1.0),
                Align2::LEFT_BOTTOM,
                text,
                FontId::proportional(font::SMALL),
                palette.text_weak,
            );
        }
    }

    /// Names of racks, and of nodes once their cells are large enough.
    fn draw_names(
        &self,
        painter: &Painter,
        layout: &Layout,
        ask: &Ask<'_>,
        cell: f32,
        palette: &Palette,
    ) {
        let clip = painter.clip_rect();
        for block in &layout.blocks {
            let band = self.on_screen(block.band);
            if band.height() >= LEAST_BAND && band.intersects(clip) && !block.title.is_empty() {
                let size = (band.height() * 0.8).min(font::SMALL).round();
                painter.with_clip_rect(band.intersect(clip)).text(
                    band.left_center(),
                    Align2::LEFT_CENTER,
                    &block.title,
                    FontId::proportional(size),
                    palette.text_weak,
                );
            }
        }
        if cell < LEAST_NAMED_CELL {
            return;
        }
        for &node in &layout.order {
            let on_screen = self.on_screen(layout.cell_of(node));
            if on_screen.intersects(clip) {
                let colour = self
                    .painting
                    .as_ref()
                    .map_or(palette.text, |painting| painting.text_upon(node));
                painter
                    .with_clip_rect(on_screen.shrink(2.0).intersect(clip))
                    .text(
                        on_screen.left_top() + vec2(5.0, 4.0),
                        Align2::LEFT_TOP,
                        &ask.view.grid.nodes[node.index()].name,
                        FontId::proportional(font::SMALL),
                        colour,
                    );
            }
        }
    }
}

/// Lines between the cells of a block, those in sight only.
fn rule(mesh: &mut Mesh, block: Rect, cell: f32, clip: Rect, pixel: f32, colour: Color32) {
    let thickness = if cell < 12.0 {
        pixel
    } else {
        (cell / 18.0).clamp(pixel, 3.0)
    };
    let half = thickness / 2.0;
    // On whole pixels a thin line is one line, not two faint ones.
    let snap = |at: f32| ((at - half) / pixel).round() * pixel + half;
    let seen = block.intersect(clip);
    let range = |from: f32, to: f32, start: f32| {
        let first = ((from - start) / cell).ceil().max(1.0) as u32;
        let last = ((to - start) / cell).floor() as u32;
        first..=last
    };
    for column in range(seen.left(), seen.right(), block.left()) {
        let x = snap(block.left() + column as f32 * cell);
        let line = Rect::from_min_max(pos2(x - half, seen.top()), pos2(x + half, seen.bottom()));
        mesh.add_colored_rect(line, colour);
    }
    for row in range(seen.top(), seen.bottom(), block.top()) {
        let y = snap(block.top() + row as f32 * cell);
        let line = Rect::from_min_max(pos2(seen.left(), y - half), pos2(seen.right(), y + half));
        mesh.add_colored_rect(line, colour);
    }
}
