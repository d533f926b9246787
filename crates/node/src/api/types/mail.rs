//! Mail: private messages between two peers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A message to be sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MailRequest {
    /// Whom it is for: 64 hexadecimal digits, or the first six or more of somebody with whom there is mail.
    pub to: String,
    /// The message, at most 15,733 bytes.
    pub text: String,
}

/// A mail.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct MailInfo {
    /// Its name: 64 hexadecimal digits.
    pub id: String,
    /// Whether it has come or was sent.
    pub way: MailWay,
    /// The other: who has signed it, or whom it is for.
    pub peer: String,
    /// When it was sent, by the sender's clock, in seconds since 1970.
    pub sent_unix_s: i64,
    /// When it came.
    pub arrived_unix_s: Option<i64>,
    /// How it is with it.
    pub state: MailState,
    /// Others that have it, as they say; of mail that was sent and not received.
    pub carriers: Option<u32>,
    /// The message; none if it is of a kind that this version does not show.
    pub text: Option<String>,
}

/// Whether mail has come or was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MailWay {
    /// It has come.
    Received,
    /// It was sent.
    Sent,
}

/// How it is with mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MailState {
    /// It has come and was not read.
    New,
    /// It has come and was read.
    Read,
    /// It was sent; nobody else is known to have it yet.
    Waiting,
    /// It was sent, and others carry it.
    Carried,
    /// It was sent, and the receiver has shown that he has it.
    Delivered,
    /// It was sent, and nobody has shown within 15 days that he has it.
    Expired,
}
