//! The Design page: draw, check, assign and plan a hosting configuration.
//!
//! The design is the truth and egui_graphs a view of it; every part of the page draws from the
//! [`document::Document`] and answers with [`act::Act`]s, which one function carries out.
//!
//! In reading order, the pure part first:
//!
//! - [`edit`], [`selection`], [`document`]: changes as data, what is selected, history
//! - [`arrange`], [`snap`], [`viewport`]: automatic layout, guides, pan and zoom
//! - [`codec`], [`storage`]: designs as text and on disk, recovery
//! - [`problems`], [`scene`]: what is wrong, and what the canvas shows
//! - [`act`], [`command`]: what the user did and can ask for
//! - [`sheet`], [`card`], [`wire`], [`icons`]: the drawn graph
//! - [`canvas`], [`palette`], [`inspector`] with [`fields`], [`numbers`], [`typing`] and
//!   [`parameters`], [`lower`]: the page's parts
//! - [`planning`], [`plan_view`]: assignment and plan on the open grid, with explanations
//! - [`difference`]: what would change if the design were deployed where it stands
//! - [`questions`]: unsaved changes, recovery, where to link to
//! - [`page`]: how it hangs together
//!
//! ```text
//!  palette ─┐                                          ┌─▶ scene ─▶ sheet (egui_graphs)
//!  canvas ──┼─ Act ─▶ DesignPage ─ Edit ─▶ Document ───┼─▶ problems
//!  inspector┘                        undo, redo        ├─▶ journal (recovery)
//!                                                      └─▶ plan is stale
//! ```

pub mod act;
pub mod arrange;
pub mod canvas;
pub mod card;
pub mod codec;
pub mod command;
pub mod difference;
pub mod document;
pub mod edit;
pub mod fields;
pub mod icons;
pub mod inspector;
pub mod lower;
pub mod numbers;
pub mod page;
pub mod palette;
pub mod parameters;
pub mod plan_view;
pub mod planning;
pub mod problems;
pub mod questions;
pub mod scene;
pub mod selection;
pub mod sheet;
pub mod snap;
pub mod storage;
pub mod typing;
pub mod viewport;
pub mod wire;

pub use page::DesignPage;
