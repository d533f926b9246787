//! A folder for one test, gone afterwards unless the test failed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of the test's own. Removed on drop; kept, and named on standard error, when the test
/// is panicking, since the logs in it say why.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new empty folder under the system's temporary folder.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("althing-tests-{}-{count}", std::process::id());
        Scratch::at(std::env::temp_dir().join(name))
    }

    /// An empty folder at `path`; whatever stood there is removed.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn at(path: PathBuf) -> Scratch {
        if path.exists() {
            std::fs::remove_dir_all(&path).expect("an old scratch folder can be removed");
        }
        std::fs::create_dir_all(&path).expect("a scratch folder can be made");
        Scratch { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder inside it, made if need be.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn dir(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).expect("a folder in the scratch folder can be made");
        path
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the programs' files and logs are kept in {}", self.path.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!("{} could not be removed: {error}", self.path.display());
        }
    }
}
