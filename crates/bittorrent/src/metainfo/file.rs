//! One file of a torrent.

use althing_base::Sha256Digest;

/// What a file of a torrent is, besides its bytes (BEP 47).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Attributes {
    /// Padding: zeros that are never on disk (`p`).
    pub pad: bool,
    /// To be made executable (`x`).
    pub executable: bool,
    /// To be hidden, where file systems know such a thing (`h`).
    pub hidden: bool,
    /// A symbolic link (`l`).
    pub symlink: bool,
}

/// A file of a torrent, with a path that is safe to use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Components joined by `/`, none of which contains one.
    pub(super) path: Box<str>,
    pub(super) size: u64,
    pub(super) offset: u64,
    pub(super) attributes: Attributes,
    pub(super) symlink: Option<Box<str>>,
    pub(super) pieces_root: Option<Sha256Digest>,
}

impl File {
    /// Padding of `size` bytes, in the place where libtorrent has it.
    pub(super) fn padding(folder: &str, size: u64) -> Self {
        File {
            path: format!("{folder}/.pad/{size}").into(),
            size,
            offset: 0,
            attributes: Attributes { pad: true, ..Attributes::default() },
            symlink: None,
            pieces_root: None,
        }
    }

    /// Where the file belongs, relative to the folder that the torrent is saved in: components
    /// joined by `/`. In a torrent of several files the first is the torrent's name.
    ///
    /// Each component is an ordinary name by the [`NameRules`](super::NameRules) that the torrent
    /// was read with: never `.` or `..`, without separators and control characters, of at most 255
    /// bytes, and on Windows no drive or device. No two files of a torrent have the same path, even
    /// where case does not count (padding aside, which is never on disk), and no file's path is
    /// another's directory.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The components of [`path`](Self::path).
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.path.split('/')
    }

    /// Length in bytes; 0 for a link.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the file starts in the torrent's space, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether it is padding: reads as zeros, is never written.
    pub fn is_pad(&self) -> bool {
        self.attributes.pad
    }

    /// Whether it is to be executable.
    pub fn is_executable(&self) -> bool {
        self.attributes.executable
    }

    /// Whether it is to be hidden.
    pub fn is_hidden(&self) -> bool {
        self.attributes.hidden
    }

    /// All of its attributes.
    pub fn attributes(&self) -> Attributes {
        self.attributes
    }

    /// Whether it is a symbolic link. It has no bytes then.
    pub fn is_symlink(&self) -> bool {
        self.attributes.symlink
    }

    /// What a symbolic link points at, as a path like [`path`](Self::path), from the same folder.
    /// In the end, perhaps by way of other links, it is a file or a directory of this torrent.
    /// `None` if it is no link, or one that leads elsewhere and is not to be made.
    pub fn symlink(&self) -> Option<&str> {
        self.symlink.as_deref()
    }

    /// The root of its hash tree (BEP 52); `None` in a v1 torrent, and for empty files, links and
    /// padding.
    pub fn pieces_root(&self) -> Option<Sha256Digest> {
        self.pieces_root
    }
}

#[cfg(test)]
impl File {
    pub(super) fn for_test(path: &str) -> Self {
        File {
            path: path.into(),
            size: 0,
            offset: 0,
            attributes: Attributes::default(),
            symlink: None,
            pieces_root: None,
        }
    }
}
