//! Automatic layout: columns from left to right along the links, with few crossings.

use super::edit::component_place;
use model::design::Design;

/// Distance of two columns' centres, in points.
const COLUMN: f32 = 240.0;
/// Distance of two rows' centres, in points.
const ROW: f32 = 100.0;
/// Sweeps that sort each column by its neighbours; more do not help drawings of this size.
const SWEEPS: usize = 8;

/// A place for each component: what opens connections stands left of what accepts them.
///
/// Columns are longest paths from the sources, with links that close a cycle left out; rows are sorted
/// by the mean row of the neighbours (Sugiyama, Tagawa, Toda 1981: layers and barycentres).
pub fn left_to_right(design: &Design) -> Vec<[f32; 2]> {
    let count = design.components.len();
    let forward = forward_links(design);
    let column = columns(count, &forward);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); column.iter().max().map_or(0, |c| c + 1)];
    for place in 0..count {
        rows[column[place]].push(place);
    }
    sort_rows(&mut rows, &forward, count);
    let mut at = vec![[0.0, 0.0]; count];
    for (x, members) in rows.iter().enumerate() {
        let top = -(members.len() as f32 - 1.0) / 2.0 * ROW;
        for (y, &place) in members.iter().enumerate() {
            at[place] = [x as f32 * COLUMN, top + y as f32 * ROW];
        }
    }
    at
}

/// Links between existing components without those that close a cycle.
fn forward_links(design: &Design) -> Vec<(usize, usize)> {
    let count = design.components.len();
    let mut out = vec![Vec::new(); count];
    for link in &design.links {
        let ends = (
            component_place(design, &link.from),
            component_place(design, &link.to),
        );
        if let (Some(from), Some(to)) = ends
            && from != to
        {
            out[from].push(to);
        }
    }
    let mut forward = Vec::new();
    let mut colour = vec![Colour::White; count];
    for root in 0..count {
        visit(root, &out, &mut colour, &mut forward);
    }
    forward
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    White,
    Grey,
    Black,
}

/// Depth-first with its own stack: a chain of thousands must not overflow the thread's.
fn visit(
    root: usize,
    out: &[Vec<usize>],
    colour: &mut [Colour],
    forward: &mut Vec<(usize, usize)>,
) {
    if colour[root] != Colour::White {
        return;
    }
    colour[root] = Colour::Grey;
    let mut stack = vec![(root, 0)];
    while let Some((from, next)) = stack.pop() {
        let Some(&to) = out[from].get(next) else {
            colour[from] = Colour::Black;
            continue;
        };
        stack.push((from, next + 1));
        if colour[to] != Colour::Grey {
            forward.push((from, to));
        }
        if colour[to] == Colour::White {
            colour[to] = Colour::Grey;
            stack.push((to, 0));
        }
    }
}

fn columns(count: usize, forward: &[(usize, usize)]) -> Vec<usize> {
    let mut column = vec![0; count];
    let mut waiting = vec![0; count];
    let mut out = vec![Vec::new(); count];
    for &(from, to) in forward {
        waiting[to] += 1;
        out[from].push(to);
    }
    let mut ready: Vec<usize> = (0..count).filter(|&c| waiting[c] == 0).collect();
    while let Some(from) = ready.pop() {
        for &to in &out[from] {
            column[to] = column[to].max(column[from] + 1);
            waiting[to] -= 1;
            if waiting[to] == 0 {
                ready.push(to);
            }
        }
    }
    column
}

fn sort_rows(rows: &mut [Vec<usize>], forward: &[(usize, usize)], count: usize) {
    let mut neighbours = vec![Vec::new(); count];
    for &(from, to) in forward {
        neighbours[from].push(to);
        neighbours[to].push(from);
    }
    let mut height = vec![0.0; count];
    for members in rows.iter_mut() {
        note_heights(members, &mut height);
    }
    for sweep in 0..SWEEPS {
        let order: Vec<usize> = if sweep % 2 == 0 {
            (0..rows.len()).collect()
        } else {
            (0..rows.len()).rev().collect()
        };
        for x in order {
            let mean = |place: usize| {
                let near = &neighbours[place];
                if near.is_empty() {
                    height[place]
                } else {
                    near.iter().map(|&n| height[n]).sum::<f32>() / near.len() as f32
                }
            };
            rows[x].sort_by(|&a, &b| mean(a).total_cmp(&mean(b)).then(a.cmp(&b)));
            note_heights(&rows[x], &mut height);
        }
    }
}

fn note_heights(members: &[usize], height: &mut [f32]) {
    let middle = (members.len() as f32 - 1.0) / 2.0;
    for (y, &place) in members.iter().enumerate() {
        height[place] = y as f32 - middle;
    }
}
