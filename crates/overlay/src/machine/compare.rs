//! Comparing shelves with others, and fetching what is missing: on every new link, soon after a
//! neighbour has died, and on visits.

use super::limits::{
    NEED_SERVED_BYTES_PER_S, NEEDED_AT_ONCE, SESSION_TIMEOUT, SESSIONS_MAX, STEP_BYTES_MAX,
    STEPS_PER_S, WANTED_MAX,
};
use crate::io::LinkId;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::reconcile::{ReconcileError, Session, answer};
use crate::records::{RecordId, Shelf};
use crate::sink::Sink;
use crate::wire::Message;
use crate::wire::limits::{ASKED_MAX, RECORDS_MAX};
use althing_base::{Instant, TokenBucket};
use bytes::Bytes;
use std::collections::VecDeque;

/// All comparing that is under way.
#[derive(Debug, Default)]
pub(super) struct Compare {
    running: Vec<Running>,
    fetching: Vec<Fetch>,
    served: Vec<Served>,
}

/// A reconciliation that we began.
#[derive(Debug)]
struct Running {
    link: LinkId,
    session: Session,
    until: Instant,
}

/// Records that are fetched from one link.
#[derive(Debug)]
struct Fetch {
    link: LinkId,
    queue: VecDeque<RecordId>,
    asked: Vec<RecordId>,
    /// When the question is asked once more; after that it is given up.
    until: Instant,
    is_second: bool,
}

/// What a link has had of us.
#[derive(Debug)]
struct Served {
    link: LinkId,
    steps: TokenBucket,
    bytes: TokenBucket,
}

impl Compare {
    /// Begins, unless that is under way.
    pub(super) fn start(&mut self, now: Instant, link: LinkId, shelf: &Shelf, sink: &mut Sink) {
        let is_running = self.running.iter().any(|running| running.link == link);
        if is_running || self.running.len() >= SESSIONS_MAX {
            return;
        }
        let (session, step) = Session::start(shelf.set(), STEP_BYTES_MAX);
        self.running.push(Running { link, session, until: now + SESSION_TIMEOUT });
        sink.send(link, Message::Reconcile { is_answer: false, step: step.into() });
    }

    /// A link is gone.
    pub(super) fn down(&mut self, link: LinkId) {
        self.running.retain(|running| running.link != link);
        self.fetching.retain(|fetch| fetch.link != link);
        self.served.retain(|served| served.link != link);
    }

    /// Whether nothing is under way on a link.
    pub(super) fn is_done(&self, link: LinkId) -> bool {
        !self.running.iter().any(|running| running.link == link)
            && !self.fetching.iter().any(|fetch| fetch.link == link)
    }

    fn served(&mut self, now: Instant, link: LinkId) -> &mut Served {
        let at = self.served.iter().position(|served| served.link == link);
        let at = at.unwrap_or_else(|| {
            let steps = TokenBucket::new(now, STEPS_PER_S.0, STEPS_PER_S.1);
            let (rate, burst) = NEED_SERVED_BYTES_PER_S;
            let bytes = TokenBucket::new(now, rate, burst);
            self.served.push(Served { link, steps, bytes });
            self.served.len() - 1
        });
        &mut self.served[at]
    }

    /// A step of somebody who began.
    pub(super) fn question(
        &mut self,
        now: Instant,
        link: LinkId,
        step: &Bytes,
        shelf: &Shelf,
        sink: &mut Sink,
    ) -> Result<(), ReconcileError> {
        if !self.served(now, link).steps.take(now, 1) {
            return Ok(());
        }
        let step = answer(shelf.set(), step, STEP_BYTES_MAX)?;
        sink.send(link, Message::Reconcile { is_answer: true, step: step.into() });
        Ok(())
    }

    /// The answer to a step of ours. Whether it shows that one has what the other lacks.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        link: LinkId,
        step: &Bytes,
        shelf: &Shelf,
        sink: &mut Sink,
    ) -> Result<bool, ReconcileError> {
        let Some(at) = self.running.iter().position(|running| running.link == link) else {
            return Ok(false);
        };
        let running = &mut self.running[at];
        let step = match running.session.heed(shelf.set(), step) {
            Ok(step) => step,
            Err(error) => {
                self.running.swap_remove(at);
                return Err(error);
            }
        };
        match step.message {
            Some(message) => {
                running.until = now + SESSION_TIMEOUT;
                sink.send(link, Message::Reconcile { is_answer: false, step: message.into() });
            }
            None => drop(self.running.swap_remove(at)),
        }
        let differs = !step.have.is_empty() || !step.need.is_empty();
        for have in step.have.chunks(ASKED_MAX) {
            sink.send(link, Message::Offer(have.iter().map(|id| RecordId(*id)).collect()));
        }
        let need: Vec<_> = step.need.into_iter().map(RecordId).collect();
        self.want(now, link, &need, shelf, sink);
        Ok(differs)
    }

    /// The other side has records that are wanted, if they are not here.
    pub(super) fn want(
        &mut self,
        now: Instant,
        link: LinkId,
        ids: &[RecordId],
        shelf: &Shelf,
        sink: &mut Sink,
    ) {
        let is_fetched = |id: &RecordId| {
            self.fetching.iter().any(|fetch| fetch.asked.contains(id) || fetch.queue.contains(id))
        };
        let new: Vec<_> =
            ids.iter().filter(|id| !shelf.holds(id) && !is_fetched(id)).copied().collect();
        if new.is_empty() {
            return;
        }
        let at = self.fetching.iter().position(|fetch| fetch.link == link);
        let at = at.unwrap_or_else(|| {
            self.fetching.push(Fetch {
                link,
                queue: VecDeque::new(),
                asked: Vec::new(),
                until: now,
                is_second: false,
            });
            self.fetching.len() - 1
        });
        let fetch = &mut self.fetching[at];
        let room = WANTED_MAX.saturating_sub(fetch.queue.len());
        fetch.queue.extend(new.into_iter().take(room));
        if fetch.asked.is_empty() {
            fetch.ask(now, shelf, sink);
        }
        self.fetching.retain(|fetch| !fetch.asked.is_empty());
    }

    /// Somebody wants records.
    pub(super) fn needed(
        &mut self,
        now: Instant,
        link: LinkId,
        ids: &[RecordId],
        shelf: &Shelf,
        sink: &mut Sink,
    ) {
        let served = self.served(now, link);
        let (mut records, mut bytes) = (Vec::new(), 1);
        for id in ids {
            let Some(record) = shelf.record(id) else { continue };
            let record = record.bytes();
            if !served.bytes.take(now, record.len() as u64) {
                break;
            }
            let len = 2 + record.len();
            if bytes + len > MESSAGE_BYTES_MAX || records.len() == RECORDS_MAX {
                sink.send(link, Message::Records(std::mem::take(&mut records)));
                bytes = 1;
            }
            bytes += len;
            records.push(record.clone());
        }
        if !records.is_empty() {
            sink.send(link, Message::Records(records));
        }
    }

    /// Whether a record was asked for there.
    pub(super) fn was_asked(&mut self, link: LinkId, id: &RecordId) -> bool {
        let fetch = self.fetching.iter_mut().find(|fetch| fetch.link == link);
        let Some(fetch) = fetch else { return false };
        let at = fetch.asked.iter().position(|asked| asked == id);
        at.map(|at| fetch.asked.swap_remove(at)).is_some()
    }

    /// Records have come: the next are asked for, once all are there.
    pub(super) fn next(&mut self, now: Instant, link: LinkId, shelf: &Shelf, sink: &mut Sink) {
        if let Some(at) = self.fetching.iter().position(|fetch| fetch.link == link) {
            let fetch = &mut self.fetching[at];
            fetch.until = now + SESSION_TIMEOUT / 3;
            fetch.is_second = false;
            if fetch.asked.is_empty() {
                fetch.ask(now, shelf, sink);
            }
            if fetch.asked.is_empty() {
                self.fetching.swap_remove(at);
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let running = self.running.iter().map(|running| running.until);
        running.chain(self.fetching.iter().map(|fetch| fetch.until)).min()
    }

    /// Gives up what is not answered; says on which links.
    pub(super) fn timeout(&mut self, now: Instant, sink: &mut Sink) -> Vec<LinkId> {
        let mut over = Vec::new();
        self.running.retain(|running| {
            let is_over = running.until <= now;
            over.extend(is_over.then_some(running.link));
            !is_over
        });
        self.fetching.retain_mut(|fetch| {
            if fetch.until > now {
                return true;
            }
            if fetch.is_second {
                over.push(fetch.link);
                return false;
            }
            fetch.is_second = true;
            fetch.until = now + SESSION_TIMEOUT;
            sink.send(fetch.link, Message::Need(fetch.asked.clone()));
            true
        });
        over
    }
}

impl Fetch {
    /// Asks for the next ones that have not come otherwise by now.
    fn ask(&mut self, now: Instant, shelf: &Shelf, sink: &mut Sink) {
        while self.asked.len() < NEEDED_AT_ONCE {
            let Some(id) = self.queue.pop_front() else { break };
            if !shelf.holds(&id) {
                self.asked.push(id);
            }
        }
        if !self.asked.is_empty() {
            self.until = now + SESSION_TIMEOUT / 3;
            sink.send(self.link, Message::Need(self.asked.clone()));
        }
    }
}
