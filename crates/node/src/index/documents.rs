//! Reading the documents of torrents that the user has published, one at a time and with little load.
//!
//! What is read is what the torrent has: verified pieces, through the shard that has it. The text is taken out
//! by a process of its own, for documents are hostile and libraries that read them are not proof against that;
//! without a program for it, by a thread of this process, which is for tests.

use super::Told;
use super::limits::{CHUNK_BYTES, DOCUMENT_TIME, PAUSE_MAX, READ_WITHIN};
use crate::clock;
use crate::session::shared::{Entry, Shared};
use crate::shard::{Command, ReadError};
use althing_bittorrent::metainfo::{FileIndex, Metainfo};
use althing_bittorrent::{BlockRef, PieceIndex};
use althing_index::limits::{
    DOCUMENT_BYTES_MAX, DOCUMENTS_OF_TORRENT_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX,
};
use althing_index::read::{Document, Format};
use althing_overlay::records::InfoHash;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, OnceLock, Weak};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

/// The program that reads documents.
static READER: OnceLock<PathBuf> = OnceLock::new();

/// From now on documents are read by this program, called with `read-document` and the name of a [`Format`]: it
/// gets the document on its standard input, and answers with a line that is the title and then the text. Only the
/// first call counts. Without any, documents are read in this process, which a hostile one can end.
pub fn read_documents_with(program: PathBuf) {
    // An error means that there was one before.
    let _ = READER.set(program);
}

/// A document that is to be read.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) hash: InfoHash,
    /// The torrent's name.
    pub(super) torrent: String,
    /// Its path in the torrent.
    pub(super) path: String,
    file: FileIndex,
    format: Format,
}

/// What has become of a document.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Its text.
    Read(Document),
    /// It cannot be read, now or later.
    Unreadable(String),
    /// It could not be got: the torrent is gone, or the disk refuses.
    NotThere(String),
}

/// The documents of a torrent, if all of it is here.
pub(super) async fn jobs_of(shared: &Shared, hash: &InfoHash) -> Vec<Job> {
    let Some(entry) = entry_of(shared, hash) else { return Vec::new() };
    let snapshot = entry.snapshot();
    if snapshot.pieces == 0 || snapshot.pieces_done < snapshot.pieces || snapshot.private {
        return Vec::new();
    }
    let Some(metainfo) = metainfo_of(shared, &entry).await else { return Vec::new() };
    let is_folder = metainfo.files().iter().filter(|file| !file.is_pad()).count() > 1
        || metainfo.files().iter().any(|file| file.path().contains('/'));
    let files = (0..).map(FileIndex).zip(metainfo.files());
    let jobs = files.filter_map(|(index, file)| {
        let path = match file.path().split_once('/') {
            Some((_, inside)) if is_folder => inside,
            _ => file.path(),
        };
        let fits = !file.is_pad() && (1..=DOCUMENT_BYTES_MAX).contains(&file.size());
        let format = Format::of_name(path).filter(|_| fits && path.len() <= NAME_BYTES_MAX)?;
        let (hash, torrent) = (*hash, metainfo.name().to_owned());
        Some(Job { hash, torrent, path: path.to_owned(), file: index, format })
    });
    jobs.take(DOCUMENTS_OF_TORRENT_MAX).collect()
}

fn entry_of(shared: &Shared, hash: &InfoHash) -> Option<Arc<Entry>> {
    let key = althing_base::Sha1Digest(althing_index::torrent_key(hash));
    shared.torrents.by_hash(key)
}

async fn metainfo_of(shared: &Shared, entry: &Entry) -> Option<Arc<Metainfo>> {
    let (reply, answer) = oneshot::channel();
    shared.send(entry, Command::Metainfo(entry.key, reply));
    answer.await.ok()?
}

/// Reads what it is told to, and says what has become of it.
pub(super) async fn run(
    shared: Weak<Shared>,
    mut jobs: mpsc::Receiver<Job>,
    told: mpsc::WeakUnboundedSender<Told>,
) {
    while let Some(job) = jobs.recv().await {
        let began = clock::now();
        let outcome = read(&shared, &job).await;
        debug!(path = job.path, is_read = matches!(outcome, Outcome::Read(_)), "a document");
        let Some(told) = told.upgrade() else { return };
        if told.send(Told::Document(Box::new(job), outcome)).is_err() {
            return;
        }
        drop(told);
        // As long as it took nothing is done: at most half a core is used.
        tokio::time::sleep(clock::now().since(began).min(PAUSE_MAX)).await;
    }
}

async fn read(shared: &Weak<Shared>, job: &Job) -> Outcome {
    let bytes = match tokio::time::timeout(READ_WITHIN, content(shared, job)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Outcome::NotThere(error.to_string()),
        Err(_) => return Outcome::NotThere("the disk takes too long".to_owned()),
    };
    let read = match READER.get() {
        Some(program) => in_child(program, job.format, bytes).await,
        None => {
            let format = job.format;
            let reading =
                tokio::task::spawn_blocking(move || althing_index::read::read(format, &bytes));
            match reading.await {
                Ok(read) => read.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        }
    };
    match read {
        Ok(document) => Outcome::Read(document),
        Err(reason) => Outcome::Unreadable(reason),
    }
}

/// All bytes of the file.
async fn content(shared: &Weak<Shared>, job: &Job) -> Result<Vec<u8>, ReadError> {
    let strong = shared.upgrade().ok_or(ReadError::Gone)?;
    let entry = entry_of(&strong, &job.hash).ok_or(ReadError::Gone)?;
    let metainfo = metainfo_of(&strong, &entry).await.ok_or(ReadError::Gone)?;
    drop(strong);
    let index = usize::try_from(job.file.0).map_err(|_| ReadError::Gone)?;
    let file = metainfo.files().get(index).ok_or(ReadError::Gone)?;
    let piece_length = u64::from(metainfo.piece_length());
    let mut bytes = Vec::with_capacity(usize::try_from(file.size()).unwrap_or_default());
    let end = file.offset().saturating_add(file.size());
    let mut at = file.offset();
    while at < end {
        let piece = PieceIndex(u32::try_from(at / piece_length).map_err(|_| ReadError::Gone)?);
        // Fits: a piece is no longer than four bytes say.
        let begin = (at % piece_length) as u32;
        let in_piece = metainfo.piece_size(piece).saturating_sub(begin);
        let left = u32::try_from(end - at).unwrap_or(u32::MAX);
        let len = left.min(in_piece).min(CHUNK_BYTES);
        let (reply, answer) = oneshot::channel();
        let strong = shared.upgrade().ok_or(ReadError::Gone)?;
        strong.send(&entry, Command::Read(entry.key, BlockRef { piece, begin, len }, reply));
        drop(strong);
        let chunk = answer.await.unwrap_or(Err(ReadError::Gone))?;
        if chunk.is_empty() {
            return Err(ReadError::Gone);
        }
        at += chunk.len() as u64;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Has a document read by a process of its own, which is killed if it takes too long.
async fn in_child(program: &PathBuf, format: Format, bytes: Vec<u8>) -> Result<Document, String> {
    let mut command = tokio::process::Command::new(program);
    command.arg("read-document").arg(format.name()).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("no process for it: {error}"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let give = async move {
        if let Some(mut stdin) = stdin {
            // An error means that it has read enough, or died.
            let _ = stdin.write_all(&bytes).await;
        }
    };
    let reading = async {
        let said = (NAME_BYTES_MAX + 1 + TEXT_BYTES_MAX) as u64;
        let ((), answer, complaint) = tokio::join!(give, all_of(stdout, said), all_of(stderr, 500));
        (child.wait().await, answer, complaint)
    };
    match tokio::time::timeout(DOCUMENT_TIME, reading).await {
        Ok((Ok(status), answer, _)) if status.success() => {
            let answer = String::from_utf8_lossy(&answer);
            let (title, text) = answer.split_once('\n').unwrap_or((&answer, ""));
            Ok(Document { title: title.to_owned(), text: text.to_owned() })
        }
        Ok((Ok(status), _, complaint)) => {
            let complaint = String::from_utf8_lossy(&complaint);
            Err(format!("{status}: {}", complaint.lines().next().unwrap_or_default()))
        }
        Ok((Err(error), ..)) => Err(error.to_string()),
        Err(_) => Err("it takes too long".to_owned()),
    }
}

/// What comes, up to so many bytes.
async fn all_of(from: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What came until an error is what there is.
        let _ = from.take(most).read_to_end(&mut bytes).await;
    }
    bytes
}
