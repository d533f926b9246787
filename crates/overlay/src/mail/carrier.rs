//! What a node keeps for others: mail that waits for its receiver, and receipts of what has been received.
//!
//! Nothing is told to others before it is on disk: what is new is kept back until the driver says that it lasts.

use super::envelope::{Envelope, MailId, Tag, Token};
use super::limits::{
    CARRIED_BYTES, CARRIED_MAX, CLOCK_SLACK_S, LIFETIME_MAX_S, RECEIPTS_MAX, TAG_BYTES_MAX,
    TAG_MAILS_MAX, WORK_BITS,
};
use althing_base::UnixTime;
use std::collections::{BTreeMap, BTreeSet};

/// How much a node carries for others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caps {
    /// Bytes of envelopes, at most; with 0 it carries nothing.
    pub bytes: usize,
    /// Bits of work that are asked of the smallest envelope; 0 asks for none.
    pub work_bits: u32,
}

impl Default for Caps {
    fn default() -> Self {
        Caps { bytes: CARRIED_BYTES, work_bits: WORK_BITS }
    }
}

/// That a mail was received: who shows its token has opened it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Which mail.
    pub id: MailId,
    /// By which it was found.
    pub tag: Tag,
    /// What was inside.
    pub token: Token,
    /// Until when anybody can ask.
    pub expires: UnixTime,
}

/// Why an envelope is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotKept {
    /// It is here already.
    Held,
    /// It has been received.
    Received(Receipt),
    /// It has expired, or would live too long.
    Time,
    /// It has not the work that is asked for.
    Work,
    /// There is no room.
    Full,
}

#[derive(Debug)]
struct Held {
    envelope: Envelope,
    /// It is on disk.
    is_sure: bool,
    /// Our own user has sent it: it takes no room of others'.
    is_own: bool,
    spare: u32,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Carrier {
    caps: Caps,
    held: BTreeMap<MailId, Held>,
    receipts: BTreeMap<MailId, Receipt>,
    by_tag: BTreeMap<Tag, BTreeSet<MailId>>,
    by_expiry: BTreeSet<(UnixTime, MailId)>,
    bytes: usize,
    count: usize,
}

impl Carrier {
    /// Keeps nothing yet.
    pub fn new(caps: Caps) -> Self {
        Carrier { caps, ..Carrier::default() }
    }

    /// Bytes of others' envelopes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many envelopes of others there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many receipts are remembered.
    pub fn receipts(&self) -> usize {
        self.receipts.len()
    }

    /// All tags of which something is here.
    pub fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.by_tag.keys()
    }

    /// Whether anything of a tag is here.
    pub fn has(&self, tag: &Tag) -> bool {
        self.by_tag.contains_key(tag)
    }

    /// A mail that is here and on disk.
    pub fn get(&self, id: &MailId) -> Option<&Envelope> {
        self.held.get(id).filter(|held| held.is_sure).map(|held| &held.envelope)
    }

    /// Mails of a tag that are here and on disk, those of our own user included.
    pub fn held(&self, tag: &Tag) -> impl Iterator<Item = &Envelope> {
        let ids = self.by_tag.get(tag).into_iter().flatten();
        ids.filter_map(|id| self.get(id))
    }

    /// Receipts of a tag.
    pub fn received(&self, tag: &Tag) -> impl Iterator<Item = &Receipt> {
        let ids = self.by_tag.get(tag).into_iter().flatten();
        ids.filter_map(|id| self.receipts.get(id))
    }

    /// The receipt of a mail.
    pub fn receipt(&self, id: &MailId) -> Option<&Receipt> {
        self.receipts.get(id)
    }

    /// Tags of which others' mail waits here.
    pub fn waiting(&self) -> BTreeSet<Tag> {
        let others = self.held.values().filter(|held| !held.is_own);
        others.map(|held| held.envelope.tag()).collect()
    }

    /// Whether an envelope could be on its way at all: its times are sound and there is work on it.
    ///
    /// # Errors
    /// Why not. How much more work there is than was asked, if it is.
    pub fn judge(&self, now: UnixTime, envelope: &Envelope) -> Result<u32, NotKept> {
        let expires = envelope.expires();
        let last = now.0.saturating_add(LIFETIME_MAX_S + CLOCK_SLACK_S);
        if expires <= now || expires.0 > last {
            return Err(NotKept::Time);
        }
        if let Some(receipt) = self.receipts.get(&envelope.id()) {
            return Err(NotKept::Received(*receipt));
        }
        envelope.spare_work(self.caps.work_bits).ok_or(NotKept::Work)
    }

    /// Takes an envelope of somebody else's in, if there is room; it counts as here once it is
    /// [on disk](Self::is_on_disk). What had to give way for it.
    ///
    /// # Errors
    /// Why it is not kept.
    pub fn keep(&mut self, now: UnixTime, envelope: &Envelope) -> Result<Vec<MailId>, NotKept> {
        let spare = self.judge(now, envelope)?;
        if self.held.contains_key(&envelope.id()) {
            return Err(NotKept::Held);
        }
        let bytes = envelope.bytes().len();
        let is_full = self.bytes + bytes > self.caps.bytes || self.count >= CARRIED_MAX;
        let mut of_tag: Vec<(u32, usize, MailId)> = Vec::new();
        for id in self.by_tag.get(&envelope.tag()).into_iter().flatten() {
            if let Some(held) = self.held.get(id).filter(|held| !held.is_own) {
                of_tag.push((held.spare, held.envelope.bytes().len(), *id));
            }
        }
        let sum: usize = of_tag.iter().map(|(_, bytes, _)| bytes).sum();
        let mut gone = Vec::new();
        if of_tag.len() >= TAG_MAILS_MAX || sum + bytes > TAG_BYTES_MAX || is_full {
            // Only of its own tag: who has mail for one does not drive out mail for another.
            let least = of_tag.into_iter().min().filter(|(least, ..)| *least < spare);
            let Some((_, freed, least)) = least else { return Err(NotKept::Full) };
            let fits = sum - freed + bytes <= TAG_BYTES_MAX
                && self.bytes - freed + bytes <= self.caps.bytes;
            if !fits {
                return Err(NotKept::Full);
            }
            self.remove(&least);
            gone.push(least);
        }
        self.put(
            envelope,
            Held { envelope: envelope.clone(), is_sure: false, is_own: false, spare },
        );
        Ok(gone)
    }

    /// Takes one in that our own user sends and that is on disk, whatever room there is.
    pub fn keep_own(&mut self, envelope: &Envelope) {
        self.remove(&envelope.id());
        let spare = u32::MAX;
        self.put(envelope, Held { envelope: envelope.clone(), is_sure: true, is_own: true, spare });
    }

    fn put(&mut self, envelope: &Envelope, held: Held) {
        if !held.is_own {
            self.bytes += envelope.bytes().len();
            self.count += 1;
        }
        self.index(envelope.tag(), envelope.expires(), envelope.id());
        self.held.insert(envelope.id(), held);
    }

    fn index(&mut self, tag: Tag, expires: UnixTime, id: MailId) {
        self.by_tag.entry(tag).or_default().insert(id);
        self.by_expiry.insert((expires, id));
    }

    fn unindex(&mut self, tag: Tag, expires: UnixTime, id: MailId) {
        if let Some(ids) = self.by_tag.get_mut(&tag) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_tag.remove(&tag);
            }
        }
        self.by_expiry.remove(&(expires, id));
    }

    /// An envelope lasts now. Whether it is still wanted.
    pub fn is_on_disk(&mut self, id: &MailId) -> bool {
        self.held.get_mut(id).is_some_and(|held| {
            held.is_sure = true;
            true
        })
    }

    /// Throws one away; whether it was here.
    pub fn remove(&mut self, id: &MailId) -> bool {
        let Some(held) = self.held.remove(id) else { return false };
        if !held.is_own {
            self.bytes -= held.envelope.bytes().len();
            self.count -= 1;
        }
        self.unindex(held.envelope.tag(), held.envelope.expires(), *id);
        true
    }

    /// Somebody shows a token. The receipt, if it is one of a mail that is here, which is thrown away.
    pub fn show(&mut self, id: &MailId, token: &Token) -> Option<Receipt> {
        let envelope = &self.held.get(id)?.envelope;
        if token.commitment() != envelope.commitment() {
            return None;
        }
        let (tag, expires) = (envelope.tag(), envelope.expires());
        let receipt = Receipt { id: *id, tag, token: *token, expires };
        self.remember(receipt);
        Some(receipt)
    }

    /// Remembers a receipt that is known to be right.
    pub fn remember(&mut self, receipt: Receipt) {
        self.remove(&receipt.id);
        if self.receipts.insert(receipt.id, receipt).is_none() {
            self.index(receipt.tag, receipt.expires, receipt.id);
        }
        while self.receipts.len() > RECEIPTS_MAX {
            let receipts = &self.receipts;
            let first = self.by_expiry.iter().find(|(_, id)| receipts.contains_key(id));
            let Some((_, id)) = first.copied() else { break };
            self.forget(&id);
        }
    }

    fn forget(&mut self, id: &MailId) {
        if let Some(old) = self.receipts.remove(id) {
            self.unindex(old.tag, old.expires, *id);
        }
    }

    /// When the next of all that is here expires.
    pub fn next_expiry(&self) -> Option<UnixTime> {
        self.by_expiry.first().map(|(at, _)| *at)
    }

    /// Throws away what has expired: mails and receipts.
    pub fn expire(&mut self, now: UnixTime) -> Vec<MailId> {
        let mut gone = Vec::new();
        while let Some((_, id)) = self.by_expiry.first().copied().filter(|(at, _)| *at <= now) {
            self.remove(&id);
            self.forget(&id);
            gone.push(id);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::limits::SIZES;
    use proptest::prelude::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn envelope(tag: u8, number: u64, size: usize, lifetime_s: i64) -> (Envelope, Token) {
        let mut token = [0; 32];
        token[..8].copy_from_slice(&number.to_be_bytes());
        let token = Token(token);
        let sealed = vec![0; SIZES[size] + 48];
        let expires = UnixTime(NOW.0 + lifetime_s);
        let made = Envelope::around(Tag([tag; 32]), token.commitment(), expires, &sealed);
        (made.unwrap(), token)
    }

    fn carrier(bytes: usize) -> Carrier {
        Carrier::new(Caps { bytes, work_bits: 0 })
    }

    #[test]
    fn nothing_is_shown_before_it_is_on_disk_and_a_token_ends_it() {
        let mut carrier = carrier(10_000);
        let (mail, token) = envelope(1, 1, 0, 100);
        assert_eq!(carrier.keep(NOW, &mail), Ok(Vec::new()));
        assert_eq!(carrier.held(&mail.tag()).count(), 0);
        assert_eq!(carrier.keep(NOW, &mail), Err(NotKept::Held));
        assert!(carrier.is_on_disk(&mail.id()));
        assert_eq!(carrier.held(&mail.tag()).count(), 1);
        assert_eq!(carrier.show(&mail.id(), &Token([9; 32])), None);
        let receipt = carrier.show(&mail.id(), &token).unwrap();
        assert!(carrier.is_empty() && carrier.bytes() == 0);
        // A copy that is played again finds that.
        assert_eq!(carrier.keep(NOW, &mail), Err(NotKept::Received(receipt)));
        assert_eq!(carrier.expire(mail.expires()), [mail.id()]);
        assert_eq!(carrier.receipts() + carrier.tags().count(), 0);
    }

    #[test]
    fn what_is_too_old_or_lives_too_long_is_not_kept() {
        let mut carrier = carrier(1 << 20);
        for (lifetime, expected) in [
            (0, Err(NotKept::Time)),
            (LIFETIME_MAX_S + CLOCK_SLACK_S, Ok(Vec::new())),
            (LIFETIME_MAX_S + CLOCK_SLACK_S + 1, Err(NotKept::Time)),
        ] {
            let (mail, _) = envelope(1, 1, 0, lifetime);
            assert_eq!(carrier.keep(NOW, &mail), expected);
        }
    }

    #[test]
    fn who_floods_one_receiver_leaves_room_for_others() {
        let mut carrier = carrier(1 << 20);
        for number in 0..500 {
            let _ = carrier.keep(NOW, &envelope(1, number, 0, 100).0);
        }
        assert_eq!(carrier.len(), TAG_MAILS_MAX);
        assert_eq!(carrier.keep(NOW, &envelope(2, 1, 0, 100).0), Ok(Vec::new()));
        for number in 0..500 {
            let _ = carrier.keep(NOW, &envelope(3, number, 3, 100).0);
        }
        assert!(carrier.held.values().filter(|h| h.envelope.tag() == Tag([3; 32])).count() <= 16);
        // Work counts, where there is any.
        let (mail, _) = envelope(1, 1_000, 0, 100);
        let least = carrier.held.values_mut().find(|h| h.envelope.tag() == mail.tag()).unwrap();
        let id = least.envelope.id();
        assert_eq!(carrier.keep(NOW, &mail), Err(NotKept::Full));
        carrier.held.values_mut().for_each(|held| held.spare = 0);
        assert_eq!(carrier.keep(NOW, &mail), Err(NotKept::Full));
        assert!(carrier.held.contains_key(&id));
    }

    #[test]
    fn our_own_mail_takes_no_room_of_others() {
        let mut carrier = carrier(0);
        let (mail, token) = envelope(1, 1, 3, 100);
        assert_eq!(carrier.keep(NOW, &mail), Err(NotKept::Full));
        carrier.keep_own(&mail);
        assert_eq!((carrier.get(&mail.id()), carrier.bytes()), (Some(&mail), 0));
        assert!(carrier.waiting().is_empty());
        assert!(carrier.show(&mail.id(), &token).is_some());
        assert_eq!(carrier.get(&mail.id()), None);
    }

    proptest! {
        /// Whatever comes and goes, the sums are right and bounds hold.
        #[test]
        fn sums_are_right_and_bounds_hold(
            steps in proptest::collection::vec((0..4u8, 0..20u64, 0..4usize, 1..50i64, 0..5u8), 1..200)
        ) {
            let mut carrier = carrier(60_000);
            let mut now = NOW;
            for (tag, number, size, lifetime, what) in steps {
                let (mail, token) = envelope(tag, number, size, lifetime);
                match what {
                    0 | 1 => drop(carrier.keep(now, &mail)),
                    2 => drop(carrier.is_on_disk(&mail.id())),
                    3 => drop(carrier.show(&mail.id(), &token)),
                    _ => {
                        now = UnixTime(now.0 + 3);
                        carrier.expire(now);
                    }
                }
                let sum: usize = carrier.held.values().map(|h| h.envelope.bytes().len()).sum();
                prop_assert_eq!((carrier.bytes(), carrier.len()), (sum, carrier.held.len()));
                prop_assert!(carrier.bytes() <= 60_000);
                let known = carrier.held.len() + carrier.receipts.len();
                prop_assert_eq!(carrier.by_expiry.len(), known);
                prop_assert_eq!(carrier.by_tag.values().map(BTreeSet::len).sum::<usize>(), known);
                prop_assert!(carrier.held.keys().all(|id| !carrier.receipts.contains_key(id)));
                prop_assert!(carrier.by_expiry.first().is_none_or(|(at, _)| *at > now || what < 4));
            }
        }
    }
}
