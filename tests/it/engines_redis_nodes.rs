//! Several nodes beside one Redis: a reporter's quota is one, and what one node stored the others see.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use spamgate::config::fast_url::FastUrl;
use spamgate::domain::clock::{Clock, Moment};
use spamgate::domain::report::ReportId;
use spamgate::fast::memory::{MemoryLimits, MemoryState};
use spamgate::fast::redis::{RedisSettings, RedisState};
use spamgate::fast::{Admission, CarrierRate, Granted, NonceTag, Probe};
use spamgate::telemetry::metrics::Metrics;
use tokio::task::JoinSet;

use crate::support::{AnyRedis, ChaosProxy, RedisServer, wait_until};

const PER_DAY: u32 = 20;

/// The fast state of one of several nodes beside the same Redis.
async fn node(server: &RedisServer) -> Arc<RedisState> {
    node_at(&server.url(), Arc::new(Metrics::default())).await
}

async fn node_at(url: &str, metrics: Arc<Metrics>) -> Arc<RedisState> {
    let FastUrl::Redis(target) = FastUrl::parse(url).unwrap() else { panic!("it is a Redis") };
    let settings = RedisSettings {
        target,
        key_prefix: "spamgate".to_owned(),
        // Nothing may fall back on the memory of the node here.
        timeout: Duration::from_secs(5),
        reporter_per_day: PER_DAY,
    };
    let limits = MemoryLimits {
        seen_max: 1_000,
        reporters_max: 1_000,
        reporter_per_day: NonZeroU32::new(PER_DAY).unwrap(),
        codes_max: 10,
        questions_max: 1_000,
    };
    let local = MemoryState::new(limits, Clock::mock(Moment(0)));
    Arc::new(RedisState::open(settings, local, metrics).await)
}

fn probe(number: u8) -> Probe {
    Probe {
        id: ReportId::from_mac([number; 16]),
        // Another for each id, and never zeros.
        store_mark: [!number; 8],
        body_mark: [2; 8],
        hint_key: [number; 16],
        quota_key: [3; 16],
        now: Moment(0),
        place: None,
    }
}

/// Whether what is new repeats another.
fn repeats(admission: Admission) -> Option<bool> {
    match admission {
        Admission::New { repeat, .. } => Some(repeat),
        _ => None,
    }
}

/// The probe as it is marked when this is what Redis said.
fn told(probe: Probe, admission: Admission) -> Probe {
    match admission {
        Admission::New { place, .. } => Probe { place, ..probe },
        _ => probe,
    }
}

/// How many of these were taken and how many were over the quota; nothing else may come out.
fn count(admissions: &[Admission]) -> (usize, usize) {
    let taken = admissions.iter().filter(|admission| matches!(admission, Admission::New { .. })).count();
    let over = admissions.iter().filter(|admission| matches!(admission, Admission::OverQuota { .. })).count();
    assert_eq!(taken + over, admissions.len(), "{admissions:?}");
    (taken, over)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_holds_its_number_over_two_nodes() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    let mut admissions = Vec::new();
    for number in 0..30 {
        admissions.push(nodes[usize::from(number % 2)].admit(&probe(number), true).await);
    }
    assert_eq!(count(&admissions), (20, 10));
    let (first, last) = admissions.split_at(20);
    assert_eq!((count(first), count(last)), ((20, 0), (0, 10)), "the first come, whichever node they come to");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_holds_its_number_over_two_nodes_at_once() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    let tasks: Vec<_> = (0..60)
        .map(|number| {
            let node = Arc::clone(&nodes[usize::from(number % 2)]);
            tokio::spawn(async move { node.admit(&probe(number), true).await })
        })
        .collect();
    let mut admissions = Vec::new();
    for task in tasks {
        admissions.push(task.await.unwrap());
    }
    assert_eq!(count(&admissions), (20, 40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_gives_back_the_other_can_take() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    for number in 0..20 {
        nodes[0].admit(&probe(number), true).await;
    }
    assert!(matches!(nodes[1].admit(&probe(20), true).await, Admission::OverQuota { .. }));
    nodes[0].give_back(&probe(19));
    let taken = async || matches!(nodes[1].admit(&probe(20), true).await, Admission::New { .. });
    wait_until("one can be taken", Duration::from_secs(5), taken).await;
    assert!(matches!(nodes[1].admit(&probe(21), true).await, Admission::OverQuota { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_stored_the_other_sees_and_it_takes_no_quota() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    nodes[0].mark_stored(&probe(1));
    let seen = async || nodes[1].admit(&probe(1), false).await == Admission::Stored;
    wait_until("it is seen", Duration::from_secs(5), seen).await;
    for _ in 0..30 {
        assert_eq!(nodes[1].admit(&probe(1), true).await, Admission::Stored);
    }
    assert_eq!(nodes[1].admit(&Probe { body_mark: [9; 8], ..probe(1) }, true).await, Admission::Conflict);
    assert_eq!(repeats(nodes[1].admit(&probe(2), true).await), Some(false));
}

/// A report with another id that claims the same.
fn saying_the_same(number: u8, as_number: u8) -> Probe {
    Probe { hint_key: probe(as_number).hint_key, ..probe(number) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_made_on_one_node_is_a_repeat_on_the_other_unless_it_is_the_same_report() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    let (new, repeat) = (Some(false), Some(true));
    assert_eq!(repeats(nodes[0].admit(&probe(1), true).await), new);
    assert_eq!(repeats(nodes[0].admit(&probe(2), true).await), new, "another claim");
    // Its answer was lost, and it is not stored yet: a retry repeats nobody.
    assert_eq!(repeats(nodes[1].admit(&probe(1), true).await), new);
    assert_eq!(repeats(nodes[1].admit(&saying_the_same(3, 1), true).await), repeat);
    assert_eq!(repeats(nodes[1].admit(&saying_the_same(4, 2), true).await), repeat);
    assert_eq!(
        repeats(nodes[0].admit(&Probe { quota_key: [4; 16], ..saying_the_same(5, 1) }, true).await),
        new,
        "another reporter"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_that_are_asked_about_in_one_call_know_of_each_other() {
    const REPORTS: u8 = 10;
    let server = RedisServer::start();
    let node = node(&server).await;
    let tasks: Vec<_> = (0..REPORTS)
        .map(|number| {
            let node = Arc::clone(&node);
            // The first goes alone; what comes meanwhile goes together.
            tokio::spawn(async move { node.admit(&saying_the_same(number, number.min(1)), true).await })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += usize::from(repeats(task.await.unwrap()) == Some(false));
    }
    assert_eq!(new, 2, "the first, and one of those that say the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_was_given_back_repeats_nothing() {
    let server = RedisServer::start();
    let node = node(&server).await;
    node.admit(&probe(1), true).await;
    node.admit(&probe(2), true).await;
    node.give_back(&probe(1));
    let asks = |number: u8, as_number: u8| {
        let (node, probe) = (Arc::clone(&node), saying_the_same(number, as_number));
        async move { node.admit(&probe, true).await }
    };
    let is_forgotten = async || repeats(asks(3, 1).await) == Some(false);
    let forgotten = async || {
        let is_forgotten = is_forgotten().await;
        node.give_back(&saying_the_same(3, 1));
        is_forgotten
    };
    wait_until("the claim is forgotten", Duration::from_secs(5), forgotten).await;
    assert_eq!(repeats(asks(4, 2).await), Some(true), "the other one is not");
}

/// How a reporter's value begins, and how long a record in it is, bytes.
const TIME_BYTES: usize = 8;
const RECORD_BYTES: usize = 28;
/// Where in the first record the second of receipt stands.
const SECOND: std::ops::Range<usize> = 16..20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_remembered_for_a_day_from_the_first_and_only_the_latest_reports_are() {
    const DAY_S: u32 = 86_400;
    const RECORDS_MAX: usize = 128;
    let server = RedisServer::start();
    let node = node(&server).await;
    node.admit(&probe(1), true).await;
    let key = server.keys("*}r*").remove(0);
    let value = || server.ask::<Vec<u8>>(redis::cmd("GET").arg(&key));
    let records = || (value().len() - TIME_BYTES) / RECORD_BYTES;
    let one = value();
    let first = u32::from_be_bytes(one[SECOND].try_into().unwrap());
    let set = |mut value: Vec<u8>, second: u32, further: usize| {
        value[SECOND].copy_from_slice(&second.to_be_bytes());
        let end = value.split_off(value.len() - 1);
        let other = [&[9; 8][..], &first.to_be_bytes(), &[0; 16]].concat();
        server.ask::<()>(redis::cmd("SET").arg(&key).arg([value, other.repeat(further), end].concat()));
    };

    set(one.clone(), first - DAY_S + 60, 0);
    assert_eq!(repeats(node.admit(&saying_the_same(2, 1), true).await), Some(true));
    set(value(), first - DAY_S, 0);
    assert_eq!(repeats(node.admit(&saying_the_same(3, 1), true).await), Some(false), "a repeat begins no day anew");
    assert_eq!(repeats(node.admit(&saying_the_same(4, 1), true).await), Some(true), "a report of another day does");
    assert_eq!(records(), 4);
    set(value(), first - 32 * DAY_S, 0);
    node.admit(&probe(5), true).await;
    assert_eq!(records(), 4, "the one that has had its time is gone");

    set(one, first, RECORDS_MAX - 1);
    let admission = node.admit(&probe(6), true).await;
    assert_eq!(admission, Admission::New { repeat: false, place: None }, "its place will change with the next");
    assert_eq!(records(), RECORDS_MAX);
    assert_eq!(repeats(node.admit(&saying_the_same(7, 1), true).await), Some(false), "the oldest made room");
    assert_eq!(repeats(node.admit(&saying_the_same(8, 6), true).await), Some(true));
}

const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_find_the_records_of_their_reports() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    let mut asked = Vec::new();
    for number in 1..=5 {
        let body_mark = [number; 8];
        let probe = Probe { body_mark, ..probe(number) };
        asked.push(told(probe.clone(), nodes[0].admit(&probe, true).await));
    }
    assert!(asked.iter().all(|probe| probe.place.is_some()));
    // The first comes to nothing, and moves none of the others.
    nodes[0].give_back(&asked[0]);
    nodes[0].flush(WRITTEN_WITHIN).await;
    [3, 1, 4].iter().for_each(|place: &usize| nodes[0].mark_stored(&asked[*place]));
    nodes[0].flush(WRITTEN_WITHIN).await;
    let mut admissions = Vec::new();
    for probe in &asked {
        admissions.push(nodes[1].admit(probe, false).await);
    }
    let stored: Vec<bool> = admissions.iter().map(|admission| *admission == Admission::Stored).collect();
    assert_eq!(stored, [false, true, false, true, true]);
    assert_eq!((repeats(admissions[0]), repeats(admissions[2])), (Some(false), Some(false)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_marked_where_nothing_is_any_more_is_seen_and_does_not_stay_for_ever() {
    let spoil: [fn(&RedisServer, &[u8]); 3] = [
        |_, _| {},
        |server, key| server.ask::<()>(redis::cmd("SET").arg(key).arg("x")),
        |server, key| server.ask::<()>(redis::cmd("RPUSH").arg(key).arg("x")),
    ];
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    for (number, spoil) in (1..).zip(spoil) {
        let probe = Probe { quota_key: [number; 16], ..probe(number) };
        let probe = told(probe.clone(), nodes[0].admit(&probe, true).await);
        assert!(probe.place.is_some());
        let key = server.keys("*}r*").into_iter().find(|key| key.ends_with(&[number; 12])).unwrap();
        server.delete(std::slice::from_ref(&key));
        spoil(&server, &key);
        nodes[0].mark_stored(&probe);
        nodes[0].flush(WRITTEN_WITHIN).await;
        assert_eq!(nodes[1].admit(&probe, true).await, Admission::Stored, "{number}");
        assert!(server.ask::<i64>(redis::cmd("TTL").arg(&key)) > 0, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_whose_record_was_lost_takes_neither_the_quota_nor_other_marks_with_it() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    let first = told(probe(1), nodes[0].admit(&probe(1), true).await);
    nodes[0].mark_stored(&first);
    nodes[0].flush(WRITTEN_WITHIN).await;
    let key = server.keys("*}r*").remove(0);
    let before: Vec<u8> = server.ask(redis::cmd("GET").arg(&key));
    let second = told(probe(2), nodes[0].admit(&probe(2), true).await);
    // A replica took over that had not heard of the second.
    server.ask::<()>(redis::cmd("SET").arg(&key).arg(&before).arg("KEEPTTL"));
    nodes[0].mark_stored(&second);
    nodes[0].flush(WRITTEN_WITHIN).await;
    assert_eq!(nodes[1].admit(&second, true).await, Admission::Stored);
    let after: Vec<u8> = server.ask(redis::cmd("GET").arg(&key));
    assert_eq!(after[..TIME_BYTES], before[..TIME_BYTES]);
    assert_eq!(nodes[1].admit(&first, true).await, Admission::Stored);
    // And both are still there when more come.
    nodes[1].admit(&probe(3), true).await;
    assert_eq!(nodes[1].admit(&first, true).await, Admission::Stored);
    assert_eq!(nodes[1].admit(&second, true).await, Admission::Stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_bodies_of_one_report_id_the_first_to_be_stored_stands() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    let (one, other) = (probe(1), Probe { body_mark: [9; 8], ..probe(1) });
    let one = told(one.clone(), nodes[0].admit(&one, true).await);
    let other = told(other.clone(), nodes[1].admit(&other, true).await);
    nodes[0].mark_stored(&one);
    nodes[0].flush(WRITTEN_WITHIN).await;
    nodes[1].mark_stored(&other);
    nodes[1].flush(WRITTEN_WITHIN).await;
    let asks = async |probe: &Probe| node(&server).await.admit(probe, true).await;
    assert_eq!((asks(&one).await, asks(&other).await), (Admission::Stored, Admission::Conflict));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_is_claimed_once_over_two_nodes_and_by_nothing_that_is_not_ours() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    let nonce = NonceTag { name: [1; 16], proof: [2; 8] };
    let remembered = Duration::from_secs(60);
    assert!(nodes[0].claim_nonce(&nonce, remembered).await);
    assert!(!nodes[1].claim_nonce(&nonce, remembered).await);
    let keys = server.keys("*:nonce:*");
    assert_eq!(keys.len(), 1);
    for junk in [&[][..], &[2_u8; 8], &[3; 16], &[2; 17]] {
        server.ask::<()>(redis::cmd("SET").arg(&keys[0]).arg(junk));
        assert!(nodes[1].claim_nonce(&nonce, remembered).await, "{junk:?}");
    }
    server.ask::<()>(redis::cmd("SET").arg(&keys[0]).arg(&[2_u8; 16][..]));
    assert!(!nodes[1].claim_nonce(&nonce, remembered).await, "a node has written this");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_is_none_of_ours_counts_as_full() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let (per_second, burst) = (NonZeroU32::MIN, NonZeroU32::new(3).unwrap());
    let rate = CarrierRate { per_second, burst, per_day: None, utc_offset_minutes: 0 };
    let lease = async |items| node.lease_items(&[1; 16], rate, items, Some(Moment(1_000_000))).await;
    let granted =
        |items, left, wait_s| Some(Granted { items, left, left_today: None, wait: Duration::from_secs(wait_s) });
    assert_eq!(lease(2).await, granted(2, 1, 0));
    assert_eq!(lease(2).await, granted(1, 0, 1));
    assert_eq!(lease(-2).await, granted(0, 2, 0));
    assert_eq!(lease(-2).await, granted(0, 3, 0), "no more than full");
    let keys = server.keys("*:carrier:*");
    assert_eq!(keys.len(), 1);
    for junk in ["", "9999999999", "1e400 5", "-5.0 1", "999999.000000 99999999999999999999", "0.000000 1000000"] {
        server.ask::<()>(redis::cmd("SET").arg(&keys[0]).arg(junk));
        assert_eq!(lease(1).await, granted(1, 2, 0), "{junk}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_of_a_day_are_counted_over_all_nodes_until_midnight_of_the_region() {
    const DAY_S: i64 = 86_400;
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    let (per_second, burst) = (NonZeroU32::new(100).unwrap(), NonZeroU32::new(100).unwrap());
    let rate = |per_day| CarrierRate { per_second, burst, per_day: NonZeroU32::new(per_day), utc_offset_minutes: 420 };
    let midnight_s = 20_000 * DAY_S - 7 * 3_600;
    let lease = async |node: usize, at_s: i64, per_day, items| {
        let now = Some(Moment((midnight_s + at_s) * 1_000_000));
        let granted = nodes[node].lease_items(&[1; 16], rate(per_day), items, now).await.unwrap();
        (granted.items, granted.left_today, granted.wait.as_secs())
    };
    assert_eq!(lease(0, 0, 10, 6).await, (6, Some(4), 0));
    assert_eq!(lease(1, 60, 10, 6).await, (4, Some(0), 86_340));
    assert_eq!(lease(0, DAY_S - 1, 10, 1).await, (0, Some(0), 1));
    assert_eq!(lease(1, DAY_S - 1, 10, -3).await, (0, Some(3), 0));
    assert_eq!(lease(0, DAY_S - 1, 10, 3).await, (3, Some(0), 0));
    // Counted even where there is no limit; other terms refill nothing.
    assert_eq!(lease(0, DAY_S - 1, 0, 2).await, (2, None, 0));
    assert_eq!(lease(0, DAY_S - 1, 13, 2).await, (1, Some(0), 1));
    assert_eq!(lease(1, DAY_S, 10, 1).await, (1, Some(9), 0));
    // A clock that is set back begins no day anew; the one before it counts for nothing.
    assert_eq!(lease(1, DAY_S - 1, 10, 10).await, (9, Some(0), 86_401));
    assert_eq!(lease(0, 10 * DAY_S, 10, 1).await, (1, Some(9), 0));
    assert_eq!(lease(0, 0, 10, 1).await, (1, Some(9), 0), "far too late a day is none of ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_that_were_on_their_way_when_redis_hung_are_dropped_and_counted() {
    let server = RedisServer::start();
    let proxy = ChaosProxy::to(server.socket());
    let metrics = Arc::new(Metrics::default());
    let node = node_at(&format!("redis://{}", proxy.address()), Arc::clone(&metrics)).await;
    proxy.hang();
    node.mark_stored(&probe(1));
    let dropped = async || metrics.redis_marks_dropped.get() == 1;
    wait_until("the mark is counted as dropped", Duration::from_secs(5), dropped).await;
    proxy.go_on();
    wait_until("the link is whole", Duration::from_secs(10), async || node.degradation().is_none()).await;
    node.mark_stored(&probe(2));
    wait_until("the next one is written", Duration::from_secs(5), async || server.keys("*}r*").len() == 1).await;
    assert_eq!(metrics.redis_marks_dropped.get(), 1);

    // One that may have been written into nothing is not dropped at once.
    let asked = told(probe(3), node.admit(&probe(3), true).await);
    assert!(asked.place.is_some());
    proxy.hang();
    node.mark_stored(&asked);
    wait_until("the link is cut", Duration::from_secs(5), async || node.degradation().is_some()).await;
    server.delete(&server.keys("*}r*"));
    proxy.go_on();
    let has_a_life = |key: &Vec<u8>| server.ask::<i64>(redis::cmd("TTL").arg(key)) > 0;
    let is_written = async || server.keys("*}r*").first().is_some_and(has_a_life);
    wait_until("it is written after all, and not for ever", Duration::from_secs(10), is_written).await;
    assert_eq!(metrics.redis_marks_dropped.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_takes_no_more_than_200_bytes_of_redis() {
    const REPORTS: u32 = 100_000;
    const AT_ONCE: usize = 1_000;
    const BYTES_MAX: u64 = 200;
    let server = RedisServer::start();
    let used_bytes = || {
        let info: String = server.ask(redis::cmd("INFO").arg("memory"));
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        line.parse::<u64>().unwrap()
    };
    let node = node(&server).await;
    let before = used_bytes();
    let mut asked = JoinSet::new();
    for number in 0..REPORTS {
        // Spread like MACs.
        let spread = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes();
        let probe = Probe { id: ReportId::from_mac(spread), hint_key: spread, quota_key: spread, ..probe(0) };
        let node = Arc::clone(&node);
        asked.spawn(async move {
            let admission = node.admit(&probe, true).await;
            assert_eq!(repeats(admission), Some(false));
            node.mark_stored(&told(probe, admission));
        });
        if asked.len() >= AT_ONCE {
            asked.join_next().await.unwrap().unwrap();
        }
    }
    asked.join_all().await;
    node.flush(Duration::from_secs(30)).await;
    assert!(server.ask::<u32>(&redis::cmd("DBSIZE")) >= REPORTS);
    // Some seconds later the server has given back what it used for the connection.
    let each = || (used_bytes() - before) / u64::from(REPORTS);
    wait_until("they take no more", Duration::from_secs(10), async || each() <= BYTES_MAX).await;
}
