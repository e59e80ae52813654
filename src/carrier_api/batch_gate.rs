//! How many batches are taken at once: each holds memory and a part of the queue to the journal.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

/// Bounds on batches.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Reports in one.
    pub lines_max: usize,
    /// Bytes of one.
    pub bytes_max: usize,
    /// Batches at once.
    pub batches_max: usize,
    /// Batches of one carrier at once.
    pub per_carrier: usize,
}

#[derive(Default)]
struct Inside {
    all: usize,
    by_carrier: HashMap<Uuid, usize>,
}

/// Counts the batches that are being taken.
pub struct BatchGate {
    limits: BatchLimits,
    inside: Arc<Mutex<Inside>>,
}

/// A batch that was let in; leaves when dropped.
pub struct BatchPass {
    carrier: Uuid,
    inside: Arc<Mutex<Inside>>,
}

impl BatchGate {
    /// A gate nobody has passed.
    #[must_use]
    pub fn new(limits: BatchLimits) -> Self {
        Self { limits, inside: Arc::default() }
    }

    /// The bounds.
    #[must_use]
    pub const fn limits(&self) -> &BatchLimits {
        &self.limits
    }

    /// Lets a batch in, unless there are enough.
    #[must_use]
    pub fn enter(&self, carrier: Uuid) -> Option<BatchPass> {
        let mut inside = lock(&self.inside);
        let own = inside.by_carrier.get(&carrier).copied().unwrap_or_default();
        if inside.all >= self.limits.batches_max || own >= self.limits.per_carrier {
            return None;
        }
        inside.all += 1;
        inside.by_carrier.insert(carrier, own + 1);
        Some(BatchPass { carrier, inside: Arc::clone(&self.inside) })
    }
}

impl Drop for BatchPass {
    fn drop(&mut self) {
        let mut inside = lock(&self.inside);
        inside.all = inside.all.saturating_sub(1);
        if let Entry::Occupied(mut own) = inside.by_carrier.entry(self.carrier) {
            *own.get_mut() = own.get().saturating_sub(1);
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

fn lock(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_has_its_part_and_all_have_a_whole_and_leaving_makes_room() {
        let gate = BatchGate::new(BatchLimits { lines_max: 1, bytes_max: 1, batches_max: 3, per_carrier: 2 });
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = gate.enter(a);
        let second = gate.enter(a);
        assert!(first.is_some() && second.is_some());
        assert!(gate.enter(a).is_none(), "its part is used up");
        let third = gate.enter(b);
        assert!(third.is_some());
        assert!(gate.enter(b).is_none(), "the whole is used up");
        drop(first);
        assert!(gate.enter(a).is_some());
        drop((second, third));
        assert!(lock(&gate.inside).by_carrier.is_empty());
    }
}
