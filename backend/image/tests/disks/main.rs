//! Disks through the doors of the crate: edited, copied, wiped, sealed, caged and resized.

mod caging;
mod clearing;
mod copying;
mod editing;
mod hostile;
#[path = "../../../../tests/tests/real/planted.rs"]
mod planted;
mod publishing;
mod readers;
mod roots;
mod scratch;
mod scripted;
mod sealing;
mod seeding;
mod standing;
mod storing;
mod unpacking;
