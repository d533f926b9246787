//! The overlay: peers that know each other by their keys, and what they tell each other, without IO.
//!
//! * [`id`]: names of nodes, their keys, and the key of a network.
//! * [`records`]: what is told: small signed records, replaced by their author and expiring, and the
//!   [`Shelf`](records::Shelf) on which a node keeps them.
//! * [`blocks`]: what a node does not want to carry, by its own entries and by lists that it follows.
//! * [`reconcile`]: two nodes find out which records one has and the other has not.
//! * [`link`]: what two nodes say to each other is encrypted, and each knows whom it talks to.
//! * [`machine`]: the node itself, which [`io`] tells what happened and asks what is to be done. It is made
//!   of [`membership`], who is a neighbour and who is known besides, [`broadcast`], how a record
//!   reaches everybody, [`search`], how a question reaches who can answer it, and [`mail`], private messages; what neighbours say is
//!   in [`wire`].
//! * [`limits`]: how much of what others send is believed and kept.
//!
//! Nothing here opens a socket, reads a clock or draws entropy. Signatures are checked by a function
//! that is given ([`id::Verify`]), so that a simulation of thousands of nodes need not raise points to
//! powers.

pub mod blocks;
pub mod broadcast;
pub mod id;
pub mod io;
pub mod limits;
pub mod link;
mod linked;
pub mod machine;
pub mod mail;
pub mod membership;
pub mod reconcile;
pub mod records;
pub mod search;
mod sink;
pub mod wire;

pub use id::{Contact, Keys, NetworkKey, NodeId};
