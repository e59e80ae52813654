//! A reporter takes a report back: it counts nowhere any more, nothing of it is kept but its id, and a rebuild comes to the
//! same.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use diesel::prelude::*;
use spamgate::casework::blanking::blank_some;
use spamgate::casework::builder::{begin_rebuild, build_slice};
use spamgate::domain::check_char;
use spamgate::domain::clock::Moment;
use spamgate::domain::msisdn::Msisdn;
use spamgate::domain::report::{REPEAT_WINDOW_MICROS, Receipt, ReportId, WEB_OWNER};
use spamgate::domain::sender;
use spamgate::domain::submission::{RawReport, Submission};
use spamgate::domain::vocabulary::{CaseStatus, Proof, ReasonClass, ReportStatus, Source};
use spamgate::intake::accept::{Accepted, Sender, Vouched};
use spamgate::intake::question::Question;
use spamgate::store::cases::{Decided, Decision, decide_case, list_cases};
use spamgate::store::connection::Connection;
use spamgate::store::reports::{TrackLookUp, Tracked, find_tracked};
use spamgate::store::schema::{amended_reports, caseless_figures, counted_fingerprints, report_index, reports, voices};
use spamgate::store::withdrawing::has_rows_to_blank;

use crate::support::{Engine, ReportBody, TestApp, on_every_engine, report, reporter, wait_until};

const BLANK_WAIT: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// What the form hands in.
const FORM: Sender<'static> = Sender { owner: WEB_OWNER, vouched: Vouched::Proven(Proof::Otp), source: Source::Web };

fn submission(app: &TestApp, body: &ReportBody, is_legit: bool) -> Submission {
    let json = body.to_string();
    let raw: RawReport<'_> = serde_json::from_str(&json).unwrap();
    let mut submission = Submission::parse(&raw, &app.app().region).unwrap();
    submission.is_legit = is_legit;
    submission
}

/// Hands in a report by the form.
async fn hand_in(app: &TestApp, body: &ReportBody) -> Accepted {
    app.app().intake.accept(&FORM, submission(app, body, false)).await.unwrap()
}

fn msisdn(app: &TestApp, typed: &str) -> Msisdn {
    submission(app, &report("x").with("reporter", typed), false).reporter
}

async fn withdraw(app: &TestApp, id: ReportId, typed: &str) {
    let reporter = msisdn(app, typed);
    app.app().intake.withdraw(id, reporter).await.unwrap();
}

/// Tells the sender of a report that was handed in with a hidden one.
async fn amend(app: &TestApp, id: ReportId, body: &ReportBody, typed_sender: &str) {
    let hidden = submission(app, body, false);
    let sender = sender::parse(typed_sender, app.app().region.home).ok().unwrap().sender;
    let keys = &app.app().intake.keys;
    let question = Question {
        report: id,
        channel: hidden.channel,
        category: hidden.category,
        text_tag: hidden.content.as_ref().map(|content| keys.text_tag(content)),
        occurred_at: hidden.occurred_at,
        asked_at: app.now(),
        tag_key_id: keys.tag_key_id(),
        answer: None,
    };
    app.app().intake.amend(&FORM, &question, hidden.reporter, &sender).await.unwrap();
}

/// Waits until everything is built in and what is due is blank.
async fn settle(app: &TestApp) {
    app.wait_until_built().await;
    let mut connection = app.connection();
    wait_until("withdrawn rows are blank", BLANK_WAIT, async || !has_rows_to_blank(&mut connection).unwrap()).await;
}

fn decide(connection: &mut Connection, reference: &str, at: Moment) {
    let decision = Decision {
        verdict: CaseStatus::Upheld,
        reason_class: ReasonClass::Violation,
        reason: "seen",
        decided_by: "tester",
        decided_at: at,
    };
    assert_eq!(decide_case(connection, reference, &decision).unwrap(), Decided::Closed);
}

async fn status(app: &TestApp, id: &str) -> String {
    app.get(id).await.expect_status(200).string("status").to_owned()
}

fn track(app: &TestApp, receipt: &str, last_four: &[u8; 4]) -> Option<Tracked> {
    let keys = &app.app().intake.keys;
    let receipt = Receipt::parse(receipt).unwrap();
    match find_tracked(&mut app.connection(), &receipt, |id| keys.track_tag_of(id, last_four)).unwrap() {
        TrackLookUp::Found(tracked) => Some(tracked),
        TrackLookUp::OtherDigits | TrackLookUp::NotFound => None,
        TrackLookUp::TooFarBehind => panic!("the builder is near"),
    }
}

/// Everything derived, as text. `seq` of PostgreSQL is large, and the same in a rebuild.
fn derived(connection: &mut Connection) -> Vec<String> {
    let mut rows = Vec::new();
    let totals = list_cases(connection, i64::MAX).unwrap();
    rows.extend(totals.iter().map(|t| {
        format!(
            "{} {} {} {}/{} {}-{}+{} {}/{} {}.{}.{}.{} {} {}..{}",
            t.reference,
            t.status,
            t.sender_kind,
            t.reports,
            t.repeats,
            t.voices,
            t.foreign_voices,
            t.counter_voices,
            t.sms,
            t.calls,
            t.carrier_api,
            t.carrier_batch,
            t.carrier_mo,
            t.web,
            t.money_lost,
            t.first_report_at,
            t.last_report_at
        )
    }));
    let all = voices::table.load::<(i64, Vec<u8>, i64, String, Vec<u8>, bool)>(connection).unwrap();
    rows.extend(all.iter().map(|row| format!("voice {row:?}")));
    let all = report_index::table
        .load::<(Vec<u8>, i64, Vec<u8>, Option<i64>, Option<Vec<u8>>, bool, Option<i64>)>(connection)
        .unwrap();
    rows.extend(all.iter().map(|row| format!("index {row:?}")));
    let all = caseless_figures::table.load::<(i64, String, String, String, i64)>(connection).unwrap();
    rows.extend(all.iter().map(|row| format!("figure {row:?}")));
    let all = counted_fingerprints::table.load::<(Vec<u8>, Vec<u8>, Option<i64>, i64)>(connection).unwrap();
    // When older ones are swept depends on how slices are cut.
    let newest = all.iter().map(|row| row.3).max().unwrap_or_default();
    let in_window = all.iter().filter(|row| newest - row.3 < REPEAT_WINDOW_MICROS);
    rows.extend(in_window.map(|row| format!("counted {row:?}")));
    let all = amended_reports::table.load::<(Vec<u8>, i64, Option<i64>, Option<Vec<u8>>)>(connection).unwrap();
    rows.extend(all.iter().map(|row| format!("amended {row:?}")));
    rows.sort();
    rows
}

fn rebuild(connection: &mut Connection, slice_rows: i64) -> Vec<String> {
    begin_rebuild(connection).unwrap();
    while build_slice(connection, "VN", slice_rows).unwrap().rows > 0 {}
    derived(connection)
}

#[track_caller]
fn assert_same(before: &[String], after: &[String], what: &str) {
    let only = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter().filter(|row| !other.contains(row)).cloned().collect()
    };
    assert!(before == after, "{what}\nonly before: {:#?}\nonly after: {:#?}", only(before, after), only(after, before));
}

/// Stops the gateway, and compares what it came to with rebuilds in slices of several lengths.
async fn expect_the_same_after_a_rebuild(app: &TestApp) {
    settle(app).await;
    app.stop().await;
    let mut connection = app.connection();
    let live = derived(&mut connection);
    for slice_rows in [1, 2, 7, 10_000] {
        let again = rebuild(&mut connection, slice_rows);
        assert_same(&live, &again, &format!("after a rebuild in slices of {slice_rows}"));
    }
    drop(connection);
    app.start_again().await;
}

/// What the journal and the index keep of a report's rows: reporter, sender, text, fingerprint, track tag, envelope.
fn kept_bytes(connection: &mut Connection, id: ReportId) -> Vec<(String, usize)> {
    type Row = (String, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>, Vec<u8>, Vec<u8>);
    let rows = reports::table
        .filter(reports::report_id.eq(id.as_bytes().as_slice()))
        .order(reports::seq)
        .select((
            reports::event_kind,
            reports::reporter_tag,
            reports::sender_tag,
            reports::text_tag,
            reports::similarity,
            reports::fingerprint,
            reports::track_tag,
            reports::envelope,
        ))
        .load::<Row>(connection)
        .unwrap();
    let length = |row: Row| {
        let optional = [row.2, row.3, row.4].into_iter().flatten().map(|bytes| bytes.len()).sum::<usize>();
        (row.0, row.1.len() + optional + row.5.len() + row.6.len() + row.7.len())
    };
    rows.into_iter().map(length).collect()
}

fn reporter_tag(app: &TestApp, typed: &str) -> Vec<u8> {
    app.app().intake.keys.reporter_tag(msisdn(app, typed)).to_vec()
}

fn voices_of(connection: &mut Connection, tag: &[u8]) -> i64 {
    voices::table.filter(voices::reporter_tag.eq(tag)).count().get_result(connection).unwrap()
}

on_every_engine! {
    async fn a_report_by_the_form_is_counted_as_one_and_found_by_receipt_and_digits(app: TestApp) {
        let accepted = hand_in(&app, &report("token-1")).await;
        // At once, and when it is built in.
        for _ in 0..2 {
            let tracked = track(&app, &accepted.receipt, b"5678").unwrap();
            assert_eq!((tracked.report_id, tracked.source), (accepted.id, Source::Web));
            assert!(track(&app, &accepted.receipt, b"5679").is_none());
            app.wait_until_built().await;
        }
        let case = app.only_case().await;
        assert_eq!((case.web, case.voices, case.foreign_voices), (1, 1, 0));
        let tracked = track(&app, &accepted.receipt.to_lowercase(), b"5678").unwrap();
        let found = tracked.case.unwrap();
        assert_eq!((tracked.status, found.reference.as_str()), (ReportStatus::Counted, case.reference.as_str()));
        assert_eq!((found.status, found.decided_at, found.reason_class), (CaseStatus::Open, None, None));
        decide(&mut app.connection(), &case.reference, app.now());
        let found = track(&app, &accepted.receipt, b"5678").unwrap().case.unwrap();
        assert_eq!((found.status, found.decided_at), (CaseStatus::Upheld, Some(app.now())));
        assert_eq!(found.reason_class, Some(ReasonClass::Violation));
        // A receipt that nobody has.
        let unknown = check_char::encode(&[0x55; 7], 11);
        assert!(track(&app, &unknown, b"5678").is_none());
    }

    async fn a_report_of_a_carrier_is_found_by_its_receipt_too(app: TestApp) {
        let answer = app.post(&report("r-1")).await.expect_status(201);
        let tracked = track(&app, answer.string("receipt"), b"5678").unwrap();
        assert_eq!(tracked.report_id.to_string(), answer.id());
        assert_eq!(tracked.source, Source::CarrierApi);
    }

    async fn a_withdrawn_report_counts_nowhere_and_nothing_of_it_is_left(app: TestApp) {
        let answer = app.post(&report("r-1")).await.expect_status(201);
        app.post(&report("r-2").with("reporter", reporter(2))).await.expect_status(201);
        assert_eq!(app.only_case().await.voices, 2);
        let id = ReportId::parse(answer.id()).unwrap();
        withdraw(&app, id, "0912345678").await;
        // Harmless.
        withdraw(&app, id, "0912345678").await;
        settle(&app).await;
        let case = app.only_case().await;
        assert_eq!((case.reports, case.voices), (1, 1));
        let found = app.get(answer.id()).await.expect_status(200);
        assert_eq!(found.string("status"), "withdrawn");
        assert!(found.json.get("case").is_none());
        let kept = kept_bytes(&mut app.connection(), id);
        assert_eq!(kept, [("report".to_owned(), 0), ("withdrawal".to_owned(), 0), ("withdrawal".to_owned(), 0)]);
        assert_eq!(voices_of(&mut app.connection(), &reporter_tag(&app, "0912345678")), 0);
        assert!(track(&app, answer.string("receipt"), b"5678").is_none());
        expect_the_same_after_a_rebuild(&app).await;
    }

    async fn only_its_reporter_takes_a_report_back(app: TestApp) {
        let accepted = hand_in(&app, &report("token-1")).await;
        withdraw(&app, accepted.id, "0912345679").await;
        settle(&app).await;
        assert_eq!(app.only_case().await.voices, 1);
        assert!(track(&app, &accepted.receipt, b"5678").is_some());
        withdraw(&app, accepted.id, "0912345678").await;
        settle(&app).await;
        assert!(app.cases().await.is_empty());
        // What the other one tried is gone too.
        assert!(kept_bytes(&mut app.connection(), accepted.id).iter().all(|(_, bytes)| *bytes == 0));
        expect_the_same_after_a_rebuild(&app).await;
    }

    async fn a_retry_does_not_bring_a_withdrawn_report_back(app: TestApp) {
        let answer = app.post(&report("r-1")).await.expect_status(201);
        let id = ReportId::parse(answer.id()).unwrap();
        // A twin before, and twins after: one that is forgotten, one that is known, one with another body.
        app.forget_fast_state().await;
        app.post(&report("r-1")).await.expect_status(201);
        withdraw(&app, id, "0912345678").await;
        settle(&app).await;
        app.post(&report("r-1")).await.expect_status(200);
        app.forget_fast_state().await;
        app.post(&report("r-1")).await.expect_status(201);
        app.forget_fast_state().await;
        app.post(&report("r-1").with("content", "Tin khác")).await.expect_status(201);
        settle(&app).await;
        assert!(app.cases().await.is_empty());
        assert_eq!(status(&app, answer.id()).await, "withdrawn");
        let kept = kept_bytes(&mut app.connection(), id);
        assert_eq!(kept.len(), 5);
        assert!(kept.iter().all(|(_, bytes)| *bytes == 0), "{kept:?}");
        // Saying it anew is another report.
        app.post(&report("r-2")).await.expect_status(201);
        assert_eq!(app.only_case().await.voices, 1);
        expect_the_same_after_a_rebuild(&app).await;
        // A restart fills the memory from the journal, blank rows and all.
        assert_eq!(status(&app, answer.id()).await, "withdrawn");
    }

    async fn a_person_with_another_report_in_the_case_stays_a_voice_with_what_is_left(app: TestApp) {
        let first = hand_in(&app, &report("t-1")).await;
        let second = app.app().intake.accept(&FORM, submission(&app, &report("t-2").with("content", "Khác"), true)).await.unwrap();
        let case = app.only_case().await;
        assert_eq!((case.voices, case.counter_voices), (0, 1));
        withdraw(&app, second.id, "0912345678").await;
        settle(&app).await;
        let case = app.only_case().await;
        assert_eq!((case.reports, case.voices, case.counter_voices), (1, 1, 0));
        withdraw(&app, first.id, "0912345678").await;
        settle(&app).await;
        assert!(app.cases().await.is_empty());
        expect_the_same_after_a_rebuild(&app).await;
    }

    async fn a_repeat_can_be_withdrawn_and_so_can_what_it_repeats(app: TestApp) {
        let first = hand_in(&app, &report("t-1")).await;
        let repeat = app.post(&report("r-2")).await.expect_status(201);
        let other = hand_in(&app, &report("t-3")).await;
        settle(&app).await;
        withdraw(&app, ReportId::parse(repeat.id()).unwrap(), "0912345678").await;
        settle(&app).await;
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (2, 1, 1));
        withdraw(&app, first.id, "0912345678").await;
        settle(&app).await;
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (1, 1, 0));
        // What is said again now is counted.
        app.post(&report("r-4")).await.expect_status(201);
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (2, 1, 1));
        expect_the_same_after_a_rebuild(&app).await;
        withdraw(&app, other.id, "0912345678").await;
        settle(&app).await;
        assert_eq!(app.only_case().await.reports, 1);
        expect_the_same_after_a_rebuild(&app).await;
    }

    async fn an_amended_report_is_withdrawn_with_its_amendment(app: TestApp) {
        let hidden = report("t-1").with("sender", "hidden");
        let accepted = hand_in(&app, &hidden).await;
        settle(&app).await;
        amend(&app, accepted.id, &hidden, "0985931054").await;
        amend(&app, accepted.id, &hidden, "0985931055").await;
        settle(&app).await;
        let case = app.only_case().await;
        assert_eq!((case.sender_kind.as_str(), case.voices), ("msisdn", 1));
        withdraw(&app, accepted.id, "0912345678").await;
        settle(&app).await;
        assert!(app.cases().await.is_empty());
        // An answer that comes too late.
        amend(&app, accepted.id, &hidden, "0985931056").await;
        settle(&app).await;
        assert!(app.cases().await.is_empty());
        let kept = kept_bytes(&mut app.connection(), accepted.id);
        assert_eq!((kept.len(), kept.iter().map(|(_, bytes)| bytes).sum::<usize>()), (5, 0));
        expect_the_same_after_a_rebuild(&app).await;
    }

    async fn a_report_without_a_case_leaves_the_figures(app: TestApp) {
        let call = report("t-1").with("sender", "hidden").with("channel", "call").without("content");
        let accepted = hand_in(&app, &call).await;
        hand_in(&app, &call.clone().with("report_id", "t-2").with("reporter", reporter(2))).await;
        assert_eq!(app.caseless_reports().await, 2);
        withdraw(&app, accepted.id, "0912345678").await;
        settle(&app).await;
        assert_eq!(app.caseless_reports().await, 1);
        expect_the_same_after_a_rebuild(&app).await;
    }

    async fn a_decided_case_keeps_its_counts_and_no_tag_of_who_withdrew(app: TestApp) {
        let first = hand_in(&app, &report("t-1")).await;
        hand_in(&app, &report("t-2").with("reporter", reporter(2))).await;
        let case = app.only_case().await;
        decide(&mut app.connection(), &case.reference, app.now());
        withdraw(&app, first.id, "0912345678").await;
        settle(&app).await;
        let decided = app.only_case().await;
        assert_eq!((decided.reports, decided.voices, decided.foreign_voices), (2, 2, 0));
        assert_eq!(voices_of(&mut app.connection(), &reporter_tag(&app, "0912345678")), 0);
        assert_eq!(kept_bytes(&mut app.connection(), first.id)[0].1, 0);
        expect_the_same_after_a_rebuild(&app).await;
        // Said anew, it opens another case.
        hand_in(&app, &report("t-3")).await;
        assert_eq!(app.cases().await.len(), 2);
        expect_the_same_after_a_rebuild(&app).await;
    }

    async fn what_is_due_to_be_blanked_survives_a_stop(app: TestApp) {
        let accepted = hand_in(&app, &report("t-1")).await;
        app.wait_until_built().await;
        app.stop().await;
        // As a gateway would that dies between the slice and the blanking.
        app.start_again().await;
        withdraw(&app, accepted.id, "0912345678").await;
        settle(&app).await;
        let mut connection = app.connection();
        diesel::update(spamgate::store::schema::withdrawn_rows::table)
            .set(spamgate::store::schema::withdrawn_rows::is_blank.eq(false))
            .execute(&mut connection)
            .unwrap();
        app.restart().await;
        settle(&app).await;
        assert_eq!(kept_bytes(&mut connection, accepted.id)[0].1, 0);
    }

    async fn rows_that_are_not_blank_yet_come_to_the_same_as_blank_ones(app: TestApp) {
        let bodies: Vec<ReportBody> = (0..6)
            .map(|n| report(&format!("t-{n}")).with("content", format!("Tin {}", n % 3)).with("reporter", reporter(n % 2)))
            .collect();
        let mut ids = Vec::new();
        for body in &bodies {
            ids.push(hand_in(&app, body).await.id);
        }
        app.wait_until_built().await;
        app.stop().await;
        let mut connection = app.connection();
        app.start_again().await;
        for (n, id) in ids.iter().enumerate().step_by(2) {
            withdraw(&app, *id, &reporter(n % 2)).await;
        }
        app.wait_until_built().await;
        let live = derived(&mut connection);
        app.stop().await;
        assert_same(&live, &rebuild(&mut connection, 2), "with what is blank by now");
        while blank_some(&app.location(), &mut connection).unwrap() > 0 {}
        assert_same(&live, &rebuild(&mut connection, 3), "with all of it blank");
        app.start_again().await;
    }

    async fn whatever_happens_a_rebuild_comes_to_the_same(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| config.limits.reporter_per_day = NonZeroU32::MAX).await;
        // More, to search for what these do not find.
        let seeds = std::env::var("WITHDRAWAL_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(3);
        for seed in 1..=seeds {
            Chaos::new(&app, seed).run(120).await;
            expect_the_same_after_a_rebuild(&app).await;
        }
    }
}

/// Reports of few people about few senders in few words, taken back, told more of, said again and decided.
struct Chaos<'a> {
    app: &'a TestApp,
    state: u64,
    seed: u64,
    sent: Vec<(ReportId, ReportBody, String)>,
    done: BTreeMap<&'static str, usize>,
}

impl<'a> Chaos<'a> {
    fn new(app: &'a TestApp, seed: u64) -> Self {
        Self { app, state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), seed, sent: Vec::new(), done: BTreeMap::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).unwrap() % bound
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    async fn run(mut self, operations: usize) {
        for number in 0..operations {
            let what = match self.below(20) {
                0..=9 => self.say(number).await,
                10..=13 => self.take_back().await,
                14 | 15 => self.tell_more().await,
                16 => self.say_again().await,
                17 => self.decide().await,
                18 => self.let_time_pass(),
                _ => self.tamper().await,
            };
            *self.done.entry(what).or_default() += 1;
        }
        println!("seed {}: {:?}", self.seed, self.done);
    }

    async fn say(&mut self, number: usize) -> &'static str {
        let typed = reporter(self.below(3));
        let sender = self.pick(&["0985931054", "hidden", "0985931054", "+098593105412345"]);
        let content = self.pick(&["Một", "Hai"]);
        let body = report(&format!("c-{}-{number}", self.seed))
            .with("reporter", typed.clone())
            .with("sender", sender)
            .with("content", content)
            .with("occurred_at", self.app.in_seconds(-60));
        let body = if self.below(6) == 0 { body.with("channel", "call").without("content") } else { body };
        let is_legit = self.below(4) == 0;
        let from = Sender { vouched: Vouched::Proven(self.pick(&[Proof::Otp, Proof::Foreign])), ..FORM };
        let submission = submission(self.app, &body, is_legit);
        let accepted = self.app.app().intake.accept(&from, submission).await.unwrap();
        self.sent.push((accepted.id, body, typed));
        "said"
    }

    fn any(&mut self) -> Option<(ReportId, ReportBody, String)> {
        (!self.sent.is_empty()).then(|| {
            let index = self.below(self.sent.len());
            self.sent[index].clone()
        })
    }

    async fn take_back(&mut self) -> &'static str {
        let Some((id, _, typed)) = self.any() else { return "nothing" };
        withdraw(self.app, id, &typed).await;
        "taken back"
    }

    async fn tell_more(&mut self) -> &'static str {
        let Some((id, body, _)) = self.any() else { return "nothing" };
        let sender = self.pick(&["0985931054", "0985931055", "+098593105412345"]);
        amend(self.app, id, &body, sender).await;
        "told more"
    }

    async fn say_again(&mut self) -> &'static str {
        let Some((_, body, _)) = self.any() else { return "nothing" };
        self.app.forget_own_memory();
        let again = submission(self.app, &body, false);
        let _ = self.app.app().intake.accept(&FORM, again).await;
        "said again"
    }

    async fn decide(&mut self) -> &'static str {
        let open: Vec<_> = self.app.cases().await.into_iter().filter(|case| case.status == "open").collect();
        if open.is_empty() {
            return "nothing";
        }
        let index = self.below(open.len());
        decide(&mut self.app.connection(), &open[index].reference, self.app.now());
        "decided"
    }

    fn let_time_pass(&mut self) -> &'static str {
        let hours = u32::try_from(self.below(16)).unwrap();
        self.app.advance(HOUR * hours);
        "waited"
    }

    async fn tamper(&mut self) -> &'static str {
        let Some((id, _, typed)) = self.any() else { return "nothing" };
        let other = reporter((0..3).find(|n| reporter(*n) != typed).unwrap());
        withdraw(self.app, id, &other).await;
        "tampered"
    }
}
