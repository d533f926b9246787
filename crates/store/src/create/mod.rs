//! Making a torrent of a file or folder: what there is ([`Content::find`]), how it lies in pieces
//! (the metainfo's [`Builder`] and [`Plan`]), and one pass over the data on all cores
//! ([`Content::hash`]).
//!
//! ```no_run
//! use althing_store::create::{Content, Hashing};
//!
//! let content = Content::find("photos".as_ref())?;
//! let mut builder = content.builder(None);
//! builder.trackers = vec![vec!["http://tracker.example/announce".to_owned()]];
//! let created = content.hash(builder.plan()?, &Hashing::default())?;
//! std::fs::write("photos.torrent", created.metainfo.to_torrent())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod hash;
mod walk;

pub use error::CreateError;
pub use hash::{Created, Hashing, Progress};

use crate::files::{Location, Root, Stamp};
use althing_bittorrent::metainfo::{Builder, NewFile};
use std::path::{Path, PathBuf};

#[cfg(doc)]
use althing_bittorrent::metainfo::Plan;

/// The files that a torrent is to be made of.
#[derive(Clone, Debug)]
pub struct Content {
    path: PathBuf,
    name: String,
    is_folder: bool,
    files: Vec<Found>,
    warnings: Vec<String>,
}

/// A file or a link.
#[derive(Clone, Debug)]
struct Found {
    /// Where it is, from the folder (of a single file: its name).
    path: PathBuf,
    executable: bool,
    hidden: bool,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    File(Stamp),
    /// A link to this file or folder, from the same folder.
    Link(PathBuf),
}

impl Content {
    /// Looks at a file, or walks a folder in the order of names. Nothing is read yet.
    ///
    /// Links that stay inside become links of the torrent (BEP 47). Those that lead out or
    /// nowhere, and what is neither file nor folder, are left out with a warning. The path itself
    /// may be a link.
    ///
    /// # Errors
    /// It is not there, it or a folder in it can't be looked at, or it has more in it than a
    /// torrent can name.
    pub fn find(path: &Path) -> Result<Content, CreateError> {
        walk::find(path)
    }

    /// What the torrent is to be made of, called `name` or like the file or folder itself. Set
    /// what else there is to say in the builder, and make the plan.
    pub fn builder(&self, name: Option<&str>) -> Builder {
        let name = name.unwrap_or(&self.name);
        let mut builder = Builder::folder(name);
        for found in &self.files {
            let new = NewFile {
                path: parts(&found.path),
                size: found.size(),
                executable: found.executable,
                hidden: found.hidden,
                symlink: match &found.kind {
                    Kind::File(_) => None,
                    Kind::Link(target) => Some(parts(target)),
                },
            };
            if !self.is_folder {
                return Builder::single(NewFile { path: vec![name.to_owned()], ..new });
            }
            builder.add(new);
        }
        builder
    }

    /// What was left out, in sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// All files together, in bytes.
    pub fn size(&self) -> u64 {
        self.files.iter().map(Found::size).sum()
    }

    /// The file or folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The place that files are opened in.
    fn root(&self) -> Root {
        Root::of(&self.path, self.is_folder)
    }

    /// Where a torrent's files are, whose paths may differ from those here.
    fn location(&self, renamed: impl IntoIterator<Item = (String, PathBuf)>) -> Location {
        let names: std::collections::BTreeMap<_, _> = renamed.into_iter().collect();
        let path = self.path.clone();
        if names.is_empty() { Location::At(path) } else { Location::Renamed { path, names } }
    }
}

impl Found {
    fn size(&self) -> u64 {
        match self.kind {
            Kind::File(stamp) => stamp.size,
            Kind::Link(_) => 0,
        }
    }
}

/// A path's components as a torrent names them. What is not Unicode gets replacement characters;
/// the file keeps its name here, and the torrent's location says which is which.
fn parts(path: &Path) -> Vec<String> {
    path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
}
