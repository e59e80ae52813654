//! Proof of a number the other way: the page shows a word, its reader texts it to the reporting number, and the carrier
//! forwards it with the number that it came from. What is kept meanwhile is a keyed name, for ten minutes.

use super::accept::Intake;
use crate::crypto::key_ring::KeyRing;
use crate::domain::mo_syntax::PROOF_WORD;
use crate::domain::msisdn::Msisdn;
use crate::fast::NotReached;

/// Stands for an SMS that came.
const CAME: &[u8] = &[1];

/// What the reader of the form `token` has to text, such as `XN 482913`.
#[must_use]
pub fn words_of(keys: &KeyRing, token: &str) -> String {
    let number = u32::from_be_bytes(keys.citizen_tag("by sms, code", &[token.as_bytes()])) % 1_000_000;
    format!("{PROOF_WORD} {number:06}")
}

impl Intake {
    /// Remembers that these words came from this number; false when that cannot be kept.
    pub async fn remember_words(&self, reporter: Msisdn, words: &str) -> bool {
        self.fast.put_question(&self.words_key(reporter, words), CAME.to_vec()).await
    }

    /// Whether they came.
    ///
    /// # Errors
    /// When that cannot be looked up.
    pub async fn find_word_of(&self, reporter: Msisdn, words: &str) -> Result<bool, NotReached> {
        Ok(self.fast.find_question(&self.words_key(reporter, words)).await?.is_some_and(|value| value == CAME))
    }

    fn words_key(&self, reporter: Msisdn, words: &str) -> [u8; 16] {
        self.keys.citizen_tag("by sms", &[&self.keys.reporter_tag(reporter), words.as_bytes()])
    }
}
