//! What is written down of torrents, by one thread in the order in which it is asked: shards and
//! the API never wait for a record unless they want to know that it is there.
//!
//! What is asked for within the same moment is flushed together: a disk takes as long to make one
//! record durable as a thousand. Nobody hears that something is written down before it was flushed.

use super::{StartError, TorrentId};
use crate::limits::FLUSHED_TOGETHER_MAX;
use crate::paths::Paths;
use crate::shard::{Spent, Totals};
use althing_base::UnixTime;
use althing_bittorrent::Bitfield;
use althing_bittorrent::metainfo::FileIndex;
use althing_bittorrent::metainfo::Metainfo;
use althing_store::files::{Location, Stamp};
use althing_store::pieces::{BeforeWrite, Durable};
use althing_store::records::{Record, RecordError, Records, TorrentSettings};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::warn;

/// The torrents' records. What is handed in after [`close`](Self::close) is lost.
pub(crate) struct Persist {
    /// Let go with [`close`](Self::close), so that another session may have the folder.
    records: Mutex<Option<Arc<Records>>>,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// What the thread has.
struct Writer {
    records: Arc<Records>,
    /// There is something that a power cut would undo.
    unflushed: bool,
    /// Who waits to hear that what they asked for is there for good.
    waiting: Vec<Reply>,
}

/// Hears how writing something down went.
type Reply = Box<dyn FnOnce(Result<(), String>) + Send>;

impl Persist {
    /// Opens the records of a data folder.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn open(paths: &Paths) -> Result<Self, StartError> {
        let records = Records::open(&paths.torrents())
            .map_err(|error| StartError::Records { reason: error.to_string() })?;
        let records = Arc::new(records);
        let (jobs, queue) = mpsc::channel::<Job>();
        let mut writer = Writer::new(Arc::clone(&records));
        let thread = std::thread::Builder::new().name("records".to_owned());
        let thread = thread
            .spawn(move || {
                while let Ok(job) = queue.recv() {
                    job(&mut writer);
                    // Flushing is slow; what waits already is written first.
                    while writer.waiting.len() < FLUSHED_TOGETHER_MAX
                        && let Ok(job) = queue.try_recv()
                    {
                        job(&mut writer);
                    }
                    writer.flush(Records::flush);
                }
            })
            .map_err(|error| StartError::Thread { error })?;
        Ok(Persist {
            records: Mutex::new(Some(records)),
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The records, to be read at the start; `None` after [`close`](Self::close).
    pub(super) fn records(&self) -> Option<Arc<Records>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes a new torrent down; it is there for good when this returns.
    pub(super) async fn add(
        &self,
        id: TorrentId,
        record: Record,
        metainfo: Option<Arc<Metainfo>>,
    ) -> Result<(), String> {
        self.ask(move |writer| {
            if let Some(metainfo) = metainfo {
                writer.records.put_torrent(id.0, &metainfo.to_torrent())?;
            }
            writer.records.put(id.0, &record)
        })
        .await
    }

    /// Forgets a torrent for good.
    pub(super) async fn remove(&self, id: TorrentId) -> Result<(), String> {
        self.ask(move |writer| writer.records.remove(id.0)).await
    }

    /// The user wants a torrent to rest, or not.
    pub(super) async fn paused(&self, id: TorrentId, paused: bool) -> Result<(), String> {
        self.ask(move |writer| writer.change(id, |record| record.paused = paused).map(drop)).await
    }

    /// The user has set something for a torrent. `changed` hears the outcome on the thread that wrote
    /// it down, so that changes take effect in their order.
    pub(super) async fn settings(
        &self,
        id: TorrentId,
        change: impl FnOnce(&mut TorrentSettings) + Send + 'static,
        changed: impl FnOnce(&Arc<TorrentSettings>) + Send + 'static,
    ) -> Result<(), String> {
        let write = move |writer: &mut Writer| {
            let record = writer.change(id, |record| {
                let mut settings = TorrentSettings::clone(&record.settings);
                change(&mut settings);
                if settings != *record.settings {
                    record.settings = settings.shared();
                }
            })?;
            Ok(record.map(|record| record.settings))
        };
        let tell = |settings: Option<Arc<TorrentSettings>>| {
            if let Some(settings) = settings {
                changed(&settings);
            }
        };
        self.ask_and_tell(write, tell).await
    }

    /// A magnet link's info dictionary, or more of a v2 torrent's hashes. The link is not needed any
    /// more: what it said besides is put into the settings by `settle`, and `changed` hears of it.
    pub(crate) fn metainfo(
        &self,
        id: TorrentId,
        metainfo: Arc<Metainfo>,
        settle: impl FnOnce(&mut TorrentSettings) + Send + 'static,
        changed: impl FnOnce(&Arc<TorrentSettings>) + Send + 'static,
    ) {
        self.write(id, move |writer| {
            writer.records.put_torrent(id.0, &metainfo.to_torrent())?;
            let mut settled = false;
            let record = writer.change(id, |record| {
                record.magnet = None;
                let mut settings = TorrentSettings::clone(&record.settings);
                settle(&mut settings);
                if settings != *record.settings {
                    record.settings = settings.shared();
                    settled = true;
                }
            })?;
            if let Some(record) = record.filter(|_| settled) {
                changed(&record.settings);
            }
            Ok(())
        });
    }

    /// A torrent is to rest, for a reason that is not the user's.
    pub(crate) fn rests(&self, id: TorrentId) {
        self.write(id, move |writer| writer.change(id, |record| record.paused = true).map(drop));
    }

    /// A torrent's last piece came in.
    pub(crate) fn completed(&self, id: TorrentId, when: UnixTime) {
        self.write(id, move |writer| {
            writer.change(id, |record| record.completed = Some(when)).map(drop)
        });
    }

    /// Pieces are on disk for good, and so much has gone over the network. `clean` if the torrent's
    /// files have been closed.
    pub(crate) fn progress(&self, id: TorrentId, pieces: u32, saved: Saved) {
        let Saved { durable, totals, spent, clean, peers } = saved;
        self.write(id, move |writer| {
            if !durable.is_empty() || clean {
                writer.records.claim(id.0, pieces, &durable, clean)?;
            }
            let changed = writer.change(id, |record| {
                record.downloaded = totals.downloaded;
                record.uploaded = totals.uploaded;
                record.active = whole(spent.active);
                record.seeding = whole(spent.seeding);
                if !peers.is_empty() {
                    record.peers = peers;
                }
            });
            changed.map(drop)
        });
    }

    /// Pieces have turned out not to be on disk.
    pub(crate) fn unclaim(&self, id: TorrentId, pieces: Bitfield) {
        self.write(id, move |writer| writer.records.unclaim(id.0, &pieces));
    }

    /// A check of all pieces goes on, and has these still to look at; or has come to its end.
    pub(crate) fn checking(&self, id: TorrentId, pieces: u32, unchecked: Option<Bitfield>) {
        self.write(id, move |writer| writer.records.checking(id.0, pieces, unchecked.as_ref()));
    }

    /// A torrent's files are about to be moved. To be called from a thread that may wait.
    pub(crate) fn begin_move(&self, id: TorrentId, to: Location) -> Result<(), String> {
        self.ask_and_wait(move |writer| writer.records.begin_move(id.0, &to))
    }

    /// A torrent's files have been moved, and look like this. To be called from a thread that may
    /// wait.
    pub(crate) fn moved(
        &self,
        id: TorrentId,
        to: Location,
        stamps: Vec<(FileIndex, Stamp)>,
        leftovers: Option<Location>,
    ) -> Result<(), String> {
        self.ask_and_wait(move |writer| {
            let Some(mut record) = writer.records.record(id.0)? else { return Ok(()) };
            record.location = to;
            writer.records.moved(id.0, &record, &stamps, leftovers.as_ref())
        })
    }

    /// A move has come to its end. To be called from a thread that may wait.
    pub(crate) fn end_move(&self, id: TorrentId) -> Result<(), String> {
        self.ask_and_wait(move |writer| writer.records.end_move(id.0))
    }

    /// A torrent is gone that was being moved.
    pub(crate) fn forget_move(&self, id: TorrentId) {
        self.write(id, move |writer| writer.records.end_move(id.0));
    }

    /// The user has a torrent's files in another place.
    pub(super) async fn located(&self, id: TorrentId, location: Location) -> Result<(), String> {
        self.ask(move |writer| writer.change(id, |record| record.location = location).map(drop))
            .await
    }

    /// What the pool calls before it first writes to a torrent's files.
    pub(crate) fn before_write(&self, id: TorrentId, pieces: u32) -> Option<BeforeWrite> {
        Some(self.records()?.before_write(id.0, pieces))
    }

    /// Finishes what was handed in and ends the thread.
    pub(super) async fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // An error would be its panic, which has been said already.
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
        drop(self.records.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn job(&self, job: impl FnOnce(&mut Writer) + Send + 'static) {
        if let Some(jobs) = &*self.jobs.lock().unwrap_or_else(PoisonError::into_inner) {
            // An error means that the thread has ended, and with it the session.
            let _ = jobs.send(Box::new(job));
        }
    }

    fn write(
        &self,
        id: TorrentId,
        write: impl FnOnce(&mut Writer) -> Result<(), RecordError> + Send + 'static,
    ) {
        self.job(move |writer| {
            writer.unflushed = true;
            if let Err(error) = write(writer) {
                warn!(torrent = %id, %error, "progress was not written down");
            }
        });
    }

    fn ask_and_wait(
        &self,
        write: impl FnOnce(&mut Writer) -> Result<(), RecordError> + Send + 'static,
    ) -> Result<(), String> {
        let (reply, answer) = mpsc::channel();
        self.job(move |writer| {
            let _ = reply.send(write(writer).map_err(|error| error.to_string()));
        });
        answer.recv().unwrap_or_else(|_| Err("althing is stopping".to_owned()))
    }

    /// Writes something down; it is there for good when this returns.
    async fn ask(
        &self,
        write: impl FnOnce(&mut Writer) -> Result<(), RecordError> + Send + 'static,
    ) -> Result<(), String> {
        self.ask_and_tell(write, |()| {}).await
    }

    /// The same, and `tell` hears of it before anybody who asks later does.
    async fn ask_and_tell<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut Writer) -> Result<T, RecordError> + Send + 'static,
        tell: impl FnOnce(T) + Send + 'static,
    ) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        self.job(move |writer| {
            let reply = move |result| {
                // Who asked may have given up waiting.
                let _ = reply.send(result);
            };
            writer.ask(write, tell, reply);
        });
        answer.await.unwrap_or_else(|_| Err("althing is stopping".to_owned()))
    }
}

/// What became of a torrent since it was written down last.
pub(crate) struct Saved {
    pub(crate) durable: Durable,
    pub(crate) totals: Totals,
    pub(crate) spent: Spent,
    pub(crate) clean: bool,
    /// Where peers listen that it is connected to.
    pub(crate) peers: Vec<SocketAddr>,
}

/// Records have whole seconds.
fn whole(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

impl Writer {
    fn new(records: Arc<Records>) -> Self {
        Writer { records, unflushed: false, waiting: Vec::new() }
    }

    /// Writes something down; `tell` and `reply` hear of it once it has been flushed.
    fn ask<T: Send + 'static>(
        &mut self,
        write: impl FnOnce(&mut Writer) -> Result<T, RecordError>,
        tell: impl FnOnce(T) + Send + 'static,
        reply: impl FnOnce(Result<(), String>) + Send + 'static,
    ) {
        match write(self) {
            Ok(written) => {
                self.unflushed = true;
                self.waiting.push(Box::new(move |flushed: Result<(), String>| {
                    if flushed.is_ok() {
                        tell(written);
                    }
                    reply(flushed);
                }));
            }
            Err(error) => reply(Err(error.to_string())),
        }
    }

    /// Changes a record, if the torrent is still there, and says what it is then. It is read from
    /// where it was written: ten thousand torrents that rest need no second copy in memory.
    fn change(
        &mut self,
        id: TorrentId,
        change: impl FnOnce(&mut Record),
    ) -> Result<Option<Record>, RecordError> {
        let Some(before) = self.records.record(id.0)? else { return Ok(None) };
        let mut record = before.clone();
        change(&mut record);
        if record != before {
            self.records.put(id.0, &record)?;
        }
        Ok(Some(record))
    }

    /// Makes all that was written so far survive a power cut, and tells those who wait for it.
    fn flush(&mut self, flush: impl FnOnce(&Records) -> Result<(), RecordError>) {
        if !std::mem::take(&mut self.unflushed) {
            return;
        }
        let flushed = flush(&self.records).map_err(|error| error.to_string());
        if let Err(error) = &flushed {
            warn!(%error, "progress may be lost in a power cut");
        }
        for reply in self.waiting.drain(..) {
            reply(flushed.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::Sha1Digest;
    use std::cell::Cell;

    /// Asks for a record of each number, and says who hears what.
    fn ask(writer: &mut Writer, numbers: [u8; 3]) -> mpsc::Receiver<(u8, Result<(), String>)> {
        let (heard, hears) = mpsc::channel();
        for number in numbers {
            let record = Record::new(Location::Under("/there".into()), UnixTime(number.into()));
            let heard = heard.clone();
            let put =
                move |writer: &mut Writer| writer.records.put(Sha1Digest([number; 20]), &record);
            let reply = move |result| {
                let _ = heard.send((number, result));
            };
            writer.ask(put, |()| {}, reply);
        }
        hears
    }

    #[test]
    fn many_are_flushed_at_once_and_nobody_hears_of_it_before() {
        let dir = tempfile::tempdir().expect("a folder");
        let records = Records::open(dir.path()).expect("they open");
        let mut writer = Writer::new(Arc::new(records));
        let hears = ask(&mut writer, [1, 2, 3]);
        let flushes = Cell::new(0);
        writer.flush(|records| {
            // A power cut now would undo all three, so that none may have been claimed.
            assert!(hears.try_recv().is_err(), "claimed before it is on disk");
            flushes.set(flushes.get() + 1);
            records.flush()
        });
        let heard: Vec<_> = hears.try_iter().collect();
        assert_eq!(heard, [1, 2, 3].map(|number| (number, Ok(()))));
        writer.flush(|_| panic!("there is nothing left to flush"));
        assert_eq!(flushes.get(), 1);
        // Whoever was told finds it again after the end of the process.
        drop(writer);
        let records = Records::open(dir.path()).expect("they open again");
        let found: Vec<_> =
            records.iter().map(|stored| stored.expect("it is right").id.0[0]).collect();
        assert_eq!(found, [1, 2, 3]);
    }

    #[test]
    fn if_the_flush_fails_all_who_wait_hear_of_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let records = Records::open(dir.path()).expect("they open");
        let mut writer = Writer::new(Arc::new(records));
        let hears = ask(&mut writer, [1, 2, 3]);
        let what = "the disk is gone";
        let lost = RecordError::Damaged { torrent: Sha1Digest::ZERO, what };
        writer.flush(move |_| Err(lost));
        let heard: Vec<_> = hears.try_iter().map(|(_, result)| result).collect();
        assert_eq!(heard.len(), 3);
        assert!(heard.iter().all(|result| result.as_ref().is_err_and(|why| why.contains(what))));
    }

    #[test]
    fn a_change_is_made_to_what_is_on_disk_and_to_nothing_that_is_gone() {
        let dir = tempfile::tempdir().expect("a folder");
        let records = Records::open(dir.path()).expect("they open");
        let mut writer = Writer::new(Arc::new(records));
        let _hears = ask(&mut writer, [1, 2, 3]);
        let [one, gone] = [1, 9].map(|number| TorrentId(Sha1Digest([number; 20])));
        let pause = |record: &mut Record| record.paused = true;
        let changed = writer.change(one, pause).expect("the disk works");
        assert!(changed.is_some_and(|record| record.paused));
        assert!(writer.change(gone, pause).expect("the disk works").is_none());
        let stored = writer.records.record(one.0).expect("the disk works").expect("it is there");
        assert!(stored.paused && stored.added == UnixTime(1));
        assert!(writer.records.record(gone.0).expect("the disk works").is_none());
    }
}
