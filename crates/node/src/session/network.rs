//! How a session is connected to the world, and what a user should know of it, in words.

use super::{PortMapping, Session};
use crate::clock;
use crate::config::{Config, Reach};
use crate::net;
use althing_net::reach::{Judgement, Ports, Tally, View};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Whether others can reach this peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reachable {
    /// Somebody outside has.
    Open,
    /// The router forwards the port, and nobody has come in yet.
    Mapped,
    /// Nothing speaks for it or against it.
    Unproven,
    /// Many know us, and nobody has come in.
    Closed,
    /// There is no network, or not the one that everything is bound to.
    Offline,
    /// By the settings it does not listen.
    NotListening,
    /// By the settings it talks to this machine only.
    ThisMachineOnly,
}

/// What becomes of this machine's addresses on the way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Translation {
    /// Too little is known.
    Unknown,
    /// The machine has the address that others see.
    None,
    /// Others see another address, and the same port whoever they are.
    Steady,
    /// Each of the others sees another port: holes are hard to make.
    Varying,
}

/// How a session is connected to the world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkStatus {
    /// Whether others can reach it.
    pub reachable: Reachable,
    /// The same in a sentence.
    pub summary: String,
    /// How that is known.
    pub because: String,
    /// What the user can do about it, if there is something.
    pub advice: Option<String>,
    /// Its addresses as others see them, at most one of each kind; how many networks say so, and how
    /// many something else; and whether the machine has it itself.
    pub addresses: Vec<(IpAddr, usize, usize, bool)>,
    /// Where it listens.
    pub listening: Vec<SocketAddr>,
    /// The port that others are told.
    pub told_port: Option<u16>,
    /// What becomes of its IPv4 address on the way out.
    pub translation: Translation,
    /// Whether peers that let nobody in either can be met through a third (BEP 55), in words; `None` if
    /// that is not known yet, or is of no concern.
    pub holes: Option<String>,
    /// How asking the router for the port goes, if it is asked.
    pub port_mapping: Option<PortMapping>,
    /// The same for UDP.
    pub port_mapping_udp: Option<PortMapping>,
    /// The interface that everything is bound to, if one is named.
    pub interface: Option<String>,
    /// The addresses that everything is bound to, if some are named.
    pub bind: Vec<IpAddr>,
    /// The proxy that everything goes through, without its password.
    pub proxy: Option<String>,
    /// Connections to peers that they opened.
    pub incoming: u64,
    /// Connections to peers that this one opened.
    pub outgoing: u64,
    /// Peers outside that came in over TCP since it is where it is.
    pub arrived_tcp: u32,
    /// The same over uTP.
    pub arrived_utp: u32,
    /// How long ago the last one came.
    pub last_arrived: Option<Duration>,
}

impl Session {
    /// How it is connected to the world, and whether others can reach it.
    pub fn network(&self) -> NetworkStatus {
        let (config, view) = (self.config(), self.shared.reach.view());
        let blocked = self.blocked();
        let facts = Facts {
            config,
            view: &view,
            blocked: blocked.as_deref(),
            mapping: self.shared.peer_mapping().borrow().clone(),
            port: self.shared.listen_port,
            last_arrived: view.arrived_at.map(|at| clock::now().since(at)),
            own: self.shared.way.look().own,
            age: self.shared.reach.age(),
        };
        let reachable = facts.reachable();
        let (summary, because, advice) = facts.words(reachable);
        let (incoming, outgoing) = self.shared.counters.connections();
        let seen = |tally: &Tally| {
            tally.ip.map(|ip| (ip, tally.agree, tally.differ, view.own.contains(&ip)))
        };
        let network = &config.network;
        NetworkStatus {
            reachable,
            summary,
            because,
            advice,
            addresses: [&view.v4, &view.v6].into_iter().filter_map(seen).collect(),
            listening: self.peer_addrs(),
            told_port: self.shared.told_port(),
            translation: facts.translation(),
            holes: facts.holes(reachable).map(str::to_owned),
            port_mapping: self.port_mapping(),
            port_mapping_udp: self.shared.port_mapping_udp.borrow().clone(),
            interface: Some(network.interface.clone()).filter(|name| !name.is_empty()),
            bind: network.bind.clone(),
            proxy: self.proxy(),
            incoming,
            outgoing,
            arrived_tcp: view.arrived_tcp,
            arrived_utp: view.arrived_utp,
            last_arrived: facts.last_arrived,
        }
    }
}

/// What is to be put into words.
struct Facts<'a> {
    config: &'a Config,
    view: &'a View,
    blocked: Option<&'a str>,
    mapping: Option<PortMapping>,
    port: Option<u16>,
    last_arrived: Option<Duration>,
    own: Vec<IpAddr>,
    /// Since the start.
    age: Duration,
}

/// So long after the start nothing is said of a network that is not there: interfaces may only just be
/// coming up, and are looked at once a second.
const FINDING_OUT: Duration = Duration::from_secs(10);

impl Facts<'_> {
    fn reachable(&self) -> Reachable {
        if self.blocked.is_some() {
            return Reachable::Offline;
        }
        if self.config.network.reach == Reach::Loopback {
            return Reachable::ThisMachineOnly;
        }
        match self.view.judgement {
            _ if !net::listens(&self.config.network) => Reachable::NotListening,
            Judgement::Offline if self.age < FINDING_OUT => Reachable::Unproven,
            Judgement::Offline => Reachable::Offline,
            Judgement::Deaf => Reachable::NotListening,
            Judgement::Open => Reachable::Open,
            Judgement::Mapped => Reachable::Mapped,
            Judgement::Unproven => Reachable::Unproven,
            Judgement::Closed => Reachable::Closed,
        }
    }

    fn translation(&self) -> Translation {
        let seen = self.view.v4.ip;
        match self.view.v4.ports {
            Ports::Varying => Translation::Varying,
            _ if seen.is_some_and(|ip| self.view.own.contains(&ip)) => Translation::None,
            Ports::Steady(_) => Translation::Steady,
            Ports::Unknown => Translation::Unknown,
        }
    }

    /// A summary, how it is known, and what to do.
    fn words(&self, reachable: Reachable) -> (String, String, Option<String>) {
        let (summary, because, advice) = match reachable {
            Reachable::Open => ("Others can reach you.", self.who_came(), None),
            Reachable::Mapped => {
                let how = match &self.mapping {
                    Some(PortMapping::Mapped { method, external_port, .. }) => {
                        format!("your router says that it forwards port {external_port} ({method})")
                    }
                    _ => "your router says that it forwards the port".to_owned(),
                };
                let because = format!("{how}; nobody outside has used it yet");
                ("Others can probably reach you.", because, None)
            }
            Reachable::Unproven if self.view.judgement == Judgement::Offline => (
                "It is not known yet whether others can reach you.",
                "Althing has just started, and is still finding out what network there is"
                    .to_owned(),
                Some("ask again in a few seconds".to_owned()),
            ),
            Reachable::Unproven => {
                let because = match self.failure() {
                    Some(why) => format!("nobody outside has connected to you so far, and {why}"),
                    None => "nobody outside has connected to you so far".to_owned(),
                };
                let more = "it shows when torrents have been running for a while".to_owned();
                let advice = match self.failure() {
                    Some(_) => format!("{more}. If it stays so: {}", self.remedy()),
                    None => more,
                };
                ("It is not known yet whether others can reach you.", because, Some(advice))
            }
            Reachable::Closed => {
                let count = self.view.reached;
                let mut because =
                    format!("you have reached {count} peers outside, and nobody has reached you");
                if let Some(why) = self.failure() {
                    because = format!("{because}; {why}");
                }
                ("Others probably cannot reach you.", because, Some(self.remedy()))
            }
            Reachable::Offline => {
                let none = "this machine has no address but its own loopback";
                let because = self.blocked.unwrap_or(none).to_owned();
                let advice = match self.blocked {
                    Some(_) => "bring it up again, or change the setting and restart Althing",
                    None => "connect it; work goes on by itself then",
                };
                ("Nobody can reach you, and you reach nobody.", because, Some(advice.to_owned()))
            }
            Reachable::NotListening => {
                let proxied = self.config.network.incoming;
                let because = if proxied {
                    "everything goes through a proxy, which lets nobody in"
                } else {
                    "the setting network.incoming is false"
                };
                let advice = if proxied {
                    "nothing, if the proxy is there to hide you; network.proxy_incoming = true lets \
                     peers connect past it"
                } else {
                    "set network.incoming to true if others are to"
                };
                let summary = "Others cannot reach you, as you have set it.";
                (summary, because.to_owned(), Some(advice.to_owned()))
            }
            Reachable::ThisMachineOnly => (
                "Only programs on this machine can reach you, as you have set it.",
                "the setting network.reach is \"loopback\"".to_owned(),
                Some("set network.reach to \"any\" if others are to".to_owned()),
            ),
        };
        (summary.to_owned(), because, advice)
    }

    /// Whether peers that nobody reaches can be met through a third.
    fn holes(&self, reachable: Reachable) -> Option<&'static str> {
        let network = &self.config.network;
        match reachable {
            Reachable::Offline | Reachable::ThisMachineOnly => None,
            _ if network.proxy.url().is_some() => {
                Some("no: everything goes through a proxy, and holes are made by datagrams")
            }
            _ if !network.utp => Some("no: they take uTP, and network.utp is false"),
            Reachable::Open if self.view.arrived_tcp > 0 => {
                Some("you need none: others reach you as it is")
            }
            _ => match self.translation() {
                Translation::Unknown => None,
                Translation::None => Some("yes, where a firewall is in the way"),
                Translation::Steady => Some(
                    "yes: you meet peers whom nobody can call either where a third knows you both, \
                     unless their router is symmetric and yours looks at ports",
                ),
                Translation::Varying => Some(
                    "seldom: only towards peers whose router lets in any port of whom they have called",
                ),
            },
        }
    }

    fn who_came(&self) -> String {
        let (tcp, utp) = (self.view.arrived_tcp, self.view.arrived_utp);
        let over = match (tcp, utp) {
            (_, 0) => "over TCP",
            (0, _) => "over uTP",
            _ => "over TCP and uTP",
        };
        let times = match tcp.saturating_add(utp) {
            1 => "somebody outside has connected to you".to_owned(),
            times => format!("you have been connected to from outside {times} times"),
        };
        match self.last_arrived {
            Some(ago) => format!("{times} {over}, last {} ago", rough(ago)),
            None => format!("{times} {over}"),
        }
    }

    /// Why the router is of no help, if it is asked and is not.
    fn failure(&self) -> Option<String> {
        match &self.mapping {
            _ if self.view.nat_beyond => {
                Some("your router forwards the port, but another one lies beyond it".to_owned())
            }
            Some(PortMapping::Failed(why)) => Some(format!("your router gives no port ({why})")),
            _ => None,
        }
    }

    fn remedy(&self) -> String {
        let port = self.port.unwrap_or_default();
        if self.view.nat_beyond {
            return format!(
                "a second router, or your provider, translates your address once more. If the second \
                 router is yours, forward port {port} (TCP and UDP) there too, or let it only pass things on \
                 (bridge mode); if it is the provider's, ask for a public address, or use IPv6 or a \
                 VPN that forwards a port. You fetch and share all the same, with everybody whom you \
                 reach"
            );
        }
        if self.translation() == Translation::None {
            return format!(
                "let port {port} (TCP and UDP) in through the firewall of this machine or network"
            );
        }
        let to = match self.own.iter().find(|ip| ip.is_ipv4()) {
            Some(ip) => format!("to this machine ({ip})"),
            None => "to this machine".to_owned(),
        };
        let ask = match &self.mapping {
            None => "set network.port_mapping to true, or forward",
            Some(_) => "switch on UPnP or NAT-PMP in your router, or forward",
        };
        format!(
            "{ask} port {port} (TCP and UDP) there {to}; if a firewall runs here, let the port in. You fetch and \
             share all the same, with everybody whom you reach"
        )
    }
}

/// A time in the largest unit that fits.
fn rough(time: Duration) -> String {
    let (count, unit) = match time.as_secs() {
        s if s < 120 => (s, "second"),
        s if s < 2 * 3600 => (s / 60, "minute"),
        s => (s / 3600, "hour"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_net::portmap::Method;

    fn view(judgement: Judgement) -> View {
        View {
            judgement,
            v4: Tally::default(),
            v6: Tally::default(),
            own: Vec::new(),
            nat_beyond: false,
            arrived_tcp: 0,
            arrived_utp: 0,
            arrived_at: None,
            reached: 12,
        }
    }

    fn facts<'a>(config: &'a Config, view: &'a View) -> Facts<'a> {
        let own = vec![IpAddr::from([192, 168, 1, 2])];
        let port = Some(7716);
        let age = FINDING_OUT;
        Facts { config, view, blocked: None, mapping: None, port, last_arrived: None, own, age }
    }

    fn said(facts: &Facts<'_>) -> String {
        let (summary, because, advice) = facts.words(facts.reachable());
        let words = format!("{summary} {because}. {}", advice.unwrap_or_default());
        // Sentences are put together from parts: none may be left over, or torn.
        assert!(!words.contains("  ") && !because.ends_with('.'), "{words}");
        words
    }

    #[test]
    fn each_case_says_what_to_do() {
        let config = Config::default();
        let open = View { arrived_tcp: 2, arrived_utp: 1, ..view(Judgement::Open) };
        let came = Facts { last_arrived: Some(Duration::from_secs(300)), ..facts(&config, &open) };
        let words = said(&came);
        assert!(words.contains("3 times over TCP and uTP, last 5 minutes ago"), "{words}");

        let mapped = view(Judgement::Mapped);
        let by = PortMapping::Mapped { method: Method::Upnp, external_ip: None, external_port: 99 };
        let words = said(&Facts { mapping: Some(by), ..facts(&config, &mapped) });
        assert!(words.contains("forwards port 99 (UPnP)"), "{words}");

        let closed = view(Judgement::Closed);
        let failed = PortMapping::Failed("no router answers".into());
        let words = said(&Facts { mapping: Some(failed.clone()), ..facts(&config, &closed) });
        assert!(words.contains("no router answers") && words.contains("192.168.1.2"), "{words}");
        assert!(words.contains("UPnP or NAT-PMP") && words.contains("port 7716"), "{words}");
        let words = said(&facts(&config, &closed));
        assert!(words.contains("network.port_mapping"), "{words}");

        let beyond = View { nat_beyond: true, ..view(Judgement::Closed) };
        let words = said(&facts(&config, &beyond));
        assert!(words.contains("provider") && words.contains("another one lies beyond"), "{words}");

        let ip = IpAddr::from([203, 0, 113, 7]);
        let v4 = Tally { ip: Some(ip), agree: 3, ..Tally::default() };
        let direct = View { v4, own: vec![ip], ..view(Judgement::Closed) };
        assert_eq!(facts(&config, &direct).translation(), Translation::None);
        assert!(said(&facts(&config, &direct)).contains("firewall of this machine"));

        let unproven = view(Judgement::Unproven);
        assert!(said(&facts(&config, &unproven)).contains("for a while"));
        let words = said(&Facts { mapping: Some(failed), ..facts(&config, &unproven) });
        assert!(words.contains("If it stays so: switch on"), "{words}");
        assert!(said(&facts(&config, &view(Judgement::Offline))).contains("loopback"));
        let blocked = Facts { blocked: Some("\"wg0\" is down"), ..facts(&config, &unproven) };
        assert!(said(&blocked).contains("\"wg0\" is down"));
    }

    #[test]
    fn settings_explain_themselves() {
        let unproven = view(Judgement::Unproven);
        let mut config = Config::default();
        config.network.reach = Reach::Loopback;
        assert_eq!(facts(&config, &unproven).reachable(), Reachable::ThisMachineOnly);
        assert!(said(&facts(&config, &unproven)).contains("network.reach"));
        let mut config = Config::default();
        config.network.incoming = false;
        assert_eq!(facts(&config, &unproven).reachable(), Reachable::NotListening);
        assert!(said(&facts(&config, &unproven)).contains("network.incoming"));
    }

    #[test]
    fn who_has_just_started_is_not_said_to_be_cut_off() {
        let (config, offline) = (Config::default(), view(Judgement::Offline));
        let new = Facts { age: Duration::from_secs(1), ..facts(&config, &offline) };
        assert_eq!(new.reachable(), Reachable::Unproven);
        let words = said(&new);
        assert!(words.contains("not known yet") && words.contains("finding out"), "{words}");
        assert_eq!(facts(&config, &offline).reachable(), Reachable::Offline);
        let blocked = Facts { blocked: Some("\"wg0\" is down"), ..new };
        assert_eq!(blocked.reachable(), Reachable::Offline);
    }

    #[test]
    fn whether_holes_can_be_made_is_said_as_soon_as_it_is_known() {
        let mut config = Config::default();
        let ip = Some(IpAddr::from([203, 0, 113, 7]));
        let seen = |ports, judgement| View {
            v4: Tally { ip, agree: 3, ports, ..Tally::default() },
            ..view(judgement)
        };
        let holes = |config: &Config, view: &View| {
            let facts = facts(config, view);
            facts.holes(facts.reachable()).map(|words| words.split([':', ' ', ',']).next())
        };
        let unproven = Judgement::Unproven;
        assert_eq!(holes(&config, &view(unproven)), None);
        assert_eq!(holes(&config, &seen(Ports::Steady(7716), unproven)), Some(Some("yes")));
        assert_eq!(holes(&config, &seen(Ports::Varying, unproven)), Some(Some("seldom")));
        let open = View { arrived_tcp: 1, ..seen(Ports::Varying, Judgement::Open) };
        assert_eq!(holes(&config, &open), Some(Some("you")));
        config.network.utp = false;
        assert_eq!(holes(&config, &seen(Ports::Steady(7716), unproven)), Some(Some("no")));
    }

    #[test]
    fn times_are_rough() {
        let said = [0, 1, 119, 120, 7199, 7200, 100_000].map(|s| rough(Duration::from_secs(s)));
        assert_eq!(
            said,
            [
                "0 seconds",
                "1 second",
                "119 seconds",
                "2 minutes",
                "119 minutes",
                "2 hours",
                "27 hours"
            ]
        );
    }
}
