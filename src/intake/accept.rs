//! The path of one report, from parsed to acknowledged.

use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::journal_queue::{Entry, JournalQueue, NotAppended};
use crate::crypto::envelope::{DataKey, EnvelopeError, Sealer};
use crate::crypto::key_ring::{BodyParts, Identity, KeyRing};
use crate::domain::carrier::Attests;
use crate::domain::clock::{Clock, Moment};
use crate::domain::msisdn::Msisdn;
use crate::domain::rejection::Rejection;
use crate::domain::report::{Report, ReportId};
use crate::domain::submission::Submission;
use crate::domain::vocabulary::{EventKind, Harm, Proof, Source};
pub use crate::fast::Admission;
use crate::fast::{FastState, Probe};
use crate::store::StoreError;
use crate::store::connection::StoreLocation;
use crate::store::journal::JournalRow;
use crate::telemetry::metrics::Metrics;

/// The answer to a report that was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The same for this submission for ever.
    pub id: ReportId,
    /// The same for this submission for ever.
    pub receipt: String,
    /// When it was appended; none when it had been before.
    pub received_at: Option<Moment>,
    /// As far as is known the same person has said the same within 24 h. A hint: the builder decides.
    pub repeat: bool,
}

/// Why a report was not taken.
#[derive(Debug)]
pub enum Refused {
    /// Something in it has to be mended.
    Rejected(Rejection),
    /// Its report id stands for another body already.
    IdReused,
    /// The reporter has used up the day.
    ReporterOverQuota {
        /// Seconds until the next is taken.
        retry_after_s: u64,
    },
    /// The gateway cannot take it now; whether it is stored is not known when the append timed out.
    Unavailable(Unavailable),
    /// A fault of ours.
    Envelope(EnvelopeError),
}

/// What keeps the gateway from taking a report now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// The queue to the journal is full.
    QueueFull,
    /// The journal cannot be written.
    Store,
    /// The journal did not answer in time.
    TimedOut,
    /// The table of reporters' quotas is full.
    QuotasFull,
}

/// A submission with all that tells it from others.
pub struct Prepared {
    submission: Submission,
    identity: Identity,
    probe: Probe,
    too_old_or_early: Option<Rejection>,
}

impl Prepared {
    /// The id it will have.
    #[must_use]
    pub fn id(&self) -> ReportId {
        self.identity.id
    }
}

/// Takes back what was let in and is not appended; for whoever may have to when the intake is out of reach.
pub struct TakeBack(Arc<FastState>);

impl TakeBack {
    /// Gives the reporter back what `admission` took of the quota.
    pub fn give_back(&self, prepared: &Prepared, admission: Admission) {
        if matches!(admission, Admission::New { .. }) && prepared.too_old_or_early.is_none() {
            self.0.give_back(&prepared.probe);
        }
    }
}

/// A report that was let in.
pub enum Begun {
    /// It is stored already.
    Stored(Accepted),
    /// It is on its way to the disk.
    Appending(Appending),
}

/// A report on its way to the disk; done when it is there, or will never be.
pub struct Appending {
    accepted: Option<Accepted>,
    answer: oneshot::Receiver<Result<(), NotAppended>>,
}

impl Future for Appending {
    type Output = Result<Accepted, Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let unavailable = Refused::Unavailable(Unavailable::Store);
        Poll::Ready(match ready!(Pin::new(&mut self.answer).poll(context)) {
            Ok(Ok(())) => self.accepted.take().ok_or(unavailable),
            Ok(Err(reason)) => Err(reason.into()),
            // The writer ended without an answer: a false no is harmless, a false yes is not.
            Err(_closed) => Err(unavailable),
        })
    }
}

/// Whose word it is that a number is the reporter's.
#[derive(Clone, Copy)]
pub enum Vouched<'a> {
    /// The carrier's, for the numbers it attests.
    Carrier(&'a Attests),
    /// Ours: the number was proven in this way.
    Proven(Proof),
}

impl Vouched<'_> {
    /// How this number is proven.
    #[must_use]
    pub fn proof_of(self, reporter: Msisdn) -> Proof {
        match self {
            Self::Carrier(attests) => attests.proof_of(reporter),
            Self::Proven(proof) => proof,
        }
    }
}

/// Who sends the report.
pub struct Sender<'a> {
    /// The carrier's UUID, or [`WEB_OWNER`](crate::domain::report::WEB_OWNER).
    pub owner: Uuid,
    /// Whose word it is that the number is the reporter's.
    pub vouched: Vouched<'a>,
    /// The way it came.
    pub source: Source,
}

/// Everything that the path needs.
pub struct Intake {
    /// Tags, ids, receipts, marks.
    pub keys: Arc<KeyRing>,
    /// Envelopes.
    pub sealer: Sealer,
    /// Seen and quotas.
    pub fast: Arc<FastState>,
    /// To the journal writer.
    pub queue: Arc<JournalQueue>,
    /// The time.
    pub clock: Clock,
    /// Names the store in markers.
    pub store_epoch: RwLock<Vec<u8>>,
    /// Where the journal is.
    pub location: StoreLocation,
    /// How long an append may take before its outcome is called unknown.
    pub append_timeout: Duration,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Intake {
    /// Takes a report: answers only when it is on disk, was before, or is refused.
    ///
    /// # Errors
    /// [`Refused`]. A retry with the same submission is always safe.
    pub async fn accept(&self, from: &Sender<'_>, submission: Submission) -> Result<Accepted, Refused> {
        let prepared = self.prepare(from.owner, from.source, submission)?;
        let admission = self.admit(&prepared).await;
        match self.begin_append(from, prepared, admission)? {
            Begun::Stored(accepted) => Ok(accepted),
            Begun::Appending(appending) => match tokio::time::timeout(self.append_timeout, appending).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => Err(Refused::Unavailable(Unavailable::TimedOut)),
            },
        }
    }

    /// The first step of [`Intake::accept`], for whoever takes many at once: computes what tells this report from others.
    ///
    /// # Errors
    /// When the database was lost from sight.
    pub fn prepare(&self, owner: Uuid, source: Source, submission: Submission) -> Result<Prepared, Refused> {
        // What is remembered as stored may be gone from a database that was lost from sight: no yes without a look.
        if self.location.is_in_doubt() {
            return Err(Refused::Unavailable(Unavailable::Store));
        }
        let now = self.clock.now();
        let identity = self.keys.identify(owner, &submission);
        let probe = self.probe(owner, source, &identity, &submission, now);
        // A stored report is answered before its age is looked at: a late retry still learns that it was taken.
        let too_old_or_early = submission.check_age(now).err();
        Ok(Prepared { submission, identity, probe, too_old_or_early })
    }

    /// The second step: asks the fast state, and takes of the reporter's quota.
    pub async fn admit(&self, prepared: &Prepared) -> Admission {
        self.fast.admit(&prepared.probe, prepared.too_old_or_early.is_none()).await
    }

    /// The second step where it needs no waiting; none where it does.
    #[must_use]
    pub fn admit_at_once(&self, prepared: &Prepared) -> Option<Admission> {
        self.fast.admit_at_once(&prepared.probe, prepared.too_old_or_early.is_none())
    }

    /// The second step as a future that borrows nothing, so that many can be on their way.
    pub fn admit_later(&self, prepared: &Prepared) -> impl Future<Output = Admission> + 'static {
        let (fast, probe, take_quota) =
            (Arc::clone(&self.fast), prepared.probe.clone(), prepared.too_old_or_early.is_none());
        async move { fast.admit(&probe, take_quota).await }
    }

    /// Undoes the second step.
    #[must_use]
    pub fn take_back(&self) -> TakeBack {
        TakeBack(Arc::clone(&self.fast))
    }

    /// The third step: seals the report and queues it for the journal, unless it is stored already. Whoever drops the
    /// answer before it is there does not take the report back.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn begin_append(&self, from: &Sender<'_>, prepared: Prepared, admission: Admission) -> Result<Begun, Refused> {
        let Prepared { submission, identity, mut probe, too_old_or_early } = prepared;
        let id = identity.id;
        let accepted = |received_at, repeat| Accepted { id, receipt: id.receipt().to_string(), received_at, repeat };
        let repeat = match admission {
            Admission::Stored => {
                self.metrics.duplicates.inc();
                return Ok(Begun::Stored(accepted(None, false)));
            }
            Admission::Conflict => return Err(Refused::IdReused),
            Admission::OverQuota { retry_after_s } => return Err(Refused::ReporterOverQuota { retry_after_s }),
            Admission::Full => return Err(Refused::Unavailable(Unavailable::QuotasFull)),
            Admission::New { repeat, place } => {
                probe.place = place;
                repeat
            }
        };
        if let Some(rejection) = too_old_or_early {
            return Err(Refused::Rejected(rejection));
        }
        let accepted = accepted(Some(probe.now), repeat);
        let (reply, answer) = oneshot::channel();
        let entry = match self.seal(from, submission, identity, probe.now) {
            Ok((report, data_key)) => Entry { report, data_key, probe: Some(probe), reply: Some(reply) },
            Err(error) => {
                self.fast.give_back(&probe);
                return Err(Refused::Envelope(error));
            }
        };
        if let Err((entry, reason)) = self.queue.push(entry) {
            entry.probe.iter().for_each(|probe| self.fast.give_back(probe));
            return Err(Refused::from(reason));
        }
        Ok(Begun::Appending(Appending { accepted: Some(accepted), answer }))
    }

    /// Compares what is remembered with the database, when that was lost from sight or is another: markers of an older epoch
    /// are not believed, and what this node remembers itself is forgotten. To be called on a thread that may block.
    ///
    /// # Errors
    /// When the database cannot be read; the doubt stays.
    pub fn settle_doubt(&self) -> Result<(), StoreError> {
        let (epoch, seen) = self.location.read_epoch()?;
        let mut known = self.store_epoch.write().unwrap_or_else(PoisonError::into_inner);
        if *known != epoch {
            *known = epoch;
            self.fast.forget_seen();
        }
        drop(known);
        self.location.settle(seen);
        Ok(())
    }

    /// Names the store in markers.
    pub(super) fn epoch(&self) -> RwLockReadGuard<'_, Vec<u8>> {
        self.store_epoch.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn probe(&self, owner: Uuid, source: Source, identity: &Identity, submission: &Submission, now: Moment) -> Probe {
        let body = BodyParts {
            fingerprint: &identity.fingerprint,
            harm: submission.harm.map(Harm::as_str),
            money_lost: submission.money_lost,
            province: submission.province.as_deref(),
            occurred_at_micros: if source.tells_time() { submission.occurred_at.0 } else { 0 },
        };
        Probe {
            id: identity.id,
            store_mark: self.keys.mark_of_store(&self.epoch(), identity.id),
            body_mark: self.keys.mark_of_body(identity.id, &body),
            hint_key: mix(owner, &identity.fingerprint),
            quota_key: mix(owner, &identity.reporter_tag),
            now,
            place: None,
        }
    }

    /// Hands a row that is no report of its own to the journal writer, and waits until it is committed.
    pub(super) async fn append_event(&self, row: Report, data_key: Arc<DataKey>) -> Result<(), Refused> {
        let (reply, answer) = oneshot::channel();
        let entry = Entry { report: row, data_key, probe: None, reply: Some(reply) };
        self.queue.push(entry).map_err(|(_, reason)| Refused::from(reason))?;
        match tokio::time::timeout(self.append_timeout, answer).await {
            Ok(Ok(outcome)) => outcome.map_err(Refused::from),
            // The writer ended without an answer: a false no is harmless, a false yes is not.
            Ok(Err(_closed)) => Err(Refused::Unavailable(Unavailable::Store)),
            Err(_elapsed) => Err(Refused::Unavailable(Unavailable::TimedOut)),
        }
    }

    fn seal(
        &self,
        from: &Sender<'_>,
        submission: Submission,
        identity: Identity,
        now: Moment,
    ) -> Result<(Report, Arc<DataKey>), EnvelopeError> {
        let data_key = self.sealer.data_key(now.0)?;
        let Submission { reporter, sender, content, .. } = &submission;
        let envelope = data_key.seal(identity.id, *reporter, sender, content.as_ref())?;
        let report = Report {
            id: identity.id,
            event: EventKind::Report,
            source: from.source,
            owner: from.owner,
            reporter_tag: identity.reporter_tag,
            proof: from.vouched.proof_of(*reporter),
            sender_kind: sender.kind(),
            sender_tag: identity.sender_tag,
            channel: submission.channel,
            category: submission.category,
            harm: submission.harm,
            money_lost: submission.money_lost,
            track_tag: self.keys.track_tag(identity.id, *reporter),
            province: submission.province,
            occurred_at: submission.occurred_at,
            received_at: now,
            fingerprint: identity.fingerprint,
            text_tag: identity.text_tag,
            is_legit: submission.is_legit,
            tag_key_id: self.keys.tag_key_id(),
            data_key_id: data_key.sealed().id,
            envelope,
        };
        Ok((report, data_key))
    }
}

impl From<NotAppended> for Refused {
    fn from(reason: NotAppended) -> Self {
        Self::Unavailable(match reason {
            NotAppended::QueueFull => Unavailable::QueueFull,
            NotAppended::StoreFailed => Unavailable::Store,
            NotAppended::OutcomeUnknown => Unavailable::TimedOut,
            // Whatever passes the parser fits the table; if a row does not, that is a fault of ours, and no yes.
            NotAppended::RowRefused => Unavailable::Store,
        })
    }
}

/// One key of two: another carrier's subscriber or report is another. XOR of MACs under different inputs stays random.
pub(super) fn mix(owner: Uuid, tag: &[u8; 16]) -> [u8; 16] {
    let mut mixed = *tag;
    mixed.iter_mut().zip(owner.as_bytes()).for_each(|(to, from)| *to ^= *from);
    mixed
}

/// The marker that a journal row would have been given: to fill the fast state at start.
#[must_use]
pub fn probe_of_row(keys: &KeyRing, store_epoch: &[u8], row: &JournalRow) -> Option<Probe> {
    // An amendment's body is not the one that its report's retry has.
    if row.event != EventKind::Report {
        return None;
    }
    let id = ReportId::from_stored(&row.report_id)?;
    let owner = Uuid::from_slice(&row.owner).ok()?;
    Some(Probe {
        id,
        store_mark: keys.mark_of_store(store_epoch, id),
        body_mark: keys.mark_of_body(id, &row.body()),
        hint_key: mix(owner, row.fingerprint.as_slice().try_into().ok()?),
        quota_key: mix(owner, row.reporter_tag.as_slice().try_into().ok()?),
        now: Moment(row.received_at),
        place: None,
    })
}
