//! What befalls a world, and how it ends.

use super::{DELAY, Due, World};
use crate::fault::Fault;

impl World {
    pub(super) fn strike(&mut self, fault: Fault) {
        let now = self.now;
        match fault {
            Fault::AgentDies { node, after, away } => {
                self.nodes[node.index()].fuse = Some((after, away));
            }
            Fault::ControllerDies { after, away } => self.fuse = Some((after, away)),
            Fault::NodeDies { node, away } => {
                self.nodes[node.index()].lose_power();
                self.check_running(node);
                self.after(away, Due::NodeBoots(node));
            }
            Fault::WrongClock { node, ahead } => {
                let here = &mut self.nodes[node.index()];
                here.kill();
                here.ahead = ahead;
                self.queue.push(now, 0, Due::AgentStarts(node));
            }
            Fault::Cut { node, length } => {
                self.nodes[node.index()].is_cut = true;
                self.after(length, Due::Heals(fault));
            }
            Fault::Lossy {
                milli,
                delay,
                length,
            } => {
                self.lossy = (milli, delay);
                self.after(length, Due::Heals(fault));
            }
            Fault::Breaking {
                node,
                milli,
                length,
            } => {
                self.nodes[node.index()].breaking_milli = milli;
                self.after(length, Due::Heals(fault));
            }
            Fault::Slow {
                node,
                times,
                length,
            } => {
                self.nodes[node.index()].slowness = times;
                self.after(length, Due::Heals(fault));
            }
        }
    }

    pub(super) fn heal(&mut self, fault: &Fault) {
        match fault {
            Fault::Cut { node, .. } => self.nodes[node.index()].is_cut = false,
            Fault::Lossy { .. } => self.lossy = (0, DELAY),
            Fault::Breaking { node, .. } => self.nodes[node.index()].breaking_milli = 0,
            Fault::Slow { node, .. } => self.nodes[node.index()].slowness = 1,
            _ => {}
        }
    }
}
