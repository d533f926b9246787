//! Rate limits that are shared: a tree of token buckets, and the rule by which what a bucket has is
//! divided among those that want it.
//!
//! The rule is max-min fairness: nobody gets more than it wants, everybody who wants more than the
//! others get has the same, and nothing is left over while somebody wants it. So the share that one
//! does not use flows to the others.

mod share;
mod tree;

pub use share::share;
pub use tree::{BURST_BYTES_MIN, BURST_PART_OF_SECOND, NodeId, RateTree, burst};
