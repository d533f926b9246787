//! A set of items in order, of which any range's fingerprint is known without looking at each of its
//! items.
//!
//! Items stand in blocks of a few hundred, and each block knows the sum of its names. To add or remove one
//! is to change one block; the fingerprint of a range is the sum of whole blocks and of the items at its
//! ends. For 65,536 items that are some 400 blocks: a microsecond or two, where a sum over all would take
//! hundreds.

use althing_base::hash::sha256;

/// Items in a block; one with more is cut in two, and two with less than half of it together are joined.
const BLOCK_ITEMS_MAX: usize = 256;

/// Items at the end of a block among which one is looked for first.
const LATEST: usize = 16;

/// Something that is held: when it was made, and its name, which is a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    /// When it was made, in any unit. Less than [`u64::MAX`], which stands for the end of all.
    pub time: u64,
    /// Its name.
    pub id: [u8; 32],
}

/// What tells two sets apart: 16 bytes of a hash of the sum of the names and their number.
pub type Fingerprint = [u8; 16];

/// The sum of names as numbers of 256 bits, little-endian, without what is carried beyond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum([u64; 4]);

impl Sum {
    fn of(id: &[u8; 32]) -> Self {
        let (words, _) = id.as_chunks::<8>();
        Sum(std::array::from_fn(|at| u64::from_le_bytes(words[at])))
    }

    fn add(&mut self, other: Sum) {
        let mut carry = false;
        for (word, other) in self.0.iter_mut().zip(other.0) {
            let (sum, over) = word.overflowing_add(other);
            let (sum, over_too) = sum.overflowing_add(carry.into());
            (*word, carry) = (sum, over || over_too);
        }
    }

    fn subtract(&mut self, other: Sum) {
        let mut borrow = false;
        for (word, other) in self.0.iter_mut().zip(other.0) {
            let (rest, under) = word.overflowing_sub(other);
            let (rest, under_too) = rest.overflowing_sub(borrow.into());
            (*word, borrow) = (rest, under || under_too);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Block {
    items: Vec<Item>,
    sum: Sum,
}

impl Block {
    fn of(items: Vec<Item>) -> Self {
        let mut sum = Sum::default();
        for item in &items {
            sum.add(Sum::of(&item.id));
        }
        Block { items, sum }
    }

    /// Where an item is, or belongs. Most that come are among the newest, at the end.
    fn find(&self, item: &Item) -> Result<usize, usize> {
        let older = self.items.len().saturating_sub(LATEST);
        match self.items.get(older) {
            Some(first) if first <= item => {
                let place = self.items[older..].binary_search(item);
                place.map(|at| older + at).map_err(|at| older + at)
            }
            _ => self.items.binary_search(item),
        }
    }
}

/// See the module. No item is in it twice.
#[derive(Clone, Debug, Default)]
pub struct Set {
    /// In order, none of them empty.
    blocks: Vec<Block>,
    len: usize,
}

impl Set {
    /// An empty set.
    pub fn new() -> Self {
        Set::default()
    }

    /// How many items are in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an item; false if it was there. Items of the time that stands for the end are not added.
    pub fn insert(&mut self, item: Item) -> bool {
        if item.time == u64::MAX {
            return false;
        }
        let at = self.block_of(&item);
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.push(Block::of(vec![item]));
            self.len += 1;
            return true;
        };
        let Err(place) = block.find(&item) else { return false };
        block.items.insert(place, item);
        block.sum.add(Sum::of(&item.id));
        self.len += 1;
        if block.items.len() > BLOCK_ITEMS_MAX {
            let upper = block.items.split_off(BLOCK_ITEMS_MAX / 2);
            let lower = std::mem::take(&mut block.items);
            *block = Block::of(lower);
            self.blocks.insert(at + 1, Block::of(upper));
        }
        true
    }

    /// Removes an item; false if it was not there.
    pub fn remove(&mut self, item: &Item) -> bool {
        let at = self.block_of(item);
        let Some(block) = self.blocks.get_mut(at) else { return false };
        let Ok(place) = block.find(item) else { return false };
        block.items.remove(place);
        block.sum.subtract(Sum::of(&item.id));
        self.len -= 1;
        let left = block.items.len();
        if left == 0 {
            self.blocks.remove(at);
        } else if let Some(next) = self.blocks.get(at + 1)
            && left + next.items.len() < BLOCK_ITEMS_MAX / 2
        {
            let next = self.blocks.remove(at + 1);
            let block = &mut self.blocks[at];
            block.items.extend(next.items);
            block.sum.add(next.sum);
        }
        true
    }

    /// Whether an item is in it.
    pub fn contains(&self, item: &Item) -> bool {
        let block = self.blocks.get(self.block_of(item));
        block.is_some_and(|block| block.items.binary_search(item).is_ok())
    }

    /// The block in which an item is, or belongs: the last that begins with it or before it, or the first.
    fn block_of(&self, item: &Item) -> usize {
        let last = self.blocks.last().and_then(|block| block.items.first());
        if last.is_some_and(|first| first <= item) {
            return self.blocks.len() - 1;
        }
        self.blocks.partition_point(|b| b.items.first().is_some_and(|first| first <= item)).max(1)
            - 1
    }

    /// How many items come before those for which `is_before` is false. As in
    /// [`slice::partition_point`] all for which it is true come first.
    pub(super) fn position(&self, is_before: impl Fn(&Item) -> bool) -> usize {
        let at =
            self.blocks.partition_point(|b| b.items.first().is_some_and(&is_before)).max(1) - 1;
        let whole: usize = self.blocks.iter().take(at).map(|block| block.items.len()).sum();
        whole + self.blocks.get(at).map_or(0, |block| block.items.partition_point(&is_before))
    }

    /// The item of an index.
    pub fn item(&self, index: usize) -> Option<&Item> {
        self.range(index, index.saturating_add(1)).flatten().next()
    }

    /// All items in order.
    pub fn iter(&self) -> impl Iterator<Item = &Item> {
        self.blocks.iter().flat_map(|block| &block.items)
    }

    /// The items of a range of indexes, as slices.
    pub(super) fn range(&self, from: usize, to: usize) -> impl Iterator<Item = &[Item]> {
        self.pieces(from, to).map(|(_, items)| items)
    }

    /// The fingerprint of a range of indexes.
    pub fn fingerprint(&self, from: usize, to: usize) -> Fingerprint {
        let (mut sum, mut count) = (Sum::default(), 0u64);
        for (block, items) in self.pieces(from, to) {
            count += items.len() as u64;
            if items.len() == block.items.len() {
                sum.add(block.sum);
            } else {
                items.iter().for_each(|item| sum.add(Sum::of(&item.id)));
            }
        }
        let mut bytes = Vec::with_capacity(42);
        bytes.extend(sum.0.iter().flat_map(|word| word.to_le_bytes()));
        super::message::write_number(&mut bytes, count);
        *sha256(&bytes).0.first_chunk().expect("a hash has 32 bytes")
    }

    /// The blocks that have something of a range, and what they have of it.
    fn pieces(&self, from: usize, to: usize) -> impl Iterator<Item = (&Block, &[Item])> {
        let mut start = 0;
        self.blocks.iter().filter_map(move |block| {
            let first = start;
            start += block.items.len();
            let low = from.clamp(first, start) - first;
            let high = to.clamp(first, start) - first;
            (low < high).then(|| (block, &block.items[low..high]))
        })
    }
}

impl PartialEq for Set {
    /// How the items stand in blocks does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Eq for Set {}

impl FromIterator<Item> for Set {
    fn from_iter<T: IntoIterator<Item = Item>>(items: T) -> Self {
        let mut set = Set::new();
        for item in items {
            set.insert(item);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::{Rng, Seed};
    use std::collections::BTreeSet;

    #[test]
    fn a_set_is_what_a_plain_one_is() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let (mut set, mut plain) = (Set::new(), BTreeSet::new());
        for round in 0..20_000u64 {
            let mut id = [0; 32];
            rng.fill(&mut id[..1]);
            // It grows to thousands and shrinks to nothing twice.
            let grows = (round / 5_000) % 2 == 0;
            let item = Item { time: rng.below(40), id };
            if rng.chance(if grows { 0.8 } else { 0.1 }) {
                assert_eq!(set.insert(item), plain.insert(item));
            } else if !grows && !plain.is_empty() {
                let item = *plain.iter().nth(rng.index(plain.len())).unwrap();
                assert!(set.contains(&item) && set.remove(&item) && plain.remove(&item));
            } else {
                assert_eq!(set.remove(&item), plain.remove(&item));
            }
            assert_eq!(set.len(), plain.len());
            if round % 1_000 == 0 {
                check(&set, &plain, &mut rng);
            }
        }
        check(&set, &plain, &mut rng);
    }

    fn check(set: &Set, plain: &BTreeSet<Item>, rng: &mut Rng) {
        assert!(set.iter().eq(plain));
        assert!(set.blocks.iter().all(|block| !block.items.is_empty()));
        let items: Vec<Item> = plain.iter().copied().collect();
        for _ in 0..50 {
            let to = rng.index(items.len() + 1);
            let from = rng.index(to + 1);
            let alone = Set { blocks: vec![Block::of(items[from..to].to_vec())], len: to - from };
            assert_eq!(set.fingerprint(from, to), alone.fingerprint(0, to - from));
            assert_eq!(set.item(from), items.get(from));
            let Some(item) = items.get(from) else { continue };
            assert_eq!(set.position(|other| other < item), from);
        }
        assert_eq!(set.position(|_| true), items.len());
    }

    #[test]
    fn sums_carry_and_borrow_over_all_words() {
        let mut sum = Sum::of(&[0xff; 32]);
        let mut one = [0; 32];
        one[0] = 1;
        sum.add(Sum::of(&one));
        assert_eq!(sum, Sum::default());
        sum.subtract(Sum::of(&one));
        assert_eq!(sum, Sum::of(&[0xff; 32]));
    }
}
