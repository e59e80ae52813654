//! Proof of a number the other way: the page shows a word, its reader texts it to the reporting number, and the carrier
//! forwards it with the number that it came from. What is kept meanwhile is a keyed name, for ten minutes.
//!
//! The word is no secret of its reader's: whoever has many forms for one number has many words, and one that its subscriber
//! texts might be among them. So it has ten digits. It belongs to one form, and a form is one report.

use super::accept::Intake;
use crate::crypto::key_ring::KeyRing;
use crate::domain::mo_syntax::{PROOF_DIGITS, PROOF_WORD};
use crate::domain::msisdn::Msisdn;
use crate::fast::NotReached;

/// Stands for an SMS that came.
const CAME: &[u8] = &[1];
/// What the reader of the form `token` has to text, such as `XN 4829135072`.
#[must_use]
pub fn words_of(keys: &KeyRing, token: &str) -> String {
    let number = u64::from_be_bytes(keys.citizen_tag("by sms, code", &[token.as_bytes()]));
    let digits = format!("{number:0PROOF_DIGITS$}");
    format!("{PROOF_WORD} {}", digits.get(digits.len() - PROOF_DIGITS..).unwrap_or_default())
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
    pub async fn find_words_of(&self, reporter: Msisdn, words: &str) -> Result<bool, NotReached> {
        Ok(self.fast.find_question(&self.words_key(reporter, words)).await?.is_some_and(|value| value == CAME))
    }

    fn words_key(&self, reporter: Msisdn, words: &str) -> [u8; 16] {
        self.keys.citizen_tag("by sms", &[&self.keys.reporter_tag(reporter), words.as_bytes()])
    }
}
