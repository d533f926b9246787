//! For how long a torrent has run, and how much of that it was complete.

use crate::session::TorrentState;
use althing_base::Instant;
use std::time::Duration;

/// Time spent, over all runs of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Spent {
    /// Running.
    pub(crate) active: Duration,
    /// Running and complete.
    pub(crate) seeding: Duration,
}

/// Counts on by what the torrent is doing. It costs nothing while that does not change.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Uptime {
    spent: Spent,
    since: Instant,
    state: TorrentState,
}

impl Uptime {
    pub(crate) fn new(now: Instant, spent: Spent) -> Self {
        Uptime { spent, since: now, state: TorrentState::Paused }
    }

    /// Time spent until now.
    pub(crate) fn spent(&self, now: Instant) -> Spent {
        let more = now.since(self.since);
        let running = matches!(
            self.state,
            TorrentState::Metadata | TorrentState::Downloading | TorrentState::Seeding
        );
        let if_so = |so| if so { more } else { Duration::ZERO };
        Spent {
            active: self.spent.active.saturating_add(if_so(running)),
            seeding: self.spent.seeding.saturating_add(if_so(self.state == TorrentState::Seeding)),
        }
    }

    /// From now on it does this.
    pub(crate) fn turns(&mut self, now: Instant, state: TorrentState) {
        *self = Uptime { spent: self.spent(now), since: now, state };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_by_what_the_torrent_does() {
        let at = |seconds: u64| Instant::ORIGIN + Duration::from_secs(seconds);
        let before = Spent { active: Duration::from_secs(100), seeding: Duration::from_secs(50) };
        let mut uptime = Uptime::new(at(0), before);
        let seconds = |uptime: &Uptime, now| {
            let spent = uptime.spent(at(now));
            (spent.active.as_secs(), spent.seeding.as_secs())
        };
        uptime.turns(at(5), TorrentState::Downloading);
        assert_eq!(seconds(&uptime, 8), (103, 50));
        uptime.turns(at(10), TorrentState::Seeding);
        assert_eq!(seconds(&uptime, 17), (112, 57));
        uptime.turns(at(20), TorrentState::Checking { done: 0, total: 9 });
        uptime.turns(at(30), TorrentState::Paused);
        assert_eq!(seconds(&uptime, 1000), (115, 60));
    }
}
