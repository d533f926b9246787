//! A compact index: the terms that somebody knows, and how they are told.
//!
//! Terms are numbers of 24 bits whatever the size of the set, so that sets can be joined and two of
//! them compared; a Bloom filter of a fixed size can be joined and not compared, one of a fitting size not
//! joined. In order, and as the Rice code of the steps between them, a thousand terms cost 15.6 bits each,
//! and a hundred thousand 9; what seems to be in the set and is not is one of 17,000, and of 170.

use super::limits::TERMS_PER_MESSAGE_MAX;
use super::words::Term;
use std::sync::Arc;

/// Terms in order, none twice. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TermSet(Option<Arc<[Term]>>);

impl std::fmt::Debug for TermSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} terms", self.len())
    }
}

impl FromIterator<Term> for TermSet {
    fn from_iter<I: IntoIterator<Item = Term>>(terms: I) -> Self {
        let mut terms: Vec<Term> = terms.into_iter().collect();
        terms.sort_unstable();
        terms.dedup();
        TermSet::sorted(terms)
    }
}

impl TermSet {
    fn sorted(terms: Vec<Term>) -> Self {
        TermSet((!terms.is_empty()).then(|| terms.into()))
    }

    /// The terms, in order.
    pub fn terms(&self) -> &[Term] {
        self.0.as_deref().unwrap_or_default()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.terms().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether all of some are in it.
    pub fn has_all(&self, terms: &[Term]) -> bool {
        let set = self.terms();
        !set.is_empty() && terms.iter().all(|term| set.binary_search(term).is_ok())
    }

    /// Those that are in one of two sets and not in the other: what has to be told, and what comes of it.
    pub fn toggled(&self, other: &TermSet) -> TermSet {
        if other.is_empty() {
            return self.clone();
        }
        if self.is_empty() {
            return other.clone();
        }
        if let (Some(one), Some(two)) = (&self.0, &other.0)
            && Arc::ptr_eq(one, two)
        {
            return TermSet::default();
        }
        let (mut one, mut two) = (self.terms(), other.terms());
        let mut all = Vec::with_capacity(one.len() + two.len());
        while let (Some((a, rest_a)), Some((b, rest_b))) = (one.split_first(), two.split_first()) {
            match a.cmp(b) {
                std::cmp::Ordering::Less => {
                    all.push(*a);
                    one = rest_a;
                }
                std::cmp::Ordering::Greater => {
                    all.push(*b);
                    two = rest_b;
                }
                std::cmp::Ordering::Equal => (one, two) = (rest_a, rest_b),
            }
        }
        all.extend_from_slice(one);
        all.extend_from_slice(two);
        TermSet::sorted(all)
    }

    /// All terms of some sets, the least `most` of them; and those that only one of the sets has.
    pub fn joined<'a>(sets: impl Iterator<Item = &'a TermSet>, most: usize) -> (TermSet, TermSet) {
        let mut all = Vec::new();
        sets.for_each(|set| all.extend_from_slice(set.terms()));
        all.sort_unstable();
        let once = all.chunk_by(|a, b| a == b).filter_map(|same| match same {
            [alone] => Some(*alone),
            _ => None,
        });
        let once = TermSet::sorted(once.collect());
        all.dedup();
        all.truncate(most);
        (TermSet::sorted(all), once)
    }

    /// Those that another set has, too.
    pub fn common(&self, other: &TermSet) -> TermSet {
        let has = other.terms();
        let common = self.terms().iter().filter(|term| has.binary_search(term).is_ok());
        TermSet::sorted(common.copied().collect())
    }

    /// Those that another set has not.
    pub fn without(&self, other: &TermSet) -> TermSet {
        if other.is_empty() {
            return self.clone();
        }
        let has = other.terms();
        let left = self.terms().iter().filter(|term| has.binary_search(term).is_err());
        TermSet::sorted(left.copied().collect())
    }

    /// In parts that fit a message each.
    pub fn parts(&self) -> impl Iterator<Item = TermSet> + '_ {
        let whole = self.len() <= TERMS_PER_MESSAGE_MAX;
        self.terms()
            .chunks(TERMS_PER_MESSAGE_MAX)
            .map(move |part| if whole { self.clone() } else { TermSet::sorted(part.to_vec()) })
    }

    /// How many bytes it is written in.
    pub fn encoded_len(&self) -> usize {
        let low = low_bits(self.len());
        let bits: u64 = self.steps().map(|step| u64::from(step >> low) + 1 + u64::from(low)).sum();
        2 + bits.div_ceil(8) as usize
    }

    /// How far it is from each term to the next, less one.
    fn steps(&self) -> impl Iterator<Item = u32> + '_ {
        let mut least = 0;
        self.terms().iter().map(move |term| {
            let step = term.number() - least;
            least = term.number() + 1;
            step
        })
    }

    /// Writes how many there are (2 bytes), and of each step as many ones as it has times 2 to the power
    /// of [`low_bits`], a zero, and the rest in that many bits; zeros fill the last byte.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let low = low_bits(self.len());
        // Sets that are longer than a message are cut into parts before.
        out.extend((self.len() as u16).to_be_bytes());
        let mut bits = Bits { out, free: 0 };
        for step in self.steps() {
            (0..step >> low).for_each(|_| bits.push(1, 1));
            bits.push(0, 1);
            bits.push(step, low);
        }
    }

    /// Reads what [`encode`](TermSet::encode) has written, and all of it; nothing else is read.
    pub(crate) fn parse(bytes: &[u8]) -> Option<TermSet> {
        let (count, rest) = bytes.split_first_chunk()?;
        let count = usize::from(u16::from_be_bytes(*count));
        if count == 0 || count > TERMS_PER_MESSAGE_MAX {
            return None;
        }
        let low = low_bits(count);
        let mut terms = Vec::with_capacity(count);
        let (mut at, mut least) = (0usize, 0u32);
        let bit = |at: usize| Some(u32::from(rest.get(at / 8)? >> (7 - at % 8) & 1));
        for _ in 0..count {
            let mut step = 0u32;
            while bit(at)? == 1 {
                at += 1;
                step += 1;
                if step >= Term::SPACE >> low {
                    return None;
                }
            }
            at += 1;
            for _ in 0..low {
                step = step << 1 | bit(at)?;
                at += 1;
            }
            let term = Term::new(least.checked_add(step)?)?;
            least = term.number() + 1;
            terms.push(term);
        }
        let is_rest_zero = (at..rest.len() * 8).all(|at| bit(at) == Some(0));
        (is_rest_zero && rest.len() == at.div_ceil(8)).then(|| TermSet::sorted(terms))
    }
}

/// Bits of a step that are written as they are: as many as the average step has.
fn low_bits(count: usize) -> u32 {
    let step = Term::SPACE / u32::try_from(count).unwrap_or(u32::MAX).max(1);
    step.max(1).ilog2()
}

struct Bits<'a> {
    out: &'a mut Vec<u8>,
    /// Of the last byte.
    free: u32,
}

impl Bits<'_> {
    fn push(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            if self.free == 0 {
                self.out.push(0);
                self.free = 8;
            }
            self.free -= 1;
            if let Some(last) = self.out.last_mut() {
                *last |= ((value >> bit & 1) as u8) << self.free;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(numbers: &[u32]) -> TermSet {
        numbers.iter().filter_map(|number| Term::new(*number)).collect()
    }

    #[test]
    fn the_code_is_the_one_that_is_written_down() {
        let mut bytes = Vec::new();
        // Two terms: a zero and 23 bits each.
        set(&[5, 0x40_0006]).encode(&mut bytes);
        assert_eq!(bytes, [0, 2, 0, 0, 5, 0x40, 0, 0]);
        assert_eq!(TermSet::parse(&bytes), Some(set(&[5, 0x40_0006])));
        assert_eq!(TermSet::parse(&[0, 0]), None);
        // One: a zero, 24 bits, and seven zeros that are left.
        assert_eq!(TermSet::parse(&[0, 1, 0, 0, 2, 0x80]), Some(set(&[5])));
        assert_eq!(TermSet::parse(&[0, 1, 0, 0, 2, 0x81]), None);
        assert_eq!(TermSet::parse(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(TermSet::parse(&bytes[..bytes.len() - 1]), None);
        assert_eq!(TermSet::parse(&[&[0xff, 0xff][..], &[0; 9_000]].concat()), None);
        assert_eq!(TermSet::parse(&[&[0, 1][..], &[0xff; 9_000]].concat()), None);
    }

    #[test]
    fn a_thousand_terms_are_two_bytes_each() {
        let terms = (0..1_000u32).map(|number| number.wrapping_mul(2_654_435_769) >> 8);
        let set: TermSet = terms.filter_map(Term::new).collect();
        assert_eq!(set.len(), 1_000);
        assert!(set.encoded_len() <= 2_000, "{}", set.encoded_len());
    }

    fn any_set() -> impl Strategy<Value = TermSet> {
        let near = proptest::collection::vec(0..200u32, 0..60);
        let far = proptest::collection::vec(0..Term::SPACE, 0..60);
        (near, far).prop_map(|(near, far)| set(&[near, far].concat()))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(set in any_set()) {
            let mut bytes = Vec::new();
            set.encode(&mut bytes);
            prop_assert_eq!(bytes.len(), set.encoded_len());
            let expected = (!set.is_empty()).then_some(set);
            prop_assert_eq!(TermSet::parse(&bytes), expected);
        }

        #[test]
        fn what_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..40), count in 1..9u8) {
            let bytes = [&[0, count][..], &bytes].concat();
            if let Some(set) = TermSet::parse(&bytes) {
                let mut again = Vec::new();
                set.encode(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }

        #[test]
        fn what_differs_leads_from_one_to_the_other(one in any_set(), two in any_set()) {
            let between = one.toggled(&two);
            prop_assert_eq!(one.toggled(&between), two.clone());
            prop_assert_eq!(two.toggled(&between), one.clone());
            let (all, once) = TermSet::joined([&one, &two].into_iter(), usize::MAX);
            prop_assert!(all.has_all(one.terms()) || one.is_empty());
            prop_assert_eq!(&once, &between);
            prop_assert_eq!(all.without(&once), one.common(&two));
            prop_assert_eq!(one.without(&two), one.common(&between));
        }
    }
}
