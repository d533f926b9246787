//! `docs/config.md`, written from the definitions of the settings.

use super::section::Section;
use super::{
    Api, Config, Crawler, Dht, Limits, Mail, Network, Overlay, Queue, Runtime, Search, Seeding,
    Sharing, Storage, Torznab, Trackers, Watch, WebSeeds,
};
use std::fmt::Write as _;

const SECTIONS: [Section; 17] = [
    Network::SECTION,
    Sharing::SECTION,
    Limits::SECTION,
    Queue::SECTION,
    Seeding::SECTION,
    Watch::SECTION,
    Storage::SECTION,
    Trackers::SECTION,
    Dht::SECTION,
    Overlay::SECTION,
    Search::SECTION,
    Mail::SECTION,
    Crawler::SECTION,
    Torznab::SECTION,
    WebSeeds::SECTION,
    Api::SECTION,
    Runtime::SECTION,
];

const HEAD: &str = "\
# Configuration

`config.toml` lies in the data folder; `althing config` says where that is. All settings are optional, and a
setting that does not exist is an error, so that a typing mistake does not pass for a default.

This page is generated from `crates/node/src/config/mod.rs`.
";

pub(super) fn page() -> String {
    let defaults = toml::Table::try_from(Config::default()).expect("the defaults are valid TOML");
    let mut page = HEAD.to_owned();
    for section in SECTIONS {
        let table = defaults.get(section.name).and_then(toml::Value::as_table);
        write!(page, "\n## [{}]\n\n{}\n\n", section.name, joined(section.doc))
            .expect("writing to a string");
        page.push_str("| setting | default | meaning |\n| --- | --- | --- |\n");
        for field in section.fields {
            let default = table.and_then(|table| table.get(field.name));
            let default = default.map(ToString::to_string).unwrap_or_default();
            writeln!(page, "| `{}` | `{default}` | {} |", field.name, joined(field.doc))
                .expect("writing to a string");
        }
    }
    page
}

fn joined(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_row_with_its_default() {
        let defaults = toml::Table::try_from(Config::default()).expect("valid TOML");
        let page = page();
        assert_eq!(defaults.len(), SECTIONS.len());
        for (name, table) in &defaults {
            assert!(page.contains(&format!("## [{name}]")), "{name}");
            for (field, value) in table.as_table().expect("a section is a table") {
                let row = format!("| `{field}` | `{value}` | ");
                let row = page.lines().find(|line| line.starts_with(&row));
                let meaning = row.expect(field).rsplit('|').nth(1).expect("three cells");
                assert!(meaning.trim().len() > 10, "{field} says nothing");
            }
        }
    }

    #[test]
    fn the_committed_page_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");
        if std::env::var_os("ALTHING_BLESS").is_some() {
            std::fs::write(path, page()).expect("docs/ is there and writable");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == page(), "docs/config.md is stale: run this test with ALTHING_BLESS=1");
    }
}
