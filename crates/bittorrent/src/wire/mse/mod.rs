//! Message stream encryption (MSE, also PE), the specification of Azureus and µTorrent: a key
//! exchange before BitTorrent's handshake, after which the stream is RC4 or plain.
//!
//! It hides what a connection is from those who look at it in passing, and lets nobody in who does
//! not know the torrent's info-hash. It does not keep secrets: RC4 and 768 bits are long broken, and
//! anybody who has the info-hash can stand in between.
//!
//! ```text
//! 1  A → B   Ya, PadA
//! 2  B → A   Yb, PadB
//! 3  A → B   HASH('req1', S), HASH('req2', SKEY) xor HASH('req3', S),
//!            ENCRYPT(VC, crypto_provide, len(PadC), PadC, len(IA)), ENCRYPT(IA)
//! 4  B → A   ENCRYPT(VC, crypto_select, len(PadD), PadD), then the stream
//! 5  A → B   the stream
//! ```
//!
//! [`Initiator`] is A, [`Responder`] is B. Both are fed bytes, say what they [`Want`] next, and leave
//! what is to be written in `take_output`. The two steps that cost something are calls of their own,
//! so that whoever drives them decides when and how often: [`Initiator::exchange`] and
//! [`Responder::exchange`], which raise numbers of 768 bits to powers of 160.
//!
//! ```
//! use althing_base::{Seed, Sha1Digest};
//! use althing_bittorrent::wire::mse::{Initiator, Method, Methods, Responder, Want, lookup_key};
//!
//! let torrent = Sha1Digest([7; 20]);
//! let mut a = Initiator::new(torrent, Methods::Either, b"handshake", Seed::from_u64(1));
//! let mut b = Responder::new(Methods::Either, Seed::from_u64(2));
//! b.receive(&a.take_output())?;
//! assert_eq!(b.want(), Want::Exchange);
//! b.exchange()?;
//! a.receive(&b.take_output())?;
//! a.exchange()?;
//! b.receive(&a.take_output())?;
//! assert_eq!(b.want(), Want::Torrent(lookup_key(torrent)));
//! b.torrent(Some(torrent))?;
//! let established = b.finish().expect("it has all it needs");
//! assert_eq!((established.method, &established.early[..]), (Method::Plain, &b"handshake"[..]));
//! a.receive(&b.take_output())?;
//! assert_eq!(a.finish().expect("so has this one").method, Method::Plain);
//! # Ok::<(), althing_bittorrent::wire::mse::MseError>(())
//! ```

mod dh;
mod initiator;
pub mod limits;
mod progress;
mod rc4;
mod responder;
#[cfg(test)]
mod tests;

pub use initiator::Initiator;
pub use rc4::Rc4;
pub use responder::Responder;

use althing_base::hash::Sha1;
use althing_base::{Rng, Sha1Digest};
use dh::Shared;
use limits::PAD_BYTES_MAX;

/// VC of the specification: zeros that show that the other side knows S and the torrent.
const VERIFICATION: [u8; 8] = [0; 8];

/// The bits of crypto_provide and crypto_select.
const PLAIN_BIT: u32 = 1;
const RC4_BIT: u32 = 2;

/// How the stream goes on after the negotiation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// As it is: only the handshake was hidden.
    Plain,
    /// Each direction through RC4.
    Rc4,
}

/// Which methods are fine with us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Methods {
    /// RC4 alone.
    Rc4,
    /// Both; who may choose chooses a plain stream.
    Either,
}

impl Methods {
    /// crypto_provide.
    fn bits(self) -> u32 {
        match self {
            Methods::Rc4 => RC4_BIT,
            Methods::Either => PLAIN_BIT | RC4_BIT,
        }
    }

    /// What a responder selects of what it is provided with. Bits without a meaning are ignored.
    fn choose(self, provided: u32) -> Result<Method, MseError> {
        match self {
            Methods::Either if provided & PLAIN_BIT != 0 => Ok(Method::Plain),
            _ if provided & RC4_BIT != 0 => Ok(Method::Rc4),
            _ => Err(MseError::NoCommonMethod { bits: provided }),
        }
    }

    /// What an initiator makes of the selection: exactly one of the methods it provided.
    fn accept(self, selected: u32) -> Result<Method, MseError> {
        match (self, selected & (PLAIN_BIT | RC4_BIT)) {
            (Methods::Either, PLAIN_BIT) => Ok(Method::Plain),
            (_, RC4_BIT) => Ok(Method::Rc4),
            _ => Err(MseError::NoCommonMethod { bits: selected }),
        }
    }
}

impl Method {
    /// crypto_select.
    fn bit(self) -> u32 {
        match self {
            Method::Plain => PLAIN_BIT,
            Method::Rc4 => RC4_BIT,
        }
    }
}

/// What a handshake waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Bytes from the peer.
    Bytes,
    /// To be told to raise numbers to powers.
    Exchange,
    /// The torrent whose [`lookup_key`] this is, if it is here (responders only).
    Torrent(Sha1Digest),
    /// Nothing more: call `finish`.
    Nothing,
}

/// What both sides have come to.
#[derive(Debug)]
pub struct Established {
    /// How the stream goes on.
    pub method: Method,
    /// The ciphers, unless it goes on as it is.
    pub ciphers: Option<Box<Ciphers>>,
    /// The stream's first bytes, already as they are meant.
    pub early: Vec<u8>,
}

impl Established {
    /// The stream begins with `clear`, and goes on with `stream`, which is encrypted if all of it is.
    fn new(method: Method, mut ciphers: Box<Ciphers>, clear: Vec<u8>, mut stream: Vec<u8>) -> Self {
        let mut early = clear;
        let ciphers = (method == Method::Rc4).then(|| {
            ciphers.incoming.apply(&mut stream);
            ciphers
        });
        early.append(&mut stream);
        Established { method, ciphers, early }
    }
}

/// The two directions of an encrypted stream.
#[derive(Clone, Debug)]
pub struct Ciphers {
    /// From the peer.
    pub incoming: Rc4,
    /// To the peer.
    pub outgoing: Rc4,
}

/// Why a handshake is broken off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MseError {
    /// A key that no honest peer draws.
    #[error("its key is not one of the group")]
    BadKey,
    /// What must come after the first padding did not.
    #[error("no synchronisation after {searched} bytes of padding; it knows another key, or none")]
    NoSync {
        /// How many bytes were looked at.
        searched: usize,
    },
    /// It wants a torrent that is not here.
    #[error("it means a torrent that is not here")]
    UnknownTorrent,
    /// The verification constant is not what it must be.
    #[error("it does not know the torrent that it names")]
    BadVerification,
    /// Nothing that it offers or selected is fine with us.
    #[error("none of its methods (bits {bits:#x}) is fine with us")]
    NoCommonMethod {
        /// crypto_provide or crypto_select.
        bits: u32,
    },
    /// A length that is past what the specification allows or anyone needs.
    #[error("{len} bytes of {what}, where {max} is the most")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// The declared length in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
}

/// The name by which an initiator asks for a torrent, HASH('req2', SKEY), before what it says can be
/// decrypted. Kept for each info-hash, so that one look-up finds the torrent among thousands.
pub fn lookup_key(torrent: Sha1Digest) -> Sha1Digest {
    hash(&[b"req2", &torrent.0])
}

/// HASH('req1', S): where the initiator's padding ends.
fn sync_mark(shared: &Shared) -> Sha1Digest {
    hash(&[b"req1", shared])
}

/// A torrent's lookup key, veiled or unveiled: xor HASH('req3', S).
fn veil(key: Sha1Digest, shared: &Shared) -> Sha1Digest {
    let Sha1Digest(mask) = hash(&[b"req3", shared]);
    Sha1Digest(std::array::from_fn(|at| key.0[at] ^ mask[at]))
}

/// The cipher of what the initiator (`keyA`) or the responder (`keyB`) sends.
fn cipher(label: &[u8; 4], shared: &Shared, torrent: Sha1Digest) -> Rc4 {
    Rc4::dropped(&hash(&[label, shared, &torrent.0]).0)
}

fn hash(parts: &[&[u8]]) -> Sha1Digest {
    let mut hash = Sha1::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finish()
}

/// Random bytes of random length: the padding before there is a cipher.
fn noise(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = zeros(rng);
    rng.fill(&mut bytes);
    bytes
}

/// Zeros of random length: the padding that is encrypted.
fn zeros(rng: &mut Rng) -> Vec<u8> {
    vec![0; rng.index(PAD_BYTES_MAX + 1)]
}

/// What has come from the peer and not been used.
#[derive(Default)]
struct Inbox(Vec<u8>);

impl Inbox {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The first `N` bytes, once they are there.
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.0.first_chunk::<N>()?;
        self.0.drain(..N);
        Some(bytes)
    }

    /// The first `len` bytes, decrypted, once they are there.
    fn open(&mut self, len: usize, cipher: &mut Rc4) -> Option<Vec<u8>> {
        if self.0.len() < len {
            return None;
        }
        let rest = self.0.split_off(len);
        let mut bytes = std::mem::replace(&mut self.0, rest);
        cipher.apply(&mut bytes);
        Some(bytes)
    }

    /// All there is.
    fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    /// Throws away what stands before `mark`, and the mark. `Ok(false)` if it is not there yet.
    /// `searched` is where to go on looking.
    fn skip_past(&mut self, mark: &[u8], searched: &mut usize) -> Result<bool, MseError> {
        let unseen = self.0.get(*searched..).unwrap_or_default();
        if let Some(at) = unseen.windows(mark.len()).position(|window| window == mark) {
            let before = *searched + at;
            if before > PAD_BYTES_MAX {
                return Err(MseError::NoSync { searched: before });
            }
            self.0.drain(..before + mark.len());
            return Ok(true);
        }
        *searched = (self.0.len() + 1).saturating_sub(mark.len());
        if *searched > PAD_BYTES_MAX {
            return Err(MseError::NoSync { searched: *searched });
        }
        Ok(false)
    }
}

/// A length of two bytes, if it is no more than `max`.
fn length(bytes: [u8; 2], max: usize, what: &'static str) -> Result<usize, MseError> {
    let len = usize::from(u16::from_be_bytes(bytes));
    if len > max { Err(MseError::TooLong { what, len, max }) } else { Ok(len) }
}
