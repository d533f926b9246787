//! A tracker's URL, taken apart once (RFC 3986, as far as trackers need it).

use super::limits::URL_BYTES_MAX;
use std::fmt;

/// How a tracker is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scheme {
    /// BEP 3.
    Http,
    /// BEP 3, encrypted.
    Https,
    /// BEP 15.
    Udp,
}

/// A tracker's URL whose scheme we speak and whose parts are in order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackerUrl {
    /// All of it, without a fragment.
    text: String,
    scheme: Scheme,
    /// Where the host lies in `text`, without the brackets of an IPv6 address.
    host: (usize, usize),
    port: u16,
    /// Where path and query start in `text`.
    target: usize,
}

/// Why a URL is not a tracker's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackerUrlError {
    /// Not `http`, `https` or `udp`.
    #[error("this kind of tracker is not supported; http, https and udp are")]
    UnknownScheme,
    /// Longer than [`URL_BYTES_MAX`].
    #[error("the tracker's URL has {0} bytes, where {URL_BYTES_MAX} is the most")]
    TooLong(usize),
    /// No host, a port that is no number, or characters that no URL has.
    #[error("the tracker's URL is malformed at byte {at}")]
    Malformed {
        /// Where.
        at: usize,
    },
}

impl TrackerUrl {
    /// Takes a URL apart. White space around it is forgiven, because torrents have it.
    ///
    /// # Errors
    /// If we do not speak its scheme, or it is not a URL.
    pub fn parse(text: &str) -> Result<Self, TrackerUrlError> {
        let text = text.trim();
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        if text.len() > URL_BYTES_MAX {
            return Err(TrackerUrlError::TooLong(text.len()));
        }
        // Anything but visible ASCII would have to be escaped in a request.
        if let Some(at) = text.bytes().position(|byte| !byte.is_ascii_graphic()) {
            return Err(TrackerUrlError::Malformed { at });
        }
        let (scheme, rest) = text.split_once("://").ok_or(TrackerUrlError::UnknownScheme)?;
        let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            "udp" => (Scheme::Udp, 80),
            _ => return Err(TrackerUrlError::UnknownScheme),
        };
        let authority_at = text.len() - rest.len();
        let authority_len = rest.find(['/', '?']).unwrap_or(rest.len());
        let target = authority_at + authority_len;
        let authority = &text[authority_at..target];
        // A user's name and password end with the last @.
        let host_at = authority_at + authority.rfind('@').map_or(0, |at| at + 1);
        let (host, port_at) = split_host(text, host_at, target)?;
        let port = match &text[port_at..target] {
            "" => default_port,
            port => port
                .strip_prefix(':')
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .filter(|&port| port != 0)
                .ok_or(TrackerUrlError::Malformed { at: port_at })?,
        };
        Ok(TrackerUrl { text: text.to_owned(), scheme, host, port, target })
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A name or an address; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.text[self.host.0..self.host.1]
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query as they stand; empty if there are none.
    pub fn target(&self) -> &str {
        &self.text[self.target..]
    }

    /// Everything before path and query.
    pub(super) fn origin(&self) -> &str {
        &self.text[..self.target]
    }

    /// Whether its path is a tracker's. Where the host turns out to be this very machine, the
    /// driver asks no other: a torrent's list of trackers must not become a way to make requests
    /// to what runs here (libtorrent's `ssrf_mitigation`).
    pub fn is_announce_path(&self) -> bool {
        self.scheme == Scheme::Udp || self.target().starts_with("/announce")
    }
}

/// The host that starts at `start`, and where the port would.
fn split_host(
    text: &str,
    start: usize,
    end: usize,
) -> Result<((usize, usize), usize), TrackerUrlError> {
    let malformed = TrackerUrlError::Malformed { at: start };
    let authority = &text[start..end];
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let (host, port_at) = match authority.strip_prefix('[') {
        Some(rest) => {
            let len = rest.find(']').ok_or(malformed)?;
            rest[..len].parse::<std::net::Ipv6Addr>().map_err(|_| malformed)?;
            ((start + 1, start + 1 + len), start + len + 2)
        }
        None => {
            let len = authority.find(':').unwrap_or(authority.len());
            if !authority[..len].chars().all(is_name) {
                return Err(malformed);
            }
            ((start, start + len), start + len)
        }
    };
    if host.0 == host.1 { Err(malformed) } else { Ok((host, port_at)) }
}

impl fmt::Debug for TrackerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for TrackerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, scheme: Scheme, host: &str, port: u16, target: &str) {
        let url = TrackerUrl::parse(text).expect(text);
        assert_eq!(
            (url.scheme(), url.host(), url.port(), url.target()),
            (scheme, host, port, target),
            "{text}"
        );
    }

    fn refuse(text: &str, expected: TrackerUrlError) {
        assert_eq!(TrackerUrl::parse(text), Err(expected), "{text}");
    }

    #[test]
    fn parts() {
        check("http://t.example/announce", Scheme::Http, "t.example", 80, "/announce");
        check("HTTPS://t.example?a=b", Scheme::Https, "t.example", 443, "?a=b");
        check("udp://t.example:1337", Scheme::Udp, "t.example", 1337, "");
        check(" udp://[2001:db8::1]:6969/a?b#c\n", Scheme::Udp, "2001:db8::1", 6969, "/a?b");
        check("http://[::1]", Scheme::Http, "::1", 80, "");
        check("http://me:se@cret@t.example:8080/x@y", Scheme::Http, "t.example", 8080, "/x@y");
        check("http://t.example/a:b?c=/d", Scheme::Http, "t.example", 80, "/a:b?c=/d");
    }

    #[test]
    fn refusals() {
        refuse("wss://t.example", TrackerUrlError::UnknownScheme);
        refuse("t.example/announce", TrackerUrlError::UnknownScheme);
        refuse("", TrackerUrlError::UnknownScheme);
        refuse("http://", TrackerUrlError::Malformed { at: 7 });
        refuse("http:///announce", TrackerUrlError::Malformed { at: 7 });
        refuse("http://:80/", TrackerUrlError::Malformed { at: 7 });
        refuse("http://t:0/", TrackerUrlError::Malformed { at: 8 });
        refuse("http://t:65536/", TrackerUrlError::Malformed { at: 8 });
        refuse("http://t:+80/", TrackerUrlError::Malformed { at: 8 });
        refuse("http://[::1/", TrackerUrlError::Malformed { at: 7 });
        refuse("http://[evil]/", TrackerUrlError::Malformed { at: 7 });
        refuse("http://t&/", TrackerUrlError::Malformed { at: 7 });
        refuse("http://%31/", TrackerUrlError::Malformed { at: 7 });
        refuse("http://[::1]x/", TrackerUrlError::Malformed { at: 12 });
        refuse("http://t/a b", TrackerUrlError::Malformed { at: 10 });
        refuse("http://t/a\r\nHost: x", TrackerUrlError::Malformed { at: 10 });
        refuse("http://tä/", TrackerUrlError::Malformed { at: 8 });
        refuse(&format!("http://t/{}", "a".repeat(URL_BYTES_MAX)), TrackerUrlError::TooLong(8201));
    }

    #[test]
    fn only_a_trackers_path_is_asked_on_this_machine() {
        let path = |text: &str| TrackerUrl::parse(text).expect(text).is_announce_path();
        assert!(path("http://localhost/announce?x"));
        assert!(path("udp://localhost:1/"));
        assert!(!path("http://localhost/shutdown"));
    }

    proptest! {
        #[test]
        fn parts_make_up_the_whole(text in "(http|udp)://[a-z\\[\\]:@0-9.]{0,12}[/?a-z:@]{0,12}") {
            if let Ok(url) = TrackerUrl::parse(&text) {
                prop_assert_eq!(format!("{}{}", url.origin(), url.target()), text);
                prop_assert!(!url.host().is_empty() && url.port() != 0);
            }
        }
    }
}
