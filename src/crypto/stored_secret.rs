//! Secrets that must be read again, and so cannot be hashed, sealed for the database under a key of the key files.
//!
//! Someone who takes the database and not the key files learns none of them.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use zeroize::Zeroizing;

use super::envelope::EnvelopeError;
use super::mac::Secret;

/// A nonce is drawn for each secret; there are far too few of them for two to be the same.
const NONCE_BYTES: usize = 12;
/// What the key is derived for.
const PURPOSE: &[u8] = b"spamgate v1 stored secrets";

/// The key under which secrets are stored.
pub struct StoredSecretKey(Aes256Gcm);

impl StoredSecretKey {
    /// Derives it from a root key (HKDF-SHA-256).
    #[must_use]
    pub fn derive(root: &Secret) -> Self {
        let mut okm: Secret = Zeroizing::new([0; 32]);
        let expanded = hkdf::Hkdf::<sha2::Sha256>::new(None, root.as_slice()).expand(PURPOSE, okm.as_mut_slice());
        debug_assert!(expanded.is_ok(), "32 bytes are always within HKDF's limit");
        Self(Aes256Gcm::new(&(*okm).into()))
    }

    /// Seals a secret, bound to `place`: moved to another row it does not open. Nonce, then ciphertext and tag.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, place: &[u8], secret: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| EnvelopeError::Random)?;
        let ciphertext = self
            .0
            .encrypt(&Nonce::from(nonce), Payload { msg: secret, aad: place })
            .map_err(|_| EnvelopeError::Seal)?;
        Ok([nonce.as_slice(), &ciphertext].concat())
    }

    /// Opens what [`StoredSecretKey::seal`] made for the same place.
    ///
    /// # Errors
    /// [`EnvelopeError::Open`].
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(EnvelopeError::Open)?;
        self.0
            .decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad: place })
            .map(Zeroizing::new)
            .map_err(|_| EnvelopeError::Open)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn a_secret_opens_in_its_place_under_its_key_and_nowhere_else() {
        let key = StoredSecretKey::derive(&Zeroizing::new([1; 32]));
        let sealed = key.seal(b"row 1", b"hunter2").unwrap();
        assert_eq!(key.open(b"row 1", &sealed).unwrap().as_slice(), b"hunter2");
        assert!(key.open(b"row 2", &sealed).is_err());
        assert!(StoredSecretKey::derive(&Zeroizing::new([2; 32])).open(b"row 1", &sealed).is_err());
        assert!(key.open(b"row 1", b"").is_err());
        assert_ne!(sealed, key.seal(b"row 1", b"hunter2").unwrap());
    }
}
