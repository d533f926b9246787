//! Whatever peers say, in whatever order: what a node sends on is sound, and what is over stays over.

use super::*;
use crate::io::{Find, Via};
use crate::records::{Change as Shelved, InfoHash, Key, Listing, Version};
use crate::search::hit::{RawHit, What};
use crate::search::words::words;
use crate::wire::Question;
use althing_base::hash::sha1;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NOW: i64 = 1_800_000_000;

/// Seconds for which the records here last.
const LIFETIME: i64 = 300;

/// What is done to a record before it is sent.
#[derive(Clone, Copy, Debug)]
enum Forgery {
    None,
    /// A bit of it is another.
    Bit(usize),
    /// The end is missing.
    Cut(usize),
    /// It was signed for another network.
    Elsewhere,
}

/// A record of one of three authors, of one of two things, in one of several versions.
#[derive(Clone, Copy, Debug)]
struct Sent {
    author: u8,
    thing: u8,
    seq: u64,
    created: i64,
    forgery: Forgery,
}

impl Sent {
    fn bytes(self) -> Bytes {
        let Sent { author, thing, seq, created, forgery } = self;
        let name = Text::new(&format!("thing {thing} iso")).unwrap();
        let listing = Listing::new(InfoHash::V1(sha1(&[thing])), name, 1, 1).unwrap();
        let mut draft = Draft::listing(listing, UnixTime(NOW + created), LIFETIME);
        draft.seq = seq;
        let network = match forgery {
            Forgery::Elsewhere => NetworkKey::derive("a network of somebody else"),
            _ => NetworkKey::public(),
        };
        let record = draft.sign(&Keys::from_secret(&[author; 32]), &network).unwrap();
        let mut bytes = record.bytes().to_vec();
        match forgery {
            Forgery::Bit(at) => {
                let at = at % (8 * bytes.len());
                bytes[at / 8] ^= 1 << (at % 8);
            }
            Forgery::Cut(by) => bytes.truncate(bytes.len() - 1 - by % 64),
            Forgery::None | Forgery::Elsewhere => {}
        }
        bytes.into()
    }

    fn raw(self) -> Option<RawRecord> {
        RawRecord::parse(&self.bytes()).ok()
    }

    /// As our own user would have it.
    fn record(self) -> Option<Record> {
        self.raw()?.check(&NetworkKey::public(), NodeId::has_signed).ok()
    }
}

#[derive(Clone, Debug)]
enum Act {
    /// Somebody calls, or is called, and is a neighbour as far as it is up to him.
    Join(u64),
    Leave(usize),
    /// Seconds pass.
    Pass(u64),
    /// The clock is set.
    Set(i64),
    /// Over one of the links there are.
    Hear(usize, Heard),
    Find(u64),
    Publish(Sent),
    Offer(Sent),
}

#[derive(Clone, Debug)]
enum Heard {
    Gossip(Sent),
    Records(Vec<Sent>),
    Answer(u64, Vec<Sent>),
    Announce(Sent),
    Need(Sent),
    Graft(Sent),
    Ask(u64),
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let forgery = prop_oneof![
        3 => Just(Forgery::None),
        1 => any::<usize>().prop_map(Forgery::Bit),
        1 => any::<usize>().prop_map(Forgery::Cut),
        1 => Just(Forgery::Elsewhere),
    ];
    (1..4u8, 0..2u8, 0..3u64, prop_oneof![Just(0), -400..900i64], forgery).prop_map(
        |(author, thing, seq, created, forgery)| Sent { author, thing, seq, created, forgery },
    )
}

fn any_heard() -> impl Strategy<Value = Heard> {
    let some = || proptest::collection::vec(any_sent(), 1..4);
    prop_oneof![
        6 => any_sent().prop_map(Heard::Gossip),
        2 => some().prop_map(Heard::Records),
        4 => (0..3u64, some()).prop_map(|(id, sent)| Heard::Answer(id, sent)),
        2 => any_sent().prop_map(Heard::Announce),
        1 => any_sent().prop_map(Heard::Need),
        1 => any_sent().prop_map(Heard::Graft),
        3 => (0..3u64).prop_map(Heard::Ask),
    ]
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..9u64).prop_map(Act::Join),
        1 => any::<usize>().prop_map(Act::Leave),
        2 => (0..200u64).prop_map(Act::Pass),
        1 => (-400..900i64).prop_map(Act::Set),
        18 => (any::<usize>(), any_heard()).prop_map(|(at, heard)| Act::Hear(at, heard)),
        1 => (0..3u64).prop_map(Act::Find),
        1 => any_sent().prop_map(Act::Publish),
        1 => any_sent().prop_map(Act::Offer),
    ]
}

fn message(heard: Heard) -> Option<Message> {
    let hit = |sent: Sent| RawHit { record: sent.bytes(), page: None, is_doubtful: false };
    Some(match heard {
        Heard::Gossip(sent) => Message::Gossip { hops: 1, record: sent.bytes() },
        Heard::Records(sent) => Message::Records(sent.into_iter().map(Sent::bytes).collect()),
        Heard::Answer(id, sent) => {
            Message::Answer { id, hits: sent.into_iter().map(hit).collect() }
        }
        Heard::Announce(sent) => Message::IHave(vec![Announced { id: sent.raw()?.id(), hops: 1 }]),
        Heard::Need(sent) => Message::Need(vec![sent.raw()?.id()]),
        Heard::Graft(sent) => Message::Graft(vec![sent.raw()?.id()]),
        Heard::Ask(id) => Message::Query(Box::new(Question {
            id,
            budget: 40,
            width: 4,
            wanted: 8,
            what: What::Any,
            receipt: false,
            words: words("iso"),
        })),
    })
}

fn perform(node: &mut Node, links: &mut Vec<LinkId>, act: Act) {
    let to = |at: usize| (!links.is_empty()).then(|| links[at % links.len()]);
    match act {
        Act::Join(number) => {
            let outgoing = number % 2 == 0;
            if outgoing {
                node.tell(Input::Contacts(vec![place(number)]));
            }
            let link = node.link(number + 1, place(number), outgoing);
            let yes = Message::NeighbourReply { yes: true };
            node.hears(link, if outgoing { yes } else { Message::Join });
            // It wants what is new itself, not its name.
            node.hears(link, Message::Graft(Vec::new()));
            links.push(link);
        }
        Act::Leave(which) => {
            if let Some(link) = to(which) {
                links.retain(|other| *other != link);
                node.tell(Input::LinkDown { link });
            }
        }
        Act::Pass(seconds) => node.run(Duration::from_secs(seconds)),
        Act::Set(by) => node.tell(Input::Clock(UnixTime(NOW + by))),
        Act::Hear(at, heard) => {
            if let (Some(link), Some(message)) = (to(at), message(heard)) {
                node.hears(link, message);
            }
        }
        Act::Find(id) => {
            let words = "iso".to_owned();
            let find = Find { id, words, wanted: 8, via: Via::Auto, what: What::Any };
            node.tell(Input::Find(Box::new(find)));
        }
        Act::Publish(sent) => {
            if let Some(record) = sent.record() {
                node.tell(Input::Publish(Box::new(record)));
            }
        }
        Act::Offer(sent) => {
            if let Some(record) = sent.record() {
                node.tell(Input::Offer(Box::new(record)));
            }
        }
    }
}

/// What must hold of a node after each thing that happens.
#[derive(Default)]
struct Watch {
    /// The newest version that was ever held of each key.
    newest: BTreeMap<Key, Version>,
    /// Records that were sent on or shown.
    passed: usize,
}

impl Watch {
    fn look(&mut self, node: &mut Node) -> Result<(), TestCaseError> {
        let unix = node.machine.unix(node.now);
        for output in std::mem::take(&mut node.outputs) {
            match output {
                Output::Send { message: Message::Gossip { record, .. }, .. } => {
                    self.sound(&record)?;
                }
                Output::Send { message: Message::Records(records), .. } => {
                    records.iter().try_for_each(|record| self.sound(record))?;
                }
                Output::Send { message: Message::Answer { hits, .. }, .. } => {
                    hits.iter().try_for_each(|hit| self.sound(&hit.record))?;
                }
                Output::Found { hit, .. } => self.sound(hit.record.bytes())?,
                Output::Shelf(change) => {
                    if let Shelved::Hold(record) = *change {
                        prop_assert!(record.expires() > unix, "what has expired is held");
                        let newest = self.newest.entry(record.key()).or_insert(record.version());
                        prop_assert!(*newest <= record.version(), "what was replaced is back");
                        *newest = record.version();
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Its author has signed it, for this network.
    fn sound(&mut self, bytes: &Bytes) -> Result<(), TestCaseError> {
        self.passed += 1;
        let checked =
            RawRecord::parse(bytes).map(|raw| raw.check(&NetworkKey::public(), NodeId::has_signed));
        prop_assert!(matches!(checked, Ok(Ok(_))), "what nobody has signed is passed on");
        Ok(())
    }
}

fn check(acts: impl IntoIterator<Item = Act>) -> Result<usize, TestCaseError> {
    let mut node = Node::new();
    let (mut watch, mut links) = (Watch::default(), Vec::new());
    for act in acts {
        perform(&mut node, &mut links, act);
        watch.look(&mut node)?;
    }
    Ok(watch.passed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn nothing_is_passed_on_unchecked_and_nothing_comes_back(
        acts in proptest::collection::vec(any_act(), 1..120),
    ) {
        check(acts)?;
    }
}

#[test]
fn what_is_signed_is_passed_on() {
    let sent = Sent { author: 1, thing: 0, seq: 0, created: 0, forgery: Forgery::None };
    let joins = (0..6).map(Act::Join);
    let said = [Heard::Gossip(sent), Heard::Need(sent)].into_iter().enumerate();
    let acts = joins.chain(said.map(|(at, heard)| Act::Hear(at, heard))).chain([Act::Pass(5)]);
    let passed = check(acts).unwrap();
    assert!(passed >= 3, "{passed}");
}
