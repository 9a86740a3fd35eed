//! Rule chains, the assignment and the plan, tested at the crate's door.

mod assign;
mod chain;
mod chain_text;
mod kept;
mod lending;
mod plan;
