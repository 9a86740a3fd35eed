//! The design that is being drawn, with its history: every gesture is one step back and forth.

use super::edit::Edit;
use super::selection::Selection;
use model::design::Design;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many steps can be taken back. A snapshot of a large design is about 300 KiB and components are
/// copied only when the design changes, so 500 steps cost at most some 150 MiB, usually under one.
pub const MAX_STEPS: usize = 500;

/// What a new design is called.
pub const UNTITLED: &str = "Untitled";

/// Edits of one gesture, as one drag or typing in one field, become one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gesture(pub String);

/// A state to go back or forth to.
#[derive(Clone, Debug)]
struct Step {
    /// The change between that state and the next, as `move web`.
    title: String,
    design: Arc<Design>,
    selection: Selection,
}

/// A design, what is selected of it, where it is kept, and the way back.
#[derive(Clone, Debug)]
pub struct Document {
    design: Arc<Design>,
    selection: Selection,
    undo: VecDeque<Step>,
    redo: Vec<Step>,
    /// The gesture that goes on, and whether it has a step yet.
    gesture: Option<(Gesture, bool)>,
    /// The design as it is kept; `None`: nowhere, whatever it looks like.
    saved: Option<Arc<Design>>,
    path: Option<PathBuf>,
    revision: u64,
}

impl Default for Document {
    fn default() -> Self {
        let design = Design {
            name: UNTITLED.to_owned(),
            ..Design::default()
        };
        Self::new(design, None)
    }
}

impl Document {
    /// A design without history, unmodified since it was read from `path`.
    pub fn new(design: Design, path: Option<PathBuf>) -> Self {
        let design = Arc::new(design);
        Self {
            saved: Some(Arc::clone(&design)),
            design,
            selection: Selection::default(),
            undo: VecDeque::new(),
            redo: Vec::new(),
            gesture: None,
            path,
            revision: 0,
        }
    }

    /// What a session left unsaved: modified from the start, whatever it is.
    pub fn recovered(design: Design, path: Option<PathBuf>) -> Self {
        let mut document = Self::new(design, path);
        document.saved = None;
        document
    }

    /// The design as it is now.
    pub fn design(&self) -> &Arc<Design> {
        &self.design
    }

    /// What is selected.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Selects; no step of its own.
    pub fn select(&mut self, selection: Selection) {
        self.selection = selection;
        self.selection.retain_existing(&self.design);
    }

    /// Where it is kept, if anywhere yet.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Rises with every change of the design.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether it differs from what is kept.
    pub fn is_modified(&self) -> bool {
        self.saved
            .as_ref()
            .is_none_or(|saved| !Arc::ptr_eq(&self.design, saved) && self.design != *saved)
    }

    /// Whether a gesture goes on, so that the design may still be on its way.
    pub fn in_gesture(&self) -> bool {
        self.gesture.is_some()
    }

    /// Notes that the design is now kept at `path` as `design` is.
    pub fn mark_saved(&mut self, path: PathBuf, design: Arc<Design>) {
        self.end_gesture();
        self.path = Some(path);
        self.saved = Some(design);
    }

    /// Makes a change as one step. A change that changes nothing leaves no step.
    pub fn apply(&mut self, edit: &Edit) {
        self.end_gesture();
        self.change(edit, true);
    }

    /// Makes a change as a part of a gesture: one step for all of its changes.
    pub fn apply_within(&mut self, edit: &Edit, gesture: Gesture) {
        let has_step = matches!(&self.gesture, Some((same, true)) if *same == gesture);
        let changed = self.change(edit, !has_step);
        self.gesture = Some((gesture, has_step || changed));
        // A drag that comes back to where it began is no step.
        if has_step
            && self
                .undo
                .back()
                .is_some_and(|step| step.design == self.design)
        {
            self.undo.pop_back();
            self.gesture = None;
        }
    }

    /// The next change is a new step, even in the same field.
    pub fn end_gesture(&mut self) {
        self.gesture = None;
    }

    /// What the next undo takes back, as `move web`.
    pub fn undo_title(&self) -> Option<&str> {
        self.undo.back().map(|step| step.title.as_str())
    }

    /// What the next redo does again.
    pub fn redo_title(&self) -> Option<&str> {
        self.redo.last().map(|step| step.title.as_str())
    }

    /// Takes the last step back; whether there was one.
    pub fn undo(&mut self) -> bool {
        self.end_gesture();
        let Some(step) = self.undo.pop_back() else {
            return false;
        };
        let back = self.exchange(step);
        self.redo.push(back);
        true
    }

    /// Takes the step that was taken back again; whether there was one.
    pub fn redo(&mut self) -> bool {
        self.end_gesture();
        let Some(step) = self.redo.pop() else {
            return false;
        };
        let forth = self.exchange(step);
        self.undo.push_back(forth);
        true
    }

    /// Whether the design is another one now.
    fn change(&mut self, edit: &Edit, new_step: bool) -> bool {
        let mut design = Design::clone(&self.design);
        let selected = edit.apply(&mut design);
        if design == *self.design {
            if let Some(selection) = selected {
                self.select(selection);
            }
            return false;
        }
        if new_step {
            self.undo.push_back(Step {
                title: edit.title(&self.design),
                design: Arc::clone(&self.design),
                selection: self.selection.clone(),
            });
            if self.undo.len() > MAX_STEPS {
                self.undo.pop_front();
            }
        }
        self.redo.clear();
        self.design = Arc::new(design);
        self.revision += 1;
        let selection = selected.unwrap_or_else(|| self.selection.clone());
        self.select(selection);
        true
    }

    fn exchange(&mut self, step: Step) -> Step {
        let left = Step {
            title: step.title,
            design: std::mem::replace(&mut self.design, step.design),
            selection: std::mem::replace(&mut self.selection, step.selection),
        };
        self.revision += 1;
        left
    }
}
