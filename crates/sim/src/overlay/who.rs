//! Who is there, who has a link to whom, and who is left when some die.

use super::conduct::Conduct;
use super::net::{Death, End, Net};
use crate::node::NodeIndex;
use althing_base::Instant;
use althing_base::time::Duration;
use althing_overlay::io::Input;

impl Net {
    /// Those that are alive.
    pub fn alive(&self) -> Vec<NodeIndex> {
        let all = self.hosts.iter().zip(0..);
        all.filter(|(host, _)| host.machine.is_some()).map(|(_, at)| NodeIndex(at)).collect()
    }

    /// Those that are alive in one part of a network that is split, or was.
    pub fn part(&self, part: bool) -> Vec<NodeIndex> {
        self.alive().into_iter().filter(|at| self.hosts[at.index()].part == part).collect()
    }

    /// Somebody of some, by chance.
    pub fn any_of(&mut self, some: &[NodeIndex]) -> NodeIndex {
        *self.rng.choose(some).expect("there is somebody")
    }

    /// Who has a link to whom, and how long what is said on it takes: for each node that is alive.
    pub fn graph(&self) -> Vec<Vec<(NodeIndex, Duration)>> {
        let mut graph = vec![Vec::new(); self.hosts.len()];
        for link in &self.links {
            let [one, two] = link.ends;
            let is_alive = |end: &End| self.hosts[end.host.index()].machine.is_some();
            if link.ends.iter().all(|end| end.is_open && is_alive(end)) {
                let latency = self.latency(one.host, two.host);
                graph[one.host.index()].push((two.host, latency));
                graph[two.host.index()].push((one.host, latency));
            }
        }
        graph
    }

    /// When somebody died, if he is dead.
    pub fn died(&self, at: NodeIndex) -> Option<Instant> {
        self.hosts[at.index()].died
    }

    /// A part of those who are alive dies at once; who was spared.
    pub fn kill(&mut self, part: f64, death: Death) -> Vec<NodeIndex> {
        let mut some = self.alive();
        self.rng.shuffle(&mut some);
        some.truncate((some.len() as f64 * part).round() as usize);
        self.kill_these(&some, death);
        self.alive()
    }

    /// Those who are alive and index for others.
    pub fn supers(&self) -> Vec<NodeIndex> {
        self.alive().into_iter().filter(|at| self.hosts[at.index()].is_super).collect()
    }

    /// Those who are alive and do as nodes do.
    pub fn honest(&self) -> Vec<NodeIndex> {
        let is_honest = |at: &NodeIndex| self.hosts[at.index()].conduct == Conduct::Honest;
        self.alive().into_iter().filter(is_honest).collect()
    }

    /// Somebody is told that there is somebody else.
    pub fn point(&mut self, at: NodeIndex, to: NodeIndex) {
        let addr = self.hosts[to.index()].addr;
        self.tell(at, Input::Contacts(vec![addr]));
    }

    /// Those to whom somebody has a link, be they neighbours or not.
    pub fn linked(&self, at: NodeIndex) -> Vec<NodeIndex> {
        let mut linked = Vec::new();
        for link in &self.links {
            let [one, two] = link.ends;
            let is_alive = |end: &End| self.hosts[end.host.index()].machine.is_some();
            if link.ends.iter().all(|end| end.is_open && is_alive(end)) {
                linked.extend((one.host == at).then_some(two.host));
                linked.extend((two.host == at).then_some(one.host));
            }
        }
        linked
    }

    /// Whether somebody does as nodes do.
    pub fn is_honest(&self, at: NodeIndex) -> bool {
        self.hosts[at.index()].conduct == Conduct::Honest
    }
}
