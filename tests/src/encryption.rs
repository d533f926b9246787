//! What a client is told about encrypting its connections. It is kept in the client's own folder, as
//! its other settings are.

use std::path::Path;

/// A policy, in the words of Althing's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// None, or as little as the client can be told to: Transmission takes it if the peer insists.
    Plain,
    /// The handshake alone (libtorrent can be told so).
    Handshake,
    /// Where the peer can.
    Preferred,
    /// RC4 or no connection.
    Required,
}

const ALL: [Policy; 4] = [Policy::Plain, Policy::Handshake, Policy::Preferred, Policy::Required];

impl Policy {
    /// As Althing's settings and the libtorrent peer's command line call it.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Plain => "plain",
            Policy::Handshake => "handshake",
            Policy::Preferred => "preferred",
            Policy::Required => "required",
        }
    }

    /// Tells the client whose folder that is, before it starts.
    ///
    /// # Panics
    /// When the folder cannot be written to.
    pub fn tell(self, folder: &Path) {
        std::fs::write(folder.join("encryption"), self.name()).expect("the seat's folder is there");
    }

    /// What the client whose folder that is was told, if anything.
    pub fn told(folder: &Path) -> Option<Policy> {
        let name = std::fs::read_to_string(folder.join("encryption")).ok()?;
        ALL.into_iter().find(|policy| policy.name() == name)
    }
}
