//! What runs leave behind: recorded views, the store of results, plots.

mod fixture;
mod recorded;
mod runs;
mod stored;
