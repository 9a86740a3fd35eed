//! What runs leave behind: recorded views, the store of results, plots.

mod damaged;
mod fixture;
mod recorded;
mod runs;
mod stored;
