//! `config.toml`: every setting, its default and what it does, said once. The structs, their
//! defaults and the reference page all come from the same lines below.

mod choice;
mod dht;
pub mod file;
mod hours;
mod multiple;
mod overlay;
mod policy;
mod proxy;
mod reference;
mod section;

pub use choice::{AfterAdding, Allocation, Encryption, Prefer, Reach, Then};
pub use dht::{NodeName, ReadOnly};
pub use hours::{Day, Hours, LocalTime, TimeOfDay};
pub use multiple::Multiple;
pub use overlay::DhtTerms;
pub use policy::{Policy, SeedingPolicy};
pub use proxy::ProxySetting;

use althing_bittorrent::webseed::limits;
use althing_store::records::Label;
use section::section;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

section! {
    /// How peers reach this one, and whom it may reach.
    pub struct Network("network") {
        /// Port for peers, TCP and UDP; 0 lets the system choose one.
        pub port: u16 = 7716,
        /// Addresses to listen on and connect from; empty means all, IPv4 and IPv6. Of several of a
        /// kind the first is the one to connect from; the others answer those who come there. For a VPN,
        /// `interface` is better: it also holds when the address goes away.
        pub bind: Vec<IpAddr> = Vec::new(),
        /// The one interface by which peers, trackers and name servers are talked to, as "wg0";
        /// empty means any. While it is missing, down or without an address, nothing goes out.
        pub interface: String = String::new(),
        /// Name servers to ask, through the same interface, where `bind` or `interface` is set;
        /// empty means those that the system names. They are not used otherwise.
        pub dns: Vec<IpAddr> = Vec::new(),
        /// A proxy that carries everything, "socks5://host:port" or
        /// "socks5://user:password@host:port"; it looks names up, too. Empty means none.
        pub proxy: ProxySetting = ProxySetting::default(),
        /// Whether to listen, to announce on the local network and to map a port although there is
        /// a proxy: those go past it.
        pub proxy_incoming: bool = false,
        /// A list of addresses to keep out, in PeerGuardian's or eMule's form or as addresses with
        /// prefixes, also packed (.gz or .zip); empty means none. It is read again when it changes.
        pub ip_filter: PathBuf = PathBuf::new(),
        /// Whether that list also keeps out addresses of private networks, which many lists have in
        /// them.
        pub ip_filter_lan: bool = false,
        /// Whether to announce torrents that are not private on the local network, and to look for
        /// peers there.
        pub lsd: bool = true,
        /// Whether to ask the router for the port, by PCP, NAT-PMP or UPnP, so that peers from
        /// outside can connect.
        pub port_mapping: bool = true,
        /// Whom to talk to: "any", or "loopback" for peers and trackers on this machine only.
        pub reach: Reach = Reach::Any,
        /// Connections to peers, of all torrents together.
        pub connections: u32 = 1000,
        /// Connections to peers of one torrent.
        pub connections_per_torrent: u32 = 100,
        /// Whether peers of a torrent are told of each other and believed when they name others; never
        /// done for private torrents.
        pub peer_exchange: bool = true,
        /// Whether to listen for incoming connections.
        pub incoming: bool = true,
        /// Whether to talk to peers over TCP.
        pub tcp: bool = true,
        /// Whether to talk to peers over uTP, which runs over UDP, gives way to everything else on
        /// the line, and gets through more routers. Not with a proxy, which it would go past.
        pub utp: bool = true,
        /// Which of the two is tried first, "tcp" or "utp"; the other follows a moment later, and
        /// whichever answers first is used. TCP costs less work, uTP leaves the line to others.
        pub prefer: Prefer = Prefer::Tcp,
        /// Whether connections to peers are encrypted: "plain" never, "preferred" where the peer can
        /// (its handshake; the rest only if the peer wants that), "required" always and all of it,
        /// which shuts out peers that cannot.
        pub encryption: Encryption = Encryption::Preferred,
    }
}

section! {
    /// What is given to whom.
    pub struct Sharing("sharing") {
        /// Peers of one torrent that are uploaded to at the same time.
        pub upload_slots: u32 = 8,
        /// Peers that are uploaded to at the same time, of all torrents together; 0 lets it follow
        /// from the upload rate, so that each has a few KiB a second. Torrents that have more peers
        /// waiting than there are slots take turns.
        pub upload_slots_total: u32 = 0,
        /// To whom a torrent that is being fetched is given: "tit-for-tat" (to those who give most, in
        /// equal parts) or "proportional" (to everyone who gives, in proportion to what it gave).
        pub policy: Policy = Policy::TitForTat,
        /// To whom a complete torrent is given: "rare" (first to those who lack what hardly anybody
        /// has and pass it on), "fastest" (who takes fastest), "round-robin" (everyone by turns) or
        /// "grateful" (first those who gave something while it was fetched).
        pub seeding: SeedingPolicy = SeedingPolicy::Rare,
        /// Blocks that one peer may have asked for and not been sent yet; more is refused.
        pub request_queue: u32 = 500,
    }
}

section! {
    /// How much goes over the network to and from peers. Everything that their connections carry
    /// counts, blocks and messages alike; trackers do not. `althing limit` changes it while Althing
    /// runs. Tables `[[limits.schedule]]` with `days`, `from`, `to`, `upload_kib_s` and
    /// `download_kib_s` set other limits for certain hours.
    pub struct Limits("limits") {
        /// KiB a second that may be sent, of all torrents together; 0 is no limit.
        pub upload_kib_s: u32 = 0,
        /// KiB a second that may be received, of all torrents together; 0 is no limit.
        pub download_kib_s: u32 = 0,
        /// Whether no limit holds for peers on this machine and the network beside it.
        pub exempt_local: bool = false,
        /// Other limits for certain hours, in local time; the first that holds is in force.
        pub schedule: Vec<Hours> = Vec::new(),
    }
}

section! {
    /// How many torrents run at a time; the others wait their turn, those at the queue's top first.
    pub struct Queue("queue") {
        /// Torrents that fetch at a time; 0 is no limit.
        pub downloads: u32 = 20,
        /// Torrents that are complete and given to others at a time; 0 is no limit.
        pub seeds: u32 = 0,
        /// Torrents that do either at a time; 0 is no limit.
        pub active: u32 = 0,
        /// A torrent that moves fewer KiB a second than this does not count.
        pub slow_kib_s: u32 = 2,
        /// Seconds that a torrent has been slow before it does not count.
        pub slow_after_s: u32 = 60,
    }
}

section! {
    /// When a torrent has been given to others for long enough. Categories and torrents may have
    /// limits of their own.
    pub struct Seeding("seeding") {
        /// So many times what there is of it has been sent; 0 is no limit.
        pub ratio: Multiple = Multiple::default(),
        /// It has been complete and running for so many minutes; 0 is no limit.
        pub minutes: u32 = 0,
        /// What happens then: "pause", or "remove" (from the list; its files stay).
        pub then: Then = Then::Pause,
    }
}

section! {
    /// A folder to put torrent files in, and links in files named `….magnet`: each is added.
    pub struct Watch("watch") {
        /// The folder; empty means none.
        pub dir: PathBuf = PathBuf::new(),
        /// The category that what is found there is put in; empty means none.
        pub category: String = String::new(),
        /// What happens to a file that has been added: "keep" (it is moved to `added` in the
        /// folder) or "delete". One that cannot be used is moved to `failed`.
        pub then: AfterAdding = AfterAdding::Keep,
        /// Seconds between two looks at the folder.
        pub interval_s: u32 = 5,
    }
}

section! {
    /// Payloads and the disks they lie on.
    pub struct Storage("storage") {
        /// Where downloads go; empty means `files` in the data folder.
        pub download_dir: PathBuf = PathBuf::new(),
        /// Threads that hash, read and write; 0 means one for each core.
        pub threads: u32 = 0,
        /// Memory for blocks on their way between network and disk, in MiB. When it is used up,
        /// peers are read from more slowly.
        pub memory_mib: u32 = 64,
        /// When downloads take their space on disk: "sparse", as they come, or "full", all of it
        /// before they begin, so that a disk which is too small is known at once. Where a file system
        /// cannot do that, it is as with "sparse".
        pub allocation: Allocation = Allocation::Sparse,
        /// Seconds between saving the progress of running torrents.
        pub save_interval_s: u32 = 30,
    }
}

section! {
    /// Trackers that torrents name.
    pub struct Trackers("trackers") {
        /// Whether to announce to trackers at all.
        pub enabled: bool = true,
        /// Announces under way at the same time; the others wait.
        pub concurrent: u32 = 64,
    }
}

section! {
    /// The DHT, in which peers find each other without a tracker. It speaks over UDP on the peer port,
    /// and so not where there is a proxy.
    pub struct Dht("dht") {
        /// Whether to take part in it. Private torrents never do.
        pub enabled: bool = true,
        /// Nodes to begin with where none is known of any more, as "host:port". They are asked, and their
        /// names looked up, only then; with `network.reach = "loopback"` those elsewhere never are.
        pub bootstrap: Vec<NodeName> = dht::public_nodes(),
        /// Whether to ask others and answer nobody, which leaves their tables to those who do: "auto"
        /// while nobody can reach this peer, "always" or "never".
        pub read_only: ReadOnly = ReadOnly::Auto,
    }
}

section! {
    /// The overlay, in which peers tell each other what they have. It rides inside connections to peers of
    /// a small torrent of its own.
    pub struct Overlay("overlay") {
        /// Whether to take part in it. Nothing is told to others but what is published; they see this
        /// machine's address, as peers of any torrent do.
        pub enabled: bool = true,
        /// The secret that the members of a private network have in common, at least 16 characters: use
        /// random ones, for whoever guesses it is a member. Empty means the public network.
        pub secret: String = String::new(),
        /// Peers of the network to try first, as "address:port"; the DHT, trackers and the own network
        /// are asked besides.
        pub peers: Vec<SocketAddr> = Vec::new(),
        /// Whether to index for others, which takes memory and bandwidth.
        pub super_peer: bool = false,
        /// How many neighbours to have at least, 3 to 16. Others call besides; with fewer, questions go
        /// farther.
        pub neighbours: u32 = overlay::NEIGHBOURS,
    }
}

section! {
    /// What is kept of what there is to find: names, tags and descriptions of what the members of the overlay
    /// publish, and what stands in documents that you publish yourself.
    pub struct Search("search") {
        /// Whether there is an index on disk. There is none while this peer neither takes part in the
        /// overlay nor crawls.
        pub index: bool = true,
        /// Whether documents in torrents that you publish are read, so that others find them by what they
        /// say: text, Markdown, HTML, EPUB and PDF.
        pub documents: bool = true,
        /// Whether questions of others are answered: from the index, and with what you have published. If not,
        /// nobody is told either which words can be found here, and the DHT names this peer for none; questions
        /// are passed on, and what you have published is known to others all the same, who hold it themselves.
        pub answer: bool = true,
        /// Which words of what you publish the DHT names this peer for, so that who looks for them finds it: "rare"
        /// (a few that are rare), "all" (only in a DHT of a group's own, with `dht.bootstrap` set to its
        /// members, all of whom say so: words stand there within seconds, and the public one would suffer) or
        /// "off", which also asks it for none.
        pub dht_terms: DhtTerms = DhtTerms::Rare,
        /// MiB that it may have on disk, at least 16; past them what was met in the DHT longest ago is forgotten, then
        /// nothing more is taken.
        pub index_mib: u32 = 2048,
    }
}

/// MiB of the index on disk, at least.
const INDEX_MIB_MIN: u32 = 16;

impl Config {
    /// Whether there is to be an index.
    pub(crate) fn has_index(&self) -> bool {
        self.search.index && (self.overlay.enabled || self.crawler.enabled)
    }
}

section! {
    /// Mail: private messages between two peers of the overlay, which need not be there at the same time.
    pub struct Mail("mail") {
        /// Whether to take mail, and send any. It needs `overlay.enabled`.
        pub enabled: bool = true,
        /// Whether to carry mail for others who are not there, for up to 15 days. It cannot be read here.
        pub carry: bool = true,
        /// How much of it, in MiB.
        pub carry_mib: u32 = 64,
    }
}

impl Mail {
    /// What the overlay does about mail.
    pub(crate) fn wanted(&self) -> althing_overlay::mail::Config {
        let mut wanted = althing_overlay::mail::Config::off();
        wanted.is_home = self.enabled;
        if self.carry {
            wanted.caps.bytes = self.carry_mib as usize * 1024 * 1024;
        }
        wanted
    }
}

section! {
    /// The crawler: it asks nodes of the DHT which torrents they know of, finds out what those are called,
    /// and puts the names into the index, from which this peer answers others. Nothing is fetched but names,
    /// and no torrent is announced; but whoever is asked sees this machine's address.
    pub struct Crawler("crawler") {
        /// Whether it runs. It needs the DHT and the index (`search.index`).
        pub enabled: bool = false,
        /// Questions to nodes of the DHT a second, 1 to 10.
        pub questions_per_s: u32 = 2,
        /// Torrents whose names are found out at a time, 1 to 32; each takes a connection to a peer.
        pub names_at_once: u32 = 4,
        /// Seconds until names are written to the index and can be found, 1 to 600; those of that time are
        /// written together, and found out anew if the program is killed before.
        pub written_after_s: u32 = 60,
    }
}

section! {
    /// The Torznab endpoint, at which Prowlarr, Sonarr, Radarr and the like ask what there is: `althing
    /// torznab` says where, and with which key. It is a part of the HTTP API.
    pub struct Torznab("torznab") {
        /// Whether it answers.
        pub enabled: bool = true,
        /// Seconds that others in the overlay are asked for one answer, at most 20; 0 means that what is
        /// known here has to do.
        pub network_s: u32 = 4,
    }
}

section! {
    /// Web servers that hold a torrent's files (BEP 19), where a torrent or magnet link names any.
    pub struct WebSeeds("web_seeds") {
        /// Whether to fetch from them.
        pub enabled: bool = true,
        /// Connections to one server for one torrent, 1 to 8. A server that refuses the second is left
        /// with one.
        pub connections: u32 = limits::CONNECTIONS,
    }
}

impl WebSeeds {
    /// Connections to one server; 0 leaves web seeds alone.
    pub(crate) fn connections_wanted(&self) -> u32 {
        if self.enabled { self.connections } else { 0 }
    }
}

section! {
    /// The HTTP API, its event streams and metrics.
    pub struct Api("api") {
        /// Where it listens; port 0 lets the system choose. Anything but a loopback address needs
        /// `beyond_loopback` and a password.
        pub listen: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7717),
        /// Whether it listens at all.
        pub enabled: bool = true,
        /// Whether other machines may reach it. It is not encrypted: put it behind a proxy that is,
        /// or use a network you trust.
        pub beyond_loopback: bool = false,
        /// What opens it beside the token in `api.token`, as the password of HTTP basic
        /// authentication; at least 16 characters, or empty for none.
        pub password: String = String::new(),
        /// Names beside `localhost` under which it may be asked for (the `Host` header).
        pub hosts: Vec<String> = Vec::new(),
    }
}

section! {
    /// Threads and the like.
    pub struct Runtime("runtime") {
        /// Threads that serve peers, each with its own share of the torrents; 0 means one for
        /// each core.
        pub shards: u32 = 0,
        /// Seconds that stopping may take before it is cut short.
        pub shutdown_s: u32 = 10,
    }
}

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How peers reach this one, and whom it may reach.
    pub network: Network,
    /// What is given to whom.
    pub sharing: Sharing,
    /// How much goes over the network to and from peers.
    pub limits: Limits,
    /// How many torrents run at a time.
    pub queue: Queue,
    /// When a torrent has been given to others for long enough.
    pub seeding: Seeding,
    /// A folder to put torrent files in.
    pub watch: Watch,
    /// Payloads and the disks they lie on.
    pub storage: Storage,
    /// Trackers that torrents name.
    pub trackers: Trackers,
    /// The DHT, in which peers find each other without a tracker.
    pub dht: Dht,
    /// The overlay, in which peers tell each other what they have.
    pub overlay: Overlay,
    /// What is kept of what there is to find.
    pub search: Search,
    /// Mail: private messages between two peers.
    pub mail: Mail,
    /// Finding out which torrents there are.
    pub crawler: Crawler,
    /// The Torznab endpoint.
    pub torznab: Torznab,
    /// Web servers that hold a torrent's files.
    pub web_seeds: WebSeeds,
    /// The HTTP API, its event streams and metrics.
    pub api: Api,
    /// Threads and the like.
    pub runtime: Runtime,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        error: std::io::Error,
    },
    /// Not TOML, or a setting that does not exist or has the wrong type.
    #[error("{} has a mistake: {error}docs/config.md lists every setting", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// What and where.
        error: Box<toml::de::Error>,
    },
    /// As [`Syntax`](Self::Syntax), on a line that is not to be repeated.
    #[error(
        "{} has a mistake in line {line}, which is not shown because of the password in it; \
         docs/config.md lists every setting", path.display()
    )]
    SecretSyntax {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A value outside its range.
    #[error("{setting} = {value} cannot be: {reason}")]
    Value {
        /// The setting, as in `network.port`.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        reason: &'static str,
    },
}

impl Config {
    /// Reads the settings at `path`; the defaults if there is no such file.
    ///
    /// # Errors
    /// If the file cannot be read or used.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(ConfigError::Read { path: path.to_owned(), error }),
        }
    }

    /// Reads settings from `text`; `path` is for the message only.
    ///
    /// # Errors
    /// If they cannot be used.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let path = path.to_owned();
            match secret_line(text, &error) {
                Some(line) => ConfigError::SecretSyntax { path, line },
                None => ConfigError::Syntax { path, error: Box::new(error) },
            }
        })?;
        config.check()?;
        Ok(config)
    }

    /// The reference page, `docs/config.md`.
    pub fn reference() -> String {
        reference::page()
    }

    /// The settings as they may be shown: a password has become asterisks.
    pub fn without_secrets(mut self) -> Self {
        if !self.api.password.is_empty() {
            self.api.password = "********".to_owned();
        }
        if !self.overlay.secret.is_empty() {
            self.overlay.secret = "********".to_owned();
        }
        self.network.proxy = self.network.proxy.without_secrets();
        self
    }

    /// The settings as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("all keys are strings and tables come last")
    }

    fn check(&self) -> Result<(), ConfigError> {
        if let Some(error) = self.network.proxy.error() {
            // Without the value: there may be a password in it.
            return Err(ConfigError::Value {
                setting: "network.proxy",
                value: "(not shown)".to_owned(),
                reason: error,
            });
        }
        if !self.network.tcp && (!self.network.utp || self.network.proxy.is_set()) {
            return Err(ConfigError::Value {
                setting: "network.tcp",
                value: "false".to_owned(),
                reason: "there would be no way to talk to peers: set network.utp, and no proxy, or leave \
                         network.tcp true",
            });
        }
        at_least_1("network.connections", self.network.connections)?;
        at_least_1("network.connections_per_torrent", self.network.connections_per_torrent)?;
        at_least_1("sharing.request_queue", self.sharing.request_queue)?;
        at_least_1("storage.memory_mib", self.storage.memory_mib)?;
        at_least_1("storage.save_interval_s", self.storage.save_interval_s)?;
        if self.search.index_mib < INDEX_MIB_MIN {
            return Err(ConfigError::Value {
                setting: "search.index_mib",
                value: self.search.index_mib.to_string(),
                reason: "16 is the least; set search.index to false to have none",
            });
        }
        at_least_1("trackers.concurrent", self.trackers.concurrent)?;
        if self.dht.bootstrap.len() > crate::limits::DHT_BOOTSTRAP_MAX {
            return Err(ConfigError::Value {
                setting: "dht.bootstrap",
                value: format!("{} nodes", self.dht.bootstrap.len()),
                reason: "64 are the most; one that answers is enough",
            });
        }
        let secret = self.overlay.secret.chars().count();
        if (1..overlay::SECRET_CHARS_MIN).contains(&secret) {
            return Err(ConfigError::Value {
                setting: "overlay.secret",
                value: format!("{secret} characters"),
                reason: "whoever guesses it is a member: use 16 or more, at random",
            });
        }
        in_range("overlay.neighbours", self.overlay.neighbours, overlay::NEIGHBOURS_RANGE)?;
        if self.overlay.peers.len() > overlay::PEERS_MAX {
            return Err(ConfigError::Value {
                setting: "overlay.peers",
                value: format!("{} peers", self.overlay.peers.len()),
                reason: "64 are the most; one that answers is enough",
            });
        }
        at_least_1("mail.carry_mib", self.mail.carry_mib)?;
        if self.mail.carry_mib > crate::limits::MAIL_CARRY_MIB_MAX {
            return Err(ConfigError::Value {
                setting: "mail.carry_mib",
                value: self.mail.carry_mib.to_string(),
                reason: "1024 is the most",
            });
        }
        in_range("crawler.questions_per_s", self.crawler.questions_per_s, 1..=10)?;
        in_range("crawler.names_at_once", self.crawler.names_at_once, 1..=32)?;
        in_range("crawler.written_after_s", self.crawler.written_after_s, 1..=600)?;
        in_range("torznab.network_s", self.torznab.network_s, 0..=20)?;
        at_least_1("web_seeds.connections", self.web_seeds.connections)?;
        if self.web_seeds.connections > limits::CONNECTIONS_MAX {
            return Err(ConfigError::Value {
                setting: "web_seeds.connections",
                value: self.web_seeds.connections.to_string(),
                reason: "it is more than any server likes; 8 are the most",
            });
        }
        at_most("storage.threads", self.storage.threads, crate::limits::THREADS_MAX)?;
        at_least_1("watch.interval_s", self.watch.interval_s)?;
        if !self.watch.category.is_empty() && self.watch.category.parse::<Label>().is_err() {
            return Err(ConfigError::Value {
                setting: "watch.category",
                value: self.watch.category.clone(),
                reason: "use 1 to 64 bytes without commas and control characters",
            });
        }
        at_most("runtime.shards", self.runtime.shards, crate::limits::THREADS_MAX)
    }

    /// How many shards there will be.
    pub(crate) fn shards(&self) -> usize {
        or_cores(self.runtime.shards)
    }

    /// Memory for blocks, both ways, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        (self.storage.memory_mib as usize) << 20
    }

    /// How many threads the disk pool gets.
    pub(crate) fn disk_threads(&self) -> usize {
        or_cores(self.storage.threads)
    }
}

/// The line of a mistake, if there may be a password in it.
fn secret_line(text: &str, error: &toml::de::Error) -> Option<usize> {
    let at = error.span()?.start;
    let before = text.get(..at)?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(start..)?.lines().next()?;
    let secret = ["password", "proxy", "secret"].iter().any(|word| line.contains(word));
    secret.then(|| before.matches('\n').count() + 1)
}

fn or_cores(setting: u32) -> usize {
    match setting {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads as usize,
    }
}

fn at_least_1(setting: &'static str, value: u32) -> Result<(), ConfigError> {
    if value == 0 {
        return Err(ConfigError::Value {
            setting,
            value: value.to_string(),
            reason: "it must be at least 1",
        });
    }
    Ok(())
}

fn in_range(
    setting: &'static str,
    value: u32,
    range: RangeInclusive<u32>,
) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let value = value.to_string();
    Err(ConfigError::Value { setting, value, reason: "docs/config.md says from where to where" })
}

fn at_most(setting: &'static str, value: u32, max: u32) -> Result<(), ConfigError> {
    if value > max {
        return Err(ConfigError::Value {
            setting,
            value: value.to_string(),
            reason: "it is more threads than any machine can use",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("config.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_means_the_defaults_and_they_come_back() {
        assert_eq!(parse(""), Ok(Config::default()));
        assert_eq!(parse(&Config::default().to_toml()), Ok(Config::default()));
    }

    #[test]
    fn ratios_and_hours_are_read_as_people_write_them() {
        let text = "[seeding]\nratio = 2\nthen = 'remove'\n[[limits.schedule]]\n\
            days = ['mon', 'sun']\nfrom = '22:00'\nto = '6:30'\nupload_kib_s = 100";
        let config = parse(text).expect("all of it exists");
        assert_eq!(config.seeding.ratio.limit().map(|ratio| ratio.thousandths), Some(2000));
        assert_eq!(config.limits.schedule[0].days, [Day::Mon, Day::Sun]);
        assert_eq!(parse(&config.to_toml()), Ok(config));
        let half = parse("[seeding]\nratio = 0.5").expect("a ratio");
        assert_eq!(half.seeding.ratio.limit().map(|ratio| ratio.thousandths), Some(500));
    }

    #[test]
    fn one_setting_leaves_the_others_alone() {
        let config = parse("[network]\nport = 1\nreach = 'loopback'").expect("both exist");
        assert_eq!(config.network.port, 1);
        assert_eq!(config.network.reach, Reach::Loopback);
        assert_eq!(config.network.connections, Config::default().network.connections);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("[network]\nprot = 1", "prot"),
            ("[netwrok]", "netwrok"),
            ("[network]\nport = 70000", "70000"),
            ("[network]\nconnections = 0", "network.connections = 0"),
            ("[network]\ntcp = false\nutp = false", "network.tcp"),
            ("[network]\ntcp = false\nproxy = 'socks5://127.0.0.1:1'", "network.tcp"),
            ("[runtime]\nshards = 100000", "runtime.shards"),
            ("[seeding]\nratio = -1", "ratio"),
            ("[[limits.schedule]]\nfrom = '25:00'\nto = '1:00'", "25:00"),
            ("[watch]\ncategory = 'a,b'", "watch.category"),
            ("[watch]\ninterval_s = 0", "watch.interval_s"),
            ("[dht]\nbootstrap = ['nobody']", "nobody"),
            ("[overlay]\nsecret = 'fifteen letters'", "overlay.secret"),
            ("[overlay]\npeers = ['nobody:1']", "peers"),
            (&format!("[overlay]\npeers = [{}]", "'192.0.2.1:1',".repeat(65)), "overlay.peers"),
            ("[search]\ndht_terms = 'some'", "some"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_networks_secret_is_repeated_nowhere_and_names_it() {
        let with =
            |secret: &str| parse(&format!("[overlay]\nsecret = '{secret}'")).expect("a secret");
        let config = with("the thing of three farms");
        assert!(!config.clone().without_secrets().to_toml().contains("farms"));
        let network = |config: &Config| config.overlay.network();
        assert_eq!(network(&config), network(&with("the thing of three farms")));
        assert_ne!(network(&config), network(&with("the thing of four farms")));
        assert_ne!(network(&config), network(&Config::default()));
    }

    #[test]
    fn a_password_is_repeated_nowhere() {
        let with = |value: &str| format!("[network]\nproxy = {value}");
        let config = parse(&with("'socks5://anna:s3cret@[::1]:9'")).expect("a proxy");
        let back = parse(&config.to_toml()).expect("it comes back");
        assert_eq!(back, config);
        assert!(back.network.proxy.url().is_some_and(|url| url.credentials().is_some()));
        for shown in [format!("{config:?}"), config.without_secrets().to_toml()] {
            assert!(!shown.contains("s3cret") && shown.contains("[::1]:9"), "{shown}");
        }
        for wrong in ["'http://anna:s3cret@h'", "'socks5://anna:s3cret@'", "socks5://anna:s3cret@h"]
        {
            let error = parse(&with(wrong)).expect_err(wrong);
            assert!(
                !error.contains("s3cret") && error.contains("has a mistake in line 2")
                    || error.contains("network.proxy"),
                "{error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn loopback_reaches_no_further() {
        let allows = |ip: &str| Reach::Loopback.allows(ip.parse().expect("an address"));
        assert!(allows("127.0.0.1") && allows("127.8.8.8") && allows("::1"));
        assert!(allows("::ffff:127.0.0.1"));
        assert!(!allows("192.168.1.1") && !allows("8.8.8.8") && !allows("::ffff:8.8.8.8"));
        assert!(!allows("0.0.0.0") && !allows("::"));
    }
}
