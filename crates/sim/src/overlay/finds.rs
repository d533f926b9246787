//! Questions that somebody asked, and what has come of them.

use crate::node::NodeIndex;
use althing_base::Instant;
use althing_base::time::Duration;
use althing_overlay::NodeId;
use althing_overlay::wire::Message;
use std::collections::HashMap;

/// Something that was looked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FindId(usize);

/// What has come of it.
#[derive(Clone, Debug)]
pub struct Find {
    /// Who asks.
    pub by: NodeIndex,
    /// When he began.
    pub at: Instant,
    /// When which answer came, by whom its author is.
    pub found: Vec<(Instant, NodeId)>,
    /// When nobody was asked any more.
    pub ended: Option<Instant>,
    /// Messages that it has caused, answers included.
    pub messages: u64,
    /// Their bytes, without what a link adds.
    pub bytes: u64,
}

impl Find {
    /// How long it took to the first answer.
    pub fn took(&self) -> Option<Duration> {
        self.found.first().map(|(at, _)| at.since(self.at))
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Finds {
    finds: Vec<Find>,
    by_id: HashMap<u64, FindId>,
    load: Vec<u64>,
}

impl Finds {
    pub(super) fn add(&mut self, id: u64, by: NodeIndex, at: Instant) -> FindId {
        let find = FindId(self.finds.len());
        self.finds.push(Find { by, at, found: Vec::new(), ended: None, messages: 0, bytes: 0 });
        self.by_id.insert(id, find);
        find
    }

    pub(super) fn find(&self, id: FindId) -> &Find {
        &self.finds[id.0]
    }

    fn by_id(&mut self, id: u64) -> Option<&mut Find> {
        self.by_id.get(&id).map(|id| &mut self.finds[id.0])
    }

    pub(super) fn found(&mut self, id: u64, at: Instant, author: NodeId) {
        if let Some(find) = self.by_id(id) {
            find.found.push((at, author));
        }
    }

    pub(super) fn searched(&mut self, id: u64, at: Instant) {
        if let Some(find) = self.by_id(id) {
            find.ended = Some(at);
        }
    }

    pub(super) fn sent(&mut self, id: u64, to: NodeIndex, message: &Message) {
        if self.load.len() <= to.index() {
            self.load.resize(to.index() + 1, 0);
        }
        self.load[to.index()] += 1;
        if let Some(find) = self.by_id(id) {
            find.messages += 1;
            find.bytes += message.encoded_len() as u64;
        }
    }

    pub(super) fn load(&self, at: NodeIndex) -> u64 {
        self.load.get(at.index()).copied().unwrap_or(0)
    }
}
