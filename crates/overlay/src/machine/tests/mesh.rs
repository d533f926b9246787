//! One who indexes and has others enough, and what it does to find those in other parts of the network.

use super::*;
use crate::membership::limits::{
    LEAN_MAX, LOAD_EVERY, LOAD_PERCENT_MAX, LOAD_SLACK, LOST_FIRST, LOST_GAP, LOST_MOST, MESH_KEPT,
    MESH_MAX, MESH_WANTED, MIX_EVERY, MIX_SOON,
};
use crate::wire::Indexer;

/// One who indexes among others who do.
struct Mesh {
    node: Node,
    /// Links on which nothing is said any more.
    gone: Vec<LinkId>,
    /// Those on whom it leans, the oldest first.
    leaning: Vec<LinkId>,
    /// Outputs that were looked at.
    seen: usize,
}

impl Mesh {
    /// With three neighbours of its own choice and as many others who index as it wants, of whom
    /// the numbers begin with 50.
    fn settled() -> Mesh {
        let mut config = Config::new(Seed::from_u64(1), NodeId([0xff; 32]), NetworkKey::public());
        config.is_super = true;
        let machine = Overlay::new(Instant::ORIGIN, config);
        let mut node = Node { machine, now: Instant::ORIGIN, outputs: Vec::new(), links: 0 };
        node.drain();
        node.tell(Input::Contacts((1..=OUT_WANTED as u64).map(place).collect()));
        let mut mesh = Mesh { node, gone: Vec::new(), leaning: Vec::new(), seen: 0 };
        (1..=OUT_WANTED as u64).for_each(|number| {
            mesh.neighbour(number);
        });
        for number in 50..50 + MESH_WANTED as u64 {
            mesh.is_told_and_leans(number);
        }
        assert_eq!(mesh.node.machine.stats().views.leaning, MESH_WANTED);
        mesh.pass(MIX_SOON);
        mesh.forget();
        mesh
    }

    /// Somebody whom it has called is a neighbour.
    fn neighbour(&mut self, number: u64) -> LinkId {
        let link = self.node.link(number, place(number), true);
        self.node.hears(link, Message::NeighbourReply { yes: true });
        link
    }

    /// It looks for somebody, is told of one, calls him, and may lean on him.
    fn is_told_and_leans(&mut self, number: u64) {
        self.forget();
        let asked = self.asked_within(LEAN_MAX * 2).expect("it looks for somebody");
        self.node.hears(asked, Message::Indexers(vec![indexer(number)]));
        assert!(self.calls(number) > 0, "{number}");
        self.answers(number);
    }

    /// Somebody whom it has called lets it lean on him.
    fn answers(&mut self, number: u64) -> LinkId {
        let link = self.node.mute(number, place(number), true);
        let hello = Hello { version: 1, port: Some(7716), is_super: true, ..Hello::default() };
        self.node.hears(link, Message::Hello(hello));
        self.node.hears(link, Message::NeighbourReply { yes: true });
        self.leaning.push(link);
        link
    }

    /// Time passes, in which everybody answers who is there.
    fn pass(&mut self, time: Duration) {
        let until = self.node.now + time;
        while self.node.now < until {
            self.node.run(Duration::from_secs(1));
            for link in (1..=self.node.links).map(LinkId) {
                if !self.gone.contains(&link) && self.node.closed(link).is_none() {
                    self.node.hears(link, Message::Pong);
                }
            }
        }
    }

    fn forget(&mut self) {
        let closed = |output: &Output| match output {
            Output::Close { link, .. } => Some(*link),
            _ => None,
        };
        self.gone.extend(self.node.outputs.iter().filter_map(closed));
        self.node.outputs.clear();
        self.seen = 0;
    }

    /// Whom it asks next who indexes.
    fn asked_within(&mut self, time: Duration) -> Option<LinkId> {
        let until = self.node.now + time;
        loop {
            let rest = self.node.outputs.iter().enumerate().skip(self.seen);
            let asks = |output: &Output| match output {
                Output::Send { link, message: Message::WhoIndexes } => Some(*link),
                _ => None,
            };
            let next = rest.filter_map(|(at, output)| Some((at, asks(output)?))).next();
            if let Some((at, link)) = next {
                self.seen = at + 1;
                return Some(link);
            }
            self.seen = self.node.outputs.len();
            if self.node.now >= until {
                return None;
            }
            self.pass(Duration::from_secs(1));
        }
    }

    fn calls(&self, number: u64) -> usize {
        let addr = place(number);
        self.node.count(|o| matches!(o, Output::Dial { addr: called, .. } if *called == addr))
    }

    /// Somebody is gone without a word, and somebody else is found in his place.
    fn lose(&mut self, link: LinkId, new: u64) {
        self.gone.push(link);
        self.leaning.retain(|other| *other != link);
        self.node.tell(Input::LinkDown { link });
        self.is_told_and_leans(new);
    }
}

fn indexer(number: u64) -> Indexer {
    Indexer { contact: Contact { node: name(number), addr: place(number) }, leaves: None }
}

#[test]
fn those_who_were_lost_are_called_again_and_when_one_is_there_all_are() {
    let mut mesh = Mesh::settled();
    let old = mesh.leaning.clone();
    mesh.lose(old[4], 60);
    mesh.lose(old[5], 61);
    assert_eq!(mesh.node.machine.stats().views.leaning, MESH_WANTED, "there are enough");
    mesh.forget();
    mesh.pass(LOST_FIRST * 2);
    assert!(mesh.calls(54) > 0 && mesh.calls(55) > 0);
    // Ever more rarely.
    let mut calls = Vec::new();
    for _ in 0..3 {
        mesh.forget();
        mesh.pass(LOST_MOST * 4);
        calls.push(mesh.calls(54) + mesh.calls(55));
    }
    assert!(calls[0] > 2 * calls[2] && (4..=12).contains(&calls[2]), "{calls:?}");
    mesh.forget();
    while mesh.calls(54) == 0 {
        mesh.forget();
        mesh.pass(Duration::from_secs(1));
    }
    mesh.forget();
    mesh.answers(54);
    // It is taken in place of one who is not longest there.
    assert_eq!(mesh.node.machine.stats().views.leaning, MESH_WANTED);
    let gone: Vec<_> = old.iter().filter(|link| mesh.node.closed(**link).is_some()).collect();
    assert_eq!(gone, [&old[MESH_KEPT]]);
    assert!(mesh.node.said(old[MESH_KEPT]).contains(&&Message::Disconnect));
    // Whatever parted them from one has parted them from the others.
    mesh.pass(LOST_GAP * 2);
    assert_eq!(mesh.calls(55), 1);
}

#[test]
fn who_has_enough_takes_one_in_place_of_another_now_and_then() {
    let mut mesh = Mesh::settled();
    let old = mesh.leaning.clone();
    let begun = mesh.node.now;
    let (mut asks, mut new) = (0, 100);
    while mesh.node.now.since(begun) < MIX_EVERY * 6 {
        let Some(asked) = mesh.asked_within(MIX_EVERY) else { continue };
        assert!(asked.0 <= OUT_WANTED as u64, "a neighbour of its own choice");
        asks += 1;
        // Somebody of the same network as another is not called.
        let mut crowd = indexer(1_000);
        crowd.contact.addr.set_ip([20, 0, 50, 9].into());
        let named = vec![indexer(50), crowd, indexer(new), indexer(51)];
        mesh.node.hears(asked, Message::Indexers(named));
        assert_eq!(mesh.calls(new), 1);
        mesh.answers(new);
        assert_eq!(mesh.node.machine.stats().views.leaning, MESH_WANTED);
        new += 1;
    }
    assert!((4..=8).contains(&asks), "{asks}");
    let stay = |link: &&LinkId| mesh.node.closed(**link).is_none() && !mesh.gone.contains(*link);
    let stay: Vec<_> = old.iter().filter(stay).collect();
    assert_eq!(stay, old[..MESH_KEPT].iter().collect::<Vec<_>>());
}

#[test]
fn a_new_neighbour_who_names_strangers_alone_is_listened_to_at_once() {
    let mut mesh = Mesh::settled();
    // Who calls is not asked.
    let caller = mesh.node.link(20, place(20), false);
    mesh.node.hears(caller, Message::Neighbour { urgent: false });
    assert!(mesh.node.said(caller).contains(&&Message::NeighbourReply { yes: true }));
    assert_eq!(mesh.asked_within(MIX_SOON), None);
    // Somebody who names one with whom there is a link is of the same part.
    let same = mesh.neighbour(21);
    assert_eq!(mesh.asked_within(MIX_SOON), Some(same));
    mesh.node.hears(same, Message::Indexers(vec![indexer(50), indexer(70)]));
    assert_eq!(mesh.calls(70), 0);
    let begun = mesh.node.now;
    let other = mesh.neighbour(22);
    assert_eq!(mesh.asked_within(MIX_SOON * 2), Some(other));
    assert!(mesh.node.now.since(begun) >= MIX_SOON - Duration::from_secs(2), "not more often");
    mesh.node.hears(other, Message::Indexers(vec![indexer(80), indexer(81)]));
    assert_eq!(mesh.calls(80) + mesh.calls(81), 1, "one at a time");
    // What he says unasked is not heeded.
    mesh.node.hears(other, Message::Indexers(vec![indexer(82)]));
    assert_eq!(mesh.calls(82), 0);
}

#[test]
fn who_does_not_index_calls_those_who_are_lost_only_while_there_is_nobody_else() {
    let mut node = Node::settled();
    node.run(Duration::from_secs(5));
    let asked = (1..=OUT_WANTED as u64)
        .find(|link| node.said(LinkId(*link)).contains(&&Message::WhoIndexes))
        .expect("it looks for somebody to lean on");
    node.hears(LinkId(asked), Message::Indexers(vec![indexer(50)]));
    let mut mesh = Mesh { node, gone: Vec::new(), leaning: Vec::new(), seen: 0 };
    let link = mesh.answers(50);
    mesh.node.tell(Input::LinkDown { link });
    mesh.gone.push(link);
    mesh.node.tell(Input::DialFailed { addr: place(50) });
    mesh.forget();
    mesh.pass(LOST_FIRST * 4);
    let calls = mesh.calls(50);
    assert!((1..=4).contains(&calls), "{calls}");
    // Somebody else is there.
    mesh.is_told_and_leans(51);
    mesh.forget();
    mesh.pass(LOST_FIRST * 8);
    assert_eq!(mesh.calls(50), 0);
}

#[test]
fn who_is_light_relieves_others_and_liars_only_by_half() {
    let mut mesh = Mesh::settled();
    let say = |mesh: &mut Mesh, link, leaves| mesh.node.hears(link, Message::Load { leaves });
    mesh.leaning.clone().into_iter().for_each(|link| say(&mut mesh, link, 40));
    let most = |usual: usize| usual * LOAD_PERCENT_MAX / 100 + LOAD_SLACK;
    for number in 200..200 + most(40) as u64 {
        let leaf = mesh.node.link(number, place(number), false);
        mesh.node.hears(leaf, Message::Lean { others: 0 });
        mesh.node.hears(leaf, Message::Lean { others: 2 });
    }
    let mesh_of = |mesh: &Mesh| mesh.node.machine.stats().views.serving;
    mesh.pass(LOAD_EVERY * 6);
    assert_eq!(mesh_of(&mesh), most(40), "it has more than others, and not too many");
    // Some who are new lean on it, and few on them; it does not go by the average, which is near its own.
    let mut callers = 0;
    let mut more = |mesh: &mut Mesh, leaves| {
        let caller = mesh.node.mute(300 + callers, place(300 + callers), false);
        let hello = Hello { version: 1, port: Some(7716), is_super: true, ..Hello::default() };
        mesh.node.hears(caller, Message::Hello(hello));
        mesh.node.hears(caller, Message::Lean { others: 0 });
        mesh.node.hears(caller, Message::Load { leaves });
        callers += 1;
        mesh.pass(LOAD_EVERY * 6);
        mesh_of(mesh) - callers as usize
    };
    for _ in 0..2 {
        assert_eq!(more(&mut mesh, 25), most(40), "two of nine are no quarter");
    }
    assert_eq!(more(&mut mesh, 25), most(25));
    let left = (0..MESH_MAX - 3).map(|_| more(&mut mesh, 0)).last();
    assert_eq!(left, Some(most(40 / 2)), "it goes by those whom it has chosen, too");
}
