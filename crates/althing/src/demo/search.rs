//! The second part of the demo: each peer publishes a text of its own, finds the next one's by words, by every
//! kind of overlay there is, and fetches it; what each kind costs stands side by side.

use super::network::{Network, Peer};
use crate::client::{Client, torrent_path};
use crate::exit::Failure;
use crate::screen::progress::Progress;
use crate::screen::table::{Align, lay_out};
use crate::screen::{Screen, units};
use althing_node::api::types::{
    AddRequest, FindAnswer, FindInfo, FindRequest, FindState, FindVia, Job, JobState,
    ListingRequest, ShareRequest, Torrent, TorrentState,
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Time between two looks at something that is under way.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long it may take until what was published can be found by a kind: indexes are told after some seconds,
/// and words announced in the DHT after some more.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How long a text may take to come.
const FETCHED_WITHIN: Duration = Duration::from_secs(100);

/// What the texts are called, by two words of which others have one.
const FIRST: [&str; 10] = [
    "Letters", "Songs", "Maps", "Recipes", "Lectures", "Sagas", "Ledgers", "Riddles", "Sketches",
    "Journals",
];
const SECOND: [&str; 5] = ["fishermen", "shepherds", "carpenters", "astronomers", "printers"];

/// What the kinds are called in the table.
const KINDS: [(FindVia, &str); 4] = [
    (FindVia::Auto, "the news (gossip)"),
    (FindVia::Walk, "walks (unstructured)"),
    (FindVia::Dht, "DHT (structured)"),
    (FindVia::Super, "super-peers (hybrid)"),
];

/// What one peer publishes.
struct Text {
    name: String,
    words: String,
    bytes: Vec<u8>,
    torrent: String,
}

/// What all peers have published.
pub(super) struct Published(Vec<Text>);

/// What a kind of search has cost.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    via: &'static str,
    searches: usize,
    found: usize,
    /// Of one search, on average.
    peers_asked: f64,
    messages: f64,
    bytes: f64,
    /// The median.
    took_ms: u64,
}

/// How the searches went.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Searched {
    rows: Vec<Row>,
    /// Texts that were found, fetched and compared.
    fetched: usize,
}

/// Has every peer share and publish a text of its own.
pub(super) async fn publish(network: &Network) -> Result<Published, Failure> {
    let mut sharing = JoinSet::new();
    for (at, peer) in network.peers().iter().enumerate() {
        let folder = network.dir().join(format!("text{}", peer.number));
        let client = peer.client.clone();
        sharing.spawn(async move { (at, share(&client, &folder, at).await) });
    }
    let mut texts = Vec::new();
    while let Some(shared) = sharing.join_next().await {
        let (at, text) = shared.map_err(|error| Failure::new(error.to_string(), ""))?;
        texts.push((at, text?));
    }
    texts.sort_by_key(|(at, _)| *at);
    Ok(Published(texts.into_iter().map(|(_, text)| text).collect()))
}

async fn share(client: &Client, folder: &Path, at: usize) -> Result<Text, Failure> {
    let first = FIRST[at % FIRST.len()];
    let second = SECOND[at / FIRST.len() % SECOND.len()];
    let name = format!("{first} of the {second}.txt");
    let bytes =
        format!("{name}\n\nThis is text {}, and nobody else has it.\n", at + 1).into_bytes();
    let path = folder.join(&name);
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, &bytes));
    written.map_err(|error| {
        Failure::new(format!("cannot write {}: {error}", path.display()), "free some space")
    })?;
    let request = ShareRequest {
        path: path.to_string_lossy().into_owned(),
        options: Default::default(),
        super_seeding: false,
        follow: false,
        listing: Some(ListingRequest { tags: vec!["demo".to_owned()], about: String::new() }),
    };
    let mut job: Job = client.post("/share", &request).await?;
    while job.state == JobState::Running {
        tokio::time::sleep(LOOK_INTERVAL).await;
        job = client.get(&format!("/jobs/{}", job.id)).await?;
    }
    if let Some(error) = job.error {
        return Err(Failure::from(error));
    }
    let words = format!("{} {second}", first.to_lowercase());
    Ok(Text { name, words, bytes, torrent: job.torrent.unwrap_or_default() })
}

/// Has every peer look for the text of the next one, by each kind, and fetch it.
pub(super) async fn run(
    network: &Network,
    published: &Published,
    screen: &Screen,
) -> Result<Searched, Failure> {
    let peers = network.peers();
    let texts = &published.0;
    let mut progress = Progress::new(screen, "");
    let mut rows = Vec::new();
    let mut magnets = vec![None; peers.len()];
    for (via, name) in KINDS {
        progress.say(&format!("searching by {name}"));
        ready(peers, texts, via).await?;
        let mut asking = JoinSet::new();
        for (at, peer) in peers.iter().enumerate() {
            let client = peer.client.clone();
            let text = &texts[(at + 1) % texts.len()];
            let (words, torrent) = (text.words.clone(), text.torrent.clone());
            asking.spawn(async move { (at, search(&client, &words, via, &torrent).await) });
        }
        let mut asked = Vec::new();
        while let Some(outcome) = asking.join_next().await {
            let (at, outcome) = outcome.map_err(|error| Failure::new(error.to_string(), ""))?;
            let (info, answer) = outcome?;
            if let Some(answer) = &answer {
                magnets[at] = Some(answer.magnet.clone());
            }
            asked.push((info, answer.is_some()));
        }
        rows.push(row(name, &asked));
    }
    progress.say("fetching what was found");
    let fetched = fetch_all(peers, texts, magnets).await?;
    progress.clear();
    Ok(Searched { rows, fetched })
}

/// Waits until somebody finds something by a kind: indexes are told now and then. What never comes to that
/// shows in the table.
async fn ready(peers: &[Peer], texts: &[Text], via: FindVia) -> Result<(), Failure> {
    let since = Instant::now();
    let mut waiting: Vec<usize> = (0..peers.len()).collect();
    while since.elapsed() < READY_WITHIN {
        let mut still = Vec::new();
        for at in waiting {
            let text = &texts[(at + 1) % texts.len()];
            let client = &peers[at].client;
            if search(client, &text.words, via, &text.torrent).await?.1.is_none() {
                still.push(at);
            }
        }
        if still.is_empty() {
            break;
        }
        waiting = still;
        tokio::time::sleep(TRY_AGAIN).await;
    }
    Ok(())
}

/// One search to its end, and its answer if it is the one: of others, unless the news is what is asked.
async fn search(
    client: &Client,
    words: &str,
    via: FindVia,
    torrent: &str,
) -> Result<(FindInfo, Option<FindAnswer>), Failure> {
    let request =
        FindRequest { words: words.to_owned(), via, limit: Some(1), ..FindRequest::default() };
    let mut info: FindInfo = client.post("/find", &request).await?;
    while info.state != FindState::Ended {
        tokio::time::sleep(LOOK_INTERVAL).await;
        info = client.get(&format!("/find/{}", info.id)).await?;
    }
    let is_it = |answer: &&FindAnswer| {
        let is_told = if via == FindVia::Auto { answer.here } else { answer.network };
        is_told && answer.info_hash.as_deref() == Some(torrent)
    };
    let answer = info.answers.iter().find(is_it).cloned();
    Ok((info, answer))
}

fn row(via: &'static str, asked: &[(FindInfo, bool)]) -> Row {
    let count = asked.len().max(1) as f64;
    let mean = |of: fn(&FindInfo) -> u64| {
        asked.iter().map(|(info, _)| of(info) as f64).sum::<f64>() / count
    };
    let mut took: Vec<u64> = asked.iter().map(|(info, _)| info.cost.took_ms).collect();
    took.sort_unstable();
    Row {
        via,
        searches: asked.len(),
        found: asked.iter().filter(|(_, found)| *found).count(),
        peers_asked: mean(|info| info.cost.peers),
        messages: mean(|info| info.cost.messages),
        bytes: mean(|info| info.cost.bytes),
        took_ms: took.get(took.len() / 2).copied().unwrap_or_default(),
    }
}

/// Has every peer fetch what it has found, and compares; how many have.
async fn fetch_all(
    peers: &[Peer],
    texts: &[Text],
    magnets: Vec<Option<String>>,
) -> Result<usize, Failure> {
    let mut fetching = JoinSet::new();
    for (at, (peer, magnet)) in peers.iter().zip(magnets).enumerate() {
        let text = &texts[(at + 1) % texts.len()];
        let (client, into) = (peer.client.clone(), peer.files());
        let copy: PathBuf = into.join(&text.name);
        let bytes = text.bytes.clone();
        let Some(link) = magnet else { continue };
        fetching.spawn(async move {
            let save_dir = Some(into.to_string_lossy().into_owned());
            let request = AddRequest { link: Some(link), save_dir, ..AddRequest::default() };
            let mut torrent: Torrent = client.post("/torrents", &request).await?;
            let since = Instant::now();
            while torrent.state != TorrentState::Seeding && since.elapsed() < FETCHED_WITHIN {
                tokio::time::sleep(LOOK_INTERVAL).await;
                torrent = client.get(&torrent_path(&torrent.id, "")).await?;
            }
            match std::fs::read(&copy) {
                Ok(read) if read == bytes => Ok(1),
                Ok(_) => Err(Failure::new(
                    format!("{} is not what was published", copy.display()),
                    "please report it",
                )),
                Err(_) => Ok(0),
            }
        });
    }
    let mut fetched = 0;
    while let Some(one) = fetching.join_next().await {
        fetched += one.unwrap_or_else(|error| Err(Failure::new(error.to_string(), "")))?;
    }
    Ok(fetched)
}

impl Searched {
    /// What each kind has cost.
    pub(super) fn table(&self) -> Vec<String> {
        let header = [
            ("FOUND BY", Align::Left),
            ("FOUND", Align::Right),
            ("PEERS ASKED", Align::Right),
            ("MESSAGES", Align::Right),
            ("BYTES", Align::Right),
            ("TIME", Align::Right),
        ];
        let rows: Vec<[String; 6]> = self
            .rows
            .iter()
            .map(|row| {
                [
                    row.via.to_owned(),
                    format!("{} of {}", row.found, row.searches),
                    format!("{:.1}", row.peers_asked),
                    format!("{:.1}", row.messages),
                    units::bytes(row.bytes as u64),
                    units::duration(Duration::from_millis(row.took_ms)),
                ]
            })
            .collect();
        lay_out(&header, &rows)
    }

    /// What the table is of.
    pub(super) fn sentences(&self) -> Vec<String> {
        vec![
            "Each peer published a text and looked for the next one's by two words; a search on average, \
             the time as median."
                .to_owned(),
            format!("{} of what was found were fetched by their answers and compared.", self.fetched),
        ]
    }
}
