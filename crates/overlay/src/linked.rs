//! Things of which there is one for each link. The links' numbers stand apart, close together, for one is looked for with
//! every message.

use crate::io::LinkId;
use std::ops::{Deref, DerefMut};

/// See the module.
#[derive(Debug)]
pub(crate) struct Linked<T> {
    links: Vec<LinkId>,
    items: Vec<T>,
}

impl<T> Default for Linked<T> {
    fn default() -> Self {
        Linked { links: Vec::new(), items: Vec::new() }
    }
}

impl<T> Linked<T> {
    /// Where that of a link is.
    pub(crate) fn position(&self, link: LinkId) -> Option<usize> {
        self.links.iter().position(|other| *other == link)
    }

    /// That of a link that has none yet.
    pub(crate) fn push(&mut self, link: LinkId, item: T) {
        self.links.push(link);
        self.items.push(item);
    }

    /// Takes one out; the last takes its place.
    pub(crate) fn swap_remove(&mut self, at: usize) -> T {
        self.links.swap_remove(at);
        self.items.swap_remove(at)
    }
}

impl<T> Deref for Linked<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> DerefMut for Linked<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items
    }
}
