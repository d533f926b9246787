//! How mail is written down: what a user has, and what is carried for others. Codecs of their own, so that
//! what is on disk does not change with how things are named in memory.

use althing_base::UnixTime;
use althing_overlay::NodeId;
use althing_overlay::mail::carrier::Receipt;
use althing_overlay::mail::envelope::{Envelope, Letter, MailId, Tag, Token};
use althing_overlay::mail::io::State;
use althing_overlay::mail::mailbox::{Change, Received, Sent};

/// The keyspaces, in the order of [`Room`].
pub(crate) const ROOMS: [&str; 5] =
    ["mail_received", "mail_sent", "mail_seen", "mail_carried", "mail_receipts"];

/// What is kept where; the key is always a mail's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Room {
    Received,
    Sent,
    Seen,
    Carried,
    Receipts,
}

/// What is to be written of mail.
#[derive(Clone, Debug)]
pub enum MailNote {
    /// Of the user's.
    Own(Change),
    /// Somebody else's mail is carried.
    Carry(Envelope),
    /// And no longer, nor its receipt.
    LetGo(MailId),
    /// A receipt is remembered.
    Remember(Receipt),
}

/// What the last run has left of mail.
#[derive(Debug, Default)]
pub struct LoadedMail {
    /// What the user has, to be put back.
    pub own: Vec<Change>,
    /// What was carried for others.
    pub carried: Vec<Envelope>,
    /// Receipts that were remembered.
    pub receipts: Vec<Receipt>,
    /// Entries that make no sense, which are left out.
    pub damaged: usize,
}

impl LoadedMail {
    /// Takes up an entry.
    pub(crate) fn take(&mut self, room: Room, key: &[u8], value: &[u8]) {
        if self.read(room, key, value).is_none() {
            self.damaged += 1;
        }
    }

    fn read(&mut self, room: Room, key: &[u8], value: &[u8]) -> Option<()> {
        let id = MailId(key.try_into().ok()?);
        match room {
            Room::Received => {
                let received = Box::new(read_received(id, value)?);
                self.own.push(Change::Received(received));
            }
            Room::Sent => {
                let sent = read_sent(value).filter(|sent| sent.envelope.id() == id)?;
                self.own.push(Change::Sent(Box::new(sent)));
            }
            Room::Seen => self.own.push(Change::Seen(read_receipt(id, value)?)),
            Room::Carried => {
                let envelope = Envelope::parse(value).ok()?;
                self.carried.push(Some(envelope).filter(|envelope| envelope.id() == id)?);
            }
            Room::Receipts => self.receipts.push(read_receipt(id, value)?),
        }
        Some(())
    }
}

/// What is to be done for a note: in which room, under which key; nothing there if there is no value.
pub(crate) fn entries(note: MailNote) -> Vec<(Room, [u8; 32], Option<Vec<u8>>)> {
    match note {
        MailNote::Own(change) => vec![match change {
            Change::Received(received) => {
                (Room::Received, received.id.0, Some(write_received(&received)))
            }
            Change::Dropped(id) => (Room::Received, id.0, None),
            Change::Sent(sent) => (Room::Sent, sent.envelope.id().0, Some(write_sent(&sent))),
            Change::Forgotten(id) => (Room::Sent, id.0, None),
            Change::Seen(receipt) => (Room::Seen, receipt.id.0, Some(write_receipt(&receipt))),
            Change::Unseen(id) => (Room::Seen, id.0, None),
        }],
        MailNote::Carry(envelope) => {
            vec![(Room::Carried, envelope.id().0, Some(envelope.bytes().to_vec()))]
        }
        MailNote::LetGo(id) => vec![(Room::Carried, id.0, None), (Room::Receipts, id.0, None)],
        MailNote::Remember(receipt) => {
            vec![(Room::Receipts, receipt.id.0, Some(write_receipt(&receipt)))]
        }
    }
}

/// Arrived (8), read (1), sender (32), sent (8), token (32), kind (1), the message.
fn write_received(received: &Received) -> Vec<u8> {
    let Received { arrived, is_read, letter, .. } = received;
    let mut out = Vec::with_capacity(82 + letter.body.len());
    out.extend(arrived.0.to_be_bytes());
    out.push((*is_read).into());
    out.extend(letter.sender.0);
    out.extend(letter.sent.0.to_be_bytes());
    out.extend(letter.token.0);
    out.push(letter.kind);
    out.extend(&letter.body);
    out
}

fn read_received(id: MailId, value: &[u8]) -> Option<Received> {
    let (arrived, rest) = time(value)?;
    let (is_read, rest) = flag(rest)?;
    let (sender, rest) = rest.split_first_chunk()?;
    let (sent, rest) = time(rest)?;
    let (token, rest) = rest.split_first_chunk()?;
    let (&kind, body) = rest.split_first()?;
    let (sender, token) = (NodeId(*sender), Token(*token));
    let letter = Letter { sender, sent, token, kind, body: body.to_vec() };
    Some(Received { id, arrived, is_read, letter })
}

/// Receiver (32), sent (8), state (1, and its number or token: 32), kind (1), length of the envelope (2), it,
/// the message.
fn write_sent(sent: &Sent) -> Vec<u8> {
    let mut out = Vec::with_capacity(76 + sent.envelope.bytes().len() + sent.body.len());
    out.extend(sent.receiver.0);
    out.extend(sent.sent.0.to_be_bytes());
    let (state, what) = match sent.state {
        State::Held(count) => {
            let mut what = [0; 32];
            what[..4].copy_from_slice(&count.to_be_bytes());
            (0, what)
        }
        State::Delivered(token) => (1, token.0),
        State::Expired => (2, [0; 32]),
    };
    out.push(state);
    out.extend(what);
    out.push(sent.kind);
    // An envelope has at most 16 KiB.
    out.extend((sent.envelope.bytes().len() as u16).to_be_bytes());
    out.extend_from_slice(sent.envelope.bytes());
    out.extend(&sent.body);
    out
}

fn read_sent(value: &[u8]) -> Option<Sent> {
    let (receiver, rest) = value.split_first_chunk()?;
    let (sent, rest) = time(rest)?;
    let (&state, rest) = rest.split_first()?;
    let (what, rest) = rest.split_first_chunk::<32>()?;
    let (&kind, rest) = rest.split_first()?;
    let (len, rest) = rest.split_first_chunk()?;
    let (envelope, body) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
    let state = match state {
        0 => State::Held(u32::from_be_bytes(*what.first_chunk()?)),
        1 => State::Delivered(Token(*what)),
        2 => State::Expired,
        _ => return None,
    };
    let envelope = Envelope::parse(envelope).ok()?;
    Some(Sent { envelope, receiver: NodeId(*receiver), sent, state, kind, body: body.to_vec() })
}

/// Tag (32), token (32), expires (8).
fn write_receipt(receipt: &Receipt) -> Vec<u8> {
    [&receipt.tag.0[..], &receipt.token.0, &receipt.expires.0.to_be_bytes()].concat()
}

fn read_receipt(id: MailId, value: &[u8]) -> Option<Receipt> {
    let (tag, rest) = value.split_first_chunk()?;
    let (token, rest) = rest.split_first_chunk()?;
    let (expires, rest) = time(rest)?;
    let (tag, token) = (Tag(*tag), Token(*token));
    rest.is_empty().then_some(Receipt { id, tag, token, expires })
}

fn time(bytes: &[u8]) -> Option<(UnixTime, &[u8])> {
    let (time, rest) = bytes.split_first_chunk()?;
    Some((UnixTime(i64::from_be_bytes(*time)), rest))
}

fn flag(bytes: &[u8]) -> Option<(bool, &[u8])> {
    match bytes.split_first()? {
        (0, rest) => Some((false, rest)),
        (1, rest) => Some((true, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        let sealed = [7; 512 + 48];
        Envelope::around(Tag([1; 32]), [2; 32], UnixTime(3), &sealed).expect("an envelope")
    }

    fn sent(state: State) -> Sent {
        let (envelope, body) = (envelope(), b"hello".to_vec());
        Sent { envelope, receiver: NodeId([4; 32]), sent: UnixTime(5), state, kind: 1, body }
    }

    fn letter() -> Letter {
        let (token, body) = (Token([6; 32]), b"hello".to_vec());
        Letter { sender: NodeId([4; 32]), sent: UnixTime(-5), token, kind: 1, body }
    }

    #[test]
    fn what_is_written_is_read() {
        let id = MailId([8; 32]);
        let receipt =
            Receipt { id, tag: Tag([1; 32]), token: Token([2; 32]), expires: UnixTime(9) };
        let received = Received { id, arrived: UnixTime(7), is_read: true, letter: letter() };
        let mut notes = vec![Change::Received(Box::new(received)), Change::Seen(receipt)];
        for state in [State::Held(7), State::Delivered(Token([3; 32])), State::Expired] {
            notes.push(Change::Sent(Box::new(sent(state))));
        }
        for note in notes {
            let mut loaded = LoadedMail::default();
            for (room, key, value) in entries(MailNote::Own(note.clone())) {
                let value = value.expect("it is written");
                loaded.take(room, &key, &value);
                // No part of it is taken for the whole, unless only words are missing.
                for len in 0..32 {
                    let before = loaded.damaged;
                    loaded.take(room, &key, &value[..len]);
                    assert_eq!(loaded.damaged, before + 1);
                }
                loaded.take(room, &key[1..], &value);
            }
            assert_eq!(loaded.own, [note]);
            assert_eq!(loaded.damaged, 33);
        }
    }

    #[test]
    fn what_is_carried_is_kept_under_its_own_name() {
        let mut loaded = LoadedMail::default();
        let mail = envelope();
        for (room, key, value) in entries(MailNote::Carry(mail.clone())) {
            let value = value.expect("it is written");
            loaded.take(room, &key, &value);
            loaded.take(room, &[0; 32], &value);
        }
        assert_eq!((loaded.carried, loaded.damaged), (vec![mail], 1));
    }
}
