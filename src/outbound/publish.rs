//! Telling carriers of decided cases: for each decision, who is entitled, and the sender sealed to each.
//!
//! Runs where the authority's private key is. What comes out stands in the database as it will be handed out, so a node
//! that only takes reports serves the feed and opens nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::ask::seal_open_requests;
use super::sender::{CaseSpan, KnownSender, SealedSender};
use crate::crypto::envelope::{AuthorityPrivateKey, EnvelopeError};
use crate::crypto::key_ring::KeyRing;
use crate::crypto::recipient::RecipientKey;
use crate::domain::carrier::{Attests, Scope, Scopes};
use crate::domain::clock::Moment;
use crate::domain::disclosure::is_own;
use crate::store::StoreError;
use crate::store::building::find_cursor;
use crate::store::connection::{Connection, write_transaction};
use crate::store::feed::{self, DecidedRow, TermsRow};
use crate::store::webhooks::{Event, enqueue, update_body};

/// What a feed's sender is sealed for: the `info` of HPKE.
pub const SENDER_SEAL_INFO: &[u8] = b"spamgate v1 feed sender";
/// Decisions looked at in one transaction.
const DECISIONS_AT_ONCE: i64 = 100;
/// Version of what an item says. With another one all items are made anew.
const ITEM_VERSION: &[u8] = b"1";
/// Length of `YYYY-MM-DD`.
const DAY_CHARACTERS: usize = 10;

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Sealing.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// An item could not be written as JSON.
    #[error("an item of the feed could not be written")]
    Json(#[from] serde_json::Error),
}

impl From<diesel::result::Error> for PublishError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What opens and what names.
pub struct Publisher<'a> {
    /// Opens envelopes.
    pub authority: &'a AuthorityPrivateKey,
    /// Names events.
    pub ring: &'a KeyRing,
}

/// Senders of decisions that were opened in this turn.
type Senders = HashMap<i64, Option<KnownSender>>;

#[derive(Serialize)]
struct Item<'a> {
    id: String,
    case: &'a str,
    verdict: &'a str,
    reason_class: &'a str,
    category: &'a str,
    sender_kind: &'a str,
    sender: Option<SealedSender>,
    own: bool,
    reports: ByChannel,
    voices: i64,
    first_day: String,
    last_day: String,
    decided_at: String,
}

#[derive(Serialize)]
struct ByChannel {
    sms: i64,
    call: i64,
}

impl Publisher<'_> {
    /// Tells every carrier of the next decisions it has not been told of. Whether anything was done: then there may be
    /// more.
    ///
    /// # Errors
    /// What was told before the failure stays.
    pub fn publish(&self, connection: &mut Connection) -> Result<bool, PublishError> {
        let last_decision = feed::find_last_decision(connection)?;
        let mut senders = Senders::new();
        let mut is_busy = false;
        for (terms, attests, scopes) in feed::list_terms(connection)? {
            let Some(grant) = Grant::of(&attests, &scopes) else { continue };
            if terms.published_decision >= last_decision && terms.published_for == Some(made_for(&terms, &grant)) {
                continue;
            }
            is_busy |= write_transaction(connection, |connection| {
                self.publish_to(connection, &terms.carrier_id, &mut senders)
            })?;
        }
        Ok(is_busy)
    }

    fn publish_to(
        &self,
        connection: &mut Connection,
        carrier_id: &[u8],
        senders: &mut Senders,
    ) -> Result<bool, PublishError> {
        let Some(mut terms) = feed::try_lock_terms(connection, carrier_id)? else { return Ok(false) };
        // As it is now, and not as it was when the carriers were listed: a decision may be newer than that.
        let grant = feed::find_grant(connection, carrier_id)?;
        let Some(grant) = grant.and_then(|(attests, scopes)| Grant::of(&attests, &scopes)) else { return Ok(false) };
        let Some(audience) = Audience::of(&terms, &grant) else { return Ok(false) };
        let made_for = Some(made_for(&terms, &grant));
        let is_made_anew = terms.published_for != made_for;
        if is_made_anew {
            terms.published_for = made_for;
            terms.published_decision = 0;
        }
        // While counts are made anew there is nothing true to tell.
        if is_rebuilding(connection)? {
            return Ok(false);
        }
        let decided = feed::list_decided_after(connection, terms.published_decision, DECISIONS_AT_ONCE)?;
        if is_rebuilding(connection)? {
            return Ok(false);
        }
        if is_made_anew {
            seal_open_requests(connection, self.authority, carrier_id, &audience.key)?;
        }
        for row in &decided {
            let sender = match senders.entry(row.id) {
                Entry::Occupied(opened) => opened.into_mut(),
                Entry::Vacant(place) => place.insert(KnownSender::open(connection, self.authority, &span(row))?),
            };
            let sender = sender.as_ref();
            let told = self.item_for(&audience, row, sender)?;
            let replaced = feed::replace_item(
                connection,
                carrier_id,
                row.id,
                told.as_ref().map(|(is_own, body)| (*is_own, body.as_str())),
            )?;
            if let Some((is_own, body)) = &told {
                let id = self.event_id(carrier_id, row);
                let event = event_body("case.decided", &Moment(row.decided_at).to_rfc3339(), body);
                if replaced {
                    update_body(connection, carrier_id, id.as_bytes(), &event)?;
                } else {
                    terms.last_position += 1;
                    feed::insert_item(connection, carrier_id, terms.last_position, row.id, *is_own, body)?;
                    enqueue(connection, &Event { carrier_id, id: id.as_bytes(), body: &event, at: row.decided_at })?;
                }
            }
            terms.published_decision = row.id;
        }
        feed::update_progress(connection, &terms)?;
        Ok(!decided.is_empty())
    }

    fn event_id(&self, carrier_id: &[u8], row: &DecidedRow) -> uuid::Uuid {
        self.ring.event_id(carrier_id, "case.decided", row.id, row.decided_at)
    }

    /// What a carrier is told of a decision, and whether the sender is its own; none when it is told nothing.
    fn item_for(
        &self,
        audience: &Audience<'_>,
        row: &DecidedRow,
        sender: Option<&KnownSender>,
    ) -> Result<Option<(bool, String)>, PublishError> {
        let own = sender.is_some_and(|sender| is_own(audience.attests, &audience.own, sender.kind, &sender.value));
        if !own && !audience.sees_all {
            return Ok(None);
        }
        let id = self.event_id(&audience.carrier_id, row).to_string();
        let sealed = sender.map(|sender| sender.seal(&audience.key, SENDER_SEAL_INFO, &id)).transpose()?;
        let day = |micros| Moment(micros).to_rfc3339().chars().take(DAY_CHARACTERS).collect();
        let body = serde_json::to_string(&Item {
            id,
            case: &row.reference,
            verdict: &row.verdict,
            reason_class: &row.reason_class,
            category: &row.category,
            sender_kind: &row.sender_kind,
            sender: sealed,
            own,
            reports: ByChannel { sms: row.sms, call: row.calls },
            voices: row.voices,
            first_day: day(row.first_report_at),
            last_day: day(row.last_report_at),
            decided_at: Moment(row.decided_at).to_rfc3339(),
        })?;
        Ok(Some((own, body)))
    }
}

/// What the operator has granted a carrier.
struct Grant {
    attests: Attests,
    sees_all: bool,
}

impl Grant {
    /// None when it is told of no cases.
    fn of(attests: &str, scopes: &str) -> Option<Self> {
        let scopes = Scopes::parse(scopes).ok().filter(|scopes| scopes.has(Scope::Feed))?;
        Some(Self { attests: Attests::parse(attests).ok()?, sees_all: scopes.has(Scope::FeedAll) })
    }
}

/// A carrier that is told of cases.
struct Audience<'a> {
    carrier_id: Vec<u8>,
    sees_all: bool,
    attests: &'a Attests,
    own: Vec<String>,
    key: RecipientKey,
}

impl<'a> Audience<'a> {
    /// None when it has no key any more.
    fn of(terms: &TermsRow, grant: &'a Grant) -> Option<Self> {
        let own = match Attests::parse(&terms.own_prefixes) {
            Ok(Attests::Prefixes(prefixes)) => prefixes,
            _ => Vec::new(),
        };
        Some(Self {
            carrier_id: terms.carrier_id.clone(),
            sees_all: grant.sees_all,
            attests: &grant.attests,
            own,
            key: RecipientKey::from_bytes(terms.public_key.as_deref()?).ok()?,
        })
    }
}

/// Counts the decisions that some carrier has not been told of, though it is to be told of decisions. Whatever it is told
/// anew after a change of its terms counts as well.
///
/// # Errors
/// As the database says.
pub fn count_untold(connection: &mut Connection) -> Result<i64, StoreError> {
    let told = feed::list_terms(connection)?.into_iter().filter_map(|(terms, attests, scopes)| {
        let grant = Grant::of(&attests, &scopes)?;
        let is_current = terms.published_for.as_ref() == Some(&made_for(&terms, &grant));
        Some(if is_current { terms.published_decision } else { 0 })
    });
    match told.min() {
        Some(decision) => Ok(feed::count_decisions_after(connection, decision)?),
        None => Ok(0),
    }
}

/// Names what items are made for: with other terms, another key or another version they are made anew.
fn made_for(terms: &TermsRow, grant: &Grant) -> Vec<u8> {
    let mut hash = Sha256::new();
    let key = terms.public_key.as_deref().unwrap_or_default();
    let attests = grant.attests.to_text();
    let sees = [u8::from(grant.sees_all)];
    for part in [ITEM_VERSION, &sees, terms.own_prefixes.as_bytes(), attests.as_bytes(), key] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().to_vec()
}

/// An event as webhooks carry it, round the JSON of what it is about.
pub(super) fn event_body(kind: &str, timestamp: &str, data: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"timestamp\":\"{timestamp}\",\"data\":{data}}}")
}

fn span(row: &DecidedRow) -> CaseSpan<'_> {
    CaseSpan {
        reference: &row.reference,
        group_key: &row.group_key,
        opened_seq: row.opened_seq,
        closed_seq: row.closed_seq,
    }
}

fn is_rebuilding(connection: &mut Connection) -> Result<bool, StoreError> {
    let cursor = find_cursor(connection)?;
    Ok(cursor.seq < cursor.furthest_seq)
}
