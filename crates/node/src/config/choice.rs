//! Settings that are one of a few words.

use althing_bittorrent::wire::mse::Methods;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What happens to a torrent that has been given to others for long enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// It rests.
    #[default]
    Pause,
    /// It is taken out of the list; its files stay.
    Remove,
}

/// What happens to a file in the watched folder after its torrent has been added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterAdding {
    /// It is moved to the folder `added` beside it.
    #[default]
    Keep,
    /// It is deleted.
    Delete,
}

/// When downloads take their space on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Allocation {
    /// As they come.
    #[default]
    Sparse,
    /// All of it before they begin.
    Full,
}

/// Whom this node may talk to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Everybody.
    #[default]
    Any,
    /// Peers and trackers on this machine only: tests and the demo never address anything beyond.
    Loopback,
}

/// Over what peers are tried first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prefer {
    /// TCP.
    #[default]
    Tcp,
    /// uTP.
    Utp,
}

/// Whether connections to peers are encrypted (docs/decisions/0006).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Never, in either direction.
    Plain,
    /// Handshakes where the peer can; everything where it wants that.
    #[default]
    Preferred,
    /// Everything, always: no other connection is made or taken.
    Required,
}

impl Encryption {
    /// What is fine with us in an encrypted handshake; `None` if that itself is not.
    pub(crate) fn methods(self) -> Option<Methods> {
        match self {
            Encryption::Plain => None,
            Encryption::Preferred => Some(Methods::Either),
            Encryption::Required => Some(Methods::Rc4),
        }
    }
}

impl Reach {
    /// Whether `ip` may be talked to.
    pub fn allows(self, ip: IpAddr) -> bool {
        match self {
            Reach::Any => true,
            Reach::Loopback => ip.to_canonical().is_loopback(),
        }
    }
}
