//! What is inside the handshake: who one is, and the proof of it.

use super::LinkError;
use crate::id::{Keys, NetworkKey, NodeId};

/// Bytes of an identity: the name, and a signature.
pub(super) const IDENTITY_BYTES: usize = 32 + 64;

/// Which of the two one is; a proof of one is none of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Initiator = 0,
    Responder = 1,
}

/// What is proved: that a node takes part in this very handshake, with this key of X25519.
pub(super) struct Claim<'a> {
    pub(super) network: &'a NetworkKey,
    pub(super) role: Role,
    /// Noise's hash of the handshake before the message in which the proof is.
    pub(super) handshake: &'a [u8],
    /// The key with which the node takes part.
    pub(super) key: &'a [u8],
}

impl Claim<'_> {
    fn message(&self) -> Vec<u8> {
        let role = [self.role as u8];
        [b"althing link identity v1\0", &self.network.0[..], &role, self.handshake, self.key]
            .concat()
    }

    /// The proof, for the handshake's payload.
    pub(super) fn sign(&self, keys: &Keys) -> [u8; IDENTITY_BYTES] {
        let mut identity = [0; IDENTITY_BYTES];
        identity[..32].copy_from_slice(&keys.node().0);
        identity[32..].copy_from_slice(&keys.sign(&self.message()));
        identity
    }

    /// Whose proof it is, if it is one.
    pub(super) fn check(&self, identity: &[u8]) -> Result<NodeId, LinkError> {
        let (name, signature) = identity.split_first_chunk().ok_or(LinkError::Identity)?;
        let signature = signature.try_into().map_err(|_| LinkError::Identity)?;
        let node = NodeId(*name);
        if node.has_signed(&self.message(), signature) {
            Ok(node)
        } else {
            Err(LinkError::Identity)
        }
    }
}
