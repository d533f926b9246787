//! How large a message may be and how much one may hold. Each bound says its unit, what happens past
//! it and where it comes from. All of them hold when a message is read and when one is written.

pub use crate::limits::{MESSAGE_BYTES_MAX, RECORD_BYTES_MAX};

/// Peers that one shuffle tells of: three neighbours and four of those known, as in HyParView's
/// evaluation, and one more.
pub const SHUFFLE_CONTACTS_MAX: usize = 8;

/// Ids that are announced in one message.
pub const ANNOUNCED_MAX: usize = 128;

/// Ids that are asked for in one message, by the tree or after reconciliation.
pub const ASKED_MAX: usize = 128;

/// Records that one answer holds; their bytes are bounded by [`MESSAGE_BYTES_MAX`].
pub const RECORDS_MAX: usize = 64;

/// Others on whom somebody leans who asks for one more.
pub const LEANS_MAX: u8 = 16;

/// Steps that a walk through the network has left at the most. HyParView's evaluation walks 6.
pub const WALK_STEPS_MAX: u8 = 6;

const _: () = assert!(MESSAGE_BYTES_MAX > RECORD_BYTES_MAX + 8);
const _: () = assert!(MESSAGE_BYTES_MAX > ANNOUNCED_MAX * 33 + 8);
