//! What liars make of what their machines say.

use crate::host::Host;
use crate::plan::Behaviour;
use crate::units::Content;
use althing_base::{Rng, Sha256Digest};
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::wire::{
    ExtensionHandshake, HashRequest, METADATA_PIECE_LEN, Message, MetadataMessage,
};
use althing_bittorrent::{BlockRef, PieceIndex};
use bytes::Bytes;

/// How a false size differs from the true one, in bytes.
const SIZE_LIE: u32 = 1000;

/// What becomes of a block that the machine wants to send.
pub(crate) enum BlockFate {
    /// It is sent, and holds this.
    Sent(Content),
    /// Nothing is sent.
    Swallowed,
    /// It is refused instead.
    Refused,
}

/// What the host makes of a block to be sent.
pub(crate) fn block_fate(host: &mut Host) -> BlockFate {
    match host.plan.behaviour {
        Behaviour::BadBlocks { share } if host.rng.chance(share) => {
            // A number of its own for each host, and a few different lies.
            BlockFate::Sent(Content(1 + host.id.0 * 4 + host.rng.below(4) as u32))
        }
        Behaviour::Silent => BlockFate::Swallowed,
        Behaviour::Refuser => BlockFate::Refused,
        _ => BlockFate::Sent(Content::TRUE),
    }
}

/// What the host makes of a message to be sent.
pub(crate) fn twist(host: &Host, message: Message) -> Message {
    let size = host.metainfo.as_ref().map_or(0, |metainfo| metainfo.info_bytes().len() as u32);
    match (host.plan.behaviour, message) {
        (Behaviour::BadMetadata, Message::Extended { id, payload }) if id != 0 => {
            let payload = match MetadataMessage::parse(&payload) {
                Ok(MetadataMessage::Data { piece, total_size, payload }) => {
                    let payload = payload.iter().map(|byte| byte ^ 1).collect();
                    MetadataMessage::Data { piece, total_size, payload }.encode()
                }
                _ => payload,
            };
            Message::Extended { id, payload }
        }
        (Behaviour::WrongMetadataSize, Message::Extended { id: 0, payload }) => {
            let payload = match ExtensionHandshake::parse(&payload) {
                Ok(mut handshake) => {
                    handshake.metadata_size = Some(size + SIZE_LIE);
                    handshake.encode()
                }
                Err(_) => payload,
            };
            Message::Extended { id: 0, payload }
        }
        (Behaviour::WrongMetadataSize, Message::Extended { id, payload }) => {
            let payload = match MetadataMessage::parse(&payload) {
                Ok(MetadataMessage::Data { piece, .. } | MetadataMessage::Reject { piece }) => {
                    let start = piece as usize * METADATA_PIECE_LEN;
                    let len = ((size + SIZE_LIE) as usize).saturating_sub(start);
                    let payload = Bytes::from(vec![b'x'; len.min(METADATA_PIECE_LEN)]);
                    let total_size = Some(size + SIZE_LIE);
                    MetadataMessage::Data { piece, total_size, payload }.encode()
                }
                _ => payload,
            };
            Message::Extended { id, payload }
        }
        (Behaviour::BadHashes, Message::Hashes { request, mut hashes }) => {
            hashes.iter_mut().for_each(|hash| hash.0[0] ^= 1);
            Message::Hashes { request, hashes }
        }
        (_, message) => message,
    }
}

/// Something that a program gone mad might say, about a torrent of `pieces` pieces.
pub(crate) fn babble(rng: &mut Rng, pieces: u32) -> Message {
    let piece = PieceIndex(rng.below(u64::from(pieces) + 1) as u32);
    let block = BlockRef {
        piece,
        begin: rng.below(4) as u32 * BLOCK_SIZE,
        len: if rng.chance(0.9) { BLOCK_SIZE } else { rng.next_u32() },
    };
    let mut noise = vec![0; rng.index(200)];
    rng.fill(&mut noise);
    let request = HashRequest {
        pieces_root: Sha256Digest::ZERO,
        base_layer: rng.below(4) as u32,
        index: rng.below(8) as u32,
        length: rng.below(600) as u32,
        proof_layers: rng.below(10) as u32,
    };
    match rng.below(18) {
        0 => Message::Choke,
        1 => Message::Unchoke,
        2 => Message::Interested,
        3 => Message::NotInterested,
        4 | 5 => Message::Have(piece),
        6 => Message::Bitfield(noise.into()),
        7 | 8 => Message::Request(block),
        9 => Message::Cancel(block),
        10 => Message::HaveAll,
        11 => Message::HaveNone,
        12 => Message::Reject(block),
        13 => Message::AllowedFast(piece),
        14 => Message::Extended { id: rng.below(3) as u8, payload: noise.into() },
        15 => Message::HashRequest(request),
        16 => Message::HashReject(request),
        _ => Message::SuggestPiece(piece),
    }
}
