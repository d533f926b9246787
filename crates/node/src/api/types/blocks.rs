//! What this peer does not want to carry, and whose lists it follows.

use super::Example;
use super::example::NODE;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What kind of thing is blocked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// A torrent, by its info-hash: 40 or 64 hexadecimal digits.
    Hash,
    /// One to four words that stand in a row in a name, a tag or a description; capitals and what is
    /// between words do not count.
    Word,
    /// All that an author says, by his key: 64 hexadecimal digits.
    Author,
}

/// Something that is blocked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockEntry {
    /// What kind of thing.
    pub kind: BlockKind,
    /// It.
    pub value: String,
    /// Why, at most 120 bytes; those who follow the list read it, too.
    #[serde(default)]
    pub reason: String,
}

/// Which entry is meant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BlockQuery {
    /// What kind of thing: `hash`, `word` or `author`.
    #[param(inline)]
    pub kind: BlockKind,
    /// It.
    pub value: String,
}

/// Whose lists count.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BlockSubscription {
    /// Who made them: a key of 64 hexadecimal digits.
    pub author: String,
    /// The one that counts; all of his if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
}

/// A list of somebody else's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct BlockListInfo {
    /// Who made it: a key of 64 hexadecimal digits.
    pub author: String,
    /// What it is called.
    pub name: String,
    /// How many entries it has.
    pub entries: u64,
    /// When it was last changed or renewed, in seconds since 1970.
    pub created_unix_s: i64,
    /// Whether it counts here.
    pub followed: bool,
}

/// What is blocked, and by whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct BlocksInfo {
    /// Own entries.
    pub entries: Vec<BlockEntry>,
    /// Whose lists count.
    pub subscriptions: Vec<BlockSubscription>,
    /// These lists, as far as they are known.
    pub lists: Vec<BlockListInfo>,
    /// The names under which own entries are published.
    pub published: Vec<String>,
}

/// A list of ours that others can follow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PublishedBlocks {
    /// What others subscribe to: our key, a slash, and the list's name.
    pub list: String,
    /// How many records it takes; a second or so of work each, all but the first after the answer.
    pub records: u64,
}

impl Example for BlockEntry {
    fn example() -> Self {
        let (kind, value) = (BlockKind::Word, "cheap pills".into());
        BlockEntry { kind, value, reason: "spam".into() }
    }
}

impl Example for BlockSubscription {
    fn example() -> Self {
        BlockSubscription { author: NODE.into(), list: Some("spam".into()) }
    }
}

impl Example for BlockListInfo {
    fn example() -> Self {
        BlockListInfo {
            author: NODE.into(),
            name: "spam".into(),
            entries: 312,
            created_unix_s: 1_780_000_000,
            followed: true,
        }
    }
}

impl Example for BlocksInfo {
    fn example() -> Self {
        BlocksInfo {
            entries: vec![BlockEntry::example()],
            subscriptions: vec![BlockSubscription::example()],
            lists: vec![BlockListInfo::example()],
            published: vec!["mine".into()],
        }
    }
}

impl Example for PublishedBlocks {
    fn example() -> Self {
        PublishedBlocks { list: format!("{NODE}/mine"), records: 1 }
    }
}
