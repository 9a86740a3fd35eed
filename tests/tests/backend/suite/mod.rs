//! The suite: whoever implements `Backend` passes all of it, on a grid that nobody else uses.
//!
//! It goes by what a backend shows and by nothing else: its answers, its views, what it says stands, and its events.

mod designs;
pub mod ground;
mod nodes;
mod plans;
mod standing;
mod trial;
mod unknown;
mod vms;

use ground::Ground;
use trial::Trial;

/// Everything that a grid of [`ground::NODES`] without VMs promises; it has none in the end.
pub fn keeps_every_promise<G: Ground>(ground: G) {
    let mut trial = Trial::new(ground);
    trial.is_reached();
    unknown::what_is_not_there_is_refused(&mut trial);
    designs::a_design_comes_to_stand(&mut trial);
    standing::what_stands_is_told(&mut trial);
    standing::what_is_called_off_leaves_nothing(&mut trial);
    vms::orders_do_what_their_hypervisors_can(&mut trial);
    vms::what_is_no_order_of_one_is_refused(&mut trial);
    nodes::vms_move_within_their_hypervisor(&mut trial);
    nodes::closed_nodes_take_nothing(&mut trial);
    designs::a_design_is_changed(&mut trial);
    plans::plans_are_followed_or_refused(&mut trial);
    designs::designs_go(&mut trial);
    trial.every_operation_ended_once();
}
