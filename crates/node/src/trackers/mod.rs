//! Asking trackers, over HTTP and UDP, for the announcers of all shards.
//!
//! Announces wait in one queue; a bounded number is under way. Looking a name up counts as part of
//! it. What goes over UDP leaves the count once its tracker's address is known: then it costs two
//! packets.

pub(crate) mod http;
pub(crate) mod resolve;
mod udp;

use crate::config::Config;
use crate::limits::{LOOKUPS_KEPT, LOOKUPS_KEPT_FOR};
use crate::net::Way;
use crate::session::shared::Shared;
use crate::shard::Command;
use althing_base::Seed;
use althing_bittorrent::tracker::announcer::AnnounceId;
use althing_bittorrent::tracker::{
    self, AnnounceRequest, AnnounceResponse, Family, Scheme, TrackerError, TrackerUrl,
};
use althing_net::socks5::Target;
use althing_router::TorrentKey;
use http::HttpClient;
use resolve::{Filter, resolve};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinSet};
use tracing::debug;
pub(crate) use udp::UdpClient;

/// Which announce of which torrent of which shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Whose {
    pub(crate) shard: usize,
    pub(crate) torrent: TorrentKey,
    pub(crate) id: AnnounceId,
}

/// An announce to be made.
pub(crate) struct Announce {
    pub(crate) whose: Whose,
    pub(crate) url: Arc<TrackerUrl>,
    pub(crate) family: Option<Family>,
    pub(crate) request: AnnounceRequest,
}

type Outcome = Result<AnnounceResponse, TrackerError>;

enum Job {
    Announce(Announce),
    Cancel(Whose),
    /// Answered when nothing is under way any more.
    Finish(oneshot::Sender<()>),
}

/// Where announces are handed in. The queue holds at most what the announcers of all torrents have
/// under way.
pub(crate) struct Trackers {
    jobs: mpsc::UnboundedSender<Job>,
}

/// What [`run`] takes the jobs from.
pub(crate) struct Jobs(mpsc::UnboundedReceiver<Job>);

impl Trackers {
    pub(crate) fn new() -> (Self, Jobs) {
        let (sender, jobs) = mpsc::unbounded_channel();
        (Trackers { jobs: sender }, Jobs(jobs))
    }

    /// Asks a tracker; the shard gets [`Command::Announced`], unless it is cancelled before.
    pub(crate) fn announce(&self, announce: Announce) {
        // An error means that the session has ended.
        let _ = self.jobs.send(Job::Announce(announce));
    }

    /// Forgets an announce.
    pub(crate) fn cancel(&self, whose: Whose) {
        let _ = self.jobs.send(Job::Cancel(whose));
    }

    /// Waits until nothing is under way any more.
    pub(crate) async fn finish(&self) {
        let (done, finished) = oneshot::channel();
        let _ = self.jobs.send(Job::Finish(done));
        // An error means that nothing is under way since nobody works any more.
        let _ = finished.await;
    }
}

/// Makes the announces of a session until the session ends.
pub(crate) async fn run(config: Config, way: Way, shared: Weak<Shared>, jobs: Jobs, seed: Seed) {
    let (answers, answered) = mpsc::unbounded_channel();
    let udp = UdpClient::start(way.clone(), seed, answers);
    let http = HttpClient::new(way.clone());
    let asker = Arc::new(Asker { config, way, http, udp, lookups: std::sync::Mutex::default() });
    let work = Work {
        asker,
        shared,
        waiting: VecDeque::new(),
        running: JoinSet::new(),
        whose: BTreeMap::new(),
        over_udp: BTreeMap::new(),
        finish: Vec::new(),
    };
    work.run(jobs.0, answered).await;
}

/// What is waiting and what is under way.
struct Work {
    asker: Arc<Asker>,
    shared: Weak<Shared>,
    waiting: VecDeque<Announce>,
    running: JoinSet<(Announce, Step)>,
    whose: BTreeMap<Id, (Whose, AbortHandle)>,
    /// Requests that the UDP client has.
    over_udp: BTreeMap<udp::RequestId, Announce>,
    finish: Vec<oneshot::Sender<()>>,
}

/// What has become of an announce.
enum Step {
    Done(Outcome),
    /// The UDP client has it now.
    OverUdp(udp::RequestId),
}

impl Work {
    async fn run(
        mut self,
        mut jobs: mpsc::UnboundedReceiver<Job>,
        mut answered: mpsc::UnboundedReceiver<(udp::RequestId, Outcome)>,
    ) {
        let mut changes = self.asker.way.changes();
        loop {
            tokio::select! {
                Ok(()) = changes.changed() => self.way_changed(),
                job = jobs.recv() => match job {
                    Some(Job::Announce(announce)) => self.waiting.push_back(announce),
                    Some(Job::Cancel(whose)) => self.cancel(whose),
                    Some(Job::Finish(done)) => self.finish.push(done),
                    None => return,
                },
                Some(ended) = self.running.join_next_with_id() => {
                    // An error is a cancelled task.
                    if let Ok((task, (announce, step))) = ended
                        && self.whose.remove(&task).is_some()
                    {
                        match step {
                            Step::Done(outcome) => self.done(announce, outcome),
                            Step::OverUdp(id) => drop(self.over_udp.insert(id, announce)),
                        }
                    }
                }
                Some((id, outcome)) = answered.recv() => {
                    if let Some(announce) = self.over_udp.remove(&id) {
                        self.done(announce, outcome);
                    }
                }
            }
            self.start_more();
            if self.waiting.is_empty() && self.running.is_empty() && self.over_udp.is_empty() {
                // Who waited may have given up.
                for done in self.finish.drain(..) {
                    let _ = done.send(());
                }
            }
        }
    }

    /// While there is no way out, announces wait instead of failing: a tracker is not to blame.
    fn done(&mut self, announce: Announce, outcome: Outcome) {
        if outcome.is_err() && !self.asker.way.is_open() {
            self.waiting.push_back(announce);
        } else {
            self.answer(announce.whose, outcome);
        }
    }

    /// What was on its way over UDP got lost with the interface, and is asked for anew.
    fn way_changed(&mut self) {
        for (id, announce) in std::mem::take(&mut self.over_udp) {
            self.asker.udp.cancel(id);
            self.waiting.push_back(announce);
        }
    }

    fn start_more(&mut self) {
        if !self.asker.way.is_open() {
            return;
        }
        let concurrent = self.asker.config.trackers.concurrent as usize;
        while self.running.len() < concurrent
            && let Some(announce) = self.waiting.pop_front()
        {
            let whose = announce.whose;
            let asker = Arc::clone(&self.asker);
            let task = self.running.spawn(async move {
                let step = asker.ask(&announce).await;
                (announce, step)
            });
            self.whose.insert(task.id(), (whose, task));
        }
    }

    fn cancel(&mut self, whose: Whose) {
        self.waiting.retain(|announce| announce.whose != whose);
        let running = self.whose.iter().find(|(_, (other, _))| *other == whose);
        if let Some(id) = running.map(|(id, _)| *id)
            && let Some((_, task)) = self.whose.remove(&id)
        {
            task.abort();
        }
        let over_udp = self.over_udp.iter().find(|(_, announce)| announce.whose == whose);
        if let Some(id) = over_udp.map(|(id, _)| *id) {
            self.over_udp.remove(&id);
            self.asker.udp.cancel(id);
        }
    }

    fn answer(&self, whose: Whose, result: Outcome) {
        let Some(shared) = self.shared.upgrade() else { return };
        debug!(
            torrent = whose.torrent.0,
            peers = result.as_ref().map_or(0, |response| response.peers.len()),
            error = result.as_ref().err().map(tracing::field::display),
            "announced"
        );
        if let Some(shard) = shared.shards().get(whose.shard) {
            let Whose { torrent, id, .. } = whose;
            shard.send(Command::Announced { torrent, id, result });
        }
    }
}

/// Asks one tracker at a time.
struct Asker {
    config: Config,
    way: Way,
    http: HttpClient,
    udp: UdpClient,
    lookups: std::sync::Mutex<Lookups>,
}

/// Names that were looked up lately: thousands of torrents have the same trackers.
#[derive(Default)]
struct Lookups {
    known: BTreeMap<(String, u16, Option<Family>), (tokio::time::Instant, SocketAddr)>,
}

impl Asker {
    async fn ask(&self, announce: &Announce) -> Step {
        let Announce { url, family, request, .. } = announce;
        let family = *family;
        match url.scheme() {
            Scheme::Http | Scheme::Https => {
                let full = tracker::http::announce_url(url, request);
                let answer = self.http.get(&full, family).await;
                Step::Done(answer.and_then(|(body, answered_by)| {
                    let response = tracker::http::parse_announce(&body)?;
                    Ok(AnnounceResponse { answered_by, ..response })
                }))
            }
            Scheme::Udp => match self.over_udp(announce).await {
                Ok(id) => Step::OverUdp(id),
                Err(error) => Step::Done(Err(error)),
            },
        }
    }

    async fn over_udp(&self, announce: &Announce) -> Result<udp::RequestId, TrackerError> {
        let Announce { url, family, request, .. } = announce;
        let target = url.target().as_bytes().to_vec();
        if self.way.proxy().is_none() {
            let addr = self.look_up(url, *family).await?;
            return Ok(self.udp.announce(addr, target, request.clone()));
        }
        let filter = Filter {
            reach: self.way.reach(),
            family: *family,
            this_machine: true,
            own_network: true,
        };
        match Target::parse(url.host(), url.port()) {
            Some(Target::Addr(addr)) => {
                resolve::choose(vec![addr], filter)?;
                Ok(self.udp.announce(addr, target, request.clone()))
            }
            Some(name) => {
                resolve::may_be_named(url.host(), filter)?;
                Ok(self.udp.announce_by_name(name, target, request.clone()))
            }
            None => Err(TrackerError::Unreachable("no host can have such a name".to_owned())),
        }
    }

    async fn look_up(
        &self,
        url: &TrackerUrl,
        family: Option<Family>,
    ) -> Result<SocketAddr, TrackerError> {
        let key = (url.host().to_owned(), url.port(), family);
        let now = crate::clock::deadline(crate::clock::now());
        if let Some((until, addr)) = self.lookups().known.get(&key)
            && *until > now
        {
            return Ok(*addr);
        }
        let reach = self.config.network.reach;
        let filter = Filter { reach, family, this_machine: true, own_network: true };
        let found = resolve(&self.way, url.host(), url.port(), filter).await?;
        let nowhere = || TrackerError::Unreachable("its name leads nowhere".to_owned());
        let addr = *found.first().ok_or_else(nowhere)?;
        let mut lookups = self.lookups();
        lookups.known.retain(|_, (until, _)| *until > now);
        if lookups.known.len() < LOOKUPS_KEPT {
            lookups.known.insert(key, (now + LOOKUPS_KEPT_FOR, addr));
        }
        Ok(addr)
    }

    fn lookups(&self) -> std::sync::MutexGuard<'_, Lookups> {
        self.lookups.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The kinds of address that there is a way out on, for trackers that know peers of both (BEP 7).
pub(crate) fn families(config: &Config, way: &Way) -> Vec<Family> {
    let network = &config.network;
    let both = [Family::V4, Family::V6];
    if way.proxy().is_some() {
        // Which addresses it sees is its own business.
        return Vec::new();
    }
    if way.has_interface() {
        let look = way.look();
        return both.into_iter().filter(|family| look.of(*family).is_some()).collect();
    }
    if !network.bind.is_empty() {
        let bound = |family| network.bind.iter().any(|ip| Family::of(*ip) == family);
        return both.into_iter().filter(|family| bound(*family)).collect();
    }
    match network.reach {
        crate::config::Reach::Loopback => Vec::new(),
        crate::config::Reach::Any => both.into_iter().filter(|family| has_route(*family)).collect(),
    }
}

/// Whether the system knows a way to the world. Nothing is sent: connecting a datagram socket only
/// asks for the route.
fn has_route(family: Family) -> bool {
    // Addresses of root name servers; any far address would do.
    let (here, far): (SocketAddr, SocketAddr) = match family {
        Family::V4 => (([0, 0, 0, 0], 0).into(), ([198, 41, 0, 4], 53).into()),
        Family::V6 => {
            let far = [0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30];
            (([0u16; 8], 0).into(), (far, 53).into())
        }
    };
    std::net::UdpSocket::bind(here).and_then(|socket| socket.connect(far)).is_ok()
}
