//! Names into addresses that may be talked to.

use crate::config::Reach;
use crate::net::Way;
use althing_bittorrent::tracker::{Family, TrackerError};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

/// Which of a host's addresses count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Filter {
    /// Whom we may talk to at all.
    pub(crate) reach: Reach,
    /// Only addresses of this kind, if one is named.
    pub(crate) family: Option<Family>,
    /// Whether the host may be this very machine. A torrent's list of trackers must not become a
    /// way to make requests to what runs here, so only what looks like a tracker's path may go
    /// there.
    pub(crate) this_machine: bool,
    /// Whether the host may be in this machine's own network: what a torrent names or a server
    /// redirects to must not become a way to make requests to a router or a printer.
    pub(crate) own_network: bool,
}

impl Filter {
    pub(super) fn is_of_family(&self, ip: IpAddr) -> bool {
        self.family.is_none_or(|family| Family::of(ip) == family)
    }

    /// Whether `ip` may be asked.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        let here = ip.to_canonical().is_loopback() || ip.is_unspecified();
        self.is_of_family(ip)
            && self.reach.allows(ip)
            && (self.this_machine || !here)
            && (self.own_network || here || !is_local(ip))
    }
}

/// Whether an address is one that only a network's own machines can reach, or this one.
pub(crate) fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            // Also addresses behind a provider's own translation (RFC 6598).
            let shared = a == 100 && b & 0xc0 == 64;
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || shared
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
        }
    }
}

/// The addresses of `host` that `filter` lets through; at least one.
pub(crate) async fn resolve(
    way: &Way,
    host: &str,
    port: u16,
    filter: Filter,
) -> Result<Vec<SocketAddr>, TrackerError> {
    // An address needs no lookup, and a lookup of one would be told to a name server by some systems.
    let all: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        // Asking a name server would be talking to somebody beyond this machine.
        Err(_) if filter.reach == Reach::Loopback && host != "localhost" => {
            return choose(Vec::new(), Filter { family: None, ..filter });
        }
        Err(_) => way.lookup(host, port).await.map_err(|error| match error.kind() {
            ErrorKind::TimedOut => TrackerError::TimedOut,
            _ => TrackerError::Unreachable(error.to_string()),
        })?,
    };
    choose(all, filter)
}

/// Whether a host may be asked for by its name, where nobody here sees its address.
pub(super) fn may_be_named(host: &str, filter: Filter) -> Result<(), TrackerError> {
    match filter.reach {
        Reach::Any if host.eq_ignore_ascii_case("localhost") && !filter.this_machine => {
            choose(Vec::new(), filter).map(drop)
        }
        Reach::Loopback if host != "localhost" => choose(Vec::new(), filter).map(drop),
        _ => Ok(()),
    }
}

pub(super) fn choose(
    mut all: Vec<SocketAddr>,
    filter: Filter,
) -> Result<Vec<SocketAddr>, TrackerError> {
    all.retain(|addr| filter.is_of_family(addr.ip()));
    if let (true, Some(family)) = (all.is_empty(), filter.family) {
        return Err(TrackerError::NoAddress(family));
    }
    all.retain(|addr| filter.allows(addr.ip()));
    if all.is_empty() {
        let why = match filter.reach {
            Reach::Loopback => "it is not on this machine, and network.reach = \"loopback\"",
            Reach::Any if filter.this_machine => "its name leads nowhere",
            Reach::Any if !filter.own_network => {
                "it leads into this machine's own network, and may not from where it was named"
            }
            Reach::Any => "it is this machine, and its path is not a tracker's",
        };
        return Err(TrackerError::Unreachable(why.to_owned()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: Filter, host: &[&str], expected: Result<&[&str], &str>) {
        let addrs = |list: &[&str]| {
            list.iter().map(|addr| addr.parse().expect("an address")).collect::<Vec<SocketAddr>>()
        };
        match (choose(addrs(host), filter), expected) {
            (Ok(chosen), Ok(expected)) => assert_eq!(chosen, addrs(expected)),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn only_what_may_be_asked_is_chosen() {
        let any = Filter {
            reach: Reach::Any,
            family: Some(Family::V4),
            this_machine: false,
            own_network: true,
        };
        let both = &["192.0.2.1:80", "[2001:db8::1]:80"];
        check(any, both, Ok(&["192.0.2.1:80"]));
        check(Filter { family: Some(Family::V6), ..any }, both, Ok(&["[2001:db8::1]:80"]));
        check(Filter { family: None, ..any }, both, Ok(both));
        check(any, &["[2001:db8::1]:80"], Err("no IPv4 address"));
        check(any, &["127.0.0.1:80"], Err("path is not a tracker's"));
        check(Filter { this_machine: true, ..any }, &["127.0.0.1:80"], Ok(&["127.0.0.1:80"]));
        let near = Filter { reach: Reach::Loopback, this_machine: true, ..any };
        check(near, &["192.0.2.1:80", "127.0.0.1:80"], Ok(&["127.0.0.1:80"]));
        check(near, &["192.0.2.1:80"], Err("network.reach"));
        let far =
            Filter { reach: Reach::Any, family: None, this_machine: false, own_network: false };
        let inside = ["192.168.1.1:80", "[fd00::1]:80", "169.254.1.1:80", "100.64.0.1:80"];
        for addr in inside.iter().chain(&["127.0.0.1:80", "[::ffff:10.0.0.1]:80", "0.0.0.0:80"]) {
            check(far, &[addr], Err("own network"));
        }
        check(far, &["192.168.1.1:80", "192.0.2.1:80"], Ok(&["192.0.2.1:80"]));
        check(Filter { own_network: true, ..far }, &["192.168.1.1:80"], Ok(&["192.168.1.1:80"]));
    }

    fn way() -> Way {
        Way::new(&Default::default())
    }

    #[tokio::test]
    async fn within_this_machine_no_name_server_is_asked() {
        let filter =
            Filter { reach: Reach::Loopback, family: None, this_machine: true, own_network: true };
        let error =
            resolve(&way(), "tracker.example", 80, filter).await.expect_err("it is out of reach");
        assert!(error.to_string().contains("network.reach"), "{error}");
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        let filter = Filter {
            reach: Reach::Any,
            family: Some(Family::V6),
            this_machine: true,
            own_network: true,
        };
        let found = resolve(&way(), "::1", 80, filter).await.expect("it is an address");
        assert_eq!(found, ["[::1]:80".parse().expect("an address")]);
    }
}
