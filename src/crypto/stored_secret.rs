//! Secrets that must be read again, and so cannot be hashed, sealed for the database under a key of the key files: those of
//! webhooks, and those that carriers sign requests with.
//!
//! Someone who takes the database and not the key files learns none of them, and can sign for nobody.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use zeroize::Zeroizing;

use super::envelope::EnvelopeError;
use super::mac::{Secret, derive_secret};

/// A nonce is drawn for each secret; there are far too few of them for two to be the same.
const NONCE_BYTES: usize = 12;

/// What a secret is for: moved to another row it does not open.
#[derive(Clone, Copy)]
pub enum SecretOf<'a> {
    /// A receiver's, by its id.
    Webhook(&'a [u8]),
    /// One that a carrier signs with.
    SigningKey {
        /// The carrier's id.
        carrier_id: &'a [u8],
        /// The key's name.
        key_id: &'a str,
    },
}

impl SecretOf<'_> {
    /// Each part with its length before it: no two read the same.
    fn associated_data(self) -> Vec<u8> {
        let parts: [&[u8]; 3] = match self {
            Self::Webhook(id) => [b"webhook", id, b""],
            Self::SigningKey { carrier_id, key_id } => [b"signing key", carrier_id, key_id.as_bytes()],
        };
        let mut data = Vec::new();
        for part in parts {
            data.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            data.extend(part);
        }
        data
    }
}

/// The key under which secrets are stored.
pub struct StoredSecretKey(Aes256Gcm);

impl StoredSecretKey {
    /// Derives it from the root that never rotates: a secret has to open for as long as it is there.
    #[must_use]
    pub fn derive(stable: &Secret) -> Self {
        let key = derive_secret(stable, "spamgate v1 stored secrets");
        Self(Aes256Gcm::new(&(*key).into()))
    }

    /// Seals a secret. Nonce, then ciphertext and tag.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, of: SecretOf<'_>, secret: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| EnvelopeError::Random)?;
        let ciphertext = self
            .0
            .encrypt(&Nonce::from(nonce), Payload { msg: secret, aad: &of.associated_data() })
            .map_err(|_| EnvelopeError::Seal)?;
        Ok([nonce.as_slice(), &ciphertext].concat())
    }

    /// Opens what [`StoredSecretKey::seal`] made of the same.
    ///
    /// # Errors
    /// [`EnvelopeError::Open`].
    pub fn open(&self, of: SecretOf<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(EnvelopeError::Open)?;
        self.0
            .decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad: &of.associated_data() })
            .map(Zeroizing::new)
            .map_err(|_| EnvelopeError::Open)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    const PLACES: [SecretOf<'_>; 6] = [
        SecretOf::SigningKey { carrier_id: b"carrier", key_id: "key" },
        SecretOf::SigningKey { carrier_id: b"other", key_id: "key" },
        SecretOf::SigningKey { carrier_id: b"carrier", key_id: "other" },
        SecretOf::SigningKey { carrier_id: b"carrierk", key_id: "ey" },
        SecretOf::Webhook(b"carrier"),
        SecretOf::Webhook(b"carrierkey"),
    ];

    #[test]
    fn a_secret_opens_in_its_place_under_its_key_unchanged_and_nowhere_else() {
        let key = StoredSecretKey::derive(&Zeroizing::new([1; 32]));
        let other_key = StoredSecretKey::derive(&Zeroizing::new([2; 32]));
        for (index, place) in PLACES.into_iter().enumerate() {
            let sealed = key.seal(place, b"hunter2").unwrap();
            assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
            assert_ne!(sealed, key.seal(place, b"hunter2").unwrap());
            for (other_index, other) in PLACES.into_iter().enumerate() {
                let opened = key.open(other, &sealed).ok();
                assert_eq!(opened.is_some_and(|opened| opened.as_slice() == b"hunter2"), index == other_index);
            }
            assert!(other_key.open(place, &sealed).is_err());
            for byte in 0..sealed.len() {
                let mut changed = sealed.clone();
                *changed.get_mut(byte).unwrap() ^= 1;
                assert!(key.open(place, &changed).is_err(), "byte {byte}");
            }
            assert!(key.open(place, b"").is_err() && key.open(place, b"short").is_err());
        }
    }
}
