//! Torrents made by libtorrent, for Althing to read, and those that Althing made, as libtorrent
//! reads them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::payload::Payload;

/// Debian's Python, the one that has Debian's libtorrent.
pub const PYTHON: &str = "/usr/bin/python3";

/// The script that makes torrents and is the libtorrent peer.
pub const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/lt_peer.py");

/// Which of the two kinds of metainfo a torrent has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// BEP 3 alone.
    V1,
    /// BEP 52 alone.
    V2,
    /// Both, over the same files.
    Hybrid,
}

impl Format {
    /// As command lines call it.
    pub fn name(self) -> &'static str {
        match self {
            Format::V1 => "v1",
            Format::V2 => "v2",
            Format::Hybrid => "hybrid",
        }
    }
}

/// Who made a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The other side.
    Libtorrent,
    /// We.
    Althing,
}

/// A `.torrent` file and the magnet link of the same torrent.
#[derive(Clone, Debug)]
pub struct Torrent {
    /// The file.
    pub file: PathBuf,
    /// The link; it names the trackers.
    pub magnet: String,
    /// The 20 bytes that trackers know it by, in hexadecimal: SHA-1 of a v1 info dictionary, then
    /// the truncated SHA-256 of a v2 one (BEP 52). One or two.
    pub info_hashes: Vec<String>,
    /// Who made it.
    pub maker: Maker,
    /// What it was made as.
    pub format: Format,
    /// The trackers it was made with.
    pub trackers: Vec<String>,
}

/// Where a client gets a torrent from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A `.torrent` file.
    File,
    /// A magnet link (BEP 9): the info dictionary comes from peers.
    Magnet,
    /// The magnet link without what it says of v2.
    MagnetV1,
    /// The magnet link without what it says of v1.
    MagnetV2,
}

impl Torrent {
    /// Has libtorrent make a torrent of the payload that names these trackers, and writes it to
    /// `file`.
    ///
    /// # Panics
    /// When libtorrent refuses.
    pub fn make(payload: &Payload, format: Format, trackers: &[String], file: &Path) -> Torrent {
        Torrent::make_with(payload, format, trackers, &[], file)
    }

    /// The same of a torrent that names these web seeds (BEP 19) and no tracker.
    ///
    /// # Panics
    /// When libtorrent refuses.
    pub fn make_on_the_web(payload: &Payload, format: Format, url: &str, file: &Path) -> Torrent {
        Torrent::make_with(payload, format, &[], &[url.to_owned()], file)
    }

    fn make_with(
        payload: &Payload,
        format: Format,
        trackers: &[String],
        web_seeds: &[String],
        file: &Path,
    ) -> Torrent {
        let mut command = Command::new(PYTHON);
        command.arg("-Wignore").arg(SCRIPT).arg("make").arg(payload.path()).arg(file);
        command.args(["--format", format.name(), "--piece", "65536"]).env("LC_ALL", "C.UTF-8");
        for url in trackers {
            command.args(["--tracker", url]);
        }
        for url in web_seeds {
            command.args(["--web-seed", url]);
        }
        Torrent { format, trackers: trackers.to_owned(), ..from(&mut command, file) }
    }

    /// The torrent in a file, as libtorrent reads it.
    ///
    /// # Panics
    /// When libtorrent refuses it.
    pub fn read(file: &Path) -> Torrent {
        let mut command = Command::new(PYTHON);
        command.args(["-Wignore", SCRIPT, "show"]).arg(file).env("LC_ALL", "C.UTF-8");
        from(&mut command, file)
    }

    /// The link for a leecher with this source; `None` where it is given the file.
    pub fn link(&self, source: Source) -> Option<String> {
        match source {
            Source::File => None,
            Source::Magnet => Some(self.magnet.clone()),
            Source::MagnetV1 => Some(without(&self.magnet, "xt=urn:btmh:")),
            Source::MagnetV2 => Some(without(&self.magnet, "xt=urn:btih:")),
        }
    }
}

/// What the script prints of a torrent.
fn from(command: &mut Command, file: &Path) -> Torrent {
    let output = command.output().expect("Debian's Python runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let Ok(printed) = serde_json::from_str::<serde_json::Value>(&text) else {
        panic!("no torrent from libtorrent: {}", String::from_utf8_lossy(&output.stderr));
    };
    let magnet = printed["magnet"].as_str().expect("the script prints the magnet").to_owned();
    let format = match (printed["v1"].is_null(), printed["v2"].is_null()) {
        (false, true) => Format::V1,
        (true, _) => Format::V2,
        (false, false) => Format::Hybrid,
    };
    Torrent {
        file: file.to_owned(),
        info_hashes: info_hashes(&magnet),
        magnet,
        maker: Maker::Libtorrent,
        format,
        trackers: Vec::new(),
    }
}

/// A magnet link without the parts that begin so.
fn without(magnet: &str, beginning: &str) -> String {
    let (scheme, parts) = magnet.split_once('?').unwrap_or((magnet, ""));
    let kept: Vec<&str> = parts.split('&').filter(|part| !part.starts_with(beginning)).collect();
    format!("{scheme}?{}", kept.join("&"))
}

/// The info-hashes a magnet link names, as trackers know them.
pub fn info_hashes(magnet: &str) -> Vec<String> {
    let topics = magnet.split(['?', '&']).filter_map(|part| part.strip_prefix("xt="));
    topics
        .filter_map(|topic| {
            let v1 = topic.strip_prefix("urn:btih:").map(str::to_owned);
            // A multihash: 0x12 SHA-256, 0x20 bytes; trackers see the first 20 of them.
            v1.or_else(|| topic.strip_prefix("urn:btmh:1220")?.get(..40).map(str::to_owned))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_magnet_names_its_info_hashes() {
        let v1 = "70cdf83a8bddaa4f3ec34fe55224fb98c8ec6fca";
        let v2 = "c43cffa729e6f731462d1e7456192db4836f7fcde4fc3abb28475162be25a4a8";
        let magnet = format!("magnet:?xt=urn:btih:{v1}&xt=urn:btmh:1220{v2}&dn=d");
        assert_eq!(info_hashes(&magnet), [v1, &v2[..40]]);
        assert!(info_hashes("magnet:?dn=nothing").is_empty());
        let v2_alone = format!("magnet:?xt=urn:btmh:1220{v2}&dn=d");
        assert_eq!(without(&magnet, "xt=urn:btih:"), v2_alone);
    }
}
