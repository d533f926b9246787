//! The machine that gets a port mapped and keeps it so.

use super::pcp::{self, Answer, Map};
use super::upnp::{self, Call, Place, Service};
use super::{Method, Protocol, Status};
use althing_base::{Instant, Machine, Rng, Seed};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// How long a mapping is asked for. RFC 6886 recommends two hours, RFC 6887 leaves it open; with one,
/// a mapping that was not given up is soon gone.
const LIFETIME: Duration = Duration::from_secs(3600);

/// A mapping that is granted for less is renewed as if it were this long, so that a gateway cannot
/// make us ask all the time.
const LIFETIME_MIN: Duration = Duration::from_secs(120);

/// One that is granted for longer is renewed as if it were this long (RFC 6887, section 15: a day).
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// First wait for an answer of PCP and NAT-PMP, doubled each time (RFC 6886, section 3.1).
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Packets sent by each of the two before the next protocol is tried: four seconds. RFC 6886 would
/// send nine in a minute, but most gateways speak one protocol of the three.
const TRIES: u32 = 4;

/// Wait for gateways to answer a search: they take up to the two seconds that it allows.
const SEARCH_WAIT: Duration = Duration::from_secs(4);

/// Searches before it is given up.
const SEARCHES: u32 = 2;

/// Wait until all protocols are tried again after all have failed (guess: somebody may have switched
/// one on).
const RETRY_AFTER: Duration = Duration::from_secs(15 * 60);

/// Wait after a mapping could not be renewed: it may still hold.
const RENEW_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Other ports on the gateway that are tried where UPnP says that one is taken.
const OTHER_PORTS: u16 = 4;

/// The request of HTTP that an answer belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestId(pub u64);

/// What is to be mapped, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The default gateway, if it is known; else only UPnP is tried.
    pub gateway: Option<Ipv4Addr>,
    /// This machine, as the gateway sees it.
    pub client: Ipv4Addr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port that is listened on.
    pub port: u16,
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Begin.
    Start,
    /// A packet came.
    Packet {
        /// From whom. What does not come from the gateway is not looked at.
        from: SocketAddr,
        /// What.
        packet: Vec<u8>,
    },
    /// [`Output::Http`] is through.
    Answered {
        /// Which.
        id: RequestId,
        /// Status and body; `None` if there was no answer.
        answer: Option<(u16, Vec<u8>)>,
    },
    /// Give the mapping up.
    Stop,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send a packet.
    Send {
        /// To the gateway, or to those who are searched for.
        to: SocketAddrV4,
        /// What.
        packet: Vec<u8>,
    },
    /// Make a request to the gateway without following redirects; answer [`Input::Answered`].
    Http {
        /// Its name from now on.
        id: RequestId,
        /// Where.
        place: Place,
        /// The header `SOAPAction` and the body of a POST; a GET if `None`.
        call: Option<(String, String)>,
    },
    /// It stands otherwise now.
    Status(Status),
    /// The mapping has been given up, or there was none: the end.
    Stopped,
}

/// Why it wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Nobody has answered in time.
    Unanswered,
    /// The mapping is to be renewed.
    Renew,
    /// All is to be tried again.
    Retry,
}

#[derive(Debug)]
enum State {
    Idle,
    /// A packet of PCP or NAT-PMP is on its way.
    Asking {
        method: Method,
        tries: u32,
    },
    /// Gateways of UPnP are searched for.
    Searching {
        tries: u32,
    },
    /// A request of UPnP is on its way.
    Calling(Step),
    /// The port is mapped.
    Mapped,
    /// It is not, for now.
    Resting,
    /// The mapping is being given up.
    Stopping,
    Stopped,
}

/// What a request of UPnP is for.
#[derive(Debug)]
enum Step {
    Describe(Place),
    External,
    Add { lifetime_s: u32, moved: u16 },
}

#[derive(Clone, Copy, Debug)]
struct Mapping {
    method: Method,
    external_port: u16,
    until: Instant,
}

/// See the [module](super).
#[derive(Debug)]
pub struct Mapper {
    settings: Settings,
    nonce: [u8; 12],
    state: State,
    /// What there is.
    mapping: Option<Mapping>,
    external_ip: Option<Ipv4Addr>,
    service: Option<Service>,
    /// What the gateway's clock said, and when.
    epoch: Option<(u32, Instant)>,
    /// The request whose answer is waited for.
    request: RequestId,
    wake: Option<(Instant, Reason)>,
    why: String,
    said: Status,
    outputs: VecDeque<Output>,
}

impl Mapper {
    /// A mapper that waits for [`Input::Start`].
    pub fn new(settings: Settings, seed: Seed) -> Self {
        let mut nonce = [0; 12];
        Rng::new(seed).fill(&mut nonce);
        Mapper {
            settings,
            nonce,
            state: State::Idle,
            mapping: None,
            external_ip: None,
            service: None,
            epoch: None,
            request: RequestId(0),
            wake: None,
            why: "no router answers".to_owned(),
            said: Status::Asking,
            outputs: VecDeque::new(),
        }
    }

    /// How it stands.
    pub fn status(&self) -> &Status {
        &self.said
    }

    fn say(&mut self, status: Status) {
        if self.said != status {
            self.said = status.clone();
            self.outputs.push_back(Output::Status(status));
        }
    }

    fn external_port(&self) -> u16 {
        self.mapping.map_or(self.settings.port, |mapping| mapping.external_port)
    }

    fn wanted(&self, lifetime_s: u32) -> Map {
        let Settings { protocol, port: internal, .. } = self.settings;
        Map { protocol, internal, external: self.external_port(), lifetime_s }
    }

    fn send_to_gateway(&mut self, packet: Vec<u8>) {
        if let Some(gateway) = self.settings.gateway {
            let to = SocketAddrV4::new(gateway, pcp::PORT);
            self.outputs.push_back(Output::Send { to, packet });
        }
    }

    /// Asks by PCP or NAT-PMP, for the time after `tries` packets.
    fn ask(&mut self, now: Instant, method: Method, tries: u32) {
        if self.settings.gateway.is_none() {
            return self.search(now, 0);
        }
        let map = self.wanted(LIFETIME.as_secs() as u32);
        if method == Method::Pcp {
            self.send_to_gateway(pcp::pcp_request(&map, self.settings.client, self.nonce));
        } else {
            self.send_to_gateway(pcp::external_request());
            self.send_to_gateway(pcp::map_request(&map));
        }
        self.state = State::Asking { method, tries: tries + 1 };
        self.wake = Some((now + FIRST_WAIT * 2u32.pow(tries.min(TRIES)), Reason::Unanswered));
    }

    fn search(&mut self, now: Instant, tries: u32) {
        for packet in upnp::searches() {
            self.outputs.push_back(Output::Send { to: upnp::SEARCH_ADDR, packet });
        }
        self.state = State::Searching { tries: tries + 1 };
        self.wake = Some((now + SEARCH_WAIT, Reason::Unanswered));
    }

    fn http(&mut self, place: Place, call: Option<(String, String)>) {
        self.request = RequestId(self.request.0 + 1);
        self.outputs.push_back(Output::Http { id: self.request, place, call });
        // The driver answers in any case.
        self.wake = None;
    }

    fn call(&mut self, service: &Service, call: &Call, step: Step) {
        let words = (call.action(service), call.body(service));
        self.http(service.place.clone(), Some(words));
        self.state = State::Calling(step);
    }

    fn add(&mut self, now: Instant, lifetime_s: u32, moved: u16) {
        let Some(service) = self.service.clone() else { return self.search(now, 0) };
        let Settings { protocol, port: internal, client, .. } = self.settings;
        let external = self.external_port().checked_add(moved).unwrap_or(internal);
        let call = Call::Add { protocol, external, internal, client, lifetime_s };
        self.call(&service, &call, Step::Add { lifetime_s, moved });
    }

    fn fail(&mut self, now: Instant, why: &str) {
        why.clone_into(&mut self.why);
        self.next_method(now);
    }

    /// Goes on with the next protocol, and rests after the last.
    fn next_method(&mut self, now: Instant) {
        match self.state {
            State::Asking { method: Method::Pcp, .. } => self.ask(now, Method::NatPmp, 0),
            State::Asking { .. } => self.search(now, 0),
            _ => {
                self.service = None;
                let holds = self.mapping.is_some_and(|mapping| mapping.until > now);
                if holds {
                    self.state = State::Mapped;
                    self.wake = Some((now + RENEW_AGAIN_AFTER, Reason::Renew));
                } else {
                    self.mapping = None;
                    self.state = State::Resting;
                    self.wake = Some((now + RETRY_AFTER, Reason::Retry));
                    self.say(Status::Failed(self.why.clone()));
                }
            }
        }
    }

    fn mapped(&mut self, now: Instant, method: Method, external_port: u16, lifetime_s: u32) {
        let granted = match lifetime_s {
            // UPnP's for ever.
            0 => LIFETIME,
            granted => Duration::from_secs(granted.into()).clamp(LIFETIME_MIN, LIFETIME_MAX),
        };
        self.mapping = Some(Mapping { method, external_port, until: now + granted });
        self.state = State::Mapped;
        self.wake = Some((now + granted / 2, Reason::Renew));
        self.say(Status::Mapped { method, external_ip: self.external_ip, external_port });
    }

    /// Notes the gateway's clock; true if it has lost its memory since (RFC 6886, section 3.6: its
    /// seconds go at least seven eighths as fast as ours).
    fn has_restarted(&mut self, now: Instant, epoch_s: u32) -> bool {
        let before = self.epoch.replace((epoch_s, now));
        before.is_some_and(|(then_s, at)| {
            let passed = now.since(at).as_secs();
            u64::from(epoch_s) + 2 < u64::from(then_s) + passed * 7 / 8
        })
    }

    fn renew(&mut self, now: Instant) {
        match self.mapping.map(|mapping| mapping.method) {
            Some(Method::Upnp) => self.add(now, LIFETIME.as_secs() as u32, 0),
            Some(method) => self.ask(now, method, 0),
            None => self.ask(now, Method::Pcp, 0),
        }
    }

    fn packet(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        let SocketAddr::V4(from) = from else { return };
        let is_gateway = self.settings.gateway.is_none_or(|gateway| gateway == *from.ip());
        if !is_gateway || !is_private(*from.ip()) {
            return;
        }
        if matches!(self.state, State::Searching { .. }) {
            if let Some(place) = upnp::location(packet, *from.ip()) {
                self.http(place.clone(), None);
                self.state = State::Calling(Step::Describe(place));
            }
            return;
        }
        if from.port() == pcp::PORT
            && self.settings.gateway.is_some()
            && let Some(answer) = pcp::read(packet)
        {
            self.answer(now, answer);
        }
    }

    fn answer(&mut self, now: Instant, answer: Answer) {
        let asked = match self.state {
            State::Asking { method, .. } => Some(method),
            _ => None,
        };
        let is_ours = |map: &Map| {
            map.protocol == self.settings.protocol && map.internal == self.settings.port
        };
        match answer {
            Answer::External { ip, epoch_s } => {
                let restarted = self.has_restarted(now, epoch_s);
                if !ip.is_unspecified() {
                    self.external_ip = Some(ip);
                }
                let is_mapped = matches!(self.state, State::Mapped);
                if let (true, Some(Mapping { method, external_port, .. })) =
                    (is_mapped, self.mapping)
                {
                    let external_ip = self.external_ip;
                    self.say(Status::Mapped { method, external_ip, external_port });
                    if restarted {
                        self.renew(now);
                    }
                }
            }
            Answer::Mapped { map, epoch_s } if asked == Some(Method::NatPmp) && is_ours(&map) => {
                self.has_restarted(now, epoch_s);
                if map.external == 0 || map.lifetime_s == 0 {
                    return self.fail(now, "the router grants no port (NAT-PMP)");
                }
                self.mapped(now, Method::NatPmp, map.external, map.lifetime_s);
            }
            Answer::PcpMapped { map, ip, epoch_s, nonce }
                if asked == Some(Method::Pcp) && is_ours(&map) && nonce == self.nonce =>
            {
                self.has_restarted(now, epoch_s);
                if map.external == 0 || map.lifetime_s == 0 {
                    return self.fail(now, "the router grants no port (PCP)");
                }
                self.external_ip = Some(ip).filter(|ip| !ip.is_unspecified());
                self.mapped(now, Method::Pcp, map.external, map.lifetime_s);
            }
            // An old gateway answers PCP in its own version, or says in the new one which it can.
            Answer::Refused { code: pcp::UNSUPPORTED_VERSION, .. }
                if asked == Some(Method::Pcp) =>
            {
                self.next_method(now);
            }
            Answer::Refused { pcp, code }
                if asked.is_some_and(|method| (method == Method::Pcp) == pcp) =>
            {
                let method = if pcp { Method::Pcp } else { Method::NatPmp };
                self.fail(now, &format!("the router refuses (code {code} of {method})"));
            }
            _ => {}
        }
    }

    fn answered(&mut self, now: Instant, id: RequestId, answer: Option<(u16, Vec<u8>)>) {
        if id != self.request {
            return;
        }
        match std::mem::replace(&mut self.state, State::Resting) {
            State::Calling(step) => self.step(now, step, answer.unwrap_or_default()),
            // Whatever it says, that was all that could be done.
            State::Stopping => self.stopped(),
            other => self.state = other,
        }
    }

    /// A request of UPnP is through: status 0 if there was no answer.
    fn step(&mut self, now: Instant, step: Step, (status, body): (u16, Vec<u8>)) {
        let fine = status == 200;
        match step {
            Step::Describe(place) => match upnp::service(&body, &place).filter(|_| fine) {
                Some(service) => {
                    self.service = Some(service.clone());
                    self.call(&service, &Call::ExternalAddress, Step::External);
                }
                None => self.fail(now, "the router has no service that maps ports (UPnP)"),
            },
            Step::External => {
                if let Some(ip) = upnp::external_address(&body).filter(|_| fine) {
                    self.external_ip = Some(ip).filter(|ip| !ip.is_unspecified());
                }
                self.add(now, LIFETIME.as_secs() as u32, 0);
            }
            Step::Add { lifetime_s, moved } if fine => {
                let port = self.external_port().checked_add(moved).unwrap_or(self.settings.port);
                self.mapped(now, Method::Upnp, port, lifetime_s);
            }
            Step::Add { lifetime_s, moved } => match upnp::error_code(&body) {
                // It knows mappings for ever only.
                Some(725) if lifetime_s != 0 => self.add(now, 0, moved),
                // Somebody else has the port.
                Some(718) if moved < OTHER_PORTS => self.add(now, lifetime_s, moved + 1),
                Some(code) => self.fail(now, &format!("the router refuses (code {code} of UPnP)")),
                None => self.fail(now, "the router does not answer (UPnP)"),
            },
        }
    }

    fn stop(&mut self) {
        self.wake = None;
        let method = self.mapping.take().map(|mapping| (mapping.method, mapping.external_port));
        self.state = State::Stopping;
        match (method, self.service.clone()) {
            (Some((Method::Upnp, external)), Some(service)) => {
                let call = Call::Delete { protocol: self.settings.protocol, external };
                let words = (call.action(&service), call.body(&service));
                self.http(service.place, Some(words));
            }
            (Some((method, external)), _) => {
                // RFC 6886: the external port is 0 then; RFC 6887 repeats what was granted.
                let map = Map { external, ..self.wanted(0) };
                let packet = match method {
                    Method::Pcp => pcp::pcp_request(&map, self.settings.client, self.nonce),
                    _ => pcp::map_request(&Map { external: 0, ..map }),
                };
                self.send_to_gateway(packet);
                self.stopped();
            }
            (None, _) => self.stopped(),
        }
    }

    fn stopped(&mut self) {
        self.state = State::Stopped;
        self.outputs.push_back(Output::Stopped);
    }
}

/// Gateways are on the user's own network (RFC 1918, RFC 3927, RFC 6598).
fn is_private(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    ip.is_private() || ip.is_link_local() || shared
}

impl Machine for Mapper {
    type Input = Input;
    type Output = Output;
    type Reason = Reason;

    fn handle_input(&mut self, now: Instant, input: Input) {
        match (input, &self.state) {
            (Input::Start, State::Idle) => self.ask(now, Method::Pcp, 0),
            (Input::Stop, State::Stopping | State::Stopped) | (Input::Start, _) => {}
            (Input::Stop, _) => self.stop(),
            (Input::Packet { from, packet }, _) => self.packet(now, from, &packet),
            (Input::Answered { id, answer }, _) => self.answered(now, id, answer),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let Some((_, reason)) = self.wake.take_if(|(at, _)| *at <= now) else { return };
        match (&self.state, reason) {
            (State::Asking { method, tries }, Reason::Unanswered) if *tries < TRIES => {
                self.ask(now, *method, *tries);
            }
            (State::Searching { tries }, Reason::Unanswered) if *tries < SEARCHES => {
                self.search(now, *tries);
            }
            (_, Reason::Unanswered) => self.next_method(now),
            (_, Reason::Renew) => self.renew(now),
            (_, Reason::Retry) => self.ask(now, Method::Pcp, 0),
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        self.wake
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
