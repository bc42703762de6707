//! A set in the order of its elements.

use std::cmp::Ordering;

use smallvec::SmallVec;

/// A set of small elements in one vector, in their order. What floe keeps in order are a session's pairs and its open
/// transactions: at most a few thousand entries of some 20 bytes. At that size moving the tail of a vector costs less
/// than the nodes of a tree, one allocation holds everything, and the smallest and the largest are at its ends. A single
/// element needs none: sessions with one pair are many.
#[derive(Debug, Clone)]
pub(crate) struct Sorted<T>(SmallVec<[T; 1]>);

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<T: Ord> Sorted<T> {
    /// Adds an element; returns whether it is new.
    pub(crate) fn insert(&mut self, element: T) -> bool {
        match self.0.binary_search(&element) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, element);
                true
            }
        }
    }

    /// Takes an element out; returns whether it was there.
    pub(crate) fn remove(&mut self, element: &T) -> bool {
        let at = self.0.binary_search(element);
        at.map(|at| self.0.remove(at)).is_ok()
    }

    /// The element that is neither smaller nor larger than what is looked for: `order` says how an element compares to it.
    pub(crate) fn find(&self, order: impl FnMut(&T) -> Ordering) -> Option<&T> {
        self.0.binary_search_by(order).ok().map(|at| &self.0[at])
    }

    /// The elements from the first one on for which `is_at_least` holds, as it does for all after that.
    pub(crate) fn from(&self, is_at_least: impl Fn(&T) -> bool) -> std::slice::Iter<'_, T> {
        self.0[self.0.partition_point(|element| !is_at_least(element))..].iter()
    }

    /// The smallest element.
    pub(crate) fn first(&self) -> Option<&T> {
        self.0.first()
    }

    /// The largest element.
    pub(crate) fn last(&self) -> Option<&T> {
        self.0.last()
    }

    /// All elements, the smallest first.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives back what is allocated and not used, but room for so many.
    pub(crate) fn shrink_to(&mut self, room: usize) {
        let room = room.max(self.0.len());
        if self.0.capacity() > room.max(1) {
            let mut smaller = SmallVec::with_capacity(room);
            smaller.append(&mut self.0);
            self.0 = smaller;
        }
    }

    /// Takes all elements out.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_tree_would(steps in prop::collection::vec((any::<bool>(), 0u8..32), 0..200)) {
            let (mut sorted, mut tree) = (Sorted::default(), BTreeSet::new());
            for (inserts, element) in steps {
                if inserts {
                    prop_assert_eq!(sorted.insert(element), tree.insert(element));
                } else {
                    prop_assert_eq!(sorted.remove(&element), tree.remove(&element));
                }
                prop_assert!(sorted.iter().eq(tree.iter()));
                prop_assert_eq!((sorted.first(), sorted.last()), (tree.first(), tree.last()));
                prop_assert_eq!(sorted.is_empty(), tree.is_empty());
            }
        }
    }
}
