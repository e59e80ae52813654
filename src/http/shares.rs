//! Places of which there are so many, and of which one holder may have so many at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A holder, and how many places it may have.
pub type Holding = (Vec<u8>, usize);

/// The places.
#[derive(Clone)]
pub struct Shares(Arc<Places>);

struct Places {
    max: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    all: usize,
    by_holder: HashMap<Vec<u8>, usize>,
}

impl Shares {
    /// So many places.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Places { max, held: Mutex::default() }))
    }

    /// One place for all of these holders, until it is dropped; none when all are taken, or one of the holders has as many
    /// as it may.
    #[must_use]
    pub fn take(&self, holders: &[Holding]) -> Option<Share> {
        let mut held = self.0.held();
        let is_full = |(holder, max): &Holding| held.by_holder.get(holder).is_some_and(|own| own >= max);
        if held.all >= self.0.max || holders.iter().any(is_full) {
            return None;
        }
        held.all += 1;
        for (holder, _) in holders {
            *held.by_holder.entry(holder.clone()).or_insert(0) += 1;
        }
        let holders = holders.iter().map(|(holder, _)| holder.clone()).collect();
        Some(Share { places: Arc::clone(&self.0), holders })
    }
}

impl Places {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken.
pub struct Share {
    places: Arc<Places>,
    holders: Vec<Vec<u8>>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.places.held();
        held.all -= 1;
        for holder in &self.holders {
            if let Some(own) = held.by_holder.get_mut(holder) {
                *own -= 1;
                if *own == 0 {
                    held.by_holder.remove(holder);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_leaves_places_for_others() {
        let shares = Shares::new(4);
        let of = |customer: &[u8], site: &[u8]| shares.take(&[(customer.to_vec(), 2), (site.to_vec(), 3)]);
        let (first, second) = (of(b"a", b"A"), of(b"a", b"A"));
        assert!(first.is_some() && second.is_some() && of(b"a", b"A").is_none());
        let neighbour = of(b"b", b"A");
        assert!(neighbour.is_some() && of(b"c", b"A").is_none(), "the site is full");
        let other = of(b"d", b"D");
        assert!(other.is_some() && of(b"e", b"E").is_none(), "all are taken");
        drop(first);
        let again = of(b"c", b"A");
        assert!(again.is_some() && of(b"e", b"E").is_none());
        drop((again, second, neighbour, other));
        assert!(shares.0.held().by_holder.is_empty());
    }
}
