//! The side that connects.

use super::dh::PrivateKey;
use super::limits::{KEY_LEN, PAD_BYTES_MAX};
use super::{
    Ciphers, Established, Inbox, Method, Methods, MseError, VERIFICATION, Want, cipher, length,
    lookup_key, noise, sync_mark, veil, zeros,
};
use althing_base::{Rng, Seed, Sha1Digest};

/// The handshake of who opens a connection: A of the specification.
pub struct Initiator {
    torrent: Sha1Digest,
    methods: Methods,
    /// What goes along with step 3.
    initial: Vec<u8>,
    rng: Rng,
    inbox: Inbox,
    output: Vec<u8>,
    state: State,
}

enum State {
    /// Step 2 has not come.
    Key(PrivateKey),
    /// Step 3 is out; looking for the end of PadB.
    Sync {
        ciphers: Box<Ciphers>,
        mark: [u8; VERIFICATION.len()],
        searched: usize,
    },
    /// crypto_select and the length of PadD.
    Selection(Box<Ciphers>),
    /// PadD.
    Pad {
        ciphers: Box<Ciphers>,
        method: Method,
        len: usize,
    },
    Done(Established),
    /// An error was returned, or the outcome taken.
    Over,
}

impl Initiator {
    /// Opens the conversation about `torrent` (its info-hash, as the handshake would name it).
    /// `initial` goes along as soon as it can be encrypted: BitTorrent's handshake. Raises one number
    /// to a power.
    pub fn new(torrent: Sha1Digest, methods: Methods, initial: &[u8], seed: Seed) -> Self {
        let mut rng = Rng::new(seed);
        let key = PrivateKey::draw(&mut rng);
        let mut output = key.public().to_vec();
        output.extend(noise(&mut rng));
        let initial = initial.to_vec();
        let (inbox, state) = (Inbox::default(), State::Key(key));
        Initiator { torrent, methods, initial, rng, inbox, output, state }
    }

    /// What is to be written now.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// What it waits for.
    pub fn want(&self) -> Want {
        match &self.state {
            State::Key(_) if self.inbox.0.len() >= KEY_LEN => Want::Exchange,
            State::Done(_) | State::Over => Want::Nothing,
            _ => Want::Bytes,
        }
    }

    /// Whether the peer has answered with a key: it speaks this protocol.
    pub fn was_answered(&self) -> bool {
        !matches!(self.state, State::Key(_)) || self.inbox.0.len() >= KEY_LEN
    }

    /// Bytes of the peer's that wait for what comes after them.
    pub fn held_bytes(&self) -> usize {
        self.inbox.0.len()
    }

    /// Takes bytes of the peer's, at best no more than [`super::limits::CHUNK_BYTES`] at a time.
    ///
    /// # Errors
    /// If they cannot be right. The handshake is over then.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), MseError> {
        self.inbox.push(bytes);
        self.advance()
    }

    /// Does what [`Want::Exchange`] asks for: raises one number to a power. Nothing at other times.
    ///
    /// # Errors
    /// If the peer's key cannot be right. The handshake is over then.
    pub fn exchange(&mut self) -> Result<(), MseError> {
        if self.want() != Want::Exchange {
            return Ok(());
        }
        let (State::Key(key), Some(theirs)) =
            (std::mem::replace(&mut self.state, State::Over), self.inbox.take::<KEY_LEN>())
        else {
            return Ok(());
        };
        let shared = key.agree(&theirs)?;
        let mut ciphers = Box::new(Ciphers {
            incoming: cipher(b"keyB", &shared, self.torrent),
            outgoing: cipher(b"keyA", &shared, self.torrent),
        });
        self.output.extend(sync_mark(&shared).0);
        self.output.extend(veil(lookup_key(self.torrent), &shared).0);
        let clear = self.output.len();
        let pad = zeros(&mut self.rng);
        self.output.extend(VERIFICATION);
        self.output.extend(self.methods.bits().to_be_bytes());
        self.output.extend((pad.len() as u16).to_be_bytes());
        self.output.extend(pad);
        self.output.extend((self.initial.len() as u16).to_be_bytes());
        self.output.append(&mut self.initial);
        ciphers.outgoing.apply(&mut self.output[clear..]);
        let mut mark = VERIFICATION;
        ciphers.incoming.apply(&mut mark);
        self.state = State::Sync { ciphers, mark, searched: 0 };
        self.advance()
    }

    /// What both sides have come to, once [`Want::Nothing`] is left and no error was returned.
    pub fn finish(&mut self) -> Option<Established> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Done(established) => Some(established),
            other => {
                self.state = other;
                None
            }
        }
    }

    fn advance(&mut self) -> Result<(), MseError> {
        loop {
            let state = std::mem::replace(&mut self.state, State::Over);
            let (next, moved) = self.step(state)?;
            self.state = next;
            if !moved {
                return Ok(());
            }
        }
    }

    /// The state after `state`, and whether it is another one.
    fn step(&mut self, state: State) -> Result<(State, bool), MseError> {
        Ok(match state {
            State::Sync { ciphers, mark, mut searched } => {
                if self.inbox.skip_past(&mark, &mut searched)? {
                    (State::Selection(ciphers), true)
                } else {
                    (State::Sync { ciphers, mark, searched }, false)
                }
            }
            State::Selection(mut ciphers) => match self.inbox.take::<6>() {
                Some(mut bytes) => {
                    ciphers.incoming.apply(&mut bytes);
                    let [a, b, c, d, len @ ..] = bytes;
                    let method = self.methods.accept(u32::from_be_bytes([a, b, c, d]))?;
                    let len = length(len, PAD_BYTES_MAX, "padding")?;
                    (State::Pad { ciphers, method, len }, true)
                }
                None => (State::Selection(ciphers), false),
            },
            State::Pad { mut ciphers, method, len } => {
                if self.inbox.open(len, &mut ciphers.incoming).is_none() {
                    return Ok((State::Pad { ciphers, method, len }, false));
                }
                let mut early = self.inbox.rest();
                let ciphers = (method == Method::Rc4).then_some(ciphers).map(|mut ciphers| {
                    ciphers.incoming.apply(&mut early);
                    ciphers
                });
                (State::Done(Established { method, ciphers, early }), false)
            }
            State::Key(_) | State::Done(_) | State::Over => (state, false),
        })
    }
}
