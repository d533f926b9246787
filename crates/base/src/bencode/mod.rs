//! Bencode (BEP 3): the encoding of torrents, tracker answers, the DHT and the extension
//! protocol.
//!
//! [`Document::parse`] checks a whole text once, without recursion and within [`Limits`], into a
//! flat list of tokens that borrow it; [`Value`] is a handle into that list, so skipping a value
//! is one addition and an info dictionary's exact bytes are at hand for hashing. [`Encoder`]
//! writes canonical bencode.
//!
//! What is refused: anything after the root value, numbers and lengths with leading zeros or
//! outside `i64`, negative zero, keys that are not strings. What is accepted although not
//! canonical, because torrents in the wild have it: keys out of order and repeated (the first one
//! counts). [`Document::is_canonical`] tells.

mod decode;
mod encode;

pub use decode::{Dict, DictIter, Document, Error, Kind, Limits, List, Value};
pub use encode::Encoder;
