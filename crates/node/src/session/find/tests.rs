use super::*;
use althing_base::{Sha1Digest, UnixTime};
use althing_overlay::records::{Draft, InfoHash, Listing, Record, Text};
use althing_overlay::{Keys, NetworkKey, NodeId};

fn listing(author: u8, hash: u8, name: &str) -> Box<Record> {
    let hash = InfoHash::V1(Sha1Digest([hash; 20]));
    let listing = Listing::new(hash, Text::new(name).unwrap(), 1_000, 1).unwrap();
    let keys = Keys::from_secret(&[author; 32]);
    let draft = Draft::listing(listing, UnixTime(1_000), 3_600);
    Box::new(draft.sign(&keys, &NetworkKey::public()).unwrap())
}

fn options(words: &str) -> FindOptions {
    let words = words.to_owned();
    FindOptions { words, via: FindVia::Auto, kind: FindKind::Any, wanted: 10, watch: false }
}

fn told(record: Box<Record>, source: Source) -> Told {
    let (page, peers, from, is_doubtful) = (None, Vec::new(), None, false);
    Told::Listing { record, source, page, peers, from, is_doubtful }
}

#[test]
fn what_several_have_is_one_answer_and_numbers_stay() {
    let find = Finds::default().open(options("engine lectures")).unwrap();
    assert!(find.tell(told(listing(1, 1, "lectures on a large engine"), Source::Here)));
    assert!(find.tell(told(listing(2, 2, "engine lectures"), Source::Network)));
    assert!(find.tell(told(listing(3, 1, "another name"), Source::Network)));
    // The same from the same is no news.
    assert!(!find.tell(told(listing(3, 1, "another name"), Source::Network)));
    let answers = find.answers();
    let shown: Vec<_> = answers.iter().map(|a| (a.number, a.name.as_str())).collect();
    assert_eq!(shown, [(2, "engine lectures"), (1, "lectures on a large engine")]);
    assert_eq!(answers[1].authors.len(), 2);
    assert!(answers[1].here && answers[1].network);
    assert_eq!(find.answer(2).unwrap().name, "engine lectures");
    assert_eq!((find.answer(0), find.answer(3)), (None, None));
}

#[test]
fn what_one_neighbour_invents_is_below_what_has_the_words() {
    let find = Finds::default().open(options("engine lectures")).unwrap();
    let from = |record, page, from| Told::Listing {
        record,
        source: Source::Network,
        page,
        peers: Vec::new(),
        from: Some(NodeId([from; 32])),
        is_doubtful: false,
    };
    // A page that nobody has signed, of a thing that forty made-up authors list.
    let page = AnswerPage { path: "engine lectures".into(), snippet: "engine lectures".into() };
    for author in 1..40 {
        find.tell(from(listing(author, 1, "buy this"), Some(page.clone()), 1));
    }
    find.tell(from(listing(50, 2, "engine lectures and much else that is bait"), None, 1));
    find.tell(from(listing(51, 3, "lectures on the engine"), None, 2));
    let shown: Vec<_> = find.answers().into_iter().map(|answer| answer.number).collect();
    assert_eq!(shown, [3, 2, 1]);
}

#[tokio::test]
async fn listeners_hear_everything_and_the_end() {
    let find = Finds::default().open(options("engine")).unwrap();
    find.tell(told(listing(1, 1, "engine"), Source::Here));
    let mut listener = find.listen();
    let (news, snapshot) = listener.next().await.unwrap();
    assert_eq!((news.len(), snapshot.state), (1, FindState::Asking));
    find.tell(told(listing(1, 2, "engine again"), Source::Network));
    let (news, _) = listener.next().await.unwrap();
    assert_eq!(news[0].number, 2);
    find.set(FindState::Ended);
    assert!(!find.tell(told(listing(1, 3, "engine too late"), Source::Network)));
    let (news, snapshot) = listener.next().await.unwrap();
    assert_eq!((news.len(), snapshot.state), (0, FindState::Ended));
    assert!(listener.next().await.is_none());
    // Who comes late hears all of it at once.
    let mut late = find.listen();
    let (news, _) = late.next().await.unwrap();
    assert_eq!(news.len(), 2);
    assert!(late.next().await.is_none());
}

#[test]
fn open_searches_are_bounded_and_ended_ones_forgotten() {
    let finds = Finds::default();
    assert!(matches!(finds.open(options("a - .")), Err(FindError::NoWords(_))));
    let long = "word ".repeat(1_000);
    assert!(matches!(finds.open(options(&long)), Err(FindError::TooLong { .. })));
    let open: Vec<_> =
        (0..FINDS_OPEN_MAX).map(|_| finds.open(options("engine")).unwrap()).collect();
    assert_eq!(finds.open(options("engine")).unwrap_err(), FindError::TooMany);
    open.iter().for_each(|find| find.set(FindState::Ended));
    let last = finds.open(options("engine")).unwrap();
    assert_eq!(finds.all().len(), FINDS_KEPT_MAX + 1);
    assert_eq!(last.id(), FINDS_OPEN_MAX as u64 + 1);
}
