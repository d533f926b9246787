//! What it costs to find something: questions for things that some have, asked of who happens to be near.

use super::net::{Conditions, Net};
use crate::node::{NEVER, NodeIndex};
use althing_base::time::Duration;
use althing_base::{Instant, Rng, Seed};
use althing_overlay::io::Via;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Questions for one row of a table.
pub const QUESTIONS: usize = 300;

/// Listings that each node has besides what is looked for.
const LISTINGS: usize = 10;

/// Words of each.
const WORDS: usize = 4;

/// Words that there are; the n-th is met once where the first is met n times (Zipf).
const VOCABULARY: usize = 20_000;

/// Different things of each number of copies.
const THINGS: usize = 50;

/// How long indexes are given to come round, and, where there is a DHT, rare words to be announced there.
const SETTLE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(180));

/// How long a question is given.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Links that a flood crosses, as in Gnutella.
const FLOOD_LINKS: u32 = 7;

/// A network in which everybody has something.
pub struct Library {
    /// The network.
    pub net: Net,
    rng: Rng,
    /// How often the words are met up to each.
    zipf: Vec<f64>,
    /// Who has which things, by the number of copies.
    things: Vec<(usize, Vec<Vec<NodeIndex>>)>,
}

/// What some questions cost.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The part that found anything.
    pub found: f64,
    /// Messages of a question: on average, of 99 of 100, and the most.
    pub messages: (f64, u64, u64),
    /// Bytes of a question, on average.
    pub bytes: f64,
    /// The time to the first answer, of half of all questions and of 99 of 100.
    pub took: (Option<Duration>, Option<Duration>),
    /// Messages that the busiest node got, for each question that anybody asked.
    pub busiest: f64,
}

/// What is looked for, and how many have it.
pub fn things(nodes: usize) -> [(&'static str, usize); 3] {
    let part = |of: usize| (nodes / of).max(2);
    [("on 1 % of nodes", part(100)), ("on 0.1 % of nodes", part(1_000)), ("one copy", 1)]
}

pub(super) fn name(copies: usize, which: usize) -> String {
    format!("thing{which}of{copies}")
}

/// A network in which each node has ten listings of words of usual frequency, and some have what is
/// looked for.
pub fn library(seed: u64, nodes: usize, conditions: Conditions) -> Library {
    let copies = things(nodes).map(|(_, copies)| copies);
    Library::new(Net::new(seed, nodes, conditions), seed, &copies)
}

impl Library {
    /// What everybody in a network has, and who has what is looked for: things of so many copies.
    pub fn new(net: Net, seed: u64, copies: &[usize]) -> Library {
        let mut library = Library::empty(net, seed);
        let all = library.net.honest();
        library.put(copies, &all);
        library
    }

    /// A network in which nobody has anything.
    pub fn empty(net: Net, seed: u64) -> Library {
        let rng = Rng::new(Seed::from_u64(seed).fork("library", 0));
        let mut zipf = Vec::with_capacity(VOCABULARY);
        let mut sum = 0.0;
        for rank in 1..=VOCABULARY {
            sum += 1.0 / rank as f64;
            zipf.push(sum);
        }
        Library { net, rng, zipf, things: Vec::new() }
    }

    /// Some are new: they have ten things each, and things of these numbers of copies are had, if they
    /// were not.
    pub fn put(&mut self, copies: &[usize], new: &[NodeIndex]) {
        for at in new {
            self.stock(*at);
        }
        let all = self.net.honest();
        for copies in copies {
            if self.things.iter().any(|(of, _)| of == copies) {
                continue;
            }
            let mut of = Vec::with_capacity(THINGS);
            for which in 0..THINGS {
                let mut holders = all.clone();
                self.rng.shuffle(&mut holders);
                holders.truncate(*copies);
                holders.iter().for_each(|at| self.net.offer(*at, &name(*copies, which)));
                of.push(holders);
            }
            self.things.push((*copies, of));
        }
        self.net.run(if self.net.has_dht() { SETTLE.1 } else { SETTLE.0 });
    }

    /// Somebody has ten things of words of usual frequency.
    fn stock(&mut self, at: NodeIndex) {
        let most = self.zipf.last().copied().unwrap_or(0.0);
        for _ in 0..LISTINGS {
            let mut word = || {
                let at = self.rng.unit() * most;
                format!("word{}", self.zipf.partition_point(|below| *below < at))
            };
            let words: Vec<_> = (0..WORDS).map(|_| word()).collect();
            self.net.offer(at, &words.join(" "));
        }
    }

    /// Somebody new has what somebody had who is gone.
    pub fn inherit(&mut self, gone: NodeIndex, new: NodeIndex) {
        self.stock(new);
        for (copies, of) in &mut self.things {
            for (which, holders) in of.iter_mut().enumerate() {
                for holder in holders.iter_mut().filter(|holder| **holder == gone) {
                    *holder = new;
                    self.net.offer(new, &name(*copies, which));
                }
            }
        }
    }

    /// Somebody says that he has everything that is looked for.
    pub fn forge(&mut self, by: NodeIndex) {
        for (copies, of) in &self.things {
            (0..of.len()).for_each(|which| self.net.forge(by, &name(*copies, which)));
        }
    }

    /// Somebody who is alive and has not got it, and what of so many copies he looks for; nothing if nobody
    /// is left who has any.
    pub(super) fn question(
        &mut self,
        copies: usize,
        alive: &[NodeIndex],
    ) -> Option<(NodeIndex, usize)> {
        let (_, of) = self.things.iter().find(|(of, _)| *of == copies)?;
        // Somebody has to be there who has it, and somebody who has not.
        let is_there = |holders: &[NodeIndex]| {
            let there = holders.iter().filter(|holder| alive.binary_search(holder).is_ok());
            (1..alive.len()).contains(&there.count())
        };
        let which: Vec<_> = (0..of.len()).filter(|which| is_there(&of[*which])).collect();
        let which = *self.rng.choose(&which)?;
        loop {
            let by = alive[self.rng.index(alive.len())];
            if !of[which].contains(&by) {
                return Some((by, which));
            }
        }
    }

    /// Who has it, dead or alive.
    pub(super) fn holders(&self, copies: usize, which: usize) -> &[NodeIndex] {
        let of = self.things.iter().find(|(of, _)| *of == copies);
        of.and_then(|(_, of)| of.get(which)).map_or(&[], Vec::as_slice)
    }
}

/// Questions for things of which there are so many copies, ten a second.
pub fn ask(library: &mut Library, copies: usize, questions: usize, via: Via) -> Cost {
    let alive = library.net.honest();
    let before: Vec<_> = alive.iter().map(|at| library.net.asked(*at)).collect();
    let mut finds = Vec::with_capacity(questions);
    for _ in 0..questions {
        let Some((by, which)) = library.question(copies, &alive) else { break };
        finds.push(library.net.find(by, &name(copies, which), 1, via));
        library.net.run(Duration::from_millis(100));
    }
    library.net.run(PATIENCE);
    let load = alive.iter().zip(before).map(|(at, before)| library.net.asked(*at) - before);
    let busiest = load.max().unwrap_or(0);
    let each = finds.iter().map(|id| {
        let find = library.net.found(*id);
        (find.messages, find.bytes, find.took())
    });
    cost(&each.collect::<Vec<_>>(), busiest)
}

fn cost(questions: &[(u64, u64, Option<Duration>)], busiest: u64) -> Cost {
    let count = questions.len().max(1) as f64;
    let mut messages: Vec<_> = questions.iter().map(|(messages, ..)| *messages).collect();
    messages.sort_unstable();
    let mut took: Vec<_> = questions.iter().filter_map(|(.., took)| *took).collect();
    took.sort_unstable();
    let part = |of: f64| ((questions.len() as f64 * of).ceil() as usize).saturating_sub(1);
    Cost {
        found: took.len() as f64 / count,
        messages: (
            messages.iter().sum::<u64>() as f64 / count,
            messages.get(part(0.99)).copied().unwrap_or(0),
            messages.last().copied().unwrap_or(0),
        ),
        bytes: questions.iter().map(|(_, bytes, _)| *bytes).sum::<u64>() as f64 / count,
        took: (took.get(part(0.5)).copied(), took.get(part(0.99)).copied()),
        busiest: busiest as f64 / count,
    }
}

/// The same questions, if each node passed each on to all its neighbours over the same links: not what the
/// machines do, but what it would cost.
pub fn flood(library: &mut Library, copies: usize, questions: usize) -> Cost {
    let graph = library.net.graph();
    let alive = library.net.alive();
    let mut load = vec![0u64; graph.len()];
    let mut each = Vec::with_capacity(questions);
    for _ in 0..questions {
        let Some((by, which)) = library.question(copies, &alive) else { break };
        let flooded = flood_one(&graph, by, library.holders(copies, which), &mut load);
        each.push((flooded.messages, flooded.bytes, flooded.took));
    }
    cost(&each, load.into_iter().max().unwrap_or(0))
}

/// What one question costs that everybody passes on.
pub(super) struct Flooded {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// Until the first answer, and how many links it had crossed to who has it.
    pub(super) took: Option<Duration>,
    pub(super) links: Option<u32>,
}

/// Who has a link to whom, and how long what is said on it takes.
type Graph = [Vec<(NodeIndex, Duration)>];

pub(super) fn flood_one(
    graph: &Graph,
    by: NodeIndex,
    holders: &[NodeIndex],
    load: &mut [u64],
) -> Flooded {
    /// A question for one thing, by type, and the words.
    const QUESTION_BYTES: u64 = 1 + 8 + 2 + 1 + 1 + 14;
    /// A listing of that name.
    const ANSWER_BYTES: u64 = 1 + 8 + 2 + 230;
    let mut reached = vec![false; graph.len()];
    // When it comes to each: what comes later is counted, and changes nothing.
    let mut first_at = vec![NEVER; graph.len()];
    let mut queue = BinaryHeap::from([(Reverse(Instant::ORIGIN), by, 0u32, by)]);
    let (mut messages, mut answers, mut first) = (0, 0, None::<(Duration, u32)>);
    while let Some((Reverse(at), node, links, from)) = queue.pop() {
        if std::mem::replace(&mut reached[node.index()], true) {
            continue;
        }
        if holders.contains(&node) {
            answers += u64::from(links);
            let answer = (at.since(Instant::ORIGIN) * 2, links);
            first = Some(first.map_or(answer, |first| first.min(answer)));
        }
        if links == FLOOD_LINKS {
            continue;
        }
        for (to, latency) in &graph[node.index()] {
            if *to != from || links == 0 {
                messages += 1;
                load[to.index()] += 1;
                let comes = at + *latency;
                if comes <= first_at[to.index()] {
                    first_at[to.index()] = comes;
                    queue.push((Reverse(comes), *to, links + 1, node));
                }
            }
        }
    }
    Flooded {
        messages: messages + answers,
        bytes: messages * QUESTION_BYTES + answers * ANSWER_BYTES,
        took: first.map(|(took, _)| took),
        links: first.map(|(_, links)| links),
    }
}

/// What the indexes cost by which questions find their way, in words.
pub fn indexes(library: &Library) -> String {
    let alive = library.net.alive();
    let count = alive.len().max(1) as f64;
    let mut terms = [0usize; 2];
    for stats in alive.iter().filter_map(|at| library.net.stats(*at)) {
        (0..2).for_each(|which| terms[which] += stats.terms[which]);
    }
    let served = alive.iter().filter_map(|at| library.net.stats(*at).map(|s| s.views.serving));
    let leaning = alive.iter().filter_map(|at| library.net.stats(*at).map(|s| s.views.leaning));
    format!(
        "The most that lean on one: {}; the fewest on whom one leans: {}. Each node offers {:.0} terms, its neighbours {:.0}; to tell all of it takes {:.1} kB a node, once.",
        served.max().unwrap_or(0),
        leaning.min().unwrap_or(0),
        terms[0] as f64 / count,
        terms[1] as f64 / count,
        library.net.traffic().index_bytes as f64 / count / 1_000.0
    )
}
