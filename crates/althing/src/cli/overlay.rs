//! The overlay on the command line: what there is to find, what is said and written there, and the lab.

use althing_sim::overlay::lab::Part;
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
pub(crate) struct Find {
    /// Words that are all wanted.
    #[arg(required = true, value_name = "WORD")]
    pub(crate) words: Vec<String>,

    /// Look for files by their names, tags and descriptions, or for pages: what is written in documents
    /// [default: both].
    #[arg(long, value_enum)]
    pub(crate) kind: Option<FindKindArg>,

    /// Whom to ask.
    #[arg(long, value_enum, default_value_t = FindViaArg::Auto)]
    pub(crate) via: FindViaArg,

    /// Go on until Ctrl-C, and print what comes later when it comes.
    #[arg(long)]
    pub(crate) watch: bool,

    /// Ask nobody any further after so many different answers.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) limit: u8,
}

/// What is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum FindKindArg {
    /// Files, by their names, tags and descriptions.
    File,
    /// Pages: what is written in documents.
    Page,
}

/// Whom to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum FindViaArg {
    /// Whoever is likely to know at the least cost; nobody if enough is known here.
    Auto,
    /// Neighbours, and on through them.
    Walk,
    /// Those whom the DHT names for the rarest word.
    Dht,
    /// Peers that index for others.
    Super,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Mail {
    #[command(subcommand)]
    pub(crate) what: Option<MailCommand>,
}

#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub(crate) enum MailCommand {
    /// List all mail; what a bare `mail` does.
    List,
    /// Send a message.
    Send {
        /// Whom it is for: the name that `althing overlay` shows there, or the first six digits or more of
        /// somebody with whom there is mail.
        node: String,
        /// The message; `-` reads it from the standard input.
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Show a message.
    Read {
        /// Its number in the list, or the beginning of its name.
        mail: String,
    },
    /// Throw messages away.
    Rm {
        /// Their numbers in the list, or the beginnings of their names.
        #[arg(required = true)]
        mails: Vec<String>,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Lab {
    #[command(subcommand)]
    pub(crate) what: LabCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Compare the three kinds of overlay: what is found, what it costs, how long it takes.
    Overlays(LabOverlays),
    /// List the scenarios that come with the program.
    List,
    /// Print a scenario's file, to change it and run it with `--scenario`.
    Show {
        /// Its name.
        name: String,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LabOverlays {
    /// What happens: a scenario's name (`althing lab list`) or its file.
    #[arg(long, value_name = "NAME|FILE", default_value = "overlays", value_hint = ValueHint::FilePath)]
    pub(crate) scenario: String,

    /// How many peers there are in the beginning [default: the scenario's].
    #[arg(long, value_name = "N")]
    pub(crate) nodes: Option<u64>,

    /// So many die at once: after the first questions, or where the scenario has somebody die.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) kill: Option<Part>,

    /// How things are looked for: walk, dht, super, auto, flood (to compare), or all; join them with
    /// commas [default: the scenario's].
    #[arg(long, value_name = "WAYS")]
    pub(crate) via: Option<String>,

    /// Everything that is left to chance follows from this number [default: the scenario's].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// How many questions are asked of each kind [default: the scenario's].
    #[arg(long, value_name = "N")]
    pub(crate) questions: Option<u64>,

    /// How the report is written.
    #[arg(long, value_enum, default_value_t = LabFormat::Text)]
    pub(crate) format: LabFormat,

    /// Write the report there instead of printing it.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: Option<PathBuf>,
}

/// How a report is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum LabFormat {
    /// Tables.
    Text,
    /// Tables for a document.
    Markdown,
    /// One object.
    Json,
    /// A picture.
    Svg,
    /// A page that needs nothing else.
    Html,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Overlay {
    #[command(subcommand)]
    pub(crate) what: Option<OverlayCommand>,
}

#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub(crate) enum OverlayCommand {
    /// Say how it is now; what a bare `overlay` does.
    Status,
    /// List what this peer holds of what all say: the newest first.
    Records {
        /// Words that all stand in what is said.
        #[arg(value_name = "WORD")]
        words: Vec<String>,
        /// Only these.
        #[arg(long, value_enum)]
        kind: Option<RecordKindArg>,
        /// Only those of this node: its name, 64 hexadecimal digits.
        #[arg(long, value_name = "NODE")]
        author: Option<String>,
        /// Those that are blocked here, in place of the others.
        #[arg(long)]
        blocked: bool,
        /// So many at most.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Tell everybody who you are.
    Profile {
        /// A name. Nobody checks it.
        name: String,
        /// A few sentences.
        #[arg(long, default_value = "")]
        about: String,
    },
    /// Tell everybody that you have a torrent.
    Publish {
        /// Its id, a beginning of it, or its name.
        torrent: String,
        /// A word to find it by; may be given several times.
        #[arg(long = "tag")]
        tags: Vec<String>,
        /// A few sentences.
        #[arg(long, default_value = "")]
        about: String,
    },
}

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum RecordKindArg {
    /// Files that somebody has.
    Listing,
    /// Who somebody is.
    Profile,
    /// What somebody does not want to carry.
    BlockList,
    /// What this version does not know.
    Other,
}
