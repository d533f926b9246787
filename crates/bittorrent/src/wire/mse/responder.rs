//! The side that is connected to.

use super::dh::{PrivateKey, Shared};
use super::limits::{INITIAL_BYTES_MAX, KEY_LEN, PAD_BYTES_MAX};
use super::progress::{Progress, Steps, Turn};
use super::{
    Ciphers, Established, Inbox, Method, Methods, MseError, VERIFICATION, Want, cipher, length,
    noise, sync_mark, veil, zeros,
};
use althing_base::{Rng, Seed, Sha1Digest};

/// The handshake of who accepts a connection: B of the specification.
///
/// Until all of the peer's key has come it holds nothing but what has come.
pub struct Responder {
    methods: Methods,
    seed: Seed,
    inbox: Inbox,
    output: Vec<u8>,
    progress: Progress<Step>,
}

pub(super) enum Step {
    /// Step 1 has not come.
    Key,
    /// Step 2 is out; looking for the end of PadA.
    Sync { shared: Box<Shared>, searched: usize },
    /// The torrent's veiled name.
    Name(Box<Shared>),
    /// Waiting to be told which torrent that is.
    Asked { shared: Box<Shared>, name: Sha1Digest },
    /// VC, crypto_provide and the length of PadC.
    Offer(Box<Ciphers>),
    /// PadC, and the length of what goes along.
    Pad { ciphers: Box<Ciphers>, method: Method, len: usize },
    /// What goes along.
    Initial { ciphers: Box<Ciphers>, method: Method, len: usize },
}

impl Responder {
    /// Waits for a peer. Costs nothing until [`exchange`](Self::exchange).
    pub fn new(methods: Methods, seed: Seed) -> Self {
        let (inbox, output) = (Inbox::default(), Vec::new());
        Responder { methods, seed, inbox, output, progress: Progress::At(Step::Key) }
    }

    /// What is to be written now. What stands here when nothing more is wanted is best written along
    /// with the answer to what came early.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// What it waits for.
    pub fn want(&self) -> Want {
        match &self.progress {
            Progress::At(Step::Key) if self.inbox.0.len() >= KEY_LEN => Want::Exchange,
            Progress::At(Step::Asked { name, .. }) => Want::Torrent(*name),
            Progress::At(_) => Want::Bytes,
            Progress::Done(_) | Progress::Over => Want::Nothing,
        }
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

    /// Does what [`Want::Exchange`] asks for: raises two numbers to powers. Nothing at other times.
    ///
    /// # Errors
    /// If the peer's key cannot be right. The handshake is over then.
    pub fn exchange(&mut self) -> Result<(), MseError> {
        if self.want() != Want::Exchange {
            return Ok(());
        }
        self.progress = Progress::Over;
        let Some(theirs) = self.inbox.take::<KEY_LEN>() else { return Ok(()) };
        let mut rng = Rng::new(self.seed);
        let key = PrivateKey::draw(&mut rng);
        let shared = Box::new(key.agree(&theirs)?);
        self.output.extend(key.public());
        self.output.extend(noise(&mut rng));
        self.progress = Progress::At(Step::Sync { shared, searched: 0 });
        self.advance()
    }

    /// Answers [`Want::Torrent`] with the torrent's info-hash, if it is here. Nothing at other times.
    ///
    /// # Errors
    /// If it is not here, or what the peer says next cannot be right. The handshake is over then.
    pub fn torrent(&mut self, torrent: Option<Sha1Digest>) -> Result<(), MseError> {
        match self.progress.take() {
            Progress::At(Step::Asked { shared, .. }) => {
                let torrent = torrent.ok_or(MseError::UnknownTorrent)?;
                self.progress = Progress::At(Step::Offer(Box::new(Ciphers {
                    incoming: cipher(b"keyA", &shared, torrent),
                    outgoing: cipher(b"keyB", &shared, torrent),
                })));
                self.advance()
            }
            other => {
                self.progress = other;
                Ok(())
            }
        }
    }

    /// What both sides have come to, once [`Want::Nothing`] is left and no error was returned.
    pub fn finish(&mut self) -> Option<Established> {
        self.progress.finish()
    }

    /// Step 4.
    fn select(
        &mut self,
        mut ciphers: Box<Ciphers>,
        method: Method,
        initial: Vec<u8>,
    ) -> Established {
        let mut rng = Rng::new(self.seed.fork("select", 0));
        let pad = zeros(&mut rng);
        let clear = self.output.len();
        self.output.extend(VERIFICATION);
        self.output.extend(method.bit().to_be_bytes());
        self.output.extend((pad.len() as u16).to_be_bytes());
        self.output.extend(pad);
        ciphers.outgoing.apply(&mut self.output[clear..]);
        Established::new(method, ciphers, initial, self.inbox.rest())
    }
}

impl Steps for Responder {
    type Step = Step;

    fn progress(&mut self) -> &mut Progress<Step> {
        &mut self.progress
    }

    fn step(&mut self, step: Step) -> Result<Turn<Step>, MseError> {
        Ok(match step {
            Step::Sync { shared, mut searched } => {
                if self.inbox.skip_past(&sync_mark(&shared).0, &mut searched)? {
                    Turn::Next(Step::Name(shared))
                } else {
                    Turn::Wait(Step::Sync { shared, searched })
                }
            }
            Step::Name(shared) => match self.inbox.take() {
                Some(veiled) => {
                    let name = veil(Sha1Digest(veiled), &shared);
                    Turn::Wait(Step::Asked { shared, name })
                }
                None => Turn::Wait(Step::Name(shared)),
            },
            Step::Offer(mut ciphers) => match self.inbox.take::<14>() {
                Some(mut bytes) => {
                    ciphers.incoming.apply(&mut bytes);
                    let (verification, [a, b, c, d, len @ ..]) = split(bytes);
                    if verification != VERIFICATION {
                        return Err(MseError::BadVerification);
                    }
                    let method = self.methods.choose(u32::from_be_bytes([a, b, c, d]))?;
                    let len = length(len, PAD_BYTES_MAX, "padding")?;
                    Turn::Next(Step::Pad { ciphers, method, len })
                }
                None => Turn::Wait(Step::Offer(ciphers)),
            },
            Step::Pad { mut ciphers, method, len } => {
                match self.inbox.open(len + 2, &mut ciphers.incoming).as_deref() {
                    Some([.., high, low]) => {
                        let len = length([*high, *low], INITIAL_BYTES_MAX, "first messages")?;
                        Turn::Next(Step::Initial { ciphers, method, len })
                    }
                    _ => Turn::Wait(Step::Pad { ciphers, method, len }),
                }
            }
            Step::Initial { mut ciphers, method, len } => {
                match self.inbox.open(len, &mut ciphers.incoming) {
                    Some(initial) => Turn::Done(self.select(ciphers, method, initial)),
                    None => Turn::Wait(Step::Initial { ciphers, method, len }),
                }
            }
            step @ (Step::Key | Step::Asked { .. }) => Turn::Wait(step),
        })
    }
}

/// The verification constant and what comes after it.
fn split(bytes: [u8; 14]) -> ([u8; 8], [u8; 6]) {
    let (mut first, mut second) = ([0; 8], [0; 6]);
    first.copy_from_slice(&bytes[..8]);
    second.copy_from_slice(&bytes[8..]);
    (first, second)
}
