//! What the command line of `bench files` asks for.

use crate::sections::Section;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
Usage: cargo xtask bench files [OPTIONS]

Althing beside libtorrent, aria2 and rqbit, turn by turn, between network namespaces. Sections:

  matrix      one file from one seed to one leecher, in every direction among the four
  encrypted   the same under encryption (MSE, RC4), Althing and libtorrent
  utp         the same over uTP, Althing and libtorrent
  crowd       one seed, eight leechers at once: the time of the last
  verify      a file compared with its hashes
  many        10,000 torrents: time until all seed, memory, idle processor time
  peers       500 peers that fetch from one seed at once
  v2          the first again with a v2 torrent
  slow-disk   a leecher whose disk takes 20 MB/s
  hostile     thousands of strangers who do harm, and an honest peer among them

What was measured is kept under target/bench/results, and docs/performance.md and docs/img are
written again from what each section measured last.

  --only A,B     run these sections
  --peers A,B    measure these peers alone (althing, libtorrent, aria2, rqbit, floor; in `hostile`
                 its kinds: half-open, trickle, keys, crowd, deaf, haves, tiny, flap, metadata,
                 hashes, liar, promise, choke-flap, pex); nothing is kept
  --rounds N     how often each is measured; medians are reported (default 3)
  --mib N        the file's size in MiB (default 1024); other sizes grow and shrink with it
  --quick        one round with small sizes, to see that everything works; nothing is kept
  --no-report    keep nothing, only print
  --report       measure nothing, only write the report again
";

/// Size of the file in MiB where nothing else is asked for.
const MEBIBYTES: u64 = 1024;

/// The file's size with `--quick`, MiB.
const QUICK_MEBIBYTES: u64 = 64;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// How often each is measured.
    pub(crate) rounds: usize,
    /// How much of everything.
    pub(crate) sizes: Sizes,
    /// The sections to run, in their order.
    pub(crate) sections: Vec<Section>,
    /// The peers to measure; empty means all.
    pub(crate) peers: Vec<String>,
    /// Whether results are kept and reported.
    pub(crate) keep: bool,
    /// Whether anything is measured at all.
    pub(crate) measure: bool,
}

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// The file that goes from one to one, MiB.
    pub(crate) file_mib: u64,
    /// The file that a crowd fetches, MiB.
    pub(crate) crowd_mib: u64,
    /// The file that is verified, MiB.
    pub(crate) verify_mib: u64,
    /// The file for a slow disk, MiB.
    pub(crate) slow_mib: u64,
    /// How many torrents are many.
    pub(crate) torrents: usize,
    /// How many peers fetch at once.
    pub(crate) peers: usize,
    /// How long they do, seconds.
    pub(crate) peers_s: u64,
    /// How long many torrents rest, seconds.
    pub(crate) idle_s: u64,
    /// The file that goes from one to one among hostile peers, MiB.
    pub(crate) hostile_mib: u64,
    /// Of so many hostile peers one comes.
    pub(crate) hostile_part: usize,
    /// How long they are there before the honest one comes, seconds.
    pub(crate) hostile_warm_up_s: u64,
}

impl Sizes {
    fn of(mebibytes: u64, quick: bool) -> Sizes {
        Sizes {
            file_mib: mebibytes,
            crowd_mib: (mebibytes / 8).max(1),
            verify_mib: mebibytes * 4,
            slow_mib: (mebibytes / 4).max(1),
            torrents: if quick { 500 } else { 10_000 },
            peers: if quick { 50 } else { 500 },
            peers_s: if quick { 2 } else { 10 },
            idle_s: if quick { 2 } else { 20 },
            hostile_mib: (mebibytes / 2).max(1),
            hostile_part: if quick { 20 } else { 1 },
            hostile_warm_up_s: if quick { 1 } else { 4 },
        }
    }
}

impl Options {
    /// Reads the words after `bench files`.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn parse(words: &[&str]) -> Result<Options, String> {
        let mut options = Options {
            rounds: 3,
            sizes: Sizes::of(MEBIBYTES, false),
            sections: Section::ALL.to_vec(),
            peers: Vec::new(),
            keep: true,
            measure: true,
        };
        let (mut mebibytes, mut rounds, mut quick) = (None, None, false);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match *word {
                "--rounds" => rounds = Some(number(value()?)?),
                "--mib" => mebibytes = Some(number(value()?)?),
                "--only" => options.sections = sections(value()?)?,
                "--peers" => options.peers = value()?.split(',').map(str::to_owned).collect(),
                "--quick" => quick = true,
                "--no-report" => options.keep = false,
                "--report" => options.measure = false,
                other => return Err(format!("there is no option {other:?}\n\n{USAGE}")),
            }
        }
        let default = if quick { (1, QUICK_MEBIBYTES) } else { (options.rounds, MEBIBYTES) };
        options.rounds = rounds.unwrap_or(default.0);
        let mebibytes = mebibytes.unwrap_or(default.1);
        if options.rounds == 0 || mebibytes == 0 {
            return Err("--rounds and --mib are at least 1".to_owned());
        }
        options.sizes = Sizes::of(mebibytes, quick);
        // What some of the peers did, or all of them with little, must not replace the real thing.
        options.keep &= options.peers.is_empty() && !quick;
        Ok(options)
    }

    /// Whether this peer is to be measured.
    pub(crate) fn wants(&self, peer: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|wanted| wanted == peer)
    }
}

fn sections(names: &str) -> Result<Vec<Section>, String> {
    let named = |name: &str| {
        let found = Section::ALL.into_iter().find(|section| section.name() == name);
        found.ok_or_else(|| format!("there is no section {name:?}\n\n{USAGE}"))
    };
    names.split(',').map(named).collect()
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(word: &str) -> Result<T, String> {
    word.parse().map_err(|error| format!("{word:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: Result<Options, &str>) {
        match (Options::parse(words), expected) {
            (Ok(options), Ok(expected)) => assert_eq!(options, expected),
            (Err(said), Err(part)) => assert!(said.contains(part), "{said}"),
            (got, expected) => panic!("{words:?} gave {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn options_are_read() {
        let default = Options {
            rounds: 3,
            sizes: Sizes::of(1024, false),
            sections: Section::ALL.to_vec(),
            peers: Vec::new(),
            keep: true,
            measure: true,
        };
        check(&[], Ok(default.clone()));
        check(&["--rounds", "5"], Ok(Options { rounds: 5, ..default.clone() }));
        let sections = vec![Section::V2, Section::Matrix];
        check(&["--only", "v2,matrix"], Ok(Options { sections, ..default.clone() }));
        let sizes = Sizes::of(64, true);
        let quick = Options { rounds: 1, sizes, keep: false, ..default.clone() };
        check(&["--quick"], Ok(quick.clone()));
        check(&["--rounds", "2", "--quick"], Ok(Options { rounds: 2, ..quick }));
        // A table of some of the peers must not replace that of all of them.
        let peers = vec!["floor".to_owned()];
        check(&["--peers", "floor"], Ok(Options { peers, keep: false, ..default }));
        check(&["--rounds"], Err("needs a value"));
        check(&["--rounds", "0"], Err("at least 1"));
        check(&["--speed"], Err("no option"));
        check(&["--only", "speed"], Err("no section"));
    }
}
