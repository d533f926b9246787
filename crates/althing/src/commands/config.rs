//! `config`: the settings in force, where they come from, and which there are.

use crate::cli::{Config as Args, ConfigCommand, Global};
use crate::daemon;
use crate::exit::Failure;
use crate::screen::Screen;
use althing_node::Config;
use althing_node::api::types::ConfigInfo;
use althing_node::paths::Paths;

pub(super) fn config(global: &Global, args: &Args, screen: &Screen) -> Result<(), Failure> {
    let dir = daemon::data_dir(global)?;
    let path = Paths::new(&dir).config();
    let shown = path.to_string_lossy();
    match &args.what {
        Some(ConfigCommand::Path) => {
            screen.value(&shown, false);
            screen.result(&shown);
        }
        Some(ConfigCommand::Reference) => screen.result(Config::reference().trim_end()),
        // Another command changes them.
        Some(ConfigCommand::Show | ConfigCommand::Set(_)) | None => {
            let config = daemon::config(&dir)?.without_secrets();
            let there = if path.exists() { "" } else { " (not there: every setting is a default)" };
            screen.note(&format!("# {shown}{there}"));
            screen.result(config.to_toml().trim_end());
            let settings = serde_json::to_value(&config).expect("settings have only string keys");
            screen.value(&ConfigInfo { path: shown.into_owned(), settings }, false);
        }
    }
    Ok(())
}
