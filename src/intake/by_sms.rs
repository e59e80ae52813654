//! Proof of a number the other way: the page shows a word, its reader texts it to the reporting number, and the carrier
//! forwards it with the number that it came from. What is kept meanwhile is a keyed name, for ten minutes.
//!
//! The word is no secret of its reader's: whoever has many forms for one number has many words, and one that its subscriber
//! texts might be among them. So it has eight digits, is good once, and how often it is asked for is counted.

use super::accept::Intake;
use crate::crypto::key_ring::KeyRing;
use crate::domain::mo_syntax::{PROOF_DIGITS, PROOF_WORD};
use crate::domain::msisdn::Msisdn;
use crate::fast::NotReached;
use crate::fast::asked::QUESTION_TTL_S;

/// Stands for an SMS that came.
const CAME: &[u8] = &[1];
/// Stands for one whose form was sent.
const USED: &[u8] = &[2];

/// What is known of the words that a page shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WordsUse {
    /// They came, and are used by this.
    Now,
    /// They came, and were used.
    Before,
    /// They have not come.
    Missing,
}

/// What the reader of the form `token` has to text, such as `XN 48291350`.
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

    /// Uses the words up, if they came.
    ///
    /// # Errors
    /// When that cannot be looked up.
    pub async fn use_words_of(&self, reporter: Msisdn, words: &str) -> Result<WordsUse, NotReached> {
        let key = self.words_key(reporter, words);
        match self.fast.find_question(&key).await? {
            None => Ok(WordsUse::Missing),
            Some(value) if value == CAME => {
                let is_first = self.fast.replace_question(&key, CAME, USED.to_vec(), QUESTION_TTL_S).await?;
                Ok(if is_first { WordsUse::Now } else { WordsUse::Before })
            }
            Some(_) => Ok(WordsUse::Before),
        }
    }

    fn words_key(&self, reporter: Msisdn, words: &str) -> [u8; 16] {
        self.keys.citizen_tag("by sms", &[&self.keys.reporter_tag(reporter), words.as_bytes()])
    }
}
