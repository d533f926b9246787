//! Measures the index: bytes on disk for each torrent, how fast they are put, how long questions take.
//!
//! `cargo run --release -p althing-index --example measure -- [TORRENTS] [DOCUMENTS]`
//!
//! Names are made up, but as long and as varied as those of real torrents: a few words of some 40,000, of which some
//! are everywhere and most are rare (Zipf), a year, sizes and codecs, a group; and half of the torrents have
//! names of files besides. Documents are of words with the same spread.

use althing_base::Sha1Digest;
use althing_base::rand::{Rng, Seed};
use althing_index::{Bounds, Index, Listing, Page, Query, Source, What};
use althing_overlay::records::InfoHash;
use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

const WORDS: u64 = 40_000;
const SYLLABLES: [&str; 32] = [
    "ra", "ti", "mo", "ken", "lor", "va", "shi", "pel", "dun", "ga", "ost", "bri", "ne", "ful",
    "cha", "zor", "ing", "ma", "ter", "lo", "ve", "sun", "dar", "ki", "wal", "et", "son", "pri",
    "du", "ach", "ell", "no",
];
const EXTRAS: [&str; 12] = [
    "1080p", "720p", "x264", "x265", "WEB-DL", "BluRay", "AAC", "FLAC", "S01", "EN", "v2.1",
    "Complete",
];

struct Names(Rng);

impl Names {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// A word; the n-th most frequent about as often as 1 in n.
    fn word(&mut self) -> String {
        let rank = (WORDS as f64).powf(self.0.unit()) as u64;
        let mut spread = rank.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut word = String::new();
        for _ in 0..2 + rank % 3 {
            word.push_str(SYLLABLES[usize::try_from(spread % 32).unwrap_or_default()]);
            spread >>= 7;
        }
        word
    }

    fn words(&mut self, count: u64) -> String {
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    fn listing(&mut self) -> Listing {
        let mut hash = [0; 20];
        self.0.fill(&mut hash);
        let count = 3 + self.below(5);
        let mut name = self.words(count);
        name.push_str(&format!(" {}", 1950 + self.below(75)));
        for _ in 0..1 + self.below(4) {
            name.push_str(&format!(".{}", EXTRAS[self.0.index(EXTRAS.len())]));
        }
        name.push_str(&format!("-{}", self.word()));
        let files = 1 + self.below(30);
        let about = match self.below(2) {
            0 => String::new(),
            _ => (0..files.min(8)).map(|_| self.words(3)).collect::<Vec<_>>().join("\n"),
        };
        Listing {
            about,
            size: self.below(20 << 30),
            files: u32::try_from(files).unwrap_or_default(),
            seen: 1_780_000_000 + self.below(86_400 * 30),
            ..Listing::new(InfoHash::V1(Sha1Digest(hash)), &name, Source::Crawled)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "it is what is measured")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = Instant::now();
    let result = work();
    (result, before.elapsed())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let torrents: u64 = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let documents: u64 = arguments.next().map_or(Ok(200), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let mut out = std::io::stdout();
    let mut names = Names(Rng::new(Seed::from_u64(1)));
    let mut index = Index::open(folder.path(), Bounds { disk_bytes: u64::MAX })?;

    let listings: Vec<Listing> = (0..torrents).map(|_| names.listing()).collect();
    let bytes: usize = listings.iter().map(|listing| listing.name.len()).sum();
    let about: usize = listings.iter().map(|listing| listing.about.len()).sum();
    let (put, took) = timed(|| {
        for listing in &listings {
            index.put_listing(listing)?;
            if index.wants_commit() {
                index.commit()?;
            }
        }
        index.commit()
    });
    put?;
    let per = |bytes: u64| bytes as f64 / torrents.max(1) as f64;
    writeln!(
        out,
        "{torrents} torrents, names of {:.0} bytes and {:.0} of other words each: put in {:.1} s, {:.0} a second",
        per(bytes as u64),
        per(about as u64),
        took.as_secs_f64(),
        torrents as f64 / took.as_secs_f64(),
    )?;
    index.close()?;
    let mut index = Index::open(folder.path(), Bounds { disk_bytes: u64::MAX })?;
    index.put_listing(&Listing::new(InfoHash::V1(Sha1Digest([0; 20])), "last", Source::Own))?;
    index.commit()?;
    index.tidy()?;
    let disk = index.stats().disk_bytes;
    writeln!(out, "on disk {disk} bytes, {:.0} for each torrent", per(disk))?;

    let searcher = index.searcher();
    for count in 1..=3 {
        let mut times = Vec::new();
        let (mut matched, mut hits) = (0, 0);
        for _ in 0..2_000 {
            // Words that somebody knows who looks for something: those of one listing.
            let at = names.0.index(listings.len());
            let mut words: Vec<&str> = listings[at].name.split(' ').collect();
            let from = names.0.index(2);
            words = words.into_iter().skip(from).take(count).collect();
            let query = Query::new(&words.join(" ")).wanted(50);
            let (found, took) = timed(|| searcher.search(&query, &|| false));
            let found = found?;
            matched += found.matched;
            hits += found.hits.len();
            times.push(took);
        }
        say(&mut out, &format!("{count} words of a name"), times, matched, hits)?;
    }

    let before = disk;
    let mut text_bytes = 0;
    let (put, took) = timed(|| {
        for number in 0..documents {
            let text = names.words(20_000);
            text_bytes += text.len();
            index.put_page(&Page {
                hash: InfoHash::V1(Sha1Digest([1; 20])),
                torrent: "A shelf of books".to_owned(),
                path: format!("book {number}.txt"),
                title: String::new(),
                text,
                source: Source::Own,
            })?;
        }
        index.commit()
    });
    put?;
    index.tidy()?;
    let disk = index.stats().disk_bytes - before;
    writeln!(
        out,
        "{documents} documents with {text_bytes} bytes of text in {} passages: put in {:.1} s; on disk {disk} bytes, {:.2} for \
         each byte of text",
        index.stats().passages,
        took.as_secs_f64(),
        disk as f64 / text_bytes.max(1) as f64,
    )?;
    let mut times = Vec::new();
    let (mut matched, mut hits) = (0, 0);
    for _ in 0..500 {
        let query = Query::new(&names.words(3)).for_what(What::Pages);
        let (found, took) = timed(|| searcher.search(&query, &|| false));
        let found = found?;
        matched += found.matched;
        hits += found.hits.len();
        times.push(took);
    }
    say(&mut out, "3 words in documents", times, matched, hits)?;
    Ok(())
}

fn say(
    out: &mut impl std::io::Write,
    what: &str,
    mut times: Vec<Duration>,
    matched: u64,
    hits: usize,
) -> std::io::Result<()> {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let count = times.len() as f64;
    writeln!(
        out,
        "{what}: median {:?}, 99th percentile {:?}, slowest {:?}; {:.0} fit, {:.1} shown",
        at(0.5),
        at(0.99),
        at(1.0),
        matched as f64 / count,
        hits as f64 / count
    )
}
