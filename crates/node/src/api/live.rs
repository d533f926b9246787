//! What the listeners of the event stream are told. One task looks at the session, once for all of
//! them: at once when something happens, and every second for figures that only drift.
//!
//! The last state that was told is kept beside the channel under one lock, so that a listener gets a
//! snapshot and exactly the changes after it.

use super::app::App;
use super::convert;
use super::limits::{EVENTS_BEHIND_MAX, LIVE_INTERVAL};
use super::types::{Event, Job, SessionInfo, Torrent};
use crate::serve::stopped;
use crate::session::{Event as SessionEvent, TorrentId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::MissedTickBehavior;

/// An event as it goes to every listener, put into text once.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) name: &'static str,
    pub(super) json: Arc<str>,
}

impl Frame {
    fn new(event: &Event) -> Self {
        let json = serde_json::to_string(event).expect("the API's types have only string keys");
        Frame { name: event.name(), json: json.into() }
    }
}

/// Tells the listeners what happens, until `stop`.
pub(super) async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let mut events = app.session().subscribe();
    let mut tick = tokio::time::interval(LIVE_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => app.live().happened(&app, event),
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "session events missed; everything is looked at");
                    app.live().look(&app);
                }
                Err(RecvError::Closed) => break,
            },
            _ = tick.tick() => app.live().look(&app),
            () = stopped(&mut stop) => break,
        }
    }
}

/// Those who listen, and what they know.
pub(super) struct Live {
    told: Mutex<Told>,
    frames: broadcast::Sender<Frame>,
}

#[derive(Default)]
struct Told {
    torrents: BTreeMap<String, Torrent>,
    jobs: BTreeMap<u64, Job>,
    session: Option<SessionInfo>,
}

impl Live {
    pub(super) fn new() -> Self {
        Live { told: Mutex::new(Told::default()), frames: broadcast::channel(EVENTS_BEHIND_MAX).0 }
    }

    /// Everything there is, and every change from then on.
    pub(super) fn subscribe(&self, app: &App) -> (Frame, broadcast::Receiver<Frame>) {
        let mut told = self.lock();
        self.look_at_all(app, &mut told);
        let session = app.session_info();
        let snapshot = Event::Snapshot {
            torrents: told.torrents.values().cloned().collect(),
            jobs: told.jobs.values().cloned().collect(),
            session: session.clone(),
        };
        told.session = Some(session);
        (Frame::new(&snapshot), self.frames.subscribe())
    }

    /// Looks at everything, if anybody listens; else forgets what was told.
    fn look(&self, app: &App) {
        let mut told = self.lock();
        if self.frames.receiver_count() > 0 {
            self.look_at_all(app, &mut told);
        } else {
            *told = Told::default();
        }
    }

    fn happened(&self, app: &App, event: SessionEvent) {
        if self.frames.receiver_count() == 0 {
            return;
        }
        let mut told = self.lock();
        match event {
            SessionEvent::Added { id, .. }
            | SessionEvent::MetadataReceived { id, .. }
            | SessionEvent::StateChanged { id, .. } => self.look_at_torrent(app, &mut told, id),
            SessionEvent::Completed { id } => {
                self.look_at_torrent(app, &mut told, id);
                self.tell(&Event::Completed { id: id.to_string() });
            }
            SessionEvent::Removed { id } => {
                let id = id.to_string();
                if told.torrents.remove(&id).is_some() {
                    self.tell(&Event::Removed { id });
                }
            }
            SessionEvent::Note { id, sentence } => self.tell(&Event::Note {
                id: id.map(|id| id.to_string()),
                message: sentence.to_string(),
            }),
            SessionEvent::Banned { ip } => self.tell(&Event::Note {
                id: None,
                message: format!("{ip} sent data that cannot be right and is kept out from now on"),
            }),
            SessionEvent::Records { count, records } => {
                let Some(me) = app.session().overlay_node() else { return };
                let shown = records.iter().filter(|one| !app.session().is_record_blocked(one));
                let records = shown.map(|one| convert::record(one, me)).collect();
                self.tell(&Event::Records { count, records });
            }
            // Pieces come by the thousand; the next look has their number.
            SessionEvent::PieceVerified { .. } => {}
        }
    }

    /// Tells about a job at once.
    pub(super) fn job_changed(&self, job: &Job) {
        let mut told = self.lock();
        if self.frames.receiver_count() > 0 {
            self.look_at_job(&mut told, job);
        }
    }

    fn look_at_all(&self, app: &App, told: &mut Told) {
        let mut gone: Vec<String> = Vec::new();
        let now: BTreeMap<String, Torrent> = app
            .session()
            .list()
            .iter()
            .map(convert::torrent)
            .map(|torrent| (torrent.id.clone(), torrent))
            .collect();
        gone.extend(told.torrents.keys().filter(|id| !now.contains_key(*id)).cloned());
        for id in gone {
            self.tell(&Event::Removed { id });
        }
        for (id, torrent) in &now {
            if told.torrents.get(id) != Some(torrent) {
                self.tell(&Event::Torrent { torrent: torrent.clone() });
            }
        }
        told.torrents = now;
        for job in app.jobs().list() {
            self.look_at_job(told, &job);
        }
        let session = app.session_info();
        // Time passing alone is not news.
        let moved = told
            .session
            .as_ref()
            .is_none_or(|last| *last != SessionInfo { uptime_s: last.uptime_s, ..session.clone() });
        if moved {
            self.tell(&Event::Session { session: session.clone() });
            told.session = Some(session);
        }
    }

    fn look_at_torrent(&self, app: &App, told: &mut Told, id: TorrentId) {
        let Some(torrent) = app.session().snapshot(id).map(|now| convert::torrent(&now)) else {
            return;
        };
        if told.torrents.get(&torrent.id) != Some(&torrent) {
            self.tell(&Event::Torrent { torrent: torrent.clone() });
            told.torrents.insert(torrent.id.clone(), torrent);
        }
    }

    fn look_at_job(&self, told: &mut Told, job: &Job) {
        if told.jobs.get(&job.id) != Some(job) {
            self.tell(&Event::Job { job: job.clone() });
            told.jobs.insert(job.id, job.clone());
        }
        while told.jobs.len() > super::limits::JOBS_KEPT_MAX + super::limits::JOBS_RUNNING_MAX {
            told.jobs.pop_first();
        }
    }

    fn tell(&self, event: &Event) {
        // To the first listener everything is new: it gets one snapshot, not ten thousand events.
        if self.frames.receiver_count() > 0 {
            drop(self.frames.send(Frame::new(event)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
