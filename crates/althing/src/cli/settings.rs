//! What commands take that set something for torrents.

use super::{OneTorrent, Torrents};
use althing_node::api::types::{NoLimit, RatioLimit, TimeLimit};
use clap::{Args, ValueEnum, ValueHint};
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Ls {
    /// Only those in this category; the empty text for those in none.
    #[arg(long, value_name = "NAME")]
    pub(crate) category: Option<String>,

    /// Only those with this tag; repeat for more.
    #[arg(long = "tag", value_name = "WORD")]
    pub(crate) tags: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) torrents: Torrents,

    /// Let them run whatever the queue says, from now on.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Limit {
    /// Torrents, by id, beginning of an id, or name [default: all together; with no limit either, show
    /// what is set for them].
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,

    /// Send at most so much a second, as in 500K or 2M; `none` for no limit.
    #[arg(long, value_name = "RATE")]
    pub(crate) up: Option<RateArg>,

    /// Receive at most so much a second.
    #[arg(long, value_name = "RATE")]
    pub(crate) down: Option<RateArg>,

    /// Rest when so many times what there is has been sent: a number, `never`, or `inherited`.
    #[arg(long, value_name = "RATIO")]
    pub(crate) ratio: Option<RatioArg>,

    /// Rest when it has been shared for so long, as in 90m, 12h or 7d; `never`, or `inherited`.
    #[arg(long, value_name = "TIME")]
    pub(crate) seed_time: Option<TimeArg>,

    /// Upload to at most so many peers at the same time; 0 for as many as set for any torrent, or of all
    /// together as many as the line is good for.
    #[arg(long, value_name = "PEERS")]
    pub(crate) slots: Option<u32>,

    /// Connect to at most so many peers; 0 for as many as set for any torrent.
    #[arg(long, value_name = "PEERS")]
    pub(crate) connections: Option<u32>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Pieces {
    #[command(flatten)]
    pub(crate) torrent: OneTorrent,

    /// Do not fetch these pieces.
    #[arg(long, value_name = "PIECES", num_args = 1..)]
    pub(crate) skip: Vec<PiecesArg>,

    /// Fetch these pieces after all others.
    #[arg(long, value_name = "PIECES", num_args = 1..)]
    pub(crate) low: Vec<PiecesArg>,

    /// Fetch these pieces as usual, whatever is set for their files.
    #[arg(long, value_name = "PIECES", num_args = 1..)]
    pub(crate) normal: Vec<PiecesArg>,

    /// Fetch these pieces before all others.
    #[arg(long, value_name = "PIECES", num_args = 1..)]
    pub(crate) high: Vec<PiecesArg>,

    /// Fetch these pieces as their files are set again.
    #[arg(long, value_name = "PIECES", num_args = 1..)]
    pub(crate) as_files: Vec<PiecesArg>,
}

/// A piece, or a range of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PiecesArg {
    /// The first, from 0.
    pub(crate) first: u32,
    /// The last.
    pub(crate) last: u32,
}

impl FromStr for PiecesArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(PiecesArg { first, last }),
            (Ok(first), Ok(last)) => {
                Err(format!("write the smaller number first, as in {last}-{first}"))
            }
            _ => Err("write a piece's number or a range of them, as in 17 or 0-99".to_owned()),
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Tag {
    #[command(flatten)]
    pub(crate) torrents: Torrents,

    /// Put them in this category; the empty text for none.
    #[arg(long, value_name = "NAME")]
    pub(crate) category: Option<String>,

    /// Add this word; repeat for more.
    #[arg(short, long, value_name = "WORD")]
    pub(crate) add: Vec<String>,

    /// Take this word away; repeat for more.
    #[arg(short = 'd', long, value_name = "WORD")]
    pub(crate) remove: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CategoryArgs {
    /// The category [default: list all].
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Put the files of torrents that are added to it into this folder.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "name")]
    pub(crate) save_dir: Option<PathBuf>,

    /// Its torrents together send at most so much a second; `none` for no limit.
    #[arg(long, value_name = "RATE", requires = "name")]
    pub(crate) up: Option<RateArg>,

    /// Its torrents together receive at most so much a second.
    #[arg(long, value_name = "RATE", requires = "name")]
    pub(crate) down: Option<RateArg>,

    /// Its torrents rest when so many times what there is has been sent.
    #[arg(long, value_name = "RATIO", requires = "name")]
    pub(crate) ratio: Option<RatioArg>,

    /// Its torrents rest when they have been shared for so long.
    #[arg(long, value_name = "TIME", requires = "name")]
    pub(crate) seed_time: Option<TimeArg>,

    /// Forget it; its torrents stay, and are in none then.
    #[arg(long, requires = "name")]
    pub(crate) remove: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct QueueArgs {
    #[command(flatten)]
    pub(crate) torrent: OneTorrent,

    /// Where to.
    #[arg(value_enum)]
    pub(crate) to: QueueWay,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum QueueWay {
    /// Before all others.
    Top,
    /// One place up.
    Up,
    /// One place down.
    Down,
    /// After all others.
    Bottom,
}

#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub(crate) struct ConfigSet {
    /// The setting, as in limits.upload_kib_s.
    #[arg(value_name = "SETTING")]
    pub(crate) setting: String,

    /// Its new value, as it would stand in the file; quotes around a text may be left out.
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) value: String,
}

/// A rate: `500K`, `2M`, a number of bytes, or `none`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RateArg {
    /// 0 for none.
    pub(crate) bytes_per_s: u64,
}

impl RateArg {
    /// In the settings' unit; less than one of it is one, since 0 is no limit.
    pub(crate) fn kib_per_s(self) -> u64 {
        self.bytes_per_s.div_ceil(1024)
    }
}

impl FromStr for RateArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || "write 500K, 2M, a number of bytes, or none".to_owned();
        if text == "none" {
            return Ok(RateArg { bytes_per_s: 0 });
        }
        let upper = text.trim().to_ascii_uppercase();
        let upper = upper.trim_end_matches("/S").trim_end_matches("IB").trim_end_matches('B');
        let (digits, unit) = match upper.char_indices().last() {
            Some((at, 'K')) => (&upper[..at], 1u64 << 10),
            Some((at, 'M')) => (&upper[..at], 1 << 20),
            Some((at, 'G')) => (&upper[..at], 1 << 30),
            _ => (upper, 1),
        };
        let number: f64 = digits.trim().parse().map_err(|_| problem())?;
        let bytes = number * unit as f64;
        if (0.0..=1e15).contains(&bytes) {
            Ok(RateArg { bytes_per_s: bytes.round() as u64 })
        } else {
            Err(problem())
        }
    }
}

fn no_limit(text: &str) -> Option<NoLimit> {
    match text {
        "never" => Some(NoLimit::Never),
        "inherited" => Some(NoLimit::Inherited),
        _ => None,
    }
}

/// A number such as 1.5, `never`, or `inherited`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct RatioArg(pub(crate) RatioLimit);

impl FromStr for RatioArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(word) = no_limit(text) {
            return Ok(RatioArg(RatioLimit::Word(word)));
        }
        let number: Option<f64> = text.parse().ok().filter(|number| (0.0..=1e6).contains(number));
        let ratio = number.ok_or("write a number such as 1.5, never, or inherited")?;
        Ok(RatioArg(RatioLimit::Ratio(ratio)))
    }
}

/// A time such as 90m, 12h or 7d, `never`, or `inherited`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimeArg(pub(crate) TimeLimit);

impl FromStr for TimeArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(word) = no_limit(text) {
            return Ok(TimeArg(TimeLimit::Word(word)));
        }
        let problem = || "write 90m, 12h, 7d, never, or inherited".to_owned();
        let (digits, unit) = match text.char_indices().last() {
            Some((at, 's')) => (&text[..at], 1u64),
            Some((at, 'm')) => (&text[..at], 60),
            Some((at, 'h')) => (&text[..at], 3600),
            Some((at, 'd')) => (&text[..at], 86_400),
            _ => return Err(problem()),
        };
        let number: u32 = digits.parse().map_err(|_| problem())?;
        Ok(TimeArg(TimeLimit::Seconds(u64::from(number) * unit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, bytes) in
            [("500K", 512_000), ("2M", 2 << 20), ("1.5MiB/s", 3 << 19), ("7", 7), ("none", 0)]
        {
            assert_eq!(text.parse(), Ok(RateArg { bytes_per_s: bytes }), "{text}");
        }
        for wrong in ["", "K", "-1", "fast", "1e300", "nan"] {
            assert!(wrong.parse::<RateArg>().is_err(), "{wrong}");
        }
        assert_eq!(RateArg { bytes_per_s: 1 }.kib_per_s(), 1);
    }

    #[test]
    fn times_and_ratios() {
        assert_eq!("90m".parse(), Ok(TimeArg(TimeLimit::Seconds(5400))));
        assert_eq!("never".parse(), Ok(TimeArg(TimeLimit::Word(NoLimit::Never))));
        assert_eq!("1.5".parse(), Ok(RatioArg(RatioLimit::Ratio(1.5))));
        for wrong in ["", "90", "m", "-1h", "é"] {
            assert!(wrong.parse::<TimeArg>().is_err(), "{wrong}");
        }
        assert!("-1".parse::<RatioArg>().is_err() && "nan".parse::<RatioArg>().is_err());
    }
}
