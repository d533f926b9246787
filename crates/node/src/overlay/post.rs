//! Mail, as far as it needs keys, a disk and a user: what comes is opened here and written down, what is sent
//! is sealed, and the machine hears of either when it lasts.

use super::side::Side;
use althing_base::{Instant, Seed, UnixTime};
use althing_overlay::mail::envelope::{Draft, Envelope, MailId, OpenError};
use althing_overlay::mail::io::{State, Told, Wish};
use althing_overlay::mail::limits::LIFETIME_MAX_S;
use althing_overlay::mail::mailbox::{Mailbox, Received, Sent, Taken};
use althing_overlay::{Keys, NetworkKey, NodeId};
use althing_store::mail::{LoadedMail, MailNote};
use althing_store::shelf::ShelfStore;
use tokio::sync::oneshot;
use tracing::{debug, warn};

/// What the thread is asked about mail.
pub(crate) enum Request {
    /// Seal this: for whom, of which kind, and what. A stamp is to be found for it before it is sent.
    Seal(Letter, oneshot::Sender<Result<Box<Sent>, String>>),
    /// Send what was sealed. Answered when it is on disk.
    Send(Box<Sent>, oneshot::Sender<Result<(), String>>),
    /// All that has come and all that was sent.
    List(oneshot::Sender<(Vec<Received>, Vec<Sent>)>),
    /// One that has come, which is read from now on.
    Read(MailId, oneshot::Sender<Option<Received>>),
    /// Throw one away; whether it was there.
    Remove(MailId, oneshot::Sender<bool>),
    /// What was written lasts, or could not be written.
    Written(Written, bool),
}

/// What a user wants to send.
pub(crate) struct Letter {
    pub(crate) receiver: NodeId,
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
}

/// What waits for the disk.
#[derive(Default)]
pub(crate) struct Written {
    /// What the machine is told when it lasts, and when it does not.
    told: Vec<(Told, Option<Told>)>,
    /// Who waits, and for which mail.
    replies: Vec<(MailId, oneshot::Sender<Result<(), String>>)>,
}

impl Written {
    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty() && self.replies.is_empty()
    }
}

/// See the [module](self).
pub(super) struct Post {
    keys: Keys,
    network: NetworkKey,
    seed: Seed,
    /// Letters that were sealed in this run.
    count: u64,
    mailbox: Mailbox,
    /// What waits for the next write.
    waiting: Written,
    /// It takes mail and sends any.
    is_on: bool,
}

impl Post {
    pub(super) fn new(keys: Keys, network: NetworkKey, seed: Seed, is_on: bool) -> Self {
        let (mailbox, waiting) = Default::default();
        Post { keys, network, seed, count: 0, mailbox, waiting, is_on }
    }

    /// Takes up what the last run has left.
    pub(super) fn restore(
        &mut self,
        now: Instant,
        unix: UnixTime,
        loaded: LoadedMail,
        side: &mut Side,
    ) {
        if loaded.damaged > 0 {
            warn!(damaged = loaded.damaged, "some of the mail on disk makes no sense");
        }
        for change in loaded.own {
            self.mailbox.restore(change);
        }
        self.mailbox.expire(unix);
        let seen = self.mailbox.receipts().copied();
        let sent = self.mailbox.sent();
        let delivered = sent.iter().filter_map(|sent| Mailbox::receipt_of(sent));
        let delivered = delivered.filter(|receipt| receipt.expires > unix);
        let receipts: Vec<_> = loaded.receipts.into_iter().chain(delivered).chain(seen).collect();
        let waiting = sent.iter().filter(|sent| Mailbox::is_waiting(sent.state));
        let waiting: Vec<_> = waiting.map(|sent| sent.envelope.clone()).collect();
        let all = receipts.into_iter().map(Told::Received);
        let all = all.chain(loaded.carried.into_iter().map(Told::Restored));
        for told in all.chain(waiting.into_iter().map(Told::Send)) {
            side.mail(now, told);
        }
    }

    /// Forgets what has expired.
    pub(super) fn tick(&mut self, unix: UnixTime) {
        self.mailbox.expire(unix);
    }

    /// Somebody wants something.
    pub(super) fn request(
        &mut self,
        now: Instant,
        unix: UnixTime,
        request: Request,
        side: &mut Side,
    ) {
        // Who asked may have given up waiting.
        match request {
            Request::Seal(letter, reply) => drop(reply.send(self.seal(unix, letter))),
            Request::Send(sent, reply) => {
                let id = sent.envelope.id();
                match self.mailbox.send(*sent) {
                    true => self.waiting.replies.push((id, reply)),
                    false => {
                        let full = "too much has been sent already; throw some of it away";
                        let _ = reply.send(Err(full.to_owned()));
                    }
                }
            }
            Request::List(reply) => {
                let received = self.mailbox.received().into_iter().cloned().collect();
                let sent = self.mailbox.sent().into_iter().cloned().collect();
                let _ = reply.send((received, sent));
            }
            Request::Read(id, reply) => drop(reply.send(self.mailbox.read(&id).cloned())),
            Request::Remove(id, reply) => {
                side.mail(now, Told::Withdraw(id));
                let _ = reply.send(self.mailbox.remove(&id));
            }
            Request::Written(written, is_done) => self.written(now, written, is_done, side),
        }
    }

    fn seal(&mut self, unix: UnixTime, letter: Letter) -> Result<Box<Sent>, String> {
        if !self.is_on {
            return Err("mail is off; set mail.enabled = true in config.toml".to_owned());
        }
        let Letter { receiver, kind, body } = letter;
        if receiver == self.keys.node() {
            return Err("that is this peer itself".to_owned());
        }
        let (key, lifetime_s) = (None, LIFETIME_MAX_S);
        let draft = Draft { receiver, key, sent: unix, lifetime_s, kind, body: &body };
        let seed = self.seed.fork("letter", self.count);
        self.count += 1;
        let sealed = draft.seal(&self.keys, &self.network, seed);
        let (envelope, _) = sealed.map_err(|error| error.to_string())?;
        let state = State::Held(0);
        Ok(Box::new(Sent { envelope, receiver, sent: unix, state, kind, body }))
    }

    /// What was written lasts, or not.
    fn written(&mut self, now: Instant, written: Written, is_done: bool, side: &mut Side) {
        for (lasts, fails) in written.told {
            if !is_done && let Told::Kept(receipt) = &lasts {
                self.mailbox.undo(&receipt.id);
            }
            if let Some(told) = if is_done { Some(lasts) } else { fails } {
                side.mail(now, told);
            }
        }
        for (id, reply) in written.replies {
            let result = match (is_done, self.mailbox.sent_by_id(&id)) {
                (true, Some(sent)) => {
                    side.mail(now, Told::Send(sent.envelope.clone()));
                    Ok(())
                }
                _ => {
                    self.mailbox.remove(&id);
                    Err("it cannot be written down: the disk is full, or fails".to_owned())
                }
            };
            let _ = reply.send(result);
        }
    }

    /// Does what the machine wants done about mail, and notes what is to be written. What waits for it.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        unix: UnixTime,
        side: &mut Side,
        store: &mut ShelfStore,
    ) -> Written {
        while let Some(wish) = side.poll_mail() {
            match wish {
                Wish::Arrived(envelope) => self.arrived(now, unix, &envelope, side),
                Wish::Carry(envelope) => {
                    let id = envelope.id();
                    store.note_mail(MailNote::Carry(envelope));
                    self.waiting.told.push((Told::Carried(id), Some(Told::NotCarried(id))));
                }
                Wish::LetGo(id) => store.note_mail(MailNote::LetGo(id)),
                Wish::Remember(receipt) => store.note_mail(MailNote::Remember(receipt)),
                Wish::State(id, state) => self.mailbox.state(&id, state),
            }
        }
        while let Some(change) = self.mailbox.poll_change() {
            store.note_mail(MailNote::Own(change));
        }
        std::mem::take(&mut self.waiting)
    }

    /// An envelope has come that may be for us.
    fn arrived(&mut self, now: Instant, unix: UnixTime, envelope: &Envelope, side: &mut Side) {
        let id = envelope.id();
        let letter = match self.open(envelope) {
            Ok(letter) => letter,
            Err(error) => {
                debug!(%id, %error, "what came as mail is none");
                side.mail(now, Told::Junk(id));
                return;
            }
        };
        match self.mailbox.take(unix, envelope, letter) {
            Taken::New(receipt) => {
                self.waiting.told.push((Told::Kept(receipt), Some(Told::Later(id))));
            }
            Taken::Again(receipt) => side.mail(now, Told::Kept(receipt)),
            Taken::Full => side.mail(now, Told::Later(id)),
        }
    }

    fn open(
        &self,
        envelope: &Envelope,
    ) -> Result<althing_overlay::mail::envelope::Letter, OpenError> {
        let secrets = [self.keys.x25519_secret()];
        envelope.open(&self.network, &self.keys.node(), &secrets, NodeId::has_signed)
    }
}

#[cfg(test)]
mod tests;
