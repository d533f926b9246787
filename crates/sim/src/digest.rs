//! The hash over everything that is delivered to the machines: two runs with one hash were the
//! same run.

use althing_bittorrent::BlockRef;
use althing_bittorrent::wire::Message;

/// A running 64-bit hash of words, by multiplication and rotation. It tells runs apart; nobody
/// tries to forge one.
#[derive(Clone, Debug)]
pub(crate) struct EventHash {
    state: u64,
    /// Bytes of the message being hashed; kept for its capacity.
    buffer: Vec<u8>,
}

impl EventHash {
    /// Odd, without a pattern: the golden ratio's fraction.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    pub(crate) fn new() -> Self {
        EventHash { state: Self::FACTOR, buffer: Vec::new() }
    }

    pub(crate) fn word(&mut self, word: u64) {
        self.state = (self.state.rotate_left(25) ^ word).wrapping_mul(Self::FACTOR);
        self.state ^= self.state >> 29;
    }

    pub(crate) fn block(&mut self, block: BlockRef) {
        self.word(u64::from(block.piece.0) << 32 | u64::from(block.begin));
        self.word(u64::from(block.len));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    pub(crate) fn message(&mut self, message: &Message) {
        match message {
            // Nearly all messages are of these two kinds; hashing them needs no bytes.
            Message::Have(piece) => self.word(u64::from(piece.0) << 8 | 4),
            Message::Request(block) => {
                self.word(6);
                self.block(*block);
            }
            other => {
                let mut buffer = std::mem::take(&mut self.buffer);
                buffer.clear();
                other.encode(&mut buffer);
                self.bytes(&buffer);
                self.buffer = buffer;
            }
        }
    }

    pub(crate) fn finish(&self) -> u64 {
        let mut last = self.clone();
        last.word(0);
        last.word(0);
        last.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_bittorrent::PieceIndex;

    fn hash(words: &[u64]) -> u64 {
        let mut hash = EventHash::new();
        words.iter().for_each(|word| hash.word(*word));
        hash.finish()
    }

    #[test]
    fn order_number_and_value_count() {
        let all = [hash(&[]), hash(&[0]), hash(&[0, 0]), hash(&[1, 2]), hash(&[2, 1])];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{all:x?}");
        }
        assert_eq!(hash(&[1, 2]), hash(&[1, 2]));
    }

    #[test]
    fn messages_differ() {
        let of = |message: Message| {
            let mut hash = EventHash::new();
            hash.message(&message);
            hash.finish()
        };
        assert_ne!(of(Message::Have(PieceIndex(1))), of(Message::Have(PieceIndex(2))));
        assert_ne!(of(Message::Choke), of(Message::Unchoke));
    }
}
