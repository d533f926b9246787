//! Settings that change while the session runs.

use super::categories::Category;
use super::settings::change_settings;
use super::shared::Shared;
use super::{ChangeConfigError, CommandError, Session};
use crate::clock;
use crate::config::{Config, ConfigError, LocalTime};
use crate::limits::{CONFIG_BYTES_MAX, SCHEDULE_INTERVAL};
use crate::rates::Limits;
use crate::shard::Command;
use althing_store::atomic::{self, Access};
use althing_store::records::Label;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Weak};
use tracing::info;

/// Settings that take effect at once; the others do at the next start. A name that ends in a dot
/// stands for all of its section.
const LIVE: [&str; 9] = [
    "limits.",
    "queue.",
    "seeding.",
    "watch.",
    "network.connections",
    "network.connections_per_torrent",
    "sharing.upload_slots",
    "sharing.upload_slots_total",
    "storage.download_dir",
];

/// Whether a setting takes effect at once.
fn is_live(setting: &str) -> bool {
    LIVE.iter().any(|live| match live.strip_suffix('.') {
        Some(section) => setting.split('.').next() == Some(section),
        None => setting == *live,
    })
}

/// What became of a change of settings.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConfigChanged {
    /// Settings that are in force now.
    pub in_force: Vec<String>,
    /// Settings that are written down and take effect at the next start.
    pub at_next_start: Vec<String>,
}

impl Session {
    /// The settings as they are now.
    pub fn current_config(&self) -> Arc<Config> {
        self.shared.current()
    }

    /// Changes settings, named as in `limits.upload_kib_s`; `None` takes one back to its default.
    /// `config.toml` has them when this returns, and what can be changed at run time is in force.
    ///
    /// # Errors
    /// If a setting does not exist or cannot have such a value, or `config.toml` cannot be used.
    pub fn change_config(
        &self,
        changes: &BTreeMap<String, Option<toml::Value>>,
    ) -> Result<ConfigChanged, ChangeConfigError> {
        let path = self.shared.paths.config();
        let unusable = |reason: String| ChangeConfigError::File { path: path.clone(), reason };
        let _changing = self.shared.changing_config();
        let before = match std::fs::read_to_string(&path) {
            Ok(text) if text.len() > CONFIG_BYTES_MAX => {
                return Err(unusable("it is too large".to_owned()));
            }
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unusable(error.to_string())),
        };
        let mut document: toml_edit::DocumentMut =
            before.parse().map_err(|error: toml_edit::TomlError| unusable(error.to_string()))?;
        let mut running = toml::Table::try_from(&*self.shared.current())
            .map_err(|error| unusable(error.to_string()))?;
        let mut changed = ConfigChanged::default();
        for (setting, value) in changes {
            let (section, name) = setting
                .split_once('.')
                .ok_or_else(|| ChangeConfigError::Unknown { setting: setting.clone() })?;
            edit(&mut document, section, name, value.as_ref());
            if is_live(setting) {
                set(&mut running, section, name, value.clone());
                changed.in_force.push(setting.clone());
            } else {
                changed.at_next_start.push(setting.clone());
            }
        }
        let text = document.to_string();
        // As a whole it must be right: what is written is what the next start reads.
        let bad = |error: ConfigError| {
            // Where that would stand in the file is of no interest: it does not.
            let reason = match error {
                ConfigError::Syntax { error, .. } => {
                    let names: Vec<&str> = changes.keys().map(String::as_str).collect();
                    let why = error.message();
                    format!(
                        "{} cannot be changed so: {why}; nothing was changed, and `althing config \
                         reference` lists every setting",
                        names.join(", ")
                    )
                }
                error => error.to_string(),
            };
            ChangeConfigError::Value { reason }
        };
        Config::parse(&text, &path).map_err(bad)?;
        let running = toml::to_string(&running).map_err(|error| unusable(error.to_string()))?;
        let running = Config::parse(&running, &path).map_err(bad)?;
        let written = atomic::write(&path, text.as_bytes(), Access::OwnerOnly);
        written.map_err(|error| unusable(error.to_string()))?;
        self.shared.set_current(running);
        apply(&self.shared);
        Ok(changed)
    }

    /// What is set for categories.
    pub fn categories(&self) -> BTreeMap<Label, Category> {
        self.shared.categories.all()
    }

    /// Sets what holds for a category. It is durable and in force when this returns.
    ///
    /// # Errors
    /// If there are too many, or it cannot be written down.
    pub fn set_category(&self, name: &Label, category: Category) -> Result<(), CommandError> {
        let set = self.shared.categories.set(name, Some(category));
        set.map_err(|reason| CommandError::Storage { reason })?;
        apply(&self.shared);
        Ok(())
    }

    /// Forgets a category: its torrents are in none then.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub async fn remove_category(&self, name: &Label) -> Result<(), CommandError> {
        for entry in self.shared.torrents.all() {
            if entry.settings().category.as_ref() != Some(name) {
                continue;
            }
            let name = name.clone();
            let change = move |settings: &mut super::TorrentSettings| {
                settings.category.take_if(|category| *category == name);
            };
            self.write_down(change_settings(&self.shared, entry.id, change).await)?;
        }
        let set = self.shared.categories.set(name, None);
        set.map_err(|reason| CommandError::Storage { reason })?;
        apply(&self.shared);
        Ok(())
    }
}

/// Puts a value into the file's text, and leaves everything else in it as it is.
fn edit(
    document: &mut toml_edit::DocumentMut,
    section: &str,
    name: &str,
    value: Option<&toml::Value>,
) {
    let table = document.entry(section).or_insert_with(toml_edit::table);
    let Some(table) = table.as_table_like_mut() else { return };
    match value {
        None => drop(table.remove(name)),
        Some(value) => {
            // A value's own text is TOML again, so both libraries agree on what it is.
            let item = match value.to_string().parse::<toml_edit::Value>() {
                Ok(value) => toml_edit::Item::Value(value),
                Err(_) => toml_edit::value(value.to_string()),
            };
            table.insert(name, item);
        }
    }
}

fn set(table: &mut toml::Table, section: &str, name: &str, value: Option<toml::Value>) {
    let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
    if let Some(section) = section.as_table_mut() {
        match value {
            None => drop(section.remove(name)),
            Some(value) => drop(section.insert(name.to_owned(), value)),
        }
    }
}

/// Puts what the settings say now in force wherever it is not looked up when it is needed.
pub(super) fn apply(shared: &Arc<Shared>) {
    let config = shared.current();
    shared.places.set_max(config.network.connections as usize);
    shared.slots.set_total(config.sharing.upload_slots_total);
    apply_limits(shared);
    shared.shards().iter().for_each(|shard| shard.send(Command::Bounds));
    shared.steward.notify_one();
    shared.rescheduled.notify_one();
}

/// Puts the rate limits of the moment in force.
fn apply_limits(shared: &Shared) {
    let now = clock::local_now();
    let limits = Arc::new(Limits {
        global: global(&shared.current(), now),
        categories: shared.categories.limits(),
    });
    if *shared.governor.limits() != *limits {
        info!(global = ?limits.global, "other rate limits are in force");
        shared.governor.set_limits(clock::now(), &limits);
        shared.shards().iter().for_each(|shard| shard.send(Command::Limits));
    }
}

/// The limits at the start.
pub(super) fn limits(config: &Config, categories: &super::categories::Categories) -> Limits {
    Limits { global: global(config, clock::local_now()), categories: categories.limits() }
}

/// The limits of all torrents together at a time of the week, in bytes a second: those of the first
/// hours that hold, else those of every day.
fn global(config: &Config, now: LocalTime) -> [Option<NonZeroU64>; 2] {
    let limits = &config.limits;
    let hours = limits.schedule.iter().find(|hours| hours.hold(now));
    let [up, down] = hours.map_or([limits.upload_kib_s, limits.download_kib_s], |hours| {
        [hours.upload_kib_s, hours.download_kib_s]
    });
    [up, down].map(|kib| NonZeroU64::new(u64::from(kib) * 1024))
}

/// Follows the schedule. The wall clock is looked at anew each time, so that a clock that was wrong,
/// or jumps, is wrong for moments only.
pub(super) async fn follow_schedule(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let rescheduled = Arc::clone(&strong.rescheduled);
        let changed = rescheduled.notified();
        let any = !strong.current().limits.schedule.is_empty();
        drop(strong);
        if any {
            let _ = tokio::time::timeout(SCHEDULE_INTERVAL, changed).await;
        } else {
            changed.await;
        }
        let Some(strong) = shared.upgrade() else { return };
        apply_limits(&strong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Day;
    use std::path::Path;

    #[test]
    fn the_first_hours_that_hold_are_in_force() {
        let text = "[limits]\nupload_kib_s = 1\n\
            [[limits.schedule]]\nfrom = '8:00'\nto = '9:00'\nupload_kib_s = 2\n\
            [[limits.schedule]]\nfrom = '8:30'\nto = '10:00'\ndownload_kib_s = 3";
        let config = Config::parse(text, Path::new("")).expect("it is right");
        let at = |minute| global(&config, LocalTime { day: Day::Mon, minute });
        let kib = |up, down| [up, down].map(|kib: u64| NonZeroU64::new(kib * 1024));
        assert_eq!(at(7 * 60), kib(1, 0));
        assert_eq!(at(8 * 60 + 45), kib(2, 0));
        assert_eq!(at(9 * 60), kib(0, 3));
    }

    #[test]
    fn some_settings_are_live() {
        for (setting, expected) in [
            ("limits.upload_kib_s", true),
            ("network.connections", true),
            ("network.port", false),
            ("limits", true),
            ("api.password", false),
        ] {
            assert_eq!(is_live(setting), expected, "{setting}");
        }
    }

    #[test]
    fn comments_stay_where_they_are() {
        let text = "# mine\n[limits] # here\nupload_kib_s = 5 # slow\n";
        let mut document: toml_edit::DocumentMut = text.parse().expect("TOML");
        edit(&mut document, "limits", "download_kib_s", Some(&7.into()));
        edit(&mut document, "queue", "downloads", Some(&3.into()));
        let expected = format!("{text}download_kib_s = 7\n\n[queue]\ndownloads = 3\n");
        assert_eq!(document.to_string(), expected);
        edit(&mut document, "queue", "downloads", None);
        assert!(!document.to_string().contains("downloads"));
    }
}
