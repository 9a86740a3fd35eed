//! Statistics of the node.

mod machine;
mod readers;
