//! Mail in its envelope: what a carrier sees of it, how it is sealed, and how its receiver opens it.
//!
//! Outside stand a tag by which the receiver finds it, until when it is kept, and a commitment to a token that
//! is inside. Who shows the token has opened the envelope: it is the receipt for its sender, and lets
//! carriers throw the mail away. Inside are the sender, his signature, the time, the token and the message,
//! filled up to one of four sizes, sealed by Noise's one-way pattern N to a key of X25519.

use super::limits::{
    BODY_BYTES_MAX, ENVELOPE_OVERHEAD_BYTES, LIFETIME_MAX_S, SEALED_OVERHEAD_BYTES, SIZES,
    TAG_PERIOD_S, WORK_BITS,
};
use crate::id::{Keys, NetworkKey, NodeId, Verify};
use crate::link::primitives::{Primitives, TAG_BYTES};
use crate::records::{RecordId, stamp};
use crate::search::words::Term;
use althing_base::hash::{ParseHexError, Sha256, Sha256Digest};
use althing_base::{Rng, Seed, UnixTime};
use bytes::Bytes;
use snow::Builder;
use std::fmt;
use std::str::FromStr;

/// The version of all this; the first byte of an envelope.
const VERSION: u8 = 1;

/// How it is sealed (the Noise specification, section 7.4).
const NOISE: &str = "Noise_N_25519_ChaChaPoly_SHA256";

/// With what everything here begins that is signed or hashed.
const CONTEXT: &[u8] = b"althing mail v1\0";

/// Bytes of version, tag, commitment and expiry.
const HEADER_BYTES: usize = 1 + 32 + 32 + 8;
/// Bytes of the number of the stamp, at the end.
const STAMP_BYTES: usize = 8;

/// Seconds without what a clock is ahead or behind.
fn period(unix: UnixTime) -> i64 {
    unix.0.div_euclid(TAG_PERIOD_S)
}

/// By which a receiver finds mail: a hash of his name and of a period of 15 days. Who knows the name can make
/// it; who sees it learns nothing but by trying names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub [u8; 32]);

impl Tag {
    /// The tag of mail to `receiver` that is written at a time.
    pub fn of(network: &NetworkKey, receiver: &NodeId, written: UnixTime) -> Tag {
        Tag::of_period(network, receiver, period(written))
    }

    fn of_period(network: &NetworkKey, receiver: &NodeId, period: i64) -> Tag {
        let mut hash = Sha256::new();
        hash.update(b"althing mail tag v1\0");
        hash.update(&network.0);
        hash.update(&receiver.0);
        hash.update(&period.to_be_bytes());
        Tag(hash.finish().0)
    }

    /// All tags that mail to `receiver` can have that is alive at a time.
    pub fn alive(network: &NetworkKey, receiver: &NodeId, now: UnixTime) -> Vec<Tag> {
        let slack = super::limits::CLOCK_SLACK_S;
        let at = |by: i64| period(UnixTime(now.0.saturating_add(by)));
        let (first, last) = (at(-LIFETIME_MAX_S - slack), at(slack));
        (first..=last).rev().map(|period| Tag::of_period(network, receiver, period)).collect()
    }

    /// What stands for it in the index that neighbours tell each other.
    pub(crate) fn term(&self) -> Term {
        let [a, b, c, ..] = self.0;
        Term::new(u32::from_be_bytes([0, a, b, c])).expect("a number of 24 bits is a term")
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({}..)", &Sha256Digest(self.0).to_string()[..8])
    }
}

/// The name of a mail: SHA-256 of its envelope without the stamp.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailId(pub [u8; 32]);

impl fmt::Display for MailId {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Sha256Digest(self.0), f)
    }
}

impl fmt::Debug for MailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MailId {
    type Err = ParseHexError;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(MailId(text.parse::<Sha256Digest>()?.0))
    }
}

/// What only the sender and the receiver of a mail know, until the receiver shows that he has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token(pub [u8; 32]);

impl Token {
    /// What stands for it on the envelope.
    pub fn commitment(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"althing mail receipt v1\0");
        hash.update(&self.0);
        hash.finish().0
    }
}

impl fmt::Debug for Token {
    /// It may still be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why bytes are no envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// They are of none of the sizes.
    #[error("an envelope of {bytes} bytes, which is none of the sizes")]
    Size {
        /// How many.
        bytes: usize,
    },
    /// Another version.
    #[error("an envelope of version {version}")]
    Version {
        /// Which.
        version: u8,
    },
}

/// Mail as carriers see it. It has a form; whether it can be opened, only its receiver finds out.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    bytes: Bytes,
    id: MailId,
}

impl Envelope {
    /// Reads one.
    ///
    /// # Errors
    /// It has not the form.
    pub fn parse(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
        let size = bytes.len().checked_sub(ENVELOPE_OVERHEAD_BYTES);
        if !size.is_some_and(|size| SIZES.contains(&size)) {
            return Err(EnvelopeError::Size { bytes: bytes.len() });
        }
        if bytes[0] != VERSION {
            return Err(EnvelopeError::Version { version: bytes[0] });
        }
        Ok(Envelope::of(bytes.to_vec().into()))
    }

    /// An envelope that holds something sealed, a key and authentication included: by whoever makes it, for
    /// simulations too. `sealed` has one of the [`SIZES`] and 48 bytes more.
    ///
    /// # Errors
    /// It has not.
    pub fn around(
        tag: Tag,
        commitment: [u8; 32],
        expires: UnixTime,
        sealed: &[u8],
    ) -> Result<Envelope, EnvelopeError> {
        let header = header(&tag, &commitment, expires);
        Envelope::parse(&[&header[..], sealed, &[0; STAMP_BYTES]].concat())
    }

    fn of(bytes: Bytes) -> Envelope {
        let mut hash = Sha256::new();
        hash.update(b"althing mail id v1\0");
        hash.update(&bytes[..bytes.len() - STAMP_BYTES]);
        let id = MailId(hash.finish().0);
        Envelope { bytes, id }
    }

    /// All of it.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its name.
    pub fn id(&self) -> MailId {
        self.id
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let array = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
        *array.expect("an envelope is longer than its header")
    }

    /// By which its receiver finds it.
    pub fn tag(&self) -> Tag {
        Tag(self.array(1))
    }

    /// What its token has to fit.
    pub fn commitment(&self) -> [u8; 32] {
        self.array(33)
    }

    /// Until when it is kept.
    pub fn expires(&self) -> UnixTime {
        UnixTime(i64::from_be_bytes(self.array(65)))
    }

    fn nonce(&self) -> u64 {
        u64::from_be_bytes(self.array(self.bytes.len() - STAMP_BYTES))
    }

    /// Bits of work beyond those asked of an envelope of this size, if it has as many; `least` are
    /// asked of the smallest ([`WORK_BITS`] but in simulations).
    pub fn spare_work(&self, least: u32) -> Option<u32> {
        if least == 0 {
            return Some(0);
        }
        let bits = stamp::work(&RecordId(self.id.0), self.nonce());
        bits.checked_sub(least + (self.wanted_work() - WORK_BITS))
    }

    /// Bits of work that are asked of an envelope of this size.
    pub fn wanted_work(&self) -> u32 {
        let size = self.bytes.len() - ENVELOPE_OVERHEAD_BYTES;
        WORK_BITS + SIZES.iter().take_while(|smaller| **smaller < size).count() as u32
    }

    /// Looks for a stamp among `tries` numbers from `from` on. Millions are tried; give others their turn.
    pub fn stamped(&self, from: u64, tries: u64) -> Option<Envelope> {
        let nonce = stamp::find(&RecordId(self.id.0), self.wanted_work(), from, tries)?;
        let mut bytes = self.bytes.to_vec();
        let at = bytes.len() - STAMP_BYTES;
        bytes[at..].copy_from_slice(&nonce.to_be_bytes());
        Some(Envelope { bytes: bytes.into(), id: self.id })
    }

    /// Opens it with one of some secret keys of X25519: the receiver's own and those that he has published.
    /// Who `receiver` is matters because the sender has signed it.
    ///
    /// # Errors
    /// It is for somebody else, was changed, or its sender has not signed it.
    pub fn open(
        &self,
        network: &NetworkKey,
        receiver: &NodeId,
        secrets: &[[u8; 32]],
        verify: Verify,
    ) -> Result<Letter, OpenError> {
        let (header, rest) = self.bytes.split_at(HEADER_BYTES);
        let sealed = &rest[..rest.len() - STAMP_BYTES];
        let mut plain = vec![0; sealed.len()];
        let opened = secrets.iter().find_map(|secret| {
            let primitives = Box::new(Primitives { seed: Seed::from_u64(0) });
            let builder = Builder::with_resolver(NOISE.parse().ok()?, primitives);
            let prologue = prologue(network, header);
            let builder = builder.prologue(&prologue).ok()?.local_private_key(secret).ok()?;
            builder.build_responder().ok()?.read_message(sealed, &mut plain).ok()
        });
        plain.truncate(opened.ok_or(OpenError::Sealed)?);
        let letter = self.read(&plain).ok_or(OpenError::Form)?;
        let signed = signed(network, receiver, self.commitment(), self.expires(), &letter);
        let signature = plain.get(32..).and_then(|rest| rest.first_chunk());
        if !verify(&letter.sender, &signed, signature.ok_or(OpenError::Form)?) {
            return Err(OpenError::Signature);
        }
        Ok(letter)
    }

    /// What was sealed, if there is one way only to write it.
    fn read(&self, plain: &[u8]) -> Option<Letter> {
        let (sender, rest) = plain.split_first_chunk()?;
        let (_, rest) = rest.split_first_chunk::<64>()?;
        let (sent, rest) = rest.split_first_chunk()?;
        let (token, rest) = rest.split_first_chunk()?;
        let (&kind, rest) = rest.split_first()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (body, zeros) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
        let token = Token(*token);
        let is_right = token.commitment() == self.commitment()
            && size_of(body.len()) == Some(plain.len())
            && zeros.iter().all(|byte| *byte == 0);
        is_right.then(|| Letter {
            sender: NodeId(*sender),
            sent: UnixTime(i64::from_be_bytes(*sent)),
            token,
            kind,
            body: body.to_vec(),
        })
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({}, {} bytes)", self.id, self.bytes.len())
    }
}

/// Why an envelope cannot be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// None of the keys opens it.
    #[error("it is for somebody else, or was changed")]
    Sealed,
    /// What is inside has not the form.
    #[error("what is inside is not as it should be")]
    Form,
    /// It is not signed by who is said to have sent it.
    #[error("it is not signed by its sender")]
    Signature,
}

/// Why mail cannot be sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It is too long.
    #[error("it has {bytes} bytes, and {BODY_BYTES_MAX} are the most")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// The receiver's name is no key.
    #[error("nobody can have that name")]
    Receiver,
}

/// Mail that was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// Who has signed it.
    pub sender: NodeId,
    /// When, by the sender's clock.
    pub sent: UnixTime,
    /// What shows that it was opened.
    pub token: Token,
    /// What it is: 1 is text in UTF-8. Others are for later and are passed on to who knows them.
    pub kind: u8,
    /// At most [`BODY_BYTES_MAX`].
    pub body: Vec<u8>,
}

/// The kind of a letter that is text.
pub const KIND_TEXT: u8 = 1;

/// A letter to be sealed.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Who is to get it.
    pub receiver: NodeId,
    /// A key of X25519 that he has published, if he has; else his name stands for one.
    pub key: Option<[u8; 32]>,
    /// When it is written.
    pub sent: UnixTime,
    /// Seconds for which it is kept; at most [`LIFETIME_MAX_S`].
    pub lifetime_s: i64,
    /// See [`Letter::kind`].
    pub kind: u8,
    /// The message.
    pub body: &'a [u8],
}

impl Draft<'_> {
    /// Signs and seals it. `seed` is for this letter alone; whoever knows it can read it. A stamp is to be found
    /// after ([`Envelope::stamped`]).
    ///
    /// # Errors
    /// It is too long, or the receiver's name is no key.
    pub fn seal(
        &self,
        keys: &Keys,
        network: &NetworkKey,
        seed: Seed,
    ) -> Result<(Envelope, Token), SealError> {
        let size = size_of(self.body.len());
        let size = size.ok_or(SealError::TooLong { bytes: self.body.len() })?;
        let receiver_key = match self.key {
            Some(key) => key,
            None => self.receiver.x25519().ok_or(SealError::Receiver)?,
        };
        let mut token = [0; 32];
        Rng::new(seed.fork("token", 0)).fill(&mut token);
        let token = Token(token);
        let expires = self.sent.0.saturating_add(self.lifetime_s.clamp(1, LIFETIME_MAX_S));
        let (expires, commitment) = (UnixTime(expires), token.commitment());
        let tag = Tag::of(network, &self.receiver, self.sent);
        let letter = Letter {
            sender: keys.node(),
            sent: self.sent,
            token,
            kind: self.kind,
            body: self.body.to_vec(),
        };
        let signature = keys.sign(&signed(network, &self.receiver, commitment, expires, &letter));
        let mut plain = Vec::with_capacity(size);
        plain.extend(letter.sender.0);
        plain.extend(signature);
        plain.extend(letter.sent.0.to_be_bytes());
        plain.extend(token.0);
        plain.push(letter.kind);
        plain.extend((letter.body.len() as u16).to_be_bytes());
        plain.extend(&letter.body);
        plain.resize(size, 0);
        let header = header(&tag, &commitment, expires);
        let ours = "the pattern and what it is made of are ours";
        let primitives = Box::new(Primitives { seed: seed.fork("ephemeral", 0) });
        let prologue = prologue(network, &header);
        let mut sealed = vec![0; 32 + size + TAG_BYTES];
        let written = Builder::with_resolver(NOISE.parse().expect(ours), primitives)
            .prologue(&prologue)
            .and_then(|builder| builder.remote_public_key(&receiver_key))
            .and_then(Builder::build_initiator)
            .and_then(|mut noise| noise.write_message(&plain, &mut sealed));
        // A key of small order shows here.
        let written = written.map_err(|_| SealError::Receiver)?;
        debug_assert_eq!(written, sealed.len());
        let envelope = Envelope::around(tag, commitment, expires, &sealed);
        Ok((envelope.expect("it has one of the sizes"), token))
    }
}

/// The size to which a message of so many bytes is filled up, if it is not too long.
fn size_of(body: usize) -> Option<usize> {
    SIZES.into_iter().find(|size| body + SEALED_OVERHEAD_BYTES <= *size)
}

fn header(tag: &Tag, commitment: &[u8; 32], expires: UnixTime) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[0] = VERSION;
    header[1..33].copy_from_slice(&tag.0);
    header[33..65].copy_from_slice(commitment);
    header[65..].copy_from_slice(&expires.0.to_be_bytes());
    header
}

/// What both sides of the seal know besides: nothing outside can be changed without it showing.
fn prologue(network: &NetworkKey, header: &[u8]) -> Vec<u8> {
    [CONTEXT, &network.0, header].concat()
}

/// What the sender signs: who is to get it is part of it, so that he cannot pass it on as sent to another.
fn signed(
    network: &NetworkKey,
    receiver: &NodeId,
    commitment: [u8; 32],
    expires: UnixTime,
    letter: &Letter,
) -> Vec<u8> {
    let times = [expires.0.to_be_bytes(), letter.sent.0.to_be_bytes()].concat();
    [CONTEXT, &network.0, &receiver.0, &commitment, &times, &[letter.kind], &letter.body].concat()
}

#[cfg(test)]
mod tests;
