//! A link: what two nodes say to each other, so that nobody else can read or change it, and each knows
//! whom it talks to.
//!
//! The handshake is Noise's XX (`Noise_XX_25519_ChaChaPoly_SHA256`), three frames, in which each side shows
//! its name and proves it; who sees the frames go by learns neither name. Who does not know the network's
//! key learns nothing by calling either: the first frame has a mark that only members can make, and
//! without it there is no answer. Then every message is a frame, padded to one of few sizes.
//!
//! Through a hole in two routers both may believe that they have called. Then both have sent a first frame, and the one
//! whose frame is the smaller number goes on as who calls; the other answers as if he had never called. Both see
//! both frames, so neither has to be told.
//!
//! A link rides on something that delivers frames whole and in order; it neither opens nor closes that.
//! After any error it is dead, and so should be what it rides on.
//!
//! ```
//! use althing_base::Seed;
//! use althing_overlay::link::{Event, Link};
//! use althing_overlay::{Keys, NetworkKey};
//!
//! let (ada, bob) = (Keys::from_secret(&[1; 32]), Keys::from_secret(&[2; 32]));
//! let network = NetworkKey::public();
//! let (mut ours, first) = Link::initiate(&ada, network, Some(bob.node()), Seed::from_u64(1));
//! let mut theirs = Link::respond(&bob, network, Seed::from_u64(2));
//!
//! let Event::Answer(second) = theirs.heed(&first)? else { panic!() };
//! let Event::Up { peer, answer: Some(third) } = ours.heed(&second)? else { panic!() };
//! assert_eq!(peer, bob.node());
//! let Event::Up { peer, answer: None } = theirs.heed(&third)? else { panic!() };
//! assert_eq!(peer, ada.node());
//!
//! let frame = ours.seal(b"hello")?;
//! assert_eq!(theirs.heed(&frame)?, Event::Message(b"hello".to_vec().into()));
//! # Ok::<(), althing_overlay::link::LinkError>(())
//! ```

mod identity;
mod padding;
pub(crate) mod primitives;

use crate::id::{Keys, NetworkKey, NodeId};
use crate::limits::{FRAME_BYTES_MAX, FRAMES_PER_KEY};
use althing_base::Seed;
use althing_base::hash::Sha256;
use bytes::Bytes;
use identity::{Claim, IDENTITY_BYTES, Role};
use primitives::{Primitives, TAG_BYTES};
use snow::{Builder, HandshakeState, TransportState};
use std::cmp::Ordering;
use std::fmt;

/// The version of all this; in the first frame.
const VERSION: u8 = 1;

/// The pattern and what it is made of.
const NOISE: &str = "Noise_XX_25519_ChaChaPoly_SHA256";

/// First bytes of frames.
mod kind {
    pub(super) const FIRST: u8 = 1;
    pub(super) const SECOND: u8 = 2;
    pub(super) const THIRD: u8 = 3;
    pub(super) const SEALED: u8 = 4;
}

/// Bytes of the mark of the network in the first frame.
const MARK_BYTES: usize = 16;
/// Bytes of a public key.
const KEY_BYTES: usize = 32;
const FIRST_BYTES: usize = 1 + 1 + MARK_BYTES + KEY_BYTES;
const THIRD_BYTES: usize = 1 + KEY_BYTES + TAG_BYTES + IDENTITY_BYTES + TAG_BYTES;
const SECOND_BYTES: usize = THIRD_BYTES + KEY_BYTES;

/// What a frame has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The handshake goes on: send this frame.
    Answer(Bytes),
    /// The handshake is done: messages can be sent, and it is known to whom.
    Up {
        /// Who the other is.
        peer: NodeId,
        /// A frame to send before any other.
        answer: Option<Bytes>,
    },
    /// The other has sent a message; it may be empty.
    Message(Bytes),
    /// Both have called, and our call is the one that goes on: there is nothing to send.
    Stands,
}

/// Why a link is dead, or a message cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It was dead already.
    #[error("the link has failed before")]
    Dead,
    /// A message is to be sent before the handshake is done.
    #[error("the handshake is not done yet")]
    NotUp,
    /// A message to be sent is longer than [`MESSAGE_BYTES_MAX`](crate::limits::MESSAGE_BYTES_MAX). The link
    /// lives on.
    #[error("a message of {bytes} bytes is too long for a link")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// A frame of a length that it cannot have.
    #[error("a frame of {bytes} bytes")]
    Length {
        /// How many.
        bytes: usize,
    },
    /// A frame that does not belong here.
    #[error("a frame of type {kind} where it does not belong")]
    Unexpected {
        /// Its first byte.
        kind: u8,
    },
    /// The other speaks another version.
    #[error(
        "the other speaks version {version} of the overlay's links, we speak version {VERSION}"
    )]
    Version {
        /// Which.
        version: u8,
    },
    /// The other does not know the key of our network.
    #[error("the other is in another network")]
    Network,
    /// A frame of the handshake was changed on the way, or made by somebody who does not know the
    /// network's key.
    #[error("a handshake that was changed on the way, or is of another network")]
    Handshake,
    /// The other does not prove that it is who it says.
    #[error("the other does not prove that it is who it says")]
    Identity,
    /// The other is somebody else than the one that was called.
    #[error("called {expected}, and {found} answers")]
    WrongPeer {
        /// Who was called.
        expected: NodeId,
        /// Who answers.
        found: NodeId,
    },
    /// The other is us.
    #[error("the other is this node itself")]
    Ourselves,
    /// A frame was changed on the way, or comes twice, or is out of order.
    #[error("a frame that was changed on the way, or comes again")]
    Forged,
    /// A message is not padded as it should be.
    #[error("a message that is not padded as it should be")]
    Padding,
}

/// How far a link is.
enum State {
    /// The first frame is sent.
    Called {
        noise: Box<HandshakeState>,
        expected: Option<NodeId>,
        /// What was sent, and from what an answer would be made if the other has called, too; none if that is
        /// settled.
        first: Option<Box<(Bytes, Seed)>>,
    },
    /// Nothing has come yet.
    Waiting {
        noise: Box<HandshakeState>,
    },
    /// The second frame is sent.
    Answered {
        noise: Box<HandshakeState>,
        /// Who was called, if both have called.
        expected: Option<NodeId>,
    },
    Up {
        noise: Box<TransportState>,
        peer: NodeId,
    },
    Dead,
}

/// See the module.
pub struct Link {
    keys: Keys,
    network: NetworkKey,
    /// Our key of X25519, which is for this link alone.
    key: [u8; KEY_BYTES],
    state: State,
    has_called: bool,
}

impl Link {
    /// Calls a node: the link, and the first frame. If it is known who should answer, somebody else does
    /// not get to know who calls. `seed` is for this link alone: whoever knows it can read everything.
    pub fn initiate(
        keys: &Keys,
        network: NetworkKey,
        expected: Option<NodeId>,
        seed: Seed,
    ) -> (Link, Bytes) {
        let spare = seed.fork("crossed", 0);
        let (mut noise, key) = handshake(&network, seed, Role::Initiator);
        let mut buffer = [0; KEY_BYTES + TAG_BYTES];
        let written = noise.write_message(&[], &mut buffer);
        let written = written.expect("the first message is a key, and the buffer has room for it");
        let mut frame = Vec::with_capacity(FIRST_BYTES);
        frame.extend([kind::FIRST, VERSION]);
        frame.extend(mark(&network, &buffer[..written]));
        frame.extend(&buffer[..written]);
        let frame = Bytes::from(frame);
        let first = Some(Box::new((frame.clone(), spare)));
        let state = State::Called { noise: Box::new(noise), expected, first };
        (Link { keys: keys.clone(), network, key, state, has_called: true }, frame)
    }

    /// Waits for a node that calls. `seed` as in [`initiate`](Link::initiate).
    pub fn respond(keys: &Keys, network: NetworkKey, seed: Seed) -> Link {
        let (noise, key) = handshake(&network, seed, Role::Responder);
        let state = State::Waiting { noise: Box::new(noise) };
        Link { keys: keys.clone(), network, key, state, has_called: false }
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// It is not what it should be. The link is dead.
    pub fn heed(&mut self, frame: &[u8]) -> Result<Event, LinkError> {
        let too_long = LinkError::Length { bytes: frame.len() };
        // The state comes back unless something is wrong.
        let state = std::mem::replace(&mut self.state, State::Dead);
        if frame.len() > FRAME_BYTES_MAX {
            return Err(too_long);
        }
        let (&kind, body) = frame.split_first().ok_or(too_long)?;
        match (state, kind) {
            (State::Dead, _) => Err(LinkError::Dead),
            (State::Waiting { noise }, kind::FIRST) => self.first(noise, None, frame, body),
            (State::Called { noise, expected, first: Some(first) }, kind::FIRST) => {
                self.crossed(noise, expected, *first, frame, body)
            }
            (State::Called { noise, expected, .. }, kind::SECOND) => {
                self.second(noise, expected, body)
            }
            (State::Answered { noise, expected }, kind::THIRD) => self.third(noise, expected, body),
            (State::Up { noise, peer }, kind::SEALED) => self.sealed(noise, peer, body),
            (_, kind) => Err(LinkError::Unexpected { kind }),
        }
    }

    /// Makes a frame of a message, to be sent after all frames before it.
    ///
    /// # Errors
    /// The message is too long, or the link is not up.
    pub fn seal(&mut self, message: &[u8]) -> Result<Bytes, LinkError> {
        let State::Up { noise, .. } = &mut self.state else { return Err(LinkError::NotUp) };
        let too_long = LinkError::TooLong { bytes: message.len() };
        let padded = padding::pad(message).ok_or(too_long)?;
        let mut frame = vec![0; 1 + padded.len() + TAG_BYTES];
        frame[0] = kind::SEALED;
        // Numbers do not run out in a lifetime of the universe, and the lengths are right.
        noise.write_message(&padded, &mut frame[1..]).map_err(|_| LinkError::Dead)?;
        if noise.sending_nonce().is_multiple_of(FRAMES_PER_KEY) {
            noise.rekey_outgoing();
        }
        Ok(frame.into())
    }

    /// Who the other is, once the link is up.
    pub fn peer(&self) -> Option<NodeId> {
        match self.state {
            State::Up { peer, .. } => Some(peer),
            _ => None,
        }
    }

    /// Whether we are the one who has called, as it stands: not if the other's call is the one that goes on.
    pub fn has_called(&self) -> bool {
        self.has_called
    }

    /// The other has called, too.
    fn crossed(
        &mut self,
        noise: Box<HandshakeState>,
        expected: Option<NodeId>,
        (ours, spare): (Bytes, Seed),
        theirs: &[u8],
        body: &[u8],
    ) -> Result<Event, LinkError> {
        match ours[..].cmp(theirs) {
            // It comes back to us.
            Ordering::Equal => Err(LinkError::Ourselves),
            Ordering::Less => {
                self.state = State::Called { noise, expected, first: None };
                Ok(Event::Stands)
            }
            Ordering::Greater => {
                let (noise, key) = handshake(&self.network, spare, Role::Responder);
                (self.key, self.has_called) = (key, false);
                self.first(Box::new(noise), expected, theirs, body)
            }
        }
    }

    fn first(
        &mut self,
        mut noise: Box<HandshakeState>,
        expected: Option<NodeId>,
        frame: &[u8],
        body: &[u8],
    ) -> Result<Event, LinkError> {
        let wrong_length = LinkError::Length { bytes: frame.len() };
        let (&version, body) = body.split_first().ok_or(wrong_length.clone())?;
        if version != VERSION {
            return Err(LinkError::Version { version });
        }
        if frame.len() != FIRST_BYTES {
            return Err(wrong_length);
        }
        let (shown, key) = body.split_at(MARK_BYTES);
        if shown != mark(&self.network, key) {
            return Err(LinkError::Network);
        }
        noise.read_message(key, &mut []).map_err(|_| LinkError::Handshake)?;
        let answer = self.prove(&mut noise, Role::Responder, kind::SECOND, SECOND_BYTES)?;
        self.state = State::Answered { noise, expected };
        Ok(Event::Answer(answer))
    }

    fn second(
        &mut self,
        mut noise: Box<HandshakeState>,
        expected: Option<NodeId>,
        body: &[u8],
    ) -> Result<Event, LinkError> {
        let peer = self.meet(&mut noise, Role::Responder, body, SECOND_BYTES)?;
        // Before our own name is shown.
        if let Some(expected) = expected.filter(|expected| *expected != peer) {
            return Err(LinkError::WrongPeer { expected, found: peer });
        }
        let answer = Some(self.prove(&mut noise, Role::Initiator, kind::THIRD, THIRD_BYTES)?);
        self.come_up(*noise, peer)?;
        Ok(Event::Up { peer, answer })
    }

    fn third(
        &mut self,
        mut noise: Box<HandshakeState>,
        expected: Option<NodeId>,
        body: &[u8],
    ) -> Result<Event, LinkError> {
        let peer = self.meet(&mut noise, Role::Initiator, body, THIRD_BYTES)?;
        if let Some(expected) = expected.filter(|expected| *expected != peer) {
            return Err(LinkError::WrongPeer { expected, found: peer });
        }
        self.come_up(*noise, peer)?;
        Ok(Event::Up { peer, answer: None })
    }

    fn sealed(
        &mut self,
        mut noise: Box<TransportState>,
        peer: NodeId,
        body: &[u8],
    ) -> Result<Event, LinkError> {
        let mut padded = vec![0; body.len().saturating_sub(TAG_BYTES)];
        noise.read_message(body, &mut padded).map_err(|_| LinkError::Forged)?;
        if noise.receiving_nonce().is_multiple_of(FRAMES_PER_KEY) {
            noise.rekey_incoming();
        }
        let message = padding::unpad(&padded).ok_or(LinkError::Padding)?;
        let message = Bytes::copy_from_slice(message);
        self.state = State::Up { noise, peer };
        Ok(Event::Message(message))
    }

    /// Writes the next frame of the handshake, with who we are in it.
    fn prove(
        &self,
        noise: &mut HandshakeState,
        role: Role,
        kind: u8,
        bytes: usize,
    ) -> Result<Bytes, LinkError> {
        let handshake = noise.get_handshake_hash();
        let claim = Claim { network: &self.network, role, handshake, key: &self.key };
        let identity = claim.sign(&self.keys);
        let mut frame = vec![0; bytes];
        frame[0] = kind;
        // A key of small order in what was read shows only here.
        noise.write_message(&identity, &mut frame[1..]).map_err(|_| LinkError::Handshake)?;
        Ok(frame.into())
    }

    /// Reads a frame of the handshake in which the other, who has `role`, says who it is.
    fn meet(
        &self,
        noise: &mut HandshakeState,
        role: Role,
        body: &[u8],
        bytes: usize,
    ) -> Result<NodeId, LinkError> {
        if body.len() + 1 != bytes {
            return Err(LinkError::Length { bytes: body.len() + 1 });
        }
        let before = noise.get_handshake_hash().to_vec();
        let mut identity = [0; IDENTITY_BYTES];
        noise.read_message(body, &mut identity).map_err(|_| LinkError::Handshake)?;
        let key = noise.get_remote_static().ok_or(LinkError::Handshake)?;
        let claim = Claim { network: &self.network, role, handshake: &before, key };
        let peer = claim.check(&identity)?;
        if peer == self.keys.node() { Err(LinkError::Ourselves) } else { Ok(peer) }
    }

    fn come_up(&mut self, noise: HandshakeState, peer: NodeId) -> Result<(), LinkError> {
        let noise = noise.into_transport_mode().map_err(|_| LinkError::Handshake)?;
        self.state = State::Up { noise: Box::new(noise), peer };
        Ok(())
    }
}

impl fmt::Debug for Link {
    /// Says how far it is, and nothing of keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Called { .. } => "called",
            State::Waiting { .. } => "waiting",
            State::Answered { .. } => "answered",
            State::Up { .. } => "up",
            State::Dead => "dead",
        };
        write!(f, "Link({state})")
    }
}

/// Noise before its first message, and the public half of a new key.
fn handshake(network: &NetworkKey, seed: Seed, role: Role) -> (HandshakeState, [u8; KEY_BYTES]) {
    let ours = "the pattern and what it is made of are ours";
    let builder = |child| {
        let primitives = Box::new(Primitives { seed: seed.fork(child, 0) });
        Builder::with_resolver(NOISE.parse().expect(ours), primitives)
    };
    let pair = builder("static").generate_keypair().expect(ours);
    let key = *pair.public.first_chunk().expect("a key of X25519 has 32 bytes");
    let prologue = [b"althing link v1\0", &network.0[..]].concat();
    let builder = builder("ephemeral").prologue(&prologue).expect(ours);
    let builder = builder.local_private_key(&pair.private).expect(ours);
    let noise = match role {
        Role::Initiator => builder.build_initiator(),
        Role::Responder => builder.build_responder(),
    };
    (noise.expect(ours), key)
}

/// What shows that whoever made the key of a first frame knows the network's key, and says nothing to
/// those who don't.
fn mark(network: &NetworkKey, key: &[u8]) -> [u8; MARK_BYTES] {
    let mut hash = Sha256::new();
    hash.update(b"althing link mark v1\0");
    hash.update(&network.0);
    hash.update(key);
    *hash.finish().0.first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests;
