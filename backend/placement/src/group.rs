//! Groups of VMs that must keep together or apart, and where their members are.

use crate::filter::Filter;
use crate::state::LANES;
use model::grid::Grid;
use model::id::{GroupId, NodeId};
use model::vm::{Affinity, GroupRule, Scope};
use std::collections::BTreeMap;

/// All groups of a placer.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    rules: Vec<GroupRule>,
    /// By group: members in each node, rack or site that has any.
    members: Vec<BTreeMap<u32, u32>>,
    by_rack: Vec<Vec<NodeId>>,
    by_site: Vec<Vec<NodeId>>,
}

impl Groups {
    pub(crate) fn new(grid: &Grid) -> Self {
        let mut groups = Self {
            rules: Vec::new(),
            members: Vec::new(),
            by_rack: vec![Vec::new(); grid.racks.len()],
            by_site: vec![Vec::new(); grid.sites.len()],
        };
        for node in grid.node_ids() {
            groups.by_rack[grid.nodes[node.index()].rack.index()].push(node);
            groups.by_site[grid.site_of(node).index()].push(node);
        }
        groups
    }

    pub(crate) fn add(&mut self, rule: GroupRule) -> GroupId {
        self.rules.push(rule);
        self.members.push(BTreeMap::new());
        GroupId(self.rules.len() as u32 - 1)
    }

    /// Forgets all groups.
    pub(crate) fn clear(&mut self) {
        self.rules.clear();
        self.members.clear();
    }

    pub(crate) fn rule(&self, group: GroupId) -> GroupRule {
        self.rules[group.index()]
    }

    pub(crate) fn join(&mut self, groups: &[GroupId], grid: &Grid, node: NodeId) {
        for group in groups {
            let place = place_of(grid, self.rules[group.index()].scope, node);
            *self.members[group.index()].entry(place).or_insert(0) += 1;
        }
    }

    pub(crate) fn leave(&mut self, groups: &[GroupId], grid: &Grid, node: NodeId) {
        for group in groups {
            let place = place_of(grid, self.rules[group.index()].scope, node);
            let members = &mut self.members[group.index()];
            let count = members.get_mut(&place).expect("who leaves had joined");
            *count -= 1;
            if *count == 0 {
                members.remove(&place);
            }
        }
    }

    /// The first of the two group filters that keeps a member of these groups off a node.
    ///
    /// A group without members binds nobody; one whose members were put into several scopes by hand
    /// takes further members into any of them.
    pub(crate) fn refusal(&self, groups: &[GroupId], grid: &Grid, node: NodeId) -> Option<Filter> {
        let mut apart = None;
        for group in groups {
            let rule = self.rules[group.index()];
            let members = &self.members[group.index()];
            let inside = members.contains_key(&place_of(grid, rule.scope, node));
            match rule.kind {
                Affinity::Together if !members.is_empty() && !inside => {
                    return Some(Filter::Affinity);
                }
                Affinity::Apart if inside => apart = Some(Filter::AntiAffinity),
                Affinity::Together | Affinity::Apart => {}
            }
        }
        apart
    }

    /// Whether these groups keep a new member off any node.
    pub(crate) fn bind(&self, groups: &[GroupId]) -> bool {
        let mut members = groups.iter().map(|group| &self.members[group.index()]);
        members.any(|members| !members.is_empty())
    }

    /// Writes a bit for each node that these groups leave to a new member, block by block.
    pub(crate) fn write_allowed(&self, groups: &[GroupId], words: &mut [u64]) {
        words.fill(!0);
        for group in groups {
            let rule = self.rules[group.index()];
            let members = &self.members[group.index()];
            if members.is_empty() {
                continue;
            }
            let mut inside = vec![0; words.len()];
            for scope in members.keys() {
                match rule.scope {
                    Scope::Node => mark(&mut inside, &[NodeId(*scope)]),
                    Scope::Rack => mark(&mut inside, &self.by_rack[*scope as usize]),
                    Scope::Site => mark(&mut inside, &self.by_site[*scope as usize]),
                }
            }
            for (word, inside) in words.iter_mut().zip(inside) {
                *word &= match rule.kind {
                    Affinity::Together => inside,
                    Affinity::Apart => !inside,
                };
            }
        }
    }
}

fn mark(words: &mut [u64], nodes: &[NodeId]) {
    for node in nodes {
        words[node.index() / LANES] |= 1 << (node.index() % LANES);
    }
}

/// The number of the node, rack or site that a node is in.
pub(crate) fn place_of(grid: &Grid, scope: Scope, node: NodeId) -> u32 {
    match scope {
        Scope::Node => node.0,
        Scope::Rack => grid.nodes[node.index()].rack.0,
        Scope::Site => grid.site_of(node).0,
    }
}
