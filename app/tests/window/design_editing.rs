//! The editing model alone: edits, steps, history, layout and guides.

use app::window::design::arrange::left_to_right;
use app::window::design::document::{Document, Gesture, MAX_STEPS};
use app::window::design::edit::{DesignField, Edit, Field, LinkField, fragment, free_name};
use app::window::design::selection::{Item, Selection};
use app::window::design::snap;
use app::window::design::viewport::{Viewport, ZOOM_MAX, ZOOM_MIN};
use egui::{Rect, pos2, vec2};
use model::design::{ComponentKind, Design};
use proptest::prelude::*;
use strum::VariantArray;

/// `balancer` → `web` → `db`, by edits alone.
fn shop() -> Design {
    let mut design = Design::default();
    for (place, kind) in [
        ComponentKind::LoadBalancer,
        ComponentKind::WebServer,
        ComponentKind::Database,
    ]
    .into_iter()
    .enumerate()
    {
        Edit::Add {
            kind,
            position: [place as f32 * 300.0, 0.0],
        }
        .apply(&mut design);
    }
    Edit::Link { from: 0, to: 1 }.apply(&mut design);
    Edit::Link { from: 1, to: 2 }.apply(&mut design);
    design
}

fn names(design: &Design) -> Vec<&str> {
    design.components.iter().map(|c| c.name.as_str()).collect()
}

fn links(design: &Design) -> Vec<String> {
    design
        .links
        .iter()
        .map(|l| format!("{} {}", l.from, l.to))
        .collect()
}

fn rename(place: usize, name: &str) -> Edit {
    Edit::Change {
        components: vec![place],
        field: Field::Name(name.into()),
    }
}

/// Links and neighbours follow a renamed component.
#[test]
fn a_rename_takes_links_along() {
    let mut design = shop();
    rename(1, "front").apply(&mut design);
    assert_eq!(links(&design), ["balancer front", "front db"]);
}

/// Deleting a component deletes the links that end at it, and no others.
#[test]
fn a_deleted_component_takes_its_links_along() {
    let mut design = shop();
    Edit::Delete(Selection::of(Item::Component(0))).apply(&mut design);
    assert_eq!(names(&design), ["web", "db"]);
    assert_eq!(links(&design), ["web db"]);
}

/// Of two components with one name the first owns the links; deleting the second leaves them.
#[test]
fn links_stay_with_the_component_that_owns_them() {
    let mut design = shop();
    let twin = design.components[1].clone();
    design.components.push(twin);
    Edit::Delete(Selection::of(Item::Component(3))).apply(&mut design);
    assert_eq!(links(&design), ["balancer web", "web db"]);
}

/// Copies have names of their own, and the links among them.
#[test]
fn copies_are_linked_among_themselves() {
    let mut design = shop();
    let copied = fragment(&design, &Selection::of_components([1, 2]));
    let selected = Edit::Insert {
        fragment: copied,
        by: [40.0, 40.0],
        verb: "paste",
    }
    .apply(&mut design);
    assert_eq!(names(&design), ["balancer", "web", "db", "web-2", "db-2"]);
    assert_eq!(links(&design), ["balancer web", "web db", "web-2 db-2"]);
    assert_eq!(selected, Some(Selection::of_components([3, 4])));
    assert_eq!(design.components[3].position, [340.0, 40.0]);
}

/// The lowest free number from 2 is taken, whatever number the wanted name ends with.
#[test]
fn free_names_count_on() {
    let mut design = shop();
    assert_eq!(free_name(&design, "web"), "web-2");
    rename(0, "web-2").apply(&mut design);
    assert_eq!(free_name(&design, "web-2"), "web-3");
    assert_eq!(free_name(&design, "cache"), "cache");
}

/// A link to oneself is refused; a link that is there is selected, not doubled.
#[test]
fn links_are_neither_loops_nor_doubled() {
    let mut design = shop();
    assert_eq!(Edit::Link { from: 1, to: 1 }.apply(&mut design), None);
    let again = Edit::Link { from: 0, to: 1 }.apply(&mut design);
    assert_eq!(again, Some(Selection::of(Item::Link(0))));
    assert_eq!(design, shop());
}

/// All edits of one gesture are one step, and a drag back to its start is none.
#[test]
fn a_gesture_is_one_step() {
    let mut document = Document::new(shop(), None);
    let drag = || Gesture("drag 1".into());
    let to = |x: f32| Edit::Place(vec![(0, [x, 0.0])]);
    for x in [10.0, 20.0, 30.0] {
        document.apply_within(&to(x), drag());
    }
    document.end_gesture();
    assert_eq!(document.undo_title(), Some("move balancer"));
    assert!(document.undo());
    assert_eq!(**document.design(), shop());
    assert!(!document.undo());

    document.apply_within(&to(10.0), drag());
    document.apply_within(&to(0.0), drag());
    assert_eq!(document.undo_title(), None);
}

/// A gesture whose first edits change nothing still gets a step of its own.
#[test]
fn a_gesture_never_joins_the_step_before() {
    let mut document = Document::new(shop(), None);
    document.apply(&rename(0, "first"));
    let gesture = || Gesture("name".into());
    document.apply_within(&rename(1, "web"), gesture());
    document.apply_within(&rename(1, "front"), gesture());
    document.undo();
    assert_eq!(names(document.design()), ["first", "web", "db"]);
}

/// Saving clears the mark; undoing beyond what was saved sets it again.
#[test]
fn modified_means_other_than_saved() {
    let mut document = Document::new(shop(), None);
    assert!(!document.is_modified());
    document.apply(&rename(0, "first"));
    assert!(document.is_modified());
    let design = std::sync::Arc::clone(document.design());
    document.mark_saved("x.toml".into(), design);
    assert!(!document.is_modified());
    document.undo();
    assert!(document.is_modified());
    document.redo();
    assert!(!document.is_modified());
    assert!(Document::recovered(Design::default(), None).is_modified());
}

/// The oldest steps go when there are too many; the others still lead back one by one.
#[test]
fn history_is_bounded() {
    let mut document = Document::new(shop(), None);
    for step in 0..MAX_STEPS + 10 {
        document.apply(&Edit::Place(vec![(0, [step as f32 + 1.0, 0.0])]));
    }
    let mut back = 0;
    while document.undo() {
        back += 1;
    }
    assert_eq!(back, MAX_STEPS);
    assert_eq!(document.design().components[0].position, [10.0, 0.0]);
}

/// Undo brings back what was selected.
#[test]
fn undo_brings_the_selection_back() {
    let mut document = Document::new(shop(), None);
    document.select(Selection::of_components([1]));
    document.apply(&Edit::Delete(Selection::of_components([1])));
    assert!(document.selection().is_empty());
    document.undo();
    assert_eq!(*document.selection(), Selection::of_components([1]));
}

/// Who opens connections stands left of who accepts them, nothing overlaps, and a cycle does no harm.
#[test]
fn layout_goes_from_left_to_right() {
    let mut design = shop();
    for _ in 0..3 {
        Edit::Add {
            kind: ComponentKind::WebServer,
            position: [0.0, 0.0],
        }
        .apply(&mut design);
    }
    for place in 3..6 {
        Edit::Link { from: 0, to: place }.apply(&mut design);
    }
    Edit::Link { from: 2, to: 0 }.apply(&mut design);
    let at = left_to_right(&design);
    assert!(at[0][0] < at[1][0] && at[1][0] < at[2][0], "{at:?}");
    for (a, one) in at.iter().enumerate() {
        for other in &at[a + 1..] {
            assert!(
                (one[0] - other[0]).abs() >= 200.0 || (one[1] - other[1]).abs() >= 70.0,
                "{at:?}"
            );
        }
    }
}

/// A card near a neighbour's line goes on to it and shows a guide; else it goes on to the grid.
#[test]
fn cards_snap_to_neighbours_then_to_the_grid() {
    let (by, guides) = snap::shift(pos2(204.0, 333.0), &[pos2(207.0, 0.0)]);
    assert_eq!(by, vec2(3.0, 7.0));
    assert_eq!(guides.len(), 1);
    assert_eq!(snap::shift(pos2(11.0, -11.0), &[]).0, vec2(9.0, -9.0));
}

/// Zooming keeps the point under the pointer, within bounds; fitting shows all, and nothing is no fault.
#[test]
fn the_viewport_keeps_its_bounds() {
    let canvas = Rect::from_min_size(pos2(200.0, 50.0), vec2(900.0, 700.0));
    let mut viewport = Viewport::default();
    let anchor = pos2(640.0, 300.0);
    let before = viewport.to_drawing(canvas, anchor);
    viewport.zoom_about(canvas, anchor, 1.5);
    assert!((viewport.to_drawing(canvas, anchor) - before).length() < 0.01);
    viewport.zoom_about(canvas, anchor, 1e30);
    assert_eq!(viewport.zoom, ZOOM_MAX);
    viewport.zoom_about(canvas, anchor, f32::NAN);
    viewport.zoom_about(canvas, anchor, 1e-30);
    assert_eq!(viewport.zoom, ZOOM_MIN);
    viewport.fit(canvas, None);
    assert_eq!(viewport.zoom, 1.0);
    let bounds = Rect::from_min_size(pos2(-4_000.0, 0.0), vec2(8_000.0, 300.0));
    viewport.fit(canvas, Some(bounds));
    assert!(canvas.contains_rect(viewport.rect_to_screen(canvas, bounds)));
}

/// Any edit, on places that may not exist.
fn any_edit() -> impl Strategy<Value = Edit> {
    let place = 0..8_usize;
    let places = proptest::collection::vec(0..8_usize, 1..4);
    let kind = proptest::sample::select(ComponentKind::VARIANTS);
    let coordinate = || -500..500_i16;
    let selection = (
        places.clone(),
        proptest::collection::btree_set(0..8_usize, 0..3),
    )
        .prop_map(|(components, links)| Selection {
            components: components.into_iter().collect(),
            links,
        });
    prop_oneof![
        (kind, coordinate(), coordinate()).prop_map(|(kind, x, y)| Edit::Add {
            kind,
            position: [x.into(), y.into()]
        }),
        selection.prop_map(Edit::Delete),
        (place.clone(), coordinate())
            .prop_map(|(place, x)| Edit::Place(vec![(place, [x.into(), 0.0])])),
        (place.clone(), 0..8_usize).prop_map(|(from, to)| Edit::Link { from, to }),
        (place, "[a-c]{1,2}").prop_map(|(place, name)| rename(place, &name)),
        (places, 1..64_u32).prop_map(|(components, n)| Edit::Change {
            components,
            field: Field::MemMib(n * 512)
        }),
        (0..8_usize, any::<u16>()).prop_map(|(link, port)| Edit::ChangeLinks {
            links: vec![link],
            field: LinkField::Port(port)
        }),
        (0..8_usize).prop_map(|link| Edit::ChangeLinks {
            links: vec![link],
            field: LinkField::Reverse
        }),
        "[a-z]{0,4}".prop_map(|name| Edit::ChangeDesign(DesignField::Name(name))),
        (1..3_usize).prop_map(|count| {
            let all = Selection::of_components(0..count);
            Edit::Insert {
                fragment: fragment(&shop(), &all),
                by: [20.0, 20.0],
                verb: "paste",
            }
        }),
    ]
}

proptest! {
    /// Whatever was done, alone or within gestures: undoing all gives the first design, redoing all the
    /// last, selections stay within the design, and a redo after a new edit is gone.
    #[test]
    fn undo_all_and_redo_all_are_exact(
        edits in proptest::collection::vec((any_edit(), proptest::option::of(0..3_u8)), 0..40),
    ) {
        let first = shop();
        let mut document = Document::new(first.clone(), None);
        for (edit, gesture) in &edits {
            match gesture {
                Some(gesture) => document.apply_within(edit, Gesture(gesture.to_string())),
                None => document.apply(edit),
            }
            let selection = document.selection();
            prop_assert!(selection.components.iter().all(|&c| c < document.design().components.len()));
            prop_assert!(selection.links.iter().all(|&l| l < document.design().links.len()));
        }
        let last = std::sync::Arc::clone(document.design());
        let mut steps = 0;
        while document.undo() {
            steps += 1;
        }
        prop_assert_eq!(&**document.design(), &first);
        prop_assert!(!document.is_modified());
        let mut again = 0;
        while document.redo() {
            again += 1;
        }
        prop_assert_eq!(again, steps);
        prop_assert_eq!(document.design(), &last);
        if document.undo() {
            document.apply(&Edit::Add { kind: ComponentKind::Storage, position: [0.0, 0.0] });
            prop_assert_eq!(document.redo_title(), None);
        }
    }
}
