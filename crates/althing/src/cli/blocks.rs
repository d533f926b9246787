//! What is not wanted here, on the command line.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Clone, Debug, Args)]
pub(crate) struct Block {
    #[command(subcommand)]
    pub(crate) what: Option<BlockCommand>,
}

/// What kind of thing is blocked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum BlockKind {
    /// A torrent, by its info-hash.
    Hash,
    /// One to four words that stand in a row in a name, a tag or a description.
    Word,
    /// All that an author says, by his key.
    Author,
}

#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub(crate) enum BlockCommand {
    /// List what is blocked and whose lists count; what a bare `block` does.
    List,
    /// Block something: it is not shown, offered or fetched here any more.
    Add {
        /// What kind of thing it is.
        kind: BlockKind,
        /// The info-hash, the words (in quotes), or the author's key.
        value: String,
        /// Why; those who follow your list read it, too.
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
    /// Block something no longer.
    Rm {
        /// What kind of thing it is.
        kind: BlockKind,
        /// The info-hash, the words (in quotes), or the author's key.
        value: String,
    },
    /// List the lists that others publish.
    Lists,
    /// Publish your own entries as a list that others can follow.
    ///
    /// Nobody reads from it what to look for: what stands on it are salted hashes. The reasons can be read. Publish
    /// it again when your entries have changed.
    Publish {
        /// What the list is called.
        name: String,
    },
    /// Take a list of yours back.
    Unpublish {
        /// What it is called.
        name: String,
    },
    /// Follow somebody's lists: what is on them is blocked here, too.
    Subscribe {
        /// The author's key, and one of his lists after a slash unless all are to count.
        #[arg(value_name = "AUTHOR[/LIST]")]
        list: String,
    },
    /// Follow somebody's lists no longer.
    Unsubscribe {
        /// As it was subscribed to.
        #[arg(value_name = "AUTHOR[/LIST]")]
        list: String,
    },
}
