//! The second part of the demo: each peer publishes a text of its own, finds the next one's by words, by every
//! kind of overlay there is, and fetches it; what each kind costs stands side by side. Each peer has links with
//! a few of the others only.

use super::network::{Network, Peer};
use crate::client::{Client, torrent_path};
use crate::exit::Failure;
use crate::screen::progress::Progress;
use crate::screen::table::{Align, lay_out};
use crate::screen::{Screen, units};
use althing_node::api::types::{
    AddRequest, FindAnswer, FindInfo, FindRequest, FindState, FindVia, Job, JobState,
    ListingRequest, OverlayInfo, ShareRequest, Torrent, TorrentState,
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Time between two looks at something that is under way.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// How long it may take until all know what their neighbours' neighbours have: they are told after 5 to 15 s.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// How long it may take until all lean on super-peers: they look for some after 2 s, and who has them for
/// neighbours anyhow never does.
const LEANING_WITHIN: Duration = Duration::from_secs(4);

/// How long who finds nothing tries again.
const TRIED_WITHIN: Duration = Duration::from_secs(60);

/// Between two tries of one peer.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Searches at a time, so that they do not wait for each other.
const AT_ONCE: usize = 4;

/// How long a text may take to come.
const FETCHED_WITHIN: Duration = Duration::from_secs(60);

/// What the texts are called, by two words of which others have one.
const FIRST: [&str; 10] = [
    "Letters", "Songs", "Maps", "Recipes", "Lectures", "Sagas", "Ledgers", "Riddles", "Sketches",
    "Journals",
];
const SECOND: [&str; 10] = [
    "fishermen",
    "shepherds",
    "carpenters",
    "astronomers",
    "printers",
    "weavers",
    "gardeners",
    "sailors",
    "masons",
    "millers",
];

/// In this order things can be found by the kinds after they were published.
const ORDER: [FindVia; 4] = [FindVia::Auto, FindVia::Dht, FindVia::Super, FindVia::Walk];

/// The kinds as the table has them: what they are called, and what they are in a line.
const KINDS: [(FindVia, &str, &str); 4] = [
    (
        FindVia::Auto,
        "the news (gossip)",
        "whoever publishes tells everybody at once: it is here already, and nobody is asked",
    ),
    (
        FindVia::Walk,
        "walks (unstructured)",
        "neighbours are asked, who know what theirs have, and ask on: no order is needed, and what is far is dear",
    ),
    (
        FindVia::Dht,
        "DHT (structured)",
        "the hash of a word says who knows who has it: as dear for anything, and little dearer among millions",
    ),
    (
        FindVia::Super,
        "super-peers (hybrid)",
        "some peers index for the others: cheap and fast, as long as there are such peers",
    ),
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
    about: &'static str,
    searches: usize,
    found: usize,
    /// Of one search, on average.
    peers_asked: f64,
    messages: f64,
    bytes: f64,
    /// Until the answer was there, the median.
    answered_ms: Option<u64>,
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
    for (at, peer) in network.everybody().into_iter().enumerate() {
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
    let peers = network.everybody();
    let texts = &published.0;
    let mut progress = Progress::new(screen, "");
    let mut rows = Vec::new();
    let mut magnets = vec![None; peers.len()];
    for via in ORDER {
        let Some(place) = KINDS.iter().position(|(kind, ..)| *kind == via) else { continue };
        let (_, name, about) = KINDS[place];
        progress.say(&format!("{} search by {name}", units::counted(peers.len() as u64, "peer")));
        ready(&peers, via).await?;
        // Who asks knows how many messages he allows; what was sent, all together know.
        let is_walk = matches!(via, FindVia::Walk | FindVia::Super);
        let before = if is_walk { Some(sent(&peers).await?) } else { None };
        let asked = ask_all(&peers, texts, via).await?;
        let sent = match before {
            Some(before) => Some(sent(&peers).await?.saturating_sub(before)),
            None => None,
        };
        for (magnet, (_, answer)) in magnets.iter_mut().zip(&asked) {
            *magnet = answer.as_ref().map(|answer| answer.magnet.clone()).or(magnet.take());
        }
        rows.push((place, row(name, about, &asked, sent)));
    }
    rows.sort_by_key(|(place, _)| *place);
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    progress.say("fetching what was found");
    let fetched = fetch_all(&peers, texts, magnets).await?;
    progress.clear();
    Ok(Searched { rows, fetched })
}

/// Questions and answers that all have sent so far.
async fn sent(peers: &[&Peer]) -> Result<u64, Failure> {
    let mut sum = 0u64;
    for peer in peers {
        let info: OverlayInfo = peer.client.get("/overlay").await?;
        sum = sum.saturating_add(info.questions);
    }
    Ok(sum)
}

/// Waits until all can search by a kind, as far as that comes about at all: what it costs before is no measure.
async fn ready(peers: &[&Peer], via: FindVia) -> Result<(), Failure> {
    let is_ready = |info: &OverlayInfo| match via {
        FindVia::Walk => info.terms_near > 0,
        FindVia::Super => info.super_peer || info.indexed_by > 0,
        FindVia::Auto | FindVia::Dht => true,
    };
    let within = if via == FindVia::Super { LEANING_WITHIN } else { TOLD_WITHIN };
    let since = Instant::now();
    for peer in peers {
        loop {
            let info: OverlayInfo = peer.client.get("/overlay").await?;
            if is_ready(&info) || since.elapsed() >= within {
                break;
            }
            tokio::time::sleep(LOOK_INTERVAL * 4).await;
        }
    }
    Ok(())
}

/// A search that has ended, and its answer if there is one.
type Asked = (FindInfo, Option<FindAnswer>);

/// Has everybody search by a kind, some at a time. Who finds nothing tries again: indexes are told now and
/// then. What never comes to that shows in the table.
async fn ask_all(peers: &[&Peer], texts: &[Text], via: FindVia) -> Result<Vec<Asked>, Failure> {
    let since = Instant::now();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut searching = JoinSet::new();
    for (at, peer) in peers.iter().enumerate() {
        let text = &texts[(at + 1) % texts.len()];
        let (words, torrent) = (text.words.clone(), text.torrent.clone());
        let (client, places) = (peer.client.clone(), Arc::clone(&places));
        searching.spawn(async move {
            loop {
                let place = places.acquire().await.expect("it is never closed");
                let asked = search(&client, &words, via, &torrent).await;
                drop(place);
                if !matches!(asked, Ok((_, None))) || since.elapsed() >= TRIED_WITHIN {
                    return (at, asked);
                }
                tokio::time::sleep(TRY_AGAIN).await;
            }
        });
    }
    let mut all = Vec::with_capacity(peers.len());
    while let Some(asked) = searching.join_next().await {
        let (at, asked) = asked.map_err(|error| Failure::new(error.to_string(), ""))?;
        all.push((at, asked?));
    }
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, asked)| asked).collect())
}

/// One search to its end, and its answer if it is the one: of others, unless the news is what is asked.
async fn search(
    client: &Client,
    words: &str,
    via: FindVia,
    torrent: &str,
) -> Result<Asked, Failure> {
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

fn row(via: &'static str, about: &'static str, asked: &[Asked], sent: Option<u64>) -> Row {
    let count = asked.len().max(1) as f64;
    let mean = |of: fn(&FindInfo) -> u64| {
        asked.iter().map(|(info, _)| of(info) as f64).sum::<f64>() / count
    };
    let answers = asked.iter().filter_map(|(_, answer)| answer.as_ref());
    // What was known already came at once; what others say is what is measured.
    let mut after: Vec<u64> =
        answers.map(|answer| answer.network_after_ms.unwrap_or(answer.after_ms)).collect();
    after.sort_unstable();
    Row {
        via,
        about,
        searches: asked.len(),
        found: after.len(),
        peers_asked: mean(|info| info.cost.peers),
        messages: sent.map_or_else(|| mean(|info| info.cost.messages), |sent| sent as f64 / count),
        bytes: mean(|info| info.cost.bytes),
        answered_ms: after.get(after.len() / 2).copied(),
    }
}

/// Has every peer fetch what it has found, and compares; how many have.
async fn fetch_all(
    peers: &[&Peer],
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
            ("ANSWER AFTER", Align::Right),
        ];
        let after = |row: &Row| match row.answered_ms {
            None => "never".to_owned(),
            Some(ms) if ms < 1_000 => format!("{ms} ms"),
            Some(ms) => units::duration(Duration::from_millis(ms)),
        };
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
                    after(row),
                ]
            })
            .collect();
        lay_out(&header, &rows)
    }

    /// What the table is of.
    pub(super) fn sentences(&self) -> Vec<String> {
        let searches = self.rows.first().map_or(0, |row| row.searches);
        let mut all = vec![format!(
            "Each of {} published a text and looked for the next one's by two words. Peers that were asked directly, \
             messages of all whom that caused, and bytes on the asker's own lines, on average; the time as median.",
            units::counted(searches as u64, "peer"),
        )];
        all.extend(self.rows.iter().map(|row| format!("  {}: {}.", row.via, row.about)));
        all.push(format!(
            "{} of the texts were fetched by these answers, and compared.",
            self.fetched
        ));
        all
    }
}
