//! What is compared: each section measures, and says in words and pictures what came out.

mod crowd;
mod hostile;
mod many;
mod peers;
mod slow_disk;
mod transfer;
mod verify;

use crate::options::Options;
use crate::report::Page;
use crate::results::Results;

/// One comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// One file from one to one, in every direction.
    Matrix,
    /// The same encrypted.
    Encrypted,
    /// The same over uTP.
    Utp,
    /// One seed, eight leechers.
    Crowd,
    /// A file compared with its hashes.
    Verify,
    /// 10,000 torrents.
    Many,
    /// 500 peers of one seed.
    Peers,
    /// The first with a v2 torrent.
    V2,
    /// A leecher whose disk is slow.
    SlowDisk,
    /// Hostile peers at volume.
    Hostile,
}

impl Section {
    /// All of them, in the order in which they run.
    pub(crate) const ALL: [Section; 10] = [
        Section::Matrix,
        Section::Encrypted,
        Section::Utp,
        Section::Crowd,
        Section::Verify,
        Section::Many,
        Section::Peers,
        Section::V2,
        Section::SlowDisk,
        Section::Hostile,
    ];

    /// As the command line and the files call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Section::Matrix => "matrix",
            Section::Encrypted => "encrypted",
            Section::Utp => "utp",
            Section::Crowd => "crowd",
            Section::Verify => "verify",
            Section::Many => "many",
            Section::Peers => "peers",
            Section::V2 => "v2",
            Section::SlowDisk => "slow-disk",
            Section::Hostile => "hostile",
        }
    }

    /// Measures it.
    ///
    /// # Errors
    /// A sentence, when nothing at all could be measured.
    pub(crate) fn measure(self, options: &Options) -> Result<Results, String> {
        match self {
            Section::Matrix => transfer::matrix(options),
            Section::Encrypted => transfer::encrypted(options),
            Section::Utp => transfer::utp(options),
            Section::Crowd => crowd::measure(options),
            Section::Verify => verify::measure(options),
            Section::Many => many::measure(options),
            Section::Peers => peers::measure(options),
            Section::V2 => transfer::v2(options),
            Section::SlowDisk => slow_disk::measure(options),
            Section::Hostile => hostile::measure(options),
        }
    }

    /// What it says of its results.
    pub(crate) fn page(self, results: &Results) -> Page {
        match self {
            Section::Matrix => transfer::matrix_page(results),
            Section::Encrypted => transfer::encrypted_page(results),
            Section::Utp => transfer::utp_page(results),
            Section::Crowd => crowd::page(results),
            Section::Verify => verify::page(results),
            Section::Many => many::page(results),
            Section::Peers => peers::page(results),
            Section::V2 => transfer::v2_page(results),
            Section::SlowDisk => slow_disk::page(results),
            Section::Hostile => hostile::page(results),
        }
    }
}
