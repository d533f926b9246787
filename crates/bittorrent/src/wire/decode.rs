//! Bytes into messages (BEP 3, 5, 6, 10, 52).

use super::limits::{
    BLOCK_BYTES_MAX, FRAME_BYTES_MAX, HASHES_MAX, REQUEST_BYTES_MAX, TREE_LAYERS_MAX,
};
use super::message::{BLOCK_HEADER_LEN, HASH_REQUEST_LEN, id};
use super::{HashRequest, Message, WireError};
use crate::types::{BlockRef, PieceIndex};
use althing_base::Sha256Digest;
use bytes::{Buf, Bytes};
use std::ops::Range;

/// How long messages may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeLimits {
    /// Bytes of one message after its length prefix.
    pub frame_bytes: usize,
    /// Bytes of a block in a `piece` message.
    pub block_bytes: u32,
    /// Bytes that a `request`, `cancel` or `reject` may name.
    pub request_bytes: u32,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits {
            frame_bytes: FRAME_BYTES_MAX,
            block_bytes: BLOCK_BYTES_MAX,
            request_bytes: REQUEST_BYTES_MAX,
        }
    }
}

/// What a buffer starts with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// Too few bytes to tell, or to have it whole.
    Incomplete {
        /// How many bytes the buffer must hold, at the least, before asking again is of use. Never
        /// past the limits, but a stranger chose it: read what comes rather than reserve it all.
        need: usize,
    },
    /// A message.
    Message {
        /// What it says.
        message: Message,
        /// How many bytes it took.
        consumed: usize,
    },
    /// A `piece` message. Its payload stays where it is.
    Block {
        /// Which part of which piece.
        block: BlockRef,
        /// Where in the buffer the payload lies.
        payload: Range<usize>,
        /// How many bytes it took, the payload included.
        consumed: usize,
    },
}

/// Reads the message that `buf` starts with. Nothing is allocated before the whole message is
/// there, and a block's payload is never copied.
///
/// # Errors
/// A message that is longer than `limits` or than its type allows, or that speaks of an impossible
/// block; said as soon as the bytes that show it are there.
pub fn decode(buf: &[u8], limits: &DecodeLimits) -> Result<Decoded, WireError> {
    let Some((&prefix, rest)) = buf.split_first_chunk::<LENGTH_PREFIX>() else {
        return Ok(Decoded::Incomplete { need: LENGTH_PREFIX });
    };
    let len = u32::from_be_bytes(prefix) as usize;
    if len == 0 {
        return Ok(Decoded::Message { message: Message::KeepAlive, consumed: LENGTH_PREFIX });
    }
    if len > limits.frame_bytes {
        return Err(WireError::FrameTooLong { len, max: limits.frame_bytes });
    }
    let Some((&id, body)) = rest.split_first() else {
        return Ok(Decoded::Incomplete { need: LENGTH_PREFIX + 1 });
    };
    check_length(id, len, limits)?;
    let consumed = LENGTH_PREFIX + len;
    if id == id::PIECE {
        return decode_block(buf, body, consumed);
    }
    match body.get(..len - 1) {
        Some(body) => Ok(Decoded::Message { message: decode_body(id, body, limits)?, consumed }),
        None => Ok(Decoded::Incomplete { need: consumed }),
    }
}

/// The block whose payload follows, if `buf` starts with the whole header of a `piece` message: for
/// a driver that reads the payload straight to where it belongs.
///
/// # Errors
/// As [`decode`].
pub fn decode_block_header(
    buf: &[u8],
    limits: &DecodeLimits,
) -> Result<Option<BlockRef>, WireError> {
    let Some(header) = buf.first_chunk::<BLOCK_HEADER_LEN>() else { return Ok(None) };
    let mut fields = &header[..];
    let (len, id) = (fields.get_u32() as usize, fields.get_u8());
    if len == 0 || id != id::PIECE {
        return Ok(None);
    }
    if len > limits.frame_bytes {
        return Err(WireError::FrameTooLong { len, max: limits.frame_bytes });
    }
    check_length(id, len, limits)?;
    block_from_header(fields, len).map(Some)
}

const LENGTH_PREFIX: usize = 4;

/// Whether a message of type `id` can have `len` bytes, the type included.
fn check_length(id: u8, len: usize, limits: &DecodeLimits) -> Result<(), WireError> {
    let fits = match id {
        id::CHOKE
        | id::UNCHOKE
        | id::INTERESTED
        | id::NOT_INTERESTED
        | id::HAVE_ALL
        | id::HAVE_NONE => len == 1,
        id::HAVE | id::SUGGEST_PIECE | id::ALLOWED_FAST => len == 5,
        id::REQUEST | id::CANCEL | id::REJECT => len == 13,
        id::PIECE => len > 9 && len - 9 <= limits.block_bytes as usize,
        id::PORT => len == 3,
        id::EXTENDED => len >= 2,
        id::HASH_REQUEST | id::HASH_REJECT => len == 1 + HASH_REQUEST_LEN,
        id::HASHES => {
            let hashes = len.saturating_sub(1 + HASH_REQUEST_LEN) / Sha256Digest::LEN;
            len == 1 + HASH_REQUEST_LEN + hashes * Sha256Digest::LEN
                && hashes <= (HASHES_MAX + TREE_LAYERS_MAX) as usize
        }
        _ => true,
    };
    if fits { Ok(()) } else { Err(WireError::WrongLength { id, len }) }
}

/// `body` is what there is of the message after its type; its length has been checked.
fn decode_block(buf: &[u8], body: &[u8], consumed: usize) -> Result<Decoded, WireError> {
    let Some((fields, _)) = body.split_at_checked(8) else {
        return Ok(Decoded::Incomplete { need: consumed });
    };
    let block = block_from_header(fields, consumed - LENGTH_PREFIX)?;
    if buf.len() < consumed {
        return Ok(Decoded::Incomplete { need: consumed });
    }
    Ok(Decoded::Block { block, payload: BLOCK_HEADER_LEN..consumed, consumed })
}

/// `fields` has the eight bytes before the payload; `len`, the message's length, has been checked.
fn block_from_header(mut fields: &[u8], len: usize) -> Result<BlockRef, WireError> {
    let block = BlockRef {
        piece: PieceIndex(fields.get_u32()),
        begin: fields.get_u32(),
        len: (len + LENGTH_PREFIX - BLOCK_HEADER_LEN) as u32,
    };
    check_block(id::PIECE, block, block.len)?;
    Ok(block)
}

/// `body` is all of the message after its type; its length has been checked.
fn decode_body(id: u8, mut body: &[u8], limits: &DecodeLimits) -> Result<Message, WireError> {
    Ok(match id {
        id::CHOKE => Message::Choke,
        id::UNCHOKE => Message::Unchoke,
        id::INTERESTED => Message::Interested,
        id::NOT_INTERESTED => Message::NotInterested,
        id::HAVE => Message::Have(PieceIndex(body.get_u32())),
        id::BITFIELD => Message::Bitfield(Bytes::copy_from_slice(body)),
        id::REQUEST => Message::Request(block_ref(id, body, limits)?),
        id::CANCEL => Message::Cancel(block_ref(id, body, limits)?),
        id::PORT => Message::Port(body.get_u16()),
        id::SUGGEST_PIECE => Message::SuggestPiece(PieceIndex(body.get_u32())),
        id::HAVE_ALL => Message::HaveAll,
        id::HAVE_NONE => Message::HaveNone,
        id::REJECT => Message::Reject(block_ref(id, body, limits)?),
        id::ALLOWED_FAST => Message::AllowedFast(PieceIndex(body.get_u32())),
        id::EXTENDED => {
            Message::Extended { id: body.get_u8(), payload: Bytes::copy_from_slice(body) }
        }
        id::HASH_REQUEST => Message::HashRequest(hash_request(&mut body)),
        id::HASHES => {
            let request = hash_request(&mut body);
            let hashes = body.chunks_exact(Sha256Digest::LEN);
            Message::Hashes {
                request,
                hashes: hashes.filter_map(Sha256Digest::from_slice).collect(),
            }
        }
        id::HASH_REJECT => Message::HashReject(hash_request(&mut body)),
        id => Message::Unknown { id },
    })
}

/// `body` has twelve bytes.
fn block_ref(id: u8, mut body: &[u8], limits: &DecodeLimits) -> Result<BlockRef, WireError> {
    let block =
        BlockRef { piece: PieceIndex(body.get_u32()), begin: body.get_u32(), len: body.get_u32() };
    check_block(id, block, limits.request_bytes)?;
    Ok(block)
}

fn check_block(id: u8, block: BlockRef, max: u32) -> Result<(), WireError> {
    let BlockRef { begin, len, .. } = block;
    if len == 0 || len > max || begin.checked_add(len).is_none() {
        return Err(WireError::BadBlock { id, begin, len });
    }
    Ok(())
}

/// `body` has at least [`HASH_REQUEST_LEN`] bytes.
fn hash_request(body: &mut &[u8]) -> HashRequest {
    let mut pieces_root = Sha256Digest::ZERO;
    body.copy_to_slice(&mut pieces_root.0);
    HashRequest {
        pieces_root,
        base_layer: body.get_u32(),
        index: body.get_u32(),
        length: body.get_u32(),
        proof_layers: body.get_u32(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::encode_block_header;
    use proptest::prelude::*;

    fn decode_default(buf: &[u8]) -> Result<Decoded, WireError> {
        decode(buf, &DecodeLimits::default())
    }

    /// `bytes` mean `message`, and the other way round; at no split is there another answer.
    fn check(bytes: &[u8], message: &Message) {
        let mut written = Vec::new();
        message.encode(&mut written);
        assert_eq!(written, bytes, "{message:?}");
        assert_eq!(message.encoded_len(), bytes.len(), "{message:?}");
        let expected = Decoded::Message { message: message.clone(), consumed: bytes.len() };
        check_splits(bytes, &expected);
    }

    /// Every prefix waits for more, but never for more than there is; what follows does not matter.
    fn check_splits(bytes: &[u8], expected: &Decoded) {
        for len in 0..bytes.len() {
            match decode_default(&bytes[..len]) {
                Ok(Decoded::Incomplete { need }) => {
                    assert!(len < need && need <= bytes.len(), "{need} at {len}");
                }
                other => panic!("{other:?} at {len} of {expected:?}"),
            }
        }
        assert_eq!(decode_default(bytes).as_ref(), Ok(expected));
        let followed = [bytes, b"\0\0\0\x01\0"].concat();
        assert_eq!(decode_default(&followed).as_ref(), Ok(expected));
    }

    fn refuse(bytes: &[u8], expected: WireError) {
        assert_eq!(decode_default(bytes), Err(expected), "{}", bytes.escape_ascii());
    }

    fn block(piece: u32, begin: u32, len: u32) -> BlockRef {
        BlockRef { piece: PieceIndex(piece), begin, len }
    }

    #[test]
    fn bep_3() {
        check(b"\0\0\0\0", &Message::KeepAlive);
        check(b"\0\0\0\x01\x00", &Message::Choke);
        check(b"\0\0\0\x01\x01", &Message::Unchoke);
        check(b"\0\0\0\x01\x02", &Message::Interested);
        check(b"\0\0\0\x01\x03", &Message::NotInterested);
        check(b"\0\0\0\x05\x04\0\0\x01\x02", &Message::Have(PieceIndex(0x102)));
        check(b"\0\0\0\x03\x05\xff\x80", &Message::Bitfield(Bytes::from_static(b"\xff\x80")));
        check(b"\0\0\0\x01\x05", &Message::Bitfield(Bytes::new()));
        let fields = b"\0\0\0\x07\0\0\x80\0\0\0\x40\0";
        let named = block(7, 0x8000, 0x4000);
        check(&[b"\0\0\0\x0d\x06", &fields[..]].concat(), &Message::Request(named));
        check(&[b"\0\0\0\x0d\x08", &fields[..]].concat(), &Message::Cancel(named));
    }

    #[test]
    fn bep_5_and_6() {
        check(b"\0\0\0\x03\x09\x1a\xe1", &Message::Port(6881));
        check(b"\0\0\0\x05\x0d\0\0\0\x09", &Message::SuggestPiece(PieceIndex(9)));
        check(b"\0\0\0\x01\x0e", &Message::HaveAll);
        check(b"\0\0\0\x01\x0f", &Message::HaveNone);
        check(b"\0\0\0\x0d\x10\0\0\0\x01\0\0\0\0\0\0\x40\0", &Message::Reject(block(1, 0, 0x4000)));
        check(b"\0\0\0\x05\x11\0\0\x04\x23", &Message::AllowedFast(PieceIndex(1059)));
    }

    #[test]
    fn bep_10() {
        let payload = Bytes::from_static(b"d1:md11:ut_metadatai1eee");
        let bytes = [b"\0\0\0\x1a\x14\0", &payload[..]].concat();
        check(&bytes, &Message::Extended { id: 0, payload });
        check(b"\0\0\0\x02\x14\x03", &Message::Extended { id: 3, payload: Bytes::new() });
    }

    #[test]
    fn bep_52() {
        let request = HashRequest {
            pieces_root: Sha256Digest([0xaa; 32]),
            base_layer: 1,
            index: 512,
            length: 2,
            proof_layers: 3,
        };
        let fields = [&[0xaa; 32][..], b"\0\0\0\x01\0\0\x02\0\0\0\0\x02\0\0\0\x03"].concat();
        let frame =
            |len: u8, id: u8, rest: &[u8]| [&[0, 0, 0, len, id], &fields[..], rest].concat();
        check(&frame(49, 21, b""), &Message::HashRequest(request));
        check(&frame(49, 23, b""), &Message::HashReject(request));
        let hashes = vec![Sha256Digest([1; 32]), Sha256Digest([2; 32])];
        let rest = [[1; 32], [2; 32]].concat();
        check(&frame(113, 22, &rest), &Message::Hashes { request, hashes });
    }

    #[test]
    fn unknown_types_are_passed_over_whole() {
        let message = Message::Unknown { id: 99 };
        assert_eq!(
            decode_default(b"\0\0\0\x03\x63xy\0\0\0\0"),
            Ok(Decoded::Message { message, consumed: 7 })
        );
    }

    #[test]
    fn a_block_is_a_range_of_the_buffer() {
        let named = block(7, 0x8000, 5);
        let bytes = [&encode_block_header(named)[..], b"bytes"].concat();
        assert_eq!(bytes, b"\0\0\0\x0e\x07\0\0\0\x07\0\0\x80\0bytes");
        let expected = Decoded::Block { block: named, payload: 13..18, consumed: 18 };
        check_splits(&bytes, &expected);
        let header = |bytes| decode_block_header(bytes, &DecodeLimits::default());
        assert_eq!(header(&bytes[..13]), Ok(Some(named)));
        assert_eq!(header(&bytes[..12]), Ok(None));
        assert_eq!(header(b"\0\0\0\x0e\x06\0\0\0\x07\0\0\x80\0"), Ok(None));
        assert_eq!(header(b"\0\0\0\0\x07\0\0\0\x07\0\0\x80\0"), Ok(None));
        let too_long = header(b"\0\0\x40\x0a\x07\0\0\0\0\0\0\0\0");
        assert_eq!(too_long, Err(WireError::WrongLength { id: 7, len: 0x400a }));
    }

    #[test]
    fn wrong_lengths_are_seen_before_the_rest_has_come() {
        for id in [0, 1, 2, 3, 14, 15] {
            refuse(&[0, 0, 0, 2, id], WireError::WrongLength { id, len: 2 });
        }
        for id in [4, 6, 7, 8, 9, 13, 16, 17, 20, 21, 22, 23] {
            refuse(&[0, 0, 0, 1, id], WireError::WrongLength { id, len: 1 });
        }
        for id in [4, 6, 8, 9, 13, 16, 17, 21, 22, 23] {
            refuse(&[0, 0, 1, 0, id], WireError::WrongLength { id, len: 256 });
        }
        // A block must not be empty.
        refuse(&[0, 0, 0, 9, 7], WireError::WrongLength { id: 7, len: 9 });
        refuse(&[0, 0, 0x40, 10, 7], WireError::WrongLength { id: 7, len: 0x400a });
        // 8,243 hashes where a request and its proof can have 8,242.
        let len: u32 = 49 + 32 * 8243;
        let bytes = [&len.to_be_bytes()[..], &[22]].concat();
        refuse(&bytes, WireError::WrongLength { id: 22, len: len as usize });
    }

    #[test]
    fn absurd_lengths_are_seen_at_once() {
        let too_long = |len| WireError::FrameTooLong { len, max: FRAME_BYTES_MAX };
        refuse(b"\xff\xff\xff\xff", too_long(0xffff_ffff));
        refuse(b"\0\x04\x20\x01", too_long(FRAME_BYTES_MAX + 1));
        assert_eq!(decode_default(b"\0\x04\x20\0"), Ok(Decoded::Incomplete { need: 5 }));
    }

    #[test]
    fn impossible_blocks_are_refused() {
        let bad = |id, begin, len| WireError::BadBlock { id, begin, len };
        refuse(b"\0\0\0\x0d\x06\0\0\0\0\0\0\0\0\0\0\0\0", bad(6, 0, 0));
        refuse(b"\0\0\0\x0d\x08\0\0\0\0\0\0\0\0\0\x02\0\x01", bad(8, 0, 0x20001));
        refuse(b"\0\0\0\x0d\x10\0\0\0\0\xff\xff\xff\xff\0\0\0\x01", bad(16, u32::MAX, 1));
        refuse(b"\0\0\0\x0a\x07\0\0\0\0\xff\xff\xff\xff", bad(7, u32::MAX, 1));
    }

    fn any_block() -> impl Strategy<Value = BlockRef> {
        (any::<u32>(), 0..=u32::MAX - REQUEST_BYTES_MAX, 1..=REQUEST_BYTES_MAX)
            .prop_map(|(piece, begin, len)| block(piece, begin, len))
    }

    fn any_hash_request() -> impl Strategy<Value = HashRequest> {
        any::<([u8; 32], u32, u32, u32, u32)>().prop_map(
            |(root, base_layer, index, length, proof_layers)| HashRequest {
                pieces_root: Sha256Digest(root),
                base_layer,
                index,
                length,
                proof_layers,
            },
        )
    }

    fn any_bytes(max: usize) -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..max).prop_map(Bytes::from)
    }

    fn any_message() -> impl Strategy<Value = Message> {
        let piece = || any::<u32>().prop_map(PieceIndex);
        prop_oneof![
            Just(Message::KeepAlive),
            Just(Message::Choke),
            Just(Message::Unchoke),
            Just(Message::Interested),
            Just(Message::NotInterested),
            piece().prop_map(Message::Have),
            any_bytes(300).prop_map(Message::Bitfield),
            any_block().prop_map(Message::Request),
            any_block().prop_map(Message::Cancel),
            any::<u16>().prop_map(Message::Port),
            piece().prop_map(Message::SuggestPiece),
            Just(Message::HaveAll),
            Just(Message::HaveNone),
            any_block().prop_map(Message::Reject),
            piece().prop_map(Message::AllowedFast),
            (any::<u8>(), any_bytes(300))
                .prop_map(|(id, payload)| Message::Extended { id, payload }),
            any_hash_request().prop_map(Message::HashRequest),
            (any_hash_request(), proptest::collection::vec(any::<[u8; 32]>(), 0..9)).prop_map(
                |(request, hashes)| Message::Hashes {
                    request,
                    hashes: hashes.into_iter().map(Sha256Digest).collect()
                }
            ),
            any_hash_request().prop_map(Message::HashReject),
            (24u8..).prop_map(|id| Message::Unknown { id }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_at_every_split(message in any_message()) {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            check(&bytes, &message);
        }

        #[test]
        fn blocks_too(named in any_block()) {
            let len = named.len.min(BLOCK_BYTES_MAX);
            let named = BlockRef { len, ..named };
            let mut bytes = encode_block_header(named).to_vec();
            bytes.resize(bytes.len() + len as usize, 0x55);
            let consumed = bytes.len();
            let expected = Decoded::Block { block: named, payload: 13..consumed, consumed };
            prop_assert_eq!(decode_default(&bytes), Ok(expected));
            prop_assert_eq!(
                decode_default(&bytes[..consumed - 1]),
                Ok(Decoded::Incomplete { need: consumed })
            );
        }

        /// What comes after an answer never changes it, and no bytes at all make it panic.
        #[test]
        fn any_bytes_are_read_or_refused(
            head in proptest::collection::vec(prop_oneof![3 => Just(0u8), 1 => 0..32u8, 1 => any::<u8>()], 0..80),
            tail: Vec<u8>,
        ) {
            let longer = [&head[..], &tail].concat();
            match decode_default(&head) {
                Ok(Decoded::Incomplete { need }) => prop_assert!(head.len() < need && need <= 4 + FRAME_BYTES_MAX),
                whole => prop_assert_eq!(decode_default(&longer), whole),
            }
        }
    }
}
