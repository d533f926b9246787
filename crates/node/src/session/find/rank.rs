//! Which answers come first: what the overlay's own measure says of them
//! ([`althing_overlay::search::rank`]), in which nothing that only whoever answers says outranks what an author
//! has signed.

use super::answers::Answer;
use althing_overlay::io::Page;
use althing_overlay::records::{InfoHash, Listing, Text};
use althing_overlay::search::rank::{Candidate, worth};
use althing_overlay::search::words::Word;
use std::cmp::Reverse;

/// Puts the best first; of those that are as good the one that came first.
pub(super) fn sort(answers: &mut [Answer], wanted: &[Word]) {
    answers.sort_by_cached_key(|answer| (Reverse(of(answer, wanted)), answer.number));
}

fn of(answer: &Answer, wanted: &[Word]) -> u64 {
    let hashes = answer.info_hashes;
    let hash = match (hashes.v1(), hashes.v2()) {
        (Some(v1), Some(v2)) => InfoHash::Hybrid(v1, v2),
        (Some(v1), None) => InfoHash::V1(v1),
        (None, Some(v2)) => InfoHash::V2(v2),
        (None, None) => return 0,
    };
    let name = Text::cleaned(&answer.name);
    let Ok(listing) = Listing::new(hash, name, answer.size_bytes, answer.files) else { return 0 };
    let listing = listing
        .with_tags(answer.tags.iter().map(|tag| Text::cleaned(tag)).collect())
        .with_about(Text::cleaned(&answer.about));
    let pages = answer.pages.iter().map(|page| Page {
        path: Text::cleaned(&page.path),
        snippet: Text::cleaned(&page.snippet),
    });
    let worth_with = |page: Option<&Page>| {
        let candidate = Candidate {
            listing: &listing,
            page,
            authors: answer.authors.len(),
            brought_by: answer.brought_by.len(),
            is_known: false,
            seeders: answer.seeders,
            is_doubtful: answer.is_doubtful,
        };
        worth(&candidate, wanted)
    };
    let best = pages.map(|page| worth_with(Some(&page))).max().unwrap_or(0);
    best.max(worth_with(None))
}
