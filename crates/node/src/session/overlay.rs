//! What users see of the overlay and say in it.

use super::{Session, TorrentId};
use crate::clock;
use crate::content;
use crate::overlay::{Handle, Request, stamped};
use althing_base::UnixTime;
use althing_overlay::NodeId;
use althing_overlay::limits::LIFETIME_MAX_S;
use althing_overlay::machine::Stats;
use althing_overlay::records::{Draft, InfoHash, Listing, Profile, Record, Text};
use std::net::SocketAddr;
use std::time::Duration;

/// How the overlay stands.
#[derive(Clone, Debug)]
pub struct OverlayStatus {
    /// Our name in it.
    pub node: NodeId,
    /// We index for others.
    pub super_peer: bool,
    /// Neighbours, records and what has come.
    pub stats: Stats,
    /// Links to others, those included that are no neighbours.
    pub links: Vec<OverlayLink>,
}

/// A link to another peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OverlayLink {
    /// Who.
    pub node: NodeId,
    /// Where.
    pub addr: SocketAddr,
    /// Whether we called.
    pub outgoing: bool,
    /// For how long.
    pub age: Duration,
}

/// Why something cannot be said in the overlay.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// This session takes no part in it.
    #[error(
        "this peer takes no part in the overlay; type `althing config set overlay.enabled true` and restart it"
    )]
    Off,
    /// The record cannot be made.
    #[error("it cannot be said: {reason}")]
    Record {
        /// Why.
        reason: String,
    },
    /// The session is ending.
    #[error("Althing is stopping")]
    Stopping,
}

impl Session {
    /// How the overlay stands.
    ///
    /// # Errors
    /// If this session takes no part in it.
    pub async fn overlay(&self) -> Result<OverlayStatus, OverlayError> {
        let asked = self.overlay_handle()?.ask(Request::Figures);
        let figures = asked.await.map_err(|_| OverlayError::Stopping)?;
        let now = clock::now();
        let links = figures.links.iter().map(|link| OverlayLink {
            node: link.node,
            addr: link.addr,
            outgoing: link.outgoing,
            age: now.since(link.since),
        });
        let super_peer = self.config().overlay.super_peer;
        let (node, stats, links) = (figures.node, figures.stats, links.collect());
        Ok(OverlayStatus { node, super_peer, stats, links })
    }

    /// Our name in the overlay, if this session takes part in it.
    pub fn overlay_node(&self) -> Option<NodeId> {
        self.shared.overlay.as_ref().map(Handle::node)
    }

    /// All records that are held, in no order that means anything.
    ///
    /// # Errors
    /// If this session takes no part in the overlay.
    pub async fn overlay_records(&self) -> Result<Vec<Record>, OverlayError> {
        let asked = self.overlay_handle()?.ask(Request::Records);
        asked.await.map_err(|_| OverlayError::Stopping)
    }

    /// Says something to everybody in the overlay, in place of what we said before of the same kind and
    /// slot. Takes a second or so of one core, for strangers ask for work.
    ///
    /// # Errors
    /// If this session takes no part in it, or the record cannot be made.
    pub async fn overlay_publish(&self, draft: Draft) -> Result<Record, OverlayError> {
        let overlay = self.overlay_handle()?;
        let refused = |reason| OverlayError::Record { reason };
        let signed = overlay.ask(|reply| Request::Sign(Box::new(draft), reply)).await;
        let record = signed.map_err(|_| OverlayError::Stopping)?.map_err(refused)?;
        let working = tokio::task::spawn_blocking(move || stamped(&record));
        let record = working.await.map_err(|_| OverlayError::Stopping)?;
        let record = record.ok_or_else(|| refused("no stamp was found for it".to_owned()))?;
        let told = record.clone();
        let published = overlay.ask(|reply| Request::Publish(Box::new(told), reply)).await;
        published.map_err(|_| OverlayError::Stopping)?.map_err(refused)?;
        Ok(record)
    }

    /// Says who we are: a name, and a few sentences that may be empty. For a month, or until it is said
    /// anew.
    ///
    /// # Errors
    /// As [`overlay_publish`](Self::overlay_publish), or if the text has something in it that could deceive.
    pub async fn overlay_profile(&self, name: &str, about: &str) -> Result<Record, OverlayError> {
        let profile = Profile::new(text("the name", name)?, text("the text", about)?)
            .map_err(|error| OverlayError::Record { reason: error.to_string() })?;
        // When it was created is for the overlay's thread to say.
        self.overlay_publish(Draft::profile(profile, UnixTime(0), LIFETIME_MAX_S)).await
    }

    /// Whether a torrent can be said to be here: not if it is private.
    ///
    /// # Errors
    /// Why not.
    pub fn may_publish(&self, is_private: bool) -> Result<(), OverlayError> {
        self.overlay_handle()?;
        match is_private {
            false => Ok(()),
            true => Err(OverlayError::Record {
                reason: "the torrent is private, and nobody is to hear of it but its tracker"
                    .to_owned(),
            }),
        }
    }

    /// Says that we have a torrent, for a month or until it is said anew.
    ///
    /// # Errors
    /// As [`overlay_publish`](Self::overlay_publish), or if there is no such torrent, it is private, or it is
    /// not known yet what it is.
    pub async fn overlay_list(
        &self,
        id: TorrentId,
        tags: &[String],
        about: &str,
    ) -> Result<Record, OverlayError> {
        let refused = |reason: &str| OverlayError::Record { reason: reason.to_owned() };
        let metainfo = self.metainfo(id).await;
        let metainfo =
            metainfo.ok_or_else(|| refused("it is not known yet what the torrent is"))?;
        self.may_publish(metainfo.is_private())?;
        let hashes = metainfo.info_hashes();
        let hash = match (hashes.v1(), hashes.v2()) {
            (Some(v1), Some(v2)) => InfoHash::Hybrid(v1, v2),
            (Some(v1), None) => InfoHash::V1(v1),
            (None, Some(v2)) => InfoHash::V2(v2),
            (None, None) => return Err(refused("the torrent has no info-hash")),
        };
        let data_files = metainfo.files().iter().filter(|file| !file.is_pad());
        let (count, size) = data_files.fold((0u32, 0u64), |(count, size), file| {
            (count.saturating_add(1), size.saturating_add(file.size()))
        });
        let data_files = metainfo.files().iter().filter(|file| !file.is_pad());
        let files = data_files.map(|file| (file.components().last().unwrap_or(""), file.size()));
        let tags = tags.iter().map(|tag| text("a tag", tag)).collect::<Result<Vec<_>, _>>()?;
        let listing = Listing::new(hash, Text::cleaned(metainfo.name()), size, count)
            .map_err(|error| refused(&error.to_string()))?
            .with_content(content::of_files(files))
            .with_tags(tags)
            .with_about(text("the text", about)?);
        self.overlay_publish(Draft::listing(listing, UnixTime(0), LIFETIME_MAX_S)).await
    }

    pub(super) fn overlay_handle(&self) -> Result<&Handle, OverlayError> {
        self.shared.overlay.as_ref().ok_or(OverlayError::Off)
    }
}

fn text<const MAX: usize>(what: &str, given: &str) -> Result<Text<MAX>, OverlayError> {
    Text::new(given).map_err(|error| OverlayError::Record { reason: format!("{what}: {error}") })
}
