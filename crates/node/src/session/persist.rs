//! What is written down of torrents, by one thread in the order in which it is asked: shards and
//! the API never wait for a record unless they want to know that it is there.

use super::{StartError, TorrentId};
use crate::paths::Paths;
use crate::shard::{Spent, Totals};
use althing_base::UnixTime;
use althing_bittorrent::Bitfield;
use althing_bittorrent::metainfo::FileIndex;
use althing_bittorrent::metainfo::Metainfo;
use althing_store::files::{Location, Stamp};
use althing_store::pieces::{BeforeWrite, Durable};
use althing_store::records::{Record, RecordError, Records, TorrentSettings};
use std::collections::BTreeMap;
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
    /// As they are on disk: a record is written whole.
    known: BTreeMap<TorrentId, Record>,
    /// There is something that a power cut would undo.
    unflushed: bool,
}

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
        let mut writer =
            Writer { records: Arc::clone(&records), known: BTreeMap::new(), unflushed: false };
        let thread = std::thread::Builder::new().name("records".to_owned());
        let thread = thread
            .spawn(move || {
                while let Ok(job) = queue.recv() {
                    job(&mut writer);
                    // Flushing is slow; what waits already is written first.
                    while let Ok(job) = queue.try_recv() {
                        job(&mut writer);
                    }
                    writer.flush();
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

    /// Tells the thread what [`records`](Self::records) had.
    pub(super) fn loaded(&self, known: BTreeMap<TorrentId, Record>) {
        self.job(move |writer| writer.known = known);
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
            writer.records.put(id.0, &record)?;
            writer.known.insert(id, record);
            writer.records.flush()
        })
        .await
    }

    /// Forgets a torrent for good.
    pub(super) async fn remove(&self, id: TorrentId) -> Result<(), String> {
        self.ask(move |writer| {
            writer.known.remove(&id);
            writer.records.remove(id.0)
        })
        .await
    }

    /// The user wants a torrent to rest, or not.
    pub(super) async fn paused(&self, id: TorrentId, paused: bool) -> Result<(), String> {
        self.ask(move |writer| {
            writer.change(id, |record| record.paused = paused)?;
            writer.records.flush()
        })
        .await
    }

    /// The user has set something for a torrent. `changed` hears the outcome on the thread that wrote
    /// it down, so that changes take effect in their order.
    pub(super) async fn settings(
        &self,
        id: TorrentId,
        change: impl FnOnce(&mut TorrentSettings) + Send + 'static,
        changed: impl FnOnce(&Arc<TorrentSettings>) + Send + 'static,
    ) -> Result<(), String> {
        self.ask(move |writer| {
            writer.change(id, |record| {
                let mut settings = TorrentSettings::clone(&record.settings);
                change(&mut settings);
                if settings != *record.settings {
                    record.settings = Arc::new(settings);
                }
            })?;
            if let Some(record) = writer.known.get(&id) {
                changed(&record.settings);
            }
            writer.records.flush()
        })
        .await
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
            writer.change(id, |record| {
                record.magnet = None;
                let mut settings = TorrentSettings::clone(&record.settings);
                settle(&mut settings);
                if settings != *record.settings {
                    record.settings = Arc::new(settings);
                    settled = true;
                }
            })?;
            if let Some(record) = writer.known.get(&id).filter(|_| settled) {
                changed(&record.settings);
            }
            Ok(())
        });
    }

    /// A torrent's last piece came in.
    pub(crate) fn completed(&self, id: TorrentId, when: UnixTime) {
        self.write(id, move |writer| writer.change(id, |record| record.completed = Some(when)));
    }

    /// Pieces are on disk for good, and so much has gone over the network. `clean` if the torrent's
    /// files have been closed.
    pub(crate) fn progress(&self, id: TorrentId, pieces: u32, saved: Saved) {
        let Saved { durable, totals, spent, clean, peers } = saved;
        self.write(id, move |writer| {
            if !durable.is_empty() || clean {
                writer.records.claim(id.0, pieces, &durable, clean)?;
            }
            writer.change(id, |record| {
                record.downloaded = totals.downloaded;
                record.uploaded = totals.uploaded;
                record.active = whole(spent.active);
                record.seeding = whole(spent.seeding);
                if !peers.is_empty() {
                    record.peers = peers;
                }
            })
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
            let Some(record) = writer.known.get_mut(&id) else { return Ok(()) };
            record.location = to;
            writer.records.moved(id.0, record, &stamps, leftovers.as_ref())
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
        self.ask(move |writer| {
            writer.change(id, |record| record.location = location)?;
            writer.records.flush()
        })
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

    async fn ask(
        &self,
        write: impl FnOnce(&mut Writer) -> Result<(), RecordError> + Send + 'static,
    ) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        self.job(move |writer| {
            // Who asked may have given up waiting.
            let _ = reply.send(write(writer).map_err(|error| error.to_string()));
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
    /// Changes a record, if the torrent is still there.
    fn change(
        &mut self,
        id: TorrentId,
        change: impl FnOnce(&mut Record),
    ) -> Result<(), RecordError> {
        let Some(record) = self.known.get_mut(&id) else { return Ok(()) };
        let before = record.clone();
        change(record);
        if *record == before { Ok(()) } else { self.records.put(id.0, record) }
    }

    fn flush(&mut self) {
        if std::mem::take(&mut self.unflushed)
            && let Err(error) = self.records.flush()
        {
            warn!(%error, "progress may be lost in a power cut");
        }
    }
}
