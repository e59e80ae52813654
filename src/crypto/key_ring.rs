//! The key ring of a node: which sub-keys exist, and what each computes.
//!
//! Two roots. The *stable* root never rotates: report ids and markers must come out the same for ever.
//! The *tag* root has a key id and can be replaced after a leak: it hides numbers and texts.

use super::mac::{MacKey, Secret};
use super::page_seal::PageKey;
use super::stored_secret::StoredSecretKey;
use crate::domain::content::Content;
use crate::domain::msisdn::Msisdn;
use crate::domain::report::{ReportId, Tag};
use crate::domain::sender::{Sender, SenderKind};
use crate::domain::submission::Submission;
use crate::domain::vocabulary::{Category, Channel};

/// What makes a report the same or another, all computed from one submission.
pub struct Identity {
    /// Computed id.
    pub id: ReportId,
    /// Keyed hash of the reporter's number.
    pub reporter_tag: Tag,
    /// Keyed hash of the sender; none when hidden.
    pub sender_tag: Option<Tag>,
    /// Keyed hash of the same-text form; none without content.
    pub text_tag: Option<Tag>,
    /// Keyed hash of reporter, sender, channel, category, same text, and whether it is for or against the sender.
    pub fingerprint: Tag,
}

/// Sub-keys that never rotate.
struct StableKeys {
    report_id: MacKey,
    track: MacKey,
    mark: MacKey,
    outbound: MacKey,
    nonce: MacKey,
    citizen: MacKey,
    code: MacKey,
}

/// Sub-keys of one tag key id. Reporter and sender have two keys, so that a person who reports and is reported cannot
/// be linked.
struct TagKeys {
    reporter: MacKey,
    sender: MacKey,
    text: MacKey,
    fingerprint: MacKey,
}

/// All symmetric keys of a node.
pub struct KeyRing {
    stable: StableKeys,
    tags: TagKeys,
    tag_key_id: i32,
    stored_secrets: StoredSecretKey,
    pages: PageKey,
}

impl KeyRing {
    /// Derives every sub-key from the two roots.
    #[must_use]
    pub fn new(stable: &Secret, tag_key_id: i32, tags: &Secret) -> Self {
        Self {
            stable: StableKeys {
                report_id: MacKey::derive(stable, "spamgate v1 report id"),
                track: MacKey::derive(stable, "spamgate v1 track"),
                mark: MacKey::derive(stable, "spamgate v1 mark"),
                outbound: MacKey::derive(stable, "spamgate v1 outbound"),
                nonce: MacKey::derive(stable, "spamgate v1 nonce"),
                citizen: MacKey::derive(stable, "spamgate v1 citizen"),
                code: MacKey::derive(stable, "spamgate v1 code"),
            },
            tags: TagKeys {
                reporter: MacKey::derive(tags, "spamgate v1 reporter"),
                sender: MacKey::derive(tags, "spamgate v1 sender"),
                text: MacKey::derive(tags, "spamgate v1 text"),
                fingerprint: MacKey::derive(tags, "spamgate v1 fingerprint"),
            },
            tag_key_id,
            stored_secrets: StoredSecretKey::derive(stable),
            pages: PageKey::derive(stable),
        }
    }

    /// The key under which secrets that must be read again stand in the database.
    #[must_use]
    pub const fn stored_secrets(&self) -> &StoredSecretKey {
        &self.stored_secrets
    }

    /// The key of what pages carry.
    #[must_use]
    pub const fn pages(&self) -> &PageKey {
        &self.pages
    }

    /// A keyed hash for the citizens' pages; `purpose` tells one use from another.
    #[must_use]
    pub fn citizen_tag<const N: usize>(&self, purpose: &str, parts: &[&[u8]]) -> [u8; N] {
        let parts: Vec<&[u8]> = std::iter::once(purpose.as_bytes()).chain(parts.iter().copied()).collect();
        self.stable.citizen.tag(&parts)
    }

    /// The name under which a nonce is remembered, and the proof of a claim: short, whatever a carrier writes, and not to
    /// be guessed.
    #[must_use]
    pub fn nonce_tag(&self, carrier_id: &[u8], key_id: &str, nonce: &str) -> [u8; 24] {
        self.stable.nonce.tag(&[carrier_id, key_id.as_bytes(), nonce.as_bytes()])
    }

    /// What stands in the fast state in place of a number, an address or a code by SMS.
    #[must_use]
    pub fn code_tag<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        self.stable.code.tag(parts)
    }

    /// The id that rows tagged by this ring carry.
    #[must_use]
    pub const fn tag_key_id(&self) -> i32 {
        self.tag_key_id
    }

    /// Everything that tells a carrier's report from others. `owner` is the carrier's UUID: another carrier's same id
    /// is another report.
    #[must_use]
    pub fn identify(&self, owner: uuid::Uuid, submission: &Submission) -> Identity {
        let text_tag = submission.content.as_ref().map(|content| self.text_tag(content));
        Identity {
            id: self.report_id(owner, &submission.external_id),
            reporter_tag: self.reporter_tag(submission.reporter),
            sender_tag: self.sender_tag(&submission.sender),
            text_tag,
            fingerprint: self.fingerprint(&Claim {
                reporter: submission.reporter,
                sender: &submission.sender,
                channel: submission.channel,
                category: submission.category,
                text_tag: text_tag.as_ref(),
                is_legit: submission.is_legit,
            }),
        }
    }

    /// Keyed hash of the same-text form.
    #[must_use]
    pub fn text_tag(&self, content: &Content) -> Tag {
        let mut same_text = Vec::with_capacity(content.shown().len());
        content.same_text_into(&mut same_text);
        self.tags.text.tag(&[&same_text])
    }

    /// The id of what this carrier calls `external_id`.
    #[must_use]
    pub fn report_id(&self, owner: uuid::Uuid, external_id: &str) -> ReportId {
        let mac = self.stable.report_id.tag(&[b"carrier", owner.as_bytes(), external_id.as_bytes()]);
        ReportId::from_mac(mac)
    }

    /// Keyed hash of the reporter's number.
    #[must_use]
    pub fn reporter_tag(&self, reporter: Msisdn) -> Tag {
        self.tags.reporter.tag(&[b"v1|reporter|", reporter.e164().as_bytes()])
    }

    /// Keyed hash of the sender; none when hidden.
    #[must_use]
    pub fn sender_tag(&self, sender: &Sender) -> Option<Tag> {
        match sender.kind() {
            SenderKind::Hidden => None,
            kind => Some(
                sender.with_canonical(|value| self.tags.sender.tag(&[b"v1|sender|", kind.as_str().as_bytes(), value])),
            ),
        }
    }

    /// What makes two reports the same.
    #[must_use]
    pub fn fingerprint(&self, claim: &Claim<'_>) -> Tag {
        let reporter = claim.reporter.e164();
        let sender_kind = claim.sender.kind().as_str();
        claim.sender.with_canonical(|sender| {
            let against = [
                reporter.as_bytes(),
                sender,
                sender_kind.as_bytes(),
                claim.channel.as_str().as_bytes(),
                claim.category.as_str().as_bytes(),
                claim.text_tag.map_or(&[][..], <[u8; 16]>::as_slice),
            ];
            if !claim.is_legit {
                return self.tags.fingerprint.tag(&against);
            }
            // A word for the sender has one part more, so that it never repeats one against.
            let [reporter, sender, kind, channel, category, text] = against;
            self.tags.fingerprint.tag(&[reporter, sender, kind, channel, category, text, b"legit"])
        })
    }

    /// Proof of knowing a report's reporter, without storing digits.
    #[must_use]
    pub fn track_tag(&self, id: ReportId, reporter: Msisdn) -> [u8; 8] {
        self.track_tag_of(id, &reporter.last_four())
    }

    /// The same, of the last four digits as somebody states them.
    #[must_use]
    pub fn track_tag_of(&self, id: ReportId, last_four: &[u8; 4]) -> [u8; 8] {
        self.stable.track.tag(&[id.as_bytes(), last_four])
    }

    /// The id of what a carrier is told: the same for ever, however often and by whatever way it is told.
    #[must_use]
    pub fn event_id(&self, carrier: &[u8], kind: &str, number: i64, at_micros: i64) -> uuid::Uuid {
        let parts = [b"event", carrier, kind.as_bytes(), &number.to_be_bytes(), &at_micros.to_be_bytes()];
        uuid::Builder::from_custom_bytes(self.stable.outbound.tag(&parts)).into_uuid()
    }

    /// What tells an answer to a request from another answer, without keeping its note.
    #[must_use]
    pub fn answer_tag(&self, request: &[u8], outcome: &str, note: Option<&str>) -> [u8; 16] {
        self.stable.outbound.tag(&[b"answer", request, outcome.as_bytes(), note.unwrap_or_default().as_bytes()])
    }

    /// The half of a cursor that says *behind this very row*, so that a cursor of before a restore is not believed.
    #[must_use]
    pub fn cursor_tag(&self, carrier: &[u8], list: &str, position: i64, row: &[u8]) -> [u8; 8] {
        self.stable.outbound.tag(&[b"cursor", carrier, list.as_bytes(), &position.to_be_bytes(), row])
    }

    /// The half of a marker that says *this store holds this report id*.
    #[must_use]
    pub fn mark_of_store(&self, store_epoch: &[u8], id: ReportId) -> [u8; 8] {
        self.stable.mark.tag(&[b"store", store_epoch, id.as_bytes()])
    }

    /// Proof that this gateway wrote what the fast state holds of a question, for this reporter and this store.
    #[must_use]
    pub fn mark_of_question(&self, store_epoch: &[u8], key: &[u8; 16], value: &[u8]) -> [u8; 8] {
        self.stable.mark.tag(&[b"question", store_epoch, key, value])
    }

    /// The half of a marker that says *with this body*. The parts are exactly what a journal row holds of the body, so
    /// that markers can be made anew from the journal.
    #[must_use]
    pub fn mark_of_body(&self, id: ReportId, body: &BodyParts<'_>) -> [u8; 8] {
        self.stable.mark.tag(&[
            b"body",
            id.as_bytes(),
            body.fingerprint,
            body.harm.unwrap_or_default().as_bytes(),
            match body.money_lost {
                None => b"-",
                Some(false) => b"0",
                Some(true) => b"1",
            },
            body.province.unwrap_or_default().as_bytes(),
            &body.occurred_at_micros.to_be_bytes(),
        ])
    }
}

/// Who says what of whom.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// The subscriber who reports.
    pub reporter: Msisdn,
    /// Who sent the message.
    pub sender: &'a Sender,
    /// SMS or call.
    pub channel: Channel,
    /// What the report claims.
    pub category: Category,
    /// Keyed hash of the same-text form.
    pub text_tag: Option<&'a Tag>,
    /// A word for the sender.
    pub is_legit: bool,
}

/// What two submissions of one report id must have in common to be a retry, and not a conflict.
#[derive(PartialEq, Eq, Clone, Copy)]
pub struct BodyParts<'a> {
    /// Keyed hash of reporter, sender, channel, category and same text.
    pub fingerprint: &'a [u8],
    /// Kind of harm.
    pub harm: Option<&'a str>,
    /// Whether money was lost.
    pub money_lost: Option<bool>,
    /// Code of the province.
    pub province: Option<&'a str>,
    /// When it happened, microseconds since 1970.
    pub occurred_at_micros: i64,
}
