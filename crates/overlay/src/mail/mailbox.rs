//! A user's mail: what has come, what was sent and how it is with it, and which mails were seen, so that none
//! comes twice. Without IO: each change is handed out, to be written down.

use super::carrier::Receipt;
use super::envelope::{Envelope, Letter, MailId, Token};
use super::io::State;
use super::limits::{INBOX_BYTES_MAX, INBOX_MAX, OF_SENDER_UNREAD_MAX, SEEN_MAX, SENT_MAX};
use crate::id::NodeId;
use althing_base::UnixTime;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Mail that has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// Its name.
    pub id: MailId,
    /// When it came, by our clock.
    pub arrived: UnixTime,
    /// The user has seen it.
    pub is_read: bool,
    /// What it says, and who has signed it.
    pub letter: Letter,
}

/// Mail that was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// As it goes to carriers.
    pub envelope: Envelope,
    /// Whom it is for.
    pub receiver: NodeId,
    /// When it was sent.
    pub sent: UnixTime,
    /// How it is with it.
    pub state: State,
    /// See [`Letter::kind`].
    pub kind: u8,
    /// What it says.
    pub body: Vec<u8>,
}

/// A change, to be written down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// This has come, or was read.
    Received(Box<Received>),
    /// This was thrown away.
    Dropped(MailId),
    /// This was sent, or it is otherwise with it.
    Sent(Box<Sent>),
    /// This of what was sent was thrown away.
    Forgotten(MailId),
    /// This is known, whatever becomes of it.
    Seen(Receipt),
    /// This is known no longer: it has expired.
    Unseen(MailId),
}

/// What became of mail that has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It is new. When it is on disk, this may be shown.
    New(Receipt),
    /// It was here before.
    Again(Receipt),
    /// There is no room for it now.
    Full,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Mailbox {
    received: BTreeMap<MailId, Received>,
    bytes: usize,
    sent: BTreeMap<MailId, Sent>,
    seen: BTreeMap<MailId, Receipt>,
    by_expiry: BTreeSet<(UnixTime, MailId)>,
    changes: VecDeque<Change>,
}

impl Mailbox {
    /// Puts back what was written down.
    pub fn restore(&mut self, change: Change) {
        match change {
            Change::Received(received) => {
                self.bytes += received.letter.body.len();
                self.received.insert(received.id, *received);
            }
            Change::Sent(sent) => drop(self.sent.insert(sent.envelope.id(), *sent)),
            Change::Seen(receipt) => self.see(receipt),
            Change::Dropped(_) | Change::Forgotten(_) | Change::Unseen(_) => {}
        }
    }

    fn see(&mut self, receipt: Receipt) {
        self.by_expiry.insert((receipt.expires, receipt.id));
        self.seen.insert(receipt.id, receipt);
    }

    /// What has changed.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// Mail has come that we have opened.
    pub fn take(&mut self, now: UnixTime, envelope: &Envelope, letter: Letter) -> Taken {
        let id = envelope.id();
        if let Some(receipt) = self.seen.get(&id) {
            return Taken::Again(*receipt);
        }
        let of_sender = self
            .received
            .values()
            .filter(|received| received.letter.sender == letter.sender && !received.is_read);
        // Whom we have written to finds room that strangers cannot take.
        let is_known = self.sent.values().any(|sent| sent.receiver == letter.sender);
        let part = if is_known { 1 } else { 2 };
        let is_full = self.received.len() >= INBOX_MAX / part
            || self.bytes + letter.body.len() > INBOX_BYTES_MAX / part
            // Those are never forgotten early: it could come again.
            || self.seen.len() >= SEEN_MAX / part
            || of_sender.count() >= OF_SENDER_UNREAD_MAX;
        if is_full || envelope.expires() <= now {
            return Taken::Full;
        }
        let (tag, expires, token) = (envelope.tag(), envelope.expires(), letter.token);
        let receipt = Receipt { id, tag, token, expires };
        let received = Received { id, arrived: now, is_read: false, letter };
        self.bytes += received.letter.body.len();
        self.changes.push_back(Change::Received(Box::new(received.clone())));
        self.changes.push_back(Change::Seen(receipt));
        self.received.insert(id, received);
        self.see(receipt);
        Taken::New(receipt)
    }

    /// What was just taken could not be written down: it is as if it had never come.
    pub fn undo(&mut self, id: &MailId) {
        if let Some(old) = self.received.remove(id) {
            self.bytes -= old.letter.body.len();
        }
        if let Some(old) = self.seen.remove(id) {
            self.by_expiry.remove(&(old.expires, *id));
        }
        self.changes.push_back(Change::Dropped(*id));
        self.changes.push_back(Change::Unseen(*id));
    }

    /// All receipts of what has come.
    pub fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.seen.values()
    }

    /// What has come, the oldest first.
    pub fn received(&self) -> Vec<&Received> {
        let mut all: Vec<_> = self.received.values().collect();
        all.sort_by_key(|received| (received.arrived, received.id));
        all
    }

    /// One of those that have come, which is read from now on.
    pub fn read(&mut self, id: &MailId) -> Option<&Received> {
        let received = self.received.get_mut(id)?;
        if !received.is_read {
            received.is_read = true;
            self.changes.push_back(Change::Received(Box::new(received.clone())));
        }
        Some(received)
    }

    /// Something is sent. Whether there is room.
    pub fn send(&mut self, sent: Sent) -> bool {
        if self.sent.len() >= SENT_MAX {
            return false;
        }
        self.changes.push_back(Change::Sent(Box::new(sent.clone())));
        self.sent.insert(sent.envelope.id(), sent);
        true
    }

    /// What was sent, the oldest first.
    pub fn sent(&self) -> Vec<&Sent> {
        let mut all: Vec<_> = self.sent.values().collect();
        all.sort_by_key(|sent| (sent.sent, sent.envelope.id()));
        all
    }

    /// One of those that were sent.
    pub fn sent_by_id(&self, id: &MailId) -> Option<&Sent> {
        self.sent.get(id)
    }

    /// Whether what was sent is still to be delivered.
    pub fn is_waiting(state: State) -> bool {
        matches!(state, State::Held(_))
    }

    /// It is otherwise with something that was sent. What is delivered stays so.
    pub fn state(&mut self, id: &MailId, state: State) {
        let Some(sent) = self.sent.get_mut(id) else { return };
        if Mailbox::is_waiting(sent.state) && sent.state != state {
            sent.state = state;
            self.changes.push_back(Change::Sent(Box::new(sent.clone())));
        }
    }

    /// Throws away what has come or was sent; whether it was there. That it was seen is remembered.
    pub fn remove(&mut self, id: &MailId) -> bool {
        if let Some(old) = self.received.remove(id) {
            self.bytes -= old.letter.body.len();
            self.changes.push_back(Change::Dropped(*id));
            return true;
        }
        let was_there = self.sent.remove(id).is_some();
        if was_there {
            self.changes.push_back(Change::Forgotten(*id));
        }
        was_there
    }

    /// Forgets what has expired and can be shown by nobody any more.
    pub fn expire(&mut self, now: UnixTime) {
        while let Some((_, id)) = self.by_expiry.first().copied().filter(|(at, _)| *at <= now) {
            self.by_expiry.pop_first();
            self.seen.remove(&id);
            self.changes.push_back(Change::Unseen(id));
        }
    }

    /// The receipt of what was delivered, by which others learn that they can throw it away.
    pub fn receipt_of(sent: &Sent) -> Option<Receipt> {
        let State::Delivered(token) = sent.state else { return None };
        let Token(_) = token;
        let envelope = &sent.envelope;
        let (id, tag, expires) = (envelope.id(), envelope.tag(), envelope.expires());
        Some(Receipt { id, tag, token, expires })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::envelope::Tag;
    use crate::mail::limits::SIZES;

    const NOW: UnixTime = UnixTime(1_000);

    fn mail(number: u8, expires: i64) -> (Envelope, Letter) {
        let token = Token([number; 32]);
        let sealed = vec![number; SIZES[0] + 48];
        let commitment = token.commitment();
        let made = Envelope::around(Tag([1; 32]), commitment, UnixTime(expires), &sealed);
        let sender = NodeId([number % 2; 32]);
        let letter = Letter { sender, sent: NOW, token, kind: 1, body: b"hello".to_vec() };
        (made.unwrap(), letter)
    }

    #[test]
    fn no_mail_comes_twice_though_it_was_thrown_away() {
        let mut mailbox = Mailbox::default();
        let (envelope, letter) = mail(1, 2_000);
        let Taken::New(receipt) = mailbox.take(NOW, &envelope, letter.clone()) else { panic!() };
        assert_eq!(mailbox.take(NOW, &envelope, letter.clone()), Taken::Again(receipt));
        assert!(mailbox.remove(&envelope.id()));
        assert_eq!(mailbox.take(NOW, &envelope, letter.clone()), Taken::Again(receipt));
        // The same after a restart.
        let mut again = Mailbox::default();
        while let Some(change) = mailbox.poll_change() {
            match change {
                Change::Received(_) | Change::Dropped(_) => {}
                change => again.restore(change),
            }
        }
        assert_eq!(again.take(NOW, &envelope, letter.clone()), Taken::Again(receipt));
        assert!(again.received().is_empty());
        // When it has expired it is refused for that.
        again.expire(UnixTime(2_000));
        assert_eq!(again.take(UnixTime(2_000), &envelope, letter), Taken::Full);
    }

    #[test]
    fn one_sender_does_not_fill_it() {
        let mut mailbox = Mailbox::default();
        let mut taken = 0;
        for number in 0..=u8::MAX {
            let (envelope, letter) = mail(number, 2_000);
            taken += usize::from(mailbox.take(NOW, &envelope, letter) != Taken::Full);
        }
        assert_eq!(taken, 2 * OF_SENDER_UNREAD_MAX);
        let id = mailbox.received()[0].id;
        assert!(mailbox.read(&id).is_some_and(|received| received.is_read));
        let (envelope, letter) = mail(id.0[0], 3_000);
        let letter = Letter { sender: mailbox.received[&id].letter.sender, ..letter };
        assert!(matches!(mailbox.take(NOW, &envelope, letter), Taken::New(_)));
    }

    #[test]
    fn strangers_leave_room_for_those_whom_we_have_written_to() {
        let mut mailbox = Mailbox::default();
        let (one, mut letter) = mail(1, 2_000);
        for number in 0..INBOX_MAX as u64 {
            let mut token = [0; 32];
            token[..8].copy_from_slice(&number.to_be_bytes());
            letter.sender = NodeId(token);
            letter.token = Token(token);
            let sealed = vec![0; SIZES[0] + 48];
            let commitment = letter.token.commitment();
            let made = Envelope::around(Tag([1; 32]), commitment, UnixTime(2_000), &sealed);
            mailbox.take(NOW, &made.unwrap(), letter.clone());
        }
        assert_eq!(mailbox.received().len(), INBOX_MAX / 2);
        letter.sender = NodeId([0xff; 32]);
        assert_eq!(mailbox.take(NOW, &one, letter.clone()), Taken::Full);
        let (envelope, receiver, state) = (one.clone(), letter.sender, State::Held(0));
        mailbox.send(Sent { envelope, receiver, sent: NOW, state, kind: 1, body: Vec::new() });
        assert!(matches!(mailbox.take(NOW, &one, letter), Taken::New(_)));
    }

    #[test]
    fn what_is_delivered_stays_so() {
        let mut mailbox = Mailbox::default();
        let (envelope, _) = mail(1, 2_000);
        let (id, token) = (envelope.id(), Token([1; 32]));
        let (state, body) = (State::Held(0), Vec::new());
        let receiver = NodeId([4; 32]);
        assert!(mailbox.send(Sent { envelope, receiver, sent: NOW, state, kind: 1, body }));
        mailbox.state(&id, State::Held(3));
        mailbox.state(&id, State::Delivered(token));
        mailbox.state(&id, State::Expired);
        mailbox.state(&id, State::Held(2));
        let sent = mailbox.sent_by_id(&id).unwrap();
        assert_eq!(sent.state, State::Delivered(token));
        assert_eq!(Mailbox::receipt_of(sent).map(|receipt| receipt.id), Some(id));
        assert!(mailbox.remove(&id) && !mailbox.remove(&id));
    }
}
