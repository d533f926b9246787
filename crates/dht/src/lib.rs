//! The mainline DHT (BEP 5) without IO.
//!
//! * [`id`]: names of nodes, how far apart they are, and which address may have which (BEP 42).
//! * [`wire`]: the messages, parsed once into types that cannot be wrong.
//! * [`Dht`]: the node, a [`Machine`](althing_base::Machine) for both address families; [`Input`] and
//!   [`Output`] are what it is told and what it asks for.
//!
//! * [`crawl`]: finding out which torrents there are, for those who want to.
//!
//! Nothing here opens a socket, reads a clock or draws entropy; a simulation of thousands of nodes is
//! thousands of these machines.
//!
//! ```
//! use althing_base::{Instant, Machine, Seed};
//! use althing_dht::{Config, Dht, Input, Output};
//!
//! // A driver draws the seed from the system's entropy.
//! let mut dht = Dht::new(Instant::ORIGIN, Config::new(Seed::from_u64(1)));
//! dht.handle_timeout(Instant::ORIGIN);
//! assert_eq!(dht.poll_output(), Some(Output::NeedContacts));
//! let router = "192.0.2.1:6881".parse().expect("an address");
//! dht.handle_input(Instant::ORIGIN, Input::Contacts(vec![router]));
//! assert!(matches!(dht.poll_output(), Some(Output::Send { to, .. }) if to == router));
//! ```

mod announce;
pub mod crawl;
pub mod id;
mod io;
mod items;
pub mod limits;
mod lookup;
mod machine;
mod manners;
mod measure;
mod peers;
mod rate;
mod recent;
mod save;
mod search;
mod sources;
mod table;
mod tokens;
pub mod wire;

pub use announce::WantedStats;
pub use crawl::{CrawlConfig, CrawlStats};
pub use id::{Distance, NodeId};
pub use io::{Announce, Cost, Find, Goal, Input, Output, SearchId};
pub use machine::{Config, Dht, Reason, Stats};
pub use manners::Manners;
pub use save::{Saved, SavedError};
