//! Keys with which carriers sign their requests: what checks a signature. `stored_secret.rs` keeps the shared secrets.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of an Ed25519 public key.
pub const ED25519_PUBLIC_KEY_BYTES: usize = 32;
/// Bytes of a shared secret.
pub const HMAC_SECRET_BYTES: usize = 32;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_shows_no_secret() {
        assert_eq!(format!("{:?}", Verifier::HmacSha256(Zeroizing::new(vec![1; 32]))), "hmac-sha256");
    }
}
