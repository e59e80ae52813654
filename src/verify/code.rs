//! Codes, and how they stand in the fast state.
//!
//! An entry is salt (16 bytes), proof (32), the end of its life (8, microseconds since 1970, big end first), and what an
//! operator that made the code calls it. The proof is a MAC over all of that, over what the code is good for, and over the
//! code: who has Redis and not our keys learns no code and makes none, and a million guesses take our key.

use crate::crypto::key_ring::KeyRing;
use crate::domain::clock::Moment;
use crate::fast::codes::SALT_BYTES;

/// Digits of a code.
const CODE_DIGITS: usize = 6;
const CODES: u32 = 1_000_000;
/// The largest multiple of [`CODES`] that a `u32` holds; from here on a draw would prefer small codes.
const DRAWS: u32 = u32::MAX - u32::MAX % CODES;
/// How often one draws again, at most; each time 1 in 4,000 is thrown away.
const DRAWS_MAX: u32 = 16;
const PROOF_BYTES: usize = 32;
const END_BYTES: usize = 8;

/// The system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRandom;

/// A six-digit code, each as likely.
///
/// # Errors
/// [`NoRandom`].
pub fn draw() -> Result<String, NoRandom> {
    for _ in 0..DRAWS_MAX {
        let drawn = u32::from_be_bytes(random()?);
        if drawn < DRAWS {
            return Ok(format!("{:0CODE_DIGITS$}", drawn % CODES));
        }
    }
    Err(NoRandom)
}

/// Random bytes.
///
/// # Errors
/// [`NoRandom`].
pub fn random<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

/// A code as people type it: digits of other scripts are left to them, spaces and hyphens between digits are not.
pub fn typed(code: &str) -> String {
    code.chars().filter(|character| !character.is_whitespace() && *character != '-').collect()
}

/// What proves the number.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// A code of ours.
    Code(&'a str),
    /// The operator's word for the code that it calls so.
    Operator(&'a str),
}

/// What is kept of a code. `key` names what it is good for, and whose it is.
pub struct Entry {
    /// Tells it from the one before and the one after.
    pub salt: [u8; SALT_BYTES],
    proof: [u8; PROOF_BYTES],
    good_until: Moment,
    /// What the operator calls it; empty when the code is ours.
    pub operator_id: String,
}

impl Entry {
    /// The entry of a new code.
    ///
    /// # Errors
    /// [`NoRandom`].
    pub fn new(ring: &KeyRing, key: &[u8; 16], good_until: Moment, secret: Secret<'_>) -> Result<Self, NoRandom> {
        let operator_id = match secret {
            Secret::Code(_) => String::new(),
            Secret::Operator(id) => id.to_owned(),
        };
        let mut entry = Self { salt: random()?, proof: [0; PROOF_BYTES], good_until, operator_id };
        entry.proof = entry.prove(ring, key, secret);
        Ok(entry)
    }

    fn prove(&self, ring: &KeyRing, key: &[u8; 16], secret: Secret<'_>) -> [u8; PROOF_BYTES] {
        let (kind, text): (&[u8], &str) = match secret {
            Secret::Code(code) => (b"code", code),
            Secret::Operator(id) => (b"operator", id),
        };
        let end = self.good_until.0.to_be_bytes();
        ring.code_tag(&[b"proof", key, &self.salt, &end, self.operator_id.as_bytes(), kind, text.as_bytes()])
    }

    /// Whether it was made for this.
    pub fn is_proven_by(&self, ring: &KeyRing, key: &[u8; 16], secret: Secret<'_>) -> bool {
        self.prove(ring, key, secret) == self.proof
    }

    /// Whether it still is good.
    pub fn is_good_at(&self, now: Moment) -> bool {
        now < self.good_until
    }

    /// As it is kept.
    pub fn encode(&self) -> Vec<u8> {
        [&self.salt[..], &self.proof, &self.good_until.0.to_be_bytes(), self.operator_id.as_bytes()].concat()
    }

    /// Reads what is kept; none when it is nothing of ours.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (salt, rest) = bytes.split_first_chunk::<SALT_BYTES>()?;
        let (proof, rest) = rest.split_first_chunk::<PROOF_BYTES>()?;
        let (end, id) = rest.split_first_chunk::<END_BYTES>()?;
        Some(Self {
            salt: *salt,
            proof: *proof,
            good_until: Moment(i64::from_be_bytes(*end)),
            operator_id: String::from_utf8(id.to_vec()).ok()?,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::crypto::mac::Secret as Root;

    fn ring() -> KeyRing {
        KeyRing::new(&Root::new([1; 32]), 1, &Root::new([2; 32]))
    }

    #[test]
    fn codes_have_six_digits_and_no_end_of_the_range_is_left_out() {
        let mut first_digits = [0_u32; 10];
        for _ in 0..10_000 {
            let code = draw().unwrap();
            assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
            let place = usize::from(code.as_bytes().first().unwrap() - b'0');
            *first_digits.get_mut(place).unwrap() += 1;
        }
        // A thousand each; nine standard deviations.
        assert!(first_digits.iter().all(|count| (730..1_270).contains(count)), "{first_digits:?}");
        assert_eq!(DRAWS % CODES, 0);
    }

    #[test]
    fn an_entry_proves_its_own_code_for_its_own_purpose_alone() {
        let (ring, key, end) = (ring(), [7; 16], Moment(1_000));
        let entry = Entry::new(&ring, &key, end, Secret::Code("012345")).unwrap();
        let read = Entry::decode(&entry.encode()).unwrap();
        assert!(read.is_proven_by(&ring, &key, Secret::Code("012345")));
        assert!(!read.is_proven_by(&ring, &key, Secret::Code("012346")));
        assert!(!read.is_proven_by(&ring, &[8; 16], Secret::Code("012345")));
        assert!(!read.is_proven_by(&ring, &key, Secret::Operator("012345")));
        assert!(read.is_good_at(Moment(999)) && !read.is_good_at(Moment(1_000)));
        // Who writes another end into it breaks the proof.
        let mut later = entry.encode();
        *later.get_mut(SALT_BYTES + PROOF_BYTES).unwrap() ^= 1;
        assert!(!Entry::decode(&later).unwrap().is_proven_by(&ring, &key, Secret::Code("012345")));
        assert!(Entry::decode(b"short").is_none());
    }

    #[test]
    fn an_entry_has_no_code_in_it() {
        let entry = Entry::new(&ring(), &[7; 16], Moment(1), Secret::Code("012345")).unwrap().encode();
        assert!(!entry.windows(6).any(|window| window == b"012345"));
        assert_eq!(typed(" 012 3-45\n"), "012345");
    }
}
