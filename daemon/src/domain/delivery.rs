//! A webhook that came.

use jiff::Timestamp;

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When it came.
    pub at: Timestamp,
    /// How it is signed; empty where it is not.
    pub scheme: String,
    /// What the sender calls its kind, e.g. `push`.
    pub event: String,
    /// What the sender calls it.
    pub id: String,
    /// Whether it was believed.
    pub accepted: bool,
    /// What came of it; empty: that is not known yet.
    pub outcome: String,
}
