//! Messages into bytes (BEP 3, 5, 6, 10, 52).

use super::message::{BLOCK_HEADER_LEN, HASH_REQUEST_LEN, id};
use super::{HashRequest, Message};
use crate::types::{BlockRef, PieceIndex};
use althing_base::Sha256Digest;
use bytes::BufMut;

impl Message {
    /// How many bytes [`encode`](Self::encode) writes.
    pub fn encoded_len(&self) -> usize {
        4 + self.body_len()
    }

    /// The message's length prefix: its type and what follows.
    fn body_len(&self) -> usize {
        match self {
            Message::KeepAlive => 0,
            Message::Choke
            | Message::Unchoke
            | Message::Interested
            | Message::NotInterested
            | Message::HaveAll
            | Message::HaveNone
            | Message::Unknown { .. } => 1,
            Message::Port(_) => 3,
            Message::Have(_) | Message::SuggestPiece(_) | Message::AllowedFast(_) => 5,
            Message::Request(_) | Message::Cancel(_) | Message::Reject(_) => 13,
            Message::Bitfield(bits) => 1 + bits.len(),
            Message::Extended { payload, .. } => 2 + payload.len(),
            Message::HashRequest(_) | Message::HashReject(_) => 1 + HASH_REQUEST_LEN,
            Message::Hashes { hashes, .. } => {
                1 + HASH_REQUEST_LEN + hashes.len() * Sha256Digest::LEN
            }
        }
    }

    /// Appends the message's bytes to `out`.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u32(self.body_len() as u32);
        match self {
            Message::KeepAlive => {}
            Message::Choke => out.put_u8(id::CHOKE),
            Message::Unchoke => out.put_u8(id::UNCHOKE),
            Message::Interested => out.put_u8(id::INTERESTED),
            Message::NotInterested => out.put_u8(id::NOT_INTERESTED),
            Message::Have(piece) => put_piece(out, id::HAVE, *piece),
            Message::Bitfield(bits) => {
                out.put_u8(id::BITFIELD);
                out.put_slice(bits);
            }
            Message::Request(block) => put_block(out, id::REQUEST, *block),
            Message::Cancel(block) => put_block(out, id::CANCEL, *block),
            Message::Port(port) => {
                out.put_u8(id::PORT);
                out.put_u16(*port);
            }
            Message::SuggestPiece(piece) => put_piece(out, id::SUGGEST_PIECE, *piece),
            Message::HaveAll => out.put_u8(id::HAVE_ALL),
            Message::HaveNone => out.put_u8(id::HAVE_NONE),
            Message::Reject(block) => put_block(out, id::REJECT, *block),
            Message::AllowedFast(piece) => put_piece(out, id::ALLOWED_FAST, *piece),
            Message::Extended { id, payload } => {
                out.put_u8(id::EXTENDED);
                out.put_u8(*id);
                out.put_slice(payload);
            }
            Message::HashRequest(request) => put_hash_request(out, id::HASH_REQUEST, request),
            Message::Hashes { request, hashes } => {
                put_hash_request(out, id::HASHES, request);
                hashes.iter().for_each(|hash| out.put_slice(&hash.0));
            }
            Message::HashReject(request) => put_hash_request(out, id::HASH_REJECT, request),
            Message::Unknown { id } => out.put_u8(*id),
        }
    }
}

/// The bytes of a `piece` message before its payload (BEP 3), so that the payload can go from disk
/// to socket without being copied behind them.
pub fn encode_block_header(block: BlockRef) -> [u8; BLOCK_HEADER_LEN] {
    let mut header = [0; BLOCK_HEADER_LEN];
    let mut out = &mut header[..];
    out.put_u32(block.len.saturating_add(9));
    put_piece(&mut out, id::PIECE, block.piece);
    out.put_u32(block.begin);
    header
}

fn put_piece(out: &mut impl BufMut, id: u8, piece: PieceIndex) {
    out.put_u8(id);
    out.put_u32(piece.0);
}

fn put_block(out: &mut impl BufMut, id: u8, block: BlockRef) {
    put_piece(out, id, block.piece);
    out.put_u32(block.begin);
    out.put_u32(block.len);
}

fn put_hash_request(out: &mut impl BufMut, id: u8, request: &HashRequest) {
    out.put_u8(id);
    out.put_slice(&request.pieces_root.0);
    out.put_u32(request.base_layer);
    out.put_u32(request.index);
    out.put_u32(request.length);
    out.put_u32(request.proof_layers);
}
