//! By way of the DHT, with an index on disk, and among those who swallow questions.

use super::*;
use crate::io::{Hit, Page};
use crate::search::limits::{
    ANNOUNCE_AFTER, ANNOUNCE_ALL_AFTER, ANNOUNCE_ALL_EVERY, ANNOUNCED_RARE_MAX, CONSULT_WAIT,
    TEST_FIRST, TEST_WAIT, VISITOR_QUESTIONS_MAX, VISITS_OF_NETWORK, VISITS_OF_QUESTION,
};
use crate::search::words::Word;
use crate::sink::Wish;
use althing_base::Sha1Digest;
use std::net::SocketAddr;

fn with(terms: Terms, consults: bool) -> Search {
    with_answers(terms, consults, true)
}

fn with_answers(terms: Terms, consults: bool, answers: bool) -> Search {
    let network = NetworkKey::public();
    let setup = Setup { network, is_super: false, answers, consults, terms };
    Search::new(Instant::ORIGIN, Seed::from_u64(5), setup)
}

fn find(id: u64, words: &str, wanted: u8, via: Via) -> Find {
    Find { id, words: words.to_owned(), wanted, via, what: What::Any }
}

/// Has a node look for something in the DHT, which names these; nobody is ever there. Who was called.
fn call_all(node: &mut Search, id: u64, addrs: &[SocketAddr]) -> (Vec<SocketAddr>, bool) {
    let (mut now, mut called) = (Instant::ORIGIN, Vec::new());
    let mut sink = Sink::default();
    node.find(now, &find(id, "debian", 1, Via::Dht), None, &mut sink);
    let (mut is_over, mut at) = (false, 0);
    for _ in 0..1_000 {
        for output in std::mem::take(&mut sink.outputs) {
            match output {
                Output::FindTerm { id, key } => {
                    assert_eq!(key, words("debian")[0].key(&NetworkKey::public()));
                    node.term_found(now, id, key, addrs, &mut sink);
                    node.term_found(now, id, key, &[], &mut sink);
                }
                Output::Searched { .. } => is_over = true,
                other => panic!("{other:?}"),
            }
        }
        while let Some(wish) = sink.wishes.get(at).copied() {
            at += 1;
            if let Wish::Seek(addr) = wish {
                called.push(addr);
                node.sought(now, addr, None, &mut sink);
            }
        }
        if sink.outputs.is_empty() {
            let Some(next) = node.deadline() else { break };
            now = now.max(next);
            node.timeout(now, &mut sink);
        }
    }
    (called, is_over)
}

#[test]
fn whom_the_dht_names_is_called_within_bounds() {
    let everywhere: Vec<SocketAddr> =
        (0..1_000u32).map(|n| SocketAddr::from(([11, (n >> 8) as u8, n as u8, 1], 1))).collect();
    let mut node = with(Terms::Rare, false);
    let (called, is_over) = call_all(&mut node, 1, &everywhere);
    assert_eq!((called.len(), is_over), (VISITS_OF_QUESTION, true));
    // Where nobody was nobody is looked for again.
    let (again, is_over) = call_all(&mut node, 2, &called);
    assert_eq!((again.len(), is_over), (0, true));
    // One operator's addresses count as two.
    let near: Vec<SocketAddr> = (0..250u8).map(|n| SocketAddr::from(([11, 1, 1, n], 1))).collect();
    let (called, is_over) = call_all(&mut with(Terms::Rare, false), 1, &near);
    assert_eq!((called.len(), is_over), (VISITS_OF_NETWORK, true));
}

#[test]
fn who_is_called_is_asked_and_let_go() {
    let (mut node, mut sink, now) = (with(Terms::Rare, false), Sink::default(), Instant::ORIGIN);
    node.find(now, &find(1, "debian", 1, Via::Dht), None, &mut sink);
    let key = words("debian")[0].key(&NetworkKey::public());
    let addr = SocketAddr::from(([192, 0, 2, 1], 1));
    node.term_found(now, 1, key, &[addr], &mut sink);
    assert_eq!(sink.wishes, [Wish::Seek(addr)]);
    node.sought(now, addr, Some(LinkId(7)), &mut sink);
    let asked = sink.outputs.iter().filter_map(|output| match output {
        Output::Send { link: LinkId(7), message: Message::Query(question) } => Some(question),
        _ => None,
    });
    let asked: Vec<_> = asked.cloned().collect();
    assert!(matches!(&asked[..], [question] if question.budget == 2 && question.receipt));
    // The other side: an answer to who asks, and to nobody else.
    let mut holder = with(Terms::Rare, false);
    holder.up(now, LinkId(1), Role::Peer);
    let record = listing(3, "Debian 12");
    holder.offer(now, &record);
    let mut theirs = Sink::default();
    for _ in 0..2 * VISITOR_QUESTIONS_MAX {
        holder.visitor_asks(now, LinkId(2), &asked[0], &mut theirs);
    }
    assert_eq!(theirs.outputs.len(), usize::from(VISITOR_QUESTIONS_MAX));
    let Some(Output::Send { link: LinkId(2), message: Message::Answer { id: 1, hits } }) =
        theirs.outputs.pop_front()
    else {
        panic!("no answer");
    };
    sink.outputs.clear();
    assert_eq!(node.answer(now, (LinkId(7), None), (1, hits), check, &mut sink), 0);
    assert!(matches!(
        (sink.outputs.pop_front(), sink.outputs.pop_front()),
        (Some(Output::Found { .. }), Some(Output::Searched { cost, .. })) if cost.peers == 1
    ));
    assert_eq!(sink.wishes.last(), Some(&Wish::LetGo(LinkId(7))));
}

#[test]
fn what_is_rare_is_announced_and_no_more() {
    let (mut node, now) = (with(Terms::Rare, false), Instant::ORIGIN);
    for link in 0..4 {
        node.up(now, LinkId(link), Role::Peer);
        let common: TermSet = words("common words").iter().map(Word::term).collect();
        node.terms(now, LinkId(link), link % 2 == 1, &common).unwrap();
    }
    for number in 0..40u8 {
        node.offer(now, &listing(number + 1, &format!("common words unheard{number}")));
    }
    let mut sink = Sink::default();
    node.timeout(now + ANNOUNCE_AFTER, &mut sink);
    let announced = sink.outputs.into_iter().find_map(|output| match output {
        Output::AnnounceTerms(keys) => Some(keys),
        _ => None,
    });
    let announced = announced.expect("something is announced");
    assert_eq!(announced.len(), ANNOUNCED_RARE_MAX);
    for common in words("common words") {
        assert!(!announced.contains(&common.key(&NetworkKey::public())));
    }
}

/// The keys that a node has announced, if it has said any.
fn announced(sink: &mut Sink) -> Option<Vec<Sha1Digest>> {
    std::mem::take(&mut sink.outputs).into_iter().find_map(|output| match output {
        Output::AnnounceTerms(keys) => Some(keys),
        _ => None,
    })
}

#[test]
fn in_a_dht_of_a_groups_own_all_words_are_announced_at_once() {
    let (mut node, mut sink, now) = (with(Terms::All, false), Sink::default(), Instant::ORIGIN);
    node.offer(now, &listing(1, "Letters of the fishermen"));
    node.timeout(now + ANNOUNCE_ALL_AFTER, &mut sink);
    let keys = announced(&mut sink).expect("they are announced");
    let all = words("letters of the fishermen");
    assert_eq!(keys.len(), all.len());
    assert!(all.iter().all(|word| keys.contains(&word.key(&NetworkKey::public()))));
    // What comes after is announced soon, too; what neighbours have changes nothing.
    node.offer(now + ANNOUNCE_ALL_AFTER, &listing(1, "Maps"));
    node.timeout(now + ANNOUNCE_ALL_AFTER + ANNOUNCE_ALL_EVERY, &mut sink);
    assert_eq!(announced(&mut sink).map(|keys| keys.len()), Some(all.len() + 1));
    node.up(now, LinkId(1), Role::Peer);
    let later = now + ANNOUNCE_ALL_AFTER * 2 + ANNOUNCE_ALL_EVERY;
    let terms: TermSet = words("letters maps").iter().map(Word::term).collect();
    node.terms(later, LinkId(1), false, &terms).expect("it is not much");
    assert_eq!(node.structured.deadline(), None);
}

#[test]
fn who_does_not_answer_tells_nothing_in_any_way() {
    for answers in [true, false] {
        let (mut now, mut sink) = (Instant::ORIGIN, Sink::default());
        let mut node = with_answers(Terms::All, true, answers);
        for link in [1, 2] {
            node.up(now, LinkId(link), Role::Peer);
        }
        node.offer(now, &listing(1, "Debian"));
        let asked = Question { receipt: true, ..question(7, 10, "debian") };
        node.question(now, LinkId(1), asked.clone(), &mut sink);
        node.visitor_asks(now, LinkId(3), &Question { id: 8, ..asked.clone() }, &mut sink);
        let until = now + (TEST_FIRST / 2 - Duration::from_millis(1));
        while let Some(at) = node.deadline().filter(|at| *at <= until) {
            now = now.max(at);
            node.timeout(now, &mut sink);
        }
        let (mut given, mut heard, mut told, mut passed, mut named, mut consulted) =
            (0, 0, 0, 0, 0, 0);
        for output in std::mem::take(&mut sink.outputs) {
            match output {
                Output::Send { message: Message::Answer { hits, .. }, .. } => {
                    heard += 1;
                    given += hits.len();
                }
                Output::Send { message: Message::Terms { .. }, .. } => told += 1,
                Output::Send { message: Message::Query(_), .. } => passed += 1,
                Output::AnnounceTerms(_) => named += 1,
                Output::Consult { .. } => consulted += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(passed > 0, "it is passed on");
        assert_eq!([given > 0, told > 0, named > 0, consulted > 0], [answers; 4]);
        assert_eq!(heard, 2, "that it was heard is said");
        // The user himself finds what is here.
        node.find(now, &find(9, "debian", 1, Via::Walk), None, &mut sink);
        assert!(sink.outputs.iter().any(|output| matches!(output, Output::Found { id: 9, .. })));
    }
}

#[test]
fn an_index_on_disk_answers_in_time_and_to_the_point() {
    let (mut node, mut sink, now) = (with(Terms::None, true), Sink::default(), Instant::ORIGIN);
    node.up(now, LinkId(1), Role::Peer);
    node.question(now, LinkId(1), question(7, 10, "debian"), &mut sink);
    let Some(Output::Consult { ask, words, wanted: 4, .. }) = sink.outputs.pop_front() else {
        panic!("it is not asked");
    };
    assert_eq!(words, ["debian"]);
    let hit = |name: &str, snippet: &str| Hit {
        record: listing(3, name),
        page: Some(Page { path: Text::cleaned("a/b"), snippet: Text::cleaned(snippet) }),
        from: None,
        is_doubtful: false,
    };
    let hits = [hit("Something", "of Debian and others"), hit("Something else", "of Fedora")];
    node.consulted(now, ask, &hits, &mut sink);
    assert!(matches!(
        sink.outputs.pop_front(),
        Some(Output::Send { link: LinkId(1), message: Message::Answer { id: 7, hits } })
            if hits.len() == 1
    ));
    node.consulted(now, ask, &hits, &mut sink);
    assert!(sink.outputs.is_empty(), "it was answered");
    node.question(now, LinkId(1), question(8, 10, "debian"), &mut sink);
    sink.outputs.clear();
    node.consulted(now + CONSULT_WAIT, ask + 1, &hits, &mut sink);
    assert!(sink.outputs.is_empty(), "it is late");
}

#[test]
fn what_stands_in_documents_is_asked_of_neighbours_and_not_of_who_indexes_names() {
    for (what, asked) in [(What::Any, LinkId(2)), (What::Pages, LinkId(1))] {
        let (mut node, mut sink, now) =
            (with(Terms::Rare, false), Sink::default(), Instant::ORIGIN);
        node.up(now, LinkId(1), Role::Peer);
        node.up(now, LinkId(2), Role::Index);
        let find = Find { what, ..find(1, "debian", 1, Via::Auto) };
        node.find(now, &find, None, &mut sink);
        let is_asked = |output: &Output| {
            let Output::Send { link, message: Message::Query(question) } = output else {
                return false;
            };
            *link == asked && question.what == what
        };
        assert!(sink.outputs.len() == 1 && is_asked(&sink.outputs[0]), "{:?}", sink.outputs);
    }
}

#[test]
fn who_swallows_questions_is_found_out() {
    let (mut node, mut sink, mut now) =
        (with(Terms::None, false), Sink::default(), Instant::ORIGIN);
    for link in [1, 2] {
        node.up(now, LinkId(link), Role::Peer);
    }
    let until = now + TEST_FIRST * 2 + TEST_WAIT;
    while let Some(at) = node.deadline().filter(|at| *at <= until) {
        now = now.max(at);
        node.timeout(now, &mut sink);
        for output in std::mem::take(&mut sink.outputs) {
            if let Output::Send { link: LinkId(1), message: Message::Query(test) } = output {
                // One says that he has heard.
                let none = (test.id, Vec::new());
                assert_eq!(node.answer(now, (LinkId(1), None), none, check, &mut sink), 0);
            }
        }
    }
    node.find(now, &find(1, "debian", 1, Via::Walk), None, &mut sink);
    let asked: Vec<LinkId> = sink
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send { link, message: Message::Query(_) } => Some(*link),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [LinkId(1)]);
}

proptest::proptest! {
    #[test]
    fn no_question_costs_more_than_its_budget(
        links in proptest::collection::vec((0..12usize, 0..12usize), 1..40),
        budget in 1..200u16,
        width in 1..32u8,
        offered in proptest::collection::vec(0..12usize, 0..6),
        seed in 0..1_000u64,
    ) {
        let links: Vec<_> = links.into_iter().filter(|(a, b)| a != b).collect();
        let mut web = Web::new(12, &links);
        for at in offered {
            web.offer(at, "a rare thing");
        }
        web.settle();
        if let Some((_, to)) = links.first().copied() {
            let asked = Question { width, ..question(seed, budget, "rare") };
            web.questions = 0;
            web.hears(to, LinkId(0), Message::Query(Box::new(asked)));
            web.pass();
            proptest::prop_assert!(web.questions < usize::from(budget));
        }
    }
}
