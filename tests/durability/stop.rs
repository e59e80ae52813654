//! SIGTERM while requests are in hand.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;

use super::support::{Chance, Client, Place, id_bytes, journal_ids, mobile, on_every_engine, report, seed};

const CLIENTS: usize = 8;
const EXIT_MAX: Duration = Duration::from_secs(15);
const LIMITS: [(&str, &str); 3] = [
    ("SPAMGATE__LIMITS__REPORTER_PER_DAY", "1000000"),
    ("SPAMGATE__LIMITS__CARRIER_PER_SECOND", "1000000"),
    ("SPAMGATE__LIMITS__CARRIER_BURST", "1000000"),
];

on_every_engine! {
    fn sigterm_under_load_answers_what_is_in_hand(place: Place) {
        let mut chance = Chance::new(seed("sigterm_under_load", 0x6_0001));
        let mut key = None;
        for round in 0..3 {
            let mut server = place.start(&LIMITS);
            let key = key.get_or_insert_with(|| server.api_key.clone().unwrap());
            let stopping = AtomicBool::new(false);
            let wait = Duration::from_millis(chance.between(100, 500) as u64);
            let (address, began) = (server.address, Instant::now());
            let (acknowledged, took) = std::thread::scope(|scope| {
                let clients: Vec<_> = (0..CLIENTS)
                    .map(|number| {
                        let (stopping, key) = (&stopping, key.as_str());
                        scope.spawn(move || post_until_the_door_closes(address, key, round, number, stopping))
                    })
                    .collect();
                std::thread::sleep(wait);
                stopping.store(true, Ordering::SeqCst);
                server.send_sigterm();
                let asked = Instant::now();
                let status = server.wait();
                let took = asked.elapsed();
                assert!(status.success(), "{status}\n{}", server.logged());
                let acknowledged: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
                (acknowledged, took)
            });
            assert!(took <= EXIT_MAX, "{took:?}");
            assert!(acknowledged.len() > CLIENTS, "there was no load");
            let stored = journal_ids(&mut place.connection());
            let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains_key(&id_bytes(id))).collect();
            assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
            println!(
                "sigterm_under_load: round {round}, {} acknowledged in {:?}, exit after {took:?}",
                acknowledged.len(),
                began.elapsed()
            );
        }
    }
}

/// The ids that were acknowledged until the gateway took no more. Before the signal every request must be answered.
fn post_until_the_door_closes(
    address: SocketAddr,
    key: &str,
    round: usize,
    number: usize,
    stopping: &AtomicBool,
) -> Vec<String> {
    let mut client = Client::new(address, key);
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let body = report(&format!("term-{round}-{number}-{n}"), &mobile(n % 500), &mobile(4_000 + number));
        let was_stopping = stopping.load(Ordering::SeqCst);
        match client.post(body.to_string().as_bytes()) {
            Ok(answer) if answer.status == 201 => acknowledged.push(answer.text("id")),
            Ok(answer) => {
                assert!(answer.status == 503 && stopping.load(Ordering::SeqCst), "{}", answer.json());
                break;
            }
            Err(error) => {
                let is_stopping = stopping.load(Ordering::SeqCst);
                assert!(was_stopping || is_stopping, "an unanswered request before the signal: {error}");
                break;
            }
        }
    }
    acknowledged
}

/// The disk is held up, so that what is in hand when the signal comes is known exactly.
#[test]
fn sigterm_waits_for_the_disk_and_answers_everyone_who_waits() {
    let mut place = Place::new();
    let mut server = place.start(&LIMITS);
    let key = server.api_key.clone().unwrap();
    let mut lock = place.location().open_journal_writer().unwrap();
    lock.batch_execute("BEGIN IMMEDIATE").unwrap();
    let mut waiting: Vec<Client> = (0..CLIENTS)
        .map(|n| {
            let mut client = server.client(&key);
            let body = report(&format!("in-hand-{n}"), &mobile(n), &mobile(4_100)).to_string();
            client.write("POST", "/v1/reports", &[], body.as_bytes()).unwrap();
            client
        })
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    server.send_sigterm();
    let asked = Instant::now();
    // Less than the writer waits for a lock.
    std::thread::sleep(Duration::from_millis(500));
    assert!(server.is_running(), "it did not wait for what was in hand");
    lock.batch_execute("ROLLBACK").unwrap();
    let ids: Vec<String> = waiting
        .iter_mut()
        .map(|client| {
            let answer = client.read().unwrap();
            assert_eq!(answer.status, 201, "{}", answer.json());
            answer.text("id")
        })
        .collect();
    assert!(server.wait().success(), "{}", server.logged());
    let took = asked.elapsed();
    assert!(took <= EXIT_MAX, "{took:?}");
    println!("sigterm_waits_for_the_disk: all {CLIENTS} answered 201, exit {took:?} after the signal");
    let stored = journal_ids(&mut place.connection());
    assert!(ids.iter().all(|id| stored.contains_key(&id_bytes(id))));
}
