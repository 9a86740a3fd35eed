//! Every colour, size and font of the window; no other file names one.

pub mod colour_map;

use egui::style::{Selection, WidgetVisuals, Widgets};
use egui::{
    Color32, Context, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, TextStyle, Theme,
    Visuals, vec2,
};
use serde::{Deserialize, Serialize};

/// Which theme the user asked for.
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
    strum::EnumString,
    strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ThemeChoice {
    /// As the desktop says.
    #[default]
    System,
    /// Light text on dark.
    Dark,
    /// Dark text on light.
    Light,
}

impl ThemeChoice {
    /// Tells egui.
    pub fn apply(self, ctx: &Context) {
        ctx.set_theme(match self {
            Self::System => egui::ThemePreference::System,
            Self::Dark => egui::ThemePreference::Dark,
            Self::Light => egui::ThemePreference::Light,
        });
    }
}

/// Lengths in points.
pub mod size {
    /// Between neighbours that belong together.
    pub const GAP: f32 = 6.0;
    /// Between groups.
    pub const GROUP_GAP: f32 = 14.0;
    /// Around the contents of a page.
    pub const PAGE_MARGIN: i8 = 12;
    /// Corners of cards and buttons.
    pub const CORNER: u8 = 5;
    /// The rail of pages at the left.
    pub const RAIL_WIDTH: f32 = 64.0;
    /// A button of the rail.
    pub const RAIL_BUTTON: f32 = 56.0;
    /// The menu bar.
    pub const TOP_BAR: f32 = 30.0;
    /// The status line.
    pub const STATUS_LINE: f32 = 26.0;
    /// The first width of a side panel.
    pub const SIDE_PANEL: f32 = 300.0;
    /// The least width of a side panel.
    pub const SIDE_PANEL_MIN: f32 = 240.0;
    /// The most of a page that a side panel may take.
    pub const SIDE_PANEL_SHARE: f32 = 0.5;
    /// A toolbar with less room than this takes a row more.
    pub const NARROW_TOOLBAR: f32 = 1_150.0;
    /// A page with less room than this folds what it can.
    pub const NARROW_PAGE: f32 = 1_000.0;
    /// A row of a table.
    pub const TABLE_ROW: f32 = 22.0;
    /// A dialog.
    pub const DIALOG_WIDTH: f32 = 520.0;
    /// What a dialog with a long list leaves free of the window's height: its title, its buttons, a margin.
    pub const DIALOG_REST: f32 = 170.0;
    /// The least size of the window.
    pub const WINDOW_MIN: [f32; 2] = [860.0, 560.0];
    /// The first size of the window.
    pub const WINDOW: [f32; 2] = [1400.0, 900.0];
}

/// Font sizes in points.
pub mod font {
    /// Captions of axes, notes.
    pub const SMALL: f32 = 11.0;
    /// Nearly everything.
    pub const BODY: f32 = 13.5;
    /// Names, hashes, paths.
    pub const MONO: f32 = 12.5;
    /// Titles of cards.
    pub const TITLE: f32 = 16.0;
    /// Titles of pages and empty states.
    pub const HEADING: f32 = 20.0;
}

/// Colours by their role, for one theme.
#[derive(Clone, Debug, PartialEq)]
pub struct Palette {
    /// Behind everything.
    pub ground: Color32,
    /// Rail, menu bar, status line.
    pub bar: Color32,
    /// Side panels and cards.
    pub card: Color32,
    /// Fields that take text, rows under the pointer.
    pub field: Color32,
    /// Buttons at rest.
    pub button: Color32,
    /// Buttons under the pointer.
    pub button_hover: Color32,
    /// Lines between things.
    pub line: Color32,
    /// Text.
    pub text: Color32,
    /// Captions.
    pub text_weak: Color32,
    /// Titles.
    pub text_strong: Color32,
    /// What is chosen, what can be done next.
    pub accent: Color32,
    /// Behind what is chosen.
    pub accent_soft: Color32,
    /// Text upon [`Self::accent`].
    pub on_accent: Color32,
    /// Fine.
    pub good: Color32,
    /// Look here.
    pub warn: Color32,
    /// Wrong.
    pub bad: Color32,
    /// A cell without the thing that is measured.
    pub absent: Color32,
    /// Between the cells of the heatmap.
    pub cell_gap: Color32,
    /// Around the node under the pointer.
    pub cell_hover: Color32,
    /// Around the chosen node.
    pub cell_chosen: Color32,
    /// Node states in the order of `model::grid::NodeState`.
    pub states: [Color32; 4],
    /// Lines of plots, distinct under colour blindness: Okabe and Ito, "Color universal design", 2008.
    pub series: [Color32; 7],
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

impl Palette {
    /// The dark theme.
    pub const DARK: Self = Self {
        ground: rgb(0x15181d),
        bar: rgb(0x101317),
        card: rgb(0x1c2027),
        field: rgb(0x11141a),
        button: rgb(0x2a303a),
        button_hover: rgb(0x363e4b),
        line: rgb(0x2e343e),
        text: rgb(0xccd3dd),
        text_weak: rgb(0x8f99a8),
        text_strong: rgb(0xf2f5f9),
        accent: rgb(0x5aa9ff),
        accent_soft: rgb(0x1f3a58),
        on_accent: rgb(0x08131f),
        good: rgb(0x4cc38a),
        warn: rgb(0xf2b84b),
        bad: rgb(0xff6f6f),
        absent: rgb(0x272c34),
        cell_gap: rgb(0x15181d),
        cell_hover: rgb(0xf2f5f9),
        cell_chosen: rgb(0xff5fa2),
        states: [rgb(0x35b779), rgb(0x5aa9ff), rgb(0xf2b84b), rgb(0xd9534f)],
        series: [
            rgb(0x56b4e9),
            rgb(0xe69f00),
            rgb(0x2fbf93),
            rgb(0xd98ab8),
            rgb(0xf0e442),
            rgb(0xe8703a),
            rgb(0x8fa8ff),
        ],
    };

    /// The light theme.
    pub const LIGHT: Self = Self {
        ground: rgb(0xf7f8fa),
        bar: rgb(0xe9ecf1),
        card: rgb(0xffffff),
        field: rgb(0xffffff),
        button: rgb(0xe4e8ee),
        button_hover: rgb(0xd5dbe4),
        line: rgb(0xd3d9e2),
        text: rgb(0x2b323c),
        text_weak: rgb(0x5e6875),
        text_strong: rgb(0x0d1117),
        accent: rgb(0x0b66c9),
        accent_soft: rgb(0xcfe3fb),
        on_accent: rgb(0xffffff),
        good: rgb(0x187a4c),
        warn: rgb(0x9a6200),
        bad: rgb(0xc62828),
        absent: rgb(0xdfe3e9),
        cell_gap: rgb(0xf7f8fa),
        cell_hover: rgb(0x0d1117),
        cell_chosen: rgb(0xd6006c),
        states: [rgb(0x2a9d6a), rgb(0x2f7fd8), rgb(0xd99a1c), rgb(0xc0392b)],
        series: [
            rgb(0x0072b2),
            rgb(0xc77700),
            rgb(0x00835f),
            rgb(0xb0528a),
            rgb(0x8a7d00),
            rgb(0xc44e00),
            rgb(0x4455bb),
        ],
    };

    /// The palette of the theme in use.
    pub fn of(ctx: &Context) -> &'static Self {
        const DARK: &Palette = &Palette::DARK;
        const LIGHT: &Palette = &Palette::LIGHT;
        match ctx.theme() {
            Theme::Dark => DARK,
            Theme::Light => LIGHT,
        }
    }
}

/// Gives egui both themes and all sizes; once, at the start.
pub fn install(ctx: &Context) {
    for (theme, palette) in [(Theme::Dark, Palette::DARK), (Theme::Light, Palette::LIGHT)] {
        ctx.style_mut_of(theme, |style| {
            style.visuals = visuals(theme, &palette);
            style.text_styles = [
                (
                    TextStyle::Small,
                    FontId::new(font::SMALL, FontFamily::Proportional),
                ),
                (
                    TextStyle::Body,
                    FontId::new(font::BODY, FontFamily::Proportional),
                ),
                (
                    TextStyle::Button,
                    FontId::new(font::BODY, FontFamily::Proportional),
                ),
                (
                    TextStyle::Heading,
                    FontId::new(font::HEADING, FontFamily::Proportional),
                ),
                (
                    TextStyle::Monospace,
                    FontId::new(font::MONO, FontFamily::Monospace),
                ),
                (
                    title_style(),
                    FontId::new(font::TITLE, FontFamily::Proportional),
                ),
            ]
            .into();
            let spacing = &mut style.spacing;
            spacing.item_spacing = vec2(size::GAP, size::GAP);
            spacing.button_padding = vec2(9.0, 4.0);
            spacing.interact_size = vec2(36.0, 24.0);
            spacing.menu_margin = Margin::same(6);
            spacing.window_margin = Margin::same(14);
            spacing.combo_width = 120.0;
            spacing.scroll = egui::style::ScrollStyle::thin();
            style.animation_time = 0.1;
        });
    }
}

/// The text style of a card's title.
pub fn title_style() -> TextStyle {
    TextStyle::Name("title".into())
}

fn visuals(theme: Theme, palette: &Palette) -> Visuals {
    let corner = CornerRadius::same(size::CORNER);
    let widget = |fill: Color32, line: Color32, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, line),
        corner_radius: corner,
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    let base = match theme {
        Theme::Dark => Visuals::dark(),
        Theme::Light => Visuals::light(),
    };
    let shade = if theme == Theme::Dark { 130 } else { 40 };
    Visuals {
        weak_text_color: Some(palette.text_weak),
        widgets: Widgets {
            noninteractive: widget(palette.card, palette.line, palette.text),
            inactive: widget(palette.button, palette.line, palette.text),
            hovered: widget(palette.button_hover, palette.text_weak, palette.text_strong),
            active: widget(palette.accent_soft, palette.accent, palette.text_strong),
            open: widget(palette.button_hover, palette.line, palette.text_strong),
        },
        selection: Selection {
            bg_fill: palette.accent_soft,
            stroke: Stroke::new(1.0, palette.accent),
        },
        hyperlink_color: palette.accent,
        faint_bg_color: palette.text.gamma_multiply(0.045),
        extreme_bg_color: palette.field,
        text_edit_bg_color: Some(palette.field),
        code_bg_color: palette.field,
        warn_fg_color: palette.warn,
        error_fg_color: palette.bad,
        window_corner_radius: CornerRadius::same(8),
        window_fill: palette.card,
        window_stroke: Stroke::new(1.0, palette.line),
        menu_corner_radius: CornerRadius::same(6),
        panel_fill: palette.ground,
        window_shadow: shadow(shade, 18),
        popup_shadow: shadow(shade, 10),
        slider_trailing_fill: true,
        indent_has_left_vline: false,
        ..base
    }
}

fn shadow(alpha: u8, blur: u8) -> Shadow {
    Shadow {
        offset: [0, 4],
        blur,
        spread: 0,
        color: Color32::from_black_alpha(alpha),
    }
}
