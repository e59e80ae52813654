//! Keys with which carriers sign their requests: what checks a signature, and how shared secrets are kept.

use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use hmac::{Hmac, Mac};
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::mac::{Secret, derive_secret};

/// Bytes of an Ed25519 public key.
pub const ED25519_PUBLIC_KEY_BYTES: usize = 32;
/// Bytes of a shared secret.
pub const HMAC_SECRET_BYTES: usize = 32;
/// Bytes of the nonce before what is sealed.
const SEAL_NONCE_BYTES: usize = 12;

/// How requests are signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SigningAlgorithm {
    /// HMAC-SHA-256 with a shared secret.
    HmacSha256,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

impl SigningAlgorithm {
    /// The word of RFC 9421's registry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::HmacSha256, Self::Ed25519].into_iter().find(|algorithm| algorithm.as_str() == word)
    }
}

/// What checks signatures of one key.
#[derive(Clone)]
pub enum Verifier {
    /// With the shared secret.
    HmacSha256(Zeroizing<Vec<u8>>),
    /// With the public key.
    Ed25519([u8; ED25519_PUBLIC_KEY_BYTES]),
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm().as_str())
    }
}

impl Verifier {
    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> SigningAlgorithm {
        match self {
            Self::HmacSha256(_) => SigningAlgorithm::HmacSha256,
            Self::Ed25519(_) => SigningAlgorithm::Ed25519,
        }
    }

    /// Whether `signature` is this key's over `base`. Takes as long for every signature of an HMAC.
    #[must_use]
    pub fn is_signature(&self, base: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::HmacSha256(secret) => <Hmac<Sha256> as KeyInit>::new_from_slice(secret)
                .is_ok_and(|mac| mac.chain_update(base).verify_slice(signature).is_ok()),
            Self::Ed25519(public) => UnparsedPublicKey::new(&ED25519, public).verify(base, signature).is_ok(),
        }
    }
}

/// Seals shared secrets for the database, where they must not stand in clear: whoever steals it could sign for carriers.
pub struct SigningVault(Box<Aes256Gcm>);

impl SigningVault {
    /// The vault under the root that never rotates: a secret in the database has to open for as long as it is there.
    #[must_use]
    pub fn new(stable: &Secret) -> Self {
        let key = derive_secret(stable, "spamgate v1 signing secrets");
        Self(Box::new(Aes256Gcm::new(&(*key).into())))
    }

    /// Seals a secret for this key of this carrier alone; none when the system gives no random bytes.
    #[must_use]
    pub fn seal(&self, carrier_id: &[u8], key_id: &str, secret: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = vec![0; SEAL_NONCE_BYTES];
        getrandom::fill(&mut sealed).ok()?;
        let nonce = nonce_of(&sealed)?;
        let aad = associated_data(carrier_id, key_id);
        sealed.extend(self.0.encrypt(&nonce, Payload { msg: secret, aad: &aad }).ok()?);
        Some(sealed)
    }

    /// Opens what [`SigningVault::seal`] made; none when it is for another key, or was changed.
    #[must_use]
    pub fn open(&self, carrier_id: &[u8], key_id: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (_, text) = sealed.split_at_checked(SEAL_NONCE_BYTES)?;
        let aad = associated_data(carrier_id, key_id);
        self.0.decrypt(&nonce_of(sealed)?, Payload { msg: text, aad: &aad }).ok().map(Zeroizing::new)
    }
}

fn nonce_of(sealed: &[u8]) -> Option<Nonce<aes_gcm::aead::consts::U12>> {
    let bytes: [u8; SEAL_NONCE_BYTES] = sealed.get(..SEAL_NONCE_BYTES)?.try_into().ok()?;
    Some(bytes.into())
}

/// Of a fixed length first: no two pairs read the same.
fn associated_data(carrier_id: &[u8], key_id: &str) -> Vec<u8> {
    let length = u32::try_from(carrier_id.len()).unwrap_or(u32::MAX).to_be_bytes();
    [length.as_slice(), carrier_id, key_id.as_bytes()].concat()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_own_key_alone_and_unchanged() {
        let vault = SigningVault::new(&Zeroizing::new([7; 32]));
        let sealed = vault.seal(b"carrier", "key", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_ne!(sealed, vault.seal(b"carrier", "key", b"secret").unwrap());
        assert_eq!(vault.open(b"carrier", "key", &sealed).unwrap().as_slice(), b"secret");
        assert!(vault.open(b"other", "key", &sealed).is_none());
        assert!(vault.open(b"carrier", "other", &sealed).is_none());
        assert!(SigningVault::new(&Zeroizing::new([8; 32])).open(b"carrier", "key", &sealed).is_none());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            *changed.get_mut(index).unwrap() ^= 1;
            assert!(vault.open(b"carrier", "key", &changed).is_none(), "byte {index}");
        }
        assert!(vault.open(b"carrier", "key", b"short").is_none());
    }

    #[test]
    fn a_verifier_shows_no_secret() {
        assert_eq!(format!("{:?}", Verifier::HmacSha256(Zeroizing::new(vec![1; 32]))), "hmac-sha256");
    }
}
