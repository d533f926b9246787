use super::*;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::BTreeMap;

/// An element: its name, its attributes, and the text that follows.
type Element = (String, BTreeMap<String, String>, String);

/// Reads all of a document with a parser that is not ours.
fn read(xml: &str) -> Vec<Element> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut all: Vec<Element> = Vec::new();
    loop {
        match reader.read_event().expect("it is XML") {
            Event::Start(start) | Event::Empty(start) => {
                let name = String::from_utf8(start.name().as_ref().to_vec()).expect("text");
                let attributes = start.attributes().map(|attribute| {
                    let attribute = attribute.expect("an attribute");
                    let key = String::from_utf8(attribute.key.as_ref().to_vec()).expect("text");
                    let value = quick_xml::escape::unescape(
                        std::str::from_utf8(&attribute.value).expect("text"),
                    );
                    (key, value.expect("it is escaped").into_owned())
                });
                all.push((name, attributes.collect(), String::new()));
            }
            Event::Text(text) => {
                let text = text.decode().expect("text");
                if let Some((_, _, said)) = all.last_mut() {
                    said.push_str(text.trim());
                }
            }
            Event::GeneralRef(reference) => {
                let name = reference.decode().expect("text");
                let meant =
                    quick_xml::escape::unescape(&format!("&{name};")).expect("known").into_owned();
                if let Some((_, _, said)) = all.last_mut() {
                    said.push_str(&meant);
                }
            }
            Event::Eof => return all,
            _ => {}
        }
    }
}

fn item(name: &str) -> Item {
    Item {
        name: name.to_owned(),
        about: "About <it> & more".to_owned(),
        info_hash: "6b".repeat(20),
        magnet: "magnet:?xt=urn:btih:6b6b&dn=a%20name".to_owned(),
        size: 1_500,
        files: 2,
        categories: vec![5000, 5040],
        seeders: Some(3),
        published: UnixTime(1_784_000_000),
    }
}

/// Compares with a file; `ALTHING_BLESS=1` writes it.
fn check_golden(name: &str, made: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/torznab/golden/");
    let path = std::path::Path::new(path).join(name);
    if std::env::var_os("ALTHING_BLESS").is_some() {
        std::fs::write(&path, made).expect("it is written");
    }
    assert_eq!(made, std::fs::read_to_string(&path).expect("it is there"), "{name}");
}

#[test]
fn what_is_answered_is_what_it_was() {
    check_golden("feed.xml", &(xml::feed(&[item("A Show S01E02 1080p")], 0, 1) + "\n"));
    // The version is that of the crate.
    let version = format!("version=\"{}\" title", env!("CARGO_PKG_VERSION"));
    let caps = xml::caps().replace(&version, "version=\"VERSION\" title");
    check_golden("caps.xml", &(caps + "\n"));
}

#[test]
fn programs_find_what_they_look_for() {
    let all = read(&xml::feed(&[item("A Show S01E02 1080p")], 0, 1));
    let only = |name: &str| {
        let found: Vec<_> = all.iter().filter(|(other, _, _)| other == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0].clone()
    };
    let (_, attributes, _) = only("rss");
    assert_eq!(attributes["xmlns:torznab"], "http://torznab.com/schemas/2015/feed");
    let (_, enclosure, _) = only("enclosure");
    assert!(enclosure["url"].starts_with("magnet:?xt=urn:btih:"));
    assert_eq!((&*enclosure["length"], &*enclosure["type"]), ("1500", "application/x-bittorrent"));
    assert_eq!(only("pubDate").2, "Tue, 14 Jul 2026 03:33:20 +0000");
    let named = |wanted: &str| {
        let attributes = all.iter().filter(|(name, _, _)| name == "torznab:attr");
        let values = attributes.filter(|(_, attributes, _)| attributes["name"] == wanted);
        values.map(|(_, attributes, _)| attributes["value"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(named("category"), ["5000", "5040"]);
    assert_eq!((named("seeders"), named("files")), (vec!["3".to_owned()], vec!["2".to_owned()]));
    assert_eq!(named("infohash")[0].len(), 40);
    let caps = read(&xml::caps());
    let supported = |name: &str| {
        let (_, attributes, _) = caps.iter().find(|(other, _, _)| other == name).expect(name);
        assert_eq!(attributes["available"], "yes");
        attributes["supportedParams"].clone()
    };
    assert_eq!(supported("search"), "q");
    assert_eq!(supported("tv-search"), "q,season,ep");
}

#[test]
fn nothing_that_strangers_write_is_taken_for_xml() {
    let names = [
        "</title></item><error code=\"100\"/>",
        "\"><script>alert(1)</script>",
        "a & b &lt; c ]]> d",
        "&#x0; \u{0} \u{b} \u{fffe} \u{1b}[31m",
        "日本語 'x' \u{1f600}",
        "",
    ];
    for name in names {
        let one = Item { magnet: name.to_owned(), about: name.to_owned(), ..item(name) };
        let all = read(&xml::feed(&[one], 0, 1));
        assert!(
            all.iter().all(|(element, _, _)| element != "error" && element != "script"),
            "{name}"
        );
        let count = |wanted: &str| all.iter().filter(|(element, _, _)| element == wanted).count();
        assert_eq!((count("item"), count("enclosure")), (1, 1), "{name}");
        // The channel has the first.
        let title =
            all.iter().filter(|(element, _, _)| element == "title").nth(1).expect("a title");
        let expected: String = name
            .chars()
            .map(|c| if c.is_control() || c == '\u{fffe}' { '\u{fffd}' } else { c })
            .collect();
        assert_eq!(title.2.replace(' ', ""), expected.replace(' ', ""), "{name}");
        let error = xml::error(&Refused::NoFunction(name.to_owned()));
        let (_, attributes, _) = &read(&error)[0];
        assert_eq!(attributes["code"], "202");
    }
}

#[test]
fn errors_have_their_numbers() {
    let golden = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error code=\"200\" description=\"Missing parameter: t\"/>";
    assert_eq!(xml::error(&Refused::Missing("t")), golden);
    for (refused, code) in [(Refused::Credentials, 100), (Refused::Incorrect("cat"), 201)] {
        assert_eq!(refused.code(), code);
    }
    assert_eq!(Refused::Disabled.code(), 910);
}

#[test]
fn times_out_of_this_world_are_written_too() {
    for time in [i64::MIN, -1, 0, i64::MAX] {
        let one = Item { published: UnixTime(time), ..item("x") };
        let all = read(&xml::feed(&[one], 0, 1));
        let (_, _, date) = all.iter().find(|(name, _, _)| name == "pubDate").expect("a date");
        assert!(date.ends_with("+0000"), "{date}");
    }
}
