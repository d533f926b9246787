//! Sockets: how they are set up and by which way they go out, listening for peers, and who may be
//! talked to.

mod admission;
mod blocklist;
pub(crate) mod device;
mod listener;
mod local;
pub(crate) mod portmap;
pub(crate) mod proxy;
mod reach;
mod resolver;
mod socket;
mod way;

pub(crate) use admission::{Admission, Place, Places};
pub(crate) use blocklist::Blocklist;
pub(crate) use listener::{Arrival, Listening, Route, listen, listens, port, utp_door};
pub(crate) use local::Local as LocalDiscovery;
pub(crate) use reach::{Desk, Known};
pub(crate) use socket::{may_be_peer, receive};
pub(crate) use way::Way;
