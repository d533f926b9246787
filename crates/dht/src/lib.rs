//! The mainline DHT (BEP 5) without IO.
//!
//! * [`id`]: names of nodes, how far apart they are, and which address may have which (BEP 42).
//! * [`wire`]: the messages, parsed once into types that cannot be wrong.

pub mod id;
mod io;
pub mod limits;
pub mod wire;

pub use id::{Distance, NodeId};
pub use io::{Announce, Cost, Find, Goal, Input, Output, SearchId};
