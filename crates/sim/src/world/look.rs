//! The observer: looks at every host now and then, checks what must hold and stay small, and draws
//! the sum of a run.

use super::{START, World};
use crate::checks::first_beyond;
use crate::host::Host;
use crate::network::Network;
use crate::plan::{Life, Start};
use crate::report::{Completion, Group, Report, Sample, Sources};
use althing_base::Instant;
use althing_base::time::Duration;
use althing_bittorrent::swarm::{PeerStats, State, Swarm, limits};
use std::collections::BTreeMap;

impl World {
    pub(super) fn look(&mut self) {
        for at in 0..self.hosts.len() {
            let host = &self.hosts[at];
            let Some(swarm) = host.swarm() else { continue };
            let mut found = Vec::new();
            look_at(self.now, host, swarm, &self.network, &mut self.checks.peaks, &mut found);
            let id = host.id;
            for what in found {
                self.violated(id, || what);
            }
        }
        let sample = self.sample();
        self.timeline.push(sample);
    }

    fn sample(&self) -> Sample {
        let pieces = f64::from(self.torrent.metainfo.piece_count());
        let leechers = || self.hosts.iter().filter(|host| host.plan.start != Start::Everything);
        let progress: f64 =
            leechers().map(|host| f64::from(host.disk.stored().count_ones()) / pieces).sum();
        Sample {
            at_s: (self.now - START).as_secs(),
            running: self.hosts.iter().filter(|host| host.is_running()).count() as u32,
            finished: leechers().filter(|host| host.finished.is_some()).count() as u32,
            mean_progress: progress / leechers().count().max(1) as f64,
            copied_pieces: self.copies.iter().filter(|copies| **copies > 0).count() as u32,
            sent_bytes: self.hosts.iter().map(|host| self.network.sent_bytes(host.id)).sum(),
        }
    }

    /// The sum of the run.
    pub(super) fn report(self, in_vain: bool) -> Report {
        let now = self.now;
        let mut times: Vec<Duration> = Vec::new();
        let mut running_times: Vec<Duration> = Vec::new();
        let mut unfinished = Vec::new();
        for host in self.hosts.iter().filter(|host| host.plan.must_finish) {
            match (host.finished, host.first_started) {
                (Some(finished), Some(started)) => {
                    times.push(finished - started);
                    running_times.extend(host.finished_after);
                }
                _ => unfinished.push(why_unfinished(now, host)),
            }
        }
        times.sort();
        running_times.sort();
        let traffic = self.network.traffic;
        let totals = self.hosts.iter().map(|host| host.totals(now));
        let honest = self.hosts.iter().filter(|host| host.plan.behaviour.is_honest());
        Report {
            scenario: String::new(),
            seed: 0,
            hosts: self.hosts.len() as u32,
            torrent_bytes: self.plan.torrent.total_bytes(),
            pieces: self.plan.torrent.pieces,
            ended_after_s: (now - START).as_secs_f64(),
            in_time: !in_vain || unfinished.is_empty(),
            completion: Completion::of(&times),
            running: Completion::of(&running_times),
            groups: self.groups(),
            unfinished,
            ideal_s: self.ideal().map(|ideal| ideal.as_secs_f64()),
            one_copy_out_s: self.one_copy_out.map(|(at, _)| (at - START).as_secs_f64()),
            seed_copies: self
                .one_copy_out
                .map(|(_, sent)| sent as f64 / self.plan.torrent.total_bytes() as f64),
            sent_bytes: traffic.block_bytes,
            received_bytes: totals.clone().map(|totals| totals.downloaded).sum(),
            wasted_bytes: honest.map(|host| host.totals(now).wasted).sum(),
            blocks: traffic.blocks,
            messages: traffic.messages,
            message_bytes: traffic.message_bytes,
            waited_in_modems_s: traffic.waited_in_modems.as_secs_f64()
                / traffic.message_batches.max(1) as f64,
            liars: self.hosts.iter().filter(|h| !h.plan.behaviour.is_honest()).count() as u32,
            banned_liars: self.bans.len() as u32,
            bans: self.bans.values().sum(),
            calls: self.calls,
            partings: self.partings.iter().map(|(why, n)| (format!("{why:?}"), *n)).collect(),
            peaks: self.checks.peaks,
            events: self.events,
            hash: format!("{:016x}", self.hash.finish()),
            violations: self.checks.violations,
            violations_total: self.checks.violations_total,
            views: self.views,
            timeline: self.timeline,
        }
    }

    /// What came of each group.
    fn groups(&self) -> BTreeMap<String, Group> {
        let pieces = f64::from(self.torrent.metainfo.piece_count());
        let mut times: BTreeMap<String, (Vec<Duration>, Vec<f64>, Sources)> = BTreeMap::new();
        for host in self.hosts.iter().filter(|host| host.plan.start != Start::Everything) {
            let Some(started) = host.first_started else { continue };
            let (through, all, sources) = times.entry(host.plan.group.to_owned()).or_default();
            sources.add(host.sources);
            match host.finished {
                Some(finished) => {
                    through.push(finished - started);
                    all.push((finished - started).as_secs_f64());
                }
                None => {
                    let progress = f64::from(host.disk.stored().count_ones()) / pieces;
                    let so_far = (self.now - started).as_secs_f64();
                    all.push(so_far / progress.max(1.0 / pieces));
                }
            }
        }
        let group = |(mut through, mut all, sources): (Vec<Duration>, Vec<f64>, Sources)| {
            through.sort();
            all.sort_by(f64::total_cmp);
            let expected_s = all.get(all.len() / 2).copied().unwrap_or_default();
            Group {
                hosts: all.len() as u32,
                completion: Completion::of(&through),
                expected_s,
                sources: sources.each(all.len()),
            }
        };
        times.into_iter().map(|(name, times)| (name, group(times))).collect()
    }

    /// The time below which nobody could distribute this torrent, payload alone being counted: the
    /// seeds have to send each byte once, the slowest has to receive all of it, and all uplinks
    /// together have to send a copy for each. `None` if hosts come and go.
    fn ideal(&self) -> Option<Duration> {
        let from_the_start = |life: &[(Duration, Life)]| life == [(Duration::ZERO, Life::Start)];
        let hosts = &self.plan.hosts;
        if !hosts.iter().all(|h| from_the_start(&h.life) && h.leaves.is_none()) {
            return None;
        }
        let honest = || hosts.iter().filter(|host| host.behaviour.is_honest());
        let seeds = || honest().filter(|host| host.start == Start::Everything);
        let leechers = || honest().filter(|host| host.must_finish);
        let size = self.plan.torrent.total_bytes() as f64;
        let up_of_seeds: u64 = seeds().map(|host| host.line.up.as_bytes_per_s()).sum();
        let up_of_all: u64 = honest().map(|host| host.line.up.as_bytes_per_s()).sum();
        let slowest = leechers().map(|host| host.line.down.as_bytes_per_s()).min()?;
        let copies = leechers().count() as f64;
        let seconds = (size / up_of_seeds as f64)
            .max(size / slowest as f64)
            .max(copies * size / up_of_all as f64);
        Some(Duration::from_secs_f64(seconds))
    }
}

/// What one host shows: is it within its bounds, and does it claim what it has?
fn look_at(
    now: Instant,
    host: &Host,
    swarm: &Swarm,
    network: &Network,
    peaks: &mut crate::checks::Peaks,
    found: &mut Vec<String>,
) {
    let stats = swarm.stats(now);
    let conns = network.conns_of(host.id);
    let open = conns.iter().filter(|conn| network.is_open(**conn, host.id)).count() as u32;
    if open != stats.peers {
        found.push(format!("has {open} connections and knows of {}", stats.peers));
    }
    let connections_max = host.plan.connections_max.unwrap_or(limits::CONNECTIONS_MAX);
    if stats.peers as usize > connections_max {
        found.push(format!("has {} connections of at most {connections_max}", stats.peers));
    }
    if stats.candidates as usize > limits::CANDIDATES_MAX {
        found.push(format!("remembers {} addresses", stats.candidates));
    }
    if host.disk.held() > stats.pieces_in_progress as usize {
        found.push(format!(
            "holds blocks of {} pieces and works on {}",
            host.disk.held(),
            stats.pieces_in_progress
        ));
    }
    if !host.disk.is_lossy()
        && !swarm.have().is_empty()
        && let Some(piece) = first_beyond(swarm.have(), host.disk.stored())
    {
        found.push(format!("believes to have {piece:?}, which is not on its disk"));
    }
    for peer in swarm.peers(now) {
        peaks.orders_per_peer = peaks.orders_per_peer.max(peer.blocks_on_order);
        peaks.requests_per_peer = peaks.requests_per_peer.max(peer.requests_waiting);
        if peer.blocks_on_order as usize > limits::PIPELINE_MAX {
            found.push(format!("has {} blocks on order with one peer", peer.blocks_on_order));
        }
        if peer.requests_waiting as usize > limits::UPLOAD_QUEUE_MAX + 64 {
            found.push(format!("keeps {} requests of one peer", peer.requests_waiting));
        }
        let queued = network.queued_bytes(peer.conn, host.id) as u64;
        peaks.queue_bytes = peaks.queue_bytes.max(queued);
    }
    if stats.state == State::Seeding && host.plan.start == Start::Everything {
        let peers = swarm.peers(now);
        let waits = peers.iter().find(|peer| peer.interested_in_us && peer.choked);
        let slots = host.plan.unchoke_slots.unwrap_or(limits::UNCHOKE_SLOTS);
        let taken = peers.iter().filter(|peer| !peer.choked).count();
        if let Some(peer) = waits.filter(|_| taken < slots) {
            found.push(format!("chokes {} with {taken} of {slots} slots taken", peer.addr));
        }
    }
    peaks.connections = peaks.connections.max(stats.peers);
    peaks.pieces_in_progress = peaks.pieces_in_progress.max(stats.pieces_in_progress);
    peaks.candidates = peaks.candidates.max(stats.candidates);
}

/// What keeps a host from finishing, for whoever looks for the reason.
fn why_unfinished(now: Instant, host: &Host) -> String {
    let Some(swarm) = host.swarm() else {
        return format!("{:?}: not running", host.id);
    };
    let stats = swarm.stats(now);
    let peers = swarm.peers(now);
    let count = |what: fn(&PeerStats) -> bool| peers.iter().filter(|peer| what(peer)).count();
    format!(
        "{:?}: {:?}, {} of {} pieces, {} in progress, {} blocks on order, {} peers ({} seeds, {} \
         interesting, {} choke it, {} snub it), {} addresses",
        host.id,
        stats.state,
        stats.pieces_have,
        stats.pieces_total,
        stats.pieces_in_progress,
        stats.blocks_on_order,
        stats.peers,
        stats.seeds,
        count(|peer| peer.interesting),
        count(|peer| peer.chokes_us),
        count(|peer| peer.snubs_us),
        stats.candidates,
    )
}
