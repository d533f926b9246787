//! Items that others put here (BEP 44), and the check that an item is what its key says.

use crate::id::{NodeId, farthest};
use crate::limits::{STORED_ITEM_S, STORED_ITEMS_MAX};
use crate::sources::Sources;
use crate::wire::{Item, Mutable, Refusal};
use althing_base::Instant;
use althing_base::hash::{Sha1, sha1};
use bytes::Bytes;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

impl Item {
    /// Where it belongs: the hash of the value, or of the public key and the salt.
    pub fn target(&self) -> NodeId {
        match self {
            Item::Immutable { value } => sha1(value).into(),
            Item::Mutable(mutable) => Mutable::target(&mutable.key, &mutable.salt),
        }
    }

    /// Whether the signature, if it has one, is right.
    pub fn is_genuine(&self) -> bool {
        match self {
            Item::Immutable { .. } => true,
            Item::Mutable(mutable) => mutable.is_genuine(),
        }
    }
}

impl Mutable {
    /// Where items under a key and a salt belong.
    pub fn target(key: &[u8; 32], salt: &[u8]) -> NodeId {
        let mut hash = Sha1::new();
        hash.update(key);
        hash.update(salt);
        hash.finish().into()
    }

    /// Signs `value`, which is bencode of at most
    /// [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX), with the secret key (the seed of Ed25519).
    pub fn sign(secret: &[u8; 32], salt: Bytes, seq: i64, value: Bytes) -> Self {
        let key = SigningKey::from_bytes(secret);
        let signature = key.sign(&signed_bytes(&salt, seq, &value)).to_bytes();
        Mutable { value, key: key.verifying_key().to_bytes(), salt, seq, signature }
    }

    /// Whether the signature is right.
    pub fn is_genuine(&self) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.key) else { return false };
        let signature = Signature::from_bytes(&self.signature);
        let signed = signed_bytes(&self.salt, self.seq, &self.value);
        // Strict: keys of small order sign anything, and others would not agree on what is signed.
        key.verify_strict(&signed, &signature).is_ok()
    }
}

/// What a signature is over: the entries of a dictionary, without its `d` and `e`.
fn signed_bytes(salt: &[u8], seq: i64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + salt.len() + 40);
    if !salt.is_empty() {
        bytes.extend(format!("4:salt{}:", salt.len()).bytes());
        bytes.extend(salt);
    }
    bytes.extend(format!("3:seqi{seq}e1:v").bytes());
    bytes.extend(value);
    bytes
}

/// Items by key.
#[derive(Debug, Default)]
pub(crate) struct Items {
    items: BTreeMap<NodeId, Stored>,
    sources: Sources,
}

#[derive(Debug)]
struct Stored {
    item: Item,
    until: Instant,
    /// Who put it first.
    source: IpAddr,
}

impl Items {
    /// Puts an item. `me` is our name: where there is no room the item farthest from it goes.
    ///
    /// # Errors
    /// What to tell who put it: the signature is wrong, what is there is newer or is not what was
    /// expected, or there is no room.
    pub(crate) fn put(
        &mut self,
        now: Instant,
        me: &NodeId,
        source: IpAddr,
        item: Item,
        cas: Option<i64>,
    ) -> Result<(), Refusal> {
        let target = item.target();
        let until = now + Duration::from_secs(STORED_ITEM_S);
        let known = self.items.get_mut(&target).filter(|known| known.until > now);
        if let (Some(Stored { item: Item::Mutable(old), .. }), Item::Mutable(new)) = (&known, &item)
        {
            if cas.is_some_and(|cas| cas != old.seq) {
                return Err(refusal(Refusal::CAS_MISMATCH, "another number is stored"));
            }
            if new.seq < old.seq || (new.seq == old.seq && new.value != old.value) {
                return Err(refusal(Refusal::SEQ_TOO_LOW, "a newer item is stored"));
            }
        }
        let wrong = || refusal(Refusal::BAD_SIGNATURE, "the signature is wrong");
        if let Some(known) = known {
            if !item.is_genuine() {
                return Err(wrong());
            }
            (known.item, known.until) = (item, until);
            return Ok(());
        }
        // Whether there is room is told a hundred times as fast as whether the signature is right.
        let gone = self.in_the_way(me, &target);
        if !self.sources.may(source) || gone == Some(target) {
            return Err(refusal(Refusal::SERVER, "no room"));
        }
        if !item.is_genuine() {
            return Err(wrong());
        }
        if let Some(gone) = gone.and_then(|gone| self.items.remove(&gone)) {
            self.sources.remove(gone.source);
        }
        self.sources.add(source);
        if let Some(old) = self.items.insert(target, Stored { item, until, source }) {
            self.sources.remove(old.source);
        }
        Ok(())
    }

    /// What is stored under a key.
    pub(crate) fn get(&self, now: Instant, target: &NodeId) -> Option<&Item> {
        let stored = self.items.get(target)?;
        (stored.until > now).then_some(&stored.item)
    }

    /// Forgets items whose time has ended.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let sources = &mut self.sources;
        self.items.retain(|_, stored| {
            let stays = stored.until > now;
            if !stays {
                sources.remove(stored.source);
            }
            stays
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Which item has to go for a new one, if one has to: itself, if it is the farthest.
    fn in_the_way(&self, me: &NodeId, new: &NodeId) -> Option<NodeId> {
        if self.items.len() < STORED_ITEMS_MAX || self.items.contains_key(new) {
            return None;
        }
        let farthest = farthest(&self.items, me)?;
        Some(if farthest.distance(me) <= new.distance(me) { *new } else { farthest })
    }
}

fn refusal(code: i64, text: &str) -> Refusal {
    Refusal { code, text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId([0; 20]);
    const SECRET: [u8; 32] = [7; 32];

    fn at(secs: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(secs)
    }

    fn ip(n: u32) -> IpAddr {
        IpAddr::from((n + 0x0800_0000).to_be_bytes())
    }

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    }

    fn mutable(seq: i64, value: &'static [u8]) -> Item {
        Item::Mutable(Mutable::sign(&SECRET, Bytes::new(), seq, Bytes::from_static(value)))
    }

    /// BEP 44's test vectors 1 and 2.
    #[test]
    fn mutable_items_of_bep_44() {
        let key = hex("77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548");
        let vectors = [
            (
                "",
                "4a533d47ec9c7d95b1ad75f576cffc641853b750",
                "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff\
                 1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01",
            ),
            (
                "foobar",
                "411eba73b6f087ca51a3795d9c8c938d365e32c1",
                "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d\
                 df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08",
            ),
        ];
        for (salt, target, signature) in vectors {
            let mut item = Mutable {
                value: Bytes::from_static(b"12:Hello World!"),
                key,
                salt: Bytes::from_static(salt.as_bytes()),
                seq: 1,
                signature: hex(signature),
            };
            assert!(item.is_genuine(), "{salt}");
            assert_eq!(Item::Mutable(item.clone()).target().to_string(), target);
            item.seq = 2;
            assert!(!item.is_genuine());
        }
        assert_eq!(
            signed_bytes(b"foobar", 1, b"12:Hello World!"),
            b"4:salt6:foobar3:seqi1e1:v12:Hello World!"
        );
    }

    /// BEP 44's test vector 3.
    #[test]
    fn an_immutable_item_of_bep_44() {
        let item = Item::Immutable { value: Bytes::from_static(b"12:Hello World!") };
        assert_eq!(item.target().to_string(), "e5f96f6f38320f0f33959cb4d3d656452117aadb");
    }

    #[test]
    fn the_newer_stays_and_a_wrong_guess_is_told() {
        let mut items = Items::default();
        let mut put = |secs, item, cas| {
            items.put(at(secs), &ME, ip(1), item, cas).map_err(|refusal| refusal.code)
        };
        assert_eq!(put(0, mutable(4, b"1:a"), None), Ok(()));
        assert_eq!(put(1, mutable(3, b"1:b"), None), Err(Refusal::SEQ_TOO_LOW));
        assert_eq!(put(1, mutable(4, b"1:b"), None), Err(Refusal::SEQ_TOO_LOW));
        assert_eq!(put(1, mutable(4, b"1:a"), None), Ok(()));
        assert_eq!(put(1, mutable(5, b"1:b"), Some(3)), Err(Refusal::CAS_MISMATCH));
        assert_eq!(put(1, mutable(5, b"1:b"), Some(4)), Ok(()));
        let Item::Mutable(mut forged) = mutable(6, b"1:c") else { panic!("it is one") };
        forged.value = Bytes::from_static(b"1:d");
        assert_eq!(put(2, Item::Mutable(forged), None), Err(Refusal::BAD_SIGNATURE));
        let target = mutable(5, b"1:b").target();
        assert_eq!(items.get(at(2), &target), Some(&mutable(5, b"1:b")));
        assert_eq!(items.get(at(1 + STORED_ITEM_S), &target), None);
        items.sweep(at(1 + STORED_ITEM_S));
        assert!(items.is_empty() && items.sources.len() == 0);
    }

    #[test]
    fn items_are_bounded_and_the_nearest_stay() {
        let mut items = Items::default();
        for n in 0..3_000u32 {
            let value = Bytes::from(format!("i{n}e"));
            let _ = items.put(at(0), &ME, ip(n), Item::Immutable { value }, None);
        }
        assert_eq!(items.len(), STORED_ITEMS_MAX);
        let farthest = items.items.keys().max().expect("there are 700");
        // 700 of 3,000: the nearest quarter of the space, or thereabouts.
        assert!(farthest.0[0] < 80, "{farthest}");
        for n in 0..3_000u32 {
            let value = Bytes::from(format!("i-{}e", n + 1));
            let _ = items.put(at(0), &ME, ip(1), Item::Immutable { value }, None);
        }
        let mine = items.items.values().filter(|stored| stored.source == ip(1)).count();
        assert!(mine <= 100, "{mine}");
    }
}
