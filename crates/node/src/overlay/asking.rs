//! Searches of users on the overlay's thread: which question of the machine's belongs to which, and what of
//! the records that come answers those that stand.

use super::limits::WATCHES_MAX;
use super::side::{News, Side};
use crate::session::find::{ASKED_AGAIN, Source, Told, has_words};
use crate::session::{AnswerPage, Find, FindCost, FindKind, FindState, FindVia};
use althing_base::{Instant, Rng, Seed};
use althing_overlay::io::{Find as Question, Via, What};
use althing_overlay::records::Record;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// See the [module](self).
pub(super) struct Asking {
    /// Numbers of questions are drawn, for whoever can guess one can take its answers away.
    rng: Rng,
    /// By the number that the machine knows.
    open: BTreeMap<u64, Open>,
    watches: Vec<Watch>,
}

/// A question that is under way.
struct Open {
    find: Arc<Find>,
    /// Who waits until it is answered.
    done: Option<oneshot::Sender<()>>,
    /// Messages to and from nodes of the DHT.
    looked_up: u64,
}

/// A search that stands.
struct Watch {
    find: Arc<Find>,
    again: Instant,
    wait: Duration,
}

impl Asking {
    pub(super) fn new(seed: Seed) -> Self {
        Asking { rng: Rng::new(seed), open: BTreeMap::new(), watches: Vec::new() }
    }

    /// Asks others. `done` is answered or dropped when nobody is asked any more.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        side: &mut Side,
        find: Arc<Find>,
        done: Option<oneshot::Sender<()>>,
    ) {
        if find.is_over() {
            return;
        }
        let id = self.rng.next_u64();
        let options = find.options();
        let via = match options.via {
            FindVia::Auto => Via::Auto,
            FindVia::Dht => Via::Dht,
            FindVia::Walk => Via::Walk,
            FindVia::Super => Via::Super,
        };
        let what = match options.kind {
            FindKind::Any => What::Any,
            FindKind::Files => What::Files,
            FindKind::Pages => What::Pages,
        };
        let (words, wanted) = (options.words.clone(), options.wanted);
        let question = Question { id, words, wanted, via, what };
        self.open.insert(id, Open { find, done, looked_up: 0 });
        side.find(now, question);
    }

    /// From now on whatever comes is held against it.
    pub(super) fn watch(&mut self, now: Instant, find: Arc<Find>) {
        self.watches.retain(|watch| !watch.find.is_over());
        if self.watches.len() < WATCHES_MAX {
            let wait = ASKED_AGAIN.0;
            self.watches.push(Watch { find, again: now + wait, wait });
        }
    }

    /// The user has seen enough of a search.
    pub(super) fn stop(&mut self, now: Instant, side: &mut Side, find: u64) {
        self.watches.retain(|watch| watch.find.id() != find);
        let ids = self.open.iter().filter(|(_, open)| open.find.id() == find);
        for id in ids.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.open.remove(&id);
            side.stop_finding(now, id);
        }
    }

    /// The DHT was asked for those who may answer a question, with so many messages.
    pub(super) fn looked_up(&mut self, id: u64, messages: u64) {
        if let Some(open) = self.open.get_mut(&id) {
            open.looked_up = open.looked_up.saturating_add(messages);
        }
    }

    /// The machine says something of a question.
    pub(super) fn hear(&mut self, news: News, side: &Side) {
        match news {
            News::Found { id, hit } => {
                let Some(open) = self.open.get(&id) else { return };
                let peers = side.callable(&hit.record.author());
                let page = hit.page.map(|page| AnswerPage {
                    path: page.path.as_str().to_owned(),
                    snippet: page.snippet.as_str().to_owned(),
                });
                let (record, source, from) = (Box::new(hit.record), Source::Network, hit.from);
                let is_doubtful = hit.is_doubtful;
                open.find.tell(Told::Listing { record, source, page, peers, from, is_doubtful });
            }
            News::Searched { id, cost } => {
                let Some(open) = self.open.remove(&id) else { return };
                open.find.spent(FindCost {
                    messages: cost.messages.saturating_add(open.looked_up),
                    bytes: cost.bytes,
                    peers: cost.peers.into(),
                });
                if let Some(done) = open.done {
                    // An error means that whoever waited has given up.
                    let _ = done.send(());
                } else {
                    open.find.set(FindState::Watching);
                }
            }
            News::FindTerm { .. } | News::AnnounceTerms(_) | News::Consult { .. } => {}
        }
    }

    /// A record has come to be held.
    pub(super) fn notice(&self, record: &Record, side: &Side) {
        for watch in &self.watches {
            if !watch.find.is_over() && has_words(record, watch.find.words()) {
                let peers = side.callable(&record.author());
                let record = Box::new(record.clone());
                let source = Source::Here;
                let (page, from, is_doubtful) = (None, None, false);
                let told = Told::Listing { record, source, page, peers, from, is_doubtful };
                watch.find.tell(told);
            }
        }
    }

    /// Once a minute: standing searches ask again, ever more rarely, and end when nobody listens.
    pub(super) fn tick(&mut self, now: Instant, side: &mut Side) {
        let mut due = Vec::new();
        self.watches.retain_mut(|watch| {
            if watch.find.is_forgotten(now) {
                watch.find.set(FindState::Ended);
            }
            if watch.find.is_over() {
                return false;
            }
            if watch.again <= now {
                watch.wait = (watch.wait + watch.wait / 2).min(ASKED_AGAIN.1);
                watch.again = now + watch.wait;
                due.push(Arc::clone(&watch.find));
            }
            true
        });
        for find in due {
            find.set(FindState::Asking);
            self.ask(now, side, find, None);
        }
    }
}
