//! Encrypted handshakes: any bytes in place of either side's, cut anyhow, and then both sides with
//! some of what they say changed on the way. Nothing panics, swells or hangs, and what both sides
//! come to without a change is the same.

use althing_base::{Seed, Sha1Digest};
use althing_bittorrent::wire::mse::limits::{CHUNK_BYTES, INITIAL_BYTES_MAX, PAD_BYTES_MAX};
use althing_bittorrent::wire::mse::{Initiator, Methods, Responder, Want, lookup_key};

const TORRENT: Sha1Digest = Sha1Digest([7; 20]);

/// Steps after which two sides must have come to an end: each takes at least a byte or is one of a
/// handful.
const STEPS_MAX: usize = 16 * 1024;

/// What a handshake may hold: the longest part it waits for, and one read.
const HELD_BYTES_MAX: usize = if INITIAL_BYTES_MAX > PAD_BYTES_MAX + 2 {
    INITIAL_BYTES_MAX + CHUNK_BYTES
} else {
    PAD_BYTES_MAX + 2 + CHUNK_BYTES
};

/// The first bytes say how; the others are what is said, or what is changed of it.
pub fn run(data: &[u8]) {
    let Some(([how, part, seed], data)) = data.split_first_chunk::<3>() else { return };
    let part = 1 + usize::from(*part);
    let seed = Seed::from_u64((*seed).into());
    let methods = if how & 1 == 0 { Methods::Either } else { Methods::Rc4 };
    match how >> 1 & 3 {
        0 => respond(methods, seed, data, part),
        1 => initiate(methods, seed, data, part),
        _ => between(methods, seed, data, part),
    }
}

fn respond(methods: Methods, seed: Seed, data: &[u8], part: usize) {
    let mut side = Responder::new(methods, seed);
    for bytes in data.chunks(part) {
        if side.receive(bytes).is_err() || turn(&mut side).is_err() {
            return;
        }
        assert!(side.held_bytes() <= HELD_BYTES_MAX, "{}", side.held_bytes());
        if side.want() == Want::Nothing {
            return;
        }
    }
}

fn turn(side: &mut Responder) -> Result<(), ()> {
    side.exchange().map_err(drop)?;
    if let Want::Torrent(key) = side.want() {
        side.torrent((key == lookup_key(TORRENT)).then_some(TORRENT)).map_err(drop)?;
    }
    Ok(())
}

fn initiate(methods: Methods, seed: Seed, data: &[u8], part: usize) {
    let mut side = Initiator::new(TORRENT, methods, b"hello", seed);
    for bytes in data.chunks(part) {
        if side.receive(bytes).is_err() || side.exchange().is_err() {
            return;
        }
        assert!(side.held_bytes() <= HELD_BYTES_MAX, "{}", side.held_bytes());
        if side.want() == Want::Nothing {
            return;
        }
    }
}

/// Both sides, with `data` as pairs of distance and change that are done to what they say.
fn between(methods: Methods, seed: Seed, data: &[u8], part: usize) {
    let mut a = Initiator::new(TORRENT, methods, b"hello", seed.fork("a", 0));
    let mut b = Responder::new(Methods::Either, seed.fork("b", 0));
    let (mut to_a, mut to_b) = (Vec::new(), Vec::new());
    let mut changes = data.as_chunks::<2>().0.iter();
    let mut changed = false;
    let mut change = |bytes: &mut [u8]| {
        if let Some([at, flip]) = changes.next()
            && let Some(byte) = bytes.get_mut(usize::from(*at) * 3)
        {
            changed |= *flip != 0;
            *byte ^= flip;
        }
    };
    for _ in 0..STEPS_MAX {
        let (mut from_a, mut from_b) = (a.take_output(), b.take_output());
        if !from_a.is_empty() {
            change(&mut from_a);
        }
        if !from_b.is_empty() {
            change(&mut from_b);
        }
        to_b.append(&mut from_a);
        to_a.append(&mut from_b);
        let went = match (a.want(), b.want()) {
            (Want::Exchange, _) => a.exchange().map_err(drop),
            (_, Want::Exchange | Want::Torrent(_)) => turn(&mut b),
            (Want::Bytes, _) if !to_a.is_empty() => {
                let len = part.min(to_a.len());
                a.receive(&to_a.drain(..len).collect::<Vec<_>>()).map_err(drop)
            }
            (_, Want::Bytes) if !to_b.is_empty() => {
                let len = part.min(to_b.len());
                b.receive(&to_b.drain(..len).collect::<Vec<_>>()).map_err(drop)
            }
            (Want::Nothing, Want::Nothing) => break,
            // Each waits for what the other will not say: time would end it.
            _ => Err(()),
        };
        if went.is_err() {
            assert!(changed, "two honest sides do not agree");
            return;
        }
    }
    let (Some(ours), Some(theirs)) = (a.finish(), b.finish()) else {
        assert!(changed, "two honest sides do not come to an end");
        return;
    };
    if !changed {
        assert_eq!(ours.method, theirs.method);
        assert_eq!(theirs.early, b"hello");
    }
}
