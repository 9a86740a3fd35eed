//! The field that is being typed in, and when its text is taken over.

use super::act::Act;
use super::edit::Edit;
use egui::{Id, Response, TextEdit, Ui};

/// The field that is being typed in: its text, which may not be acceptable yet, and what is to be done
/// when it is left.
#[derive(Clone, Debug, Default)]
pub struct Typing {
    field: Option<(Id, String)>,
    on_leave: Option<Edit>,
    /// Why the text cannot be taken over.
    refusal: Option<String>,
    /// Whether the field was drawn in this frame.
    seen: bool,
}

impl Typing {
    /// Lets go of it: the design has changed by other means.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Call before the fields are drawn.
    pub fn begin(&mut self) {
        self.seen = false;
    }

    /// Call after the fields are drawn: a field that is gone, as another component was selected, was left.
    pub fn end(&mut self, acts: &mut Vec<Act>) {
        if self.field.is_some() && !self.seen {
            self.leave(acts);
        }
    }

    /// What is to be done when the field is left; why nothing is while its text is not acceptable.
    pub fn when_left(&mut self, edit: Result<Edit, String>) {
        match edit {
            Ok(edit) => (self.on_leave, self.refusal) = (Some(edit), None),
            Err(reason) => (self.on_leave, self.refusal) = (None, Some(reason)),
        }
    }

    fn leave(&mut self, acts: &mut Vec<Act>) {
        acts.extend(self.on_leave.take().map(Act::Edit));
        acts.extend(self.refusal.take().map(Act::Refused));
        acts.push(Act::EndGesture);
        self.forget();
    }

    /// What is typed in a field that is being typed in.
    pub fn text_of(&self, id: Id) -> Option<&String> {
        self.field
            .as_ref()
            .filter(|(field, _)| *field == id)
            .map(|(_, text)| text)
    }
}

/// When an edited text is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// With every letter.
    AtOnce,
    /// When the field is left: half a name may be another one's.
    WhenLeft,
}

/// A line of text over what is shown, with what is typed kept until the field is left; the text, where it
/// was changed in this frame.
pub fn text_field(
    ui: &mut Ui,
    id: Id,
    width: f32,
    (hint, shown): (&str, &str),
    typing: &mut Typing,
    acts: &mut Vec<Act>,
) -> (Response, Option<String>) {
    let mut text = typing.text_of(id).map_or(shown, String::as_str).to_owned();
    let response = ui.add(
        TextEdit::singleline(&mut text)
            .id(id)
            .hint_text(hint)
            .desired_width(width),
    );
    let changed = response.changed();
    if changed {
        typing.field = Some((id, text.clone()));
    }
    if typing.text_of(id).is_some() {
        typing.seen = true;
        if !response.has_focus() {
            typing.leave(acts);
        }
    }
    (response, changed.then_some(text))
}
