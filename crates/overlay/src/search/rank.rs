//! Which answer comes first: a pure function of what is known of each.
//!
//! Whoever answers wants to come first, and most of what he says is his to choose. So what only he says counts
//! for least: a page that no author has signed is below every listing that has the words itself; a name full of
//! words that nobody asked for is worth less than one that has those asked for and few others; a thousand
//! keys or a thousand seeders count by their number of digits, and up to a bound. What came from who seems to have
//! everything is below what did not, however it looks. What the user has decided
//! himself, whom he knows, counts for as much as all of that together.

use super::hit::Page;
use super::words::{Word, words};
use crate::records::Listing;

/// What is known of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// What one of its authors has signed.
    pub listing: &'a Listing,
    /// The page that shows the words, if it is not the listing.
    pub page: Option<&'a Page>,
    /// Authors who list the same info-hash.
    pub authors: usize,
    /// Peers of ours over whose links it came: who makes up authors does not make up our neighbours.
    pub brought_by: usize,
    /// The user knows one of the authors, or is one.
    pub is_known: bool,
    /// Seeders, as far as anybody has counted them.
    pub seeders: Option<u32>,
    /// All who brought it had it from who seems to have everything
    /// ([`Hit::is_doubtful`](crate::io::Hit::is_doubtful)).
    pub is_doubtful: bool,
}

/// A word is worth so much where it stands: in the name, among the tags, in the description, in a page.
const IN: [u64; 4] = [8, 4, 2, 1];

/// What is best in each respect.
const TEXT_MAX: u64 = 100;
const DENSITY_MAX: u64 = 60;
const KNOWN: u64 = 100;
const SEEDERS_MAX: u64 = 40;
const VOUCHED_MAX: u64 = 20;

/// Above anything that is in doubt.
const SURE: u64 = 1_000;

/// Above anything that is not signed.
const SIGNED: u64 = 2_000;

const _: () = assert!(TEXT_MAX + DENSITY_MAX + KNOWN + SEEDERS_MAX + VOUCHED_MAX < SURE);
const _: () = assert!(SURE + SURE <= SIGNED);

/// What an answer is worth to somebody who asked for these words; the greater comes first.
pub fn worth(candidate: &Candidate<'_>, wanted: &[Word]) -> u64 {
    let Candidate { listing, page, authors, brought_by, is_known, seeders, is_doubtful } =
        *candidate;
    let name = words(listing.name());
    let tags: Vec<Word> = listing.tags().flat_map(words).collect();
    let about = words(listing.about());
    let shown: Vec<Word> =
        page.map(|page| [words(&page.path), words(&page.snippet)].concat()).unwrap_or_default();
    let places = [&name, &tags, &about, &shown];
    let of_word = |word: &Word| {
        let found = places.iter().zip(IN).find(|(place, _)| place.contains(word));
        found.map_or(0, |(_, worth)| worth)
    };
    let count = wanted.len().max(1) as u64;
    let text = TEXT_MAX * wanted.iter().map(of_word).sum::<u64>() / (IN[0] * count);
    // Of the words of the name, those that were asked for.
    let meant = name.iter().filter(|word| wanted.contains(word)).count().min(wanted.len()) as u64;
    let density = DENSITY_MAX * meant / (name.len().max(wanted.len()).max(1) as u64);
    let is_signed = wanted.iter().all(|word| places[..3].iter().any(|place| place.contains(word)));
    // Whom we do not see cannot be told from another: no more authors count than twice those who brought it.
    let vouched =
        (5 * digits(authors.min(brought_by.max(1).saturating_mul(2)) as u64)).min(VOUCHED_MAX);
    let seeders = (4 * digits(seeders.unwrap_or(0).into())).min(SEEDERS_MAX);
    let known = if is_known { KNOWN } else { 0 };
    let signed = if is_signed { SIGNED } else { 0 };
    // Whom the user knows nobody else can put in doubt.
    let sure = if is_known || !is_doubtful { SURE } else { 0 };
    signed + sure + text + density + known + seeders + vouched
}

/// How many binary digits a number has.
fn digits(number: u64) -> u64 {
    u64::from(u64::BITS - number.leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{InfoHash, Text};
    use althing_base::hash::sha1;
    use proptest::prelude::*;

    proptest! {
        /// Whatever a poisoner chooses, words, tags, pages, authors, seeders: once he is in doubt, or where nothing is
        /// signed, he comes after every listing that is signed, has the words and is not in doubt.
        #[test]
        fn what_is_in_doubt_or_unsigned_never_outranks_what_is_verified(
            bait in "[c-e ]{1,40}", about in "[ab ]{0,40}", good in "[x-z]{2,9}( [x-z]{2,9}){0,20}",
            (authors, brought_by) in (any::<usize>(), any::<usize>()),
            seeders in proptest::option::of(any::<u32>()),
            (is_signed, is_known) in any::<(bool, bool)>(),
        ) {
            let sought = words("aa bb");
            let signed = if is_signed { "aa bb " } else { "" };
            let bait = listing(&format!("{signed}cc {bait}"), "");
            let page = Page { path: Text::cleaned("aa/bb"), snippet: Text::cleaned(&about) };
            let page = Some(&page).filter(|_| !is_signed);
            // Pages of whom the user knows are below, too; but nobody puts in doubt whom he knows.
            let is_known = is_known && !is_signed;
            let worse = Candidate {
                listing: &bait, page, authors, brought_by, is_known, seeders, is_doubtful: is_signed,
            };
            // The worst of what is verified: the words at the end of the description.
            let good = listing(&good, "aa bb");
            prop_assert!(worth(&plain(&good), &sought) > worth(&worse, &sought));
        }
    }

    fn listing(name: &str, about: &str) -> Listing {
        let hash = InfoHash::V1(sha1(name.as_bytes()));
        let about = Text::cleaned(about);
        Listing::new(hash, Text::cleaned(name), 1, 1).unwrap().with_about(about)
    }

    fn plain(listing: &Listing) -> Candidate<'_> {
        let (page, seeders, is_doubtful) = (None, None, false);
        let (authors, brought_by, is_known) = (1, 1, false);
        Candidate { listing, page, authors, brought_by, is_known, seeders, is_doubtful }
    }

    fn check(better: &Candidate<'_>, worse: &Candidate<'_>, sought: &str) {
        let sought = words(sought);
        assert!(worth(better, &sought) > worth(worse, &sought), "{better:?} {worse:?}");
    }

    #[test]
    fn what_is_meant_comes_before_what_only_has_the_words() {
        let good = listing("Debian 12 netinst iso", "");
        let bait = listing(&format!("debian netinst {}", "free film song game ".repeat(8)), "");
        check(&plain(&good), &plain(&bait), "debian netinst");
        let about = listing("Free stuff", "debian netinst and more");
        check(&plain(&bait), &plain(&about), "debian netinst");
        // Who invents seeders and authors gains no more than who means it has.
        let many = Candidate { authors: 1_000, seeders: Some(1_000_000), ..plain(&about) };
        check(&plain(&good), &many, "debian netinst");
    }

    #[test]
    fn what_nobody_signed_is_below_all_that_is() {
        let (one, other) = (listing("Something else", ""), listing("x y", "a debian netinst"));
        let page = Page {
            path: Text::cleaned("debian/netinst"),
            snippet: Text::cleaned("debian netinst debian netinst"),
        };
        let best = Candidate {
            page: Some(&page),
            authors: 1_000_000,
            brought_by: 100,
            is_known: true,
            seeders: Some(u32::MAX),
            ..plain(&one)
        };
        check(&plain(&other), &best, "debian netinst");
    }

    #[test]
    fn a_thousand_keys_behind_one_neighbour_are_two() {
        let thing = listing("Debian netinst", "");
        let crowd = Candidate { authors: 1_000, ..plain(&thing) };
        let few = Candidate { authors: 4, brought_by: 4, ..plain(&thing) };
        check(&few, &crowd, "debian netinst");
        let known = Candidate { is_known: true, ..plain(&thing) };
        check(&known, &few, "debian netinst");
    }
}
