//! The event loop of a shard's thread.

use super::core::DiskEvent;
use super::{Command, Shard, conn};
use crate::clock;
use crate::limits::{DISK_EVENTS_PER_TURN, DISK_FULL_RETRY, IDLE_BLOCKS_KEPT, PUBLISH_INTERVAL};
use althing_bittorrent::swarm::Input;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, interval};

/// Runs until it is told to stop and everything is saved.
pub(super) async fn run(
    shard: Rc<Shard>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    mut disk: mpsc::UnboundedReceiver<DiskEvent>,
) {
    let mut events = Vec::with_capacity(DISK_EVENTS_PER_TURN);
    let mut publish = every(PUBLISH_INTERVAL);
    let mut save = every(Duration::from_secs(shard.shared.config.storage.save_interval_s.into()));
    let mut retry = every(DISK_FULL_RETRY);
    let mut stopping: Option<oneshot::Sender<()>> = None;
    loop {
        let (deadline, round) = {
            let mut core = shard.core.borrow_mut();
            (core.deadline(), core.pacer.deadline())
        };
        tokio::select! {
            _ = disk.recv_many(&mut events, DISK_EVENTS_PER_TURN) => {
                let mut core = shard.core.borrow_mut();
                events.drain(..).for_each(|event| core.disk_event(event));
            }
            command = commands.recv() => match command {
                Some(Command::Stop(done)) => {
                    shard.core.borrow_mut().stop();
                    stopping = Some(done);
                }
                Some(command) => shard.command(command),
                // The session is gone without a word: nobody is left to wait for progress.
                None => return,
            },
            () = clock::sleep_until(deadline) => shard.core.borrow_mut().timeout(),
            () = clock::sleep_until(round) => shard.core.borrow_mut().pace(),
            () = shard.paced.notified() => {}
            () = shard.timer.notified() => {}
            () = shard.dials.notified() => {}
            _ = publish.tick() => {
                let mut core = shard.core.borrow_mut();
                core.look_at_twins();
                core.publish_all();
            }
            _ = save.tick() => {
                shard.core.borrow_mut().save_all();
                shard.scratch.borrow_mut().pool().trim(IDLE_BLOCKS_KEPT);
            }
            _ = retry.tick() => shard.core.borrow_mut().retry_full_disks(),
        }
        shard.end_turn();
        shard.dial_more();
        shard.start_lanes();
        if stopping.is_some() && shard.core.borrow().is_empty() {
            if let Some(done) = stopping.take() {
                // The session may have given up waiting.
                let _ = done.send(());
            }
            return;
        }
    }
}

/// Ticks from one period on; a tick that comes late does not bring the next ones nearer.
fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    interval
}

impl Shard {
    fn command(self: &Rc<Self>, command: Command) {
        let mut core = self.core.borrow_mut();
        match command {
            Command::Add(new) => core.add(*new),
            Command::Arrival(torrent, arrival) => {
                // With all places taken the connection closes here.
                if let Some(place) = self.shared.places.take() {
                    spawn_local(conn::welcome(Rc::clone(self), torrent, *arrival, place));
                }
            }
            Command::Pause(torrent) => core.pause(torrent),
            Command::Wait(torrent, waits) => core.wait(torrent, waits),
            Command::Resume(torrent) => core.resume(torrent),
            Command::Bounds => core.bounds_changed(),
            Command::Limits => core.limits_changed(),
            Command::Settings(torrent, settings) => core.set_settings(torrent, settings),
            Command::Peers(torrent, peers) => core.peers_named(torrent, peers),
            Command::Announced { torrent, id, result } => core.announced(torrent, id, result),
            Command::Read(torrent, block, reply) => core.read(torrent, block, reply),
            Command::Window(torrent, reader, pieces) => core.set_window(torrent, reader, pieces),
            Command::Verify(torrent) => core.verify(torrent),
            Command::Relocate { torrent, to, how, begun } => core.relocate(torrent, to, how, begun),
            Command::MoveProgress(torrent, done, total) => {
                core.move_progress(torrent, done, total);
            }
            Command::Moved(torrent, result) => core.moved(torrent, result),
            Command::Twin(torrent, message) => core.twin_says(torrent, message),
            Command::Remove { torrent, delete, done } => core.remove(torrent, delete, done),
            // Who asked may have given up waiting, here and below.
            Command::Show(torrent, reply) => {
                if let Some(detail) = core.detail(torrent) {
                    drop(reply.send(detail));
                }
            }
            Command::ShowPeers(torrent, reply) => {
                if let Some(peers) = core.peer_snapshots(torrent) {
                    drop(reply.send(peers));
                }
            }
            Command::ShowDeparted(torrent, reply) => {
                if let Some(peers) = core.departed_snapshots(torrent) {
                    drop(reply.send(peers));
                }
            }
            Command::Metainfo(torrent, reply) => {
                drop(reply.send(core.metainfo(torrent)));
            }
            Command::Banned(ip) => core.banned_elsewhere(ip),
            Command::FoundLocally(torrent, addr) => core.found_locally(torrent, addr),
            Command::FoundInDht(torrent, peers) => core.found_in_dht(torrent, peers),
            Command::Application(torrent, wish) => {
                core.input(torrent, Input::Application(wish));
            }
            Command::Filtered => core.close_filtered(),
            Command::Elsewhere { gone, port } => core.elsewhere(&gone, port),
            Command::ListenAt(port) => core.listen_at(port),
            Command::Way { open: true } => core.go_on(),
            Command::Way { open: false } => core.close_all(),
            // The loop takes it out before.
            Command::Stop(_) => {}
        }
    }

    /// Starts as many attempts to connect as there is room for.
    fn dial_more(self: &Rc<Self>) {
        while let Some((dial, place)) = {
            let mut core = self.core.borrow_mut();
            core.next_dial()
        } {
            spawn_local(conn::dial(Rc::clone(self), dial, place));
        }
    }
}
