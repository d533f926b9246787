//! The way out. Every socket of BitTorrent and its helpers is opened here, so that there is one
//! place where it is decided by which interface, from which address and through which proxy
//! anything leaves, and where it is refused when that way is not there. See docs/decisions/0010.

use super::device::{self, Device, Found, Local};
use super::{proxy, resolver};
use crate::config::{Network, Reach};
use althing_bittorrent::tracker::Family;
use althing_net::socks5::{ProxyUrl, Target};
use socket2::Type;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::sync::watch;

/// How often it is looked whether the interface is still there. Nothing leaks meanwhile; this is how
/// long it may take until work goes on when it is back.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is looked whether this machine has other addresses than before, where sockets are bound
/// to none: two questions to the kernel, some 50 µs (guess: nobody notices that it took so long).
const FREE_LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// What sockets are bound to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Bound {
    /// Nothing.
    No,
    /// These addresses, one of each family at most is used to connect from.
    Addresses(Vec<IpAddr>),
    /// This interface.
    Interface(String),
}

/// What there is at a moment of that which sockets are bound to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Look {
    pub(crate) v4: Option<Local>,
    pub(crate) v6: Option<Local>,
    /// Further addresses of those families that are named: nothing goes out from there but answers.
    pub(crate) further: Vec<Local>,
    /// The addresses that packets can leave from.
    pub(crate) own: Vec<IpAddr>,
    /// Why nothing goes out, as a user should read it.
    pub(crate) blocked: Option<String>,
}

impl Look {
    /// Whether anything can go out.
    pub(crate) fn is_open(&self) -> bool {
        self.blocked.is_none()
    }

    pub(crate) fn of(&self, family: Family) -> Option<&Local> {
        match family {
            Family::V4 => self.v4.as_ref(),
            Family::V6 => self.v6.as_ref(),
        }
    }
}

/// See the [module](self). Clones are the same way.
#[derive(Clone)]
pub(crate) struct Way(Arc<Inner>);

struct Inner {
    bound: Bound,
    reach: Reach,
    dns: Vec<IpAddr>,
    proxy: Option<ProxyUrl>,
    look: watch::Sender<Look>,
}

impl Way {
    pub(crate) fn new(network: &Network) -> Self {
        let bound = match (network.interface.as_str(), &network.bind[..]) {
            ("", []) => Bound::No,
            ("", ips) => Bound::Addresses(ips.to_vec()),
            (name, _) => Bound::Interface(name.to_owned()),
        };
        let look = bound.look();
        Way(Arc::new(Inner {
            bound,
            reach: network.reach,
            dns: network.dns.clone(),
            proxy: network.proxy.url(),
            look: watch::Sender::new(look),
        }))
    }

    /// Whether anything can go out.
    pub(crate) fn is_open(&self) -> bool {
        self.0.look.borrow().is_open()
    }

    /// What there is to be bound to.
    pub(crate) fn look(&self) -> Look {
        self.0.look.borrow().clone()
    }

    /// Told whenever that becomes something else.
    pub(crate) fn changes(&self) -> watch::Receiver<Look> {
        self.0.look.subscribe()
    }

    /// Whether sockets are bound to anything.
    pub(crate) fn is_bound(&self) -> bool {
        self.0.bound != Bound::No
    }

    /// The interface that sockets are bound to by its name.
    pub(crate) fn interface(&self) -> Option<&str> {
        match &self.0.bound {
            Bound::Interface(name) => Some(name),
            _ => None,
        }
    }

    /// Whether sockets are bound to an interface by its name.
    pub(crate) fn has_interface(&self) -> bool {
        matches!(self.0.bound, Bound::Interface(_))
    }

    /// The proxy, if everything goes through one.
    pub(crate) fn proxy(&self) -> Option<&ProxyUrl> {
        self.0.proxy.as_ref()
    }

    /// Whether the proxy is on this machine, and reached over loopback.
    pub(crate) fn proxy_is_here(&self) -> bool {
        let host = self.0.proxy.as_ref().map(ProxyUrl::host);
        host.is_some_and(|host| {
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    pub(crate) fn reach(&self) -> Reach {
        self.0.reach
    }

    pub(super) fn dns(&self) -> &[IpAddr] {
        &self.0.dns
    }

    /// Looks again and again what there is, for as long as it is polled. `say` is told of every change:
    /// what there was, and what there is.
    pub(crate) async fn watch(self, say: impl Fn(&Look, &Look)) {
        let interval = match self.0.bound {
            // Nothing of this machine's network is used.
            Bound::No if self.0.reach == Reach::Loopback => return,
            Bound::No => FREE_LOOK_INTERVAL,
            _ => LOOK_INTERVAL,
        };
        loop {
            // Whoever has no network waits for one.
            let waits = self.0.look.borrow().own.is_empty();
            tokio::time::sleep(if waits { interval.min(LOOK_INTERVAL) } else { interval }).await;
            self.look_again(&say);
        }
    }

    fn look_again(&self, say: impl Fn(&Look, &Look)) {
        let now = self.0.bound.look();
        // A machine that cannot say what addresses it has may have run out of descriptors.
        if self.0.bound == Bound::No && now.own.is_empty() && device::interfaces().is_err() {
            return;
        }
        let mut said = None;
        self.0.look.send_if_modified(|before| {
            if *before == now {
                return false;
            }
            said = Some((std::mem::replace(before, now.clone()), now));
            true
        });
        if let Some((before, now)) = said {
            say(&before, &now);
        }
    }

    /// Where a socket that is to reach `to` is bound, looked up afresh: what was there a second ago
    /// may be gone.
    fn local_for(&self, to: IpAddr) -> io::Result<Local> {
        let to = to.to_canonical();
        match &self.0.bound {
            Bound::No => Ok(Local::any(to.is_ipv6())),
            Bound::Addresses(ips) => {
                let ip = source_for(to, ips)?;
                // What stays on this machine passes through loopback, whatever its address.
                let device = if device::is_here(to) { None } else { device::of_address(ip) };
                Ok(Local { ip, device })
            }
            Bound::Interface(_) => {
                let look = self.0.bound.look();
                let local = look.of(Family::of(to)).cloned();
                local.ok_or_else(|| unreachable(look.blocked.unwrap_or_else(|| no_family(to))))
            }
        }
    }

    /// Connects to a peer: through the proxy if there is one.
    pub(crate) async fn connect(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        match &self.0.proxy {
            Some(url) => {
                let (stream, _) = proxy::connect(self, url, Target::Addr(addr)).await?;
                Ok(stream)
            }
            None => self.connect_directly(addr).await,
        }
    }

    /// Connects past any proxy: to the proxy itself, or to a name server.
    pub(super) async fn connect_directly(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        let local = self.local_to_reach(addr.ip())?;
        let socket = device::open(&local, 0, Type::STREAM)?;
        let stream = TcpSocket::from_std_stream(socket.into()).connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// As [`local_for`](Self::local_for); a proxy on this machine is reached over loopback, which no
    /// packet leaves by.
    fn local_to_reach(&self, to: IpAddr) -> io::Result<Local> {
        match self.0.proxy {
            Some(_) if to.to_canonical().is_loopback() => Ok(Local::any(to.is_ipv6())),
            _ => self.local_for(to),
        }
    }

    /// A socket for datagrams to `to`, and to others of its family.
    pub(crate) fn datagrams_to(&self, to: IpAddr) -> io::Result<UdpSocket> {
        let local = self.local_to_reach(to)?;
        UdpSocket::from_std(device::open(&local, 0, Type::DGRAM)?.into())
    }

    /// A socket for datagrams of a family.
    pub(crate) fn datagrams(&self, family: Family) -> io::Result<UdpSocket> {
        let local = self.local_of(family)?;
        UdpSocket::from_std(device::open(&local, 0, Type::DGRAM)?.into())
    }

    /// Holds a connection that came in to the interface that has the address it came to. Where an
    /// interface is named, its listening socket is held to it already.
    pub(super) fn hold(&self, stream: &TcpStream, from: IpAddr) -> io::Result<()> {
        if !matches!(self.0.bound, Bound::Addresses(_)) || device::is_here(from) {
            return Ok(());
        }
        let own = stream.local_addr()?.ip().to_canonical();
        let device = device::of_address(own).ok_or(io::ErrorKind::AddrNotAvailable)?;
        device::bind_device(&socket2::SockRef::from(stream), &device, own.is_ipv6())
    }

    /// Where sockets of a family are bound now.
    pub(crate) fn local_of(&self, family: Family) -> io::Result<Local> {
        let look = match &self.0.bound {
            Bound::No => self.look(),
            bound => bound.look(),
        };
        let none = || unreachable(format!("there is no {family} to go out by"));
        let mut local = look.of(family).cloned().ok_or_else(none)?;
        if let Bound::Addresses(_) = self.0.bound {
            // Also for trackers on this machine.
            local.device = None;
        }
        Ok(local)
    }

    /// The addresses of a host, asked for only by a way that is allowed.
    pub(crate) async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        resolver::lookup(self, host, port).await
    }
}

impl Bound {
    pub(super) fn look(&self) -> Look {
        match self {
            Bound::No => Look {
                v4: Some(Local::any(false)),
                v6: Some(Local::any(true)),
                further: Vec::new(),
                own: device::own(None).unwrap_or_default(),
                blocked: None,
            },
            Bound::Addresses(ips) => {
                let all = device::interfaces().unwrap_or_default();
                let there = |ip: IpAddr| {
                    // All of 127.0.0.0/8 is there, whatever is listed.
                    let own = all.iter().find(|one| one.ip() == ip).map(device::device);
                    let is_there = own.is_some() || ip.is_loopback();
                    is_there.then_some(Local { ip, device: own.filter(|_| !ip.is_loopback()) })
                };
                let of = |v6: bool| ips.iter().copied().filter(move |ip| ip.is_ipv6() == v6);
                let [v4, v6] = [false, true].map(|v6| there(of(v6).next()?));
                let others = |v6: bool, first: &Option<Local>| {
                    first.iter().flat_map(|_| of(v6).skip(1)).filter_map(there).collect::<Vec<_>>()
                };
                let further = [others(false, &v4), others(true, &v6)].concat();
                let gone = v4.is_none() && v6.is_none();
                let blocked = gone.then(|| {
                    "this machine has none of the addresses of network.bind, so nothing of \
                     BitTorrent goes out until it has"
                        .to_owned()
                });
                let all = [&v4, &v6].into_iter().flatten().chain(&further);
                let own = all.map(|local| local.ip).collect();
                Look { v4, v6, further, own, blocked }
            }
            Bound::Interface(name) => {
                let state = match device::find(name) {
                    Ok(Found::Up { v4, v6 }) => {
                        let own = device::own(Some(name)).unwrap_or_default();
                        return Look { v4, v6, own, ..Look::default() };
                    }
                    Ok(Found::Missing) => "is not there".to_owned(),
                    Ok(Found::Down) => "is down".to_owned(),
                    Ok(Found::NoAddress) => "has no address".to_owned(),
                    Err(error) => format!("cannot be looked at ({error})"),
                };
                let blocked = format!(
                    "the interface {name:?} of network.interface {state}, so nothing of BitTorrent \
                     goes out until that changes"
                );
                Look { blocked: Some(blocked), ..Look::default() }
            }
        }
    }
}

impl Device {
    /// The name by which an HTTP client is bound, where that does something.
    pub(crate) fn binding(&self) -> Option<&str> {
        device::BINDS_DEVICES.then_some(self.name.as_str())
    }
}

fn unreachable(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::NetworkUnreachable, why)
}

fn no_family(ip: IpAddr) -> String {
    format!("the interface has no {} address", Family::of(ip))
}

/// The local address to connect from: of the same family as `to`. With none of that family it is
/// out of reach, since any other way would go past what the user allowed.
fn source_for(to: IpAddr, bind: &[IpAddr]) -> io::Result<IpAddr> {
    let named = bind.iter().find(|ip| ip.is_ipv4() == to.is_ipv4());
    let none = || unreachable("network.bind names no address of this family".to_owned());
    named.copied().ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(settings: &str) -> Way {
        Way::new(&toml::from_str(settings).expect("valid settings"))
    }

    fn ip(ip: &str) -> IpAddr {
        ip.parse().expect("an address")
    }

    #[test]
    fn a_bound_node_goes_out_by_that_address_only() {
        let source = |to, bind: &[IpAddr]| source_for(ip(to), bind).ok();
        assert_eq!(source("1.2.3.4", &[ip("::1"), ip("10.0.0.2")]), Some(ip("10.0.0.2")));
        assert_eq!(source("2001:db8::1", &[ip("10.0.0.2")]), None);
    }

    #[test]
    fn without_an_interface_there_is_no_way_and_it_says_so() {
        let way = way("interface = 'no-such-if'");
        assert!(!way.is_open());
        let said = way.look().blocked.expect("a reason");
        assert!(said.contains("no-such-if") && said.contains("is not there"), "{said}");
        assert!(way.local_for(ip("192.0.2.1")).is_err() && way.local_for(ip("::1")).is_err());
        assert!(way.local_of(Family::V4).is_err() && way.local_of(Family::V6).is_err());
    }

    #[test]
    fn an_address_that_is_not_here_is_no_way() {
        let way = way("bind = ['192.0.2.77']");
        assert!(!way.is_open());
        assert!(way.local_of(Family::V4).is_err());
        assert!(way.local_for(ip("2001:db8::1")).is_err());
    }

    #[test]
    fn nothing_is_said_twice() {
        let way = way("interface = 'no-such-if'");
        let said = std::cell::Cell::new(0);
        way.look_again(|_, _| said.set(said.get() + 1));
        assert_eq!(said.get(), 0);
        way.0.look.send_replace(Look::default());
        way.look_again(|before, look| {
            assert!(before.is_open() && !look.is_open());
            said.set(said.get() + 1);
        });
        assert_eq!(said.get(), 1);
    }

    #[tokio::test]
    async fn loopback_can_be_the_interface() {
        let Ok(all) = device::interfaces() else { return };
        let Some(own) = all.iter().find(|one| one.is_loopback()) else { return };
        let way = way(&format!("interface = {:?}", own.name));
        assert!(way.is_open());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it listens");
        let stream = way.connect(addr).await.expect("it is reached");
        assert!(stream.local_addr().is_ok_and(|addr| addr.ip().is_loopback()));
        let elsewhere = "192.0.2.1:9".parse().expect("an address");
        let mut denied = std::pin::pin!(way.connect(elsewhere));
        let answer = tokio::time::timeout(Duration::from_millis(50), &mut denied).await;
        assert!(!matches!(answer, Ok(Ok(_))));
    }
}
