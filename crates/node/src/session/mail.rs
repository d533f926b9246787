//! Mail, as users send, list and read it.

use super::{OverlayError, Session};
use crate::overlay::post::{Letter, Request};
use crate::overlay::{Handle, Request as OverlayRequest};
use althing_overlay::NodeId;
use althing_overlay::mail::envelope::{KIND_TEXT, MailId};
use althing_overlay::mail::limits::BODY_BYTES_MAX;
use althing_overlay::mail::mailbox::{Received, Sent};
use tokio::sync::oneshot;

/// Digits of a name that are enough, if there is one who writes or was written to with them.
const NAME_DIGITS_MIN: usize = 6;

/// All mail, each list with the oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mails {
    /// What has come.
    pub received: Vec<Received>,
    /// What was sent.
    pub sent: Vec<Sent>,
}

/// Why mail is not sent, or not found.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// See there.
    #[error(transparent)]
    Overlay(OverlayError),
    /// That is nobody.
    #[error(
        "\"{given}\" is nobody's name: write the 64 digits that `althing overlay` shows at the receiver's, \
         or the first six of somebody with whom you have mail"
    )]
    Receiver {
        /// What was given.
        given: String,
    },
    /// It is too long.
    #[error(
        "the message has {bytes} bytes, and {BODY_BYTES_MAX} are the most; share a file instead"
    )]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// It cannot be sent.
    #[error("it cannot be sent: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// There is no such mail.
    #[error("there is no mail \"{given}\"")]
    NoSuch {
        /// What was given.
        given: String,
    },
    /// Several mails begin so.
    #[error("the names of several mails begin with \"{given}\": write more of it")]
    Several {
        /// What was given.
        given: String,
    },
}

impl From<OverlayError> for MailError {
    fn from(error: OverlayError) -> Self {
        MailError::Overlay(error)
    }
}

impl Session {
    async fn ask_post<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, MailError> {
        let overlay: &Handle = self.overlay_handle()?;
        let asked = overlay.ask(|reply| OverlayRequest::Mail(request(reply)));
        Ok(asked.await.map_err(|_| OverlayError::Stopping)?)
    }

    /// Sends a message; it is on its way, and on disk, when this returns. Takes a second or some of one core,
    /// for carriers ask for work.
    ///
    /// # Errors
    /// There is no such receiver, it is too long, or this session takes no part in the overlay or in mail.
    pub async fn mail_send(&self, to: &str, text: &str) -> Result<Sent, MailError> {
        if text.len() > BODY_BYTES_MAX {
            return Err(MailError::TooLong { bytes: text.len() });
        }
        let receiver = self.mail_receiver(to).await?;
        let letter = Letter { receiver, kind: KIND_TEXT, body: text.as_bytes().to_vec() };
        let refused = |reason: String| MailError::Refused { reason };
        let sealed = self.ask_post(|reply| Request::Seal(letter, reply)).await?;
        let mut sent = sealed.map_err(refused)?;
        let envelope = sent.envelope.clone();
        let working = tokio::task::spawn_blocking(move || envelope.stamped(0, u64::MAX));
        let stamped = working.await.map_err(|_| OverlayError::Stopping)?;
        sent.envelope = stamped.ok_or_else(|| refused("no stamp was found for it".to_owned()))?;
        let told = sent.clone();
        self.ask_post(|reply| Request::Send(told, reply)).await?.map_err(refused)?;
        Ok(*sent)
    }

    /// Who is meant: by a whole name, or the beginning of one of those with whom there is mail.
    async fn mail_receiver(&self, given: &str) -> Result<NodeId, MailError> {
        let nobody = || MailError::Receiver { given: given.to_owned() };
        let lower = given.to_ascii_lowercase();
        if let Ok(node) = lower.parse::<NodeId>() {
            return Ok(node);
        }
        if lower.len() < NAME_DIGITS_MIN {
            return Err(nobody());
        }
        let mails = self.mail().await?;
        let senders = mails.received.iter().map(|received| received.letter.sender);
        let known = senders.chain(mails.sent.iter().map(|sent| sent.receiver));
        let mut meant: Vec<NodeId> =
            known.filter(|node| node.to_string().starts_with(&lower)).collect();
        meant.sort();
        meant.dedup();
        match meant[..] {
            [one] => Ok(one),
            _ => Err(nobody()),
        }
    }

    /// All mail.
    ///
    /// # Errors
    /// This session takes no part in the overlay.
    pub async fn mail(&self) -> Result<Mails, MailError> {
        let (received, sent) = self.ask_post(Request::List).await?;
        Ok(Mails { received, sent })
    }

    /// The mail that is meant by its name or the beginning of one.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub async fn mail_id(&self, given: &str) -> Result<MailId, MailError> {
        let given = given.to_ascii_lowercase();
        let mails = self.mail().await?;
        let all = mails.received.iter().map(|received| received.id);
        let all = all.chain(mails.sent.iter().map(|sent| sent.envelope.id()));
        let meant: Vec<MailId> = all.filter(|id| id.to_string().starts_with(&given)).collect();
        match meant[..] {
            [one] if !given.is_empty() => Ok(one),
            [] | [_] => Err(MailError::NoSuch { given }),
            _ => Err(MailError::Several { given }),
        }
    }

    /// Mail that has come; it is read from now on.
    ///
    /// # Errors
    /// There is none of that name that has come.
    pub async fn mail_read(&self, id: MailId) -> Result<Received, MailError> {
        let read = self.ask_post(|reply| Request::Read(id, reply)).await?;
        read.ok_or_else(|| MailError::NoSuch { given: id.to_string() })
    }

    /// Throws mail away. What was sent and not received is not looked after any longer; carriers may
    /// still deliver it.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn mail_remove(&self, id: MailId) -> Result<(), MailError> {
        let was_there = self.ask_post(|reply| Request::Remove(id, reply)).await?;
        was_there.then_some(()).ok_or_else(|| MailError::NoSuch { given: id.to_string() })
    }
}
