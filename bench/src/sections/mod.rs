//! What is compared: each section measures, and says in words and pictures what came out.

mod transfer;

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
    /// The same with a v2 torrent.
    V2,
}

impl Section {
    /// All of them, in the order in which they run.
    pub(crate) const ALL: [Section; 3] = [Section::Matrix, Section::Encrypted, Section::V2];

    /// As the command line and the files call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Section::Matrix => "matrix",
            Section::Encrypted => "encrypted",
            Section::V2 => "v2",
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
            Section::V2 => transfer::v2(options),
        }
    }

    /// What it says of its results.
    pub(crate) fn page(self, results: &Results) -> Page {
        match self {
            Section::Matrix => transfer::matrix_page(results),
            Section::Encrypted => transfer::encrypted_page(results),
            Section::V2 => transfer::v2_page(results),
        }
    }
}
