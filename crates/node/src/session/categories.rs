//! Categories: what holds for all torrents in one, kept in `categories.toml` in the data folder.
//!
//! A torrent may be in a category that nothing is set for; then it is just a word.

use crate::limits::{CATEGORIES_BYTES_MAX, CATEGORIES_MAX};
use crate::rates;
use althing_store::atomic::{self, Access};
use althing_store::records::{Goal, Label, Ratio};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is set for a category.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Category {
    /// Where the files of torrents go that are added to it; `None` for where they go otherwise.
    pub save_dir: Option<PathBuf>,
    /// Bytes a second that its torrents may send together; `None` for no limit.
    pub upload_limit: Option<NonZeroU64>,
    /// Bytes a second that its torrents may receive together; `None` for no limit.
    pub download_limit: Option<NonZeroU64>,
    /// When a torrent of it has been given enough, by what was sent over what it has.
    pub ratio_limit: Goal<Ratio>,
    /// When a torrent of it has been given enough, by the time it was complete and running.
    pub seed_time_limit: Goal<Duration>,
}

/// All that are known.
#[derive(Debug)]
pub(crate) struct Categories {
    path: PathBuf,
    all: Mutex<BTreeMap<Label, Category>>,
}

impl Categories {
    /// Reads them; none if there is no such file.
    ///
    /// # Errors
    /// With a sentence, if the file cannot be read or understood.
    pub(super) fn open(path: PathBuf) -> Result<Self, String> {
        let all = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error.to_string()),
            Ok(bytes) if bytes.len() > CATEGORIES_BYTES_MAX => Err("it is too large".to_owned()),
            Ok(bytes) => read(&bytes),
        };
        let all = all.map_err(|reason| {
            format!(
                "{} cannot be used: {reason}; mend it, or delete it to begin without categories",
                path.display()
            )
        })?;
        Ok(Categories { path, all: Mutex::new(all) })
    }

    pub(super) fn all(&self) -> BTreeMap<Label, Category> {
        self.lock().clone()
    }

    pub(super) fn get(&self, name: &Label) -> Option<Category> {
        self.lock().get(name).cloned()
    }

    /// Sets what holds for a category, or forgets it. It is durable when this returns.
    ///
    /// # Errors
    /// With a sentence, if there are too many or the disk fails; nothing has changed then.
    pub(super) fn set(&self, name: &Label, category: Option<Category>) -> Result<(), String> {
        let mut all = self.lock();
        let mut changed = all.clone();
        match category {
            Some(category) => drop(changed.insert(name.clone(), category)),
            None => drop(changed.remove(name)),
        }
        if changed.len() > CATEGORIES_MAX {
            return Err(format!("there are {CATEGORIES_MAX} categories; remove some"));
        }
        write(&self.path, &changed).map_err(|error| {
            format!("{} cannot be written: {error}; mend the disk", self.path.display())
        })?;
        *all = changed;
        Ok(())
    }

    /// Their rate limits.
    pub(super) fn limits(&self) -> BTreeMap<Label, rates::Pair> {
        let all = self.lock();
        let limited = all.iter().map(|(name, category)| {
            (name.clone(), [category.upload_limit, category.download_limit])
        });
        limited.filter(|(_, pair)| pair.iter().any(Option::is_some)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Label, Category>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A category as the file has it.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none")]
    save_dir: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_limit_bytes_per_s: Option<NonZeroU64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    download_limit_bytes_per_s: Option<NonZeroU64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_thousandths: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed_time_s: Option<i64>,
}

/// Stands for [`Goal::Never`].
const NEVER: i64 = -1;

fn read(bytes: &[u8]) -> Result<BTreeMap<Label, Category>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let stored: BTreeMap<String, Stored> =
        toml::from_str(text).map_err(|error| error.to_string())?;
    let named = stored.into_iter().take(CATEGORIES_MAX).map(|(name, stored)| {
        let name: Label = name.parse().map_err(|error| format!("{error}"))?;
        Ok((name, stored.into()))
    });
    named.collect()
}

fn write(path: &Path, all: &BTreeMap<Label, Category>) -> io::Result<()> {
    let stored: BTreeMap<&str, Stored> =
        all.iter().map(|(name, category)| (name.as_str(), category.into())).collect();
    let text = toml::to_string(&stored).map_err(io::Error::other)?;
    atomic::write(path, text.as_bytes(), Access::Default)
}

impl From<Stored> for Category {
    fn from(stored: Stored) -> Self {
        Category {
            save_dir: stored.save_dir,
            upload_limit: stored.upload_limit_bytes_per_s,
            download_limit: stored.download_limit_bytes_per_s,
            ratio_limit: goal(stored.ratio_thousandths, |number| {
                Some(Ratio { thousandths: u32::try_from(number).ok()? })
            }),
            seed_time_limit: goal(stored.seed_time_s, |number| {
                Some(Duration::from_secs(u64::try_from(number).ok()?))
            }),
        }
    }
}

impl From<&Category> for Stored {
    fn from(category: &Category) -> Self {
        Stored {
            save_dir: category.save_dir.clone(),
            upload_limit_bytes_per_s: category.upload_limit,
            download_limit_bytes_per_s: category.download_limit,
            ratio_thousandths: number(category.ratio_limit, |ratio| ratio.thousandths.into()),
            seed_time_s: number(category.seed_time_limit, |time| {
                i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
            }),
        }
    }
}

fn goal<T>(number: Option<i64>, at: impl Fn(i64) -> Option<T>) -> Goal<T> {
    match number {
        Some(NEVER) => Goal::Never,
        Some(number) => at(number).map_or(Goal::Inherited, Goal::At),
        None => Goal::Inherited,
    }
}

fn number<T>(goal: Goal<T>, number: impl Fn(T) -> i64) -> Option<i64> {
    match goal {
        Goal::Inherited => None,
        Goal::Never => Some(NEVER),
        Goal::At(at) => Some(number(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_there_after_a_restart() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("categories.toml");
        let open = || Categories::open(path.clone()).expect("it is readable");
        let (first, second) = ("linux isos", "films");
        let name = |text: &str| text.parse::<Label>().expect("a label");
        let category = Category {
            save_dir: Some("/srv/isos".into()),
            upload_limit: NonZeroU64::new(9),
            download_limit: None,
            ratio_limit: Goal::At(Ratio { thousandths: 1500 }),
            seed_time_limit: Goal::Never,
        };
        let categories = open();
        categories.set(&name(first), Some(category.clone())).expect("it is written");
        categories.set(&name(second), Some(Category::default())).expect("it is written");
        let again = open();
        assert_eq!(again.get(&name(first)), Some(category));
        assert_eq!(again.get(&name(second)), Some(Category::default()));
        assert_eq!(again.limits().len(), 1);
        again.set(&name(first), None).expect("it is written");
        assert_eq!(open().all().len(), 1);
        std::fs::write(&path, "[films]\nspeed = 1").expect("it is writable");
        let refused = Categories::open(path.clone()).expect_err("it is not understood");
        assert!(refused.contains("categories.toml") && refused.contains("mend"), "{refused}");
    }
}
