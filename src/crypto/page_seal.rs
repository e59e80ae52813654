//! What a page carries from one request to the next, sealed under a key that all nodes share: so nothing is kept in between,
//! any node can go on, and nobody can read or change it.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use zeroize::Zeroizing;

use super::envelope::EnvelopeError;
use super::mac::{Secret, derive_secret};
use crate::domain::clock::Moment;

/// Drawn for each. A key may seal 2^32 before two nonces are likely to meet: a thousand a second for fifty days, and what
/// is sealed lives an hour.
const NONCE_BYTES: usize = 12;

/// What is sealed: one kind never opens as another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sealed {
    /// A form that was handed out: what makes two clicks one report.
    Form,
    /// A report that has to be mended, or was not sent yet.
    Typed,
    /// A report whose number is not proven yet.
    Draft,
    /// A report whose number is proven.
    Proven,
    /// A report that was taken, for its receipt.
    Receipt,
    /// What was typed to find a report again, or a number of the other side.
    Looked,
    /// A report that its reporter has found again.
    Found,
    /// A withdrawal, or the other side's wish to know, that waits for its code.
    Asked,
    /// A withdrawal whose number is proven.
    ProvenWithdrawal,
    /// The other side's number, proven.
    OtherSide,
}

impl Sealed {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Form => b"form",
            Self::Typed => b"typed",
            Self::Draft => b"draft",
            Self::Proven => b"proven",
            Self::Receipt => b"receipt",
            Self::Looked => b"looked",
            Self::Found => b"found",
            Self::Asked => b"asked",
            Self::ProvenWithdrawal => b"proven withdrawal",
            Self::OtherSide => b"other side",
        }
    }

    /// No label has a zero in it.
    fn bound_to(self, holder: &[u8]) -> Vec<u8> {
        [self.label(), b"\0", holder].concat()
    }
}

/// Why something does not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotOpened {
    /// It was not sealed here, or for something else, or was changed.
    Forged,
    /// Its time is over.
    Expired,
}

/// The key.
pub struct PageKey(Aes256Gcm);

impl PageKey {
    /// Derives it from the root that all nodes share.
    #[must_use]
    pub fn derive(stable: &Secret) -> Self {
        let key = derive_secret(stable, "spamgate v1 pages");
        Self(Aes256Gcm::new(&(*key).into()))
    }

    /// Seals bytes until a moment, as text for a form or an address. It opens for the same holder alone; an empty one is
    /// anybody.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, what: Sealed, holder: &[u8], good_until: Moment, bytes: &[u8]) -> Result<String, EnvelopeError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| EnvelopeError::Random)?;
        let message = Zeroizing::new([&good_until.0.to_be_bytes(), bytes].concat());
        let ciphertext = self
            .0
            .encrypt(&Nonce::from(nonce), Payload { msg: &message, aad: &what.bound_to(holder) })
            .map_err(|_| EnvelopeError::Seal)?;
        Ok(BASE64.encode([nonce.as_slice(), &ciphertext].concat()))
    }

    /// Opens what [`PageKey::seal`] made of the same kind for the same holder.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, what: Sealed, holder: &[u8], text: &str, now: Moment) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let sealed = BASE64.decode(text).map_err(|_| NotOpened::Forged)?;
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(NotOpened::Forged)?;
        let message = self
            .0
            .decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad: &what.bound_to(holder) })
            .map(Zeroizing::new)
            .map_err(|_| NotOpened::Forged)?;
        let (good_until, bytes) = message.split_first_chunk::<8>().ok_or(NotOpened::Forged)?;
        if now > Moment(i64::from_be_bytes(*good_until)) {
            return Err(NotOpened::Expired);
        }
        Ok(Zeroizing::new(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn it_opens_as_what_it_is_unchanged_and_in_its_time_alone() {
        let key = PageKey::derive(&Zeroizing::new([1; 32]));
        let sealed = key.seal(Sealed::Draft, b"me", Moment(5), b"a draft").unwrap();
        let open = |what, text: &str, now| key.open(what, b"me", text, Moment(now)).map(|bytes| bytes.to_vec());
        assert_eq!(open(Sealed::Draft, &sealed, 5), Ok(b"a draft".to_vec()));
        assert_eq!(open(Sealed::Draft, &sealed, 6), Err(NotOpened::Expired));
        assert_eq!(open(Sealed::Proven, &sealed, 5), Err(NotOpened::Forged));
        let other = PageKey::derive(&Zeroizing::new([2; 32]));
        assert_eq!(other.open(Sealed::Draft, b"me", &sealed, Moment(0)).err(), Some(NotOpened::Forged));
        for holder in [b"".as_slice(), b"you"] {
            assert_eq!(key.open(Sealed::Draft, holder, &sealed, Moment(0)).err(), Some(NotOpened::Forged));
        }
        for place in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open(Sealed::Draft, &changed, 0), Err(NotOpened::Forged), "{place}");
        }
        for text in ["", "A", "not base64!", "AAAAAAAAAAAAAAAA"] {
            assert_eq!(open(Sealed::Draft, text, 0), Err(NotOpened::Forged), "{text}");
        }
    }
}
