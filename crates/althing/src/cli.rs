//! The command line, defined once: parsing, `--help`, the manual pages and the shells' completions
//! all come from here.

use crate::commands::choose::Choice;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

mod blocks;
mod overlay;
mod settings;

pub(crate) use blocks::{Block, BlockCommand, BlockKind};
pub(crate) use overlay::{
    Find, FindKindArg, FindViaArg, Lab, LabCommand, LabFormat, LabOverlays, Mail, MailCommand,
    Overlay, OverlayCommand, RecordKindArg,
};
pub(crate) use settings::{
    CategoryArgs, ConfigSet, Limit, Ls, Pieces, PiecesArg, QueueArgs, QueueWay, RateArg, Resume,
    Tag,
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Try it:
  althing demo                    five peers on this machine share a real file
  althing lab overlays            ten thousand simulated peers search in three ways
  althing share ~/Pictures        share a folder; prints the line to send to friends
  althing get 'magnet:?xt=…'      fetch what a friend shares

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the torrent or link is not valid, 4 no daemon
answers, 5 no such torrent, 130 interrupted before it was done.";

/// One peer for files, search, money and trade, with no server in the middle.
///
/// This version shares files with every BitTorrent program there is, and finds by words what others have.
#[derive(Clone, Debug, Parser)]
#[command(name = "althing", version, styles = STYLES, after_help = AFTER_HELP)]
#[command(propagate_version = true, infer_subcommands = false, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The data folder [default: $ALTHING_DIR, else the platform's place for application data].
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,

    /// Print JSON: one value, or for long work one line an event (docs/guide.md).
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Say more of what is going on; twice for details, three times for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,

    /// Print nothing but results and errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Talk to the daemon at this address instead of the data folder's; the token is taken from
    /// $ALTHING_TOKEN, else from the data folder.
    #[arg(long, global = true, value_name = "ADDR:PORT")]
    pub(crate) api: Option<SocketAddr>,
}

/// What can be done.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Share files or folders: prints a link for friends, and goes on until Ctrl-C.
    ///
    /// Nothing is copied: the files are shared from where they lie. If a daemon is running, it does
    /// the sharing and the command ends when the link is ready.
    Share(Share),

    /// Fetch what a link or torrent file names.
    ///
    /// Ends when everything is there. If a daemon is running, it does the fetching, and goes on if
    /// this is interrupted.
    Get(Get),

    /// Send private messages to other peers, and read what they have sent.
    ///
    /// Only the receiver can read a message. He gets it at once if he is there; if not, others carry it
    /// for up to 15 days.
    Mail(Mail),

    /// Find what others have, by words.
    ///
    /// What is known here is shown at once; then others in the overlay are asked, and what they say is
    /// shown as it comes. At the end come all answers, the best first, and what asking has cost. `althing
    /// get 3` fetches answer 3.
    Find(Find),

    /// Run the daemon: shares and fetches everything in the data folder, until Ctrl-C.
    Up(Up),

    /// Stop the daemon.
    Down,

    /// Say how the daemon is: totals, and how it is connected to the world.
    Status,

    /// Say whether others can reach this computer, how that is known, and what to do about it.
    Net(Net),

    /// Say how it is with the DHT, look for a torrent's peers in it, or read and write small items.
    ///
    /// The DHT is made of the peers themselves: it says who has a torrent, without a tracker.
    Dht(Dht),

    /// Say how it is with the overlay, or say something in it.
    ///
    /// In the overlay peers tell each other what they publish. `overlay.enabled = false` leaves it.
    Overlay(Overlay),

    /// Say what is not wanted here, or whose lists of such things count.
    ///
    /// What is blocked is not shown, offered or fetched by this peer. It blocks nothing for others.
    Block(Block),

    /// List torrents.
    Ls(Ls),

    /// Show all about a torrent.
    Show(Show),

    /// List a torrent's files, or choose which of them are fetched, and which first.
    ///
    /// Files are named by their number (3), a range of numbers (3-7), or a pattern: '*.mkv' is held
    /// against their names, 'extras/*' against their paths; capitals do not count.
    Files(Files),

    /// Say which of a torrent's pieces are wanted more or less than their files, or change that.
    ///
    /// Pieces are named by their number (17) or a range of numbers (0-99); the first is 0. What is said
    /// here goes before what `althing files` says, and is remembered.
    Pieces(Pieces),

    /// Watch a film, or listen to music, while it is being fetched.
    ///
    /// Opens a player, or prints an address that any player on this machine can open. What the player
    /// needs next is fetched first, also when it jumps. Ends when the player does.
    Play(Play),

    /// List the peers that a torrent is connected to.
    Peers(OneTorrent),

    /// Let torrents rest.
    Pause(Torrents),

    /// Let torrents go on, after a pause or when a fault is mended.
    Resume(Resume),

    /// Remove torrents from the list; their files stay.
    Remove(Remove),

    /// Compare a torrent's files with their hashes, piece by piece.
    Verify(OneTorrent),

    /// Move a torrent's files to another folder.
    ///
    /// On the same disk that takes a moment. To another one, each file is copied, flushed and read
    /// back before the old one goes; if anything goes wrong, the files stay where they are. The torrent
    /// rests meanwhile.
    Move(Move),

    /// Find a torrent's files again after moving or renaming them.
    ///
    /// They are found by their length and content, checked, and used where they are. What is missing is
    /// fetched.
    Locate(Locate),

    /// Make a torrent file, without sharing anything.
    Create(Create),

    /// Say what a torrent file or magnet link is, or why it is refused.
    Inspect(Inspect),

    /// Run a tracker: where peers of a torrent find each other.
    Tracker(Tracker),

    /// Print the address and key with which Prowlarr, Sonarr, Radarr and the like ask what there is.
    Torznab,

    /// Say what the crawler has found: torrents that nodes of the DHT know of, by their names.
    ///
    /// It is off unless `crawler.enabled` is set.
    Crawler,

    /// Limit how much goes over the network: of all torrents together, or of some.
    ///
    /// For all together the settings' file keeps it, too.
    Limit(Limit),

    /// Put torrents in a category, and words to find them by.
    Tag(Tag),

    /// List categories, or set what holds for one.
    Category(CategoryArgs),

    /// Move a torrent in the queue.
    Queue(QueueArgs),

    /// Show or change the settings.
    Config(Config),

    /// See five peers on this machine share a real file or folder.
    ///
    /// Starts a tracker and the peers as processes of their own, which talk to nobody but each
    /// other; one has the content, the others fetch it from each other; then every copy is compared
    /// byte by byte. Everything is removed afterwards.
    Demo(Demo),

    /// Try out what the overlay does: thousands of peers on a simulated network.
    ///
    /// The same code that runs in the daemon runs in ten thousand simulated peers, and nothing leaves this
    /// machine. Whoever uses the same numbers gets the same result.
    Lab(Lab),

    /// Print the completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },

    /// Print the manual page, or write a page for every command to a folder.
    Man {
        /// The folder to write to.
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

/// How other peers reach this one, where a command may run the daemon itself.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Listen {
    /// Listen for peers here; port 0 lets the system choose [default: every address, port 7716].
    #[arg(long, value_name = "[ADDR:]PORT")]
    pub(crate) listen: Option<ListenAddr>,
}

/// An address that may leave out the part before the port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ListenAddr {
    pub(crate) ip: Option<IpAddr>,
    pub(crate) port: u16,
}

impl ListenAddr {
    /// As a socket's address, on this machine alone unless it says otherwise.
    pub(crate) fn or_loopback(self) -> SocketAddr {
        SocketAddr::new(self.ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), self.port)
    }
}

impl FromStr for ListenAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return Ok(ListenAddr { ip: Some(addr.ip()), port: addr.port() });
        }
        let port = text.parse().map_err(|_| {
            "write a port (7716) or an address and a port (192.168.1.5:7716, [::1]:7716)".to_owned()
        })?;
        Ok(ListenAddr { ip: None, port })
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) listen: Listen,

    /// Serve the HTTP API here; port 0 lets the system choose [default: 127.0.0.1:7717].
    #[arg(long, value_name = "[ADDR:]PORT")]
    pub(crate) api_listen: Option<ListenAddr>,

    /// Index for others in the overlay, and answer for them: takes memory and bandwidth. It switches the
    /// overlay on for this run.
    #[arg(long = "super")]
    pub(crate) super_peer: bool,

    /// End when standard input does: for programs that must not leave a daemon behind.
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Share {
    /// What to share; each becomes a torrent of its own.
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) making: Making,

    /// Give everything once: each peer is shown one piece at a time, and the next when it has
    /// passed that one on. Ends by itself when there are two more copies.
    #[arg(long)]
    pub(crate) super_seed: bool,

    /// Print a link that follows updates: share the same path again when it has changed (or another
    /// with the same --name), and who fetched the link gets the new version (BEP 46).
    #[arg(long)]
    pub(crate) follow: bool,

    /// Tell everybody in the overlay that you have it, so that `althing find` finds it by its name, tags and
    /// description. It is taken back when the torrent is removed.
    #[arg(long)]
    pub(crate) publish: bool,

    /// A word to find it by; repeat for more.
    #[arg(long = "tag", value_name = "WORD", requires = "publish")]
    pub(crate) tags: Vec<String>,

    /// A few sentences about it.
    #[arg(long, value_name = "TEXT", default_value = "", requires = "publish")]
    pub(crate) about: String,

    #[command(flatten)]
    pub(crate) listen: Listen,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Create {
    /// The file or folder to make a torrent of.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) path: PathBuf,

    /// The torrent file to write; it must not be there yet [default: NAME.torrent in this folder].
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) making: Making,
}

/// How a torrent is made.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Making {
    /// A tracker where peers find each other; each further one is tried if those before do not
    /// answer. Join equals with commas.
    #[arg(long = "tracker", value_name = "URL[,URL…]")]
    pub(crate) trackers: Vec<String>,

    /// Call it so [default: the file's or folder's name].
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Which programs can read it; `v1` for Transmission before 4.0 and aria2 before 1.37.
    #[arg(long, value_enum, default_value_t = Format::Hybrid)]
    pub(crate) format: Format,

    /// Size of a piece, a power of two from 16K to 256M [default: by content size].
    #[arg(long, value_name = "SIZE", value_parser = piece_length)]
    pub(crate) piece_length: Option<u32>,

    /// Let peers be found through the trackers alone.
    #[arg(long)]
    pub(crate) private: bool,

    /// A remark for whoever looks into the torrent.
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,

    /// A web server that holds the same files; repeat for more.
    #[arg(long = "web-seed", value_name = "URL")]
    pub(crate) web_seeds: Vec<String>,

    /// A word that sets this torrent apart from one of the same files elsewhere.
    #[arg(long, value_name = "TEXT")]
    pub(crate) source: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    /// BitTorrent v1 and v2 in one.
    #[default]
    Hybrid,
    /// BitTorrent v1 only (BEP 3).
    V1,
    /// BitTorrent v2 only (BEP 52).
    V2,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Get {
    /// A magnet link, a torrent file, the address of one, an info-hash, or the number of an answer of the
    /// last `althing find`.
    #[arg(value_name = "MAGNET|FILE|URL|INFOHASH|NO", value_hint = ValueHint::FilePath)]
    pub(crate) source: String,

    /// Put what is fetched into this folder [default: this folder].
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,

    /// A peer that has it; repeat for more.
    #[arg(long = "peer", value_name = "ADDR:PORT")]
    pub(crate) peers: Vec<SocketAddr>,

    /// A tracker to ask beside those that the link names; repeat for more.
    #[arg(long = "tracker", value_name = "URL")]
    pub(crate) trackers: Vec<String>,

    /// Fetch these files alone: a number, a range of numbers, or a pattern such as '*.mkv'.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) only: Vec<Choice>,

    /// Fetch from the beginning to the end. Slower than the rarest parts first, and worse for the
    /// others; to watch a film while it comes, `play` is better.
    #[arg(long)]
    pub(crate) sequential: bool,

    /// Fetch it although it is blocked here.
    #[arg(long)]
    pub(crate) anyway: bool,

    /// Put it into this category.
    #[arg(long, value_name = "NAME")]
    pub(crate) category: Option<String>,

    /// A word to find it by; repeat for more.
    #[arg(long = "tag", value_name = "WORD")]
    pub(crate) tags: Vec<String>,

    /// Go on giving it to others when it is complete, until Ctrl-C.
    #[arg(long)]
    pub(crate) seed: bool,

    #[command(flatten)]
    pub(crate) listen: Listen,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Files {
    #[command(flatten)]
    pub(crate) torrent: OneTorrent,

    /// Fetch these files alone, and skip all others.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) only: Vec<Choice>,

    /// Do not fetch these files.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) skip: Vec<Choice>,

    /// Fetch these files after all others.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) low: Vec<Choice>,

    /// Fetch these files as usual.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) normal: Vec<Choice>,

    /// Fetch these files before all others.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) high: Vec<Choice>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Play {
    /// A torrent that is here, by its id or name, and one of its files if it has several; or a magnet
    /// link, a torrent file, or the address of one.
    #[arg(value_name = "ID[/FILE]|MAGNET|TORRENT|URL", value_hint = ValueHint::FilePath)]
    pub(crate) what: String,

    /// The file to play, by its number or a pattern [default: the largest film or piece of music].
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<String>,

    /// Open it with this program [default: mpv or vlc, if one is installed].
    #[arg(long, value_name = "PROGRAM", conflicts_with = "no_player")]
    pub(crate) player: Option<String>,

    /// Only print the address, until Ctrl-C.
    #[arg(long)]
    pub(crate) no_player: bool,

    /// Put what is fetched into this folder [default: this folder].
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,

    /// A peer that has it; repeat for more.
    #[arg(long = "peer", value_name = "ADDR:PORT")]
    pub(crate) peers: Vec<SocketAddr>,

    #[command(flatten)]
    pub(crate) listen: Listen,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct OneTorrent {
    /// Its id, the beginning of its id (four digits or more), or its name.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Move {
    #[command(flatten)]
    pub(crate) torrent: OneTorrent,

    /// The folder that its file or folder is to be in; it is made if it is not there.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) to: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Locate {
    #[command(flatten)]
    pub(crate) torrent: OneTorrent,

    /// The folder they are in, at any depth [default: the one they are said to be in].
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Torrents {
    /// Their ids, the beginnings of their ids (four digits or more), or their names.
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) torrent: OneTorrent,

    /// List its files, too.
    #[arg(long)]
    pub(crate) files: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    pub(crate) torrents: Torrents,

    /// Delete the downloaded files, too. Files that are shared from their own place stay in any
    /// case.
    #[arg(long)]
    pub(crate) data: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Inspect {
    /// A torrent file, `-` for standard input, or a magnet link.
    #[arg(value_name = "FILE|MAGNET", value_hint = ValueHint::FilePath)]
    pub(crate) source: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Tracker {
    /// Listen here, for HTTP over TCP and for the UDP protocol; port 0 lets the system choose.
    #[arg(long, value_name = "[ADDR:]PORT", default_value = "6969")]
    pub(crate) listen: ListenAddr,

    /// End when standard input does: for programs that must not leave a tracker behind.
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) what: Option<ConfigCommand>,
}

#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Change a setting: write it down, and if a daemon is running, tell it.
    Set(ConfigSet),
    /// Show every setting as it is in force; what a bare `config` does.
    Show,
    /// Print where the settings' file lies.
    Path,
    /// Print every setting there is, with its default and what it does.
    Reference,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Net {
    #[command(subcommand)]
    pub(crate) what: Option<NetCommand>,
}

#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub(crate) enum NetCommand {
    /// Say how it is now; what a bare `net` does.
    Status,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Dht {
    #[command(subcommand)]
    pub(crate) what: Option<DhtCommand>,
}

#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub(crate) enum DhtCommand {
    /// Say how it is now; what a bare `dht` does.
    Status,
    /// Say who has a torrent, be it here or not.
    Find {
        /// Its info-hash, 40 hexadecimal digits (of a v2 info-hash the first 40), or a magnet link.
        torrent: String,
    },
    /// Print an item's value, as bencode.
    Get {
        /// The 40 digits under which it was put, or the 64 of a mutable item's public key.
        name: String,
        /// A mutable item's salt.
        #[arg(long)]
        salt: Option<String>,
    },
    /// Put a text into the DHT, and print under which name; nodes keep it for two hours.
    Put {
        /// The text, at most 995 bytes.
        text: String,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Demo {
    /// The file or folder to share [default: something real that is at hand, of 64 MiB or more].
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) path: Option<PathBuf>,

    /// How many peers, the first of which has the content.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=50))]
    pub(crate) peers: u16,

    /// How many light peers besides, which publish and search only; they end with the demo.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u16).range(0..=50))]
    pub(crate) crowd: u16,

    /// Let the peers find each other through a tracker, beside the DHT.
    #[arg(long)]
    pub(crate) tracker: bool,

    /// Leave the peers running, and say how to talk to them and how to stop them.
    #[arg(long)]
    pub(crate) keep: bool,

    /// Draw the last table into this SVG file.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) svg: Option<PathBuf>,
}

/// Reads `16K`, `4M` or a plain number of bytes.
fn piece_length(text: &str) -> Result<u32, String> {
    let problem = || "write a power of two from 16K to 256M, as in 1M".to_owned();
    let upper = text.trim().to_ascii_uppercase();
    let upper = upper.trim_end_matches("IB").trim_end_matches('B');
    let (digits, unit) = match upper.strip_suffix('K') {
        Some(digits) => (digits, 1 << 10),
        None => match upper.strip_suffix('M') {
            Some(digits) => (digits, 1 << 20),
            None => (upper, 1),
        },
    };
    let number: u32 = digits.trim().parse().map_err(|_| problem())?;
    let bytes = number.checked_mul(unit).ok_or_else(problem)?;
    if bytes.is_power_of_two() && ((16 << 10)..=(256 << 20)).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(problem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn listen_addresses() {
        let parse = |text: &str| text.parse::<ListenAddr>().ok();
        assert_eq!(parse("7716"), Some(ListenAddr { ip: None, port: 7716 }));
        let v6 = Some("::1".parse().unwrap());
        assert_eq!(parse("[::1]:80"), Some(ListenAddr { ip: v6, port: 80 }));
        for wrong in ["", "x", "70000", "localhost:80", "1.2.3.4", ":80"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn piece_lengths() {
        for (text, bytes) in [("16K", 16384), ("1M", 1 << 20), ("4MiB", 4 << 20), ("32768", 32768)]
        {
            assert_eq!(piece_length(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "K", "3M", "8K", "512M", "1G", "-1M", "4294967296", "4194304K"] {
            assert!(piece_length(wrong).is_err(), "{wrong}");
        }
    }
}
