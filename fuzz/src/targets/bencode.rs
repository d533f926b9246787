//! Bencode: what is parsed is written the same again, if it was canonical.

use althing_base::bencode::{Document, Encoder, Kind, Limits, Value};

/// Parses any bytes, looks at every value, and writes them again.
pub fn run(data: &[u8]) {
    let Ok((document, used)) = Document::parse_prefix(data, &Limits::default()) else { return };
    let text = &data[..used];
    assert_eq!(document.root().raw(), text);
    assert_eq!(Document::parse(data, &Limits::default()).is_ok(), used == data.len());
    look(document.root(), text);
    if document.is_canonical() {
        let mut out = Encoder::new();
        write(document.root(), &mut out);
        assert_eq!(out.finish(), text, "written otherwise");
    }
}

/// Checks every value against the bytes where it says that it stands.
fn look(value: Value<'_>, text: &[u8]) {
    let raw = &text[value.span()];
    assert_eq!(raw, value.raw());
    match value.kind() {
        Kind::Int => {
            let int = value.as_int().expect("an integer");
            assert_eq!(raw, format!("i{int}e").as_bytes());
        }
        Kind::Bytes => {
            let bytes = value.as_bytes().expect("a string");
            assert_eq!(raw, [format!("{}:", bytes.len()).as_bytes(), bytes].concat());
        }
        Kind::List => value.as_list().expect("a list").for_each(|value| look(value, text)),
        Kind::Dict => {
            let dict = value.as_dict().expect("a dictionary");
            assert_eq!(&text[dict.span()], raw);
            for (key, value) in dict.iter() {
                look(value, text);
                assert!(dict.get(key).is_some());
            }
        }
    }
}

fn write(value: Value<'_>, out: &mut Encoder) {
    match value.kind() {
        Kind::Int => out.int(value.as_int().expect("an integer")),
        Kind::Bytes => out.bytes(value.as_bytes().expect("a string")),
        Kind::List => out.list(|out| {
            value.as_list().expect("a list").for_each(|value| write(value, out));
        }),
        Kind::Dict => out.dict(|out| {
            for (key, value) in value.as_dict().expect("a dictionary").iter() {
                out.key(key);
                write(value, out);
            }
        }),
    }
}
