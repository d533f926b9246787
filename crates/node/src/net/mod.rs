//! Sockets: how they are set up, listening for peers, and who may be talked to.

mod admission;
mod listener;
mod socket;

pub(crate) use admission::{Admission, Place, Places};
pub(crate) use listener::{Arrival, Route, accept, listen};
pub(crate) use socket::{connect, may_be_peer};
