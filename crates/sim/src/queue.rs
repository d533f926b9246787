//! What is going to happen, in order of time.

use crate::network::Lane;
use crate::units::HostId;
use althing_base::Instant;
use althing_bittorrent::swarm::ConnId;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that happens at an instant. What it carries (messages, disk jobs, announces) waits
/// with whoever scheduled it, so that the queue stays small.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// A machine wanted to be woken.
    Wake(HostId),
    /// An uplink has sent what it had taken.
    UplinkFree(HostId),
    /// Something has crossed the network and meets the receiver's downlink.
    Arrive(Lane),
    /// Something has come through the receiver's downlink.
    Deliver(Lane),
    /// The sender learns that something has been read.
    Acked(Lane),
    /// A connection attempt reaches the other host.
    Syn(ConnId),
    /// The opener's handshake reaches the other host.
    Hello(ConnId),
    /// The answer to the handshake reaches the opener.
    Welcome(ConnId),
    /// The attempt has failed, and the opener knows.
    ConnectFailed(ConnId),
    /// A disk has finished its first job.
    DiskDone(HostId),
    /// An announce reaches the tracker.
    Announce(u64),
    /// The tracker's answer is back.
    Announced(u64),
    /// A host's node of the DHT wanted to be woken.
    WakeDht(HostId),
    /// A datagram reaches the node that it was sent to.
    Datagram(u64),
    /// The next step of a host's life.
    Life(HostId),
    /// A host's user has had enough.
    Leave(HostId),
    /// What ailed a host's disk has been mended, and its user goes on.
    Mend(HostId),
    /// Somebody who watches looks at another place.
    View(HostId),
    /// A babbler says something.
    Babble(HostId),
    /// The observer looks at everything.
    Look,
}

struct Entry<E> {
    at: Instant,
    number: u64,
    event: E,
}

impl<E> Entry<E> {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.number)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    /// The earliest is the greatest, because the heap gives out the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// Events by time; those of one instant in the order in which they were scheduled.
pub(crate) struct Queue<E = Event> {
    heap: BinaryHeap<Entry<E>>,
    scheduled: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Queue { heap: BinaryHeap::new(), scheduled: 0 }
    }
}

impl<E> Queue<E> {
    pub(crate) fn at(&mut self, at: Instant, event: E) {
        self.scheduled += 1;
        self.heap.push(Entry { at, number: self.scheduled, event });
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, E)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }

    /// When the next one happens.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// The same, unless it happens later than `until`.
    pub(crate) fn pop_until(&mut self, until: Instant) -> Option<(Instant, E)> {
        if self.heap.peek()?.at > until {
            return None;
        }
        self.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_then_in_order_of_scheduling() {
        let mut queue = Queue::default();
        for (at, host) in [(2, 1), (1, 2), (2, 3), (1, 4)] {
            queue.at(Instant::from_nanos(at), Event::Wake(HostId(host)));
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|(at, event)| match event {
                Event::Wake(host) => (at.as_nanos(), host.0),
                _ => unreachable!("only these were scheduled"),
            })
            .collect();
        assert_eq!(order, [(1, 2), (1, 4), (2, 1), (2, 3)]);
    }
}
