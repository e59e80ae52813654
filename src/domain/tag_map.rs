//! Tables whose keys are parts of MACs: no caller can choose them, so they need no second hash and make no attack by
//! collision.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Takes the key as its own hash.
#[derive(Default)]
pub struct TagHasher(u64);

impl Hasher for TagHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
    fn write_u128(&mut self, value: u128) {
        // Both halves, because an id's version and variant bits are the same in all.
        self.0 = fold(value);
    }
}

/// Both halves, as one.
#[must_use]
pub const fn fold(value: u128) -> u64 {
    (value >> 64) as u64 ^ value as u64
}

/// A table whose keys are parts of MACs.
pub type TagMap<K, V> = HashMap<K, V, BuildHasherDefault<TagHasher>>;

/// Where a tag stands among others: in the order of its bytes, but for tags whose first 8 are the same.
#[must_use]
pub fn place_among(tag: &[u8]) -> u64 {
    tag.first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}
