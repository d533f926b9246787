//! What peers say to each other over a link, parsed once and written in one way only.
//!
//! A message is one byte of type and what belongs to it; where it ends the link says. Numbers are
//! big-endian. Anything that is not exactly what [`Message::encode`] writes is refused, so that no two
//! peers can understand the same bytes differently; but a type that is not known is no fault: it is
//! passed over, so that later versions can say more. `docs/protocols/overlay.md` has all of it.

mod broadcast;
pub mod limits;
mod mail;
mod membership;
mod reader;
mod reconcile;
mod search;

pub use broadcast::Announced;
pub use mail::{MailAsk, MailDeposit, MailHave, MailSaid};
pub use membership::{Hello, Indexer, is_sound};
pub use search::Question;
pub(crate) use search::hit_len;

use crate::id::Contact;
use crate::records::RecordId;
use crate::search::hit::RawHit;
use crate::search::terms::TermSet;
use bytes::Bytes;
use limits::MESSAGE_BYTES_MAX;
use reader::Reader;

/// What one peer says to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// The first message on every link, in both directions: who speaks.
    Hello(Hello),
    /// "Be my neighbour, tell me of others, and tell others of me."
    Join,
    /// Somebody has joined; passed on from neighbour to neighbour.
    ForwardJoin {
        /// Who.
        contact: Box<Contact>,
        /// Further steps.
        ttl: u8,
    },
    /// "Be my neighbour."
    Neighbour {
        /// The one who asks has no neighbour at all.
        urgent: bool,
    },
    /// "Index for me."
    Lean {
        /// On so many others the one who asks leans already, at most [`limits::LEANS_MAX`].
        others: u8,
    },
    /// "Who indexes for others?"
    WhoIndexes,
    /// The answer: at most [`limits::SHUFFLE_CONTACTS_MAX`].
    Indexers(Vec<Indexer>),
    /// Who speaks indexes for others, and for so many.
    Load {
        /// Nodes that lean on it and do not index themselves.
        leaves: u16,
    },
    /// The answer to `Join`, `Neighbour` and `Lean`.
    NeighbourReply {
        /// Whether it is so now.
        yes: bool,
    },
    /// "We are neighbours no longer."
    Disconnect,
    /// Some of the peers whom somebody knows, for some of those whom another knows, to whom this walks.
    Shuffle {
        /// By which the answer is known.
        token: u64,
        /// Further steps.
        ttl: u8,
        /// At most [`limits::SHUFFLE_CONTACTS_MAX`].
        contacts: Vec<Contact>,
    },
    /// The answer, which goes back the way that the question came; and what a newcomer is told.
    ShuffleReply {
        /// The question's; 0 for a newcomer, who has asked nothing.
        token: u64,
        /// At most [`limits::SHUFFLE_CONTACTS_MAX`].
        contacts: Vec<Contact>,
    },
    /// "Are you there?"
    Ping,
    /// "I am."
    Pong,
    /// A record, along the tree.
    Gossip {
        /// Links that it has crossed.
        hops: u8,
        /// The record as its author wrote it.
        record: Bytes,
    },
    /// Records that the one who speaks has: at least one, at most [`limits::ANNOUNCED_MAX`].
    IHave(Vec<Announced>),
    /// "Send me these, and from now on whatever is new": at most [`limits::ASKED_MAX`], or none.
    Graft(Vec<RecordId>),
    /// "Announce to me what is new, but don't send it."
    Prune,
    /// A step of reconciliation.
    Reconcile {
        /// Whether it is of the side that did not begin.
        is_answer: bool,
        /// What [`reconcile`](crate::reconcile) makes of it.
        step: Bytes,
    },
    /// "You lack these, and I have them": at least one, at most [`limits::ASKED_MAX`].
    Offer(Vec<RecordId>),
    /// "Send me these": at least one, at most [`limits::ASKED_MAX`].
    Need(Vec<RecordId>),
    /// Records that were asked for: at least one, at most [`limits::RECORDS_MAX`].
    Records(Vec<Bytes>),
    /// What has come to an index of the one who speaks, or gone from it: at least one term, at most
    /// [`TERMS_PER_MESSAGE_MAX`](crate::search::limits::TERMS_PER_MESSAGE_MAX).
    Terms {
        /// The index is that of its neighbours, all together, rather than its own.
        is_near: bool,
        /// Those that were not in it and are, and the other way round.
        toggled: TermSet,
    },
    /// "Who has this?"
    Query(Box<Question>),
    /// "This is had": what answers a question, back the way that it came; at most
    /// [`limits::RECORDS_MAX`]. With nothing it says that the question was heard.
    Answer {
        /// The question's.
        id: u64,
        /// What.
        hits: Vec<RawHit>,
    },
    /// Who has mail of some tags, or is its receiver.
    MailAsk(Box<MailAsk>),
    /// The answer, back the way that the question came.
    MailHave(Box<MailHave>),
    /// What is said between who asked and who answered, along that way.
    Mail {
        /// Which way.
        way: u64,
        /// Between whom: the number of who answered.
        holder: u64,
        /// What.
        said: Box<MailSaid>,
    },
    /// A copy of a mail that looks for a carrier.
    MailDeposit(Box<MailDeposit>),
    /// Of a type that this version does not know. Nothing is done about it.
    Unknown(u8),
}

/// Why bytes are no message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// There is not even a type.
    #[error("empty message")]
    Empty,
    /// It is longer than any may be.
    #[error("{0} bytes, more than a message may have")]
    TooLong(usize),
    /// It ends too early.
    #[error("message of type {0} is cut short")]
    Short(u8),
    /// There is more than belongs to it.
    #[error("message of type {0} goes on after its end")]
    Trailing(u8),
    /// A number of things, or a value, that cannot be.
    #[error("{what} in a message of type {kind}")]
    Invalid {
        /// The message's type.
        kind: u8,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The types of messages, by number.
mod kind {
    pub(super) const HELLO: u8 = 0;
    pub(super) const JOIN: u8 = 1;
    pub(super) const FORWARD_JOIN: u8 = 2;
    pub(super) const NEIGHBOUR: u8 = 3;
    pub(super) const NEIGHBOUR_REPLY: u8 = 4;
    pub(super) const DISCONNECT: u8 = 5;
    pub(super) const SHUFFLE: u8 = 6;
    pub(super) const SHUFFLE_REPLY: u8 = 7;
    pub(super) const PING: u8 = 8;
    pub(super) const PONG: u8 = 9;
    pub(super) const LEAN: u8 = 10;
    pub(super) const WHO_INDEXES: u8 = 11;
    pub(super) const INDEXERS: u8 = 12;
    pub(super) const LOAD: u8 = 13;
    pub(super) const GOSSIP: u8 = 16;
    pub(super) const I_HAVE: u8 = 17;
    pub(super) const GRAFT: u8 = 18;
    pub(super) const PRUNE: u8 = 19;
    pub(super) const RECONCILE: u8 = 32;
    pub(super) const NEED: u8 = 33;
    pub(super) const RECORDS: u8 = 34;
    pub(super) const OFFER: u8 = 35;
    pub(super) const TERMS: u8 = 48;
    pub(super) const QUERY: u8 = 49;
    pub(super) const ANSWER: u8 = 50;
    pub(super) const MAIL_ASK: u8 = 64;
    pub(super) const MAIL_HAVE: u8 = 65;
    pub(super) const MAIL: u8 = 66;
    pub(super) const MAIL_DEPOSIT: u8 = 67;
}

impl Message {
    /// Reads one message, which must be all of `bytes`.
    ///
    /// # Errors
    /// It is of a known type and not as [`encode`](Self::encode) would write it.
    pub fn parse(bytes: &[u8]) -> Result<Message, ParseError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(ParseError::TooLong(bytes.len()));
        }
        let (&first, rest) = bytes.split_first().ok_or(ParseError::Empty)?;
        let mut from = Reader::new(first, rest);
        let message = match first {
            kind::HELLO => Message::Hello(membership::hello(&mut from)?),
            kind::JOIN => Message::Join,
            kind::FORWARD_JOIN => {
                let ttl = membership::ttl(&mut from)?;
                Message::ForwardJoin { contact: Box::new(membership::contact(&mut from)?), ttl }
            }
            kind::NEIGHBOUR => Message::Neighbour { urgent: from.flag()? },
            kind::NEIGHBOUR_REPLY => Message::NeighbourReply { yes: from.flag()? },
            kind::DISCONNECT => Message::Disconnect,
            kind::SHUFFLE => {
                let (token, ttl) = (from.u64()?, membership::ttl(&mut from)?);
                Message::Shuffle { token, ttl, contacts: membership::contacts(&mut from)? }
            }
            kind::SHUFFLE_REPLY => {
                let token = from.u64()?;
                Message::ShuffleReply { token, contacts: membership::contacts(&mut from)? }
            }
            kind::PING => Message::Ping,
            kind::PONG => Message::Pong,
            kind::LEAN => Message::Lean { others: membership::others(&mut from)? },
            kind::WHO_INDEXES => Message::WhoIndexes,
            kind::INDEXERS => Message::Indexers(membership::indexers(&mut from)?),
            kind::LOAD => Message::Load { leaves: from.u16()? },
            kind::GOSSIP => {
                let hops = from.u8()?;
                Message::Gossip { hops, record: broadcast::record(&mut from)? }
            }
            kind::I_HAVE => Message::IHave(broadcast::announced(&mut from)?),
            kind::GRAFT => Message::Graft(broadcast::ids(&mut from)?),
            kind::PRUNE => Message::Prune,
            kind::RECONCILE => {
                let is_answer = from.flag()?;
                Message::Reconcile { is_answer, step: reconcile::step(&mut from)? }
            }
            kind::NEED => Message::Need(reconcile::needed(&mut from)?),
            kind::OFFER => Message::Offer(reconcile::needed(&mut from)?),
            kind::RECORDS => Message::Records(reconcile::records(&mut from)?),
            kind::TERMS => {
                let is_near = from.flag()?;
                Message::Terms { is_near, toggled: search::terms(&mut from)? }
            }
            kind::QUERY => Message::Query(Box::new(search::question(&mut from)?)),
            kind::ANSWER => {
                let id = from.u64()?;
                Message::Answer { id, hits: search::hits(&mut from)? }
            }
            kind::MAIL_ASK => Message::MailAsk(Box::new(mail::ask(&mut from)?)),
            kind::MAIL_HAVE => Message::MailHave(Box::new(mail::have(&mut from)?)),
            kind::MAIL => {
                let (way, holder) = (from.u64()?, from.u64()?);
                Message::Mail { way, holder, said: Box::new(mail::said(&mut from)?) }
            }
            kind::MAIL_DEPOSIT => Message::MailDeposit(Box::new(mail::deposit(&mut from)?)),
            unknown => return Ok(Message::Unknown(unknown)),
        };
        from.end()?;
        Ok(message)
    }

    /// The message as bytes. What is unknown has nothing but its type.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.encoded_len());
        out.push(self.kind());
        match self {
            Message::Hello(hello) => membership::put_hello(hello, &mut out),
            Message::ForwardJoin { contact, ttl } => {
                out.push(*ttl);
                membership::put_contact(contact, &mut out);
            }
            Message::Neighbour { urgent: flag } | Message::NeighbourReply { yes: flag } => {
                out.push(u8::from(*flag));
            }
            Message::Shuffle { token, ttl, contacts } => {
                out.extend(token.to_be_bytes());
                out.push(*ttl);
                membership::put_contacts(contacts, &mut out);
            }
            Message::ShuffleReply { token, contacts } => {
                out.extend(token.to_be_bytes());
                membership::put_contacts(contacts, &mut out);
            }
            Message::Lean { others } => out.push(*others),
            Message::Indexers(indexers) => membership::put_indexers(indexers, &mut out),
            Message::Load { leaves } => out.extend(leaves.to_be_bytes()),
            Message::Gossip { hops, record } => {
                out.push(*hops);
                out.extend_from_slice(record);
            }
            Message::IHave(announced) => broadcast::put_announced(announced, &mut out),
            Message::Graft(ids) | Message::Need(ids) | Message::Offer(ids) => {
                broadcast::put_ids(ids, &mut out);
            }
            Message::Reconcile { is_answer, step } => {
                out.push(u8::from(*is_answer));
                out.extend_from_slice(step);
            }
            Message::Records(records) => reconcile::put_records(records, &mut out),
            Message::Terms { is_near, toggled } => {
                out.push(u8::from(*is_near));
                toggled.encode(&mut out);
            }
            Message::Query(question) => search::put_question(question, &mut out),
            Message::Answer { id, hits } => {
                out.extend(id.to_be_bytes());
                search::put_hits(hits, &mut out);
            }
            Message::MailAsk(ask) => mail::put_ask(ask, &mut out),
            Message::MailHave(have) => mail::put_have(have, &mut out),
            Message::Mail { way, holder, said } => {
                out.extend(way.to_be_bytes());
                out.extend(holder.to_be_bytes());
                mail::put_said(said, &mut out);
            }
            Message::MailDeposit(deposit) => mail::put_deposit(deposit, &mut out),
            Message::Join
            | Message::WhoIndexes
            | Message::Disconnect
            | Message::Ping
            | Message::Pong
            | Message::Prune
            | Message::Unknown(_) => {}
        }
        debug_assert_eq!(out.len(), self.encoded_len(), "{self:?}");
        out.into()
    }

    /// How many bytes [`encode`](Self::encode) writes.
    pub fn encoded_len(&self) -> usize {
        1 + match self {
            Message::Hello(_) => membership::HELLO_BYTES,
            Message::ForwardJoin { contact, .. } => 1 + membership::contact_len(contact),
            Message::Neighbour { .. } | Message::NeighbourReply { .. } => 1,
            Message::Shuffle { contacts, .. } => 8 + 1 + membership::contacts_len(contacts),
            Message::ShuffleReply { contacts, .. } => 8 + membership::contacts_len(contacts),
            Message::Indexers(indexers) => membership::indexers_len(indexers),
            Message::Lean { .. } => 1,
            Message::Load { .. } => 2,
            Message::Gossip { record, .. } => 1 + record.len(),
            Message::IHave(announced) => 33 * announced.len(),
            Message::Graft(ids) | Message::Need(ids) | Message::Offer(ids) => 32 * ids.len(),
            Message::Reconcile { step, .. } => 1 + step.len(),
            Message::Records(records) => reconcile::records_len(records),
            Message::Terms { toggled, .. } => 1 + toggled.encoded_len(),
            Message::Query(question) => search::question_len(question),
            Message::Answer { hits, .. } => 8 + search::hits_len(hits),
            Message::MailAsk(ask) => mail::ask_len(ask),
            Message::MailHave(have) => mail::have_len(have),
            Message::Mail { said, .. } => 16 + mail::said_len(said),
            Message::MailDeposit(deposit) => mail::deposit_len(deposit),
            Message::Join
            | Message::WhoIndexes
            | Message::Disconnect
            | Message::Ping
            | Message::Pong
            | Message::Prune
            | Message::Unknown(_) => 0,
        }
    }

    /// Its type.
    pub fn kind(&self) -> u8 {
        match self {
            Message::Hello(_) => kind::HELLO,
            Message::Join => kind::JOIN,
            Message::ForwardJoin { .. } => kind::FORWARD_JOIN,
            Message::Neighbour { .. } => kind::NEIGHBOUR,
            Message::NeighbourReply { .. } => kind::NEIGHBOUR_REPLY,
            Message::Disconnect => kind::DISCONNECT,
            Message::Shuffle { .. } => kind::SHUFFLE,
            Message::ShuffleReply { .. } => kind::SHUFFLE_REPLY,
            Message::Ping => kind::PING,
            Message::Pong => kind::PONG,
            Message::Lean { .. } => kind::LEAN,
            Message::WhoIndexes => kind::WHO_INDEXES,
            Message::Indexers(_) => kind::INDEXERS,
            Message::Load { .. } => kind::LOAD,
            Message::Gossip { .. } => kind::GOSSIP,
            Message::IHave(_) => kind::I_HAVE,
            Message::Graft(_) => kind::GRAFT,
            Message::Prune => kind::PRUNE,
            Message::Reconcile { .. } => kind::RECONCILE,
            Message::Offer(_) => kind::OFFER,
            Message::Need(_) => kind::NEED,
            Message::Records(_) => kind::RECORDS,
            Message::Terms { .. } => kind::TERMS,
            Message::Query(_) => kind::QUERY,
            Message::Answer { .. } => kind::ANSWER,
            Message::MailAsk(_) => kind::MAIL_ASK,
            Message::MailHave(_) => kind::MAIL_HAVE,
            Message::Mail { .. } => kind::MAIL,
            Message::MailDeposit(_) => kind::MAIL_DEPOSIT,
            Message::Unknown(kind) => *kind,
        }
    }
}

#[cfg(test)]
mod tests;
