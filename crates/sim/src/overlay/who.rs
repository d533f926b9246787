//! Who is there, who has a link to whom, and who is left when some die.

use super::conduct::Conduct;
use super::ends::End;
use super::net::{Death, Net};
use crate::node::NodeIndex;
use althing_base::Instant;
use althing_base::time::Duration;
use althing_overlay::io::Input;

impl Net {
    /// Those that are alive.
    pub fn alive(&self) -> Vec<NodeIndex> {
        let all = self.common.is_alive.iter().zip(0..);
        all.filter(|(is_alive, _)| **is_alive).map(|(_, at)| NodeIndex(at)).collect()
    }

    /// Those that are alive in one part of a network that is split, or was.
    pub fn part(&self, part: bool) -> Vec<NodeIndex> {
        self.alive().into_iter().filter(|at| self.common.face(*at).part == part).collect()
    }

    /// Somebody of some, by chance.
    pub fn any_of(&mut self, some: &[NodeIndex]) -> NodeIndex {
        *self.rng.choose(some).expect("there is somebody")
    }

    /// Who has a link to whom, and how long what is said on it takes: for each node that is alive.
    pub fn graph(&self) -> Vec<Vec<(NodeIndex, Duration)>> {
        let nodes = (0..self.common.faces.len() as u32).map(NodeIndex);
        let with_latency = |at| {
            let linked = self.linked(at).into_iter();
            linked.map(|other| (other, self.common.latency(at, other))).collect()
        };
        nodes.map(with_latency).collect()
    }

    /// When somebody died, if he is dead.
    pub fn died(&self, at: NodeIndex) -> Option<Instant> {
        self.common.face(at).died
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
        self.alive().into_iter().filter(|at| self.common.face(*at).is_super).collect()
    }

    /// Those who are alive and do as nodes do.
    pub fn honest(&self) -> Vec<NodeIndex> {
        self.alive().into_iter().filter(|at| self.is_honest(*at)).collect()
    }

    /// Somebody is told that there is somebody else.
    pub fn point(&mut self, at: NodeIndex, to: NodeIndex) {
        let addr = self.common.face(to).addr;
        self.tell(at, Input::Contacts(vec![addr]));
    }

    /// Those to whom somebody who is alive has a link, be they neighbours or not.
    pub fn linked(&self, at: NodeIndex) -> Vec<NodeIndex> {
        if !self.common.is_alive[at.index()] {
            return Vec::new();
        }
        let ends = self.host(at).ends.iter();
        // Who has died or closed it and could not say so is not counted.
        let is_linked = |end: &&End| {
            let there = end.is_open && end.is_up && self.common.is_alive[end.peer.index()];
            there && self.host(end.peer).ends.iter().any(|other| other.meets(at, end))
        };
        ends.filter(is_linked).map(|end| end.peer).collect()
    }

    /// Whether somebody does as nodes do.
    pub fn is_honest(&self, at: NodeIndex) -> bool {
        self.common.face(at).conduct == Conduct::Honest
    }
}
