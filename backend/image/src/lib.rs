//! Carries out the steps on disks, without the kernel's help and without trust in what they hold.
//!
//! - [`error`]: what can go wrong
//! - [`sandbox`]: the cage in which tools open what nobody vouches for
//! - [`utility`]: a VM around the cage, where the node can
//! - [`extent`]: where a sparse file holds data
//! - [`replicate`](mod@replicate): copies of disks
//! - [`manifest`]: what an image is, signed by whoever made it
//! - [`store`]: the node's images, fetched by digest and kept within a bound
//! - [`tree`]: the files of a guest while they are put together
//! - [`archive`]: layers of files, and what is refused of them
//! - [`pack`](mod@pack): trees written as compressed streams
//! - [`ext4`]: ext4 file systems inside images, changed in place
//! - [`folder`]: root folders of containers
//! - [`unpacked`]: root folders as they were elsewhere
//! - [`customise`](mod@customise): edits of disks that are built already
//! - [`build`]: carries out the steps that build a disk
//! - [`modify`](mod@modify): VMs that are deployed made others on their disks
//! - `deployed`: a file system that is there, as a tree of files and back
//! - [`boot`]: the kernel of a guest, and the boot loaders that start it
//! - [`recipe`]: images made from what the machine can install
//! - [`publish`](mod@publish): whole disks that others publish, as images
//! - [`view`]: a disk of any format as a raw file, while nobody runs it
//! - [`whole`]: whole disks as images
//! - [`saved`]: roots of containers as images
//! - [`base`]: one read-only base under the disks of several VMs
//! - [`resize`]: disks made larger and smaller while nobody runs them
//! - [`luks`]: disks that nobody reads without their key
//! - [`wipe`](mod@wipe): overwriting of disks, checked by reading back
//! - [`work`]: folders for what is made on the way

pub mod archive;
pub mod base;
pub mod boot;
pub mod build;
mod crew;
pub mod customise;
mod deployed;
pub mod error;
pub mod ext4;
pub mod extent;
mod extlinux;
mod fetch;
pub mod folder;
mod format;
pub mod luks;
pub mod manifest;
pub mod modify;
pub mod pack;
mod package;
pub mod publish;
pub mod recipe;
pub mod replicate;
pub mod resize;
pub mod sandbox;
pub mod saved;
mod script;
pub mod store;
mod tool;
pub mod tree;
pub mod unpacked;
pub mod utility;
pub mod view;
pub mod whole;
pub mod wipe;
pub mod work;
