//! `spamgate cases …`.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use uuid::Uuid;

use crate::carrier_api::post_answer::NOTE_SEAL_INFO;
use crate::citizen::evidence::EVIDENCE_SEAL_INFO;
use crate::citizen::respond::RESPONSE_SEAL_INFO;
use crate::config::Config;
use crate::crypto::envelope::AuthorityPrivateKey;
use crate::domain::clock::{Clock, MICROS_PER_DAY, Moment};
use crate::domain::request::RequestKind;
use crate::domain::vocabulary::{CaseStatus, Channel, EvidenceKind, ReasonClass};
use crate::outbound::ask::{Ask, ask};
use crate::startup;
use crate::store::building::MIXED;
use crate::store::cases::{self, CaseRow, Decided, Decision, DecisionRow};
use crate::store::evidence::{EvidenceRow, list_evidence_of_case};
use crate::store::requests::{RequestOfCase, list_requests_of_case};
use crate::store::responses::find_response;

/// As many digits in a row are taken for a phone number.
const NUMBER_MIN_DIGITS: usize = 9;
/// The longest reason for a decision, characters.
const REASON_MAX_CHARACTERS: usize = 2_000;

#[derive(Subcommand)]
pub(super) enum CasesCommand {
    /// List cases, most voices first.
    List {
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = i64::MAX, hide_default_value = true)]
        limit: i64,
        /// Print a JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Show one case with its decisions, and what was asked of carriers.
    Show {
        /// Such as `VN-2026-7K3QXWA4`, in any case.
        reference: String,
        /// Open the notes of carriers' answers. They may hold personal data, and need the authority's key.
        #[arg(long)]
        open_notes: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Open the files that reporters of a case have added, with the authority's private key, and write them to a directory.
    Evidence {
        /// Such as `VN-2026-7K3QXWA4`, in any case.
        reference: String,
        /// Where to, made if it is missing. A file that is there already stays as it is.
        #[arg(long, value_name = "DIRECTORY")]
        out: PathBuf,
    },
    /// Decide a case. Further reports about the same open a new one.
    Decide {
        /// Such as `VN-2026-7K3QXWA4`, in any case.
        reference: String,
        /// What was found.
        #[arg(long)]
        verdict: Verdict,
        /// What kind of reason it is; carriers are told this alone. A case is upheld for a `violation`.
        #[arg(long, value_name = "CLASS", value_parser = parse_class, help = class_help())]
        class: Option<ReasonClass>,
        /// Why, in words that can be shown to both sides.
        #[arg(long)]
        reason: String,
        /// Who decides.
        #[arg(long)]
        by: String,
    },
    /// Ask a carrier to check or do something about a case. It reads the sender with its own key.
    Request {
        /// Such as `VN-2026-7K3QXWA4`, in any case.
        reference: String,
        /// Whom, by name.
        #[arg(long)]
        carrier: String,
        /// What: check_subscriber, warn_subscriber, suspend_service, trace_origin or preserve_records.
        #[arg(long, value_parser = parse_kind)]
        kind: RequestKind,
        /// More about it, for the carrier. Kept in clear: no number may stand in it.
        #[arg(long)]
        note: Option<String>,
        /// Days until an answer is due.
        #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(i64).range(1..=365))]
        due_days: i64,
        /// Who asks.
        #[arg(long)]
        by: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Verdict {
    /// The reports are right.
    Upheld,
    /// They are not, or what was said is lawful expression.
    Dismissed,
}

#[derive(Serialize)]
struct Row<'a> {
    reference: &'a str,
    status: &'a str,
    category: &'a str,
    channel: &'a str,
    sender_kind: &'a str,
    reports: i64,
    voices: i64,
    counter_voices: i64,
    first_report_at: String,
    last_report_at: String,
}

impl<'a> Row<'a> {
    fn of(case: &'a CaseRow) -> Self {
        let channel = match (case.sms > 0, case.calls > 0) {
            (true, true) => MIXED,
            (false, true) => Channel::Call.as_str(),
            (true | false, false) => Channel::Sms.as_str(),
        };
        Self {
            reference: &case.reference,
            status: &case.status,
            category: &case.category,
            channel,
            sender_kind: &case.sender_kind,
            reports: case.reports,
            voices: case.voices,
            counter_voices: case.counter_voices,
            first_report_at: Moment(case.first_report_at).to_rfc3339(),
            last_report_at: Moment(case.last_report_at).to_rfc3339(),
        }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    repeats: i64,
    foreign_voices: i64,
    money_lost: i64,
    reports_by_channel: ByChannel,
    reports_by_source: BySource,
    decisions: Vec<ShownDecision<'a>>,
    requests: Vec<ShownRequest>,
    /// What the other side answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<ShownResponse>,
}

#[derive(Serialize)]
struct ShownResponse {
    received_at: String,
    /// Only when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl ShownResponse {
    /// With `authority`, the text is opened.
    fn of((id, body, at): &(Vec<u8>, String, i64), authority: Option<&AuthorityPrivateKey>) -> anyhow::Result<Self> {
        let text = authority.map(|authority| authority.open_text(RESPONSE_SEAL_INFO, id, body)).transpose()?;
        Ok(Self { received_at: Moment(*at).to_rfc3339(), text })
    }
}

#[derive(Serialize)]
struct ShownRequest {
    id: Uuid,
    carrier: String,
    kind: String,
    requested_by: String,
    requested_at: String,
    due_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<ShownAnswer>,
}

#[derive(Serialize)]
struct ShownAnswer {
    outcome: String,
    answered_at: String,
    has_note: bool,
    /// Only when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl ShownRequest {
    /// With `authority`, notes are opened.
    fn of(request: RequestOfCase, authority: Option<&AuthorityPrivateKey>) -> anyhow::Result<Self> {
        let id = Uuid::from_slice(&request.id)?;
        let note = match (authority, &request.note) {
            (Some(authority), Some(sealed)) => Some(authority.open_text(NOTE_SEAL_INFO, id.as_bytes(), sealed)?),
            _ => None,
        };
        let answer = request.outcome.zip(request.answered_at).map(|(outcome, at)| ShownAnswer {
            outcome,
            answered_at: Moment(at).to_rfc3339(),
            has_note: request.note.is_some(),
            note,
        });
        Ok(Self {
            id,
            carrier: request.carrier,
            kind: request.kind,
            requested_by: request.requested_by,
            requested_at: Moment(request.requested_at).to_rfc3339(),
            due_at: Moment(request.due_at).to_rfc3339(),
            answer,
        })
    }
}

#[derive(Serialize)]
struct ByChannel {
    sms: i64,
    call: i64,
}

#[derive(Serialize)]
struct BySource {
    carrier_api: i64,
    carrier_batch: i64,
    carrier_mo: i64,
    web: i64,
}

#[derive(Serialize)]
struct ShownDecision<'a> {
    verdict: &'a str,
    reason_class: &'a str,
    reason: &'a str,
    decided_by: &'a str,
    decided_at: String,
}

pub(super) fn run(command: CasesCommand, config: &Config, data: &Path) -> anyhow::Result<()> {
    super::require_data(config, data)?;
    let (_, mut connection) = startup::open_store(config, data)?;
    match command {
        CasesCommand::List { limit, json } => list(&mut connection, limit, json),
        CasesCommand::Show { reference, open_notes, json } => {
            let reference = reference.to_ascii_uppercase();
            let found = cases::find_case(&mut connection, &reference)?;
            let (case, decisions) = found.ok_or_else(|| anyhow::anyhow!("there is no case {reference}"))?;
            let authority = if open_notes { Some(authority_key(config, data)?) } else { None };
            let requests = list_requests_of_case(&mut connection, &reference)?
                .into_iter()
                .map(|request| ShownRequest::of(request, authority.as_ref()))
                .collect::<anyhow::Result<Vec<_>>>()?;
            let response = find_response(&mut connection, &reference)?
                .map(|response| ShownResponse::of(&response, authority.as_ref()))
                .transpose()?;
            show(&case, &decisions, requests, response, json)
        }
        CasesCommand::Evidence { reference, out } => {
            let authority = authority_key(config, data)?;
            let files = list_evidence_of_case(&mut connection, &reference.to_ascii_uppercase())?;
            write_evidence(&files, &authority, &out)
        }
        CasesCommand::Request { reference, carrier, kind, note, due_days, by } => {
            let note = note.filter(|note| !note.trim().is_empty());
            let text = note.as_deref().unwrap_or_default();
            anyhow::ensure!(!by.trim().is_empty(), "--by must say something");
            anyhow::ensure!(
                text.chars().count() <= REASON_MAX_CHARACTERS,
                "--note may have {REASON_MAX_CHARACTERS} characters"
            );
            anyhow::ensure!(
                !holds_a_number(text) && !holds_a_number(&by),
                "--note or --by seems to hold a phone number: both are kept in clear, so write it without"
            );
            let authority = authority_key(config, data)?;
            let at = Clock::System.now();
            let due_at = Moment(at.0.saturating_add(due_days.saturating_mul(MICROS_PER_DAY)));
            let reference = reference.to_ascii_uppercase();
            let asked =
                Ask { reference: &reference, carrier: &carrier, kind, note: note.as_deref(), by: &by, at, due_at };
            let id = ask(&mut connection, &authority, &asked)?;
            Ok(writeln!(io::stdout(), "Asked `{carrier}`: request {id}, due {}.", due_at.to_rfc3339())?)
        }
        CasesCommand::Decide { reference, verdict, class, reason, by } => {
            anyhow::ensure!(!reason.trim().is_empty() && !by.trim().is_empty(), "--reason and --by must say something");
            anyhow::ensure!(
                reason.chars().count() <= REASON_MAX_CHARACTERS,
                "--reason may have {REASON_MAX_CHARACTERS} characters"
            );
            anyhow::ensure!(
                !holds_a_number(&reason) && !holds_a_number(&by),
                "--reason or --by seems to hold a phone number: both are kept in clear, so write it without"
            );
            let verdict = match verdict {
                Verdict::Upheld => CaseStatus::Upheld,
                Verdict::Dismissed => CaseStatus::Dismissed,
            };
            let reason_class = reason_class(verdict, class)?;
            let decided_at = Clock::System.now();
            let decision = Decision { verdict, reason_class, reason: &reason, decided_by: &by, decided_at };
            let reference = reference.to_ascii_uppercase();
            match cases::decide_case(&mut connection, &reference, &decision)? {
                Decided::Closed => Ok(writeln!(io::stdout(), "{reference} is {}.", verdict.as_str())?),
                Decided::NotFound => Err(anyhow::anyhow!("there is no case {reference}")),
                Decided::Rebuilding => {
                    Err(anyhow::anyhow!("cases are being rebuilt: decide when `spamgate rebuild` has ended"))
                }
                Decided::AlreadyClosed => Err(anyhow::anyhow!("{reference} was decided before")),
            }
        }
    }
}

/// The class of a decision: an upheld case is upheld for a violation, and a dismissed one for anything else.
fn reason_class(verdict: CaseStatus, class: Option<ReasonClass>) -> anyhow::Result<ReasonClass> {
    match (verdict, class) {
        (CaseStatus::Upheld, None | Some(ReasonClass::Violation)) => Ok(ReasonClass::Violation),
        (CaseStatus::Upheld, Some(_)) => Err(anyhow::anyhow!("a case is upheld for a `violation` and nothing else")),
        (_, Some(ReasonClass::Violation)) => Err(anyhow::anyhow!("a case is not dismissed for a `violation`")),
        (_, class) => Ok(class.unwrap_or(ReasonClass::Other)),
    }
}

fn parse_class(word: &str) -> Result<ReasonClass, String> {
    ReasonClass::parse(word).ok_or_else(|| format!("one of {}", class_words()))
}

fn class_words() -> String {
    ReasonClass::ALL.iter().map(|class| class.as_str()).collect::<Vec<_>>().join(", ")
}

fn class_help() -> String {
    let told = "What kind of reason it is; carriers are told this alone. A case is upheld for a `violation`.";
    format!("{told} One of {}", class_words())
}

/// The key that opens envelopes.
fn write_evidence(files: &[EvidenceRow], authority: &AuthorityPrivateKey, out: &Path) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(out)?;
    let mut printed = io::stdout().lock();
    for file in files {
        let aad = [file.report_id.as_slice(), &file.content_tag].concat();
        let bytes = authority.open_bytes(EVIDENCE_SEAL_INFO, &aad, &file.body)?;
        let report = Uuid::from_slice(&file.report_id)?;
        let extension = EvidenceKind::parse(&file.kind).map_or("bin", EvidenceKind::extension);
        let path = out.join(format!("{report}-{}.{extension}", file.place));
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(&bytes)?;
        writeln!(printed, "{}", path.display())?;
    }
    Ok(())
}

fn authority_key(config: &Config, data: &Path) -> anyhow::Result<AuthorityPrivateKey> {
    let keys = startup::open(config, data)?.keys;
    keys.authority_private.ok_or_else(|| anyhow::anyhow!("this node holds no private key: run it on a review node"))
}

fn parse_kind(word: &str) -> Result<RequestKind, String> {
    RequestKind::parse(word).ok_or_else(|| {
        let words: Vec<&str> = RequestKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("one of {}", words.join(", "))
    })
}

/// Whether a text has as many digits as a phone number with no letter between them.
fn holds_a_number(text: &str) -> bool {
    let mut digits = 0;
    text.chars().any(|character| {
        match character {
            _ if character.is_numeric() => digits += 1,
            _ if character.is_alphabetic() => digits = 0,
            _ => {}
        }
        digits >= NUMBER_MIN_DIGITS
    })
}

fn list(connection: &mut crate::store::connection::Connection, limit: i64, json: bool) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut is_first = true;
    if json {
        write!(out, "[")?;
    } else {
        writeln!(
            out,
            "{:<17} {:<9} {:<9} {:<7} {:<10} {:>8} {:>8} {:>8}  last report",
            "reference", "status", "category", "channel", "sender", "reports", "voices", "counter"
        )?;
    }
    for case in &cases::list_cases(connection, limit)? {
        let row = Row::of(case);
        if json {
            // One case a line, so that line tools read it too.
            write!(out, "{}{}", if is_first { "\n" } else { ",\n" }, serde_json::to_string(&row)?)?;
            is_first = false;
        } else {
            writeln!(
                out,
                "{:<17} {:<9} {:<9} {:<7} {:<10} {:>8} {:>8} {:>8}  {}",
                row.reference,
                row.status,
                row.category,
                row.channel,
                row.sender_kind,
                row.reports,
                row.voices,
                row.counter_voices,
                row.last_report_at
            )?;
        }
    }
    if json {
        writeln!(out, "\n]")?;
    }
    Ok(out.flush()?)
}

fn show(
    case: &CaseRow,
    decisions: &[DecisionRow],
    requests: Vec<ShownRequest>,
    response: Option<ShownResponse>,
    json: bool,
) -> anyhow::Result<()> {
    let shown = Shown {
        row: Row::of(case),
        repeats: case.repeats,
        foreign_voices: case.foreign_voices,
        money_lost: case.money_lost,
        reports_by_channel: ByChannel { sms: case.sms, call: case.calls },
        reports_by_source: BySource {
            carrier_api: case.carrier_api,
            carrier_batch: case.carrier_batch,
            carrier_mo: case.carrier_mo,
            web: case.web,
        },
        decisions: decisions
            .iter()
            .map(|decision| ShownDecision {
                verdict: &decision.verdict,
                reason_class: &decision.reason_class,
                reason: &decision.reason,
                decided_by: &decision.decided_by,
                decided_at: Moment(decision.decided_at).to_rfc3339(),
            })
            .collect(),
        requests,
        response,
    };
    let mut out = io::stdout().lock();
    if json {
        return Ok(writeln!(out, "{}", serde_json::to_string(&shown)?)?);
    }
    writeln!(out, "{}  {}  {}", shown.row.reference, shown.row.category, shown.row.status)?;
    writeln!(out, "  sender       {}", shown.row.sender_kind)?;
    writeln!(out, "  channel      {} ({} SMS, {} calls)", shown.row.channel, case.sms, case.calls)?;
    writeln!(out, "  reports      {}, {} of them repeats", case.reports, case.repeats)?;
    writeln!(out, "  voices       {}, {} of them not attested", case.voices, case.foreign_voices)?;
    writeln!(out, "  counter      {} whose latest word is that the messages were wanted", case.counter_voices)?;
    writeln!(out, "  money lost   {}", case.money_lost)?;
    writeln!(out, "  first, last  {}, {}", shown.row.first_report_at, shown.row.last_report_at)?;
    for decision in &shown.decisions {
        writeln!(
            out,
            "  {} {} ({}) by {}: {}",
            decision.decided_at, decision.verdict, decision.reason_class, decision.decided_by, decision.reason
        )?;
    }
    for request in &shown.requests {
        write!(
            out,
            "  {} asked `{}`: {}, due {}",
            request.requested_at, request.carrier, request.kind, request.due_at
        )?;
        match &request.answer {
            Some(answer) => {
                let note = answer.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
                writeln!(out, "; {} {}{note}", answer.answered_at, answer.outcome)?;
            }
            None => writeln!(out, "; not answered")?,
        }
    }
    if let Some(response) = &shown.response {
        let text = response.text.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        writeln!(out, "  {} the other side answered{text}", response.received_at)?;
    }
    Ok(())
}
