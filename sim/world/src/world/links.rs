//! Messages are on their way.

use super::{Due, ToController, ToNode, World};
use model::id::NodeId;
use model::time::Span;

impl World {
    pub(super) fn post_to_node(&mut self, node: NodeId, message: ToNode) {
        for delay in self.delays() {
            self.after(delay, Due::ToNode(node, message.clone()));
        }
    }

    pub(super) fn post_to_controller(&mut self, node: NodeId, message: ToController) {
        for delay in self.delays() {
            self.after(delay, Due::ToController(node, message.clone()));
        }
    }

    /// How long each copy of a message is on its way; none where it is lost.
    pub(super) fn delays(&mut self) -> Vec<Span> {
        let (milli, most) = self.lossy;
        let copies = match self.chance.below(1_000) as u32 {
            fate if fate < milli => 0,
            fate if fate < 2 * milli => 2,
            _ => 1,
        };
        let delays = (0..copies).map(|_| Span(1 + self.chance.below(most.0 as u64) as i64));
        delays.collect()
    }
}
