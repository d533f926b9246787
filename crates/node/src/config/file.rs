//! Changing `config.toml`: what else stands in it, comments and order too, stays as it is.

use super::{Config, ConfigError};
use crate::limits::CONFIG_BYTES_MAX;
use crate::session::ChangeConfigError;
use althing_store::atomic::{self, Access};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Settings by their names, as in `limits.upload_kib_s`, and what they are to be; `None` takes one back to its
/// default.
pub type Changes = BTreeMap<String, Option<toml::Value>>;

/// The file as it will be: found right as a whole, for the next start reads what is written.
#[derive(Clone, Debug)]
pub struct Draft {
    path: PathBuf,
    text: String,
}

impl Draft {
    /// The file at a path with these changes; if it is not there, every setting is a default.
    ///
    /// # Errors
    /// If a setting does not exist or cannot have such a value, or the file cannot be used as it is.
    pub fn of(path: &Path, changes: &Changes) -> Result<Self, ChangeConfigError> {
        let unusable = |reason: String| unusable(path, reason);
        let before = match std::fs::read_to_string(path) {
            Ok(text) if text.len() > CONFIG_BYTES_MAX => {
                return Err(unusable("it is too large".to_owned()));
            }
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unusable(error.to_string())),
        };
        let mut document: toml_edit::DocumentMut =
            before.parse().map_err(|error: toml_edit::TomlError| unusable(error.to_string()))?;
        for (setting, value) in changes {
            let (section, name) = split(setting)?;
            edit(&mut document, section, name, value.as_ref());
        }
        let text = document.to_string();
        Config::parse(&text, path).map_err(|error| refused(error, changes))?;
        Ok(Draft { path: path.to_owned(), text })
    }

    /// Writes it; it is durable when this returns.
    ///
    /// # Errors
    /// If it cannot be written; then the file is as it was.
    pub fn write(self) -> Result<(), ChangeConfigError> {
        let written = atomic::write(&self.path, self.text.as_bytes(), Access::OwnerOnly);
        written.map_err(|error| unusable(&self.path, error.to_string()))
    }
}

/// Section and name of a setting.
pub(crate) fn split(setting: &str) -> Result<(&str, &str), ChangeConfigError> {
    let unknown = || ChangeConfigError::Unknown { setting: setting.to_owned() };
    setting.split_once('.').ok_or_else(unknown)
}

pub(crate) fn unusable(path: &Path, reason: String) -> ChangeConfigError {
    ChangeConfigError::File { path: path.to_owned(), reason }
}

/// Why these changes make no settings.
pub(crate) fn refused(error: ConfigError, changes: &Changes) -> ChangeConfigError {
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_file_is_changed_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        let changes =
            |setting: &str, value: toml::Value| Changes::from([(setting.to_owned(), Some(value))]);
        // It is made where there is none.
        let overlay = changes("overlay.enabled", false.into());
        Draft::of(&path, &overlay).expect("a setting").write().expect("it is written");
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert_eq!(text, "[overlay]\nenabled = false\n");
        for (setting, value) in [
            ("overlay.enabled", toml::Value::from(5)),
            ("overlay.nothing", true.into()),
            ("nothing", true.into()),
        ] {
            let refused =
                Draft::of(&path, &changes(setting, value)).expect_err("it makes no sense");
            assert!(refused.to_string().contains("althing config reference"), "{refused}");
        }
        std::fs::write(&path, "not a setting").expect("it is written");
        let error = Draft::of(&path, &overlay).expect_err("it is no settings");
        assert!(matches!(error, ChangeConfigError::File { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "not a setting");
    }
}
