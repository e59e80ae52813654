//! Places of which there are so many, and of which one holder may have so many at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places.
#[derive(Clone)]
pub struct Shares(Arc<Places>);

struct Places {
    max: usize,
    each_max: usize,
    held: Mutex<HashMap<Vec<u8>, usize>>,
}

impl Shares {
    /// `max` places, `each_max` of them for one holder.
    #[must_use]
    pub fn new(max: usize, each_max: usize) -> Self {
        Self(Arc::new(Places { max, each_max, held: Mutex::default() }))
    }

    /// A place for this holder, until it is dropped; none when all are taken, or this holder has as many as it may.
    #[must_use]
    pub fn take(&self, holder: &[u8]) -> Option<Share> {
        let mut held = self.0.held();
        let all: usize = held.values().sum();
        let own = held.get(holder).copied().unwrap_or(0);
        if all >= self.0.max || own >= self.0.each_max {
            return None;
        }
        held.insert(holder.to_vec(), own + 1);
        Some(Share { places: Arc::clone(&self.0), holder: holder.to_vec() })
    }
}

impl Places {
    fn held(&self) -> MutexGuard<'_, HashMap<Vec<u8>, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken.
pub struct Share {
    places: Arc<Places>,
    holder: Vec<u8>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.places.held();
        if let Some(own) = held.get_mut(&self.holder) {
            *own -= 1;
            if *own == 0 {
                held.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_leaves_places_for_others() {
        let shares = Shares::new(3, 2);
        let (first, second) = (shares.take(b"a"), shares.take(b"a"));
        assert!(first.is_some() && second.is_some() && shares.take(b"a").is_none());
        let other = shares.take(b"b");
        assert!(other.is_some() && shares.take(b"c").is_none(), "all are taken");
        drop(first);
        assert!(shares.take(b"c").is_some(), "and free again at once");
        drop((second, other));
        assert!(shares.0.held().is_empty());
    }
}
