//! What a page carries from one request to the next, sealed under a key that all nodes share: so nothing is kept in between,
//! any node can go on, and nobody can read or change it.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use zeroize::Zeroizing;

use super::envelope::EnvelopeError;
use super::mac::{Secret, derive_secret};
use crate::domain::clock::{MICROS_PER_DAY, Moment};

/// Drawn for each. A key may seal 2^32 with nonces drawn so (NIST SP 800-38D, 8.3): each day has its own, which takes fifty
/// thousand a second.
const NONCE_BYTES: usize = 12;
/// Microseconds since 1970.
const UNTIL_BYTES: usize = 8;

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

    /// No label has a zero in it, and a moment has one length.
    fn bound_to(self, holder: &[u8], until: [u8; UNTIL_BYTES]) -> Vec<u8> {
        [self.label(), b"\0", &until, holder].concat()
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

/// What the keys of the days are derived from.
pub struct PageKey(Secret);

impl PageKey {
    /// Derives it from the root that all nodes share.
    #[must_use]
    pub fn derive(stable: &Secret) -> Self {
        Self(derive_secret(stable, "spamgate v1 pages"))
    }

    /// The key of what is good until this moment.
    fn of_day(&self, good_until: Moment) -> Aes256Gcm {
        let day = good_until.0.div_euclid(MICROS_PER_DAY);
        Aes256Gcm::new(&(*derive_secret(&self.0, &format!("spamgate v1 pages of day {day}"))).into())
    }

    /// Seals bytes until a moment, as text for a form or an address. It opens for the same holder alone; an empty one is
    /// anybody.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, what: Sealed, holder: &[u8], good_until: Moment, bytes: &[u8]) -> Result<String, EnvelopeError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| EnvelopeError::Random)?;
        let until = good_until.0.to_be_bytes();
        let payload = Payload { msg: bytes, aad: &what.bound_to(holder, until) };
        let ciphertext = self.of_day(good_until).encrypt(&Nonce::from(nonce), payload);
        let ciphertext = ciphertext.map_err(|_| EnvelopeError::Seal)?;
        Ok(BASE64.encode([until.as_slice(), &nonce, &ciphertext].concat()))
    }

    /// Opens what [`PageKey::seal`] made of the same kind for the same holder.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, what: Sealed, holder: &[u8], text: &str, now: Moment) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let sealed = BASE64.decode(text).map_err(|_| NotOpened::Forged)?;
        let (until, rest) = sealed.split_first_chunk::<UNTIL_BYTES>().ok_or(NotOpened::Forged)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(NotOpened::Forged)?;
        let good_until = Moment(i64::from_be_bytes(*until));
        let payload = Payload { msg: ciphertext, aad: &what.bound_to(holder, *until) };
        let opened = self.of_day(good_until).decrypt(&Nonce::from(*nonce), payload).map(Zeroizing::new);
        let bytes = opened.map_err(|_| NotOpened::Forged)?;
        if now > good_until { Err(NotOpened::Expired) } else { Ok(bytes) }
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
