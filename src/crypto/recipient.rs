//! Sealing to a carrier: what it is told of a sender only it can read.
//!
//! HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM, one message a seal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::envelope::EnvelopeError;
use super::mac::Secret;
use super::to_hex;

type SealKem = hpke::kem::X25519HkdfSha256;
type SealKdf = hpke::kdf::HkdfSha256;
type SealAead = hpke::aead::AesGcm256;

/// Length of a public key and of the encapsulated key, bytes.
const KEY_BYTES: usize = 32;
/// Bytes of a key's hash that name it.
const KEY_ID_BYTES: usize = 8;
/// What is sealed is filled up with spaces to a multiple of this, so that its length tells no number from another.
const PADDED_BYTES: usize = 64;

/// A carrier's public key.
#[derive(Clone)]
pub struct RecipientKey {
    key: <SealKem as Kem>::PublicKey,
    id: String,
}

impl RecipientKey {
    /// Reads 32 bytes.
    ///
    /// # Errors
    /// [`EnvelopeError::BadAuthorityKey`] when nothing can be sealed to them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let key = <SealKem as Kem>::PublicKey::from_bytes(bytes).map_err(|_| EnvelopeError::BadAuthorityKey)?;
        let digest = Sha256::digest(bytes);
        let id = to_hex(digest.get(..KEY_ID_BYTES).unwrap_or(&digest));
        let recipient = Self { key, id };
        // Some points of the curve agree on nothing secret: only sealing finds them.
        recipient.seal(b"", b"", "").map_err(|_| EnvelopeError::BadAuthorityKey)?;
        Ok(recipient)
    }

    /// Reads 32 bytes as base64 or as 64 hexadecimal digits.
    ///
    /// # Errors
    /// As [`RecipientKey::from_bytes`].
    pub fn from_text(text: &str) -> Result<(Self, Vec<u8>), EnvelopeError> {
        let bytes = from_hex(text).or_else(|| STANDARD.decode(text).ok()).ok_or(EnvelopeError::BadAuthorityKey)?;
        Ok((Self::from_bytes(&bytes)?, bytes))
    }

    /// Which key this is: the first 8 bytes of its SHA-256, as hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a text for `info`, bound to `aad`: base64 of the encapsulated key (32 bytes), then the ciphertext. Spaces are
    /// put behind the text.
    ///
    /// # Errors
    /// [`EnvelopeError::Seal`].
    pub fn seal(&self, info: &[u8], aad: &[u8], text: &str) -> Result<String, EnvelopeError> {
        let mut plain = Zeroizing::new(text.as_bytes().to_vec());
        let padded = plain.len().max(1).next_multiple_of(PADDED_BYTES);
        plain.resize(padded, b' ');
        self.seal_bytes(info, aad, &plain).map(|sealed| STANDARD.encode(sealed))
    }

    /// The same for bytes, as they are: the encapsulated key (32 bytes), then the ciphertext.
    ///
    /// # Errors
    /// [`EnvelopeError::Seal`].
    pub fn seal_bytes(&self, info: &[u8], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        let (encapsulated, ciphertext) =
            hpke::single_shot_seal::<SealAead, SealKdf, SealKem>(&OpModeS::Base, &self.key, info, plain, aad)
                .map_err(|_| EnvelopeError::Seal)?;
        let mut sealed = encapsulated.to_bytes().to_vec();
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }
}

/// Opens what was sealed to the key of which `private` is the private half.
///
/// # Errors
/// [`EnvelopeError::Open`] with another key, `info` or `aad`, or when it was changed.
pub fn open_sealed(private: &Secret, info: &[u8], aad: &[u8], sealed: &str) -> Result<String, EnvelopeError> {
    let private =
        <SealKem as Kem>::PrivateKey::from_bytes(private.as_slice()).map_err(|_| EnvelopeError::BadAuthorityKey)?;
    open_sealed_with(&private, info, aad, sealed)
}

/// The same with a key that was read before.
pub(super) fn open_sealed_with(
    private: &<SealKem as Kem>::PrivateKey,
    info: &[u8],
    aad: &[u8],
    sealed: &str,
) -> Result<String, EnvelopeError> {
    let sealed = STANDARD.decode(sealed).map_err(|_| EnvelopeError::Open)?;
    let plain = open_bytes_with(private, info, aad, &sealed)?;
    let text = std::str::from_utf8(&plain).map_err(|_| EnvelopeError::Open)?;
    Ok(text.trim_end_matches(' ').to_owned())
}

/// The same for bytes.
pub(super) fn open_bytes_with(
    private: &<SealKem as Kem>::PrivateKey,
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let (encapsulated, ciphertext) = sealed.split_at_checked(KEY_BYTES).ok_or(EnvelopeError::Open)?;
    let encapsulated = <SealKem as Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| EnvelopeError::Open)?;
    hpke::single_shot_open::<SealAead, SealKdf, SealKem>(&OpModeR::Base, private, &encapsulated, info, ciphertext, aad)
        .map(Zeroizing::new)
        .map_err(|_| EnvelopeError::Open)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * KEY_BYTES || !text.is_ascii() {
        return None;
    }
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.as_bytes().chunks(2).map(digits).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn pair(byte: u8) -> (Secret, Vec<u8>) {
        let private: Secret = Zeroizing::new([byte; 32]);
        let key = <SealKem as Kem>::PrivateKey::from_bytes(private.as_slice()).unwrap();
        (private, SealKem::sk_to_pk(&key).to_bytes().to_vec())
    }

    #[test]
    fn only_the_carrier_reads_it_and_only_in_its_place() {
        let (private, public) = pair(7);
        let key = RecipientKey::from_bytes(&public).unwrap();
        let sealed = key.seal(b"info", b"place", "{\"value\":\"+84985931054\"}").unwrap();
        assert_eq!(open_sealed(&private, b"info", b"place", &sealed).unwrap(), "{\"value\":\"+84985931054\"}");
        assert!(open_sealed(&private, b"info", b"another place", &sealed).is_err());
        assert!(open_sealed(&private, b"another use", b"place", &sealed).is_err());
        assert!(open_sealed(&pair(8).0, b"info", b"place", &sealed).is_err());
    }

    #[test]
    fn what_another_library_seals_in_the_same_way_is_opened() {
        // Sealed with pyhpke 0.6.5 to the public half of 32 bytes 0x07.
        let sealed = concat!(
            "86glce0DCRmM2Rz826SBRX+bT6H2FVhLKwgQeo2YKXlpIEPlJqQG6a0W+a+miPCcyVEv+ACLC6+s",
            "5tt/jnx/Ds2Q30mXkte4XwfW3jusvd4FCBQrlhkMyY5eVmXnQqR+4DD6yLbxT3OQGB0L67VO2Q==",
        );
        let aad = b"0193a5b4-0000-8000-8000-000000000001";
        let opened = open_sealed(&pair(7).0, b"spamgate v1 feed sender", aad, sealed).unwrap();
        assert_eq!(opened, "{\"kind\":\"msisdn\",\"value\":\"+84985931054\"}");
    }

    #[test]
    fn the_length_tells_no_number_from_another() {
        let key = RecipientKey::from_bytes(&pair(7).1).unwrap();
        let length = |text| key.seal(b"", b"", text).unwrap().len();
        assert_eq!(length("156"), length("+84985931054"));
    }

    #[test]
    fn a_key_is_read_as_base64_or_hexadecimal_and_refused_when_it_keeps_no_secret() {
        let (_, public) = pair(7);
        let hex = to_hex(&public);
        let (from_hex, _) = RecipientKey::from_text(&hex).ok().unwrap();
        let (from_base64, bytes) = RecipientKey::from_text(&STANDARD.encode(&public)).ok().unwrap();
        assert_eq!((from_hex.id(), bytes), (from_base64.id(), public));
        for bad in ["", "00", &"00".repeat(32), &"0g".repeat(32), "AAAA", &"é".repeat(32)] {
            assert!(RecipientKey::from_text(bad).is_err(), "{bad}");
        }
    }
}
