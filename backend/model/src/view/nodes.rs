//! Views of nodes of which copies share all that does not differ.

use super::NodeView;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::{Index, IndexMut, Range};
use std::sync::Arc;

/// Nodes in a part: of 10,000 nodes a copy shares 157 parts, and a change copies 64 pointers.
const PART: usize = 64;

/// Views of nodes, in the order of their ids.
///
/// To copy all of them takes as long as to copy one pointer for every 64 nodes, and a change to one
/// of a copy costs that node and its 63 neighbours' pointers: whoever keeps an old view holds up
/// nobody who changes a grid of any size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeViews {
    parts: Vec<Arc<Vec<Arc<NodeView>>>>,
    len: usize,
}

impl NodeViews {
    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All nodes in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            nodes: self,
            places: 0..self.len,
        }
    }

    /// All nodes in order, to be changed: each is copied where another view shares it.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut NodeView> {
        let nodes = self.parts.iter_mut();
        let nodes = nodes.flat_map(|part| Arc::make_mut(part).iter_mut());
        nodes.map(Arc::make_mut)
    }

    /// The places at which two views differ, for all that their sharing tells: where they share a
    /// node they are equal, and nothing else is looked at.
    pub fn unshared<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let parts = self.parts.iter().zip(&other.parts).enumerate();
        let parts = parts.filter(|(_, (one, other))| !Arc::ptr_eq(one, other));
        parts.flat_map(|(place, (one, other))| {
            let nodes = one.iter().zip(other.iter()).enumerate();
            let nodes = nodes.filter(|(_, (one, other))| !Arc::ptr_eq(one, other));
            nodes.map(move |(within, _)| place * PART + within)
        })
    }
}

impl Index<usize> for NodeViews {
    type Output = NodeView;

    fn index(&self, place: usize) -> &NodeView {
        &self.parts[place / PART][place % PART]
    }
}

impl IndexMut<usize> for NodeViews {
    fn index_mut(&mut self, place: usize) -> &mut NodeView {
        let part = Arc::make_mut(&mut self.parts[place / PART]);
        Arc::make_mut(&mut part[place % PART])
    }
}

impl FromIterator<NodeView> for NodeViews {
    fn from_iter<T: IntoIterator<Item = NodeView>>(nodes: T) -> Self {
        let mut views = Self::default();
        let mut nodes = nodes.into_iter().map(Arc::new).peekable();
        while nodes.peek().is_some() {
            let part: Vec<Arc<NodeView>> = nodes.by_ref().take(PART).collect();
            views.len += part.len();
            views.parts.push(Arc::new(part));
        }
        views
    }
}

impl From<Vec<NodeView>> for NodeViews {
    fn from(nodes: Vec<NodeView>) -> Self {
        nodes.into_iter().collect()
    }
}

/// All nodes of a view in order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    nodes: &'a NodeViews,
    places: Range<usize>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a NodeView;

    fn next(&mut self) -> Option<&'a NodeView> {
        let place = self.places.next()?;
        Some(&self.nodes[place])
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let place = self.places.next_back()?;
        Some(&self.nodes[place])
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a NodeViews {
    type Item = &'a NodeView;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl Serialize for NodeViews {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

impl<'de> Deserialize<'de> for NodeViews {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into())
    }
}
