//! No number and no text in clear: canaries go in by every door, and are looked for everywhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use serde_json::json;

use super::postgres_server::{Database, PostgresServer};
use super::redis_server::{AnyRedis, RedisServer};
use super::search::{Hit, Needles, full_width};
use super::support::{Answer, Chance, Client, Place, copy_directory, report, seed, wait_until_built};

const NUMBERS: usize = 200;
const TEXTS: usize = 20;

struct Canaries {
    /// Mobile numbers without their 0. The first half report, the others are reported.
    numbers: Vec<String>,
    /// Old 11-digit numbers and what they became, both without 0.
    renumbered: Vec<(String, String)>,
    /// Words that stand in contents and brandnames.
    words: Vec<String>,
    brandnames: Vec<String>,
    malformed: Vec<String>,
}

impl Canaries {
    fn draw(chance: &mut Chance) -> Self {
        let prefixes = ["32", "39", "56", "70", "77", "83", "86", "90", "91", "94", "96", "98"];
        let digits = |chance: &mut Chance, count: usize| -> String {
            (0..count).map(|_| char::from(b'0' + u8::try_from(chance.below(10)).unwrap())).collect()
        };
        let letters = |chance: &mut Chance, count: usize| -> String {
            (0..count).map(|_| char::from(b'a' + u8::try_from(chance.below(26)).unwrap())).collect()
        };
        Self {
            numbers: (0..NUMBERS).map(|n| format!("{}{}", prefixes[n % prefixes.len()], digits(chance, 7))).collect(),
            renumbered: (0..10)
                .map(|_| digits(chance, 7))
                .map(|tail| (format!("121{tail}"), format!("79{tail}")))
                .collect(),
            words: (0..TEXTS).map(|_| letters(chance, 14)).collect(),
            brandnames: (0..10).map(|_| format!("Q{}", letters(chance, 9))).collect(),
            malformed: (0..10).map(|_| format!("00{}", digits(chance, 16))).collect(),
        }
    }

    fn needles(&self) -> Needles {
        let mut needles = Needles::new();
        for (n, number) in self.numbers.iter().enumerate() {
            needles.add_number(number, &format!("number {n}"));
        }
        for (n, (old, new)) in self.renumbered.iter().enumerate() {
            needles.add_text(old, &format!("old number {n}"));
            needles.add_number(new, &format!("renumbered number {n}"));
        }
        for (n, word) in self.words.iter().chain(&self.brandnames).enumerate() {
            // As sent, and as it is folded for comparing.
            needles.add_text(word, &format!("word {n}"));
            if word.to_lowercase() != *word {
                needles.add_text(&word.to_lowercase(), &format!("lower-case word {n}"));
            }
        }
        for (n, sender) in self.malformed.iter().enumerate() {
            needles.add_text(sender, &format!("malformed sender {n}"));
        }
        needles
    }
}

/// The eight spellings of a number that is given without its 0.
fn spellings(national: &str) -> [String; 8] {
    let (a, b, c) = (&national[..2], &national[2..5], &national[5..]);
    [
        format!("0{national}"),
        format!("+84{national}"),
        format!("84{national}"),
        format!("0084{national}"),
        format!("0{a} {b} {c}"),
        format!("0{a}.{b}.{c}"),
        format!("(0{a}) {b}-{c}"),
        full_width(&format!("0{national}")),
    ]
}

/// Sends the canaries by every door of a running gateway; how often each answer came.
fn send_everything(client: &mut Client, canaries: &Canaries, round: &str) -> BTreeMap<(u16, String), usize> {
    let mut answers = BTreeMap::new();
    let mut note = |answer: &Answer| *answers.entry((answer.status, answer.code())).or_default() += 1;
    send_good_ones(client, canaries, round, &mut note);
    send_bad_numbers(client, canaries, round, &mut note);
    send_bad_requests(client, canaries, round, &mut note);
    send_subscribers_sms(client, canaries, round, &mut note);
    answers
}

/// Every number in every spelling, as reporter and as sender.
fn send_good_ones(client: &mut Client, canaries: &Canaries, round: &str, note: &mut impl FnMut(&Answer)) {
    let needles = canaries.needles();
    let (reporters, senders) = canaries.numbers.split_at(NUMBERS / 2);
    let mut last = Vec::new();
    for (n, (reporter, sender)) in reporters.iter().zip(senders).enumerate() {
        let word = &canaries.words[n % TEXTS];
        for (k, (reporter, sender)) in spellings(reporter).iter().zip(spellings(sender)).enumerate() {
            let mut report = report(&format!("{round}-good-{n}-{k}"), reporter, &sender);
            report["category"] = ["spam", "scam", "fake_news"][n % 3].into();
            report["content"] = format!("Gọi {sender} nhận {word} và {}", word.to_uppercase()).into();
            if k == 5 {
                report["sender"] = canaries.brandnames[n % 10].as_str().into();
            }
            if k == 6 {
                report["sender"] = canaries.malformed[n % 10].as_str().into();
            }
            last = report.to_string().into_bytes();
            let answer = client.post(&last).unwrap();
            assert_eq!(answer.status, 201, "{}", answer.json());
            note(&answer);
            // What a carrier gets back ends in its logs: no number in the head or body of an answer to a good report.
            assert_eq!(needles.search("answer", &[answer.head.as_bytes(), &answer.body].concat()), []);
        }
        if n % 10 == 0 {
            let again = client.post(&last).unwrap();
            assert_eq!(again.status, 200, "{}", again.json());
            note(&again);
            let found = client.get(&format!("/v1/reports/{}", again.text("id"))).unwrap();
            assert_eq!(needles.search("answer", &[found.head.as_bytes(), &found.body].concat()), []);
            let mut other: serde_json::Value = serde_json::from_slice(&last).unwrap();
            other["content"] = canaries.words[(n + 1) % TEXTS].as_str().into();
            let reused = client.post(other.to_string().as_bytes()).unwrap();
            assert_eq!(reused.code(), "report_id_reused");
            note(&reused);
        }
    }
}

/// The same numbers as subscribers' SMS, in one message and in two, some with a mistake.
fn send_subscribers_sms(client: &mut Client, canaries: &Canaries, round: &str, note: &mut impl FnMut(&Answer)) {
    let needles = canaries.needles();
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let (reporters, senders) = canaries.numbers.split_at(NUMBERS / 2);
    for (n, (reporter, sender)) in reporters.iter().zip(senders).enumerate() {
        let word = &canaries.words[n % TEXTS];
        // Two of the eight spellings: a reporter's day has room for no more.
        for (k, sender) in spellings(sender).iter().cycle().skip(n).take(2).enumerate() {
            let brandname = &canaries.brandnames[n % 10];
            let messages = [
                format!("S ({sender})(Goi {sender} nhan {word})"),
                format!("LD (Goi ngay {sender} nhan {word})"),
                if k % 2 == 0 { sender.clone() } else { brandname.clone() },
                format!("V {sender} {word}"),
                format!("S ({sender}l)({word})"),
                format!("{word} {sender}"),
            ];
            for (m, text) in messages.iter().enumerate() {
                let profile = if m == 3 { "jasmin" } else { "kannel" };
                let target = format!(
                    "/v1/mo/{profile}?from={}&to={sender}&id={round}-{n}-{k}-{m}&text={text}&content={text}&smsc={word}",
                    encoded(&format!("0{reporter}")),
                    sender = encoded(sender),
                    text = encoded(text),
                );
                let answer = client.get(&target).unwrap();
                assert_eq!(answer.status, 200, "{}", answer.json());
                note(&answer);
                assert_eq!(needles.search("answer", &[answer.head.as_bytes(), &answer.body].concat()), []);
            }
        }
        let no_template = format!("/v1/mo/kannel?from={reporter}&content={word}&smsc={sender}");
        note(&client.get(&no_template).unwrap());
    }
}

/// Numbers that something is wrong with, and numbers in fields where none belongs.
fn send_bad_numbers(client: &mut Client, canaries: &Canaries, round: &str, note: &mut impl FnMut(&Answer)) {
    let mut refuse = |client: &mut Client, report: &serde_json::Value| {
        let answer = client.post(report.to_string().as_bytes()).unwrap();
        assert!((400..500).contains(&answer.status), "{report}: {}", answer.json());
        note(&answer);
    };
    for (n, number) in canaries.numbers.iter().enumerate() {
        let (id, good) = (format!("{round}-bad-{n}"), format!("0{number}"));
        let other = format!("0{}", canaries.numbers[(n + 1) % NUMBERS]);
        let integer: u64 = format!("84{number}").parse().unwrap();
        let base = || report(&id, &good, &other);
        let with = |field: &str, value: serde_json::Value| {
            let mut report = base();
            report[field] = value;
            report
        };
        let bad = match n % 14 {
            0 => with("reporter", good.replacen('0', "O", 1).into()),
            1 => with("sender", format!("{good}x4").into()),
            2 => with("reporter", integer.into()),
            3 => with("sender", json!(integer)),
            4 => with(&good, true.into()),
            5 => with(&format!("+84{number}"), json!({ number.as_str(): integer })),
            6 => with("channel", good.as_str().into()),
            7 => with("category", spellings(number)[4].as_str().into()),
            8 => with("occurred_at", good.as_str().into()),
            9 => with("province", good.as_str().into()),
            10 => with("money_lost", integer.into()),
            11 => with("report_id", format!("id {good}").into()),
            12 => with("reporter", format!("{good} ext. 12").into()),
            _ => with("content", format!("{good}\0").into()),
        };
        refuse(client, &bad);
        if n % 14 == 0 {
            refuse(client, &with("occurred_at", "2020-01-01T00:00:00Z".into()));
            refuse(client, &with("content", format!("{good} {}", "a".repeat(5_000)).into()));
            refuse(client, &json!([integer, good]));
            refuse(client, &json!({ "reporter": { good.as_str(): good } }));
            refuse(client, &with("harm", number.as_str().into()));
        }
    }
    for (old, _) in &canaries.renumbered {
        refuse(client, &report(&format!("{round}-old"), &format!("0{old}"), "hidden"));
        refuse(client, &report(&format!("{round}-old"), &format!("+84{old}"), "hidden"));
    }
    // An old number as sender is taken, under its new one.
    for (n, (old, _)) in canaries.renumbered.iter().enumerate() {
        let reporter = format!("0{}", canaries.numbers[n]);
        let renumbered = report(&format!("{round}-renumbered-{n}"), &reporter, &format!("0{old}"));
        assert_eq!(client.post(renumbered.to_string().as_bytes()).unwrap().status, 201);
    }
    // Used up for the day.
    let reporter = format!("0{}", canaries.numbers[99]);
    let mut over = false;
    for n in 0..40 {
        let report = report(&format!("{round}-quota-{n}"), &reporter, &format!("0{}", canaries.numbers[100 + n]));
        let answer = client.post(report.to_string().as_bytes()).unwrap();
        over |= answer.code() == "reporter_quota_exceeded";
        note(&answer);
    }
    assert!(over, "the quota was never exceeded");
}

/// Numbers in paths, queries, headers, keys and bodies that are no JSON.
fn send_bad_requests(client: &mut Client, canaries: &Canaries, round: &str, note: &mut impl FnMut(&Answer)) {
    for (n, number) in canaries.numbers.iter().enumerate().take(40) {
        let good = format!("0{number}");
        let body = report(&format!("{round}-raw-{n}"), &good, "hidden").to_string();
        let word = &canaries.words[n % TEXTS];
        for target in [
            format!("/v1/reports/{good}"),
            format!("/v1/reports/+84{number}?reporter={good}"),
            format!("/v1/reports?sender={good}&text={word}"),
            format!("/{number}/{word}"),
            format!("/v1/reports/{}", full_width(&good)),
            format!("/v1/reports/%{number}"),
        ] {
            match client.get(&target) {
                Ok(answer) => {
                    assert!((400..500).contains(&answer.status), "{target}: {}", answer.status);
                    note(&answer);
                }
                Err(error) => panic!("{target}: {error}"),
            }
            if !target.is_ascii() {
                // No request at all: the gateway says so and closes.
                client.leave();
            }
        }
        let bearer = format!("Bearer {good}");
        let oversized = format!("{{\"reporter\":\"{good}\",\"content\":\"{word}{}\"}}", "x".repeat(70_000));
        let posts: [(&[(&str, &str)], String); 9] = [
            (&[("authorization", &bearer)], body.clone()),
            (&[("authorization", &good)], body.clone()),
            (&[("content-type", &good)], body.clone()),
            (&[("content-encoding", &good)], body.clone()),
            (&[("x-reporter", &good), ("user-agent", word), ("cookie", number), ("referer", &good)], "{".to_owned()),
            (&[], format!("{{\"reporter\":\"{good}\",\"content\":\"{word}")),
            (&[], format!("{good} {word}")),
            (&[], format!("{{\"reporter\":\"{good}\",\"reporter\":\"{good}\"}}")),
            (&[], oversized),
        ];
        for (headers, body) in posts {
            // An answer may come before a body that is too large has been sent; the connection is then of no more use.
            if let Ok(answer) = client.send("POST", "/v1/reports", headers, body.as_bytes()) {
                assert!((400..500).contains(&answer.status), "{headers:?}: {}", answer.status);
                note(&answer);
            }
            if body.len() > 65_536 {
                client.leave();
            }
        }
        // Methods, versions and heads that are none.
        if let Ok(answer) = client.send("DELETE", &format!("/v1/reports/{good}"), &[], &[]) {
            note(&answer);
        }
        client.leave();
        if let Ok(answer) = client.send(&good, "/v1/reports", &[(&good, word)], &[]) {
            note(&answer);
        }
        client.leave();
        // A body that ends too soon.
        client.write_part("/v1/reports", body.as_bytes(), body.len() - 3).unwrap();
        client.leave();
    }
}

/// What operators can see of a running gateway, and what the program prints of its data.
fn look_at_it(place: &Place, operator: &mut Client, number: &str, into: &Path) {
    operator.get(&format!("/0{number}?reporter={number}")).unwrap();
    for target in ["metrics", "readyz", "healthz"] {
        let answer = operator.get(&format!("/{target}")).unwrap();
        fs::write(into.join(format!("ops-{target}")), answer.body).unwrap();
    }
    let listed = place.list_cases();
    let mut printed = vec![
        place.run(&["cases", "list"]),
        place.run(&["cases", "list", "--json"]),
        place.run(&["carrier", "list"]),
        place.run(&["keys", "show"]),
    ];
    for case in listed.iter().step_by(40) {
        let reference = case["reference"].as_str().unwrap();
        printed.push(place.run(&["cases", "show", reference]));
        printed.push(place.run(&["cases", "show", reference, "--json"]));
    }
    for (n, output) in printed.iter().enumerate() {
        fs::write(into.join(format!("command-{n}")), [&output.stdout[..], &output.stderr].concat()).unwrap();
    }
}

fn no_number_stands_in_clear(mut place: Place) {
    let mut chance = Chance::new(seed("no_number_stands_in_clear", 0x4_0001));
    let canaries = Canaries::draw(&mut chance);
    let needles = canaries.needles();
    let mut key = None;
    let mut searched = 0;
    for format in ["text", "json"] {
        let settings = [
            ("SPAMGATE__LOG__LEVEL", "debug"),
            ("SPAMGATE__LOG__FORMAT", format),
            ("SPAMGATE__LIMITS__CARRIER_BURST", "1000000"),
            ("SPAMGATE__LIMITS__REPORTER_PER_DAY", "20"),
        ];
        let mut server = place.start(&settings);
        let key = key.get_or_insert_with(|| server.api_key.clone().unwrap());
        let mut client = server.client(key);
        let answers = send_everything(&mut client, &canaries, format);
        println!("no_number_stands_in_clear: {format} logs, answers {answers:?}");
        let refusals = answers.keys().filter(|(status, _)| *status >= 400).count();
        assert!(refusals >= 20, "many ways to be refused: {answers:?}");
        wait_until_built(&mut place.connection());

        let seen = place.root.path().join(format!("seen-{format}"));
        fs::create_dir(&seen).unwrap();
        look_at_it(&place, &mut server.operator(), &canaries.numbers[7], &seen);
        // While it runs, the write-ahead logs hold what the databases do not yet.
        copy_directory(&place.data, &place.root.path().join("data-while-it-ran"));
        if format == "text" {
            server.terminate();
        } else {
            server.kill();
        }
        // The data, the copy, what was printed and logged, and what was seen.
        let (hits, bytes) = needles.search_directory(place.root.path());
        assert_eq!(hits, [], "in clear");
        searched += bytes;
        if let Some(database) = &place.database {
            database.connect().batch_execute("CHECKPOINT").unwrap();
            let (hits, bytes) = needles.search_directory(&database.server().data());
            assert_eq!(hits, [], "in clear in the server's files");
            searched += bytes;
        }
        if let Some(redis) = &place.redis {
            redis.server.ask::<String>(&redis::cmd("SAVE"));
            let (hits, bytes) = needles.search_directory(redis.server.socket().parent().unwrap());
            assert_eq!(hits, [], "in clear in Redis");
            // A record of 28 bytes for each report.
            let records: u64 = redis.server.texts("*}r*").iter().map(|(_, value)| value.len() as u64 / 28).sum();
            let taken = answers[&(201, String::new())] as u64;
            println!("{records} records, {taken} taken, {bytes} bytes");
            assert!(records >= taken && bytes > 28 * records, "Redis has written what it knows: {bytes} bytes");
            searched += bytes;
            // Else each reporter's day would be used up in the second round.
            redis.forget();
        }
        assert!(!server.logged().is_empty() && server.printed().contains("spamgate takes reports"));
    }
    println!("no_number_stands_in_clear: {} needles, {searched} bytes, 0 hits", needles.len());
    match &place.database {
        None => the_search_finds_what_is_planted(&place, &canaries, &needles, &mut chance),
        Some(database) => the_search_finds_a_number_in_a_database(database, &canaries, &needles),
    }
}

#[test]
fn no_number_stands_in_clear_anywhere() {
    no_number_stands_in_clear(Place::new());
}

#[test]
fn no_number_stands_in_clear_anywhere_in_postgresql_and_redis() {
    // A server of its own, because all its files are searched.
    let database = Arc::new(PostgresServer::start()).create_database();
    let redis = Arc::new(RedisServer::start());
    redis.configure("rdbcompression", "no");
    no_number_stands_in_clear(Place::on(database).with_redis_on(redis));
}

/// As PostgreSQL itself writes it.
fn the_search_finds_a_number_in_a_database(database: &Database, canaries: &Canaries, needles: &Needles) {
    let number = format!("+84{}", canaries.numbers[1]);
    let sql = format!("CREATE TABLE planted (number TEXT); INSERT INTO planted VALUES ('{number}'); CHECKPOINT");
    database.connect().batch_execute(&sql).unwrap();
    let (hits, _) = needles.search_directory(&database.server().data());
    assert!(hits.iter().any(|hit| hit.what.starts_with("number 1 ")), "{hits:?}");
}

/// Each way of writing is planted in a copy, and found there.
fn the_search_finds_what_is_planted(place: &Place, canaries: &Canaries, needles: &Needles, chance: &mut Chance) {
    let which = chance.below(NUMBERS);
    let number = &canaries.numbers[which];
    let word = &canaries.words[3];
    let copy = place.copy();
    assert_eq!(needles.search_directory(&copy.data).0, []);
    let journal = copy.data.join("journal.db");
    let clean = fs::read(&journal).unwrap();

    let integer: u64 = format!("84{number}").parse().unwrap();
    let mut plants: Vec<Vec<u8>> = spellings(number).into_iter().map(String::into_bytes).collect();
    plants.extend([
        integer.to_le_bytes().to_vec(),
        integer.to_be_bytes().to_vec(),
        number.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        word.as_bytes().to_vec(),
        word.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    ]);
    for plant in &plants {
        let at = chance.below(clean.len() - plant.len());
        let mut planted = clean.clone();
        planted[at..at + plant.len()].copy_from_slice(plant);
        let hits = needles.search("journal.db", &planted);
        assert!(!hits.is_empty(), "{plant:02x?} was planted and not found");
    }

    // And as the database itself would write it.
    let mut connection = copy.connection();
    connection
        .batch_execute(&format!("CREATE TABLE planted (number); INSERT INTO planted VALUES ({integer});"))
        .unwrap();
    let (hits, _) = needles.search_directory(&copy.data);
    let expected = Hit { place: "spamgate.db-wal".to_owned(), what: format!("number {which} as SQLite integer") };
    assert!(hits.contains(&expected), "{hits:?}");
    println!("no_number_stands_in_clear: {} plants found", plants.len() + 1);
}
