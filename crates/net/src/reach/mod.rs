//! What our address is, as others see it, and whether they can reach us.
//!
//! Nobody is believed alone. Trackers (BEP 24), peers (BEP 10's `yourip`), nodes of the DHT (BEP 42) and
//! our router each say what they see; an address is ours when [several networks](limits::AGREE_MIN) name
//! it and more than half of all do. Whether others can reach us is known for sure when somebody outside
//! has; that a router says it forwards the port is second-hand, and that nobody comes although we are
//! known to many is how its absence is told.
//!
//! [`Reach`] is a machine, told what happens and saying what has changed. It forgets everything when the
//! machine's own addresses change: it is elsewhere then.

mod address;
pub mod limits;
mod votes;

pub use address::{Family, is_global};
pub use votes::{Ports, Tally};

use address::Hand;
use althing_base::{Instant, Machine};
use limits::{CLOSED_AFTER, OPEN_LASTS, OWN_ADDRESSES_MAX, REACHED_ENOUGH};
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use votes::Votes;

/// Over what somebody came in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Over {
    /// TCP.
    Tcp,
    /// uTP, and so UDP (BEP 29).
    Utp,
}

/// How asking the router for a port stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mapped {
    /// It is not asked.
    #[default]
    NotAsked,
    /// It has not answered yet.
    Asking,
    /// It gives none.
    Failed,
    /// It forwards the port.
    To {
        /// Its address on the other side, if it told.
        ip: Option<Ipv4Addr>,
        /// The port on the other side.
        port: u16,
    },
}

/// Something happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Somebody said what our address is. Not to be told of what came through a proxy.
    Told {
        /// Who: the tracker's, peer's or node's own address.
        by: IpAddr,
        /// What it sees.
        ip: IpAddr,
        /// The port that it sees our datagrams come from, if it said that (BEP 42).
        port: Option<u16>,
    },
    /// A peer connected to us. Not to be told of who came over uTP from an address that something was
    /// sent to of late: our router may let in nobody else.
    Arrived {
        /// From where.
        from: IpAddr,
        /// Over what.
        over: Over,
    },
    /// We connected to a peer.
    Reached {
        /// Where.
        to: IpAddr,
    },
    /// Asking the router for the port stands otherwise.
    Mapped(Mapped),
    /// The addresses of this machine that packets can leave from: all but those of loopback. None if it
    /// has no network, or not the one that it is bound to.
    Own(Vec<IpAddr>),
    /// Whether we listen for peers at all.
    Listening(bool),
}

/// What has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// Our address, as others see it.
    External {
        /// Of which kind.
        family: Family,
        /// `None` if it is not known any more.
        ip: Option<IpAddr>,
    },
    /// Whether others can reach us.
    Judged(Judgement),
}

/// Whether others can reach us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Judgement {
    /// This machine has no network.
    Offline,
    /// We do not listen.
    Deaf,
    /// Somebody outside has.
    Open,
    /// Our router says so, and nobody has yet.
    Mapped,
    /// Nothing speaks for it or against it.
    #[default]
    Unproven,
    /// Many know us, and nobody has.
    Closed,
}

/// Why it wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// A vote is too old.
    Vote,
    /// What was seen long ago proves nothing any more, or that nothing was seen does.
    Judge,
}

/// All that is known, to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// Whether others can reach us.
    pub judgement: Judgement,
    /// What they call us over IPv4.
    pub v4: Tally,
    /// What they call us over IPv6.
    pub v6: Tally,
    /// Of those two, what this machine has itself: there is no translation then.
    pub own: Vec<IpAddr>,
    /// The router forwards the port from an address that is not ours: another translation lies beyond
    /// it.
    pub nat_beyond: bool,
    /// Peers outside that came in since we are where we are, over TCP.
    pub arrived_tcp: u32,
    /// The same over uTP.
    pub arrived_utp: u32,
    /// When the last one did.
    pub arrived_at: Option<Instant>,
    /// Peers outside that we reached since then.
    pub reached: u32,
}

impl View {
    /// Whether an address that others name is our own, if they were told that we listen on `port`: a
    /// neighbour behind the same router has another port.
    pub fn is_us(&self, addr: SocketAddr, port: Option<u16>) -> bool {
        let ip = addr.ip().to_canonical();
        let tally = if ip.is_ipv4() { &self.v4 } else { &self.v6 };
        let sends_from = match tally.ports {
            Ports::Steady(port) => Some(port),
            _ => None,
        };
        tally.ip == Some(ip) && [port, sends_from].contains(&Some(addr.port()))
    }
}

/// See the [module](self).
#[derive(Debug)]
pub struct Reach {
    v4: Votes,
    v6: Votes,
    own: BTreeSet<IpAddr>,
    listening: bool,
    mapped: Mapped,
    arrived_tcp: u32,
    arrived_utp: u32,
    arrived_at: Option<Instant>,
    reached: u32,
    /// When the first of those was reached, if nobody has come in before.
    reached_since: Option<Instant>,
    said: (Option<IpAddr>, Option<IpAddr>, Judgement),
    outputs: VecDeque<Output>,
}

impl Default for Reach {
    fn default() -> Self {
        Self::new()
    }
}

impl Reach {
    /// One that knows nothing yet, on a machine that listens.
    pub fn new() -> Self {
        Reach {
            v4: Votes::default(),
            v6: Votes::default(),
            own: BTreeSet::new(),
            listening: true,
            mapped: Mapped::NotAsked,
            arrived_tcp: 0,
            arrived_utp: 0,
            arrived_at: None,
            reached: 0,
            reached_since: None,
            said: (None, None, Judgement::Unproven),
            outputs: VecDeque::new(),
        }
    }

    /// Our address, as others see it, if it is settled.
    pub fn external(&self, family: Family) -> Option<IpAddr> {
        self.votes(family).ip()
    }

    /// Whether one of those who came in came over TCP, by the port that we listen on. Over uTP alone it
    /// may be that a router's port is open that has another number.
    pub fn came_over_tcp(&self) -> bool {
        self.arrived_tcp > 0
    }

    /// All that is known.
    pub fn view(&self, now: Instant) -> View {
        let (v4, v6) = (self.v4.tally(), self.v6.tally());
        View {
            judgement: self.judge(now),
            own: [v4.ip, v6.ip].into_iter().flatten().filter(|ip| self.own.contains(ip)).collect(),
            nat_beyond: self.is_nat_beyond(),
            v4,
            v6,
            arrived_tcp: self.arrived_tcp,
            arrived_utp: self.arrived_utp,
            arrived_at: self.arrived_at,
            reached: self.reached,
        }
    }

    fn votes(&self, family: Family) -> &Votes {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    fn votes_mut(&mut self, family: Family) -> &mut Votes {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    fn told(&mut self, now: Instant, by: IpAddr, ip: IpAddr, port: Option<u16>) {
        let (by, ip) = (by.to_canonical(), ip.to_canonical());
        // Neighbours see what the world does not, and who speaks by one family does not see our address
        // of the other: it would repeat what it was told.
        let sees = is_global(by) && is_global(ip) && Family::of(by) == Family::of(ip);
        // A machine that calls itself by the address that we are looking for is ourselves.
        if sees && by != ip {
            let port = port.filter(|port| *port != 0);
            self.votes_mut(Family::of(ip)).hear(now, Hand::of(by), ip, port);
        }
    }

    fn arrived(&mut self, now: Instant, from: IpAddr, over: Over) {
        let from = from.to_canonical();
        let external = [self.v4.ip(), self.v6.ip()].contains(&Some(from));
        // From our own router's address comes what went out to it a moment ago.
        if !is_global(from) || external || self.own.contains(&from) {
            return;
        }
        let count = match over {
            Over::Tcp => &mut self.arrived_tcp,
            Over::Utp => &mut self.arrived_utp,
        };
        *count = count.saturating_add(1);
        self.arrived_at = Some(now);
        self.reached_since = None;
    }

    fn reached(&mut self, now: Instant, to: IpAddr) {
        if is_global(to) {
            self.reached = self.reached.saturating_add(1);
            if self.arrived_at.is_none() {
                self.reached_since.get_or_insert(now);
            }
        }
    }

    fn mapped(&mut self, now: Instant, mapped: Mapped) {
        let was = self.is_forwarded();
        self.mapped = mapped;
        if was && !self.is_forwarded() {
            // Who came in may have come that way.
            self.forget_who_came();
        }
        match mapped {
            Mapped::To { ip: Some(ip), .. } if is_global(ip.into()) => {
                self.v4.hear(now, Hand::Router, ip.into(), None);
            }
            _ => self.v4.silence(Hand::Router),
        }
    }

    fn is_forwarded(&self) -> bool {
        matches!(self.mapped, Mapped::To { .. })
    }

    /// Whether the router's address is not what others see.
    fn is_nat_beyond(&self) -> bool {
        match self.mapped {
            Mapped::To { ip: Some(ip), .. } => {
                let ip = IpAddr::V4(ip);
                !is_global(ip) || self.v4.ip().is_some_and(|seen| seen != ip)
            }
            _ => false,
        }
    }

    fn moved(&mut self, own: Vec<IpAddr>) {
        let own: BTreeSet<IpAddr> =
            own.into_iter().map(|ip| ip.to_canonical()).take(OWN_ADDRESSES_MAX).collect();
        if own == self.own {
            return;
        }
        let mut gone = self.own.is_empty();
        for family in Family::BOTH {
            let change = Change::of(&self.own, &own, family);
            if change != Change::Nothing {
                self.votes_mut(family).clear();
            }
            gone |= change == Change::Gone;
        }
        if gone {
            self.forget_who_came();
        }
        self.own = own;
    }

    fn forget_who_came(&mut self) {
        (self.arrived_tcp, self.arrived_utp, self.arrived_at) = (0, 0, None);
        (self.reached, self.reached_since) = (0, None);
    }

    fn judge(&self, now: Instant) -> Judgement {
        let came = self.arrived_at.is_some_and(|at| now.since(at) < OPEN_LASTS);
        let in_vain = self.reached >= REACHED_ENOUGH
            && self.reached_since.is_some_and(|at| now.since(at) >= CLOSED_AFTER);
        match () {
            () if self.own.is_empty() => Judgement::Offline,
            () if !self.listening => Judgement::Deaf,
            () if came => Judgement::Open,
            () if self.is_forwarded() && !self.is_nat_beyond() => Judgement::Mapped,
            () if in_vain => Judgement::Closed,
            () => Judgement::Unproven,
        }
    }

    /// Says what is not as it was said last.
    fn say(&mut self, now: Instant) {
        let (v4, v6, judgement) = self.said;
        self.said = (self.v4.ip(), self.v6.ip(), self.judge(now));
        for (family, before, ip) in [(Family::V4, v4, self.said.0), (Family::V6, v6, self.said.1)] {
            if before != ip {
                self.outputs.push_back(Output::External { family, ip });
            }
        }
        if judgement != self.said.2 {
            self.outputs.push_back(Output::Judged(self.said.2));
        }
    }
}

/// Whether a machine that had some addresses and has others now is elsewhere: one of its places in the
/// network is gone, or it has come into one of a kind that it had none of. That others come beside those
/// it has changes nothing for them.
pub fn has_moved(before: &[IpAddr], after: &[IpAddr]) -> bool {
    let set = |ips: &[IpAddr]| ips.iter().map(|ip| ip.to_canonical()).collect::<BTreeSet<_>>();
    let (before, after) = (set(before), set(after));
    Family::BOTH.iter().any(|family| Change::of(&before, &after, *family) != Change::Nothing)
}

/// What has become of a machine's addresses of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    /// What there was is there.
    Nothing,
    /// There was none.
    Come,
    /// One that there was is gone.
    Gone,
}

impl Change {
    fn of(before: &BTreeSet<IpAddr>, after: &BTreeSet<IpAddr>, family: Family) -> Self {
        let places = |all: &BTreeSet<IpAddr>| -> BTreeSet<IpAddr> {
            all.iter().filter(|ip| Family::of(**ip) == family).map(|ip| place(*ip)).collect()
        };
        let (before, after) = (places(before), places(after));
        match () {
            () if !before.is_subset(&after) => Change::Gone,
            () if before.is_empty() && !after.is_empty() => Change::Come,
            () => Change::Nothing,
        }
    }
}

/// Where in the network an address is. Addresses of IPv6 come and go within a /64 (RFC 8981), and nothing
/// has moved.
fn place(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
    }
}

impl Machine for Reach {
    type Input = Input;
    type Output = Output;
    type Reason = Reason;

    fn handle_input(&mut self, now: Instant, input: Input) {
        debug_assert!(self.outputs.is_empty(), "drain the outputs before the next input");
        match input {
            Input::Told { by, ip, port } => self.told(now, by, ip, port),
            Input::Arrived { from, over } => self.arrived(now, from, over),
            Input::Reached { to } => self.reached(now, to),
            Input::Mapped(mapped) => self.mapped(now, mapped),
            Input::Own(own) => self.moved(own),
            Input::Listening(listening) => self.listening = listening,
        }
        self.say(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        debug_assert!(self.outputs.is_empty(), "drain the outputs before the next timeout");
        self.v4.expire(now);
        self.v6.expire(now);
        if self.arrived_at.is_some_and(|at| now.since(at) >= OPEN_LASTS) {
            self.forget_who_came();
        }
        self.say(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let votes = [self.v4.expires_at(), self.v6.expires_at()].into_iter().flatten().min();
        let open = self.arrived_at.map(|at| at + OPEN_LASTS);
        let closed = self
            .reached_since
            .filter(|_| self.reached >= REACHED_ENOUGH && self.said.2 == Judgement::Unproven);
        let judge = [open, closed.map(|at| at + CLOSED_AFTER)].into_iter().flatten().min();
        [votes.map(|at| (at, Reason::Vote)), judge.map(|at| (at, Reason::Judge))]
            .into_iter()
            .flatten()
            .min()
    }
}

#[cfg(test)]
mod tests;
