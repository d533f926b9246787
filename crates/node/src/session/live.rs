//! Settings that change while the session runs.

use super::categories::Category;
use super::settings::change_settings;
use super::shared::Shared;
use super::{ChangeConfigError, CommandError, Session};
use crate::clock;
use crate::config::file::{self, Changes, Draft};
use crate::config::{Config, LocalTime};
use crate::limits::SCHEDULE_INTERVAL;
use crate::rates::Limits;
use crate::shard::Command;
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
    pub fn change_config(&self, changes: &Changes) -> Result<ConfigChanged, ChangeConfigError> {
        let path = self.shared.paths.config();
        let _changing = self.shared.changing_config();
        let draft = Draft::of(&path, changes)?;
        let unusable = |reason: String| file::unusable(&path, reason);
        let mut running = toml::Table::try_from(&*self.shared.current())
            .map_err(|error| unusable(error.to_string()))?;
        let mut changed = ConfigChanged::default();
        for (setting, value) in changes {
            if is_live(setting) {
                let (section, name) = file::split(setting)?;
                set(&mut running, section, name, value.clone());
                changed.in_force.push(setting.clone());
            } else {
                changed.at_next_start.push(setting.clone());
            }
        }
        let running = toml::to_string(&running).map_err(|error| unusable(error.to_string()))?;
        let running =
            Config::parse(&running, &path).map_err(|error| file::refused(error, changes))?;
        draft.write()?;
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
}
