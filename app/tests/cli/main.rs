//! The real binary on the command line: what it prints, how it ends, what it leaves behind.

mod faults;
mod live;
mod program;
mod results;
mod runs;
