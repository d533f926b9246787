//! Both sides against each other, against figures that Python's big integers and hashes gave, and
//! against what no honest peer says.

use super::dh::PrivateKey;
use super::limits::{CHUNK_BYTES, INITIAL_BYTES_MAX, KEY_LEN, PAD_BYTES_MAX};
use super::*;
use althing_base::Seed;
use proptest::prelude::*;

const TORRENT: Sha1Digest =
    Sha1Digest([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);

const KEY_A: &str = "96e112dab29e8c5272accb9b17b26887ce54a144a4e3b697c7d159b7a817e556b0918db2b4c658e02a\
                     87f7e5fb14b18a553e084cbf3dad2d30f16596ccb982d406258c61b30c5c1dae2ddc60bdbd48d7989631\
                     2aad63238c39e1a633821eb693";
const KEY_B: &str = "d48fef394f3c42fc7e62dedab5899574374d9cf9efeebee86c8d33c975328a91b8e9de1a08ac465750\
                     368c10984635ded71b979c7236ed59667fef37880e9bad53974e3bc2295b192279afc099608b5abff1cc\
                     98b0ec1e6c5f166a948000165f";
const SHARED: &str = "61d7ce25e86d2d435132bd10ed5c30f3588c3bc0350820e88ebd24a0db47345ef66191f8c81a92ca6\
                      94f72fcd1605ee8f1ba1e18cf25c40b06de4c967bcc96f7031bdabb704382536a497e98500997125067\
                      d79250f8e0c8dae2814e7a0b4e7e";

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    assert_eq!(hex.len(), 2 * N);
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("digits"))
}

fn digest(hex: &str) -> Sha1Digest {
    hex.parse().expect("40 digits")
}

#[test]
fn keys_are_those_of_another_implementation() {
    let a = PrivateKey::from_bytes(&bytes("0102030405060708090a0b0c0d0e0f1011121314"));
    let b = PrivateKey::from_bytes(&bytes("f1f2f3f4f5f6f7f8f9fafbfcfdfeff0001020304"));
    assert_eq!(a.public(), bytes(KEY_A));
    assert_eq!(b.public(), bytes(KEY_B));
    assert_eq!(a.agree(&bytes(KEY_B)), Ok(bytes(SHARED)));
    assert_eq!(b.agree(&bytes(KEY_A)), Ok(bytes(SHARED)));
}

#[test]
fn hashes_are_those_of_another_implementation() {
    let shared = bytes(SHARED);
    assert_eq!(sync_mark(&shared), digest("99aa7e163221a62d9131039a1959f9a091370e0f"));
    let key = lookup_key(TORRENT);
    assert_eq!(key, digest("4321b2c3fbde0a4fa12ca762484f5b8dc9cf4b5f"));
    assert_eq!(veil(key, &shared), digest("d7c15bf1296ec82bf24f68fbac2808d1752339d6"));
    assert_eq!(veil(veil(key, &shared), &shared), key);
    for (label, stream) in [
        (b"keyA", "cf00317824ae7999d49f460d913b074c"),
        (b"keyB", "811d49ca2a4a3f53bc9486af99e937fd"),
    ] {
        let mut start = [0; 16];
        cipher(label, &shared, TORRENT).apply(&mut start);
        assert_eq!(start, bytes(stream));
    }
}

#[test]
fn keys_whose_power_is_known_beforehand_are_refused() {
    let key = PrivateKey::from_bytes(&[7; 20]);
    let prime = "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08\
                 798e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a3621\
                 0000000000090563";
    let small = |last| {
        let mut key = [0; KEY_LEN];
        key[KEY_LEN - 1] = last;
        key
    };
    let mut before = bytes::<KEY_LEN>(prime);
    before[KEY_LEN - 1] -= 1;
    for bad in [small(0), small(1), before, bytes(prime), [0xff; KEY_LEN]] {
        assert_eq!(key.agree(&bad), Err(MseError::BadKey));
    }
    before[KEY_LEN - 1] -= 1;
    assert!(key.agree(&before).is_ok() && key.agree(&small(2)).is_ok());
}

/// Both ends of a connection that carries at most `part` bytes at a time.
struct Pair {
    a: Initiator,
    b: Responder,
    part: usize,
    here: Option<Sha1Digest>,
}

impl Pair {
    fn new(ours: Methods, theirs: Methods, seed: u64) -> Self {
        let a = Initiator::new(TORRENT, ours, b"hello from the other side", Seed::from_u64(seed));
        let b = Responder::new(theirs, Seed::from_u64(seed + 1));
        Pair { a, b, part: CHUNK_BYTES, here: Some(TORRENT) }
    }

    /// Lets them talk until neither wants anything, and what `a` and `b` say after that follows at
    /// once.
    fn talk(&mut self) -> Result<(Established, Established), MseError> {
        let (mut to_a, mut to_b) = (Vec::new(), Vec::new());
        loop {
            to_b.extend(self.a.take_output());
            to_a.extend(self.b.take_output());
            let (a, b) = (self.a.want(), self.b.want());
            match (a, b) {
                (Want::Exchange, _) => self.a.exchange()?,
                (_, Want::Exchange) => self.b.exchange()?,
                (_, Want::Torrent(key)) => {
                    self.b.torrent(self.here.filter(|here| lookup_key(*here) == key))?;
                }
                (Want::Bytes, _) if !to_a.is_empty() => {
                    let part = to_a.drain(..self.part.min(to_a.len())).collect::<Vec<_>>();
                    self.a.receive(&part)?;
                }
                (_, Want::Bytes) if !to_b.is_empty() => {
                    let part = to_b.drain(..self.part.min(to_b.len())).collect::<Vec<_>>();
                    self.b.receive(&part)?;
                }
                (Want::Nothing, Want::Nothing) => {
                    assert!(to_a.is_empty() && to_b.is_empty());
                    let a = self.a.finish().expect("it is done");
                    return Ok((a, self.b.finish().expect("so is this")));
                }
                stuck => panic!("{stuck:?} with nothing to read"),
            }
        }
    }
}

fn stream(cipher: &mut Rc4) -> [u8; 40] {
    let mut bytes = [0; 40];
    cipher.apply(&mut bytes);
    bytes
}

#[test]
fn the_responder_chooses_the_cheapest_that_both_are_fine_with() {
    for (ours, theirs, expected) in [
        (Methods::Either, Methods::Either, Method::Plain),
        (Methods::Either, Methods::Rc4, Method::Rc4),
        (Methods::Rc4, Methods::Either, Method::Rc4),
        (Methods::Rc4, Methods::Rc4, Method::Rc4),
    ] {
        let (a, b) = Pair::new(ours, theirs, 5).talk().expect("they agree");
        assert_eq!((a.method, b.method), (expected, expected));
        assert_eq!(b.early, b"hello from the other side");
        assert_eq!(a.early, b"");
        match (a.ciphers, b.ciphers) {
            (Some(mut a), Some(mut b)) => {
                assert_eq!(expected, Method::Rc4);
                assert_eq!(stream(&mut a.outgoing), stream(&mut b.incoming));
                assert_eq!(stream(&mut b.outgoing), stream(&mut a.incoming));
            }
            (None, None) => assert_eq!(expected, Method::Plain),
            _ => panic!("one encrypts, the other does not"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn however_it_is_cut_they_agree(seed: u64, part in 1..CHUNK_BYTES, rc4: bool) {
        let methods = if rc4 { Methods::Rc4 } else { Methods::Either };
        let mut pair = Pair::new(methods, Methods::Either, seed / 2);
        pair.part = part;
        let (a, b) = pair.talk().expect("they agree");
        prop_assert_eq!(a.method, b.method);
        prop_assert_eq!(&b.early[..], b"hello from the other side");
    }

    /// What comes right behind either half belongs to the stream.
    #[test]
    fn nothing_of_the_stream_is_lost(seed in 0..1000u64, rc4: bool) {
        let methods = if rc4 { Methods::Rc4 } else { Methods::Either };
        let mut pair = Pair::new(methods, Methods::Either, seed);
        pair.b.receive(&pair.a.take_output()).expect("a key");
        pair.b.exchange().expect("a good key");
        pair.a.receive(&pair.b.take_output()).expect("a key");
        pair.a.exchange().expect("a good key");
        // The initiator speaks on only in step 5, but nothing stops it in a plain stream's place.
        pair.b.receive(&pair.a.take_output()).expect("a request");
        pair.b.torrent(Some(TORRENT)).expect("its offer");
        let mut b = pair.b.finish().expect("all is there");
        let mut said = b"the stream begins".to_vec();
        if let Some(ciphers) = &mut b.ciphers {
            ciphers.outgoing.apply(&mut said);
        }
        pair.a.receive(&[pair.b.take_output(), said].concat()).expect("a selection");
        let a = pair.a.finish().expect("all is there");
        prop_assert_eq!(&a.early[..], b"the stream begins");
    }

    #[test]
    fn noise_comes_to_nothing_and_holds_little(
        noise in proptest::collection::vec(any::<u8>(), 0..4 * CHUNK_BYTES),
        seed: u64,
    ) {
        let mut a = Initiator::new(TORRENT, Methods::Either, b"x", Seed::from_u64(seed));
        let mut b = Responder::new(Methods::Either, Seed::from_u64(seed));
        for part in noise.chunks(100) {
            if a.receive(part).and_then(|()| a.exchange()).is_err() {
                break;
            }
            prop_assert!(a.held_bytes() <= PAD_BYTES_MAX + CHUNK_BYTES);
        }
        for part in noise.chunks(100) {
            if b.receive(part).and_then(|()| b.exchange()).is_err() {
                break;
            }
            prop_assert!(b.held_bytes() <= PAD_BYTES_MAX + CHUNK_BYTES);
        }
        prop_assert!(a.finish().is_none() && b.finish().is_none());
    }
}

#[test]
fn padding_of_any_length_up_to_the_bound_is_skipped() {
    for pad in [0, 1, 19, PAD_BYTES_MAX, PAD_BYTES_MAX + 1] {
        let mut b = Responder::new(Methods::Either, Seed::from_u64(2));
        let key = PrivateKey::from_bytes(&[9; 20]);
        b.receive(&key.public()).expect("a key");
        b.exchange().expect("a good key");
        let theirs = b.take_output()[..KEY_LEN].try_into().expect("a key");
        let shared = key.agree(&theirs).expect("a good key");
        let mut said = vec![0x55; pad];
        said.extend(sync_mark(&shared).0);
        said.extend(veil(lookup_key(TORRENT), &shared).0);
        let heard = said.chunks(7).try_for_each(|part| b.receive(part));
        if pad <= PAD_BYTES_MAX {
            assert_eq!(heard, Ok(()));
            assert_eq!(b.want(), Want::Torrent(lookup_key(TORRENT)));
        } else {
            assert!(matches!(heard, Err(MseError::NoSync { .. })), "{heard:?}");
        }
    }
}

#[test]
fn an_unknown_torrent_ends_it() {
    let mut pair = Pair::new(Methods::Either, Methods::Either, 3);
    pair.here = Some(Sha1Digest([1; 20]));
    assert_eq!(pair.talk().err(), Some(MseError::UnknownTorrent));
}

/// A responder that has heard which torrent is meant, and the cipher of what it hears next.
fn at_the_offer() -> (Responder, Rc4) {
    let mut b = Responder::new(Methods::Rc4, Seed::from_u64(4));
    let key = PrivateKey::from_bytes(&[9; 20]);
    b.receive(&key.public()).expect("a key");
    b.exchange().expect("a good key");
    let theirs = b.take_output()[..KEY_LEN].try_into().expect("a key");
    let shared = key.agree(&theirs).expect("a good key");
    b.receive(&sync_mark(&shared).0).expect("a mark");
    b.receive(&veil(lookup_key(TORRENT), &shared).0).expect("a name");
    b.torrent(Some(TORRENT)).expect("a torrent");
    (b, cipher(b"keyA", &shared, TORRENT))
}

#[test]
fn offers_that_cannot_be_are_refused() {
    let check = |said: &[u8], expected| {
        let (mut b, mut cipher) = at_the_offer();
        let mut said = said.to_vec();
        cipher.apply(&mut said);
        assert_eq!(b.receive(&said).err(), expected);
        assert!(b.finish().is_none());
    };
    check(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0], Some(MseError::BadVerification));
    let none = |bits| Some(MseError::NoCommonMethod { bits });
    check(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0], none(1));
    check(&[0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0], none(0xff00_0000));
    let (what, max) = ("padding", PAD_BYTES_MAX);
    let long = Some(MseError::TooLong { what, len: max + 1, max });
    check(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 1], long);
    let (what, max) = ("first messages", INITIAL_BYTES_MAX);
    let long = Some(MseError::TooLong { what, len: 0xffff, max });
    check(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0xff, 0xff], long);
    // All there but the last byte of what goes along.
    check(&[0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 3, 0, 1, 9, 0, 2, 7], None);
}

#[test]
fn selections_that_were_not_offered_are_refused() {
    for (methods, selected, expected) in [
        (Methods::Either, 1, Ok(Method::Plain)),
        (Methods::Either, 2, Ok(Method::Rc4)),
        (Methods::Either, 0x10002, Ok(Method::Rc4)),
        (Methods::Rc4, 2, Ok(Method::Rc4)),
        (Methods::Rc4, 1, Err(MseError::NoCommonMethod { bits: 1 })),
        (Methods::Either, 3, Err(MseError::NoCommonMethod { bits: 3 })),
        (Methods::Either, 0, Err(MseError::NoCommonMethod { bits: 0 })),
    ] {
        assert_eq!(methods.accept(selected), expected);
    }
}

#[test]
fn a_handshake_that_is_open_is_small() {
    assert!(size_of::<Responder>() <= 256, "{}", size_of::<Responder>());
}
