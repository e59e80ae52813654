//! Making everything derived anew: references, counts, voices and decisions come out the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::Value;
use spamgate::casework::builder::{BuildError, Turn, begin_rebuild, build_slice};
use spamgate::domain::clock::Clock;
use spamgate::domain::vocabulary::{CaseStatus, ReasonClass};
use spamgate::store::cases::{Decided, Decision, decide_case};
use spamgate::store::connection::Connection;
use spamgate::store::journal::count_after;
use spamgate::store::schema::{builder_cursor, cases, voices};

use super::support::{
    Chance, Client, Place, Server, mobile, on_every_engine, report, seed, snapshot, wait_until_built,
};

const LIMITS: [(&str, &str); 3] = [
    ("SPAMGATE__LIMITS__REPORTER_PER_DAY", "1000000"),
    ("SPAMGATE__LIMITS__CARRIER_BURST", "1000000"),
    ("SPAMGATE__BUILDER__SLICE_ROWS", "11"),
];

/// Sends reports of many kinds, some of them repeats.
fn send_many(client: &mut Client, chance: &mut Chance, round: &str, count: usize) {
    for n in 0..count {
        let sender = match chance.below(12) {
            0 => "hidden".to_owned(),
            1 => "00000000000000000".to_owned(),
            2 => "9029".to_owned(),
            3 => (*chance.pick(&["VIETBANK", "vietbank"])).to_owned(),
            n => mobile(6_000 + n),
        };
        let mut report = report(&format!("{round}-{n}"), &mobile(chance.below(25)), &sender);
        report["category"] = (*chance.pick(&["spam", "scam", "fake_news"])).into();
        report["content"] = format!("Trung thuong lan {}", chance.below(4)).into();
        if chance.happens(30) {
            report["channel"] = "call".into();
        }
        if chance.happens(20) {
            report["money_lost"] = true.into();
        }
        let answer = client.post(report.to_string().as_bytes()).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.json());
    }
}

/// Decides some cases, the first by the program itself.
fn decide_some(place: &Place, chance: &mut Chance, count: usize) {
    let mut open: Vec<Value> = place.list_cases();
    open.retain(|case| case["status"] == "open");
    for n in 0..count {
        let case = open.swap_remove(chance.below(open.len()));
        let verdict = *chance.pick(&[CaseStatus::Upheld, CaseStatus::Dismissed]);
        let reference = case["reference"].as_str().unwrap();
        if n == 0 {
            let verdict = verdict.as_str();
            place.run(&["cases", "decide", reference, "--verdict", verdict, "--reason", "seen", "--by", "tester"]);
        } else {
            let decided_at = Clock::System.now();
            let decision = Decision {
                verdict,
                reason_class: ReasonClass::Other,
                reason: "seen",
                decided_by: "tester",
                decided_at,
            };
            assert_eq!(decide_case(&mut place.connection(), reference, &decision).unwrap(), Decided::Closed);
        }
    }
}

/// What the store says, what the program lists, and what it shows of some.
fn everything(place: &Place) -> (BTreeMap<String, Value>, Vec<Value>, Vec<String>) {
    let mut connection = place.connection();
    wait_until_built(&mut connection);
    let listed = place.list_cases();
    let show = |case: &Value| {
        let output = place.run(&["cases", "show", case["reference"].as_str().unwrap(), "--json"]);
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = listed.iter().step_by(20).map(show).collect();
    (snapshot(&mut connection), listed, shown)
}

/// A gateway that has built, decided, and built on.
fn prepared(place: &mut Place, chance: &mut Chance) -> (Server, String) {
    let server = place.start(&LIMITS);
    let key = server.api_key.clone().unwrap();
    let mut client = server.client(&key);
    for round in ["first", "second", "third"] {
        send_many(&mut client, chance, round, 150);
        wait_until_built(&mut place.connection());
        decide_some(place, chance, 6);
    }
    send_many(&mut client, chance, "last", 60);
    (server, key)
}

on_every_engine! {
    fn rebuild_after_decisions_keeps_references_counts_and_voices(place: Place) {
        let mut chance = Chance::new(seed("rebuild_after_decisions", 0x3_0001));
        let (mut server, _) = prepared(&mut place, &mut chance);
        let before = everything(&place);
        assert!(before.0.len() > 30, "many cases");

        let said = place.run(&["rebuild"]).stdout;
        assert!(String::from_utf8_lossy(&said).starts_with("Rebuilt up to journal row "));
        let beside = everything(&place);
        assert!(before == beside, "rebuilt beside a running gateway:\n{before:#?}\n{beside:#?}");

        server.terminate();
        let said = place.run(&["rebuild"]).stdout;
        assert!(String::from_utf8_lossy(&said).starts_with("Rebuilt up to journal row "));
        let alone = everything(&place);
        assert!(before == alone, "rebuilt alone:\n{before:#?}\n{alone:#?}");
        println!("rebuild_after_decisions: {} cases, 510 reports, 18 decisions", before.1.len());
    }
}

on_every_engine! {
    /// Reports that come in while everything is made anew are neither lost nor counted twice.
    fn a_rebuild_under_load_comes_to_the_same_as_one_at_rest(place: Place) {
        let mut chance = Chance::new(seed("a_rebuild_under_load", 0x3_0002));
        let (server, key) = prepared(&mut place, &mut chance);
        std::thread::scope(|scope| {
            let mut client = server.client(&key);
            let mut chance = chance.clone();
            let sender = scope.spawn(move || send_many(&mut client, &mut chance, "under-load", 300));
            let mut connection = place.connection();
            let mut rebuilds = 0;
            while !sender.is_finished() || rebuilds < 2 {
                begin_rebuild(&mut connection).unwrap();
                rebuilds += 1;
                std::thread::sleep(Duration::from_millis(40));
            }
            sender.join().unwrap();
            println!("a_rebuild_under_load: {rebuilds} rebuilds while 300 reports came");
        });
        let before = everything(&place);
        place.run(&["rebuild"]);
        assert!(before == everything(&place));
    }
}

/// Between two slices: longer than a waiting builder sleeps before it tries again.
const PAUSE: Duration = Duration::from_millis(3);

/// Builds until nothing is left; how many rows this one built.
fn build_all(connection: &mut Connection, slice_rows: i64) -> usize {
    let began = Instant::now();
    let mut rows = 0;
    loop {
        assert!(began.elapsed() < Duration::from_secs(60), "the builder does not come to its end");
        match build_slice(connection, "VN", slice_rows) {
            Ok(Turn { rows: 0, rebuild_began: false, .. }) => return rows,
            Ok(turn) => {
                rows += turn.rows;
                // Lets another one in.
                std::thread::sleep(PAUSE);
            }
            Err(BuildError::Store(error)) if error.is_locked() => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Cases by what does not depend on chance: a fresh build draws other references.
fn by_opening_row(connection: &mut Connection) -> BTreeMap<i64, Value> {
    let opened = cases::table.select((cases::reference, cases::opened_seq)).load::<(String, i64)>(connection).unwrap();
    let rows = snapshot(connection);
    opened.into_iter().map(|(reference, seq)| (seq, rows[&reference].clone())).collect()
}

/// Case, reporter, reports, proof, who attested it, and whether the latest word is for the sender.
type StoredVoice = (i64, Vec<u8>, i64, String, Vec<u8>, bool);

fn stored_voices(connection: &mut Connection) -> Vec<StoredVoice> {
    voices::table.order((voices::case_id, voices::reporter_tag)).load(connection).unwrap()
}

on_every_engine! {
    fn two_builders_at_once_give_the_same_as_one(place: Place) {
        let mut chance = Chance::new(seed("two_builders_at_once", 0x3_0003));
        let (mut server, _) = prepared(&mut place, &mut chance);
        wait_until_built(&mut place.connection());
        server.terminate();
        let mut one = place.connection();
        let (before, voices_before) = (snapshot(&mut one), stored_voices(&mut one));
        let last = usize::try_from(count_after(&mut one, 0, i64::MAX).unwrap()).unwrap();
        drop(one);

        let copy = place.copy();
        begin_rebuild(&mut copy.connection()).unwrap();
        let built = build_with_two(&copy);
        assert_eq!(built.iter().sum::<usize>(), last, "each row was built once: {built:?}");
        assert!(built.iter().all(|rows| *rows > 0), "both built: {built:?}");
        let mut two = copy.connection();
        assert_eq!(snapshot(&mut two), before);
        assert_eq!(stored_voices(&mut two), voices_before);
        println!("two_builders_at_once: {} and {} rows", built[0], built[1]);

        // From the journal alone, as if no case had ever been: one builder in large slices, and two in small ones.
        let (alone, together) = (without_cases(&place), without_cases(&place));
        assert_eq!(build_all(&mut alone.connection(), 4_000), last);
        let built = build_with_two(&together);
        assert_eq!(built.iter().sum::<usize>(), last);
        let found = by_opening_row(&mut together.connection());
        assert!(!found.is_empty());
        assert_eq!(found, by_opening_row(&mut alone.connection()));
    }
}

fn build_with_two(place: &Place) -> Vec<usize> {
    std::thread::scope(|scope| {
        let builders: Vec<_> = [3, 4]
            .map(|rows| scope.spawn(move || build_all(&mut place.location().open_builder().unwrap(), rows)))
            .into();
        builders.into_iter().map(|builder| builder.join().unwrap()).collect()
    })
}

/// A copy whose journal is all that is left.
fn without_cases(place: &Place) -> Place {
    let copy = place.copy();
    if let Some(database) = &copy.database {
        let tables = "case_totals, voices, report_index, counted_fingerprints, caseless_figures, amended_reports, decisions, \
                      cases";
        let reset = "UPDATE builder_cursor SET seq = 0, report_id = NULL, furthest_seq = 0";
        database.connect().batch_execute(&format!("TRUNCATE {tables} CASCADE; {reset}")).unwrap();
    } else {
        for name in ["spamgate.db", "spamgate.db-wal", "spamgate.db-shm"] {
            let _ = std::fs::remove_file(copy.data.join(name));
        }
        copy.location().prepare().unwrap();
    }
    copy
}

on_every_engine! {
    fn a_cursor_that_does_not_fit_the_journal_forces_a_rebuild(place: Place) {
        let mut chance = Chance::new(seed("a_cursor_that_does_not_fit", 0x3_0004));
        let (mut server, _) = prepared(&mut place, &mut chance);
        wait_until_built(&mut place.connection());
        server.terminate();
        let before = snapshot(&mut place.connection());
        let move_cursor = |connection: &mut Connection, seq: i64| {
            let cursor = (builder_cursor::seq.eq(seq), builder_cursor::report_id.eq(Some(vec![7; 16])));
            diesel::update(builder_cursor::table.find(1)).set(cursor).execute(connection).unwrap();
        };
        // Beyond the end, and on a row that is another one.
        for seq in [i64::MAX / 2, 100] {
            let copy = place.copy();
            let mut connection = copy.connection();
            move_cursor(&mut connection, seq);
            let turn = build_slice(&mut connection, "VN", 50).unwrap();
            assert!(turn.rebuild_began, "{turn:?}");
            assert_eq!(build_all(&mut connection, 50), 510);
            assert_eq!(snapshot(&mut connection), before);
        }

        // And the gateway says so aloud.
        move_cursor(&mut place.connection(), i64::MAX / 2);
        let mut server = place.start(&LIMITS);
        wait_until_built(&mut place.connection());
        assert_eq!(snapshot(&mut place.connection()), before);
        server.terminate();
        assert!(server.logged().contains("does not fit the journal"), "{}", server.logged());
    }
}

on_every_engine! {
    /// Its counts are not all there then, and the cursor would be no line between what it holds and what comes later.
    fn a_case_is_not_decided_while_a_rebuild_is_under_way(place: Place) {
        let mut chance = Chance::new(seed("a_decision_while_a_rebuild", 0x3_0005));
        let (mut server, _) = prepared(&mut place, &mut chance);
        wait_until_built(&mut place.connection());
        server.terminate();
        let mut connection = place.connection();
        let reference = place
            .list_cases()
            .iter()
            .find(|case| case["status"] == "open" && case["reports"].as_i64() > Some(5))
            .map(|case| case["reference"].as_str().unwrap().to_owned())
            .unwrap();
        let before = snapshot(&mut connection);
        begin_rebuild(&mut connection).unwrap();
        build_slice(&mut connection, "VN", 100).unwrap();
        let decision =
            Decision { verdict: CaseStatus::Upheld, reason_class: ReasonClass::Other, reason: "seen", decided_by: "tester", decided_at: Clock::System.now() };
        assert_eq!(decide_case(&mut connection, &reference, &decision).unwrap(), Decided::Rebuilding);
        build_all(&mut connection, 100);
        assert_eq!(decide_case(&mut connection, &reference, &decision).unwrap(), Decided::Closed);
        let after = snapshot(&mut connection);
        assert_eq!(after.len(), before.len(), "no case appears or vanishes");
        for field in ["reports", "repeats", "voices"] {
            assert_eq!(after[&reference][field], before[&reference][field], "{field}");
        }
    }
}
