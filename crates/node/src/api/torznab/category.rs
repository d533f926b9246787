//! Torznab's categories: which a torrent belongs to, and whether that is one of those asked for.

use althing_overlay::records::Content;

/// A category below another: number and name.
type Narrow = (u32, &'static str);

/// Every category that is told of: number, name, and those below it.
pub(super) const TREE: [(u32, &str, &[Narrow]); 7] = [
    (1000, "Console", &[]),
    (2000, "Movies", &[(2030, "Movies/SD"), (2040, "Movies/HD"), (2045, "Movies/UHD")]),
    (3000, "Audio", &[(3010, "Audio/MP3"), (3030, "Audio/Audiobook"), (3040, "Audio/Lossless")]),
    (4000, "PC", &[(4020, "PC/ISO")]),
    (5000, "TV", &[(5030, "TV/SD"), (5040, "TV/HD"), (5045, "TV/UHD")]),
    (7000, "Books", &[(7020, "Books/EBook"), (7030, "Books/Comics")]),
    (8000, "Other", &[(8010, "Other/Misc")]),
];

/// What is found by its name and tags, in words of lower case.
struct Said<'a>(&'a [String]);

impl Said<'_> {
    fn has(&self, words: &[&str]) -> bool {
        self.0.iter().any(|word| words.contains(&word.as_str()))
    }

    fn is_series(&self) -> bool {
        self.has(&["season", "seasons", "episode", "episodes", "hdtv"])
            || self.0.iter().any(|word| episode(word).is_some())
    }

    /// What is added to a number of films or series for how fine the picture is.
    fn fineness(&self) -> Option<u32> {
        if self.has(&["2160p", "4k", "uhd"]) {
            Some(45)
        } else if self.has(&["720p", "1080p", "1080i", "bluray", "brrip", "hd", "web", "webrip"]) {
            Some(40)
        } else {
            self.has(&["480p", "576p", "dvd", "dvdrip", "sd", "xvid", "hdtv"]).then_some(30)
        }
    }
}

/// The categories of a torrent, the widest first.
pub(super) fn of(content: Content, words: &[String]) -> Vec<u32> {
    let said = Said(words);
    let (wide, narrow) = match content {
        Content::VIDEO => {
            let wide = if said.is_series() { 5000 } else { 2000 };
            (wide, said.fineness().map(|fineness| wide + fineness))
        }
        Content::AUDIO if said.has(&["audiobook", "m4b", "unabridged"]) => (3000, Some(3030)),
        Content::AUDIO if said.has(&["flac", "lossless", "alac", "ape", "wav"]) => {
            (3000, Some(3040))
        }
        Content::AUDIO => (3000, said.has(&["mp3"]).then_some(3010)),
        Content::TEXT if said.has(&["cbr", "cbz", "comic", "comics"]) => (7000, Some(7030)),
        Content::TEXT => (7000, Some(7020)),
        Content::SOFTWARE => (4000, said.has(&["iso"]).then_some(4020)),
        _ => (8000, Some(8010)),
    };
    std::iter::once(wide).chain(narrow).collect()
}

/// Whether one of the categories asked for is one of the torrent's, or may be: who asks for films in HD gets those
/// of which nobody says how fine they are.
pub(super) fn fits(wanted: &[u32], categories: &[u32]) -> bool {
    let may_be = |wanted: u32| categories == [wanted / 1000 * 1000];
    wanted.is_empty() || wanted.iter().any(|&wanted| categories.contains(&wanted) || may_be(wanted))
}

/// The season and, if there is one, the episode that a word of lower case stands for: `s01`, `s01e02`,
/// `1x02`.
pub(super) fn episode(word: &str) -> Option<(u32, Option<u32>)> {
    let number = |text: &str| {
        let fits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| text.parse().ok()).flatten()
    };
    if let Some(rest) = word.strip_prefix('s') {
        let Some((season, episode)) = rest.split_once('e') else {
            return Some((number(rest)?, None));
        };
        // Two in one: s01e02e03.
        let episode = episode.split_once('e').map_or(episode, |(first, _)| first);
        return Some((number(season)?, Some(number(episode)?)));
    }
    let (season, episode) = word.split_once('x')?;
    // 1920x1080 is none.
    let (season, episode) = (number(season)?, number(episode)?);
    (season < 100).then_some((season, Some(episode)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: Content, words: &str, expected: &[u32]) {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let found = of(content, &words);
        assert_eq!(found, expected, "{words:?}");
        let known = |number: &u32| {
            let mut all = TREE.iter().flat_map(|(wide, _, narrow)| {
                std::iter::once(*wide).chain(narrow.iter().map(|(number, _)| *number))
            });
            all.any(|all| all == *number)
        };
        assert!(found.iter().all(known), "{found:?}");
    }

    #[test]
    fn categories_follow_from_what_is_said() {
        check(Content::VIDEO, "a show s01e02 1080p", &[5000, 5040]);
        check(Content::VIDEO, "a show season 3", &[5000]);
        check(Content::VIDEO, "a film 2021 2160p", &[2000, 2045]);
        check(Content::VIDEO, "a film 1920x1080", &[2000]);
        check(Content::AUDIO, "an album flac", &[3000, 3040]);
        check(Content::AUDIO, "an album", &[3000]);
        check(Content::TEXT, "a book", &[7000, 7020]);
        check(Content::SOFTWARE, "debian iso", &[4000, 4020]);
        check(Content(99), "anything", &[8000, 8010]);
    }

    #[test]
    fn who_asks_for_a_part_gets_what_may_be_it() {
        assert!(fits(&[], &[8000, 8010]));
        assert!(fits(&[5000], &[5000, 5040]) && fits(&[5040], &[5000, 5040]));
        assert!(fits(&[5030, 5040], &[5000]));
        assert!(!fits(&[5030], &[5000, 5040]) && !fits(&[2000, 2040], &[5000, 5040]));
    }

    #[test]
    fn episodes_are_read_as_they_are_written() {
        assert_eq!(episode("s01e02"), Some((1, Some(2))));
        assert_eq!(episode("s2024"), Some((2024, None)));
        assert_eq!(episode("s01e02e03"), Some((1, Some(2))));
        assert_eq!(episode("1x02"), Some((1, Some(2))));
        for none in ["1920x1080", "sand", "s", "se", "s1e", "x", "s00001", "s01e02é"] {
            assert_eq!(episode(none), None, "{none}");
        }
    }
}
