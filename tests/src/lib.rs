//! Real clients, on real network stacks, against Althing and against each other.
//!
//! What a specification leaves open, the clients people run have decided; so this crate starts
//! Transmission, aria2, qBittorrent, libtorrent and opentracker as Debian ships them, lets them
//! swarm with Althing, and compares every byte that arrives.
//!
//! - [`net`]: hosts. Each is a network namespace behind a bridge of its own; nothing a test does
//!   is seen outside it, and no address can collide with another test's.
//! - [`far`]: hosts that are far from each other, on lines that lose some.
//! - [`nat`]: routers that translate addresses, of all kinds, in front of such hosts.
//! - [`process`]: programs in those hosts. They end with the test, whatever way it ends.
//! - [`payload`], [`torrent`]: what is shared, and the `.torrent` and magnet that name it.
//! - [`clients`]: one module a client; each can seed a torrent and fetch one.
//! - [`daemon`]: Althing as it runs in the background, for tests that ask it more than that.
//! - [`exchange`]: the scenario all rows of the matrix share: tracker, seed, leecher, compare.
//! - [`tools`]: what this machine lacks, and the sentence a skipped test prints.
//!
//! Everything here is for tests: it panics with the logs of the programs involved rather than
//! returning errors, and each wait has a limit.

#![allow(clippy::print_stderr, reason = "a test's output is where its reasons are looked for")]

pub mod clients;
pub mod daemon;
pub mod encryption;
pub mod exchange;
pub mod far;
pub mod http;
pub mod nat;
pub mod net;
pub mod payload;
pub mod process;
pub mod scratch;
pub mod tools;
pub mod torrent;
pub mod wait;
