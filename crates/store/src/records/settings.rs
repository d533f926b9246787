//! What the user has set for one torrent, apart from where it lies and whether it rests.

use crate::limits::{LABEL_BYTES_MAX, TAGS_MAX};
use althing_bittorrent::Priority;
use althing_bittorrent::metainfo::{Feed, FileIndex};
use althing_bittorrent::swarm::PieceWishes;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// One torrent's settings. The default is what a torrent has that nobody has set anything for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TorrentSettings {
    /// The category it is in; at most one, and what is set for the category holds for it.
    pub category: Option<Label>,
    /// Words to find it by, at most [`TAGS_MAX`].
    pub tags: BTreeSet<Label>,
    /// Bytes a second that may be sent; `None` for no limit of its own.
    pub upload_limit: Option<NonZeroU64>,
    /// Bytes a second that may be received; `None` for no limit of its own.
    pub download_limit: Option<NonZeroU64>,
    /// When it has been given enough, by what was sent over what it has.
    pub ratio_limit: Goal<Ratio>,
    /// When it has been given enough, by the time it was complete and running.
    pub seed_time_limit: Goal<Duration>,
    /// It runs whatever the queue says.
    pub forced: bool,
    /// Where it stands in the queue: lower goes first, and of equals the one added first.
    pub queue: i64,
    /// How much each file is wanted, by its index in the torrent; those not named are
    /// [`Priority::Normal`].
    pub priorities: BTreeMap<FileIndex, Priority>,
    /// Pieces that are wanted more or less than their files.
    pub pieces: PieceWishes,
    /// Connections to peers at most; `None` for as many as any torrent may have.
    pub connections: Option<NonZeroU32>,
    /// Peers that are uploaded to at the same time; `None` for as many as any torrent may have.
    pub upload_slots: Option<NonZeroU32>,
    /// Pieces are fetched in their order.
    pub sequential: bool,
    /// A seed lets each peer see few pieces at a time, to give everything once (BEP 16).
    pub super_seeding: bool,
    /// It is a version of something that is followed (BEP 46).
    pub followed: Option<Box<Followed>>,
}

/// Which version of what is followed a torrent is (BEP 46).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Followed {
    /// Whom it is of.
    pub feed: Feed,
    /// The number it was published with; later ones have higher numbers.
    pub seq: i64,
}

impl TorrentSettings {
    /// These settings to be looked at from many places. All torrents that nobody has set anything for
    /// have the same copy.
    pub fn shared(self) -> Arc<Self> {
        static DEFAULT: LazyLock<Arc<TorrentSettings>> = LazyLock::new(Arc::default);
        if self == **DEFAULT { Arc::clone(&DEFAULT) } else { Arc::new(self) }
    }

    /// How much a file is wanted.
    pub fn priority(&self, file: FileIndex) -> Priority {
        self.priorities.get(&file).copied().unwrap_or_default()
    }

    /// Adds a tag, if there is room for one more; says whether it is there now.
    pub fn add_tag(&mut self, tag: Label) -> bool {
        self.tags.contains(&tag) || (self.tags.len() < TAGS_MAX && self.tags.insert(tag))
    }
}

/// A limit that a torrent may leave to its category, and that to the settings of all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Goal<T> {
    /// As the next larger unit has it.
    #[default]
    Inherited,
    /// Never, whatever the others say.
    Never,
    /// At this.
    At(T),
}

impl<T> Goal<T> {
    /// This one's own, or else what `next` says.
    pub fn or(self, next: Goal<T>) -> Goal<T> {
        match self {
            Goal::Inherited => next,
            own => own,
        }
    }

    /// The limit, if there is one.
    pub fn limit(self) -> Option<T> {
        match self {
            Goal::At(limit) => Some(limit),
            Goal::Inherited | Goal::Never => None,
        }
    }
}

/// What was sent over what there is, in thousandths: exact, and finer than anybody sets it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Ratio {
    /// 1500 is one and a half times.
    pub thousandths: u32,
}

impl Ratio {
    /// From a number such as 1.5; `None` if it is negative, no number, or past what can be kept.
    pub fn from_f64(ratio: f64) -> Option<Self> {
        let thousandths = (ratio * 1000.0).round();
        let fits = (0.0..=f64::from(u32::MAX)).contains(&thousandths);
        fits.then_some(Ratio { thousandths: thousandths as u32 })
    }

    /// As a number such as 1.5.
    pub fn as_f64(self) -> f64 {
        f64::from(self.thousandths) / 1000.0
    }

    /// Whether `sent` bytes are so many times `size` bytes; never of nothing.
    pub fn is_reached(self, sent: u64, size: u64) -> bool {
        size > 0 && u128::from(sent) * 1000 >= u128::from(size) * u128::from(self.thousandths)
    }
}

/// The name of a category or tag: 1 to [`LABEL_BYTES_MAX`] bytes, no control characters, no commas
/// (which stand between names where several are written), no spaces at its ends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Label(Box<str>);

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot be a category's or tag's name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{given:?} cannot be a name; use 1 to {LABEL_BYTES_MAX} bytes without commas and control \
     characters"
)]
pub struct LabelError {
    /// The text, as much of it as a name may have.
    pub given: String,
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let trimmed = text.trim();
        let fits = (1..=LABEL_BYTES_MAX).contains(&trimmed.len());
        if !fits || trimmed.chars().any(|c| c.is_control() || c == ',') {
            return Err(LabelError { given: text.chars().take(LABEL_BYTES_MAX).collect() });
        }
        Ok(Label(trimmed.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_trimmed_and_bounded() {
        let label = |text: &str| text.parse::<Label>().ok().map(|label| label.to_string());
        assert_eq!(label(" linux isos "), Some("linux isos".to_owned()));
        assert_eq!(label(&"é".repeat(LABEL_BYTES_MAX / 2)).map(|text| text.len()), Some(64));
        for wrong in ["", "  ", "a,b", "a\nb", &"x".repeat(LABEL_BYTES_MAX + 1)] {
            assert_eq!(label(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_tag_too_many_is_refused() {
        let mut settings = TorrentSettings::default();
        for number in 0..TAGS_MAX {
            assert!(settings.add_tag(number.to_string().parse().expect("a label")));
        }
        assert!(settings.add_tag("0".parse().expect("a label")), "it is there already");
        assert!(!settings.add_tag("more".parse().expect("a label")));
        assert_eq!(settings.tags.len(), TAGS_MAX);
    }

    #[test]
    fn ratios_are_exact() {
        let ratio = Ratio::from_f64(1.5).expect("it fits");
        assert_eq!((ratio.thousandths, ratio.as_f64()), (1500, 1.5));
        assert!(ratio.is_reached(15, 10) && !ratio.is_reached(14, 10) && !ratio.is_reached(9, 0));
        assert!(ratio.is_reached(u64::MAX, u64::MAX / 2));
        for wrong in [-0.1, f64::NAN, f64::INFINITY, 1e10] {
            assert_eq!(Ratio::from_f64(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_goal_of_ones_own_goes_first() {
        assert_eq!(Goal::At(1).or(Goal::Never), Goal::At(1));
        assert_eq!(Goal::Never.or(Goal::At(1)).limit(), None);
        assert_eq!(Goal::Inherited.or(Goal::At(1)).limit(), Some(1));
    }
}
