//! Rows of the inspector: a label and a field that edits one or several components at once.

use super::act::Act;
use super::document::Gesture;
use super::edit::{Edit, Field};
use crate::window::theme::Palette;
use egui::{
    Align2, DragValue, Id, Response, RichText, Sense, TextEdit, TextStyle, Ui, WidgetInfo,
    WidgetType, vec2,
};
use model::design::Component;
use std::ops::RangeInclusive;

/// What a field shows where the selected components differ.
const MIXED: &str = "mixed";
/// Width of the labels.
const LABEL_WIDTH: f32 = 128.0;
/// Width of a number with its unit.
const NUMBER_WIDTH: f32 = 120.0;
/// Width of the menu of known words beside a field.
const MENU_WIDTH: f32 = 34.0;

/// The field that is being typed in: its text, which may not be acceptable yet, and what is to be done
/// when it is left.
#[derive(Clone, Debug, Default)]
pub struct Typing {
    field: Option<(Id, String)>,
    on_leave: Option<Edit>,
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

    /// What is to be done when the field is left; nothing while its text is not acceptable.
    pub fn when_left(&mut self, edit: Option<Edit>) {
        self.on_leave = edit;
    }

    fn leave(&mut self, acts: &mut Vec<Act>) {
        acts.extend(self.on_leave.take().map(Act::Edit));
        acts.push(Act::EndGesture);
        self.forget();
    }

    fn text_of(&self, id: Id) -> Option<&String> {
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

/// How a number is shown: the unit, how many stored units make one, and its bounds in stored units.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// Written behind the number, with a blank before it.
    pub suffix: &'static str,
    /// Stored units in one shown unit.
    pub per: f64,
    /// Least and most, in stored units.
    pub least: u32,
    /// See `least`.
    pub most: u32,
    /// Shown units a point of dragging.
    pub speed: f64,
}

/// The components that the rows edit.
pub struct Fields<'a> {
    /// Where rows go.
    pub ui: &'a mut Ui,
    /// Their places in the design.
    pub places: &'a [usize],
    /// The components themselves, at least one.
    pub components: &'a [&'a Component],
    /// The field that is typed in.
    pub typing: &'a mut Typing,
    /// What the user did.
    pub acts: &'a mut Vec<Act>,
}

impl Fields<'_> {
    /// A number.
    pub fn number(
        &mut self,
        label: &str,
        unit: Unit,
        value_of: impl Fn(&Component) -> u32,
        field_of: impl Fn(&Component, u32) -> Field,
    ) {
        let value = value_of(self.components[0]);
        let mixed = self
            .components
            .iter()
            .any(|component| value_of(component) != value);
        let Self {
            ui,
            places,
            components,
            acts,
            ..
        } = self;
        let response = row(ui, label, |ui| {
            number(ui, value, unit, mixed, |new| {
                for (&place, component) in places.iter().zip(*components) {
                    acts.push(within(label, places, vec![place], field_of(component, new)));
                }
            })
        });
        if response.drag_stopped() || response.lost_focus() {
            acts.push(Act::EndGesture);
        }
    }

    /// A line of text; what `parse` refuses is not taken over, and its reason is shown.
    pub fn text(
        &mut self,
        label: &str,
        hint: &str,
        take: Take,
        text_of: impl Fn(&Component) -> String,
        parse: impl Fn(&str) -> Result<Field, String>,
    ) -> Response {
        self.text_with(label, (hint, take), &[], text_of, parse)
    }

    /// A list, written with commas; `known` words can be added from a menu.
    pub fn list(
        &mut self,
        label: &str,
        hint: &str,
        known: &[String],
        list_of: impl Fn(&Component) -> &Vec<String>,
        field_of: impl Fn(Vec<String>) -> Field,
    ) {
        let text_of = |component: &Component| list_of(component).join(", ");
        self.text_with(label, (hint, Take::AtOnce), known, text_of, |text| {
            Ok(field_of(split(text)))
        });
    }

    fn text_with(
        &mut self,
        label: &str,
        (hint, take): (&str, Take),
        known: &[String],
        text_of: impl Fn(&Component) -> String,
        parse: impl Fn(&str) -> Result<Field, String>,
    ) -> Response {
        let written = text_of(self.components[0]);
        let mixed = self
            .components
            .iter()
            .any(|component| text_of(component) != written);
        let (shown, hint) = if mixed {
            ("", MIXED)
        } else {
            (written.as_str(), hint)
        };
        let Self {
            ui,
            places,
            typing,
            acts,
            ..
        } = self;
        let id = ui.id().with((label, *places));
        let mut added = None;
        let mut new = None;
        let response = row(ui, label, |ui| {
            let menu = if known.is_empty() { 0.0 } else { MENU_WIDTH };
            let width = ui.available_width() - menu;
            let (response, text) = text_field(ui, id, width, (hint, shown), typing, acts);
            new = text;
            added = known_menu(ui, label, known, shown);
            response
        });
        if let Some(parsed) = new.as_deref().map(&parse) {
            match (take, parsed) {
                (Take::AtOnce, Ok(field)) => {
                    acts.push(within(label, places, places.to_vec(), field))
                }
                (Take::AtOnce, Err(_)) => {}
                (Take::WhenLeft, parsed) => {
                    let components = places.to_vec();
                    typing.when_left(parsed.ok().map(|field| Edit::Change { components, field }));
                }
            }
        }
        if let Some(Ok(field)) = added.map(|word| parse(&joined(shown, &word))) {
            acts.push(Act::Edit(Edit::Change {
                components: places.to_vec(),
                field,
            }));
        }
        if let Some(Err(reason)) = typing.text_of(id).map(|text| parse(text)) {
            ui.label(
                RichText::new(reason)
                    .small()
                    .color(Palette::of(ui.ctx()).bad),
            );
        }
        response
    }

    /// One of several words.
    pub fn choice<T: Clone + PartialEq>(
        &mut self,
        label: &str,
        options: &[(T, String)],
        value_of: impl Fn(&Component) -> T,
        field_of: impl Fn(&Component, T) -> Field,
    ) {
        let value = value_of(self.components[0]);
        let mixed = self
            .components
            .iter()
            .any(|component| value_of(component) != value);
        let value = (!mixed).then_some(value);
        let Self {
            ui,
            places,
            components,
            acts,
            ..
        } = self;
        let Some(chosen) = choice(ui, label, options, value.as_ref(), MIXED) else {
            return;
        };
        for (&place, component) in places.iter().zip(*components) {
            acts.push(within(
                label,
                places,
                vec![place],
                field_of(component, chosen.clone()),
            ));
        }
        acts.push(Act::EndGesture);
    }

    /// Yes or no.
    pub fn switch(
        &mut self,
        label: &str,
        is_on: impl Fn(&Component) -> bool,
        field_of: impl Fn(&Component, bool) -> Field,
    ) {
        let mut on = is_on(self.components[0]);
        let mixed = self
            .components
            .iter()
            .any(|component| is_on(component) != on);
        let Self {
            ui,
            places,
            components,
            acts,
            ..
        } = self;
        let response = row(ui, label, |ui| {
            ui.add(egui::Checkbox::without_text(&mut on).indeterminate(mixed))
        });
        if response.changed() {
            for (&place, component) in places.iter().zip(*components) {
                acts.push(within(label, places, vec![place], field_of(component, on)));
            }
            acts.push(Act::EndGesture);
        }
    }
}

/// A label and a field, which is called as the label says.
pub fn row(ui: &mut Ui, label: &str, add: impl FnOnce(&mut Ui) -> Response) -> Response {
    ui.horizontal(|ui| {
        let height = ui.spacing().interact_size.y;
        let (rect, caption) = ui.allocate_exact_size(vec2(LABEL_WIDTH, height), Sense::hover());
        caption.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, label));
        let font = TextStyle::Body.resolve(ui.style());
        let colour = ui.visuals().text_color();
        ui.painter()
            .text(rect.left_center(), Align2::LEFT_CENTER, label, font, colour);
        add(ui).labelled_by(caption.id)
    })
    .inner
}

/// One of several words, with `otherwise` where none is chosen; the one that was chosen now.
pub fn choice<T: Clone + PartialEq>(
    ui: &mut Ui,
    label: &str,
    options: &[(T, String)],
    value: Option<&T>,
    otherwise: &str,
) -> Option<T> {
    let named = options.iter().find(|(option, _)| Some(option) == value);
    let shown = named.map_or(otherwise, |(_, text)| text.as_str());
    let mut new = None;
    row(ui, label, |ui| {
        egui::ComboBox::from_id_salt(label)
            .selected_text(shown)
            .width(ui.available_width())
            .truncate()
            .show_ui(ui, |ui| {
                for (option, text) in options {
                    let chosen = Some(option) == value;
                    if ui.selectable_label(chosen, text).clicked() && !chosen {
                        new = Some(option.clone());
                    }
                }
            })
            .response
    });
    new
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

/// A number with its unit; `set` is called with a new one.
pub fn number(ui: &mut Ui, value: u32, unit: Unit, mixed: bool, set: impl FnOnce(u32)) -> Response {
    let mut shown = f64::from(value) / unit.per;
    let range: RangeInclusive<f64> =
        f64::from(unit.least) / unit.per..=f64::from(unit.most) / unit.per;
    let mut field = DragValue::new(&mut shown)
        .range(range)
        .clamp_existing_to_range(false)
        .speed(unit.speed)
        .max_decimals(3);
    field = if mixed {
        field.custom_formatter(|_, _| MIXED.to_owned())
    } else {
        field.suffix(unit.suffix)
    };
    let size = vec2(NUMBER_WIDTH, ui.spacing().interact_size.y);
    let response = ui.add_sized(size, field).on_hover_text(format!(
        "From {} to {}{}. Drag, or click to type.",
        f64::from(unit.least) / unit.per,
        f64::from(unit.most) / unit.per,
        unit.suffix
    ));
    let new = (shown * unit.per).round();
    if response.changed() && new >= 0.0 {
        set(new.min(f64::from(unit.most)) as u32);
    }
    response
}

/// The words of a list written with commas.
pub fn split(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn joined(shown: &str, word: &str) -> String {
    if shown.is_empty() {
        word.to_owned()
    } else {
        format!("{shown}, {word}")
    }
}

fn within(label: &str, all: &[usize], components: Vec<usize>, field: Field) -> Act {
    Act::EditWithin(
        Edit::Change { components, field },
        Gesture(format!("{label} of {all:?}")),
    )
}

/// A menu of words that the grid knows and the list lacks.
fn known_menu(ui: &mut Ui, label: &str, known: &[String], shown: &str) -> Option<String> {
    if known.is_empty() {
        return None;
    }
    let had = split(shown);
    let mut chosen = None;
    let menu = ui.menu_button("+", |ui| {
        for word in known.iter().filter(|word| !had.contains(word)) {
            if ui.button(word).clicked() {
                chosen = Some(word.clone());
            }
        }
    });
    let name = format!("{label} of the open grid");
    menu.response
        .widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Button, true, &name));
    chosen
}
