//! Where a web seed has a file (BEP 19): the torrent's path after the URL of a folder, percent-encoded
//! component by component (RFC 3986), or the URL as it stands.

use crate::metainfo::{File, Metainfo};

/// The URL of a file of the torrent.
///
/// A torrent of one file names the file itself, or with a slash at the end the folder that it is
/// in. A torrent of several files names the folder in which the torrent's own folder is, with a slash
/// at the end or without.
pub(super) fn file_url(base: &str, metainfo: &Metainfo, file: &File) -> String {
    let is_folder = metainfo.files().len() > 1 || file.path().contains('/');
    let mut url = base.to_owned();
    if !is_folder && !base.ends_with('/') {
        return url;
    }
    if !base.ends_with('/') {
        url.push('/');
    }
    for (at, component) in file.components().enumerate() {
        if at > 0 {
            url.push('/');
        }
        escape(component, &mut url);
    }
    url
}

/// Appends text with everything escaped but what stands for itself in any part of a URL.
fn escape(text: &str, url: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                url.push(char::from(byte));
            }
            _ => {
                url.push('%');
                url.push(char::from(DIGITS[usize::from(byte >> 4)]));
                url.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

/// Whether a server under this URL can be asked at all.
pub(super) fn is_web(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| s.eq_ignore_ascii_case("http") || s.eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::torrent;
    use super::*;

    #[test]
    fn urls_of_files() {
        let check = |files: &[(&str, i64)], base: &str, expected: &[&str]| {
            let metainfo = torrent(16384, files);
            let urls: Vec<_> =
                metainfo.files().iter().map(|f| file_url(base, &metainfo, f)).collect();
            assert_eq!(urls, expected, "{files:?}");
        };
        let one = &[("a b.bin", 5)][..];
        check(one, "http://h/x?y=1", &["http://h/x?y=1"]);
        check(one, "http://h/x/", &["http://h/x/a%20b.bin"]);
        let several = &[("t/a#1", 5), ("t/ü/100%", 5)][..];
        let urls = &["http://h/x/t/a%231", "http://h/x/t/%C3%BC/100%25"][..];
        check(several, "http://h/x", urls);
        check(several, "http://h/x/", urls);
        // A folder with one file in it is a folder.
        check(&[("t/a", 5)], "http://h", &["http://h/t/a"]);
    }

    #[test]
    fn only_the_web_is_asked() {
        assert!(is_web("http://h/") && is_web("HTTPS://h/"));
        assert!(!is_web("ftp://h/") && !is_web("http:/h") && !is_web(""));
    }
}
