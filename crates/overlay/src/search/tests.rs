//! Some nodes that ask each other, without anything else around them.

mod doubt;
mod ways;

use super::*;
use crate::id::{Keys, NetworkKey};
use crate::io::{Find, Output};
use crate::machine::limits::{SCORE_INVALID, SCORE_UNASKED};
use crate::records::{Draft, InfoHash, Listing, RawRecord, Text};
use crate::search::hit::What;
use crate::search::limits::{BUDGET_MAX, ROUNDS, WIDTH_MAX};
use crate::search::words::{Term, words};
use althing_base::UnixTime;
use althing_base::hash::sha1;
use std::collections::VecDeque;
use std::time::Duration;

/// Nodes by number, and links by number between two of them.
struct Web {
    nodes: Vec<Search>,
    links: Vec<(usize, usize)>,
    now: Instant,
    /// What is under way: to whom, on which link.
    queue: VecDeque<(usize, LinkId, Message)>,
    /// Questions and answers that were sent.
    sent: usize,
    /// Questions alone.
    questions: usize,
    found: Vec<(usize, Record)>,
    searched: usize,
    scores: Vec<(usize, i32)>,
}

fn listing(who: u8, name: &str) -> Record {
    let text = Text::new(name).unwrap();
    let listing = Listing::new(InfoHash::V1(sha1(name.as_bytes())), text, 1, 1).unwrap();
    let draft = Draft::listing(listing, UnixTime(1_000), 3_600);
    draft.sign(&Keys::from_secret(&[who; 32]), &NetworkKey::public()).unwrap()
}

fn node(seed: u64) -> Search {
    let (network, terms) = (NetworkKey::public(), Terms::None);
    let setup = Setup { network, is_super: false, answers: true, consults: false, terms };
    Search::new(Instant::ORIGIN, Seed::from_u64(seed), setup)
}

fn check(raw: &RawRecord) -> Result<Record, i32> {
    raw.check(&NetworkKey::public(), crate::NodeId::has_signed).map_err(|_| SCORE_INVALID)
}

impl Web {
    fn new(nodes: usize, links: &[(usize, usize)]) -> Web {
        let mut web = Web {
            nodes: (0..nodes as u64).map(node).collect(),
            links: links.to_vec(),
            now: Instant::ORIGIN,
            queue: VecDeque::new(),
            sent: 0,
            questions: 0,
            found: Vec::new(),
            searched: 0,
            scores: Vec::new(),
        };
        for (number, (one, two)) in links.iter().enumerate() {
            for at in [*one, *two] {
                web.nodes[at].up(web.now, LinkId(number as u64), Role::Peer);
            }
        }
        web
    }

    /// One after the other.
    fn line(nodes: usize) -> Web {
        let links: Vec<_> = (1..nodes).map(|at| (at - 1, at)).collect();
        Web::new(nodes, &links)
    }

    fn does(&mut self, at: usize, what: impl FnOnce(&mut Search, Instant, &mut Sink)) {
        let mut sink = Sink::default();
        what(&mut self.nodes[at], self.now, &mut sink);
        for output in sink.outputs {
            match output {
                Output::Send { link, message } => {
                    self.sent += usize::from(!matches!(message, Message::Terms { .. }));
                    self.questions += usize::from(matches!(message, Message::Query(_)));
                    let (one, two) = self.links[link.0 as usize];
                    let to = if one == at { two } else { one };
                    self.queue.push_back((to, link, message));
                }
                Output::Found { hit, .. } => self.found.push((at, hit.record)),
                Output::Searched { .. } => self.searched += 1,
                other => panic!("{other:?}"),
            }
        }
    }

    fn hears(&mut self, at: usize, link: LinkId, message: Message) {
        let mut score = 0;
        self.does(at, |node, now, sink| match message {
            Message::Terms { is_near, toggled } => {
                node.terms(now, link, is_near, &toggled).unwrap();
            }
            Message::Query(question) => node.question(now, link, *question, sink),
            Message::Answer { id, hits } => {
                score = node.answer(now, (link, None), (id, hits), check, sink);
            }
            other => panic!("{other:?}"),
        });
        if score != 0 {
            self.scores.push((at, score));
        }
    }

    /// All that is under way arrives.
    fn pass(&mut self) {
        while let Some((to, link, message)) = self.queue.pop_front() {
            self.hears(to, link, message);
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.pass();
            let due = self.nodes.iter().enumerate().filter_map(|(at, n)| Some((n.deadline()?, at)));
            let Some((when, at)) = due.min().filter(|(when, _)| *when <= until) else { break };
            self.now = self.now.max(when);
            self.does(at, Search::timeout);
        }
        self.now = until;
    }

    fn settle(&mut self) {
        self.run(Duration::from_secs(60));
        self.sent = 0;
    }

    fn offer(&mut self, at: usize, name: &str) -> Record {
        let record = listing(at as u8 + 1, name);
        self.does(at, |node, now, _| node.offer(now, &record));
        record
    }

    fn find(&mut self, at: usize, words: &str, wanted: u8) {
        let words = words.to_owned();
        let (via, what) = (Via::Auto, What::Any);
        let find = Find { id: words.len() as u64, words, wanted, via, what };
        self.does(at, |node, now, sink| node.find(now, &find, None, sink));
        self.run(Duration::from_secs(30));
    }
}

fn question(id: u64, budget: u16, text: &str) -> Question {
    let (what, receipt) = (What::Any, false);
    Question { id, budget, width: 4, wanted: 4, what, receipt, words: words(text) }
}

#[test]
fn what_is_two_links_away_is_found_with_as_many_messages_as_links() {
    let mut web = Web::line(3);
    let record = web.offer(2, "Debian 12 netinst");
    web.settle();
    web.find(0, "DEBIAN netinst", 1);
    assert_eq!(web.found, [(0, record)]);
    assert_eq!((web.sent, web.searched), (4, 1));
}

#[test]
fn what_nobody_tells_of_is_walked_to() {
    let mut web = Web::line(9);
    let record = web.offer(8, "Debian 12 netinst");
    web.settle();
    web.find(0, "debian 12", 1);
    assert_eq!(web.found, [(0, record)]);
    // Nobody has both words.
    web.found.clear();
    web.offer(3, "Fedora 13");
    web.settle();
    web.find(0, "debian 13", 1);
    assert_eq!((web.found.len(), web.searched), (0, 2));
    let most: usize = ROUNDS.iter().map(|(budget, ..)| usize::from(*budget)).sum();
    assert!(web.sent <= most);
}

#[test]
fn what_is_withdrawn_is_found_no_longer_and_told_of_no_longer() {
    let mut web = Web::line(3);
    let record = web.offer(2, "Debian 12 netinst");
    web.settle();
    assert_eq!(web.nodes[0].links[0].theirs[1].len(), 3);
    let draft = Draft::withdrawal(&record, UnixTime(1_001));
    let gone = draft.sign(&Keys::from_secret(&[3; 32]), &NetworkKey::public()).unwrap();
    web.does(2, |node, now, _| node.offer(now, &gone));
    web.settle();
    assert_eq!(web.nodes[1].links[1].theirs[0].len(), 0);
    assert_eq!(web.nodes[0].links[0].theirs[1].len(), 0);
    web.find(0, "debian", 1);
    assert!(web.found.is_empty());
}

#[test]
fn a_question_costs_no_more_than_it_says() {
    // Everybody knows everybody.
    let links: Vec<_> = (0..12).flat_map(|one| (0..one).map(move |two| (one, two))).collect();
    for budget in [1, 2, 3, 7, 50, 400] {
        let mut web = Web::new(12, &links);
        (0..12).for_each(|at| drop(web.offer(at, "a common thing")));
        web.settle();
        // To each of them from outside; answers are not counted.
        let asked = question(9, budget, "nothing");
        web.hears(0, LinkId(0), Message::Query(Box::new(asked)));
        web.pass();
        assert!(web.sent < usize::from(budget), "{} for {budget}", web.sent);
    }
}

#[test]
fn who_asks_all_the_time_gets_no_farther_than_others() {
    let mut web = Web::line(3);
    web.settle();
    for id in 0..1_000 {
        let asked = Question { width: WIDTH_MAX, ..question(id, BUDGET_MAX, "nothing") };
        web.hears(1, LinkId(0), Message::Query(Box::new(asked)));
    }
    let asked = web.queue.iter().map(|(_, _, message)| match message {
        Message::Query(question) => u64::from(question.budget),
        _ => 0,
    });
    assert!(asked.sum::<u64>() <= BUDGET_PER_S.1);
}

#[test]
fn who_invents_answers_is_found_out_by_his_neighbour() {
    let mut web = Web::line(3);
    web.settle();
    let asked = question(7, 10, "debian");
    web.hears(1, LinkId(0), Message::Query(Box::new(asked)));
    web.queue.clear();
    let answer = |record: Vec<u8>| Message::Answer {
        id: 7,
        hits: vec![RawHit { record: record.into(), page: None, is_doubtful: false }],
    };
    let good = listing(3, "Debian");
    let mut forged = good.bytes().to_vec();
    let at = forged.len() - 20;
    forged[at] ^= 1;
    web.hears(1, LinkId(1), answer(forged));
    web.hears(1, LinkId(1), answer(listing(3, "Fedora").bytes().to_vec()));
    web.hears(1, LinkId(1), answer(b"nothing".to_vec()));
    assert_eq!(web.scores, [(1, SCORE_INVALID); 3]);
    assert!(web.queue.is_empty(), "nothing is passed on");
    // What is good is, once.
    web.hears(1, LinkId(1), answer(good.bytes().to_vec()));
    web.hears(1, LinkId(1), answer(good.bytes().to_vec()));
    assert_eq!(web.queue.len(), 1);
    // From where nobody was asked it is not.
    web.scores.clear();
    web.hears(1, LinkId(0), answer(good.bytes().to_vec()));
    assert_eq!(web.scores, [(1, SCORE_UNASKED)]);
}

#[test]
fn answers_go_back_on_another_way_if_the_first_is_gone() {
    // 0 asks 3, by 1 and by 2.
    let mut web = Web::new(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]);
    web.settle();
    for link in [2, 3] {
        web.hears(3, LinkId(link), Message::Query(Box::new(question(7, 10, "debian"))));
    }
    web.queue.clear();
    web.does(3, |node, now, sink| node.down(now, LinkId(2), sink));
    let way = web.nodes[3].seen.way(7).unwrap();
    way.sent.push(LinkId(3));
    let record = listing(3, "Debian");
    let answer = Message::Answer { id: 7, hits: vec![RawHit::from(&record)] };
    web.hears(3, LinkId(3), answer);
    assert!(matches!(web.queue.front(), Some((2, LinkId(3), Message::Answer { .. }))));
}

#[test]
fn indexes_without_end_are_not_kept() {
    let mut node = node(1);
    let now = Instant::ORIGIN;
    node.up(now, LinkId(1), Role::Peer);
    let mut told = 0;
    let is_full = (0..u64::from(Term::SPACE)).step_by(TERMS_MAX[0] / 4).any(|from| {
        let terms = (from as u32..).take(TERMS_MAX[0] / 4).filter_map(Term::new).collect();
        told += 1;
        node.terms(now, LinkId(1), false, &terms).is_err()
    });
    assert!(is_full && told == 5);
    // Nor are such that say something else all the time.
    let terms: TermSet = (0..4_000).filter_map(Term::new).collect();
    let is_over = (0..1_000).any(|_| node.terms(now, LinkId(1), false, &terms).is_err());
    assert!(is_over);
}

#[test]
fn two_questions_of_one_number_are_not_mixed_up() {
    let mut web = Web::line(3);
    web.offer(1, "Debian");
    web.offer(1, "Fedora");
    web.settle();
    web.hears(1, LinkId(0), Message::Query(Box::new(question(7, 10, "debian"))));
    let sent = web.sent;
    web.hears(1, LinkId(0), Message::Query(Box::new(question(7, 10, "fedora"))));
    assert_eq!(web.sent, sent);
}
