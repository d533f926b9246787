//! Hosts whose users watch what they fetch, and what they have to wait for.

use super::{START, World};
use crate::plan::Order;
use crate::queue::Event;
use crate::report::View;
use crate::units::HostId;
use althing_base::Instant;
use althing_base::time::Duration;
use althing_bittorrent::PieceIndex;
use althing_bittorrent::swarm::{self, ReaderId};

/// How far deadlines reach ahead, in bytes: as the daemon's readers have it.
const AHEAD_BYTES: u64 = 16 << 20;

/// The pace of deadlines, as the daemon's readers have it.
const BYTES_PER_S: u64 = 2 << 20;

/// What somebody is looking at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer {
    from: u32,
    /// The first piece from there on that is not on disk.
    next: u32,
    since: Instant,
    /// How many places were looked at before.
    jumps: usize,
}

impl World {
    /// Puts every viewer's jumps into the queue.
    pub(super) fn schedule_views(&mut self) {
        for host in &self.hosts {
            let watching = host.plan.watching.iter();
            for (at, _) in watching.flat_map(|watching| &watching.jumps) {
                self.queue.at(START + *at, Event::View(host.id));
            }
        }
    }

    /// Somebody looks at another place.
    pub(super) fn view(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host(id);
        let jumps = host.viewer.map_or(0, |viewer| viewer.jumps);
        let Some(watching) = &host.plan.watching else { return };
        let Some((_, from)) = watching.jumps.get(jumps).copied() else { return };
        host.viewer = Some(Viewer { from, next: from, since: now, jumps: jumps + 1 });
        self.views.push(View { from, waited_s: Vec::new() });
        // Some of it may be there.
        self.view_on(id);
        self.look_ahead(id);
        self.settle(id);
    }

    /// A host has one more piece: its viewer may see more.
    pub(super) fn view_on(&mut self, id: HostId) {
        let (now, piece_bytes) = (self.now, u64::from(self.torrent.metainfo.piece_length()));
        let host = self.host(id);
        let Some(mut viewer) = host.viewer else { return };
        let before = viewer.next;
        while host.disk.stored().get(PieceIndex(viewer.next)) {
            viewer.next += 1;
        }
        if viewer.next == before {
            return;
        }
        host.viewer = Some(viewer);
        let seen = u64::from(viewer.next - viewer.from) * piece_bytes;
        let marks = host.plan.watching.iter().flat_map(|watching| &watching.marks);
        let reached = marks.filter(|mark| **mark <= seen).count();
        let waited = (now - viewer.since).as_secs_f64();
        if let Some(view) = self.views.last_mut() {
            view.waited_s.resize(reached.max(view.waited_s.len()), waited);
        }
        self.look_ahead(id);
    }

    /// Tells the machine what is needed when.
    fn look_ahead(&mut self, id: HostId) {
        let (now, piece_bytes) = (self.now, u64::from(self.torrent.metainfo.piece_length()));
        let pieces = self.torrent.metainfo.piece_count();
        let host = self.host(id);
        let (Some(viewer), Some(watching)) = (host.viewer, &host.plan.watching) else { return };
        if watching.order != Order::Deadlines {
            return;
        }
        let count = u32::try_from(AHEAD_BYTES / piece_bytes).unwrap_or(u32::MAX);
        let window = viewer.next..viewer.next.saturating_add(count).min(pieces);
        let pieces = window
            .map(|n| {
                let ahead = u64::from(n - viewer.next) * piece_bytes;
                let wait = Duration::from_millis(ahead * 1000 / BYTES_PER_S);
                (PieceIndex(n), now + wait)
            })
            .collect();
        host.expect(swarm::Input::SetDeadlines { reader: ReaderId(1), pieces });
    }
}
