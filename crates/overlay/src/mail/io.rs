//! What the part of the machine that has to do with mail is told, and what it asks for.

use super::carrier::Receipt;
use super::envelope::{Envelope, MailId, Token};

/// What has happened to mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// Our user sends it, and it is on disk; each one that has not been received is told again after a start.
    Send(Envelope),
    /// Our user does not want it to be received any longer. Carriers that have it keep it.
    Withdraw(MailId),
    /// Mail that has [arrived](Wish::Arrived) was opened and is on disk, or was here already.
    Kept(Receipt),
    /// Mail that has arrived is none.
    Junk(MailId),
    /// There is no room for mail that has arrived now.
    Later(MailId),
    /// What we were asked to [carry](Wish::Carry) is on disk.
    Carried(MailId),
    /// It cannot be written down.
    NotCarried(MailId),
    /// What we carried when we last ran.
    Restored(Envelope),
    /// A receipt that we had when we last ran.
    Received(Receipt),
}

/// What is to be done about mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Mail for us has come: open it, write it down, say so. Answered by [`Told::Kept`],
    /// [`Told::Junk`] or [`Told::Later`].
    Arrived(Envelope),
    /// Write this down for somebody else. Answered by [`Told::Carried`] or
    /// [`Told::NotCarried`].
    Carry(Envelope),
    /// Nobody needs this any longer that we carried.
    LetGo(MailId),
    /// Write this receipt down, if there is room.
    Remember(Receipt),
    /// How it is with mail of our user's.
    State(MailId, State),
}

/// How it is with mail that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// So many others have it, as they say: none in the beginning.
    Held(u32),
    /// The receiver has shown what was inside.
    Delivered(Token),
    /// It was kept as long as it was to be kept, and nobody has shown that he received it.
    Expired,
}
