//! Shards that let time pass side by side, each on a thread of its own, or one and the DHT in turn.
//!
//! What happens in one shard is of consequence in another after [`LATENCY_MIN`] at the earliest, which is the least that a message
//! takes. So each says how far it has come, and goes on as far as that much past the last of the others: nobody
//! waits for anybody as long as they keep so close together.
//!
//! [`LATENCY_MIN`]: crate::limits::LATENCY_MIN

use super::common::Common;
use super::lab::Pulse;
use super::shard::{Event, Shard};
use super::structured::Structured;
use super::wheel::Entry;
use crate::limits::LATENCY_MIN;
use althing_base::Instant;
use althing_base::time::Duration;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// How often it is said how far it is, in simulated time.
const BEAT: Duration = Duration::from_secs(1);

/// After this time a shard says how far it is, so that others may go on: some events of ten thousand nodes.
const STEP: Duration = Duration::from_millis(2);

/// Times that a thread looks whether the others have come on before it rests: tens of microseconds, in which
/// some do.
const LOOKS: u32 = 1_000;

/// How long it rests then: it is likely that another has no processor.
const REST: Duration = Duration::from_micros(20);

/// See the module.
struct Crew<'a> {
    common: &'a Common,
    /// How far each shard has come, the last nanosecond included; what it does later is of consequence
    /// to others [`LATENCY_MIN`] after that.
    clocks: Vec<Clock>,
    /// A thread has panicked.
    is_broken: AtomicBool,
    /// What is going to happen in each shard.
    post: Vec<Mutex<Vec<Entry<Event>>>>,
    /// Things that have happened.
    events: AtomicU64,
}

/// How far somebody has come, in a line of the processor's memory that nobody else writes to.
#[repr(align(64))]
struct Clock(AtomicU64);

impl Clock {
    fn at(now: Instant) -> Clock {
        Clock(AtomicU64::new(now.as_nanos()))
    }

    fn get(&self) -> Instant {
        Instant::from_nanos(self.0.load(Ordering::Acquire))
    }

    fn set(&self, now: Instant) {
        self.0.store(now.as_nanos(), Ordering::Release);
    }
}

/// Lets time pass for all shards until then, inclusive. With a DHT there is one shard.
pub(super) fn run(
    common: &Common,
    shards: &mut [Shard],
    dht: Option<&mut Structured>,
    (now, until): (Instant, Instant),
    pulse: &Pulse,
) {
    // Something may still happen now, because of what was said from outside.
    let before = Instant::from_nanos(now.as_nanos().saturating_sub(1));
    let crew = Crew {
        common,
        clocks: shards.iter().map(|_| Clock::at(before)).collect(),
        is_broken: AtomicBool::new(false),
        post: shards.iter().map(|_| Mutex::default()).collect(),
        events: AtomicU64::new(shards.iter().map(|shard| shard.traffic.events).sum()),
    };
    shards.iter_mut().for_each(|shard| crew.hand_over(shard));
    let mut beat = now;
    let is_at = |end| {
        if end >= beat + BEAT || end == until {
            pulse.beat(end, crew.events.load(Ordering::Relaxed));
            beat = end;
        }
    };
    match shards {
        [] => {}
        [shard] => crew.alone(shard, dht, now, until, is_at),
        [first, others @ ..] => thread::scope(|scope| {
            for shard in others {
                let crew = &crew;
                scope.spawn(move || {
                    let _broken = crew.broken();
                    crew.work(shard, now, until, |_| ());
                });
            }
            let _broken = crew.broken();
            crew.work(first, now, until, is_at);
        }),
    }
    // What the last steps of others have left.
    shards.iter_mut().for_each(|shard| crew.take(shard));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever has panicked with it ends the run, and nobody looks at it any more.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew<'_> {
    /// The only shard lets time pass, and the DHT in turn with it.
    fn alone(
        &self,
        shard: &mut Shard,
        mut dht: Option<&mut Structured>,
        mut now: Instant,
        until: Instant,
        mut is_at: impl FnMut(Instant),
    ) {
        while now < until {
            let step = if dht.is_some() { LATENCY_MIN - Duration::from_nanos(1) } else { BEAT };
            now = (now + step).min(until);
            self.step(shard, now);
            if let Some(dht) = &mut dht {
                let asks = std::mem::take(&mut shard.asks);
                let tell = |entry| lock(&self.post[shard.number]).push(entry);
                let events = dht.run(self.common, asks, now, tell);
                self.events.fetch_add(events, Ordering::Relaxed);
            }
            is_at(now);
        }
    }

    /// A shard lets time pass.
    fn work(
        &self,
        shard: &mut Shard,
        mut now: Instant,
        until: Instant,
        mut is_at: impl FnMut(Instant),
    ) {
        let mine = shard.number;
        let horizon = || {
            let shards = self.clocks.iter().enumerate().filter(|(number, _)| *number != mine);
            shards.map(|(_, clock)| clock.get() + LATENCY_MIN).fold(until, Instant::min)
        };
        while now < until {
            // How far they have come is looked at before what they left here.
            let end = (now + STEP).min(horizon());
            if end <= now {
                self.wait(|| horizon() > now);
                continue;
            }
            self.step(shard, end);
            self.clocks[mine].set(end);
            is_at(end);
            now = end;
        }
    }

    fn step(&self, shard: &mut Shard, end: Instant) {
        self.take(shard);
        let before = shard.traffic.events;
        shard.run(self.common, end);
        self.events.fetch_add(shard.traffic.events - before, Ordering::Relaxed);
        self.hand_over(shard);
    }

    /// What happened elsewhere and has consequences here.
    fn take(&self, shard: &mut Shard) {
        for entry in lock(&self.post[shard.number]).drain(..) {
            shard.expect(entry);
        }
    }

    /// What happened here and has consequences elsewhere.
    fn hand_over(&self, shard: &mut Shard) {
        for (post, out) in self.post.iter().zip(&mut shard.out) {
            if !out.is_empty() {
                lock(post).append(out);
            }
        }
    }

    /// Waits for others.
    fn wait(&self, is_over: impl Fn() -> bool) {
        let mut looks = 0;
        while !is_over() {
            assert!(!self.is_broken.load(Ordering::Relaxed), "another thread has failed");
            looks += 1;
            if looks < LOOKS { spin_loop() } else { thread::sleep(REST) }
        }
    }

    /// Until it is dropped: says so if the thread panics, so that nobody waits for it.
    fn broken(&self) -> impl Drop {
        struct Broken<'a>(&'a AtomicBool);
        impl Drop for Broken<'_> {
            fn drop(&mut self) {
                if thread::panicking() {
                    self.0.store(true, Ordering::Relaxed);
                }
            }
        }
        Broken(&self.is_broken)
    }
}
