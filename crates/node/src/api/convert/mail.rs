//! Mail, as the API has it.

use super::api::{MailInfo, MailState, MailWay};
use crate::session::Mails;
use althing_overlay::mail::envelope::KIND_TEXT;
use althing_overlay::mail::io::State;
use althing_overlay::mail::mailbox::{Received, Sent};

pub(in crate::api) fn mails(mails: &Mails) -> Vec<MailInfo> {
    let received = mails.received.iter().map(mail_received);
    received.chain(mails.sent.iter().map(mail_sent)).collect()
}

pub(in crate::api) fn mail_received(received: &Received) -> MailInfo {
    let letter = &received.letter;
    MailInfo {
        id: received.id.to_string(),
        way: MailWay::Received,
        peer: letter.sender.to_string(),
        sent_unix_s: letter.sent.0,
        arrived_unix_s: Some(received.arrived.0),
        state: if received.is_read { MailState::Read } else { MailState::New },
        carriers: None,
        text: text(letter.kind, &letter.body),
    }
}

pub(in crate::api) fn mail_sent(sent: &Sent) -> MailInfo {
    let (state, carriers) = match sent.state {
        State::Held(0) => (MailState::Waiting, Some(0)),
        State::Held(count) => (MailState::Carried, Some(count)),
        State::Delivered(_) => (MailState::Delivered, None),
        State::Expired => (MailState::Expired, None),
    };
    MailInfo {
        id: sent.envelope.id().to_string(),
        way: MailWay::Sent,
        peer: sent.receiver.to_string(),
        sent_unix_s: sent.sent.0,
        arrived_unix_s: None,
        state,
        carriers,
        text: text(sent.kind, &sent.body),
    }
}

/// What is not UTF-8 is shown as far as it is.
fn text(kind: u8, body: &[u8]) -> Option<String> {
    (kind == KIND_TEXT).then(|| String::from_utf8_lossy(body).into_owned())
}
