//! `kill -9` under load, again and again, with an oracle that knows what was promised.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use serde_json::json;
use spamgate::store::connection::Connection;
use spamgate::store::schema::reports;

use super::support::{
    Chance, Client, PATIENCE, Place, id_bytes, journal_ids, mobile, now_rfc3339, on_every_engine, report, seed,
    wait_until_built,
};

const CYCLES: usize = 30;
const CLIENTS: usize = 8;
const REPORTERS: usize = 60;
const SENDERS: usize = 12;
const LIMITS: [(&str, &str); 3] = [
    ("SPAMGATE__LIMITS__REPORTER_PER_DAY", "1000000"),
    ("SPAMGATE__LIMITS__CARRIER_PER_SECOND", "1000000"),
    ("SPAMGATE__LIMITS__CARRIER_BURST", "1000000"),
];

/// What a report says, as the model sees it. Two reports that are equal here are repeats of each other: the test takes
/// far less than 24 h.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    reporter: usize,
    sender: usize,
    category: &'static str,
    channel: &'static str,
    text: usize,
}

#[derive(Clone)]
struct Sent {
    said: Said,
    body: Vec<u8>,
}

#[derive(Clone)]
struct Acknowledged {
    sent: Sent,
    id: String,
    receipt: String,
}

/// Where the gateway is to be found, when it runs.
#[derive(Default)]
struct Door {
    state: Mutex<DoorState>,
    changed: Condvar,
}

#[derive(Default)]
struct DoorState {
    address: Option<SocketAddr>,
    /// No more new reports; what is unanswered is still carried to its end.
    closing: bool,
}

impl Door {
    fn open(&self, address: SocketAddr) {
        self.state.lock().unwrap().address = Some(address);
        self.changed.notify_all();
    }
    fn shut(&self) {
        self.state.lock().unwrap().address = None;
    }
    fn close(&self) {
        self.state.lock().unwrap().closing = true;
    }
    fn is_closing(&self) -> bool {
        self.state.lock().unwrap().closing
    }
    fn wait(&self) -> SocketAddr {
        let state = self.state.lock().unwrap();
        let (state, timed_out) =
            self.changed.wait_timeout_while(state, PATIENCE, |state| state.address.is_none()).unwrap();
        assert!(!timed_out.timed_out(), "the gateway does not come back");
        state.address.unwrap()
    }
}

#[derive(Default)]
struct Figures {
    unknown: AtomicUsize,
    /// Reports that were stored though their answer was lost: the retry said so.
    stored_unanswered: AtomicUsize,
    retries_of_acknowledged: AtomicUsize,
    repeats: AtomicUsize,
}

struct Oracle<'a> {
    number: usize,
    chance: Chance,
    door: &'a Door,
    figures: &'a Figures,
    /// A mark that was on its way to Redis dies with the gateway; then a retry is taken as new, and counted once.
    marks_may_be_lost: bool,
    client: Client,
    connected_to: Option<SocketAddr>,
    /// Every acknowledgement, synced before the next request.
    file: File,
    acknowledged: Vec<Acknowledged>,
    made: usize,
}

impl Oracle<'_> {
    fn work(mut self) -> Vec<Acknowledged> {
        while !self.door.is_closing() {
            match self.chance.below(10) {
                0 | 1 if !self.acknowledged.is_empty() => self.try_again(),
                2 if !self.acknowledged.is_empty() => {
                    let said = self.chance.pick(&self.acknowledged).sent.said.clone();
                    self.figures.repeats.fetch_add(1, Ordering::Relaxed);
                    self.send_new(said);
                }
                _ => {
                    let said = self.draw();
                    self.send_new(said);
                }
            }
        }
        self.acknowledged
    }

    fn draw(&mut self) -> Said {
        Said {
            reporter: self.chance.below(REPORTERS),
            sender: self.chance.below(SENDERS),
            category: ["scam", "spam"][self.chance.below(2)],
            channel: ["sms", "call"][self.chance.below(2)],
            text: self.chance.below(1_000),
        }
    }

    fn send_new(&mut self, said: Said) {
        self.made += 1;
        let body = json!({
            "report_id": format!("oracle-{}-{}", self.number, self.made),
            "reporter": mobile(said.reporter),
            "sender": mobile(1_000 + said.sender),
            "channel": said.channel,
            "category": said.category,
            "content": format!("Trung thuong so {} , nhan qua tai day", said.text),
            "occurred_at": now_rfc3339(),
        });
        let sent = Sent { said, body: body.to_string().into_bytes() };
        let (status, id, receipt) = self.carry(&sent.body);
        self.figures.stored_unanswered.fetch_add(usize::from(status == 200), Ordering::Relaxed);
        writeln!(self.file, "{id} {receipt} oracle-{}-{}", self.number, self.made).unwrap();
        self.file.sync_data().unwrap();
        self.acknowledged.push(Acknowledged { sent, id, receipt });
    }

    /// Sends what was acknowledged before: it must be known, and by the same names.
    fn try_again(&mut self) {
        self.figures.retries_of_acknowledged.fetch_add(1, Ordering::Relaxed);
        let before = self.chance.pick(&self.acknowledged).clone();
        let (status, id, receipt) = self.carry(&before.sent.body);
        assert_eq!((id, receipt), (before.id, before.receipt), "a retry has the id and receipt of the first");
        let is_known = status == 200 || self.marks_may_be_lost;
        assert!(is_known, "what was acknowledged is known to be stored, also after a restart");
    }

    /// Sends a body until it is answered, through as many restarts as it takes.
    fn carry(&mut self, body: &[u8]) -> (u16, String, String) {
        loop {
            let address = self.door.wait();
            if self.connected_to != Some(address) {
                self.client = Client::new(address, &self.client.key);
                self.connected_to = Some(address);
            }
            match self.client.post(body) {
                Ok(answer) if matches!(answer.status, 200 | 201) => {
                    return (answer.status, answer.text("id"), answer.text("receipt"));
                }
                Ok(answer) if answer.status >= 500 => {
                    self.figures.unknown.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => panic!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)),
                Err(_) => {
                    self.figures.unknown.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        }
    }
}

/// The acknowledged ids that the journal does not hold.
fn find_lost<'a>(journal: &mut Connection, acknowledged: impl Iterator<Item = &'a str>) -> Vec<String> {
    let stored = journal_ids(journal);
    acknowledged.filter(|id| !stored.contains_key(&id_bytes(id))).map(str::to_owned).collect()
}

/// The acknowledgements that the clients wrote to their files.
fn read_files(directory: &Path) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for number in 0..CLIENTS {
        let text = std::fs::read_to_string(directory.join(format!("oracle-{number}"))).unwrap();
        for line in text.lines() {
            let mut words = line.split(' ');
            lines.push((words.next().unwrap().to_owned(), words.next().unwrap().to_owned()));
        }
    }
    lines
}

on_every_engine! {
    fn kill_9_under_load_loses_and_doubles_nothing(place: Place) {
        let seed = seed("kill_9_under_load", 0x9_0001);
        let mut chance = Chance::new(seed);
        let (door, figures) = (Door::default(), Figures::default());
        let mut server = place.start(&LIMITS);
        let key = server.api_key.clone().unwrap();
        let mut kills_that_hit = 0;
        let mut kills_of_a_start = 0;

        let acknowledged: Vec<Acknowledged> = std::thread::scope(|scope| {
            let oracles: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let oracle = Oracle {
                        number,
                        chance: Chance::new(seed ^ (number as u64 + 1) << 32),
                        door: &door,
                        figures: &figures,
                        marks_may_be_lost: place.redis.is_some(),
                        client: Client::new(server.address, &key),
                        connected_to: None,
                        file: File::create(place.root.path().join(format!("oracle-{number}"))).unwrap(),
                        acknowledged: Vec::new(),
                        made: 0,
                    };
                    scope.spawn(move || oracle.work())
                })
                .collect();
            for _ in 0..CYCLES {
                let unknown = figures.unknown.load(Ordering::Relaxed);
                door.open(server.address);
                std::thread::sleep(Duration::from_millis(chance.between(50, 400) as u64));
                server.kill();
                door.shut();
                if chance.happens(25) {
                    // Killed again while it starts, which takes a build without optimisation up to a second.
                    let mut starting = place.spawn(&LIMITS);
                    std::thread::sleep(Duration::from_millis(chance.between(1, 900) as u64));
                    starting.kill();
                    kills_of_a_start += 1;
                }
                server = place.start(&LIMITS);
                kills_that_hit += usize::from(figures.unknown.load(Ordering::Relaxed) > unknown);
            }
            door.open(server.address);
            std::thread::sleep(Duration::from_millis(200));
            door.close();
            oracles.into_iter().flat_map(|oracle| oracle.join().unwrap()).collect()
        });

        // What the files say is what was promised.
        let promised = read_files(place.root.path());
        assert_eq!(promised.len(), acknowledged.len());
        assert!(kills_that_hit >= CYCLES / 2, "too few kills interrupted a request: {kills_that_hit}");
        let mut connection = place.connection();
        wait_until_built(&mut connection);
        let lost = find_lost(&mut connection, promised.iter().map(|(id, _)| id.as_str()));
        assert_eq!(lost, Vec::<String>::new(), "acknowledged and lost");

        let stored = journal_ids(&mut connection);
        let ids: BTreeSet<Vec<u8>> = promised.iter().map(|(id, _)| id_bytes(id)).collect();
        assert_eq!(ids.len(), promised.len(), "every report has an id of its own");
        // Every client carried each of its reports to an answer, so there is nothing else either.
        assert_eq!(stored.keys().cloned().collect::<BTreeSet<_>>(), ids);

        let case_of = look_all_up(server.address, &key, &acknowledged);
        check_cases(&place, &acknowledged, &case_of);
        let rows: usize = stored.values().sum();
        println!(
            "kill_9_under_load: {CYCLES} kills ({kills_that_hit} hit a request, {kills_of_a_start} more hit a start), {} \
             acknowledged, {} unknown answers retried ({} reports were stored all the same), {} retries of acknowledged, {} repeats, {rows} rows in the journal",
            acknowledged.len(),
            figures.unknown.load(Ordering::Relaxed),
            figures.stored_unanswered.load(Ordering::Relaxed),
            figures.retries_of_acknowledged.load(Ordering::Relaxed),
            figures.repeats.load(Ordering::Relaxed),
        );

        server.terminate();
        drop(connection);
        the_oracle_notices_a_lost_report(&place, &promised, &mut chance);
    }
}

/// GET of every acknowledged report: found, built in, with its receipt; the reference of its case.
fn look_all_up(address: SocketAddr, key: &str, acknowledged: &[Acknowledged]) -> HashMap<String, String> {
    let part = acknowledged.len().div_ceil(CLIENTS);
    std::thread::scope(|scope| {
        let readers: Vec<_> = acknowledged
            .chunks(part)
            .map(|chunk| {
                scope.spawn(move || {
                    let mut client = Client::new(address, key);
                    let look = |one: &Acknowledged| {
                        let answer = client.get(&format!("/v1/reports/{}", one.id)).unwrap();
                        assert_eq!(answer.status, 200, "{}", one.id);
                        assert_eq!(answer.text("receipt"), one.receipt);
                        assert!(matches!(answer.text("status").as_str(), "counted" | "repeat"), "{}", answer.json());
                        (one.id.clone(), answer.json()["case"]["reference"].as_str().unwrap().to_owned())
                    };
                    chunk.iter().map(look).collect::<Vec<_>>()
                })
            })
            .collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
    })
}

/// The cases are exactly those of the model: one for each sender and category, a voice for each reporter in it.
fn check_cases(place: &Place, acknowledged: &[Acknowledged], case_of: &HashMap<String, String>) {
    #[derive(Default)]
    struct Expected<'a> {
        references: BTreeSet<&'a str>,
        reports: u64,
        said: BTreeSet<&'a Said>,
        reporters: BTreeSet<usize>,
    }
    let mut expected: BTreeMap<(&str, usize), Expected<'_>> = BTreeMap::new();
    for one in acknowledged {
        let said = &one.sent.said;
        let case = expected.entry((said.category, said.sender)).or_default();
        case.references.insert(&case_of[&one.id]);
        case.reports += 1;
        case.said.insert(said);
        case.reporters.insert(said.reporter);
    }
    let listed = place.list_cases();
    assert_eq!(listed.len(), expected.len(), "one case for each sender and category");
    let listed: BTreeMap<&str, _> = listed.iter().map(|case| (case["reference"].as_str().unwrap(), case)).collect();
    for ((category, sender), case) in expected {
        assert_eq!(case.references.len(), 1, "{category} by sender {sender} is one case");
        let reference = *case.references.first().unwrap();
        let row = listed[reference];
        let found = (row["category"].as_str(), row["reports"].as_u64(), row["voices"].as_u64());
        let voices = u64::try_from(case.reporters.len()).unwrap();
        assert_eq!(found, (Some(category), Some(case.reports), Some(voices)), "{row}");
        assert_eq!(row["status"], "open");
        let shown = place.run(&["cases", "show", reference, "--json"]).stdout;
        let shown: serde_json::Value = serde_json::from_slice(&shown).unwrap();
        let repeats = case.reports - u64::try_from(case.said.len()).unwrap();
        assert_eq!(shown["repeats"].as_u64(), Some(repeats), "{shown}");
    }
}

/// The check above is worth something only if it fails when it should.
fn the_oracle_notices_a_lost_report(place: &Place, promised: &[(String, String)], chance: &mut Chance) {
    let copy = place.copy();
    let (victim, _) = chance.pick(promised);
    let mut journal = copy.location().open_journal_writer().unwrap();
    let deleted = diesel::delete(reports::table.filter(reports::report_id.eq(id_bytes(victim)))).execute(&mut journal);
    assert!(deleted.unwrap() >= 1);
    drop(journal);
    let lost = find_lost(&mut copy.connection(), promised.iter().map(|(id, _)| id.as_str()));
    assert_eq!(lost, std::slice::from_ref(victim));
}

on_every_engine! {
    /// A process that ends while requests are in hand must not leave the next one waiting.
    fn a_killed_gateway_starts_again_at_once(place: Place) {
        let mut server = place.start(&LIMITS);
        let key = server.api_key.clone().unwrap();
        let mut client = server.client(&key);
        for n in 0..20 {
            let body = report(&format!("again-{n}"), &mobile(n), &mobile(2_000));
            assert_eq!(client.post(body.to_string().as_bytes()).unwrap().status, 201);
        }
        server.kill();
        let began = Instant::now();
        let server = place.start(&LIMITS);
        let took = began.elapsed();
        let body = report("again-after", &mobile(0), &mobile(2_000));
        assert_eq!(server.client(&key).post(body.to_string().as_bytes()).unwrap().status, 201);
        println!("a killed gateway takes reports again after {took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}
