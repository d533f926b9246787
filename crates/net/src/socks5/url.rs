//! A proxy as users name it: `socks5://user:password@host:port`. The password is never shown.

use super::codec::{PASSWORD_VERSION, Target};
use crate::limits::{CREDENTIAL_BYTES_MAX, NAME_BYTES_MAX};
use std::fmt;
use std::str::FromStr;

/// The port of SOCKS proxies (RFC 1928).
const PORT: u16 = 1080;

/// A proxy's address, and who we are to it.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    host: String,
    port: u16,
    credentials: Option<Credentials>,
}

/// User name and password (RFC 1929): each 1 to 255 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

/// Why it names no proxy. It never repeats what was written: there may be a password in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// It begins otherwise.
    #[error("it must begin with socks5://")]
    Scheme,
    /// Host or port are missing or cannot be.
    #[error("it must be like socks5://host:1080 or socks5://user:password@host:1080")]
    Host,
    /// User name and password have bounds.
    #[error(
        "user name and password must have 1 to 255 bytes each, with %XX for what a URL cannot hold"
    )]
    Credentials,
}

impl Credentials {
    /// `None` if either is empty or too long.
    pub fn new(user: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Option<Self> {
        let (user, password) = (user.into(), password.into());
        let fits = |bytes: &[u8]| (1..=CREDENTIAL_BYTES_MAX).contains(&bytes.len());
        (fits(&user) && fits(&password)).then_some(Credentials { user, password })
    }

    /// The message that shows them to the proxy.
    pub(super) fn message(&self) -> Vec<u8> {
        let mut message = vec![PASSWORD_VERSION, self.user.len() as u8];
        message.extend(&self.user);
        message.push(self.password.len() as u8);
        message.extend(&self.password);
        message
    }

    /// User name and password, for whoever has to show them to the proxy in another form.
    pub fn parts(&self) -> (&[u8], &[u8]) {
        (&self.user, &self.password)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl ProxyUrl {
    /// Name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who we are to it, if it wants to know.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

impl FromStr for ProxyUrl {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        // `socks5h` is what other programs call a proxy that looks names up; ours always does.
        let rest = text.strip_prefix("socks5://").or_else(|| text.strip_prefix("socks5h://"));
        let rest = rest.ok_or(ProxyUrlError::Scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // The last @: a password may have been written with one.
        let (who, place) = match rest.rsplit_once('@') {
            Some((who, place)) => (Some(who), place),
            None => (None, rest),
        };
        let credentials = match who {
            None => None,
            Some(who) => {
                let (user, password) = who.split_once(':').ok_or(ProxyUrlError::Credentials)?;
                let both = decoded(user).zip(decoded(password));
                let both = both.and_then(|(user, password)| Credentials::new(user, password));
                Some(both.ok_or(ProxyUrlError::Credentials)?)
            }
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']').ok_or(ProxyUrlError::Host)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| ProxyUrlError::Host)?;
                (host, port)
            }
            None => match place.find(':') {
                Some(at) => place.split_at(at),
                None => (place, ""),
            },
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(ProxyUrlError::Host)?,
            None if port.is_empty() => PORT,
            None => return Err(ProxyUrlError::Host),
        };
        let can_be = host.len() <= NAME_BYTES_MAX && !host.contains(['/', '?', '#', '%', '\\']);
        if !can_be || Target::parse(host, port).is_none() {
            return Err(ProxyUrlError::Host);
        }
        Ok(ProxyUrl { host: host.to_owned(), port, credentials })
    }
}

/// Undoes `%XX`.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                // Two digits make a byte.
                (high * 16 + low) as u8
            }
            byte => byte,
        });
    }
    Some(plain)
}

impl fmt::Display for ProxyUrl {
    /// As it may be shown: without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("socks5://")?;
        if self.credentials.is_some() {
            f.write_str("********@")?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_and_shown_without_the_password() {
        let url: ProxyUrl = "socks5://anna:s%3Acr@t@proxy.example:9050".parse().expect("a proxy");
        assert_eq!((url.host(), url.port()), ("proxy.example", 9050));
        assert_eq!(url.credentials().map(Credentials::parts), Some((&b"anna"[..], &b"s:cr@t"[..])));
        for shown in [url.to_string(), format!("{url:?}"), format!("{:?}", url.credentials())] {
            assert!(!shown.contains("s:cr") && !shown.contains("anna"), "{shown}");
        }
        let plain: ProxyUrl = "socks5h://[::1]".parse().expect("a proxy");
        assert_eq!((plain.host(), plain.port(), plain.credentials()), ("::1", 1080, None));
        assert_eq!(plain.to_string(), "socks5://[::1]:1080");
        assert_eq!(plain.to_string().parse(), Ok(plain));
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_being_repeated() {
        for (text, error) in [
            ("http://proxy:1080", ProxyUrlError::Scheme),
            ("proxy:1080", ProxyUrlError::Scheme),
            ("socks5://", ProxyUrlError::Host),
            ("socks5://proxy:0", ProxyUrlError::Host),
            ("socks5://proxy:70000", ProxyUrlError::Host),
            ("socks5://a b:1", ProxyUrlError::Host),
            ("socks5://proxy/path", ProxyUrlError::Host),
            ("socks5://anna@proxy", ProxyUrlError::Credentials),
            ("socks5://anna:@proxy", ProxyUrlError::Credentials),
            ("socks5://anna:%4@proxy", ProxyUrlError::Credentials),
        ] {
            assert_eq!(text.parse::<ProxyUrl>(), Err(error), "{text}");
        }
    }
}
