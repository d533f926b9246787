//! What every Althing protocol stands on: time that is told rather than read, randomness that
//! comes from a seed, identifiers that cannot be confused, token buckets, bencode, and the shape
//! all protocol machines share.
//!
//! Nothing here does IO, reads a clock or draws its own entropy, so nothing that is built only on
//! this crate can either. That is what lets one seed reproduce a whole simulated network.
//!
//! ```
//! use althing_base::bencode::{Document, Limits};
//!
//! let doc = Document::parse(b"d3:agei7e4:name3:boxe", &Limits::default())?;
//! let dict = doc.root().as_dict().expect("the text above is a dictionary");
//! assert_eq!(dict.bytes(b"name"), Some(&b"box"[..]));
//! assert_eq!(dict.int(b"age"), Some(7));
//! # Ok::<(), althing_base::bencode::Error>(())
//! ```

pub mod bencode;
pub mod bucket;
pub mod hash;
pub mod machine;
pub mod rand;
pub mod rates;
pub mod time;

pub use bucket::TokenBucket;
pub use hash::{Sha1Digest, Sha256Digest};
pub use machine::Machine;
pub use rand::{Rng, Seed};
pub use time::{Instant, UnixTime};
