//! The announcer against trackers that are told what to do.

use super::*;
use crate::tracker::{Family, Retry};
use crate::types::InfoHashes;
use althing_base::{Sha1Digest, Sha256Digest};
use proptest::prelude::*;

const V1: Sha1Digest = Sha1Digest([1; 20]);
const SECOND: Duration = Duration::from_secs(1);

fn config(tiers: &[&[&str]]) -> AnnouncerConfig {
    let url = |name: &&str| format!("http://{name}/announce");
    AnnouncerConfig {
        info_hashes: InfoHashes::v1_only(V1),
        tiers: tiers.iter().map(|tier| tier.iter().map(url).collect()).collect(),
        private: false,
        peer_id: PeerId([2; 20]),
        port: 7716,
        families: Vec::new(),
    }
}

/// An announcer, the time, and what it asked in the last step.
struct Test {
    announcer: Announcer,
    now: Instant,
    asked: Vec<Ask>,
    cancelled: usize,
    peers: usize,
    /// How often it was said that the tracker is another.
    changed: usize,
}

#[derive(Clone, Debug)]
struct Ask {
    id: AnnounceId,
    host: String,
    family: Option<Family>,
    request: AnnounceRequest,
}

impl Test {
    fn new(config: &AnnouncerConfig) -> Self {
        let announcer = Announcer::new(config, Seed::from_u64(7));
        let now = Instant::ORIGIN + Duration::from_secs(1000);
        Test { announcer, now, asked: Vec::new(), cancelled: 0, peers: 0, changed: 0 }
    }

    fn started(config: &AnnouncerConfig) -> Self {
        let mut test = Test::new(config);
        test.input(Input::Start);
        test
    }

    fn input(&mut self, input: Input) {
        self.announcer.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        self.asked.clear();
        (self.cancelled, self.peers, self.changed) = (0, 0, 0);
        while let Some(output) = self.announcer.poll_output() {
            match output {
                Output::Announce { id, url, family, request } => {
                    self.asked.push(Ask { id, host: url.host().to_owned(), family, request });
                }
                Output::Cancel { .. } => self.cancelled += 1,
                Output::PeersFound { peers } => self.peers += peers.len(),
                Output::TrackerChanged => self.changed += 1,
                Output::ExternalAddress { .. } => {}
            }
        }
    }

    /// Goes to the next deadline; says how long that took and why it was.
    fn wait(&mut self) -> (Duration, Reason) {
        let (at, reason) = self.announcer.poll_timeout().expect("something to wait for");
        let waited = at.since(self.now);
        self.now = at;
        self.announcer.handle_timeout(at);
        self.drain();
        (waited, reason)
    }

    /// The hosts asked in the last step, with the event where there is one.
    fn said(&self) -> Vec<String> {
        let said = |ask: &Ask| match ask.request.event {
            Event::None => ask.host.clone(),
            event => format!("{} {event:?}", ask.host),
        };
        self.asked.iter().map(said).collect()
    }

    fn only(&self) -> Ask {
        assert_eq!(self.asked.len(), 1, "{:?}", self.said());
        self.asked[0].clone()
    }

    fn succeed(&mut self, id: AnnounceId) {
        self.respond(id, &AnnounceResponse::default());
    }

    fn respond(&mut self, id: AnnounceId, response: &AnnounceResponse) {
        self.input(Input::Response { id, response: response.clone() });
    }

    fn fail(&mut self, id: AnnounceId) {
        self.input(Input::Failed { id, error: TrackerError::TimedOut });
    }

    fn states(&self) -> Vec<TrackerState> {
        self.announcer.trackers().map(|tracker| tracker.state).collect()
    }
}

fn within(waited: Duration, min: u64, max: u64) {
    assert!((SECOND * min as u32..=SECOND * max as u32).contains(&waited), "{waited:?}");
}

#[test]
fn trackers_hear_soon_that_we_are_elsewhere_and_not_all_the_time() {
    let mut test = Test::started(&config(&[&["a"]]));
    let id = test.only().id;
    test.respond(
        id,
        &AnnounceResponse {
            interval: Some(SECOND * 1800),
            min_interval: Some(SECOND * 1800),
            ..AnnounceResponse::default()
        },
    );
    test.announcer.set_port(4000);
    test.input(Input::Moved);
    assert_eq!(test.said(), [] as [String; 0]);
    let (waited, _) = test.wait();
    within(waited, 1, MOVED_SPREAD.as_secs());
    let again = test.only();
    assert_eq!((again.request.port, again.request.event), (4000, Event::None));
    test.succeed(again.id);
    // A train goes from tunnel to tunnel.
    for _ in 0..10 {
        test.now += SECOND;
        test.input(Input::Moved);
    }
    let (waited, _) = test.wait();
    within(waited, MOVED_INTERVAL.as_secs() - MOVED_SPREAD.as_secs() - 10, 400);
    test.only();
    // One that rests says nothing.
    let mut test = Test::new(&config(&[&["a"]]));
    test.input(Input::Moved);
    assert!(test.announcer.poll_timeout().is_none());
}

#[test]
fn one_tracker_of_each_tier_is_asked() {
    let mut test = Test::started(&config(&[&["a", "b", "c"], &["d"], &["e"]]));
    let hosts = test.said();
    assert_eq!(hosts.len(), 3);
    assert_eq!(hosts[1..], ["d Started", "e Started"]);
    let first = test.asked[0].clone();
    assert_eq!(first.request.info_hash, V1);
    assert_eq!(first.request.num_want, Some(NUM_WANT));

    // The first of its tier fails, the next is tried at once, and comes first from then on.
    test.fail(first.id);
    let second = test.only();
    assert_ne!(second.host, first.host);
    test.succeed(second.id);
    assert_eq!(test.asked.len(), 0);
}

/// BEP 12's second example: what answers comes first, what failed keeps its place.
#[test]
fn a_tier_remembers_who_answered() {
    let mut test = Test::started(&config(&[&["a", "b", "c"]]));
    let first = test.only();
    test.fail(first.id);
    let second = test.only();
    test.succeed(second.id);
    test.wait();
    assert_eq!(test.only().host, second.host);
    let id = test.only().id;
    test.fail(id);
    assert_eq!(test.only().host, first.host);
    let id = test.only().id;
    test.fail(id);
    let third = test.only();
    test.succeed(third.id);
    test.wait();
    let mut order = Vec::new();
    while let [ask] = &test.asked[..] {
        order.push(ask.host.clone());
        let id = ask.id;
        test.fail(id);
    }
    assert_eq!(order, [third.host, second.host, first.host]);
}

#[test]
fn a_private_torrent_has_one_tracker_at_a_time() {
    let mut test = Test::started(&AnnouncerConfig { private: true, ..config(&[&["a"], &["b"]]) });
    assert_eq!(test.said(), ["a Started"]);
    let id = test.only().id;
    test.fail(id);
    assert_eq!(test.said(), ["b Started"]);
    let id = test.only().id;
    test.succeed(id);
    // It stays with the one that works until that fails.
    test.wait();
    assert_eq!(test.said(), ["b"]);
    let id = test.only().id;
    test.fail(id);
    assert_eq!(test.said(), ["a Started"]);
    assert_eq!(test.changed, 0, "nothing has been heard of another one yet");
    let id = test.only().id;
    test.succeed(id);
    assert_eq!(test.changed, 1);
    test.wait();
    let id = test.only().id;
    test.succeed(id);
    assert_eq!(test.changed, 0, "it is the same as before");
}

#[test]
fn of_others_trackers_may_change() {
    let mut test = Test::started(&config(&[&["a", "b"]]));
    for _ in 0..4 {
        let id = test.only().id;
        test.succeed(id);
        assert_eq!(test.changed, 0);
        test.wait();
        let id = test.only().id;
        test.fail(id);
    }
}

#[test]
fn events_are_said_once_to_those_who_have_not_heard() {
    let mut test = Test::started(&config(&[&["a"], &["b"]]));
    let [a, b] = [0, 1].map(|index| test.asked[index].id);
    test.fail(b);
    // Complete while the first is still being asked: it hears so as soon as it has answered, the
    // other when it comes back.
    test.input(Input::Completed);
    assert_eq!(test.said(), [""; 0]);
    test.succeed(a);
    assert_eq!(test.said(), ["a Completed"]);
    let id = test.only().id;
    test.succeed(id);
    assert_eq!(test.asked.len(), 0);
    let (_, reason) = test.wait();
    assert_eq!((test.said(), reason), (vec!["b Started".into()], Reason::Retry));
    let id = test.only().id;
    test.succeed(id);
    assert_eq!(test.said(), ["b Completed"]);
    // If that fails, it is said again with the next regular announce.
    let id = test.only().id;
    test.fail(id);
    assert_eq!(test.asked.len(), 0);
    let mut said: Vec<_> = (0..2).flat_map(|_| (test.wait(), test.said()).1).collect();
    said.sort();
    assert_eq!(said, ["a", "b Completed"]);
}

#[test]
fn completion_is_announced_at_once() {
    let mut test = Test::started(&config(&[&["a"]]));
    let id = test.only().id;
    test.succeed(id);
    test.announcer.set_transfer(Transfer { uploaded: 1, downloaded: 2, left: Some(0) });
    test.input(Input::Completed);
    assert_eq!(test.said(), ["a Completed"]);
    assert_eq!(test.only().request.transfer.left, Some(0));
}

#[test]
fn a_partial_seed_says_so_in_place_of_nothing() {
    let mut test = Test::started(&config(&[&["a"]]));
    test.announcer.set_partial_seed(true);
    assert_eq!(test.said(), ["a Started"], "an event of its own goes before");
    let id = test.only().id;
    test.succeed(id);
    test.wait();
    assert_eq!(test.said(), ["a Paused"]);
    test.announcer.set_partial_seed(false);
    let id = test.only().id;
    test.succeed(id);
    test.wait();
    assert_eq!(test.said(), ["a"]);
}

#[test]
fn only_those_who_may_know_of_us_are_told_that_we_leave() {
    let mut test = Test::started(&config(&[&["a"], &["b"], &["c"]]));
    let [a, b, _] = [0, 1, 2].map(|index| test.asked[index].id);
    test.succeed(a);
    test.fail(b);
    test.input(Input::Stop);
    assert_eq!(test.said(), ["a Stopped", "c Stopped"]);
    assert_eq!(test.cancelled, 1);
    assert_eq!(test.asked[0].request.num_want, Some(0));
    assert!(test.announcer.is_asking());
    // A late answer to what was cancelled, then the answers to the last words.
    let [a, c] = [0, 1].map(|index| test.asked[index].id);
    test.succeed(a);
    test.fail(c);
    assert!(!test.announcer.is_asking());
    assert_eq!(test.announcer.poll_timeout(), None);
    test.input(Input::NeedPeers);
    test.input(Input::Completed);
    test.input(Input::Stop);
    assert_eq!(test.asked.len(), 0);
    test.input(Input::Start);
    assert_eq!(test.said(), ["a Started", "b Started", "c Started"]);
}

#[test]
fn intervals_are_bounded() {
    let check = |named: Option<u64>, min: u64, max: u64| {
        let mut test = Test::started(&config(&[&["a"]]));
        let id = test.only().id;
        let interval = named.map(Duration::from_secs);
        test.respond(id, &AnnounceResponse { interval, ..AnnounceResponse::default() });
        let (waited, reason) = test.wait();
        within(waited, min, max);
        assert_eq!(reason, Reason::Announce);
        assert_eq!(test.said(), ["a"]);
    };
    check(None, 1800, 1913);
    check(Some(600), 600, 638);
    check(Some(1), 60, 64);
    check(Some(u64::MAX), 86_400, 91_800);
}

#[test]
fn more_peers_are_asked_for_when_the_tracker_allows() {
    let mut test = Test::started(&config(&[&["a"]]));
    let id = test.only().id;
    let min_interval = Some(SECOND * 300);
    let peers = vec![([1, 2, 3, 4], 5).into()];
    test.respond(id, &AnnounceResponse { min_interval, peers, ..AnnounceResponse::default() });
    assert_eq!(test.peers, 1);
    test.now += SECOND * 100;
    test.input(Input::NeedPeers);
    assert_eq!(test.asked.len(), 0);
    assert_eq!(test.wait(), (SECOND * 200, Reason::Announce));
    let id = test.only().id;
    test.respond(id, &AnnounceResponse { min_interval, ..AnnounceResponse::default() });
    test.now += SECOND * 300;
    test.input(Input::NeedPeers);
    assert_eq!(test.said(), ["a"]);
}

#[test]
fn failure_backs_off_and_success_ends_it() {
    let mut test = Test::started(&config(&[&["a"]]));
    let mut waits = Vec::new();
    for _ in 0..12 {
        let id = test.only().id;
        test.fail(id);
        test.input(Input::NeedPeers);
        let (waited, reason) = test.wait();
        assert_eq!(reason, Reason::Retry);
        waits.push(waited);
    }
    for (n, &waited) in waits.iter().enumerate() {
        let middle = (10u64 << n).min(3600);
        within(waited, middle * 3 / 4 - 1, middle * 5 / 4 + 1);
    }
    let id = test.only().id;
    test.succeed(id);
    test.wait();
    let id = test.only().id;
    test.fail(id);
    within(test.wait().0, 7, 13);
}

#[test]
fn refusals_are_obeyed() {
    let refusal = |retry| TrackerError::Refused { reason: "no".into(), retry };
    let mut test = Test::started(&config(&[&["a"]]));
    let id = test.only().id;
    test.input(Input::Failed { id, error: refusal(Retry::After(SECOND * 600)) });
    assert_eq!(test.states(), [TrackerState::Failing]);
    assert_eq!(test.wait(), (SECOND * 600, Reason::Retry));
    let id = test.only().id;
    test.input(Input::Failed { id, error: refusal(Retry::Never) });
    assert_eq!(test.states(), [TrackerState::Gone]);
    assert_eq!(test.announcer.poll_timeout(), None);
    let message = test.announcer.trackers().next().and_then(|tracker| tracker.message);
    assert_eq!(message, Some("the tracker refuses: no"));
    // Unless the user starts the torrent again.
    test.input(Input::Stop);
    test.input(Input::Start);
    assert_eq!(test.said(), ["a Started"]);
}

#[test]
fn hybrids_are_announced_under_both_hashes_over_both_families() {
    let v2 = Sha256Digest([9; 32]);
    let mut test = Test::started(&AnnouncerConfig {
        info_hashes: InfoHashes::hybrid(V1, v2),
        families: vec![Family::V4, Family::V6],
        ..config(&[&["a"]])
    });
    let short = Sha1Digest([9; 20]);
    let ways: Vec<_> = test.asked.iter().map(|ask| (ask.request.info_hash, ask.family)).collect();
    let (v4, v6) = (Some(Family::V4), Some(Family::V6));
    assert_eq!(ways, [(V1, v4), (V1, v6), (short, v4), (short, v6)]);
    let keys: Vec<_> = test.asked.iter().map(|ask| ask.request.key).collect();
    assert!(keys.iter().all(|key| *key == keys[0]));

    // One way that works is enough; the others stay silent about it.
    let ids: Vec<_> = test.asked.iter().map(|ask| ask.id).collect();
    let error = TrackerError::NoAddress(Family::V6);
    test.input(Input::Failed { id: ids[1], error: error.clone() });
    test.input(Input::Failed { id: ids[3], error: error.clone() });
    test.fail(ids[0]);
    assert_eq!(test.states(), [TrackerState::Announcing]);
    test.succeed(ids[2]);
    assert_eq!(test.states(), [TrackerState::Working]);
    assert_eq!(test.announcer.trackers().next().and_then(|tracker| tracker.message), None);
    test.wait();
    assert_eq!(test.said(), ["a Started", "a Started", "a", "a Started"]);

    // If none does, what is said is not the missing address.
    let ids: Vec<_> = test.asked.iter().map(|ask| ask.id).collect();
    for (index, id) in ids.into_iter().enumerate() {
        let missing = index % 2 == 1;
        let error = if missing { error.clone() } else { TrackerError::HttpStatus(503) };
        test.input(Input::Failed { id, error });
    }
    let message = test.announcer.trackers().next().and_then(|tracker| tracker.message);
    assert_eq!(message, Some("the tracker's server answers with HTTP status 503"));
}

#[test]
fn what_is_shown() {
    let mut config = config(&[&["a"], &["b"]]);
    config.tiers[1].insert(0, "wss://c/announce".into());
    let mut test = Test::started(&config);
    let id = test.asked[0].id;
    let (seeders, leechers) = (Some(5), Some(2));
    let warning = Some("soon gone".to_owned());
    let peers = vec![([1, 2, 3, 4], 5).into(); 3];
    let response = AnnounceResponse { seeders, leechers, warning, peers, ..Default::default() };
    test.respond(id, &response);
    let shown: Vec<_> = test.announcer.trackers().collect();
    assert_eq!(shown[0].url, "http://a/announce");
    assert_eq!((shown[0].tier, shown[0].state), (0, TrackerState::Working));
    assert_eq!((shown[0].seeders, shown[0].leechers, shown[0].peers), (seeders, leechers, 3));
    assert_eq!(shown[0].message, Some("soon gone"));
    let next = shown[0].next_announce.expect("settled");
    within(next.since(test.now), 1800, 1913);
    assert_eq!((shown[1].tier, shown[1].state), (1, TrackerState::Unsupported));
    assert_eq!(
        shown[1].message,
        Some("this kind of tracker is not supported; http, https and udp are")
    );
    assert_eq!((shown[2].state, shown[2].next_announce), (TrackerState::Announcing, None));
}

#[test]
fn a_driver_that_never_answers_is_not_waited_for() {
    let mut test = Test::started(&config(&[&["a"]]));
    assert_eq!(test.wait(), (SECOND * 120, Reason::Unanswered));
    assert_eq!(test.cancelled, 1);
    assert_eq!(test.states(), [TrackerState::Failing]);
}

#[test]
fn trackers_are_bounded_and_none_at_all_is_quiet() {
    let names: Vec<_> = (0..TRACKERS_MAX + 50).map(|n| format!("t{n}")).collect();
    let tiers: Vec<Vec<&str>> = names.iter().map(|name| vec![name.as_str()]).collect();
    let tiers: Vec<_> = tiers.iter().map(|tier| &tier[..]).collect();
    let test = Test::started(&config(&tiers));
    assert_eq!(test.asked.len(), TRACKERS_MAX);
    let test = Test::started(&config(&[&[]]));
    assert_eq!(test.announcer.poll_timeout(), None);
}

/// Something that a driver might do.
#[derive(Clone, Debug)]
enum Step {
    Start,
    Stop,
    Completed,
    NeedPeers,
    Moved,
    Respond(usize, u64),
    Fail(usize, TrackerError),
    Wait,
}

fn any_step() -> impl Strategy<Value = Step> {
    let error = prop_oneof![
        Just(TrackerError::TimedOut),
        Just(TrackerError::NoAddress(Family::V6)),
        Just(TrackerError::Refused { reason: String::new(), retry: Retry::Never }),
        Just(TrackerError::Refused { reason: String::new(), retry: Retry::After(SECOND) }),
    ];
    prop_oneof![
        1 => Just(Step::Start),
        1 => Just(Step::Stop),
        1 => Just(Step::Completed),
        2 => Just(Step::NeedPeers),
        1 => Just(Step::Moved),
        4 => (any::<usize>(), any::<u64>()).prop_map(|(n, interval)| Step::Respond(n, interval)),
        4 => (any::<usize>(), error).prop_map(|(n, error)| Step::Fail(n, error)),
        4 => Just(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens: in each tier one tracker at a time is asked, in each way once; and it never
    /// wants to be woken for what it has just been woken for.
    #[test]
    fn no_order_of_events_confuses_it(
        steps in proptest::collection::vec(any_step(), 0..80), private: bool,
    ) {
        let mut test = Test::new(&AnnouncerConfig {
            private,
            families: vec![Family::V4, Family::V6],
            ..config(&[&["a", "b"], &["c", "d"]])
        });
        let mut running = false;
        for step in steps {
            let open: Vec<_> = test.announcer.asked.keys().copied().collect();
            let pick = |n: usize| (!open.is_empty()).then(|| open[n % open.len()]);
            match step {
                Step::Start => {
                    running = true;
                    test.input(Input::Start);
                }
                Step::Stop => {
                    running = false;
                    test.input(Input::Stop);
                }
                Step::Completed => test.input(Input::Completed),
                Step::NeedPeers => test.input(Input::NeedPeers),
                Step::Moved => test.input(Input::Moved),
                Step::Respond(n, interval) => if let Some(id) = pick(n) {
                    let interval = Some(Duration::from_secs(interval));
                    test.respond(id, &AnnounceResponse { interval, ..Default::default() });
                },
                Step::Fail(n, error) => if let Some(id) = pick(n) {
                    test.input(Input::Failed { id, error });
                },
                Step::Wait => if test.announcer.poll_timeout().is_some() {
                    test.wait();
                },
            }
            if let Some((at, _)) = test.announcer.poll_timeout() {
                prop_assert!(at > test.now, "busy loop");
            }
            let asked = test.announcer.asked.values();
            let ways: std::collections::BTreeSet<_> =
                asked.clone().map(|asked| (asked.tracker, asked.endpoint)).collect();
            prop_assert_eq!(ways.len(), asked.len());
            if running {
                for tier in [0..2, 2..4] {
                    let busy = ways.iter().filter(|(tracker, _)| tier.contains(tracker));
                    let busy: std::collections::BTreeSet<_> = busy.map(|(tracker, _)| tracker).collect();
                    prop_assert!(busy.len() <= 1);
                }
            }
        }
    }
}
