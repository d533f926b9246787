//! The proxy among the settings: a URL that may have a password in it, so that it is neither logged
//! nor shown.

use althing_net::socks5::ProxyUrl;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `network.proxy`: empty, or the URL of a proxy.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProxySetting(String);

impl ProxySetting {
    /// The proxy, if there is one. A checked configuration has a valid one or none.
    pub fn url(&self) -> Option<ProxyUrl> {
        self.0.parse().ok()
    }

    /// Whether there is one.
    pub fn is_set(&self) -> bool {
        !self.0.is_empty()
    }

    /// As it may be shown.
    pub(super) fn without_secrets(&self) -> Self {
        ProxySetting(self.url().map(|url| url.to_string()).unwrap_or_default())
    }

    /// What is wrong with it, if anything is.
    pub(super) fn error(&self) -> Option<&'static str> {
        use althing_net::socks5::ProxyUrlError as E;
        if self.0.is_empty() {
            return None;
        }
        match self.0.parse::<ProxyUrl>() {
            Ok(_) => None,
            Err(E::Scheme) => Some("it must begin with socks5://"),
            Err(E::Credentials) => Some(
                "user name and password must have 1 to 255 bytes each, with %XX for what a URL cannot hold",
            ),
            Err(_) => {
                Some("it must be like socks5://host:1080 or socks5://user:password@host:1080")
            }
        }
    }
}

impl fmt::Debug for ProxySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.without_secrets().0, f)
    }
}
