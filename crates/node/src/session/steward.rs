//! Looks after torrents as a whole: who of the queue runs, and who has been given to others for long
//! enough. It looks when something has changed, and now and then as long as time alone can change
//! something; with no limits set it rests.

use super::queue::{self, Kind, QueueMove, Standing};
use super::settings::change_settings;
use super::shared::{Entry, Shared};
use super::{CommandError, Event, Goal, Ratio, Session, TorrentId, TorrentState, leave};
use crate::clock;
use crate::config::{Config, Then};
use crate::limits::{STEWARD_INTERVAL, STEWARD_PAUSE};
use crate::shard::Command;
use althing_base::Instant;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What is remembered from one look to the next.
#[derive(Default)]
struct Memory {
    /// Since when torrents have been slow.
    slow: BTreeMap<TorrentId, Instant>,
    /// The limits that torrents have reached and been stopped for: who lets one go on after that
    /// means it.
    reached: BTreeMap<TorrentId, Goals>,
}

/// When a torrent has been given enough.
type Goals = (Option<Ratio>, Option<Duration>);

/// Runs as long as the session.
pub(super) async fn run(shared: Weak<Shared>) {
    let mut memory = Memory::default();
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let again = look(&strong, &mut memory).await;
        let changed = Arc::clone(&strong.steward);
        drop(strong);
        if again {
            let _ = tokio::time::timeout(STEWARD_INTERVAL, changed.notified()).await;
        } else {
            changed.notified().await;
        }
        // What happens to many at once is looked at once.
        tokio::time::sleep(STEWARD_PAUSE).await;
    }
}

/// Looks at all torrents; says whether time alone can change what it saw.
async fn look(shared: &Arc<Shared>, memory: &mut Memory) -> bool {
    let config = shared.current();
    let now = clock::now();
    let all = shared.torrents.all();
    let mut standing = Vec::new();
    let mut enough = Vec::new();
    let mut goals_ahead = false;
    for entry in &all {
        let torrent = entry.figures();
        if let Some(one) = stands(&config, memory, now, entry, &torrent) {
            standing.push(one);
        }
        let goals = goals(shared, &config, &torrent);
        if torrent.state == TorrentState::Seeding && goals != (None, None) {
            if memory.reached.get(&entry.id) == Some(&goals) {
                continue;
            }
            match reached(goals, &torrent) {
                Some(why) => enough.push((entry, goals, why)),
                None => goals_ahead = true,
            }
        }
    }
    memory.slow.retain(|id, _| shared.torrents.by_id(*id).is_some());
    memory.reached.retain(|id, _| shared.torrents.by_id(*id).is_some());
    queue::sort(&mut standing);
    let runs = queue::runs(&config.queue, &standing);
    let full = standing.iter().zip(&runs).any(|(one, runs)| one.kind == Kind::Downloads && !runs);
    shared.queue_full.store(full, Ordering::Relaxed);
    let by_id: BTreeMap<TorrentId, bool> =
        standing.iter().zip(&runs).map(|(one, runs)| (one.id, *runs)).collect();
    for entry in &all {
        if let Some(runs) = by_id.get(&entry.id)
            && entry.waits.swap(!runs, Ordering::Relaxed) == *runs
        {
            shared.send(entry, Command::Wait(entry.key, !runs));
        }
    }
    for (entry, goals, why) in enough {
        memory.reached.insert(entry.id, goals);
        stop(shared, entry, config.seeding.then, &why).await;
    }
    let waiting = runs.iter().any(|runs| !runs);
    waiting || goals_ahead
}

/// What the steward looks at of a torrent.
pub(super) struct Figures {
    pub(super) state: TorrentState,
    pub(super) complete: bool,
    pub(super) settings: Arc<super::TorrentSettings>,
    pub(super) added: althing_base::UnixTime,
    pub(super) rate: u64,
    pub(super) uploaded: u64,
    pub(super) downloaded: u64,
    pub(super) done: u64,
    pub(super) seeding: Duration,
}

fn stands(
    config: &Config,
    memory: &mut Memory,
    now: Instant,
    entry: &Entry,
    torrent: &Figures,
) -> Option<Standing> {
    let kind = match torrent.state {
        TorrentState::Paused | TorrentState::Faulted => return None,
        TorrentState::Checking { .. } | TorrentState::Moving { .. } => Kind::Checks,
        TorrentState::Seeding => Kind::Seeds,
        TorrentState::Downloading | TorrentState::Metadata => Kind::Downloads,
        TorrentState::Queued if torrent.complete => Kind::Seeds,
        TorrentState::Queued => Kind::Downloads,
    };
    let crawls = torrent.rate < u64::from(config.queue.slow_kib_s) * 1024;
    let runs = !matches!(
        torrent.state,
        TorrentState::Queued | TorrentState::Checking { .. } | TorrentState::Moving { .. }
    );
    let slow = if crawls && runs {
        let since = *memory.slow.entry(entry.id).or_insert(now);
        now.since(since) >= Duration::from_secs(config.queue.slow_after_s.into())
    } else {
        memory.slow.remove(&entry.id);
        false
    };
    Some(Standing {
        id: entry.id,
        number: torrent.settings.queue,
        added: torrent.added,
        kind,
        forced: torrent.settings.forced,
        slow,
    })
}

/// The limits that hold for a torrent: its own, else its category's, else those of the settings.
fn goals(shared: &Shared, config: &Config, torrent: &Figures) -> Goals {
    let settings = &torrent.settings;
    let category = settings.category.as_ref().and_then(|name| shared.categories.get(name));
    let category = category.unwrap_or_default();
    let at = |limit: Option<Ratio>| limit.map_or(Goal::Never, Goal::At);
    let ratio = settings.ratio_limit.or(category.ratio_limit).or(at(config.seeding.ratio.limit()));
    let minutes = u64::from(config.seeding.minutes);
    let of_all =
        if minutes == 0 { Goal::Never } else { Goal::At(Duration::from_secs(minutes * 60)) };
    let time = settings.seed_time_limit.or(category.seed_time_limit).or(of_all);
    (ratio.limit(), time.limit())
}

/// Why a torrent has been given enough, if it has. What was there already when it was added counts as
/// if it had been fetched, unless most of it was: then what was fetched counts.
fn reached((ratio, time): Goals, torrent: &Figures) -> Option<String> {
    let fetched = torrent.downloaded >= torrent.done / 100 && torrent.downloaded > 0;
    let base = if fetched { torrent.downloaded } else { torrent.done };
    if let Some(ratio) = ratio
        && ratio.is_reached(torrent.uploaded, base)
    {
        return Some(format!("{} times what there is of it has been sent", ratio.as_f64()));
    }
    if let Some(time) = time
        && torrent.seeding >= time
    {
        return Some(format!("it has been given to others for {} minutes", time.as_secs() / 60));
    }
    None
}

async fn stop(shared: &Arc<Shared>, entry: &Arc<Entry>, then: Then, why: &str) {
    let (id, name) = (entry.id, entry.name());
    let (done, what) = match then {
        Then::Pause => {
            let written = shared.persist.paused(id, true).await;
            shared.send(entry, Command::Pause(entry.key));
            (written, "pauses; `althing resume` lets it go on")
        }
        Then::Remove => {
            let left = leave(shared, entry, false).await;
            (left.map_err(|error| error.to_string()), "is out of the list; its files stay")
        }
    };
    let sentence = match done {
        Ok(()) => format!("{name} {what}: {why}"),
        Err(error) => format!("{name} should rest ({why}), but: {error}"),
    };
    tracing::info!(torrent = %id, "{sentence}");
    shared.emit(Event::Note { id: Some(id), sentence: sentence.into() });
}

impl Session {
    /// Moves a torrent in the queue. It is durable when this returns.
    ///
    /// # Errors
    /// If there is none of that id, or it cannot be written down.
    pub async fn move_in_queue(&self, id: TorrentId, to: QueueMove) -> Result<(), CommandError> {
        self.entry(id)?;
        let shared = &self.shared;
        let mut all: Vec<Standing> = shared
            .torrents
            .all()
            .iter()
            .map(|entry| {
                let torrent = entry.figures();
                Standing {
                    id: entry.id,
                    number: torrent.settings.queue,
                    added: torrent.added,
                    kind: Kind::Downloads,
                    forced: false,
                    slow: false,
                }
            })
            .collect();
        queue::sort(&mut all);
        for (id, number) in queue::moved(&all, id, to) {
            shared.queue_last.fetch_max(number, Ordering::Relaxed);
            let change = move |settings: &mut super::TorrentSettings| settings.queue = number;
            self.write_down(change_settings(shared, id, change).await)?;
        }
        shared.steward.notify_one();
        Ok(())
    }

    /// Where a torrent stands in the queue, from 1; `None` if there is none of that id.
    pub fn queue_position(&self, id: TorrentId) -> Option<usize> {
        let mut all: Vec<_> = self
            .shared
            .torrents
            .all()
            .iter()
            .map(|entry| {
                let torrent = entry.figures();
                (torrent.settings.queue, torrent.added, entry.id)
            })
            .collect();
        all.sort_unstable();
        all.iter().position(|(_, _, other)| *other == id).map(|at| at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(uploaded: u64, downloaded: u64, done: u64, seeding_s: u64) -> Figures {
        Figures {
            state: TorrentState::Seeding,
            complete: true,
            settings: Arc::default(),
            added: althing_base::UnixTime(0),
            rate: 0,
            uploaded,
            downloaded,
            done,
            seeding: Duration::from_secs(seeding_s),
        }
    }

    #[test]
    fn what_was_there_already_counts_as_fetched() {
        let twice = (Ratio::from_f64(2.0), None);
        let is_reached = |torrent| reached(twice, &torrent).is_some();
        assert!(is_reached(figures(200, 100, 100, 0)) && !is_reached(figures(199, 100, 100, 0)));
        // Shared from here: nothing was fetched.
        assert!(is_reached(figures(2000, 0, 1000, 0)) && !is_reached(figures(1999, 0, 1000, 0)));
        // A piece was bad and fetched again; that does not make it a download of one piece.
        assert!(!is_reached(figures(1999, 9, 1000, 0)));
        // Half of it was there.
        assert!(is_reached(figures(1000, 500, 1000, 0)));
        assert!(!is_reached(figures(0, 0, 0, 0)));
        let hour = (None, Some(Duration::from_secs(3600)));
        assert!(reached(hour, &figures(0, 0, 1, 3600)).is_some());
        assert!(reached(hour, &figures(0, 0, 1, 3599)).is_none());
        assert!(reached((None, None), &figures(u64::MAX, 1, 1, u64::MAX / 4)).is_none());
    }
}
