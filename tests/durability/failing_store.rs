//! A journal that cannot be written: no false yes, a clear no, and all is well soon after.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use spamgate::store::connection::Connection;

use super::support::{
    Answer, Client, PATIENCE, Place, has_program, id_bytes, journal_ids, mobile, report, wait_until_built,
};

/// The promise: all is well within this of the store's return.
const WELL_AGAIN: Duration = Duration::from_secs(2);

/// Takes the journal's write lock, as a writer that hangs would.
fn hold_the_journal(place: &Place) -> Connection {
    let mut lock = place.location().open_journal_writer().unwrap();
    lock.batch_execute("BEGIN IMMEDIATE").unwrap();
    lock
}

fn body(report_id: &str, reporter: usize) -> Vec<u8> {
    report(report_id, &mobile(reporter), &mobile(5_000)).to_string().into_bytes()
}

/// A refusal that says so, and when to come again.
fn assert_unavailable(answer: &Answer, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (503, code), "{}", answer.json());
    let retry_after: u64 = answer.header("retry-after").expect("a 503 has Retry-After").parse().unwrap();
    assert!((1..=60).contains(&retry_after), "{retry_after}");
}

/// Sends until it is taken; how long that took.
fn time_until_taken(client: &mut Client, body: &[u8]) -> (Answer, Duration) {
    let began = Instant::now();
    loop {
        let answer = client.post(body).unwrap();
        if matches!(answer.status, 200 | 201) {
            return (answer, began.elapsed());
        }
        assert_eq!(answer.status, 503, "{}", answer.json());
        assert!(began.elapsed() < PATIENCE, "it never recovers");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_failed_writer_never_gives_a_false_yes() {
    let mut place = Place::new();
    // One report a day each, so that a quota that was not given back shows; and callers who wait for the writer's own
    // word: it waits five seconds for the lock, and again for those who came in the meantime.
    let settings = [("SPAMGATE__LIMITS__REPORTER_PER_DAY", "1"), ("SPAMGATE__SERVER__APPEND_TIMEOUT_MS", "20000")];
    let server = place.start(&settings);
    let key = server.api_key.clone().unwrap();
    let lock = hold_the_journal(&place);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for reporter in 0..8 {
            let mut client = server.client(&key);
            scope.spawn(move || {
                let answer = client.post(&body(&format!("failed-{reporter}"), reporter)).unwrap();
                assert_unavailable(&answer, "store_unavailable");
            });
        }
    });
    let refused_after = began.elapsed();
    assert!(refused_after <= Duration::from_secs(12), "{refused_after:?}");
    assert!(journal_ids(&mut place.connection()).is_empty(), "nothing was acknowledged and nothing is stored");

    drop(lock);
    let mut client = server.client(&key);
    let (answer, took) = time_until_taken(&mut client, &body("failed-0", 0));
    assert_eq!(answer.status, 201, "it was not stored before");
    assert!(took <= WELL_AGAIN, "{took:?}");
    for reporter in 1..8 {
        let answer = client.post(&body(&format!("failed-{reporter}"), reporter)).unwrap();
        assert_eq!(answer.status, 201, "the quota was given back: {}", answer.json());
    }
    let over = client.post(&body("one-too-many", 0)).unwrap();
    assert_eq!((over.status, over.code().as_str()), (429, "reporter_quota_exceeded"), "given back once, not twice");
    println!("a_failed_writer: refused after {refused_after:?}, taken again after {took:?}");
}

#[test]
fn an_append_that_takes_too_long_is_answered_unknown_and_counted_once() {
    let mut place = Place::new();
    let settings = [("SPAMGATE__SERVER__APPEND_TIMEOUT_MS", "300"), ("SPAMGATE__LIMITS__REPORTER_PER_DAY", "1")];
    let server = place.start(&settings);
    let key = server.api_key.clone().unwrap();
    let lock = hold_the_journal(&place);
    let began = Instant::now();
    let mut client = server.client(&key);
    let unknown = body("unknown-1", 0);
    let answer = client.post(&unknown).unwrap();
    let refused_after = began.elapsed();
    assert_unavailable(&answer, "outcome_unknown");
    // Before the writer itself gives up, which it does after a second.
    assert!((300..900).contains(&refused_after.as_millis()), "{refused_after:?}");
    assert!(journal_ids(&mut place.connection()).is_empty());

    // The writer still waits for the lock: what is unknown becomes known, without the caller.
    drop(lock);
    let released = Instant::now();
    let mut connection = place.connection();
    while journal_ids(&mut connection).is_empty() {
        assert!(released.elapsed() < WELL_AGAIN, "the append was given up");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(50));
    let again = client.post(&unknown).unwrap();
    assert_eq!((again.status, again.json()["duplicate"].as_bool()), (200, Some(true)), "{}", again.json());
    wait_until_built(&mut connection);
    let listed = place.list_cases();
    assert_eq!((listed.len(), listed[0]["reports"].as_u64()), (1, Some(1)), "{listed:?}");
    let over = client.post(&body("unknown-2", 0)).unwrap();
    assert_eq!(over.code(), "reporter_quota_exceeded", "the one that was stored has used the quota");
}

#[test]
fn a_full_queue_says_no_at_once() {
    let mut place = Place::new();
    let server = place.start(&[("SPAMGATE__LIMITS__QUEUE_ITEMS", "1"), ("SPAMGATE__LIMITS__REPORTER_PER_DAY", "1")]);
    let key = server.api_key.clone().unwrap();
    let lock = hold_the_journal(&place);
    let bodies: Vec<Vec<u8>> = (0..2).map(|n| body(&format!("queue-{n}"), n)).collect();
    let mut waiting: Vec<Client> = bodies
        .iter()
        .map(|body| {
            let mut client = server.client(&key);
            client.write("POST", "/v1/reports", &[], body).unwrap();
            // The first is with the writer when the second comes into the queue.
            std::thread::sleep(Duration::from_millis(300));
            client
        })
        .collect();
    let mut client = server.client(&key);
    for n in 2..12 {
        let began = Instant::now();
        let answer = client.post(&body(&format!("queue-{n}"), n)).unwrap();
        let took = began.elapsed();
        assert_unavailable(&answer, "overloaded");
        assert!(took < Duration::from_millis(500), "at once, not after {took:?}");
    }
    drop(lock);
    for client in &mut waiting {
        assert_eq!(client.read().unwrap().status, 201, "who was in the queue is answered");
    }
    for n in 2..12 {
        let (answer, took) = time_until_taken(&mut client, &body(&format!("queue-{n}"), n));
        assert_eq!(answer.status, 201, "the quota was given back");
        assert!(took <= WELL_AGAIN, "{took:?}");
    }
    assert_eq!(journal_ids(&mut place.connection()).len(), 12);
}

/// A small disk, mounted for the test.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = has_program("mount")
            && Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs"])
                .arg(at)
                .status()
                .is_ok_and(|status| status.success());
        mounted.then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_never_gives_a_false_yes() {
    let mut place = Place::new();
    let data = place.data.clone();
    let Some(disk) = SmallDisk::mount(&data) else {
        println!("a_full_disk: no tmpfs may be mounted here; the locked journal stands for it");
        return;
    };
    // What is freed later, as an operator would.
    let ballast = data.join("ballast");
    std::fs::write(&ballast, vec![1; 8 << 20]).unwrap();
    let settings = [("SPAMGATE__LIMITS__CARRIER_BURST", "1000000"), ("SPAMGATE__LIMITS__REPORTER_PER_DAY", "1000")];
    let mut server = place.start(&settings);
    let key = server.api_key.clone().unwrap();
    let mut client = server.client(&key);
    let mut acknowledged = Vec::new();
    let (mut refused, mut sent, mut ended) = (Vec::new(), 0, false);
    while refused.len() < 50 && !ended {
        sent += 1;
        assert!(sent < 50_000, "the disk never gets full");
        // Large enough to fill the disk soon.
        let mut report = report(&format!("full-{sent}"), &mobile(sent % 500), &mobile(5_100));
        report["content"] = format!("{sent} {}", "x".repeat(3_000)).into();
        let body = report.to_string().into_bytes();
        match client.post(&body) {
            Ok(answer) if answer.status == 201 => acknowledged.push(answer.text("id")),
            Ok(answer) => {
                assert_unavailable(&answer, "store_unavailable");
                refused.push(body);
            }
            // It may also end itself, when it can no longer trust the disk.
            Err(_) => {
                refused.push(body);
                ended = true;
            }
        }
    }
    std::fs::remove_file(&ballast).unwrap();
    let taken_again = if ended {
        let status = server.wait();
        println!("a_full_disk: the gateway ended itself with {status}: {}", server.logged());
        server = place.start(&settings);
        client = server.client(&key);
        None
    } else {
        let (_, took) = time_until_taken(&mut client, &refused[0]);
        assert!(took <= WELL_AGAIN, "{took:?}");
        Some(took)
    };
    let mut taken = BTreeIds::new(&acknowledged);
    for body in &refused {
        let (answer, _) = time_until_taken(&mut client, body);
        taken.insert(&answer.text("id"));
    }
    let mut connection = place.connection();
    let stored = journal_ids(&mut connection);
    assert_eq!(
        stored.keys().cloned().collect::<Vec<_>>(),
        taken.0,
        "stored is what was acknowledged, no more, no less"
    );
    wait_until_built(&mut connection);
    let listed = place.list_cases();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["reports"].as_u64(), Some(u64::try_from(taken.0.len()).unwrap()));
    println!(
        "a_full_disk: {} acknowledged before it was full, {} refused and taken later, taken again after {taken_again:?}",
        acknowledged.len(),
        refused.len()
    );
    server.terminate();
    drop((connection, disk));
}

/// Ids in the order of the journal's index.
struct BTreeIds(Vec<Vec<u8>>);

impl BTreeIds {
    fn new(ids: &[String]) -> Self {
        let mut bytes: Vec<_> = ids.iter().map(|id| id_bytes(id)).collect();
        bytes.sort();
        Self(bytes)
    }
    fn insert(&mut self, id: &str) {
        let id = id_bytes(id);
        if let Err(place) = self.0.binary_search(&id) {
            self.0.insert(place, id);
        }
    }
}
