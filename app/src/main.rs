//! The program `gridwright`.
fn main() {}
