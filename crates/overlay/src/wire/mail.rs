//! Mail: who has some, and what is carried back and forth between who asks and who has it.

use super::ParseError;
use super::reader::Reader;
use crate::mail::envelope::{Envelope, MailId, Tag, Token};
use crate::mail::limits::{
    ASKED_MAX, BUDGET_MAX, DEPOSIT_STEPS_MAX, NAMED_MAX, TAGS_MAX, WIDTH_MAX,
};

/// "Who has mail of these tags, or is its receiver?"
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailAsk {
    /// By which it is known, wherever it comes along; drawn by who asks.
    pub way: u64,
    /// Messages that it may cause, this one included: 1 to [`BUDGET_MAX`].
    pub budget: u16,
    /// Ways that it may take at the same time: 1 to [`WIDTH_MAX`].
    pub width: u8,
    /// Of what: 1 to [`TAGS_MAX`].
    pub tags: Vec<Tag>,
}

/// "I have."
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailHave {
    /// Of which question.
    pub way: u64,
    /// Who answers, by a number that means something on this way only.
    pub holder: u64,
    /// He says that he is the receiver.
    pub is_home: bool,
    /// Mails that are here, at most [`NAMED_MAX`].
    pub held: Vec<MailId>,
    /// Mails that have been received, and what shows it; at most [`NAMED_MAX`].
    pub received: Vec<(MailId, Token)>,
}

/// Envelopes and what is said of them along a way that a question or a copy has gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MailSaid {
    /// "Send me these." To the holder: 1 to [`ASKED_MAX`].
    Get(Vec<MailId>),
    /// "This is it." From the holder.
    Got(Envelope),
    /// "This is for you." To the holder, who says that he is the receiver.
    Put(Envelope),
    /// "I carry it." From the holder, once it is on his disk.
    Taken(MailId),
    /// "It was received." To the holder by the receiver, and from the holder when he is the receiver.
    Receipt(MailId, Token),
}

/// A copy that looks for a carrier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailDeposit {
    /// The way back.
    pub way: u64,
    /// Steps that are left: 0 to [`DEPOSIT_STEPS_MAX`]. With
    /// [`DEPOSIT_DETOUR`](crate::mail::limits::DEPOSIT_DETOUR) or fewer it may be kept.
    pub steps: u8,
    /// What is to be carried.
    pub envelope: Envelope,
}

/// What is said along a way, by the first byte.
mod said {
    pub(super) const GET: u8 = 0;
    pub(super) const GOT: u8 = 1;
    pub(super) const PUT: u8 = 2;
    pub(super) const TAKEN: u8 = 3;
    pub(super) const RECEIPT: u8 = 4;
}

pub(super) fn ask(from: &mut Reader<'_>) -> Result<MailAsk, ParseError> {
    let (way, budget, width) = (from.u64()?, from.u16()?, from.u8()?);
    if !(1..=BUDGET_MAX).contains(&budget) || !(1..=WIDTH_MAX).contains(&width) {
        return Err(from.invalid("a question that goes nowhere or too far"));
    }
    let mut tags = Vec::new();
    while !from.is_empty() {
        if tags.len() == TAGS_MAX {
            return Err(from.invalid("too many tags"));
        }
        tags.push(Tag(from.array()?));
    }
    if tags.is_empty() {
        return Err(from.invalid("no tag"));
    }
    Ok(MailAsk { way, budget, width, tags })
}

pub(super) fn put_ask(ask: &MailAsk, out: &mut Vec<u8>) {
    out.extend(ask.way.to_be_bytes());
    out.extend(ask.budget.to_be_bytes());
    out.push(ask.width);
    ask.tags.iter().for_each(|tag| out.extend(tag.0));
}

pub(super) fn ask_len(ask: &MailAsk) -> usize {
    8 + 2 + 1 + 32 * ask.tags.len()
}

fn count(from: &mut Reader<'_>) -> Result<usize, ParseError> {
    let count = usize::from(from.u8()?);
    if count > NAMED_MAX { Err(from.invalid("too many mails")) } else { Ok(count) }
}

pub(super) fn have(from: &mut Reader<'_>) -> Result<MailHave, ParseError> {
    let (way, holder, is_home) = (from.u64()?, from.u64()?, from.flag()?);
    let held = (0..count(from)?).map(|_| from.array().map(MailId)).collect::<Result<_, _>>()?;
    let received = (0..count(from)?)
        .map(|_| Ok((MailId(from.array()?), Token(from.array()?))))
        .collect::<Result<_, _>>()?;
    Ok(MailHave { way, holder, is_home, held, received })
}

pub(super) fn put_have(have: &MailHave, out: &mut Vec<u8>) {
    out.extend(have.way.to_be_bytes());
    out.extend(have.holder.to_be_bytes());
    out.push(have.is_home.into());
    // At most 64 each.
    out.push(have.held.len() as u8);
    have.held.iter().for_each(|id| out.extend(id.0));
    out.push(have.received.len() as u8);
    for (id, token) in &have.received {
        out.extend(id.0);
        out.extend(token.0);
    }
}

pub(super) fn have_len(have: &MailHave) -> usize {
    8 + 8 + 1 + 1 + 32 * have.held.len() + 1 + 64 * have.received.len()
}

fn envelope(from: &mut Reader<'_>) -> Result<Envelope, ParseError> {
    Envelope::parse(from.all()).map_err(|_| from.invalid("an envelope that is none"))
}

pub(super) fn said(from: &mut Reader<'_>) -> Result<MailSaid, ParseError> {
    Ok(match from.u8()? {
        said::GET => {
            let mut ids = Vec::new();
            while !from.is_empty() {
                if ids.len() == ASKED_MAX {
                    return Err(from.invalid("too many mails"));
                }
                ids.push(MailId(from.array()?));
            }
            if ids.is_empty() {
                return Err(from.invalid("no mail"));
            }
            MailSaid::Get(ids)
        }
        said::GOT => MailSaid::Got(envelope(from)?),
        said::PUT => MailSaid::Put(envelope(from)?),
        said::TAKEN => MailSaid::Taken(MailId(from.array()?)),
        said::RECEIPT => MailSaid::Receipt(MailId(from.array()?), Token(from.array()?)),
        _ => return Err(from.invalid("something that is not said of mail")),
    })
}

pub(super) fn put_said(what: &MailSaid, out: &mut Vec<u8>) {
    match what {
        MailSaid::Get(ids) => {
            out.push(said::GET);
            ids.iter().for_each(|id| out.extend(id.0));
        }
        MailSaid::Got(envelope) => {
            out.push(said::GOT);
            out.extend_from_slice(envelope.bytes());
        }
        MailSaid::Put(envelope) => {
            out.push(said::PUT);
            out.extend_from_slice(envelope.bytes());
        }
        MailSaid::Taken(id) => {
            out.push(said::TAKEN);
            out.extend(id.0);
        }
        MailSaid::Receipt(id, token) => {
            out.push(said::RECEIPT);
            out.extend(id.0);
            out.extend(token.0);
        }
    }
}

pub(super) fn said_len(said: &MailSaid) -> usize {
    1 + match said {
        MailSaid::Get(ids) => 32 * ids.len(),
        MailSaid::Got(envelope) | MailSaid::Put(envelope) => envelope.bytes().len(),
        MailSaid::Taken(_) => 32,
        MailSaid::Receipt(..) => 64,
    }
}

pub(super) fn deposit(from: &mut Reader<'_>) -> Result<MailDeposit, ParseError> {
    let (way, steps) = (from.u64()?, from.u8()?);
    if steps > DEPOSIT_STEPS_MAX {
        return Err(from.invalid("a copy that goes too far"));
    }
    Ok(MailDeposit { way, steps, envelope: envelope(from)? })
}

pub(super) fn put_deposit(deposit: &MailDeposit, out: &mut Vec<u8>) {
    out.extend(deposit.way.to_be_bytes());
    out.push(deposit.steps);
    out.extend_from_slice(deposit.envelope.bytes());
}

pub(super) fn deposit_len(deposit: &MailDeposit) -> usize {
    8 + 1 + deposit.envelope.bytes().len()
}
