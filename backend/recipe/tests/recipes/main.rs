//! What components become.

mod backups;
mod designs;
mod files;
mod holes;
