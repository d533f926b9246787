//! Torznab's XML. A writer escapes what strangers have written, and what XML cannot have in it at all is
//! replaced before.

use super::category::TREE;
use super::limits::ITEMS_MAX;
use super::query::Refused;
use althing_base::UnixTime;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use std::borrow::Cow;

/// A torrent as it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    /// What it is called.
    pub(super) name: String,
    /// A description; often empty.
    pub(super) about: String,
    /// The info-hash: 40 hexadecimal digits, or 64 if there is v2 alone.
    pub(super) info_hash: String,
    /// What fetches it.
    pub(super) magnet: String,
    /// Bytes.
    pub(super) size: u64,
    /// How many files; 0 if that is not known.
    pub(super) files: u32,
    /// The widest first.
    pub(super) categories: Vec<u32>,
    /// How many have all of it, if that is known.
    pub(super) seeders: Option<u32>,
    /// When it was said that it is there.
    pub(super) published: UnixTime,
}

/// The namespaces that programs look for.
const TORZNAB: &str = "http://torznab.com/schemas/2015/feed";
const NEWZNAB: &str = "http://www.newznab.com/DTD/2010/feeds/attributes/";
const ATOM: &str = "http://www.w3.org/2005/Atom";

/// The type of a link to a torrent; programs look for it, also where the link is a magnet.
const LINK_TYPE: &str = "application/x-bittorrent";

/// What is written, in memory, where nothing fails.
struct Page(Writer<Vec<u8>>);

impl Page {
    fn new() -> Self {
        let mut page = Page(Writer::new_with_indent(Vec::new(), b' ', 2));
        page.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        page
    }

    fn event(&mut self, event: Event<'_>) {
        self.0.write_event(event).expect("memory takes what is written");
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.event(Event::Start(element(name, attributes)));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.event(Event::Empty(element(name, attributes)));
    }

    fn end(&mut self, name: &str) {
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn text(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.start(name, attributes);
        self.event(Event::Text(BytesText::new(&possible(text))));
        self.end(name);
    }

    fn finish(self) -> String {
        String::from_utf8(self.0.into_inner()).expect("what is written is text")
    }
}

fn element<'a>(name: &'a str, attributes: &[(&str, &str)]) -> BytesStart<'a> {
    let mut element = BytesStart::new(name);
    for (name, value) in attributes {
        element.push_attribute((*name, &*possible(value)));
    }
    element
}

/// Without the characters that XML cannot have, however they are written (XML 1.0, section 2.2).
fn possible(text: &str) -> Cow<'_, str> {
    let can = |character: char| matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if text.chars().all(can) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars().map(|character| if can(character) { character } else { '\u{fffd}' }).collect(),
    )
}

/// Why there is no answer.
pub(super) fn error(refused: &Refused) -> String {
    let mut page = Page::new();
    let (code, words) = (refused.code().to_string(), refused.to_string());
    page.empty("error", &[("code", &code), ("description", &words)]);
    page.finish()
}

/// What can be asked.
pub(super) fn caps() -> String {
    let mut page = Page::new();
    page.start("caps", &[]);
    let version = env!("CARGO_PKG_VERSION");
    page.empty("server", &[("version", version), ("title", "Althing")]);
    let most = ITEMS_MAX.to_string();
    page.empty("limits", &[("max", &most), ("default", &most)]);
    page.empty("registration", &[("available", "no"), ("open", "no")]);
    page.start("searching", &[]);
    for (name, supported) in [
        ("search", "q"),
        ("tv-search", "q,season,ep"),
        ("movie-search", "q,year"),
        ("music-search", "q,artist,album,year"),
        ("audio-search", "q,artist,album,year"),
        ("book-search", "q,author,title"),
    ] {
        page.empty(name, &[("available", "yes"), ("supportedParams", supported)]);
    }
    page.end("searching");
    page.start("categories", &[]);
    for (number, name, below) in TREE {
        let number = number.to_string();
        page.start("category", &[("id", &number), ("name", name)]);
        for (number, name) in below {
            page.empty("subcat", &[("id", &number.to_string()), ("name", name)]);
        }
        page.end("category");
    }
    page.end("categories");
    page.end("caps");
    page.finish()
}

/// What there is: `items` after the first `offset` of `all`.
pub(super) fn feed(items: &[Item], offset: usize, all: usize) -> String {
    let mut page = Page::new();
    let spaces = [
        ("version", "2.0"),
        ("xmlns:atom", ATOM),
        ("xmlns:newznab", NEWZNAB),
        ("xmlns:torznab", TORZNAB),
    ];
    page.start("rss", &spaces);
    page.start("channel", &[]);
    page.text("title", &[], "Althing");
    page.text("description", &[], "What peers of the overlay have");
    page.text("link", &[], "https://althing.invalid/");
    page.text("language", &[], "en");
    page.text("category", &[], "search");
    let (offset, all) = (offset.to_string(), all.to_string());
    page.empty("newznab:response", &[("offset", &offset), ("total", &all)]);
    for item in items {
        write_item(&mut page, item);
    }
    page.end("channel");
    page.end("rss");
    page.finish()
}

fn write_item(page: &mut Page, item: &Item) {
    let size = item.size.to_string();
    page.start("item", &[]);
    page.text("title", &[], &item.name);
    page.text("guid", &[("isPermaLink", "false")], &format!("urn:btih:{}", item.info_hash));
    page.text("link", &[], &item.magnet);
    page.text("pubDate", &[], &date(item.published));
    page.text("size", &[], &size);
    page.text("description", &[], &item.about);
    for category in &item.categories {
        page.text("category", &[], &category.to_string());
    }
    let link = [("url", item.magnet.as_str()), ("length", &size), ("type", LINK_TYPE)];
    page.empty("enclosure", &link);
    for category in &item.categories {
        attribute(page, "category", &category.to_string());
    }
    attribute(page, "size", &size);
    if item.files > 0 {
        attribute(page, "files", &item.files.to_string());
    }
    if let Some(seeders) = item.seeders {
        attribute(page, "seeders", &seeders.to_string());
        // Who has a part of it nobody has counted.
        attribute(page, "peers", &seeders.to_string());
    }
    attribute(page, "infohash", &item.info_hash);
    attribute(page, "magneturl", &item.magnet);
    // Nobody counts what is fetched, and what is given counts once.
    attribute(page, "downloadvolumefactor", "0");
    attribute(page, "uploadvolumefactor", "1");
    page.end("item");
}

fn attribute(page: &mut Page, name: &str, value: &str) {
    page.empty("torznab:attr", &[("name", name), ("value", value)]);
}

/// As RFC 2822 has it; of times that are out of this world, the beginning of time.
fn date(time: UnixTime) -> String {
    let written = |time: Timestamp| rfc2822::to_string(&time.to_zoned(TimeZone::UTC));
    let time = Timestamp::from_second(time.0).unwrap_or(Timestamp::UNIX_EPOCH);
    written(time).or_else(|_| written(Timestamp::UNIX_EPOCH)).unwrap_or_default()
}
