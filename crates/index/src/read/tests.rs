//! Documents of each kind, right and wrong.

use super::*;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use proptest::prelude::*;
use std::io::Write as _;

fn check(format: Format, source: &[u8], title: &str, text: &str) {
    let document = read(format, source).unwrap();
    assert_eq!((document.title.as_str(), document.text.as_str()), (title, text), "{format:?}");
}

#[test]
fn the_encoding_of_a_text_is_found_out() {
    check(Format::Text, "größe".as_bytes(), "", "größe");
    check(Format::Text, b"gr\xf6\xdfe \x80", "", "größe €");
    check(Format::Text, b"\xef\xbb\xbfgr\xc3\xb6\xc3\x9fe", "", "größe");
    let text = "größe: 東京";
    let little = text.encode_utf16().flat_map(u16::to_le_bytes);
    check(Format::Text, &[0xff, 0xfe].into_iter().chain(little).collect::<Vec<_>>(), "", text);
    let big = text.encode_utf16().flat_map(u16::to_be_bytes);
    check(Format::Text, &[0xfe, 0xff].into_iter().chain(big).collect::<Vec<_>>(), "", text);
    assert!(read(Format::Text, b"\x7fELF\0\0\0").is_err());
    check(Format::Text, b"  one\r\n\r\n\r\n\r\ntwo\x1b[0m  \n", "", "one\n\ntwo[0m");
    check(Format::Text, b"", "", "");
}

#[test]
fn of_markdown_the_words_stay() {
    let source = "---\ntags: [a]\n---\n# The *Whale* #\n\nSee [the sea](https://example.org/x), or `fish`.\n\
                  ```\ncode(1)\n```\n---\n> - **quoted**\n";
    let text = "The Whale\n\nSee the sea, or fish.\ncode(1)\n\n- quoted";
    check(Format::Markdown, source.as_bytes(), "The Whale", text);
}

#[test]
fn of_html_is_read_what_is_shown() {
    let source = "<!DOCTYPE html><html><head><title>Sea &amp; sky</title><style>p{}</style>\
        <script>if (a<b) x('</p>')</script></head><body><!-- hidden > --><h1>The  sea</h1>\
        <p title=\"a > b\">is <b>wi</b>de &eacute;&#x263a;&nosuch; &lt;b&gt; 1 < 2<p>End<br/>of it";
    let text = "The sea\nis wide é☺&nosuch; <b> 1 < 2\nEnd\nof it";
    check(Format::Html, source.as_bytes(), "Sea & sky", text);
    check(Format::Html, b"<meta charset='iso-8859-5'><p>\xbc\xde\xdd\xd0", "", "Мона");
    check(Format::Html, b"<?xml encoding=\"koi8-r\"?><p>\xed\xcf\xce\xc1", "", "Мона");
    for open in ["<script>x", "<!-- x", "<a href=\"x", "<", "<title>x", "&", "&#x;", "<![CDATA["] {
        assert!(read(Format::Html, format!("a{open}").as_bytes()).unwrap().text.starts_with('a'));
    }
}

/// An archive of some files.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut all, mut directory) = (Vec::new(), Vec::new());
    for (number, (name, content)) in files.iter().enumerate() {
        let (method, packed) = match number % 2 {
            0 => (0u16, content.to_vec()),
            _ => {
                let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
                packer.write_all(content).unwrap();
                (8, packer.finish().unwrap())
            }
        };
        let header = all.len() as u32;
        let sizes = [packed.len() as u32, content.len() as u32];
        let mut fields = Vec::new();
        fields.extend([20, 0, method, 0, 0].into_iter().flat_map(u16::to_le_bytes));
        fields.extend([0, sizes[0], sizes[1]].into_iter().flat_map(u32::to_le_bytes));
        fields.extend([name.len() as u16, 0].into_iter().flat_map(u16::to_le_bytes));
        all.extend(b"PK\x03\x04");
        all.extend(&fields);
        all.extend(name.as_bytes());
        all.extend(packed);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&fields);
        directory.extend([0u8; 10]);
        directory.extend(header.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, length) = (all.len() as u32, directory.len() as u32);
    all.extend(directory);
    all.extend(b"PK\x05\x06\0\0\0\0");
    all.extend([files.len() as u16; 2].into_iter().flat_map(u16::to_le_bytes));
    all.extend([length, start].into_iter().flat_map(u32::to_le_bytes));
    all.extend([0, 0]);
    all
}

fn book() -> Vec<u8> {
    let container =
        br#"<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>"#;
    let package = br##"<package><metadata><dc:title id="t">The &lt;Whale&gt;</dc:title></metadata><manifest>
        <item id="two" href="text/2%20b.xhtml#start" media-type="application/xhtml+xml"/>
        <item id='one' href='./one.xhtml'/><item id="css" href="style.css"/></manifest>
        <spine><itemref idref="one"/><itemref idref="two"/><itemref idref="gone"/></spine></package>"##;
    zip(&[
        ("mimetype", b"application/epub+zip"),
        ("META-INF/container.xml", container),
        ("OPS/book.opf", package),
        ("OPS/text/2 b.xhtml", b"<html><body><p>Second part.</p></body></html>"),
        (
            "OPS/one.xhtml",
            b"<html><head><title>One</title></head><body><p>First part.</p></body></html>",
        ),
    ])
}

#[test]
fn the_pages_of_a_book_are_read_in_their_order() {
    check(Format::Epub, &book(), "The <Whale>", "First part.\n\nSecond part.");
    // Without a package the pages are read as they come.
    let pages = zip(&[("a.html", b"<p>One"), ("b.xhtml", b"<p>Two")]);
    check(Format::Epub, &pages, "", "One\n\nTwo");
    assert!(read(Format::Epub, &zip(&[("a.css", b"p{}")])).is_err());
    assert!(read(Format::Epub, b"PK").is_err());
}

#[test]
fn a_bomb_is_not_unpacked() {
    let zeros = vec![b' '; 70 << 20];
    let book = zip(&[("a.html", b"<p>One"), ("b.html", &zeros), ("c.html", b"<p>Three")]);
    assert!(book.len() < 1 << 20);
    check(Format::Epub, &book, "", "One\n\nThree");
}

/// A document of one page that shows some lines.
fn pdf(lines: &[&str]) -> Vec<u8> {
    let shown: String = lines.iter().map(|line| format!("({line}) Tj T* ")).collect();
    let content = format!("BT /F1 12 Tf 14 TL 72 720 Td {shown}ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R \
         >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        "<< /Title (On Whales) >>".to_owned(),
    ];
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        places.push(out.len());
        write!(out, "{number} 0 obj\n{object}\nendobj\n").unwrap();
    }
    let xref = out.len();
    write!(out, "xref\n0 {}\n0000000000 65535 f \n", places.len() + 1).unwrap();
    places.iter().for_each(|place| writeln!(out, "{place:010} 00000 n ").unwrap());
    let count = places.len() + 1;
    write!(out, "trailer\n<< /Size {count} /Root 1 0 R /Info 6 0 R >>\nstartxref\n{xref}\n%%EOF\n")
        .unwrap();
    out
}

#[test]
fn the_text_of_a_pdf_is_read() {
    let document = read(Format::Pdf, &pdf(&["The carpenter sang", "of silver anchors."])).unwrap();
    assert_eq!(document.title, "On Whales");
    let words: Vec<&str> = document.text.split_whitespace().collect();
    assert_eq!(words.join(" "), "The carpenter sang of silver anchors.");
    assert!(read(Format::Pdf, b"%PDF-1.4 and no more").is_err());
}

#[test]
fn a_format_is_known_by_the_end_of_a_name() {
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.name()), Some(format));
    }
    assert_eq!(Format::of_name("a/b.c/Book.EPUB"), Some(Format::Epub));
    assert_eq!(Format::of_name("README"), None);
    assert_eq!(Format::of_name("a.exe"), None);
}

proptest! {
    #[test]
    fn any_page_is_read_without_harm(source in "(<[a-z/!?]{0,7}|[a-z ]{0,5}|[\"'>&;=-]|&[a-z]{1,6};|<script>|<!--){0,60}") {
        let document = read(Format::Html, source.as_bytes()).unwrap();
        prop_assert!(document.text.len() <= source.len() * 2);
    }

    #[test]
    fn a_damaged_document_does_no_harm(at in any::<prop::sample::Index>(), byte: u8, end in any::<prop::sample::Index>()) {
        for (format, mut bytes) in [(Format::Epub, book()), (Format::Pdf, pdf(&["some text"]))] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = read(format, &bytes);
            bytes.truncate(end.index(bytes.len()));
            let _ = read(format, &bytes);
        }
    }
}
