//! Torznab: the form in which programs that look for films, series, books or music (Prowlarr, Sonarr, Radarr and
//! the like) ask an indexer. It is answered from what is known here, and from what others in the overlay
//! answer within a few seconds.
//!
//! Written after the Torznab specification (1.3, draft) and what these programs demand: `caps` with
//! limits and categories, an answer to a search without words, dates as RFC 2822 has them, errors as XML
//! with a number and the status 200.

mod category;
mod limits;
mod query;
mod xml;

use super::app::App;
use super::error::ApiError;
use super::token::Secret;
use super::types::TorznabInfo;
use crate::content;
use crate::session::{FindKind, FindOptions, FindVia, KnownListing, WANTED_MAX};
use althing_base::UnixTime;
use althing_bittorrent::InfoHashes;
use althing_bittorrent::metainfo::Magnet;
use althing_index::{Query as IndexQuery, What};
use althing_overlay::records::Content;
use althing_overlay::search::words::words;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Uri, header};
use limits::{ASKED_MAX, ASKING_MAX, NEWEST_MAX};
use query::{Asked, Refused, Search, tokens};
use std::time::Duration;
use tokio::sync::Semaphore;
use xml::Item;

/// Where programs ask.
pub(super) const PATH: &str = "/torznab/api";

/// The file with the key that programs show, in the data folder. It opens this and nothing else.
pub(super) const KEY_FILE: &str = "torznab.key";

/// The keys that open it, and places for questions to others.
pub(super) struct Desk {
    key: String,
    secret: Secret,
    token: Secret,
    asking: Semaphore,
}

impl Desk {
    pub(super) fn new(key: String, token: Secret) -> Self {
        let secret = Secret::new(&key);
        Desk { key, secret, token, asking: Semaphore::new(ASKING_MAX) }
    }

    fn opens(&self, given: &str) -> bool {
        self.secret.matches(given.as_bytes()) || self.token.matches(given.as_bytes())
    }
}

/// Where programs ask, and with which key
#[utoipa::path(get, path = "/torznab", tag = "daemon",
    responses((status = OK, body = TorznabInfo), (status = "4XX", body = super::types::ErrorReply)))]
pub(super) async fn info(State(app): State<App>) -> Result<axum::Json<TorznabInfo>, ApiError> {
    let settings = app.session().config().torznab.clone();
    Ok(axum::Json(TorznabInfo {
        enabled: settings.enabled,
        path: PATH.to_owned(),
        key: app.torznab().key.clone(),
    }))
}

/// Answers a program.
pub(super) async fn answer(State(app): State<App>, uri: Uri) -> Response {
    // What cannot be read names nothing.
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(&uri);
    let pairs = pairs.map_or_else(|_| Vec::new(), |Query(pairs)| pairs);
    let text = match respond(&app, &pairs).await {
        Ok(text) => text,
        Err(refused) => xml::error(&refused),
    };
    let kind = HeaderValue::from_static("application/rss+xml; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn respond(app: &App, pairs: &[(String, String)]) -> Result<String, Refused> {
    if !app.session().config().torznab.enabled {
        return Err(Refused::Disabled);
    }
    let query = query::parse(pairs);
    // What can be asked is no secret.
    if query == Ok(Asked::Caps) {
        return Ok(xml::caps());
    }
    let key = pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case("apikey"));
    if !key.is_some_and(|(_, key)| app.torznab().opens(key.trim())) {
        return Err(Refused::Credentials);
    }
    let Asked::Search(search) = query? else { return Ok(xml::caps()) };
    let items = if search.by_number { Vec::new() } else { items(app, &search).await };
    let all = items.len();
    let page: Vec<Item> = items.into_iter().skip(search.offset).take(search.limit).collect();
    Ok(xml::feed(&page, search.offset, all))
}

/// All that there is of what is looked for, the best first; the newest first if there are no words.
async fn items(app: &App, search: &Search) -> Vec<Item> {
    let text = search.words_to_find();
    let candidates =
        if words(&text).is_empty() { newest(app).await } else { looked_for(app, text).await };
    let fits = |candidate: Candidate| {
        let has = candidate.words();
        let categories = category::of(candidate.content(), &has);
        let is_meant = search.is_of_season(&has) && category::fits(&search.categories, &categories);
        is_meant.then(|| candidate.item(categories))
    };
    candidates.into_iter().filter_map(fits).collect()
}

/// A torrent that may be meant.
struct Candidate {
    hashes: InfoHashes,
    name: String,
    tags: Vec<String>,
    about: String,
    size: u64,
    files: u32,
    content: Content,
    seeders: Option<u32>,
    published: UnixTime,
    magnet: String,
}

impl Candidate {
    /// The words of name and tags, in their order.
    fn words(&self) -> Vec<String> {
        let mut found = tokens(&self.name);
        found.extend(self.tags.iter().flat_map(|tag| tokens(tag)));
        found
    }

    /// What it is; if nobody says so, what its name looks like.
    fn content(&self) -> Content {
        match self.content {
            Content::OTHER => content::of_name(&self.name),
            said => said,
        }
    }

    fn item(self, categories: Vec<u32>) -> Item {
        let info_hash = match (self.hashes.v1(), self.hashes.v2()) {
            (Some(v1), _) => v1.to_string(),
            (None, Some(v2)) => v2.to_string(),
            (None, None) => String::new(),
        };
        Item {
            name: self.name,
            about: self.about,
            info_hash,
            magnet: self.magnet,
            size: self.size,
            files: self.files,
            categories,
            seeders: self.seeders,
            published: self.published,
        }
    }
}

/// What is new here. With nothing known at all, the text that names the meeting place: a program that tests an
/// indexer takes no answer for a fault, and this one is there to be fetched.
async fn newest(app: &App) -> Vec<Candidate> {
    // Without the overlay there is nothing of it.
    let known = app.session().listings("", NEWEST_MAX).await.unwrap_or_default();
    let mut found: Vec<Candidate> = known.into_iter().filter_map(of_listing).collect();
    if found.is_empty() {
        found.extend(app.session().meeting_place().map(|metainfo| Candidate {
            hashes: metainfo.info_hashes(),
            name: metainfo.name().to_owned(),
            tags: Vec::new(),
            about: "Where peers of the overlay meet".to_owned(),
            size: metainfo.files().iter().map(|file| file.size()).sum(),
            files: 1,
            content: Content::TEXT,
            seeders: None,
            published: UnixTime(0),
            magnet: magnet(metainfo.info_hashes(), metainfo.name()),
        }));
    }
    found
}

fn of_listing(known: KnownListing) -> Option<Candidate> {
    let KnownListing { record, listing } = known;
    let hash = listing.info_hash();
    let hashes = InfoHashes::new(hash.v1(), hash.v2())?;
    Some(Candidate {
        magnet: magnet(hashes, listing.name()),
        hashes,
        name: listing.name().to_owned(),
        tags: listing.tags().map(str::to_owned).collect(),
        about: listing.about().to_owned(),
        size: listing.size(),
        files: listing.files(),
        content: listing.content(),
        seeders: None,
        published: record.created(),
    })
}

/// What fetches a torrent.
fn magnet(info_hashes: InfoHashes, name: &str) -> String {
    let (trackers, web_seeds, peers, select) = Default::default();
    let name = Some(name.to_owned());
    Magnet { info_hashes, name, trackers, web_seeds, peers, select }.to_string()
}

/// What is known here, and what others say within the time that there is.
async fn looked_for(app: &App, text: String) -> Vec<Candidate> {
    let settings = &app.session().config().torznab;
    let patience = Duration::from_secs(settings.network_s.into()).min(ASKED_MAX);
    let place = app.torznab().asking.try_acquire();
    let wanted = if place.is_ok() { WANTED_MAX } else { 1 };
    let options = FindOptions {
        words: text,
        via: FindVia::Auto,
        kind: FindKind::Files,
        wanted,
        watch: false,
    };
    let indexed = indexed(app, &options.words).await;
    // An error means that there is nobody to ask, or too much is asked already.
    let Ok(find) = app.session().find(options).await else { return indexed };
    if place.is_ok() && !patience.is_zero() {
        let mut listener = find.listen();
        let waiting = async { while listener.next().await.is_some() {} };
        // What has come until then is the answer.
        let _ = tokio::time::timeout(patience, waiting).await;
    }
    app.session().stop_finding(find.id());
    let answers = find.answers().into_iter();
    let candidate = |answer: crate::session::Answer| Candidate {
        magnet: answer.magnet().to_string(),
        hashes: answer.info_hashes,
        name: answer.name,
        tags: answer.tags,
        about: answer.about,
        size: answer.size_bytes,
        files: answer.files,
        content: answer.content,
        seeders: answer.seeders,
        published: answer.created,
    };
    let mut found: Vec<Candidate> = answers.map(candidate).collect();
    let is_there = |one: &Candidate| {
        let mut hashes = one.hashes.short_hashes();
        hashes.any(|hash| found.iter().any(|other| other.hashes.matches(hash)))
    };
    let others: Vec<Candidate> = indexed.into_iter().filter(|one| !is_there(one)).collect();
    found.extend(others);
    found
}

/// What the index on disk has, if there is one.
async fn indexed(app: &App, text: &str) -> Vec<Candidate> {
    let query = IndexQuery::new(text).for_what(What::Files).wanted(NEWEST_MAX);
    let found = app.session().search_index(query).await;
    let hits = found.map(|found| found.hits).unwrap_or_default();
    hits.into_iter()
        .filter_map(|hit| {
            let hashes = InfoHashes::new(hit.hash.v1(), hit.hash.v2())?;
            Some(Candidate {
                magnet: magnet(hashes, &hit.name),
                hashes,
                name: hit.name,
                tags: hit.tags,
                about: String::new(),
                size: hit.size,
                files: hit.files,
                content: hit.content,
                seeders: None,
                published: UnixTime(i64::try_from(hit.seen).unwrap_or(i64::MAX)),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
