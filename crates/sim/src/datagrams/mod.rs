//! Networks of a hundred to a hundred thousand nodes of the DHT: the machines that the daemon runs, and
//! datagrams that are delayed and lost. Links have no rates here, for the DHT never fills one.
//!
//! * [`Net`]: the nodes, and what is under way between them.
//! * [`Search`]: searches, and what came of them.
//! * [`tables`]: what a network costs, and what holds when it does badly.
//!
//! Every node is a whole machine with a table of its own; what they know they have learned by joining,
//! one after the other. Messages are handed over as they are; each sixteenth is written and parsed again.

mod crawl;
mod crowd;
mod driven;
mod manners;
mod net;
mod search;
pub mod tables;

pub use crate::node::NodeIndex;
pub use crawl::{Crawled, crawl};
pub use crowd::CrowdId;
pub(crate) use driven::Told;
pub use manners::{Manners, manners};
pub use net::{Conditions, Net, Traffic};
pub use search::{Key, Outcome, Outcomes, Search};
