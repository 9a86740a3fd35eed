//! What the components of a design become in their VMs: a pure function of topology, addresses and
//! key ids.
//!
//! A *recipe* is a TOML file for a kind of component, or for one application of that kind. It says
//! which image a VM begins as, which parameters a customer may set, and which files its VMs hold:
//! templates, filled from the component's own parameters, from who is linked to it and to whom it is
//! linked, with their addresses, and with a password for each link that needs one. Beside that, a
//! recipe says what it *hands* to the VMs of those linked to it, as a database its address and
//! password; so what a component is needs to be known to its own recipe alone.
//!
//! - [`recipe`]: a recipe as data
//! - [`recipe_file`]: reads recipes, with all faults of a file
//! - [`book`]: all recipes, those that are built in and a customer's own; finds a component's
//! - [`parameter`]: types, ranges and defaults of settings
//! - [`template`]: fills a file; nothing that is filled in can end a line or a word of it
//! - [`site`]: instances with their addresses, and the passwords of links by key id
//! - [`outfit`]: what each VM is to hold, and whom a change concerns
//! - `scene`: what a template may speak of
//! - [`backup`]: which backups are due, and which have had their time
//!
//! ```text
//!  Topology ─┐
//!  addresses ├▶ Site ─▶ outfits ─▶ Outfit of each VM ─▶ image, data disk: into its blueprint
//!  key ids ──┘            ▲                          └▶ Configuration: an order, once it runs
//!  Book of recipes ───────┘       instances come or go: `changes` ─▶ orders for those concerned
//! ```
//!
//! Passwords are not here: a configuration names them by [`model::id::KeyId`], and they travel
//! beside the order as the keys of disks do.

pub mod backup;
pub mod book;
pub mod outfit;
pub mod parameter;
pub mod recipe;
pub mod recipe_file;
mod scene;
pub mod site;
pub mod template;
