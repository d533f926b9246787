//! UDP trackers (BEP 15, 41): the packets, and the client that sends them.

mod client;
mod io;
mod packet;

pub use client::Client;
pub use io::{Input, Output, Reason, RequestId, RetryPolicy};
pub use packet::{ConnectionId, Request, Response, TransactionId};
