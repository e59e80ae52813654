//! # spamgate
//!
//! A gateway that takes reports of spam, scam and fake-news SMS and calls, each tied to a mobile subscription, and
//! builds the cases that a telecom authority reviews. It keeps numbers only as keyed tags and sealed envelopes.
//!
//! # The path of a report
//!
//! ```text
//!  POST /v1/reports                         (many: POST /v1/reports/batch, carrier_api/batch.rs)
//!        │
//!        ▼
//!  http/routes.rs ──► carrier_api/post_report.rs
//!        │   carrier_api/authenticate.rs   whose API key is it; has this carrier anything left of its rate limit?
//!        │   carrier_api/signatures/         is it signed as this carrier has to?
//!        │   http/body.rs                  JSON within its bounds, or a problem document (http/problem.rs)
//!        │   domain/submission.rs          raw strings become Msisdn, Sender, Content … or a Rejection with its field
//!        ▼
//!  intake/accept.rs
//!        │   crypto/key_ring.rs            report id, receipt, tags and fingerprint are computed, not drawn
//!        │   fast/                         1 seen: is this report id stored already? yes ──► 200, the same id
//!        │                                 2 quota of the reporter, only for what was not seen
//!        │   crypto/envelope.rs            reporter, sender and content are sealed for the authority
//!        ▼
//!  intake/journal_queue.rs                 3 append: bounded; full ──► 503 with Retry-After, at once
//!        │
//!        ▼   (one thread)
//!  intake/journal_writer.rs                one commit for all that is queued, synced to disk   ── the promise ──
//!        │                                 4 mark: the fast state learns what is stored; then 201 to each
//!        ▼
//!  store/journal.rs ═══► journal           append only, in order (SQLite: journal.db; PostgreSQL: a schema)
//!        │
//!        ▼   (one thread, behind)
//!  casework/builder.rs                     reads the journal in slices; one transaction each, cursor included
//!        │   casework/slice.rs             twin of a report id? dropped. Same fingerprint within 24 h? linked, no voice.
//!        │   domain/grouping.rs            else it is counted in the case of its grouping key
//!        ▼
//!  store/building.rs ═══► the rest         cases, voices, totals, index of reports (SQLite: spamgate.db)
//!        │
//!        ▼
//!  carrier_api/get_report.rs, cli/cases.rs read them
//!        │   store/cases.rs                a decision closes a case
//!        ▼   (two threads, where the authority's private key is)
//!  outbound/publish.rs                     the sender is opened and sealed to each carrier that is told
//!  outbound/dispatch.rs                    and webhooks are called; carrier_api/get_feed.rs reads what was sealed
//! ```
//!
//! A subscriber's SMS comes by `carrier_api/mo/`: `domain/mo_syntax.rs` reads it, `domain/mo_reply.rs` says what the
//! subscriber is told, and from `intake/accept.rs` on it is a report like any other. Who was not named may be told later:
//! `intake/question.rs`, and in the counts `casework/amendment.rs`.
//!
//! A number of somebody who is no carrier is proven by a code: `verify/`, apart from the path above.
//!
//! A citizen's report comes by `citizen/`, once `verify/` has proven its number; from `intake/accept.rs` on it, too, is like
//! any other.
//!
//! Two rules carry the whole: a report is acknowledged only after the commit that holds it, and what counts is decided
//! by the builder from the journal alone. The fast state only hurries; whatever it loses, the result is the same.
//!
//! Dependencies point one way: `http` and `carrier_api` use `intake`, `casework` and `verify`, and `http` asks `outbound` how it does;
//! these use `store` and `fast`, and all use `domain` and `crypto`, which know nothing of HTTP, SQL or Redis.

pub mod carrier_api;
pub mod casework;
pub mod citizen;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod dial;
pub mod domain;
pub mod enrol;
pub mod fast;
pub mod http;
pub mod intake;
pub mod outbound;
pub mod startup;
pub mod store;
pub mod telemetry;
pub mod verify;
