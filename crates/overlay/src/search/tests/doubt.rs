//! Among those who have an answer to everything.

use super::*;
use crate::search::limits::{
    ALIKE_LEAST, COUNTS_ONE_OF, DOUBTFUL_PASSED_MAX, PASSED_OF_AUTHOR_MAX, PASSED_OF_LINK_MAX,
    RECENT_LEAST, RECENT_OF_LINK_MAX, TEST_FIRST,
};
use crate::search::seen::{Passed, Way};

/// Things that are looked for.
fn thing(number: usize) -> String {
    format!("thing{number}")
}

/// A star of four around 0. 1 has everything that anybody looks for, the others a thing of their own; a fifth, behind 2,
/// has `prize`.
fn star() -> Web {
    let mut web = Web::new(6, &[(0, 1), (0, 2), (0, 3), (0, 4), (2, 5)]);
    (0..RECENT_LEAST).for_each(|number| drop(web.offer(1, &thing(number))));
    web.offer(1, "prize bait");
    (2..5).for_each(|at| drop(web.offer(at, &thing(at))));
    web.offer(5, "prize");
    web.settle();
    web
}

fn ask_for_all(web: &mut Web) {
    for number in 0..RECENT_LEAST {
        web.find(0, &thing(number), 1);
    }
    web.settle();
    web.found.clear();
}

fn is_doubted(web: &Web, link: u64) -> bool {
    let others = &web.nodes[0].links;
    others.iter().any(|o| o.link == LinkId(link) && o.claims.is_doubtful())
}

#[test]
fn who_has_an_answer_to_everything_ends_no_search() {
    let mut web = star();
    web.find(0, "prize", 1);
    assert_eq!(web.found.len(), 1, "nothing is known of him yet");
    ask_for_all(&mut web);
    assert!(is_doubted(&web, 0) && !is_doubted(&web, 1));
    web.find(0, "prize", 1);
    let names = |web: &Web| -> Vec<_> { web.found.iter().map(|(_, r)| r.author()).collect() };
    let bait = Keys::from_secret(&[2; 32]).node();
    assert!(names(&web).contains(&Keys::from_secret(&[6; 32]).node()), "{:?}", web.found);
    assert!(names(&web).contains(&bait), "he is asked, too");
    // What he says he has is told to nobody as if it were near here.
    let near = &web.nodes[2].links[0].theirs[1];
    assert!(!near.has_all(&[words("bait")[0].term()]));
    // He is believed again when other things are looked for.
    for number in 0..4 * RECENT_OF_LINK_MAX {
        web.find(0, &format!("other{number}"), 1);
    }
    assert!(!is_doubted(&web, 0));
}

#[test]
fn what_all_have_puts_nobody_in_doubt() {
    let links: Vec<_> = (1..=ALIKE_LEAST).map(|at| (0, at)).collect();
    let mut web = Web::new(ALIKE_LEAST + 1, &links);
    for at in 1..=ALIKE_LEAST {
        (0..RECENT_LEAST).for_each(|number| drop(web.offer(at, &thing(number))));
    }
    web.settle();
    ask_for_all(&mut web);
    assert!((0..ALIKE_LEAST as u64).all(|link| !is_doubted(&web, link)));
}

#[test]
fn one_asker_puts_nobody_in_doubt_for_long() {
    let mut web = star();
    // Somebody asks a neighbour of his for all that the other has, again and again.
    for number in 0..RECENT_LEAST as u64 {
        let asked = question(number + 1, 4, &thing(number as usize));
        web.hears(0, LinkId(1), Message::Query(Box::new(asked)));
    }
    assert!(is_doubted(&web, 0));
    // What others ask counts for more.
    for number in 0..4 * RECENT_LEAST as u64 {
        let asked = question(number + 100, 4, &format!("other{number}"));
        web.hears(0, LinkId(2 + number % 2), Message::Query(Box::new(asked)));
    }
    for number in 0..10 * RECENT_LEAST as u64 {
        let asked = question(number + 900, 4, &format!("{} or", thing(number as usize)));
        web.hears(0, LinkId(1), Message::Query(Box::new(asked)));
    }
    assert!(!is_doubted(&web, 0));
}

#[test]
fn who_answers_a_test_with_something_is_in_doubt_at_once() {
    let mut web = Web::line(2);
    web.now += TEST_FIRST * 2;
    let mut sink = Sink::default();
    web.nodes[0].timeout(web.now, &mut sink);
    let test = sink.outputs.iter().find_map(|output| match output {
        Output::Send { message: Message::Query(question), .. } => Some(question.clone()),
        _ => None,
    });
    let test = test.expect("he is tested");
    let made = listing(2, &format!("free {}", test.words[0].as_str()));
    let answer = Message::Answer { id: test.id, hits: vec![RawHit::from(&made)] };
    web.hears(0, LinkId(0), answer);
    assert_eq!(web.scores, [(0, SCORE_INVALID)]);
    assert!(is_doubted(&web, 0));
}

#[test]
fn nobody_takes_all_places_among_answers() {
    let passed = |number: u8, author: u8, link: u64, is_doubtful: bool| {
        let record = listing(1, &thing(number.into())).id();
        let author = crate::NodeId([author; 32]);
        Passed { record, page: None, author, link: LinkId(link), is_doubtful }
    };
    let count = |of: &dyn Fn(u8) -> Passed| {
        let mut way = Way::default();
        for new in (0..200).map(of) {
            if way.takes(&new) {
                way.passed.push(new);
            }
        }
        way.passed.len()
    };
    assert_eq!(count(&|n| passed(n, n, n.into(), true)), DOUBTFUL_PASSED_MAX);
    assert_eq!(count(&|n| passed(n, n, 1, false)), PASSED_OF_LINK_MAX);
    assert_eq!(count(&|n| passed(n, 1, n.into(), false)), PASSED_OF_AUTHOR_MAX);
    // What somebody else brings without a doubt is passed on again, and the other way round not.
    let mut way = Way::default();
    way.passed.push(passed(1, 1, 1, true));
    assert!(way.takes(&passed(1, 1, 2, false)) && !way.takes(&passed(1, 1, 2, true)));
    way.passed.push(passed(1, 1, 2, false));
    assert!(!way.takes(&passed(1, 1, 3, false)));
}

#[test]
fn one_author_ends_no_search_for_many_alone() {
    // 1 has signed more than is wanted; 3, behind 2, has one thing more.
    let mut web = Web::new(4, &[(0, 1), (0, 2), (2, 3)]);
    let wanted = 8;
    (0..wanted).for_each(|number| drop(web.offer(1, &format!("debian {number}{number}"))));
    web.offer(3, "debian sure");
    web.settle();
    web.find(0, "debian", wanted);
    let part = usize::from(wanted).div_ceil(COUNTS_ONE_OF);
    assert!(web.found.len() > part, "what he has is shown");
    let other = Keys::from_secret(&[4; 32]).node();
    assert!(web.found.iter().any(|(_, record)| record.author() == other), "and others are asked");
}
