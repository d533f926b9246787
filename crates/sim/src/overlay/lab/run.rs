//! Runs a scenario.

use super::measure::{Published, Quantiles, spreading};
use super::pulse::Pulse;
use super::report::{Answers, Report};
use super::scenario::{
    Ask, Attack, Churn, Conduct, Eclipse, How, Kill, Publish, Scenario, Step, Who,
};
use super::sessions::Sessions;
use super::values::{Copies, Nodes, Time, Way};
use crate::node::NodeIndex;
use crate::overlay::net::{Conditions, Death, Net};
use crate::overlay::search::{Flooded, Library, PATIENCE, flood_one, name};
use crate::overlay::{Conduct as Does, FindId};
use althing_base::time::Duration;
use althing_base::{Instant, Rng, Seed};
use althing_overlay::io::Via;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How long after the one before a question is asked if nobody says otherwise.
const BETWEEN: Duration = Duration::from_millis(100);

/// How long strangers have who have joined.
const INTRUSION: Duration = Duration::from_secs(120);

/// How long after the one before those who gather around somebody try again.
const SIEGE: Duration = Duration::from_secs(10);

/// Runs a scenario. What is being done is told in a few words.
pub fn run(scenario: &Scenario, progress: &mut dyn FnMut(&str)) -> Report {
    run_watched(scenario, &Arc::default(), progress)
}

/// The same; how far it is can be seen meanwhile.
pub fn run_watched(
    scenario: &Scenario,
    pulse: &Arc<Pulse>,
    progress: &mut dyn FnMut(&str),
) -> Report {
    progress(&format!("{} nodes join", scenario.nodes.get()));
    let conditions = Conditions {
        loss: scenario.loss.get(),
        behind_nat: scenario.behind_nat.get(),
        supers: scenario.supers.get(),
        dht: scenario.via.contains(&Way::Dht),
        ..Conditions::default()
    };
    let nodes = scenario.nodes.get();
    let net = Net::watched(scenario.seed, nodes, conditions, Arc::clone(pulse));
    let is_asked = scenario.steps.iter().any(|step| matches!(step.get_ref(), Step::Ask(_)));
    let copies = if is_asked { scenario.copies(nodes) } else { Vec::new() };
    let library = if is_asked {
        progress("they tell each other what they have");
        Library::new(net, scenario.seed, &copies)
    } else {
        Library::empty(net, scenario.seed)
    };
    let mut run = Run {
        scenario,
        is_asked,
        library,
        report: Report::new(scenario),
        published: Vec::new(),
        churn: None,
        rng: Rng::new(Seed::from_u64(scenario.seed).fork("lab", 0)),
    };
    for (number, step) in scenario.steps.iter().enumerate() {
        let what = run.step(number, step.get_ref());
        progress(&what);
    }
    run.finish()
}

struct Run<'a> {
    scenario: &'a Scenario,
    is_asked: bool,
    library: Library,
    report: Report,
    published: Vec<(String, Vec<Published>)>,
    churn: Option<Leaving>,
    rng: Rng,
}

/// Who goes when.
struct Leaving {
    sessions: Sessions,
    silent: f64,
    due: BTreeSet<(Instant, NodeIndex)>,
}

/// Questions for things of one number of copies, in one way.
struct Cell {
    item: Copies,
    way: Way,
    finds: Vec<FindId>,
    floods: Vec<Flooded>,
    load: Vec<u64>,
}

impl Run<'_> {
    /// Something happens. Says what has.
    fn step(&mut self, number: usize, step: &Step) -> String {
        let net = &mut self.library.net;
        match step {
            Step::Ask(ask) => self.ask(number, ask),
            Step::Publish(publish) => self.publish(number, publish),
            Step::Wait(time) => {
                self.pass(time.get());
                format!("{:.0} s have passed", time.get().as_secs_f64())
            }
            Step::Kill(kill) => self.kill(kill),
            Step::Split(_) => {
                net.split(true);
                "the network is split".to_owned()
            }
            Step::Mend(_) => {
                net.split(false);
                "the network is mended".to_owned()
            }
            Step::Churn(churn) => self.begin_churn(churn),
            Step::Grow(grow) => {
                let before = net.honest();
                let more = grow.to.get().saturating_sub(before.len());
                net.grow_by(more);
                let after = net.honest();
                let new: Vec<_> =
                    after.into_iter().filter(|at| before.binary_search(at).is_err()).collect();
                self.report.grown_to = grow.to.get();
                if self.is_asked {
                    self.library.put(&self.scenario.copies(grow.to.get()), &new);
                }
                format!("{} nodes have joined", new.len())
            }
            Step::Attack(attack) => self.attack(attack),
            Step::Eclipse(eclipse) => self.eclipse(eclipse),
        }
    }

    /// Time passes, and whoever goes meanwhile goes.
    fn pass(&mut self, time: Duration) {
        let until = self.library.net.now() + time;
        while let Some(churn) = &mut self.churn
            && let Some((at, gone)) = churn.due.first().copied()
            && at <= until
        {
            churn.due.pop_first();
            let death = if self.rng.chance(churn.silent) { Death::Silent } else { Death::Closed };
            let stays = churn.sessions.whole(&mut self.rng);
            let net = &mut self.library.net;
            net.run(at.since(net.now()));
            net.kill_these(&[gone], death);
            let new = net.join();
            churn.due.insert((at + stays, new));
            if self.is_asked {
                self.library.inherit(gone, new);
            }
        }
        let net = &mut self.library.net;
        net.run(until.since(net.now()));
    }

    fn ask(&mut self, number: usize, ask: &Ask) -> String {
        let label = ask.label.clone().unwrap_or_else(|| format!("step {}", number + 1));
        let items = ask.items.as_ref().unwrap_or(&self.scenario.items);
        let questions = ask.questions.unwrap_or(self.scenario.questions).get();
        let between = ask.over.map_or(BETWEEN, |over| over.get() / questions as u32);
        let ways = &self.scenario.via;
        let begun = self.library.net.now();
        let nodes = self.library.net.honest().len();
        self.tell_load(&label);
        let graph = if ways.contains(&Way::Flood) { self.library.net.graph() } else { Vec::new() };
        self.library.net.forget_load();
        let mut cells = Vec::new();
        for item in items {
            for way in ways {
                let load = if *way == Way::Flood { vec![0; graph.len()] } else { Vec::new() };
                let (finds, floods) = (Vec::new(), Vec::new());
                cells.push(Cell { item: *item, way: *way, finds, floods, load });
            }
        }
        for _ in 0..questions {
            let alive = self.library.net.honest();
            let mut number = 0;
            for item in items {
                let copies = item.of(self.scenario_nodes());
                let question = self.library.question(copies, &alive);
                for _ in ways {
                    if let Some((by, which)) = question {
                        self.ask_one(&mut cells[number], number, (by, copies, which), &graph);
                    }
                    number += 1;
                }
            }
            self.pass(between);
        }
        self.pass(PATIENCE);
        for (kind, cell) in cells.iter().enumerate() {
            let answers = self.answers(&label, begun, nodes, kind, cell);
            self.report.answers.push(answers);
        }
        format!("{questions} questions of each kind have been asked: {label}")
    }

    /// How many lean on those who index for others.
    fn tell_load(&mut self, label: &str) {
        let net = &self.library.net;
        let supers = net.supers();
        let served = || supers.iter().filter_map(|at| net.stats(*at).map(|s| s.views.serving));
        let (sum, most) = (served().sum::<usize>(), served().max());
        let leans = |at: &NodeIndex| net.stats(*at).is_some_and(|s| s.views.leaning > 0);
        let honest = net.honest();
        let alone = honest.iter().filter(|at| supers.binary_search(at).is_err() && !leans(at));
        let alone = alone.count();
        if let Some(most) = most {
            let usual = sum as f64 / supers.len() as f64;
            let what =
                format!("{label}: who leans on the busiest super-peer, and on one on average");
            self.report.fact(&what, format!("{most}, {usual:.0}"));
            self.report.fact(&format!("{label}: nodes that lean on nobody"), alone.to_string());
        }
    }

    /// Of how many nodes items are parts: as many as there were or have been grown to.
    fn scenario_nodes(&self) -> usize {
        self.report.grown_to
    }

    fn ask_one(
        &mut self,
        cell: &mut Cell,
        kind: usize,
        (by, copies, which): (NodeIndex, usize, usize),
        graph: &[Vec<(NodeIndex, Duration)>],
    ) {
        let via = match cell.way {
            Way::Flood => {
                let holders = self.library.holders(copies, which);
                // Whoever has come since is in no link of it.
                if by.index() < graph.len() {
                    cell.floods.push(flood_one(graph, by, holders, &mut cell.load));
                }
                return;
            }
            Way::Walk => Via::Walk,
            Way::Super => Via::Super,
            Way::Auto => Via::Auto,
            Way::Dht => Via::Dht,
        };
        let wanted = self.scenario.wanted.get() as u8;
        let net = &mut self.library.net;
        net.begin_kind(kind);
        cell.finds.push(net.find(by, &name(copies, which), wanted, via));
    }

    fn answers(
        &self,
        label: &str,
        begun: Instant,
        nodes: usize,
        kind: usize,
        cell: &Cell,
    ) -> Answers {
        let net = &self.library.net;
        let ms = |took: Duration| (took.as_secs_f64() * 1e6).round() / 1e3;
        let mut found = 0;
        let mut wrong = 0u64;
        let (mut messages, mut bytes) = (Vec::new(), Vec::new());
        let (mut hops, mut latency) = (Vec::new(), Vec::new());
        for flooded in &cell.floods {
            messages.push(flooded.messages as f64);
            bytes.push(flooded.bytes as f64);
            hops.extend(flooded.links.map(f64::from));
            latency.extend(flooded.took.map(ms));
            found += usize::from(flooded.took.is_some());
        }
        for id in &cell.finds {
            let find = net.found(*id);
            if net.stats(find.by).is_none() {
                // Who has gone meanwhile waits for nothing.
                continue;
            }
            messages.push(find.messages as f64);
            bytes.push(find.bytes as f64);
            wrong += u64::from(find.wrong);
            if let Some(took) = find.took() {
                found += 1;
                hops.extend(find.crossed().map(f64::from));
                latency.push(ms(took));
            }
        }
        let questions = messages.len();
        let of = questions.max(1) as f64;
        let busiest = match cell.way {
            Way::Flood => cell.load.iter().max().copied().unwrap_or(0),
            _ => net.busiest(kind),
        };
        Answers {
            label: label.to_owned(),
            at_s: begun.as_nanos() as f64 / 1e9,
            nodes,
            item: cell.item.to_string(),
            via: cell.way,
            questions,
            found: found as f64 / of,
            wrong: wrong as f64 / of,
            messages: Quantiles::of(messages),
            bytes: Quantiles::of(bytes),
            hops: Quantiles::of(hops),
            latency_ms: Quantiles::of(latency),
            busiest: busiest as f64 / of,
        }
    }

    /// Somebody publishes; who is there now is who it is for.
    fn publish_one(&mut self) -> Option<Published> {
        let nodes = self.library.net.honest();
        let by = *self.rng.choose(&nodes)?;
        let id = self.library.net.publish(by);
        Some(Published { id, nodes, copies: None })
    }

    fn publish(&mut self, number: usize, publish: &Publish) -> String {
        let label = publish.label.clone().unwrap_or_else(|| format!("step {}", number + 1));
        let mut some = Vec::new();
        for _ in 0..publish.records.get() {
            some.extend(self.publish_one());
            self.pass(publish.every.get());
        }
        for one in &mut some {
            one.copies = Some(self.library.net.news(one.id).copies);
        }
        let what = format!("{} records have been published: {label}", some.len());
        self.published.push((label, some));
        what
    }

    fn kill(&mut self, kill: &Kill) -> String {
        let under_way = kill.under_way.map(Time::get);
        let published = under_way.and_then(|time| {
            let published = self.publish_one();
            self.pass(time);
            published
        });
        let net = &mut self.library.net;
        let mut some = match kill.who {
            Who::Anybody => net.honest(),
            Who::Supers => net.supers(),
        };
        self.rng.shuffle(&mut some);
        some.truncate(kill.part.of(some.len()));
        let death = match kill.how {
            How::Closed => Death::Closed,
            How::Silent => Death::Silent,
        };
        net.kill_these(&some, death);
        let what = format!("{} nodes have died", some.len());
        if let Some(published) = published {
            let how = if death == Death::Silent { "silently" } else { "at once" };
            let label = format!("under way when {} died {how}", kill.part);
            let mut nodes = published.nodes;
            nodes.retain(|at| net.died(*at).is_none());
            self.published.push((label, vec![Published { nodes, ..published }]));
        }
        what
    }

    fn begin_churn(&mut self, churn: &Churn) -> String {
        let sessions = Sessions { shape: churn.shape.get(), scale: churn.scale.get() };
        let now = self.library.net.now();
        let due = self.library.net.honest().into_iter();
        let due = due.map(|at| (now + sessions.rest(&mut self.rng), at)).collect();
        self.churn = Some(Leaving { sessions, silent: churn.silent.get(), due });
        "nodes come and go".to_owned()
    }

    /// Strangers join.
    fn intrude(&mut self, count: usize, does: Does, networks: Option<Nodes>) -> Vec<NodeIndex> {
        let net = &mut self.library.net;
        let networks = networks.map(|count| net.networks(count.get()));
        let mut strangers = Vec::with_capacity(count);
        while strangers.len() < count {
            // As many at a time as join a network that grows.
            for _ in 0..(count - strangers.len()).min(count.div_ceil(20)) {
                strangers.push(net.intrude(does, networks.as_deref()));
            }
            net.run(Duration::from_secs(1));
        }
        strangers
    }

    fn attack(&mut self, attack: &Attack) -> String {
        let does = match attack.conduct {
            Conduct::Swallow => Does::Swallow,
            Conduct::Hush => Does::Hush,
            Conduct::Poison => Does::Poison,
        };
        let strangers = self.intrude(attack.count.get(), does, attack.networks);
        if does == Does::Poison {
            strangers.iter().for_each(|at| self.library.forge(*at));
        }
        self.pass(INTRUSION);
        let part = self.strangers_linked();
        self.report.fact("links of honest nodes that lead to strangers", format!("{part:.1} %"));
        format!("{} strangers have joined", strangers.len())
    }

    /// Percent of the links of honest nodes that lead to others.
    fn strangers_linked(&self) -> f64 {
        let net = &self.library.net;
        let (mut all, mut strangers) = (0u64, 0u64);
        let graph = net.graph();
        for at in net.honest() {
            all += graph[at.index()].len() as u64;
            let strange = graph[at.index()].iter().filter(|(to, _)| !net.is_honest(*to));
            strangers += strange.count() as u64;
        }
        100.0 * strangers as f64 / all.max(1) as f64
    }

    fn eclipse(&mut self, eclipse: &Eclipse) -> String {
        let honest = self.library.net.honest();
        let Some(victim) = self.rng.choose(&honest).copied() else {
            return "nobody is left to gather around".to_owned();
        };
        let strangers = self.intrude(eclipse.attackers.get(), Does::Hush, eclipse.networks);
        let mut passed = Duration::ZERO;
        while passed < eclipse.time.get() {
            strangers.iter().for_each(|at| self.library.net.point(*at, victim));
            self.pass(SIEGE);
            passed += SIEGE;
        }
        let net = &self.library.net;
        let linked = net.linked(victim);
        let strange = linked.iter().filter(|at| !net.is_honest(**at)).count();
        self.report.fact("links of the one who is besieged", linked.len().to_string());
        self.report.fact("of them to strangers", strange.to_string());
        let mut came = 0;
        let mut some = Vec::new();
        for _ in 0..eclipse.records.get() {
            strangers.iter().for_each(|at| self.library.net.point(*at, victim));
            if let Some(published) = self.publish_one() {
                self.pass(SIEGE);
                let took = self.library.net.news(published.id).took(victim);
                came += usize::from(took.is_some());
                some.push(published);
            }
        }
        let came = format!("{came} of {}", some.len());
        self.report.fact("records that came to the one who is besieged", came);
        self.published.push(("during the siege".to_owned(), some));
        format!("{} strangers have gathered around one node", strangers.len())
    }

    fn finish(mut self) -> Report {
        let net = &self.library.net;
        let living = net.honest();
        for (label, some) in &self.published {
            self.report.spreading.push(spreading(label, net, some, &living));
        }
        self.report.end(net);
        self.report
    }
}
