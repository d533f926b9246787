//! Where things lie on disk: the data folder's layout and its platform default.

use std::env;
use std::path::{Path, PathBuf};

/// The data folder and what lies in it.
///
/// ```text
/// config.toml    settings (docs/config.md)
/// categories.toml what is set for categories
/// api.token      the HTTP API's token, readable by the owner only
/// dht            what the DHT's node knew last
/// blocks.toml    what is blocked, readable by the owner only
/// blocks.lists   lists of others that are followed
/// follow/        keys of what is published (BEP 46), readable by the owner only
/// identity.key   who this peer is in the overlay, readable by the owner only
/// overlay/       what the overlay keeps
/// torrents/      what is shared and fetched: one record a torrent, resume data
/// files/         payloads, unless `storage.download_dir` or the user names another place
/// log/           logs
/// lock           one process a folder
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// The layout under `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Paths { root: root.into() }
    }

    /// The data folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The settings.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// What is set for categories.
    pub fn categories(&self) -> PathBuf {
        self.root.join("categories.toml")
    }

    /// The HTTP API's token.
    pub fn api_token(&self) -> PathBuf {
        self.root.join("api.token")
    }

    /// What the DHT's node knew last: its names, and nodes to begin with.
    pub fn dht(&self) -> PathBuf {
        self.root.join("dht")
    }

    /// Who this peer is in the overlay: its secret key.
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity.key")
    }

    /// What the overlay keeps: the meeting place's text, records.
    pub fn overlay(&self) -> PathBuf {
        self.root.join("overlay")
    }

    /// The local index: what there is to find.
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// What is blocked, and whose lists are followed.
    pub fn blocks(&self) -> PathBuf {
        self.root.join("blocks.toml")
    }

    /// The lists that are followed, as they were last said.
    pub fn block_lists(&self) -> PathBuf {
        self.root.join("blocks.lists")
    }

    /// Keys of what is published (BEP 46).
    pub fn follow(&self) -> PathBuf {
        self.root.join("follow")
    }

    /// Records of torrents and their resume data.
    pub fn torrents(&self) -> PathBuf {
        self.root.join("torrents")
    }

    /// Where payloads go by default.
    pub fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// Logs.
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Held by the process that uses the folder.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }
}

/// The data folder if the user names none: `$ALTHING_DIR`, else the platform's place for
/// application data.
///
/// # Errors
/// If the environment tells neither that nor a home folder.
pub fn default_root() -> Result<PathBuf, NoHomeError> {
    root_from(|name| env::var_os(name).map(PathBuf::from), env::home_dir())
}

/// The environment names no folder to put data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no home folder is known to keep data in; name one with --dir or ALTHING_DIR")]
pub struct NoHomeError;

fn root_from(
    variable: impl Fn(&str) -> Option<PathBuf>,
    home: Option<PathBuf>,
) -> Result<PathBuf, NoHomeError> {
    // Relative paths in these variables are invalid (XDG Base Directory Specification); they
    // would put the data wherever the process happens to be started.
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    if let Some(dir) = variable("ALTHING_DIR").filter(|path| !path.as_os_str().is_empty()) {
        return Ok(dir);
    }
    let base = if cfg!(windows) {
        absolute("APPDATA")
    } else if cfg!(target_os = "macos") {
        home.map(|home| home.join("Library/Application Support"))
    } else {
        absolute("XDG_DATA_HOME").or_else(|| home.map(|home| home.join(".local/share")))
    };
    base.map(|base| base.join("althing")).ok_or(NoHomeError)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], home: Option<&str>, expected: Option<&str>) {
        let variable = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))
        };
        let root = root_from(variable, home.map(PathBuf::from));
        assert_eq!(root.ok(), expected.map(PathBuf::from));
    }

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn the_users_word_goes_before_the_platforms() {
        check(&[("ALTHING_DIR", "/a")], Some("/home/u"), Some("/a"));
        check(&[("XDG_DATA_HOME", "/data")], Some("/home/u"), Some("/data/althing"));
        check(&[("XDG_DATA_HOME", "data")], Some("/home/u"), Some("/home/u/.local/share/althing"));
        check(&[], Some("/home/u"), Some("/home/u/.local/share/althing"));
        check(&[], None, None);
    }
}
