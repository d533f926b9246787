//! The announcer: which of a torrent's trackers are asked, when, and what they are told (BEP 3,
//! 12, 27, 31).
//!
//! * **Tiers.** As qBittorrent has it by default: one working tracker of *each* tier is announced
//!   to, because tiers in today's torrents are lists of unrelated trackers rather than backups. Within
//!   a tier trackers are tried in random order until one answers, which then comes first (BEP 12). Of
//!   a private torrent only one tracker at all is used, and it is kept until it fails; when another
//!   one answers, that is said ([`Output::TrackerChanged`]), because peers must not be carried from
//!   one tracker to the next (BEP 27).
//! * **Ways.** Each tracker is asked once for each info-hash (hybrid torrents have two) and each
//!   kind of address. It works if any of these does.
//! * **Events.** Each way is told `started` until it has answered, `completed` once, and `stopped`
//!   if it may know of us (BEP 3).
//! * **Times.** The tracker's interval within bounds and a little more, so that thousands of
//!   torrents spread out; earlier if peers are wanted and the tracker's `min interval` allows it. After
//!   all trackers of a tier failed, exponential back-off.
//!
//! Names are looked up and packets sent by the driver; the announcer only says what to ask whom.

mod io;
mod tracker;

pub use io::{AnnounceId, AnnouncerConfig, Input, Output, Reason, TrackerState, TrackerStatus};

use super::limits::{
    ANNOUNCE_TIMEOUT, INTERVAL_DEFAULT, INTERVAL_MAX, INTERVAL_MIN, INTERVAL_SPREAD,
    MIN_INTERVAL_DEFAULT, MOVED_INTERVAL, MOVED_SPREAD, NUM_WANT, RETRY_FIRST, RETRY_MAX,
    TRACKERS_MAX,
};
use super::{AnnounceRequest, AnnounceResponse, Event, TrackerError, Transfer};
use crate::types::PeerId;
use althing_base::{Instant, Machine, Rng, Seed};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tracker::{Endpoint, Tracker};

/// The machine; see the [module](self).
#[derive(Debug)]
pub struct Announcer {
    peer_id: PeerId,
    port: u16,
    key: u32,
    rng: Rng,
    transfer: Transfer,
    partial_seed: bool,
    running: bool,
    /// Whether the torrent is private, and which tracker answered last if it is (BEP 27).
    private: bool,
    answered_last: Option<usize>,
    /// When trackers were told last that we are elsewhere.
    moved_at: Option<Instant>,
    trackers: Vec<Tracker>,
    groups: Vec<Group>,
    /// Announces under way: the tracker, its endpoint, and until when an answer is waited for.
    asked: BTreeMap<AnnounceId, Asked>,
    next_id: u64,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    tracker: usize,
    endpoint: usize,
    deadline: Instant,
}

/// Trackers of which one at a time is used: a tier, or all tiers of a private torrent.
#[derive(Debug)]
struct Group {
    /// Indexes of trackers in the order in which they are tried.
    order: Vec<usize>,
    /// The tracker that answered last.
    current: Option<usize>,
    state: State,
    /// Rounds in which all failed, since one did not.
    failures: u32,
    /// When the tracker may be asked for more peers at the earliest.
    min_next: Instant,
}

#[derive(Debug)]
enum State {
    Idle,
    Waiting { at: Instant, reason: Reason },
    Asking(Round),
}

/// Trying trackers one after another until one answers.
#[derive(Debug)]
struct Round {
    tracker: usize,
    /// What is left to try.
    rest: VecDeque<usize>,
    /// What the tracker said in the ways that have been answered.
    interval: Option<Duration>,
    min_interval: Option<Duration>,
    /// The first thing that went wrong; that it has no address of some kind only if nothing else.
    error: Option<TrackerError>,
    /// `completed` has been said after `started`.
    followed_up: bool,
}

impl Announcer {
    /// An announcer that has not started.
    pub fn new(config: &AnnouncerConfig, seed: Seed) -> Self {
        // Its generator is not kept: of ten thousand torrents that rest, few ever draw again.
        let mut rng = Rng::new(seed.fork("order", 0));
        let mut trackers = Vec::new();
        let mut groups: Vec<Group> = Vec::new();
        for (tier, urls) in config.tiers.iter().enumerate() {
            let first = trackers.len();
            let room = TRACKERS_MAX - first;
            trackers.extend(
                urls.iter().take(room).map(|url| Tracker::new(url, tier, endpoints(config))),
            );
            let mut order: Vec<usize> = (first..trackers.len()).collect();
            rng.shuffle(&mut order);
            match groups.last_mut() {
                Some(group) if config.private => group.order.extend(order),
                _ => groups.push(Group::new(order)),
            }
        }
        Announcer {
            peer_id: config.peer_id,
            port: config.port,
            key: rng.next_u32(),
            rng: Rng::new(seed),
            transfer: Transfer::default(),
            partial_seed: false,
            running: false,
            private: config.private,
            answered_last: None,
            moved_at: None,
            trackers,
            groups,
            asked: BTreeMap::new(),
            next_id: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Sets what the next announces say of the torrent's traffic. To be called before the machine
    /// is told something or woken.
    pub fn set_transfer(&mut self, transfer: Transfer) {
        self.transfer = transfer;
    }

    /// Sets whether the next announces are those of a partial seed (BEP 21): one that has all that it
    /// wants, and not everything.
    pub fn set_partial_seed(&mut self, partial_seed: bool) {
        self.partial_seed = partial_seed;
    }

    /// Sets where the next announces say that we listen.
    pub fn set_port(&mut self, port: u16) {
        self.port = port;
    }

    /// Whether announces are under way; after [`Input::Stop`] they are the last words.
    pub fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The trackers in the order of the torrent.
    pub fn trackers(&self) -> impl Iterator<Item = TrackerStatus<'_>> {
        self.trackers.iter().enumerate().map(|(index, tracker)| TrackerStatus {
            url: &tracker.text,
            tier: tracker.tier,
            state: if tracker.is_asked() { TrackerState::Announcing } else { tracker.state },
            message: tracker.message.as_deref(),
            next_announce: self.next_announce(index),
            seeders: tracker.seeders,
            leechers: tracker.leechers,
            downloaded: tracker.downloaded,
            peers: tracker.peers,
        })
    }

    fn next_announce(&self, index: usize) -> Option<Instant> {
        let group = self.groups.iter().find(|group| group.order.contains(&index))?;
        match group.state {
            State::Waiting { at, .. } => {
                let next = group.candidates().find(|&index| self.trackers[index].is_ready(at));
                (next == Some(index)).then_some(at)
            }
            State::Idle | State::Asking(_) => None,
        }
    }

    fn start(&mut self, now: Instant) {
        if self.running {
            return;
        }
        self.cancel_all();
        self.running = true;
        for tracker in &mut self.trackers {
            if tracker.state == TrackerState::Gone {
                // The user started it again; perhaps the tracker has changed its mind.
                tracker.state = TrackerState::Failing;
            }
            for endpoint in &mut tracker.endpoints {
                endpoint.started = false;
                endpoint.completed_due = false;
            }
        }
        for group in 0..self.groups.len() {
            self.groups[group].failures = 0;
            self.begin_round(now, group);
        }
    }

    fn stop(&mut self, now: Instant) {
        // A tracker that is being asked may know of us already.
        for tracker in &mut self.trackers {
            for endpoint in &mut tracker.endpoints {
                endpoint.started |= endpoint.asking.is_some();
            }
        }
        self.cancel_all();
        self.running = false;
        for index in 0..self.trackers.len() {
            for endpoint in 0..self.trackers[index].endpoints.len() {
                let state = &mut self.trackers[index].endpoints[endpoint];
                if std::mem::take(&mut state.started) {
                    self.ask(now, index, endpoint, Event::Stopped);
                }
            }
        }
    }

    fn cancel_all(&mut self) {
        for (id, asked) in std::mem::take(&mut self.asked) {
            self.trackers[asked.tracker].endpoints[asked.endpoint].asking = None;
            self.outputs.push_back(Output::Cancel { id });
        }
        for group in &mut self.groups {
            group.state = State::Idle;
        }
    }

    fn completed(&mut self, now: Instant) {
        if !self.running {
            return;
        }
        for tracker in &mut self.trackers {
            for endpoint in &mut tracker.endpoints {
                endpoint.completed_due = true;
            }
        }
        for group in 0..self.groups.len() {
            match &mut self.groups[group].state {
                State::Asking(round) => round.followed_up = false,
                State::Waiting { reason: Reason::Announce, .. } => self.begin_round(now, group),
                State::Waiting { .. } | State::Idle => {}
            }
        }
    }

    fn need_peers(&mut self, now: Instant) {
        for group in 0..self.groups.len() {
            let min_next = self.groups[group].min_next;
            if let State::Waiting { at, reason: Reason::Announce } = &mut self.groups[group].state {
                *at = min_next.max(now).min(*at);
                if *at <= now {
                    self.begin_round(now, group);
                }
            }
        }
    }

    /// At random within half a minute, so that thousands of torrents do not come at once; however often
    /// it changes, once in a while is enough.
    fn moved(&mut self, now: Instant) {
        let earliest = self.moved_at.map_or(now, |before| now.max(before + MOVED_INTERVAL));
        for group in &mut self.groups {
            if let State::Waiting { at, .. } = &mut group.state {
                // Not at once: an address often comes a moment after another one has gone.
                let soon = earliest + MOVED_SPREAD.mul_f64(0.1 + 0.9 * self.rng.unit());
                *at = soon.min(*at);
                self.moved_at = Some(earliest);
            }
        }
    }

    fn begin_round(&mut self, now: Instant, group: usize) {
        let rest = self.groups[group].candidates().collect();
        self.try_next(now, group, rest);
    }

    /// Asks the next tracker that may be asked; if there is none, the round has failed.
    fn try_next(&mut self, now: Instant, group: usize, mut rest: VecDeque<usize>) {
        while let Some(tracker) = rest.pop_front() {
            if self.trackers[tracker].is_ready(now) {
                let round = Round {
                    tracker,
                    rest,
                    interval: None,
                    min_interval: None,
                    error: None,
                    followed_up: false,
                };
                self.groups[group].state = State::Asking(round);
                self.ask_where(now, tracker, |_| true);
                return;
            }
        }
        self.round_failed(now, group);
    }

    /// Asks a tracker in those of its ways that are `wanted`; says whether there were any.
    fn ask_where(&mut self, now: Instant, tracker: usize, wanted: fn(&Endpoint) -> bool) -> bool {
        let mut any = false;
        for endpoint in 0..self.trackers[tracker].endpoints.len() {
            let way = &self.trackers[tracker].endpoints[endpoint];
            if wanted(way) {
                let event = way.event();
                self.ask(now, tracker, endpoint, event);
                any = true;
            }
        }
        any
    }

    fn ask(&mut self, now: Instant, index: usize, endpoint: usize, event: Event) {
        let tracker = &mut self.trackers[index];
        let Some(url) = tracker.url.clone() else { return };
        let id = AnnounceId(self.next_id);
        self.next_id += 1;
        let way = &mut tracker.endpoints[endpoint];
        way.asking = Some((id, event));
        let request = AnnounceRequest {
            transfer: self.transfer,
            event: match event {
                Event::None if self.partial_seed => Event::Paused,
                event => event,
            },
            num_want: Some(if event == Event::Stopped { 0 } else { NUM_WANT }),
            key: self.key,
            tracker_id: tracker.tracker_id.clone(),
            ..AnnounceRequest::new(way.info_hash, self.peer_id, self.port)
        };
        let deadline = now + ANNOUNCE_TIMEOUT;
        self.asked.insert(id, Asked { tracker: index, endpoint, deadline });
        self.outputs.push_back(Output::Announce { id, url, family: way.family, request });
    }

    fn response(&mut self, now: Instant, id: AnnounceId, mut response: AnnounceResponse) {
        let Some((asked, event)) = self.take(id) else { return };
        if event == Event::Stopped {
            return;
        }
        let tracker = &mut self.trackers[asked.tracker];
        tracker.answered(&response);
        let endpoint = &mut tracker.endpoints[asked.endpoint];
        endpoint.started = true;
        if event == Event::Completed {
            endpoint.completed_due = false;
        }
        if self.private {
            let before = self.answered_last.replace(asked.tracker);
            if before.is_some_and(|before| before != asked.tracker) {
                self.outputs.push_back(Output::TrackerChanged);
            }
        }
        if let Some(ip) = response.external_ip {
            self.outputs.push_back(Output::ExternalAddress { by: response.answered_by, ip });
        }
        if !response.peers.is_empty() {
            let peers = std::mem::take(&mut response.peers);
            self.outputs.push_back(Output::PeersFound { peers });
        }
        if let Some((group, round)) = self.round_of(asked.tracker) {
            let interval = response.interval.unwrap_or(INTERVAL_DEFAULT);
            let min_interval = response.min_interval.unwrap_or(MIN_INTERVAL_DEFAULT);
            round.interval = round.interval.max(Some(interval));
            round.min_interval = round.min_interval.max(Some(min_interval));
            self.round_answered(now, group);
        }
    }

    fn failed(&mut self, now: Instant, id: AnnounceId, error: &TrackerError) {
        let Some((asked, event)) = self.take(id) else { return };
        if event == Event::Stopped {
            return;
        }
        let Some((group, round)) = self.round_of(asked.tracker) else { return };
        match &round.error {
            Some(TrackerError::NoAddress(_)) | None => round.error = Some(error.clone()),
            Some(_) => {}
        }
        self.round_answered(now, group);
    }

    fn take(&mut self, id: AnnounceId) -> Option<(Asked, Event)> {
        let asked = self.asked.remove(&id)?;
        let (_, event) = self.trackers[asked.tracker].endpoints[asked.endpoint].asking.take()?;
        Some((asked, event))
    }

    /// The round in which a tracker is being asked.
    fn round_of(&mut self, tracker: usize) -> Option<(usize, &mut Round)> {
        self.groups.iter_mut().enumerate().find_map(|(index, group)| match &mut group.state {
            State::Asking(round) if round.tracker == tracker => Some((index, round)),
            _ => None,
        })
    }

    /// Goes on once the tracker has been heard, or given up, in all ways.
    fn round_answered(&mut self, now: Instant, index: usize) {
        let group = &mut self.groups[index];
        let State::Asking(round) = &mut group.state else { return };
        let tracker = round.tracker;
        if self.trackers[tracker].is_asked() {
            return;
        }
        // A tracker that works in one way need not work in the others.
        let (Some(interval), Some(min_interval)) = (round.interval, round.min_interval) else {
            let rest = std::mem::take(&mut round.rest);
            if let Some(error) = &round.error {
                self.trackers[tracker].failed(now, error);
            }
            self.try_next(now, index, rest);
            return;
        };
        if !std::mem::replace(&mut round.followed_up, true)
            && self.ask_where(now, tracker, Endpoint::owes_completed)
        {
            return;
        }
        self.round_succeeded(now, index, tracker, interval, min_interval);
    }

    fn round_succeeded(
        &mut self,
        now: Instant,
        index: usize,
        tracker: usize,
        interval: Duration,
        min_interval: Duration,
    ) {
        let group = &mut self.groups[index];
        let interval = interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
        let spread = interval.mul_f64(self.rng.unit() * INTERVAL_SPREAD);
        group.min_next = now + min_interval.min(interval);
        group.failures = 0;
        group.current = Some(tracker);
        group.state = State::Waiting { at: now + interval + spread, reason: Reason::Announce };
        // To the front of its tier (BEP 12).
        let tier = self.trackers[tracker].tier;
        let first = group.order.iter().position(|&other| self.trackers[other].tier == tier);
        let place = group.order.iter().position(|&other| other == tracker);
        if let (Some(first), Some(place)) = (first, place) {
            group.order[first..=place].rotate_right(1);
        }
    }

    fn round_failed(&mut self, now: Instant, index: usize) {
        let group = &mut self.groups[index];
        let usable = || group.order.iter().map(|&t| &self.trackers[t]).filter(|t| t.is_usable());
        // When the first of them lets itself be asked, if they have all named a time.
        let ready = usable().map(|tracker| tracker.not_before.unwrap_or(now)).min();
        let Some(ready) = ready else {
            group.state = State::Idle;
            return;
        };
        let delay = RETRY_FIRST.saturating_mul(1 << group.failures.min(16)).min(RETRY_MAX);
        let delay = delay.mul_f64(0.75 + self.rng.unit() / 2.0);
        group.failures = group.failures.saturating_add(1);
        group.current = None;
        group.state = State::Waiting { at: ready.max(now + delay), reason: Reason::Retry };
    }

    fn time_out(&mut self, now: Instant) {
        let late = self.asked.iter().filter(|(_, asked)| asked.deadline <= now);
        for id in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.outputs.push_back(Output::Cancel { id });
            self.failed(now, id, &TrackerError::TimedOut);
        }
    }
}

impl Group {
    fn new(order: Vec<usize>) -> Self {
        let (state, min_next) = (State::Idle, Instant::ORIGIN);
        Group { order, current: None, state, failures: 0, min_next }
    }

    /// The trackers in the order in which the next round tries them.
    fn candidates(&self) -> impl Iterator<Item = usize> + '_ {
        let others = self.order.iter().copied().filter(|&index| Some(index) != self.current);
        self.current.into_iter().chain(others)
    }
}

fn endpoints(config: &AnnouncerConfig) -> Vec<Endpoint> {
    let families: Vec<_> = if config.families.is_empty() {
        vec![None]
    } else {
        config.families.iter().copied().map(Some).collect()
    };
    let ways = config.info_hashes.short_hashes().flat_map(|info_hash| {
        families.iter().map(move |&family| Endpoint {
            info_hash,
            family,
            asking: None,
            started: false,
            completed_due: false,
        })
    });
    ways.collect()
}

impl Machine for Announcer {
    type Input = Input;
    type Output = Output;
    type Reason = Reason;

    fn handle_input(&mut self, now: Instant, input: Input) {
        debug_assert!(self.outputs.is_empty(), "drained before the next input");
        match input {
            Input::Start => self.start(now),
            Input::Stop => self.stop(now),
            Input::Completed => self.completed(now),
            Input::Moved => self.moved(now),
            Input::NeedPeers => self.need_peers(now),
            Input::Response { id, response } => self.response(now, id, response),
            Input::Failed { id, error } => self.failed(now, id, &error),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        debug_assert!(self.outputs.is_empty(), "drained before the next input");
        self.time_out(now);
        for group in 0..self.groups.len() {
            if let State::Waiting { at, .. } = self.groups[group].state
                && at <= now
            {
                self.begin_round(now, group);
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let waiting = self.groups.iter().filter_map(|group| match group.state {
            State::Waiting { at, reason } => Some((at, reason)),
            _ => None,
        });
        let asked = self.asked.values().map(|asked| (asked.deadline, Reason::Unanswered));
        waiting.chain(asked).min()
    }
}

#[cfg(test)]
mod tests;
