//! Networks of some hundreds to tens of thousands of nodes of the overlay: the machines that the daemon
//! runs, and messages that take as long as the way between two hosts is.
//!
//! * [`Net`]: the nodes, their links, and what is under way between them.
//! * [`News`]: a record that somebody published, and whom it has reached.
//! * [`Find`]: a question that somebody asked, and what has come of it.
//! * [`mail`]: mail in networks whose nodes come and go.
//! * [`lab`]: scenarios, what has come of them, and how it is shown.
//! * [`tables`]: the marks, and what a network at rest costs.
//!
//! TCP is not modelled byte by byte: what is said on a link arrives in order and whole, later if
//! something was lost, or not at all once the other end is gone. Ciphers are left out, and signatures are
//! those of a function that costs nothing; everything else is real. Messages are handed over as they
//! are; each sixteenth is written and parsed again.
//!
//! A network is in shards (`shard`), each of them some of the nodes, with links of which each node has an end of
//! its own (`ends`). Shards share nothing but what changes only while no time passes (`common`), and large networks let them
//! run side by side (`crew`). What happens is the same with any number of threads.

mod common;
mod conduct;
mod crew;
mod ends;
mod finds;
pub mod lab;
pub mod mail;
pub mod marks;
mod net;
mod news;
mod said;
pub mod search;
mod shard;
mod structured;
pub mod tables;
mod wheel;
mod who;

pub use crate::node::NodeIndex;
pub use conduct::Conduct;
pub use finds::{Find, FindId};
pub use net::{Conditions, Death, Net, Traffic};
pub use news::{News, NewsId};
