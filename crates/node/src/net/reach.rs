//! Where everything is told that bears on our address and on whether others can reach us. Machines and
//! sockets of all threads tell it; it keeps the machine that judges.

use super::way::Way;
use crate::clock;
use althing_base::{Instant, Machine as _};
use althing_net::reach::{Family, Input, Judgement, Mapped, Output, Over, Reach, View, is_global};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tracing::{debug, info};

/// See the [module](self).
pub(crate) struct Desk {
    inner: Mutex<Inner>,
    /// The machine wants to be woken earlier than before.
    wake: Notify,
    /// Told when what is known has become something else.
    changes: watch::Sender<Known>,
    /// What goes out goes through a proxy, so that others see its address and not ours.
    proxied: bool,
    began: Instant,
}

/// What is known of our address, and of whether others can reach us.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Known {
    pub(crate) v4: Option<IpAddr>,
    pub(crate) v6: Option<IpAddr>,
    pub(crate) judgement: Judgement,
    /// Somebody outside has come in by the port that we listen on, and not only by the one that our
    /// datagrams come from.
    pub(crate) over_tcp: bool,
}

struct Inner {
    machine: Reach,
    armed: Option<Instant>,
}

impl Desk {
    /// For a session that goes out by `way`, and listens or does not.
    pub(crate) fn new(way: &Way, listens: bool) -> Self {
        let inner = Inner { machine: Reach::new(), armed: None };
        let proxied = way.proxy().is_some();
        let changes = watch::Sender::new(Known::default());
        let (wake, began) = (Notify::new(), clock::now());
        let desk = Desk { inner: Mutex::new(inner), wake, changes, proxied, began };
        desk.tell(Input::Listening(listens));
        desk.moved(way.look().own);
        desk
    }

    /// Somebody said what our address is; `port` is what it sees our datagrams come from.
    pub(crate) fn told(&self, by: IpAddr, ip: IpAddr, port: Option<u16>) {
        if !self.proxied && is_global(by) {
            self.tell(Input::Told { by, ip, port });
        }
    }

    /// A peer connected to us, other than from where we had sent something of late.
    pub(crate) fn arrived(&self, from: IpAddr, over: Over) {
        if is_global(from) {
            self.tell(Input::Arrived { from, over });
        }
    }

    /// We connected to a peer.
    pub(crate) fn reached(&self, to: IpAddr) {
        if !self.proxied && is_global(to) {
            self.tell(Input::Reached { to });
        }
    }

    /// Asking the router for the port stands otherwise.
    pub(crate) fn mapped(&self, mapped: Mapped) {
        self.tell(Input::Mapped(mapped));
    }

    /// This machine has other addresses.
    pub(crate) fn moved(&self, own: Vec<IpAddr>) {
        self.tell(Input::Own(own));
    }

    /// For how long it has been listened to what others say.
    pub(crate) fn age(&self) -> Duration {
        clock::now().since(self.began)
    }

    /// All that is known.
    pub(crate) fn view(&self) -> View {
        self.lock().machine.view(clock::now())
    }

    /// Told whenever our address, or whether others can reach us, is taken for something else.
    pub(crate) fn changes(&self) -> watch::Receiver<Known> {
        self.changes.subscribe()
    }

    fn tell(&self, input: Input) {
        let mut inner = self.lock();
        inner.machine.handle_input(clock::now(), input);
        inner.drain(&self.changes);
        let next = inner.machine.poll_timeout().map(|(at, _)| at);
        let earlier = next.is_some_and(|next| inner.armed.is_none_or(|armed| next < armed));
        drop(inner);
        if earlier {
            self.wake.notify_one();
        }
    }

    /// Wakes the machine when it wants to be, for as long as it is polled.
    pub(crate) async fn run(&self) {
        loop {
            let next = {
                let mut inner = self.lock();
                inner.armed = inner.machine.poll_timeout().map(|(at, _)| at);
                inner.armed
            };
            tokio::select! {
                () = clock::sleep_until(next) => {
                    let mut inner = self.lock();
                    inner.machine.handle_timeout(clock::now());
                    inner.drain(&self.changes);
                }
                () = self.wake.notified() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn drain(&mut self, changes: &watch::Sender<Known>) {
        let mut known = *changes.borrow();
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::External { family, ip } => {
                    debug!(?family, ?ip, "our address");
                    match family {
                        Family::V4 => known.v4 = ip,
                        Family::V6 => known.v6 = ip,
                    }
                }
                Output::Judged(judgement) => {
                    info!(?judgement, "whether others can reach us");
                    known.judgement = judgement;
                }
            }
        }
        known.over_tcp = self.machine.came_over_tcp();
        changes.send_if_modified(|before| std::mem::replace(before, known) != known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_net::reach::Judgement;

    #[tokio::test(start_paused = true)]
    async fn many_say_it_and_behind_a_proxy_nobody_knows() {
        let own = || vec![IpAddr::from([192, 168, 1, 2])];
        for (settings, expected) in [
            ("interface = 'no-such-if'", Some(IpAddr::from([203, 0, 113, 7]))),
            ("interface = 'no-such-if'\nproxy = 'socks5://127.0.0.1:1'", None),
        ] {
            let way = Way::new(&toml::from_str(settings).expect("valid settings"));
            let desk = Desk::new(&way, true);
            assert_eq!(desk.view().judgement, Judgement::Offline);
            desk.moved(own());
            for n in 0..5 {
                desk.told(IpAddr::from([40, n, 0, 1]), IpAddr::from([203, 0, 113, 7]), None);
            }
            assert_eq!(desk.view().v4.ip, expected);
            desk.arrived(IpAddr::from([10, 0, 0, 1]), Over::Tcp);
            assert_eq!(desk.view().judgement, Judgement::Unproven);
            desk.arrived(IpAddr::from([40, 0, 0, 1]), Over::Tcp);
            assert_eq!(desk.view().judgement, Judgement::Open);
        }
    }
}
