//! The local index: what this peer knows of, to be searched by words: names, tags and descriptions of
//! torrents, and the text inside documents that are shared.
//!
//! What gets into it is for its owner to say; nothing here looks at folders or talks to others. Words are
//! the overlay's ([`althing_overlay::search::words`]), so that what is asked over the overlay and what is
//! indexed here are cut in the same way.
//!
//! All that is in the index can be had again from elsewhere (the overlay's shelf, the user's torrents, the
//! DHT), which is why a damaged one is made anew and a killed process loses what was not committed and
//! nothing else.
//!
//! ```
//! use althing_index::{Bounds, Index, Listing, Query, Source};
//! use althing_overlay::records::InfoHash;
//!
//! let folder = tempfile::tempdir()?;
//! let mut index = Index::open(folder.path(), Bounds::default())?;
//! let hash = InfoHash::V1(althing_base::Sha1Digest([7; 20]));
//! index.put_listing(&Listing::new(hash, "Debian 13 netinst amd64", Source::Own))?;
//! index.commit()?;
//! let found = index.searcher().search(&Query::new("debian NETINST"), &|| false)?;
//! assert_eq!(found.hits[0].name, "Debian 13 netinst amd64");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod codec;
mod doc;
mod error;
mod index;
pub mod limits;
mod passages;
pub mod read;
mod schema;
mod search;
mod snippet;
#[cfg(test)]
mod tests;

pub use doc::{Listing, Page, Source, torrent_key};
pub use error::IndexError;
pub use index::{Bounds, Held, Index, Stats};
pub use search::{Found, IndexHit, PageHit, Query, Searcher, What};
