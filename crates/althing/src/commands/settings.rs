//! `limit`, `tag`, `category`, `queue` and `config set`: what is set for torrents and for all.

use super::list::short_id;
use crate::cli::{CategoryArgs, ConfigSet, Global, Limit, QueueArgs, QueueWay, RateArg, Tag};
use crate::client::{self, Client, torrent_path};
use crate::daemon::{data_dir, running};
use crate::exit::{Exit, Failure};
use crate::screen::{Screen, text, units};
use althing_node::api::types::{
    Category, ChangeRequest, ConfigChange, ConfigInfo, NoLimit, QueueMove, QueuePlace,
    QueueRequest, RatioLimit, TimeLimit, TorrentDetail,
};
use althing_node::config::file::Draft;
use althing_node::paths::Paths;
use http::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) async fn limit(global: &Global, args: Limit, screen: &Screen) -> Result<(), Failure> {
    let client = running(global).await?;
    if args.ids.is_empty() {
        let mut changes = Map::new();
        for (name, rate) in [("upload_kib_s", args.up), ("download_kib_s", args.down)] {
            if let Some(rate) = rate {
                changes.insert(format!("limits.{name}"), json!(rate.kib_per_s()));
            }
        }
        let counts =
            [("sharing.upload_slots_total", args.slots), ("network.connections", args.connections)];
        for (setting, count) in counts {
            if let Some(count) = count {
                changes.insert(setting.to_owned(), json!(count));
            }
        }
        if args.ratio.is_some() || args.seed_time.is_some() {
            return Err(Failure::new(
                "--ratio and --seed-time are limits of single torrents, and none is named",
                "name one, as in `althing limit ID --ratio 2`; for all, `althing config set \
                 seeding.ratio 2` or `seeding.minutes`",
            )
            .with_exit(Exit::Usage));
        }
        if changes.is_empty() {
            let config: ConfigInfo = client.get("/config").await?;
            screen.value(&config.settings["limits"], false);
            screen.result(&limits_of_all(&config.settings));
            return Ok(());
        }
        let changed: ConfigChange = client.patch("/config", &Value::Object(changes)).await?;
        screen.value(&changed, false);
        for (word, rate) in [("sent", args.up), ("received", args.down)] {
            if let Some(rate) = rate {
                screen.note(&format!("All torrents together: {} {word}.", rate_words(rate)));
            }
        }
        match args.slots {
            Some(0) => {
                screen.note("All torrents together: as many upload slots as the line takes.");
            }
            Some(slots) => screen.note(&format!("All torrents together: {slots} upload slots.")),
            None => {}
        }
        if let Some(connections) = args.connections {
            screen.note(&format!("All torrents together: {connections} connections."));
        }
        return Ok(());
    }
    let change = ChangeRequest {
        upload_limit_bytes_per_s: args.up.map(|rate| rate.bytes_per_s),
        download_limit_bytes_per_s: args.down.map(|rate| rate.bytes_per_s),
        ratio_limit: args.ratio.map(|ratio| ratio.0),
        seed_time_limit_s: args.seed_time.map(|time| time.0),
        upload_slots: args.slots,
        connections: args.connections,
        ..ChangeRequest::default()
    };
    for detail in change_each(&client, &args.ids, &change, screen).await? {
        let settings = &detail.settings;
        let rate = |limit: Option<u64>| limit.map_or("no limit".to_owned(), units::rate);
        let count = |count: Option<u32>, what: &str| {
            count.map_or(String::new(), |count| format!(", {count} {what}"))
        };
        screen.note(&format!(
            "{}: up {}, down {}, {}, {}{}{}",
            named(&detail),
            rate(settings.upload_limit_bytes_per_s),
            rate(settings.download_limit_bytes_per_s),
            ratio_words(settings.ratio_limit),
            time_words(settings.seed_time_limit_s),
            count(settings.upload_slots, "upload slots"),
            count(settings.connections, "connections"),
        ));
    }
    Ok(())
}

/// What is set for all torrents together.
fn limits_of_all(settings: &Value) -> String {
    let number = |section: &str, name: &str| settings[section][name].as_u64().unwrap_or(0);
    let rate = |name| match number("limits", name) {
        0 => "no limit".to_owned(),
        kib => format!("{kib} KiB/s"),
    };
    let slots = match number("sharing", "upload_slots_total") {
        0 => "as many as the line takes".to_owned(),
        slots => slots.to_string(),
    };
    let hours = settings["limits"]["schedule"].as_array().map_or(0, Vec::len);
    let hours = match hours {
        0 => "",
        _ => "; other limits at certain hours, see `althing config`",
    };
    format!(
        "All torrents together: up {}, down {}, upload slots {slots}, connections {}{hours}.",
        rate("upload_kib_s"),
        rate("download_kib_s"),
        number("network", "connections"),
    )
}

fn rate_words(rate: RateArg) -> String {
    match rate.kib_per_s() {
        0 => "no limit on what is".to_owned(),
        kib => format!("at most {kib} KiB/s"),
    }
}

fn ratio_words(limit: RatioLimit) -> String {
    match limit {
        RatioLimit::Ratio(ratio) => format!("until ratio {ratio}"),
        RatioLimit::Word(NoLimit::Never) => "whatever the ratio".to_owned(),
        RatioLimit::Word(NoLimit::Inherited) => "ratio as set for all".to_owned(),
    }
}

fn time_words(limit: TimeLimit) -> String {
    match limit {
        TimeLimit::Seconds(seconds) => format!("shared for {} min", seconds / 60),
        TimeLimit::Word(NoLimit::Never) => "shared for ever".to_owned(),
        TimeLimit::Word(NoLimit::Inherited) => "time as set for all".to_owned(),
    }
}

pub(super) async fn tag(global: &Global, args: Tag, screen: &Screen) -> Result<(), Failure> {
    let client = running(global).await?;
    let change = ChangeRequest {
        category: args.category,
        add_tags: args.add,
        remove_tags: args.remove,
        ..ChangeRequest::default()
    };
    for detail in change_each(&client, &args.torrents.ids, &change, screen).await? {
        let category = detail.torrent.category.as_deref().unwrap_or("none");
        let tags = match &detail.torrent.tags[..] {
            [] => "none".to_owned(),
            tags => tags.join(", "),
        };
        let (category, tags) = (text::escape(category), text::escape(&tags));
        screen.note(&format!("{}: category {category}, tags {tags}", named(&detail)));
    }
    Ok(())
}

/// Changes torrents one after the other.
async fn change_each(
    client: &Client,
    ids: &[String],
    change: &ChangeRequest,
    screen: &Screen,
) -> Result<Vec<TorrentDetail>, Failure> {
    let mut details = Vec::new();
    for id in ids {
        details.push(client.patch::<TorrentDetail>(&torrent_path(id, ""), change).await?);
    }
    screen.value(&details, false);
    Ok(details)
}

fn named(detail: &TorrentDetail) -> String {
    format!("{} {}", short_id(&detail.torrent.id), text::escape(&detail.torrent.name))
}

pub(super) async fn queue(
    global: &Global,
    args: QueueArgs,
    screen: &Screen,
) -> Result<(), Failure> {
    let client = running(global).await?;
    let to = match args.to {
        QueueWay::Top => QueueMove::Top,
        QueueWay::Up => QueueMove::Up,
        QueueWay::Down => QueueMove::Down,
        QueueWay::Bottom => QueueMove::Bottom,
    };
    let path = torrent_path(&args.torrent.id, "/queue");
    let place: QueuePlace = client.post(&path, &QueueRequest { to }).await?;
    screen.value(&place, false);
    screen.note(&format!("It is number {} in the queue.", place.position));
    Ok(())
}

pub(super) async fn category(
    global: &Global,
    args: CategoryArgs,
    screen: &Screen,
) -> Result<(), Failure> {
    let client = running(global).await?;
    let all: BTreeMap<String, Category> = client.get("/categories").await?;
    let Some(name) = args.name else {
        screen.value(&all, false);
        if all.is_empty() {
            screen
                .note("Nothing is set for any category. `althing category NAME --help` says how.");
        }
        all.iter().for_each(|(name, category)| screen.result(&line(name, category)));
        return Ok(());
    };
    let path = client::path("/categories/", &name);
    if args.remove {
        client.act(Method::DELETE, &path).await?;
        screen.note(&format!("{} is no category any more.", text::escape(&name)));
        return Ok(());
    }
    let mut category = all.get(&name).cloned().unwrap_or_default();
    if let Some(dir) = args.save_dir {
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        category.save_dir = Some(dir.to_string_lossy().into_owned());
    }
    if let Some(rate) = args.up {
        category.upload_limit_bytes_per_s = Some(rate.bytes_per_s);
    }
    if let Some(rate) = args.down {
        category.download_limit_bytes_per_s = Some(rate.bytes_per_s);
    }
    category.ratio_limit = args.ratio.map_or(category.ratio_limit, |ratio| ratio.0);
    category.seed_time_limit_s = args.seed_time.map_or(category.seed_time_limit_s, |time| time.0);
    let category: Category = client.put(&path, &category).await?;
    screen.value(&category, false);
    screen.note(&line(&name, &category));
    Ok(())
}

fn line(name: &str, category: &Category) -> String {
    let rate = |limit: Option<u64>| limit.map_or("no limit".to_owned(), units::rate);
    format!(
        "{}: files in {}, up {}, down {}, {}, {}",
        text::escape(name),
        category.save_dir.as_deref().map_or("the usual place".into(), text::escape),
        rate(category.upload_limit_bytes_per_s),
        rate(category.download_limit_bytes_per_s),
        ratio_words(category.ratio_limit),
        time_words(category.seed_time_limit_s),
    )
}

pub(super) async fn set(global: &Global, args: &ConfigSet, screen: &Screen) -> Result<(), Failure> {
    let value = match value_of(&args.value) {
        Value::String(path) if PATHS.contains(&args.setting.as_str()) && !path.is_empty() => {
            // The daemon may stand in another folder than whoever types this.
            json!(std::path::absolute(&path).unwrap_or_else(|_| path.into()).to_string_lossy())
        }
        value => value,
    };
    let dir = data_dir(global)?;
    let change: ConfigChange = match Client::find(&dir, global.api).await? {
        Some(client) => client.patch("/config", &json!({ &args.setting: value })).await?,
        None => write_down(&Paths::new(&dir).config(), &args.setting, value)?,
    };
    screen.value(&change, false);
    if change.in_force.is_empty() {
        screen
            .note(&format!("{} is written down; it takes effect at the next start.", args.setting));
    } else {
        screen.note(&format!("{} is in force, and written down.", args.setting));
    }
    Ok(())
}

/// Writes a setting into the file of a daemon that is not running.
fn write_down(path: &Path, setting: &str, value: Value) -> Result<ConfigChange, Failure> {
    let value = match value {
        Value::Null => None,
        value => Some(toml::Value::try_from(value).map_err(|error| Failure::sentence(&error))?),
    };
    let changes = BTreeMap::from([(setting.to_owned(), value)]);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Failure::sentence(&error))?;
    }
    let written = Draft::of(path, &changes).and_then(Draft::write);
    written.map_err(|error| Failure::sentence(&error))?;
    Ok(ConfigChange { in_force: Vec::new(), at_next_start: vec![setting.to_owned()] })
}

/// Settings that are a file or folder.
const PATHS: [&str; 3] = ["network.ip_filter", "storage.download_dir", "watch.dir"];

/// A value as it would stand in the file, or as JSON; what is neither is a text.
fn value_of(text: &str) -> Value {
    if let Ok(value) = text.parse() {
        return value;
    }
    let table = toml::from_str::<toml::Table>(&format!("value = {text}")).unwrap_or_default();
    let only = table.get("value").filter(|_| table.len() == 1);
    match only {
        // Times have no JSON of their own.
        Some(toml::Value::Datetime(_)) | None => json!(text),
        Some(value) => serde_json::to_value(value).unwrap_or_else(|_| json!(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_file_has_them() {
        for (text, value) in [
            ("500", json!(500)),
            ("1.5", json!(1.5)),
            ("true", json!(true)),
            ("pause", json!("pause")),
            ("'pause'", json!("pause")),
            ("08:00", json!("08:00")),
            ("", json!("")),
            ("a\nb = 1", json!("a\nb = 1")),
            ("1\nb = 1", json!("1\nb = 1")),
            (r#"["10.0.0.1"]"#, json!(["10.0.0.1"])),
            (
                r#"[{ from = "08:00", to = "18:00", upload_kib_s = 200 }]"#,
                json!([{ "from": "08:00", "to": "18:00", "upload_kib_s": 200 }]),
            ),
        ] {
            assert_eq!(value_of(text), value, "{text}");
        }
    }
}
