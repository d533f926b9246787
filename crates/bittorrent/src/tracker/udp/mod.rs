//! UDP trackers (BEP 15, 41): the packets, and the client that sends them.

mod packet;

pub use packet::{ConnectionId, Request, Response, TransactionId};
