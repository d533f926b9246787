//! What a program asks for over Torznab: parsed once, and refused with the numbers that its specification has.

use super::category::episode;
use super::limits::{CATEGORIES_MAX, ITEMS_MAX, OFFSET_MAX, QUERY_BYTES_MAX};
use althing_overlay::search::words::words;

/// Why there is no answer: the number and words of the specification.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Refused {
    /// The key is missing or wrong.
    #[error(
        "Incorrect user credentials: the apikey is missing or wrong; `althing torznab` shows it"
    )]
    Credentials,
    /// Something that has to be there is not.
    #[error("Missing parameter: {0}")]
    Missing(&'static str),
    /// Something that is there cannot be.
    #[error("Incorrect parameter: {0}")]
    Incorrect(&'static str),
    /// Nobody can do that.
    #[error("No such function: {0:?}")]
    NoFunction(String),
    /// It is turned off here.
    #[error("API disabled: set torznab.enabled = true in config.toml and restart the daemon")]
    Disabled,
}

impl Refused {
    pub(super) fn code(&self) -> u16 {
        match self {
            Refused::Credentials => 100,
            Refused::Missing(_) => 200,
            Refused::Incorrect(_) => 201,
            Refused::NoFunction(_) => 202,
            Refused::Disabled => 910,
        }
    }
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// What can be asked.
    Caps,
    /// What there is.
    Search(Search),
}

/// What is looked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Search {
    /// Words that are all wanted; none for whatever is new.
    pub(super) words: String,
    /// Categories, of which one is wanted; none for any.
    pub(super) categories: Vec<u32>,
    /// The season.
    pub(super) season: Option<u32>,
    /// The episode of it.
    pub(super) episode: Option<u32>,
    /// It is known by nothing but a number in a catalogue that nobody here has.
    pub(super) by_number: bool,
    /// So many are left out.
    pub(super) offset: usize,
    /// So many are wanted, at most [`ITEMS_MAX`].
    pub(super) limit: usize,
}

/// Numbers in catalogues.
const NUMBERS: [&str; 8] =
    ["imdbid", "tmdbid", "tvdbid", "rid", "tvmazeid", "traktid", "doubanid", "genre"];

/// Reads what stands in the address after the question mark.
pub(super) fn parse(pairs: &[(String, String)]) -> Result<Asked, Refused> {
    // Names in any case; of two the first counts.
    let value = |name: &str| {
        let mut found = pairs.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    let function = value("t").ok_or(Refused::Missing("t"))?;
    let more: &[&str] = match function.to_ascii_lowercase().as_str() {
        "caps" => return Ok(Asked::Caps),
        "search" => &["q"],
        "tvsearch" | "tv-search" => &["q"],
        "movie" | "movie-search" => &["q", "year"],
        "music" | "audio" | "music-search" => &["q", "artist", "album", "year"],
        "book" | "book-search" => &["q", "author", "title"],
        other => return Err(Refused::NoFunction(other.chars().take(32).collect())),
    };
    let texts: Vec<&str> = more.iter().filter_map(|name| value(name)).collect();
    let mut search = Search { words: texts.join(" "), limit: ITEMS_MAX, ..Search::default() };
    if search.words.len() > QUERY_BYTES_MAX {
        return Err(Refused::Incorrect("q"));
    }
    let number = |name: &'static str| match value(name) {
        None => Ok(None),
        Some(text) => text.parse::<u32>().map(Some).map_err(|_| Refused::Incorrect(name)),
    };
    if function.starts_with("tv") {
        search.season = number("season")?;
        match value("ep").and_then(|ep| ep.split_once('/')) {
            // What comes daily is named by its day.
            Some((month, day)) => {
                let year = search.season.take().map_or(String::new(), |year| year.to_string());
                search.words = format!("{} {year} {month} {day}", search.words);
            }
            None => search.episode = number("ep")?,
        }
    }
    if let Some(categories) = value("cat") {
        for text in categories.split(',').filter(|text| !text.trim().is_empty()) {
            let category = text.trim().parse().map_err(|_| Refused::Incorrect("cat"))?;
            if search.categories.len() >= CATEGORIES_MAX {
                return Err(Refused::Incorrect("cat"));
            }
            search.categories.push(category);
        }
    }
    let offset = number("offset")?.unwrap_or(0);
    search.offset = usize::try_from(offset).unwrap_or(usize::MAX).min(OFFSET_MAX);
    if let Some(limit) = number("limit")? {
        search.limit = usize::try_from(limit).unwrap_or(ITEMS_MAX).min(ITEMS_MAX);
    }
    search.by_number =
        search.words.trim().is_empty() && NUMBERS.iter().any(|name| value(name).is_some());
    Ok(Asked::Search(search))
}

impl Search {
    /// What is looked for in the overlay: the words, and those of the episode if it has a usual form.
    pub(super) fn words_to_find(&self) -> String {
        match (self.season, self.episode) {
            (Some(season), Some(episode)) if !words(&self.words).is_empty() => {
                format!("{} s{season:02}e{episode:02}", self.words)
            }
            _ => self.words.clone(),
        }
    }

    /// Whether what has these words is of the season and episode that are wanted.
    pub(super) fn is_of_season(&self, has: &[String]) -> bool {
        let Some(season) = self.season else { return true };
        let named = has.iter().filter_map(|word| episode(word));
        let mut named = named.filter(|(other, _)| *other == season);
        match self.episode {
            Some(wanted) => named.any(|(_, episode)| episode == Some(wanted)),
            None => named.next().is_some() || has.windows(2).any(|pair| is_season(pair, season)),
        }
    }
}

/// What stands between what is neither letter nor digit, in lower case. Other than what is searched for, single
/// digits count: "season 3".
pub(super) fn tokens(text: &str) -> Vec<String> {
    let parts = text.split(|character: char| !character.is_alphanumeric());
    parts.filter(|part| !part.is_empty()).map(str::to_lowercase).collect()
}

/// "season 3".
fn is_season(pair: &[String], season: u32) -> bool {
    let [first, second] = pair else { return false };
    first == "season" && second.parse() == Ok(season)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Asked, u16> {
        let pairs: Vec<_> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.replace('+', " ")))
            .collect();
        parse(&pairs).map_err(|refused| refused.code())
    }

    fn search(query: &str) -> Search {
        let Ok(Asked::Search(search)) = read(query) else { panic!("{query}: {:?}", read(query)) };
        search
    }

    #[test]
    fn what_programs_send_is_read() {
        assert_eq!(read("t=caps"), Ok(Asked::Caps));
        let tv = search(
            "t=tvsearch&q=a+show&season=1&ep=2&cat=5030,5040&limit=50&offset=100&extended=1",
        );
        assert_eq!(tv.words_to_find(), "a show s01e02");
        assert_eq!((&tv.categories[..], tv.limit, tv.offset), (&[5030, 5040][..], 50, 100));
        assert!(tv.is_of_season(&tokens("A.Show.S01E02.720p")));
        assert!(
            tv.is_of_season(&tokens("a show 1x02")) && !tv.is_of_season(&tokens("a show s01e03"))
        );
        let season = search("t=tvsearch&q=a+show&season=3");
        assert!(season.is_of_season(&tokens("A.Show.S03.1080p")));
        assert!(
            season.is_of_season(&tokens("a show season 3"))
                && !season.is_of_season(&tokens("a show"))
        );
        let daily = search("t=tvsearch&q=news&season=2026&ep=05/13");
        assert_eq!((daily.words_to_find().as_str(), daily.season), ("news 2026 05 13", None));
        assert_eq!(search("t=music&artist=somebody&album=something").words, "somebody something");
        assert_eq!(search("T=movie&q=film&year=1927").words, "film 1927");
        assert!(search("t=movie&imdbid=tt0017136").by_number);
        assert_eq!(search("t=search&limit=9999").limit, ITEMS_MAX);
    }

    #[test]
    fn what_cannot_be_is_refused_by_number() {
        for (query, code) in [
            ("q=x", 200),
            ("t=", 200),
            ("t=register", 202),
            ("t=search&cat=films", 201),
            ("t=search&limit=-1", 201),
            ("t=search&offset=x", 201),
            ("t=tvsearch&season=one", 201),
        ] {
            assert_eq!(read(query), Err(code), "{query}");
        }
        assert_eq!(read(&format!("t=search&q={}", "x".repeat(2000))), Err(201));
        assert_eq!(read(&format!("t=search&cat={}", "1,".repeat(2000))), Err(201));
    }
}
