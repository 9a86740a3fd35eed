//! The catalogue of rules of decision.

/// A rule of decision: where to place.
#[derive(Clone, Debug, PartialEq)]
pub enum Policy {
    /// The node of lowest id that fits.
    FirstFit,
    /// The node with the least left over.
    BestFit,
}
