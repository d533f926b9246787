//! The side that connects.

use super::dh::PrivateKey;
use super::limits::{KEY_LEN, PAD_BYTES_MAX};
use super::progress::{Progress, Steps, Turn};
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
    progress: Progress<Step>,
}

pub(super) enum Step {
    /// Step 2 has not come.
    Key(PrivateKey),
    /// Step 3 is out; looking for the end of PadB.
    Sync { ciphers: Box<Ciphers>, mark: [u8; VERIFICATION.len()], searched: usize },
    /// crypto_select and the length of PadD.
    Selection(Box<Ciphers>),
    /// PadD.
    Pad { ciphers: Box<Ciphers>, method: Method, len: usize },
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
        let (inbox, progress) = (Inbox::default(), Progress::At(Step::Key(key)));
        Initiator { torrent, methods, initial, rng, inbox, output, progress }
    }

    /// What is to be written now.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// What it waits for.
    pub fn want(&self) -> Want {
        match &self.progress {
            Progress::At(Step::Key(_)) if self.inbox.0.len() >= KEY_LEN => Want::Exchange,
            Progress::At(_) => Want::Bytes,
            Progress::Done(_) | Progress::Over => Want::Nothing,
        }
    }

    /// Whether the peer has answered with a key: it speaks this protocol.
    pub fn was_answered(&self) -> bool {
        !matches!(self.progress, Progress::At(Step::Key(_))) || self.inbox.0.len() >= KEY_LEN
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
        let (Progress::At(Step::Key(key)), Some(theirs)) =
            (self.progress.take(), self.inbox.take::<KEY_LEN>())
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
        self.progress = Progress::At(Step::Sync { ciphers, mark, searched: 0 });
        self.advance()
    }

    /// What both sides have come to, once [`Want::Nothing`] is left and no error was returned.
    pub fn finish(&mut self) -> Option<Established> {
        self.progress.finish()
    }
}

impl Steps for Initiator {
    type Step = Step;

    fn progress(&mut self) -> &mut Progress<Step> {
        &mut self.progress
    }

    fn step(&mut self, step: Step) -> Result<Turn<Step>, MseError> {
        Ok(match step {
            Step::Key(key) => Turn::Wait(Step::Key(key)),
            Step::Sync { ciphers, mark, mut searched } => {
                if self.inbox.skip_past(&mark, &mut searched)? {
                    Turn::Next(Step::Selection(ciphers))
                } else {
                    Turn::Wait(Step::Sync { ciphers, mark, searched })
                }
            }
            Step::Selection(mut ciphers) => match self.inbox.take::<6>() {
                Some(mut bytes) => {
                    ciphers.incoming.apply(&mut bytes);
                    let [a, b, c, d, len @ ..] = bytes;
                    let method = self.methods.accept(u32::from_be_bytes([a, b, c, d]))?;
                    let len = length(len, PAD_BYTES_MAX, "padding")?;
                    Turn::Next(Step::Pad { ciphers, method, len })
                }
                None => Turn::Wait(Step::Selection(ciphers)),
            },
            Step::Pad { mut ciphers, method, len } => {
                match self.inbox.open(len, &mut ciphers.incoming) {
                    Some(_) => {
                        let stream = self.inbox.rest();
                        Turn::Done(Established::new(method, ciphers, Vec::new(), stream))
                    }
                    None => Turn::Wait(Step::Pad { ciphers, method, len }),
                }
            }
        })
    }
}
