//! Who somebody is: a node's name is its Ed25519 public key (RFC 8032), and a network's is a key that
//! its members know.

use althing_base::hash::{Sha256, Sha256Digest};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The name of a node, or of an author: 32 bytes of an Ed25519 public key. That it is a point of the
/// curve is found out when a signature is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 32]);

impl NodeId {
    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this node has signed `message`.
    ///
    /// Strict: keys of small order, which sign anything, sign nothing here, and nodes agree on what is
    /// signed.
    pub fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }

    /// The key of X25519 (RFC 7748) that belongs to the name: the same point on the other form of the curve.
    /// Nothing if the name is no key, or one of small order.
    pub fn x25519(&self) -> Option<[u8; 32]> {
        let key = VerifyingKey::from_bytes(&self.0).ok().filter(|key| !key.is_weak())?;
        Some(key.to_montgomery().to_bytes())
    }
}

impl fmt::Display for NodeId {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Sha256Digest(self.0), f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodeId {
    type Err = althing_base::hash::ParseHexError;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(NodeId(text.parse::<Sha256Digest>()?.0))
    }
}

/// How signatures are checked: whether `author` has signed `message` with `signature`. The real one is
/// [`NodeId::has_signed`]; a simulation gives a cheaper one.
pub type Verify = fn(author: &NodeId, message: &[u8], signature: &[u8; 64]) -> bool;

/// A node, and where it can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact {
    /// Its name.
    pub node: NodeId,
    /// Where it listens.
    pub addr: SocketAddr,
}

/// A node's secret key.
#[derive(Clone)]
pub struct Keys {
    signing: SigningKey,
}

impl Keys {
    /// The keys that follow from 32 secret bytes (Ed25519's seed, RFC 8032).
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Keys { signing: SigningKey::from_bytes(secret) }
    }

    /// The name that belongs to them.
    pub fn node(&self) -> NodeId {
        NodeId(self.signing.verifying_key().to_bytes())
    }

    /// The secret key of X25519 that belongs to [`NodeId::x25519`].
    pub fn x25519_secret(&self) -> [u8; 32] {
        self.signing.to_scalar_bytes()
    }

    /// Signs `message`. Whoever calls this begins the message with words that say what is signed, so
    /// that it means nothing elsewhere.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }
}

impl fmt::Debug for Keys {
    /// Says whose they are and nothing more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({}, ..)", self.node())
    }
}

/// What the members of a network have in common: 32 bytes, which everybody knows of the public network
/// and only the members of a private one. Signatures and links of one network are worth nothing in
/// another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkKey(pub [u8; 32]);

impl NetworkKey {
    /// The network that everybody is in.
    pub fn public() -> Self {
        NetworkKey::derive("public")
    }

    /// The network of a given name, for tests and simulations: whoever knows the name is in it.
    pub fn derive(name: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"althing network v1\0");
        hash.update(name.as_bytes());
        NetworkKey(hash.finish().0)
    }
}

impl fmt::Debug for NetworkKey {
    /// A private network's key is its members' secret, so it is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_signatures_are_those_of_rfc_8032() {
        // RFC 8032, section 7.1, test 2.
        let hex = |text: &str| text.parse::<Sha256Digest>().unwrap().0;
        let secret = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let keys = Keys::from_secret(&secret);
        let name = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(keys.node().to_string(), name);
        assert_eq!(name.parse(), Ok(keys.node()));
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&hex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
        ));
        signature[32..].copy_from_slice(&hex(
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ));
        assert_eq!(keys.sign(&[0x72]), signature);
        assert!(keys.node().has_signed(&[0x72], &signature));
        assert!(!keys.node().has_signed(&[0x73], &signature));
        assert!(!NodeId([0; 32]).has_signed(&[0x72], &signature));
        assert!(!format!("{keys:?}").contains("4ccd"));
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        // The neutral point: with R neutral and S zero the equation holds for any message, unless
        // such keys are refused.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!NodeId(neutral).has_signed(b"anything", &signature));
    }
}
