use super::limits::*;
use super::*;
use althing_base::Rng;
use proptest::prelude::*;
use std::net::SocketAddr;

fn at(secs: u64) -> Instant {
    Instant::ORIGIN + Duration::from_secs(secs)
}

fn node(number: u32) -> Node {
    let mut id = [0; 20];
    id[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
    // Each in a network of its own.
    let [_, a, b, c] = number.to_be_bytes();
    Node { id: NodeId(id), addr: SocketAddr::from(([11 + a % 100, b, c, 1], 6881)) }
}

fn crawl(per_s: u32) -> Crawl {
    Crawl::new(at(0), Seed::from_u64(1), CrawlConfig { per_s, resolving: 4 })
}

fn hash(number: u32) -> NodeId {
    let mut hash = [7; 20];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    NodeId(hash)
}

fn samples(interval: u32, hashes: impl IntoIterator<Item = u32>) -> Samples {
    let info_hashes: Vec<_> = hashes.into_iter().map(hash).collect();
    Samples { interval, total: u32::MAX, info_hashes }
}

/// Answers whoever is asked in the next seconds; when each was asked.
fn run(
    crawl: &mut Crawl,
    secs: std::ops::Range<u64>,
    answer: impl Fn(Node) -> Option<Samples>,
) -> Vec<(u64, Node)> {
    let mut asked = Vec::new();
    for sec in secs {
        while let Some((node, _)) = crawl.next(at(sec)) {
            asked.push((sec, node));
            match answer(node) {
                Some(samples) => crawl.answered(at(sec), node, &[], Some(&samples)),
                None => crawl.lost(),
            }
        }
    }
    asked
}

#[test]
fn everybody_is_asked_once_in_order_and_not_before_the_interval_is_over() {
    let mut crawl = crawl(1);
    crawl.learn((0..100).map(node));
    let asked = run(&mut crawl, 0..200, |_| Some(samples(1_000, [])));
    assert_eq!(asked.len(), 100);
    let names: Vec<_> = asked.iter().map(|(_, node)| node.id).collect();
    let falls = names.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!(falls <= 1, "once around");
    let (first, who) = asked[0];
    // Others name him again and again.
    crawl.learn((0..100).map(node));
    let again = run(&mut crawl, 200..1_300, |_| Some(samples(u32::MAX, [])));
    let when = again.iter().find(|(_, node)| *node == who).expect("he is asked again").0;
    assert!(when >= first + 1_000, "at {when} s");
    // The longest interval is six hours, the shortest is not what a node says.
    let last = again.iter().map(|(sec, _)| *sec).max().expect("somebody was asked");
    assert!(run(&mut crawl, 1_300..20_000, |_| None).is_empty());
    let later = last + u64::from(INTERVAL_MAX_S);
    assert!(!run(&mut crawl, later..later + 9, |_| Some(samples(0, []))).is_empty());
}

#[test]
fn it_asks_so_many_a_second_and_fewer_if_nobody_answers() {
    let mut crawl = crawl(5);
    crawl.learn((0..5_000).map(node));
    let asked = |crawl: &mut Crawl, from: u64, answers: bool| {
        let mut count = 0;
        for step in 0..10_000u64 {
            let now = at(from) + Duration::from_millis(10) * step as u32;
            while let Some((node, _)) = crawl.next(now) {
                count += 1;
                match answers {
                    true => crawl.answered(now, node, &[], Some(&samples(60, []))),
                    false => crawl.lost(),
                }
            }
        }
        count
    };
    assert_eq!(asked(&mut crawl, 0, true), 500);
    let unanswered = asked(&mut crawl, 100, false);
    assert!(unanswered < 200, "{unanswered} in vain");
    assert!(crawl.stats().slower >= 8);
    assert!(asked(&mut crawl, 200, true) > 200);
    assert_eq!(crawl.stats().slower, 1);
    // However much is set, there is a bound.
    let fast = CrawlConfig { per_s: 1_000_000, resolving: 1 };
    assert_eq!(Crawl::new(at(0), Seed::from_u64(1), fast).config.per_s, CRAWL_PER_S_MAX);
}

#[test]
fn a_torrent_counts_when_two_networks_have_named_it() {
    let mut crawl = crawl(10);
    let neighbour = Node { addr: SocketAddr::from(([11, 0, 1, 2], 9)), ..node(1) };
    let tell = |crawl: &mut Crawl, by: Node, hashes: &[u32]| {
        crawl.flight += 1;
        crawl.answered(at(1), by, &[], Some(&samples(60, hashes.iter().copied())));
    };
    tell(&mut crawl, node(1), &[1, 2]);
    tell(&mut crawl, node(1), &[1, 2]);
    tell(&mut crawl, neighbour, &[1, 2]);
    assert_eq!(crawl.poll_resolve(), None);
    tell(&mut crawl, node(2), &[1]);
    assert_eq!(crawl.poll_resolve(), Some(hash(1)));
    assert_eq!(crawl.poll_resolve(), None);
    // It is handed out once, however often it is named.
    crawl.resolved(&hash(1));
    tell(&mut crawl, node(3), &[1, 2]);
    assert_eq!((crawl.poll_resolve(), crawl.poll_resolve()), (Some(hash(2)), None));
    // And few at a time.
    for by in [1, 2] {
        tell(&mut crawl, node(by), &(10..20).collect::<Vec<_>>());
    }
    let handed: Vec<_> = std::iter::from_fn(|| crawl.poll_resolve()).collect();
    assert_eq!(handed.len(), 3);
    crawl.resolved(&handed[0]);
    assert!(crawl.poll_resolve().is_some() && crawl.poll_resolve().is_none());
}

#[test]
fn floods_of_names_take_no_more_memory_than_there_is_for_them() {
    let mut crawl = crawl(10);
    let mut number = 0u32;
    let mut fresh = || {
        number += 1;
        number
    };
    // One who lies much fills what is one network's.
    for _ in 0..100 {
        crawl.answered(at(1), node(1), &[], Some(&samples(0, (0..75).map(|_| fresh()))));
    }
    assert_eq!(crawl.sightings.len(), (NETWORK_SIGHTINGS_MAX as usize, 0));
    // Many who lie push out what was first.
    for by in 0..3_000 {
        crawl.answered(at(1), node(by), &[], Some(&samples(0, (0..75).map(|_| fresh()))));
    }
    assert!(crawl.sightings.len().0 <= SIGHTINGS_MAX);
    // Two that agree on what there is not cost what waits to be looked at.
    for by in 0..2 {
        for part in 0..2 * READY_MAX as u32 / 75 {
            let hashes = (0..75).map(|at| 1_000_000_000 + part * 75 + at);
            crawl.answered(at(1), node(10_000 + by + 2 * part), &[], Some(&samples(0, hashes)));
        }
    }
    assert!(crawl.sightings.len().1 <= READY_MAX);
    // Nodes that are made up take the places of one network, and then of all.
    let sybil = |port: u16| Node {
        id: NodeId::random(&mut Rng::new(Seed::from_u64(port.into()))),
        addr: SocketAddr::from(([11, 99, 99, 1], port)),
    };
    let before = crawl.frontier.len().0;
    crawl.learn((1..60_000).map(sybil));
    assert_eq!(crawl.frontier.len().0 - before, NETWORK_NODES_MAX);
    crawl.learn((0..200_000).map(node));
    assert_eq!(crawl.frontier.len().0, FRONTIER_MAX);
}

proptest! {
    #[test]
    fn another_part_of_the_key_space_differs_in_one_of_the_first_bits(id: [u8; 20], seed: u64) {
        let mut crawl = crawl(1);
        crawl.rng = Rng::new(Seed::from_u64(seed));
        let id = NodeId(id);
        let shared: BTreeSet<u32> =
            (0..400).map(|_| id.shared_bits(&crawl.elsewhere(&id))).collect();
        prop_assert!(shared.iter().all(|bits| *bits < ELSEWHERE_BITS as u32));
        prop_assert!(shared.len() > ELSEWHERE_BITS / 2);
    }

    #[test]
    fn counts_of_the_frontier_are_right_whatever_happens(
        steps in prop::collection::vec((0..3u8, 0..40u32, 0..2_000u64), 0..200),
    ) {
        let mut frontier = Frontier::new(NodeId([0x80; 20]));
        let mut now = 0;
        let mut known: BTreeSet<SocketAddr> = BTreeSet::new();
        for (what, number, secs) in steps {
            now += secs;
            match what {
                0 => {
                    frontier.learn(node(number));
                    known.insert(node(number).addr);
                }
                1 => {
                    if let Some(node) = frontier.take(at(now), at(now + 1_000)) {
                        // Nobody is asked of whom nobody has heard.
                        prop_assert!(known.contains(&node.addr));
                    }
                }
                _ => frontier.rests(node(number).addr, at(now + secs), Some(node(number).id)),
            }
            let (ahead, resting) = frontier.len();
            prop_assert!(ahead + resting <= known.len());
        }
        // In the end everybody who is left can be asked, and then nobody is.
        let later = now + 100_000;
        let (ahead, _) = frontier.len();
        let mut taken = 0;
        while frontier.take(at(later), at(later + 1)).is_some() {
            taken += 1;
            prop_assert!(taken <= known.len());
        }
        prop_assert!(taken >= ahead);
    }
}
