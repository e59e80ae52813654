//! Numbers that look random and are the same on every run and every machine.

/// What a random sequence is used for: two uses of one seed must not see the same numbers.
#[derive(Clone, Copy)]
pub enum Stream {
    /// One sender of the population, by its rank.
    Sender,
    /// One reporter of the population, by its place in the pool.
    Reporter,
    /// One report, by the number of its line.
    Report,
    /// The base time of a run.
    BaseTime,
}

impl Stream {
    const fn salt(self) -> u64 {
        match self {
            Self::Sender => 0x243f_6a88_85a3_08d3,
            Self::Reporter => 0x1319_8a2e_0370_7344,
            Self::Report => 0xa409_3822_299f_31d0,
            Self::BaseTime => 0x082e_fa98_ec4e_6c89,
        }
    }
}

/// A SplitMix64 sequence. It can start at any (seed, stream, index) at once, so a report does not depend on how many
/// were made before it or by which connection.
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence that belongs to one thing of one run.
    pub const fn new(seed: u64, stream: Stream, index: u64) -> Self {
        let mixed_seed = mix(seed ^ stream.salt());
        Self { state: mix(mixed_seed ^ index.wrapping_mul(GOLDEN_GAMMA)) }
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number from 0 up to, but not including, `limit`; 0 when `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        let scaled = (u128::from(self.next()) * u128::from(limit)) >> u64::BITS;
        u64::try_from(scaled).unwrap_or(0)
    }

    /// True in `percent` of 100 cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `items`; the default value only if there are none.
    pub fn pick<T: Copy + Default>(&mut self, items: &[T]) -> T {
        let place = usize::try_from(self.below(items.len() as u64)).unwrap_or(0);
        items.get(place).copied().unwrap_or_default()
    }
}

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(seed: u64, stream: Stream, index: u64) -> u64 {
        Random::new(seed, stream, index).next()
    }

    #[test]
    fn a_sequence_depends_on_seed_stream_and_index_and_on_nothing_else() {
        let base = first(1, Stream::Report, 1);
        assert_eq!(base, first(1, Stream::Report, 1));
        for other in [first(2, Stream::Report, 1), first(1, Stream::Report, 2), first(1, Stream::Sender, 1)] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn below_stays_below_and_reaches_every_value() {
        let mut random = Random::new(7, Stream::Report, 0);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            let value = random.below(10);
            if let Some(count) = usize::try_from(value).ok().and_then(|place| seen.get_mut(place)) {
                *count += 1;
            }
        }
        assert_eq!(seen.iter().sum::<u32>(), 10_000);
        assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }
}
