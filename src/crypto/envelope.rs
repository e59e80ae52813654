//! Sealed envelopes: what only the authority may read of a report.
//!
//! Each process makes a fresh AES-256-GCM data key every hour and seals that key once, by HPKE (RFC 9180, X25519,
//! HKDF-SHA-256, AES-256-GCM), to the authority's public key. Sealing every report by HPKE would cost 65-130 µs each;
//! this costs about 0.3 µs. A node without the private key cannot read back what it sealed before its current data key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use zeroize::Zeroizing;

use super::mac::Secret;
use super::recipient::{RecipientKey, open_bytes_with, open_sealed_with};
use crate::domain::content::Content;
use crate::domain::msisdn::Msisdn;
use crate::domain::report::ReportId;
use crate::domain::sender::{Sender, SenderKind};

type EnvelopeKem = hpke::kem::X25519HkdfSha256;
type EnvelopeKdf = hpke::kdf::HkdfSha256;
type EnvelopeAead = hpke::aead::AesGcm256;

/// How long a data key seals new reports: 1 h, in microseconds.
pub const DATA_KEY_LIFE_MICROS: i64 = 60 * 60 * 1_000_000;
/// What the data key is sealed for; part of the HPKE key schedule.
const SEAL_INFO: &[u8] = b"spamgate v1 data key";
/// Version of the layout inside the envelope.
const LAYOUT_VERSION: u8 = 1;
/// Numbers are padded to this, so that an envelope's length tells none from another; longer senders to multiples.
const SENDER_BLOCK_BYTES: usize = 32;
/// An E.164 number with `+` padded to one length.
const REPORTER_BYTES: usize = 16;
/// Length of the HPKE encapsulated key, bytes.
const ENCAPSULATED_BYTES: usize = 32;

/// What can go wrong with an envelope; never says what was in it.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The authority's key is not an X25519 key.
    #[error("the authority's key is not an X25519 key")]
    BadAuthorityKey,
    /// Sealing failed; with a fresh nonce and a bounded text this does not happen.
    #[error("an envelope could not be sealed")]
    Seal,
    /// Wrong key, or changed since it was sealed.
    #[error("an envelope does not open: another key, or changed since it was sealed")]
    Open,
    /// The system's random source failed.
    #[error("the system gives no random bytes")]
    Random,
}

/// The authority's public key, to which data keys are sealed.
#[derive(Clone)]
pub struct AuthorityPublicKey(<EnvelopeKem as Kem>::PublicKey);

impl AuthorityPublicKey {
    /// Reads 32 bytes.
    ///
    /// # Errors
    /// [`EnvelopeError::BadAuthorityKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        <EnvelopeKem as Kem>::PublicKey::from_bytes(bytes).map(Self).map_err(|_| EnvelopeError::BadAuthorityKey)
    }

    /// The same key for single texts.
    ///
    /// # Errors
    /// [`EnvelopeError::BadAuthorityKey`].
    pub fn to_recipient(&self) -> Result<RecipientKey, EnvelopeError> {
        RecipientKey::from_bytes(&self.0.to_bytes())
    }
}

/// The authority's private key; only review nodes hold it.
pub struct AuthorityPrivateKey(<EnvelopeKem as Kem>::PrivateKey);

impl AuthorityPrivateKey {
    /// Reads 32 bytes.
    ///
    /// # Errors
    /// [`EnvelopeError::BadAuthorityKey`].
    pub fn from_secret(secret: &Secret) -> Result<Self, EnvelopeError> {
        <EnvelopeKem as Kem>::PrivateKey::from_bytes(secret.as_slice())
            .map(Self)
            .map_err(|_| EnvelopeError::BadAuthorityKey)
    }

    /// The 32 bytes of the public half.
    #[must_use]
    pub fn public_bytes(&self) -> Vec<u8> {
        EnvelopeKem::sk_to_pk(&self.0).to_bytes().to_vec()
    }

    /// Opens a text that was sealed to this key by [`RecipientKey::seal`].
    ///
    /// # Errors
    /// [`EnvelopeError::Open`].
    pub fn open_text(&self, info: &[u8], aad: &[u8], sealed: &str) -> Result<String, EnvelopeError> {
        open_sealed_with(&self.0, info, aad, sealed)
    }

    /// Opens bytes that [`RecipientKey::seal_bytes`] sealed to it.
    ///
    /// # Errors
    /// [`EnvelopeError::Open`].
    pub fn open_bytes(&self, info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        open_bytes_with(&self.0, info, aad, sealed)
    }

    /// Opens a data key that was sealed to this key.
    ///
    /// # Errors
    /// [`EnvelopeError::Open`] when it was sealed to another key or changed.
    pub fn open_data_key(&self, sealed: &SealedDataKey) -> Result<OpenDataKey, EnvelopeError> {
        if sealed.sealed.len() < ENCAPSULATED_BYTES {
            return Err(EnvelopeError::Open);
        }
        let (encapsulated, ciphertext) = sealed.sealed.split_at(ENCAPSULATED_BYTES);
        let encapsulated =
            <EnvelopeKem as Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| EnvelopeError::Open)?;
        let key = hpke::single_shot_open::<EnvelopeAead, EnvelopeKdf, EnvelopeKem>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            SEAL_INFO,
            ciphertext,
            &sealed.id.to_be_bytes(),
        )
        .map(Zeroizing::new)
        .map_err(|_| EnvelopeError::Open)?;
        let cipher = Aes256Gcm::new_from_slice(&key).map_err(|_| EnvelopeError::Open)?;
        Ok(OpenDataKey { id: sealed.id, cipher })
    }
}

/// A data key as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedDataKey {
    /// Random, positive.
    pub id: i64,
    /// When it was made, microseconds since 1970.
    pub created_at_micros: i64,
    /// HPKE encapsulated key, then ciphertext.
    pub sealed: Vec<u8>,
}

/// A data key while it seals: lives in memory for an hour, wiped when the last report in flight lets go of it.
pub struct DataKey {
    cipher: Aes256Gcm,
    next_nonce: AtomicU64,
    sealed: SealedDataKey,
}

impl DataKey {
    /// Makes a key and seals it to the authority.
    ///
    /// # Errors
    /// When the system gives no random bytes, or HPKE refuses the authority's key.
    pub fn generate(authority: &AuthorityPublicKey, now_micros: i64) -> Result<Self, EnvelopeError> {
        let mut key: Secret = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(|_| EnvelopeError::Random)?;
        let mut id_bytes = [0; 8];
        getrandom::fill(&mut id_bytes).map_err(|_| EnvelopeError::Random)?;
        let id = i64::from_be_bytes(id_bytes) & i64::MAX;
        let (encapsulated, ciphertext) = hpke::single_shot_seal::<EnvelopeAead, EnvelopeKdf, EnvelopeKem>(
            &OpModeS::Base,
            &authority.0,
            SEAL_INFO,
            key.as_slice(),
            &id.to_be_bytes(),
        )
        .map_err(|_| EnvelopeError::Seal)?;
        let mut sealed = encapsulated.to_bytes().to_vec();
        sealed.extend_from_slice(&ciphertext);
        Ok(Self {
            cipher: Aes256Gcm::new_from_slice(key.as_slice()).map_err(|_| EnvelopeError::Seal)?,
            next_nonce: AtomicU64::new(0),
            sealed: SealedDataKey { id, created_at_micros: now_micros, sealed },
        })
    }

    /// Whether it may seal at `now`. Not after the clock stepped back: how old it is cannot be told then.
    fn is_fresh(&self, now_micros: i64) -> bool {
        (0..DATA_KEY_LIFE_MICROS).contains(&now_micros.saturating_sub(self.sealed.created_at_micros))
    }

    /// The row of the journal that the first report under this key is committed with.
    #[must_use]
    pub const fn sealed(&self) -> &SealedDataKey {
        &self.sealed
    }

    /// Seals the personal part of a report: 8 bytes of nonce, then ciphertext and tag.
    ///
    /// # Errors
    /// [`EnvelopeError::Seal`]; does not happen within the limits of a report.
    pub fn seal(
        &self,
        id: ReportId,
        reporter: Msisdn,
        sender: &Sender,
        content: Option<&Content>,
    ) -> Result<Vec<u8>, EnvelopeError> {
        let plain = Zeroizing::new(lay_out(reporter, sender, content));
        let counter = self.next_nonce.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let aad = associated_data(id, self.sealed.id);
        let ciphertext = self
            .cipher
            .encrypt(&nonce(counter), Payload { msg: &plain, aad: &aad })
            .map_err(|_| EnvelopeError::Seal)?;
        let mut envelope = Vec::with_capacity(counter.len() + ciphertext.len());
        envelope.extend_from_slice(&counter);
        envelope.extend_from_slice(&ciphertext);
        Ok(envelope)
    }
}

/// A data key that the authority opened.
pub struct OpenDataKey {
    id: i64,
    cipher: Aes256Gcm,
}

/// What was in an envelope. Printed by nobody: the console shows it and writes so into the audit.
pub struct Opened {
    /// The reporter's number.
    pub reporter: Msisdn,
    /// What kind of sender.
    pub sender_kind: SenderKind,
    /// The sender as the reviewer reads it.
    pub sender: String,
    /// What the message said; empty for a call without.
    pub content: String,
}

impl OpenDataKey {
    /// Opens one report's envelope.
    ///
    /// # Errors
    /// [`EnvelopeError::Open`] when the envelope belongs to another report or key, or was changed.
    pub fn open(&self, id: ReportId, envelope: &[u8]) -> Result<Opened, EnvelopeError> {
        let (counter, ciphertext) = envelope.split_first_chunk::<8>().ok_or(EnvelopeError::Open)?;
        let aad = associated_data(id, self.id);
        let plain = self
            .cipher
            .decrypt(&nonce(*counter), Payload { msg: ciphertext, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| EnvelopeError::Open)?;
        read_back(&plain).ok_or(EnvelopeError::Open)
    }
}

fn nonce(counter: [u8; 8]) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut bytes = [0; 12];
    bytes.iter_mut().skip(4).zip(counter).for_each(|(to, from)| *to = from);
    bytes.into()
}

fn associated_data(id: ReportId, data_key_id: i64) -> [u8; 24] {
    let mut bytes = [0; 24];
    let parts = id.as_bytes().iter().chain(data_key_id.to_be_bytes().iter()).copied().collect::<Vec<u8>>();
    bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    bytes
}

/// version, reporter (16, padded with zeros), sender kind (index), sender length (2), sender padded to a multiple of
/// 32, content to the end.
fn lay_out(reporter: Msisdn, sender: &Sender, content: Option<&Content>) -> Vec<u8> {
    let shown = sender.shown();
    let content = content.map_or("", Content::shown);
    let sender_bytes = padded_sender_bytes(shown.len());
    let mut plain = Vec::with_capacity(4 + REPORTER_BYTES + sender_bytes + content.len());
    plain.push(LAYOUT_VERSION);
    plain.extend_from_slice(reporter.e164().as_bytes());
    plain.resize(1 + REPORTER_BYTES, 0);
    plain.push(kind_index(sender.kind()));
    // A sender has at most 64 characters, so its length fits two bytes.
    plain.extend_from_slice(&u16::try_from(shown.len()).unwrap_or(u16::MAX).to_be_bytes());
    plain.extend_from_slice(shown.as_bytes());
    plain.resize(4 + REPORTER_BYTES + sender_bytes, 0);
    plain.extend_from_slice(content.as_bytes());
    plain
}

fn read_back(plain: &[u8]) -> Option<Opened> {
    let (head, rest) = plain.split_at_checked(4 + REPORTER_BYTES)?;
    let (version, head) = head.split_first()?;
    if *version != LAYOUT_VERSION {
        return None;
    }
    let (reporter, head) = head.split_at_checked(REPORTER_BYTES)?;
    let [kind, length @ ..] = head else { return None };
    let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
    let (sender, content) = rest.split_at_checked(padded_sender_bytes(length))?;
    let reporter = std::str::from_utf8(reporter).ok()?.trim_end_matches('\0');
    Some(Opened {
        reporter: Msisdn::from_e164(reporter)?,
        sender_kind: SenderKind::ALL.get(usize::from(*kind)).copied()?,
        sender: String::from_utf8(sender.get(..length)?.to_vec()).ok()?,
        content: String::from_utf8(content.to_vec()).ok()?,
    })
}

fn padded_sender_bytes(length: usize) -> usize {
    length.max(1).next_multiple_of(SENDER_BLOCK_BYTES)
}

fn kind_index(kind: SenderKind) -> u8 {
    SenderKind::ALL
        .iter()
        .position(|known| *known == kind)
        .and_then(|index| u8::try_from(index).ok())
        .unwrap_or(u8::MAX)
}

/// The data key that seals now, replaced every hour.
pub struct Sealer {
    authority: AuthorityPublicKey,
    current: std::sync::RwLock<Arc<DataKey>>,
}

impl Sealer {
    /// Makes the first data key.
    ///
    /// # Errors
    /// As [`DataKey::generate`].
    pub fn new(authority: AuthorityPublicKey, now_micros: i64) -> Result<Self, EnvelopeError> {
        let first = Arc::new(DataKey::generate(&authority, now_micros)?);
        Ok(Self { authority, current: std::sync::RwLock::new(first) })
    }

    /// The data key to seal with at `now`.
    ///
    /// # Errors
    /// As [`DataKey::generate`], when a new one was due.
    pub fn data_key(&self, now_micros: i64) -> Result<Arc<DataKey>, EnvelopeError> {
        let current = Arc::clone(&self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner));
        if current.is_fresh(now_micros) {
            return Ok(current);
        }
        let mut slot = self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !slot.is_fresh(now_micros) {
            *slot = Arc::new(DataKey::generate(&self.authority, now_micros)?);
        }
        Ok(Arc::clone(&slot))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop where it fails")]
    use super::*;
    use crate::domain::msisdn::HomeCountry;
    use crate::domain::sender;

    fn authority() -> AuthorityPrivateKey {
        AuthorityPrivateKey::from_secret(&Zeroizing::new([9; 32])).unwrap()
    }
    fn id(byte: u8) -> ReportId {
        ReportId::from_mac([byte; 16])
    }
    fn reporter() -> Msisdn {
        Msisdn::from_e164("+84912345678").unwrap()
    }
    fn parse_sender(text: &str) -> Sender {
        sender::parse(text, HomeCountry::parse("VN").unwrap()).ok().unwrap().sender
    }

    #[test]
    fn the_authority_reads_what_was_sealed_and_no_other_key_does() {
        let private = authority();
        let public = AuthorityPublicKey::from_bytes(&private.public_bytes()).unwrap();
        let key = DataKey::generate(&public, 0).unwrap();
        let content = Content::parse("Cuộc gọi quảng cáo").ok().flatten();
        for text in ["0985931054", "156", "VIETTEL", "hidden", "+999 12 3456 78901234 5678 90123456789012"] {
            let sender = parse_sender(text);
            let envelope = key.seal(id(1), reporter(), &sender, content.as_ref()).unwrap();
            let opened = private.open_data_key(key.sealed()).unwrap().open(id(1), &envelope).unwrap();
            assert_eq!(opened.reporter, reporter());
            assert_eq!(opened.sender_kind, sender.kind());
            assert_eq!(opened.sender, sender.shown());
            assert_eq!(opened.content, "Cuộc gọi quảng cáo");
        }
        let other = AuthorityPrivateKey::from_secret(&Zeroizing::new([8; 32])).unwrap();
        assert!(other.open_data_key(key.sealed()).is_err());
    }

    #[test]
    fn an_envelope_that_was_moved_or_changed_does_not_open() {
        let private = authority();
        let public = AuthorityPublicKey::from_bytes(&private.public_bytes()).unwrap();
        let key = DataKey::generate(&public, 0).unwrap();
        let envelope = key.seal(id(1), reporter(), &parse_sender("156"), None).unwrap();
        let open = private.open_data_key(key.sealed()).unwrap();
        assert!(open.open(id(1), &envelope).is_ok());
        assert!(open.open(id(2), &envelope).is_err());
        for place in 0..envelope.len() {
            let mut changed = envelope.clone();
            changed[place] ^= 1;
            assert!(open.open(id(1), &changed).is_err(), "byte {place}");
        }
    }

    #[test]
    fn all_numbers_make_envelopes_of_one_length_and_no_nonce_comes_twice() {
        let public = AuthorityPublicKey::from_bytes(&authority().public_bytes()).unwrap();
        let key = DataKey::generate(&public, 0).unwrap();
        let envelopes: Vec<Vec<u8>> = ["0985931054", "+12125550123", "156", "VIETTEL", "hidden"]
            .map(|text| key.seal(id(1), reporter(), &parse_sender(text), None).unwrap())
            .to_vec();
        assert!(envelopes.iter().all(|envelope| envelope.len() == envelopes[0].len()));
        let nonces: std::collections::HashSet<_> = envelopes.iter().map(|envelope| envelope[..8].to_vec()).collect();
        assert_eq!(nonces.len(), envelopes.len());
    }

    #[test]
    fn a_data_key_seals_for_an_hour() {
        let public = AuthorityPublicKey::from_bytes(&authority().public_bytes()).unwrap();
        let sealer = Sealer::new(public, 0).unwrap();
        let at = |micros| sealer.data_key(micros).unwrap().sealed().id;
        let first = at(0);
        assert_eq!(at(DATA_KEY_LIFE_MICROS - 1), first);
        assert_ne!(at(DATA_KEY_LIFE_MICROS), first);
    }
}
