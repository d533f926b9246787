//! Mail: whatever is read as an envelope is written the same again and opened by nobody for whom it was not
//! sealed; a carrier that gets a sequence of them keeps to its bounds, and nothing that was received comes back.

use althing_base::UnixTime;
use althing_overlay::mail::carrier::{Caps, Carrier};
use althing_overlay::mail::envelope::{Envelope, Tag, Token};
use althing_overlay::{Keys, NetworkKey, NodeId};
use std::collections::BTreeSet;

const NOW: UnixTime = UnixTime(1_800_000_000);

/// Bytes that a carrier may keep here: five of the smallest, none of the largest.
const CARRIED_BYTES: usize = 4_000;

/// Takes the bytes for an envelope, and for what happens to a carrier, four at a time.
pub fn run(data: &[u8]) {
    if let Ok(envelope) = Envelope::parse(data) {
        assert_eq!(&envelope.bytes()[..], data);
        let keys = Keys::from_secret(&[1; 32]);
        let secrets = [[2; 32]];
        let opened =
            envelope.open(&NetworkKey::public(), &keys.node(), &secrets, NodeId::has_signed);
        assert!(opened.is_err());
        let around = Envelope::around(
            envelope.tag(),
            envelope.commitment(),
            envelope.expires(),
            &data[73..data.len() - 8],
        );
        assert_eq!(around.map(|around| around.id()), Ok(envelope.id()));
    }
    let mut carrier = Carrier::new(Caps { bytes: CARRIED_BYTES, work_bits: 0 });
    let (mut now, mut received) = (NOW.0, BTreeSet::new());
    for step in data.as_chunks::<4>().0.iter().take(200) {
        let &[what, tag, number, lifetime] = step;
        let token = Token([number; 32]);
        let size = if number % 4 == 3 { 2_048 } else { 512 };
        let expires = UnixTime(NOW.0 + i64::from(lifetime));
        let sealed = vec![tag; size + 48];
        let tag = Tag([tag % 4; 32]);
        let made = Envelope::around(tag, token.commitment(), expires, &sealed);
        let envelope = made.expect("it has one of the sizes");
        let id = envelope.id();
        match what % 6 {
            0 | 1 => {
                let is_kept = carrier.keep(UnixTime(now), &envelope).is_ok();
                assert!(!is_kept || !received.contains(&id) && expires.0 > now);
            }
            2 => drop(carrier.is_on_disk(&id)),
            3 => {
                if carrier.show(&id, &token).is_some() {
                    received.insert(id);
                }
            }
            4 => assert!(carrier.show(&id, &Token([0xee; 32])).is_none() || number == 0xee),
            _ => {
                now += i64::from(number % 8);
                for gone in carrier.expire(UnixTime(now)) {
                    received.remove(&gone);
                }
            }
        }
        assert!(carrier.bytes() <= CARRIED_BYTES);
        assert_eq!(carrier.receipts(), received.len());
        assert!(received.iter().all(|id| carrier.get(id).is_none()));
        let tags: Vec<Tag> = carrier.tags().copied().collect();
        assert!(tags.iter().all(|tag| carrier.has(tag)));
        assert!(carrier.next_expiry().is_none_or(|at| at.0 > NOW.0));
    }
}
