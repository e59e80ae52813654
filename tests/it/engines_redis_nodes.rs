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
        store_mark: [1; 8],
        body_mark: [2; 8],
        hint_key: [number; 16],
        quota_key: [3; 16],
        now: Moment(0),
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
    assert_eq!(nodes[1].admit(&probe(2), true).await, Admission::New { repeat: false });
}

/// A report with another id that claims the same.
fn saying_the_same(number: u8, as_number: u8) -> Probe {
    Probe { hint_key: probe(as_number).hint_key, ..probe(number) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_made_on_one_node_is_a_repeat_on_the_other_unless_it_is_the_same_report() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    let (new, repeat) = (Admission::New { repeat: false }, Admission::New { repeat: true });
    assert_eq!(nodes[0].admit(&probe(1), true).await, new);
    assert_eq!(nodes[0].admit(&probe(2), true).await, new, "another claim");
    // Its answer was lost, and it is not stored yet: a retry repeats nobody.
    assert_eq!(nodes[1].admit(&probe(1), true).await, new);
    assert_eq!(nodes[1].admit(&saying_the_same(3, 1), true).await, repeat);
    assert_eq!(nodes[1].admit(&saying_the_same(4, 2), true).await, repeat);
    assert_eq!(
        nodes[0].admit(&Probe { quota_key: [4; 16], ..saying_the_same(5, 1) }, true).await,
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
        new += usize::from(task.await.unwrap() == Admission::New { repeat: false });
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
    let is_forgotten = async || asks(3, 1).await == Admission::New { repeat: false };
    let forgotten = async || {
        let is_forgotten = is_forgotten().await;
        node.give_back(&saying_the_same(3, 1));
        is_forgotten
    };
    wait_until("the claim is forgotten", Duration::from_secs(5), forgotten).await;
    assert_eq!(asks(4, 2).await, Admission::New { repeat: true }, "the other one is not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_remembered_for_a_day_from_the_first_and_only_the_latest_are() {
    const DAY_S: u32 = 86_400;
    const CLAIMS_MAX: usize = 20;
    const CLAIM: std::ops::Range<usize> = 8..20;
    const SECOND: std::ops::Range<usize> = 16..20;
    let server = RedisServer::start();
    let node = node(&server).await;
    node.admit(&probe(1), true).await;
    let key = server.keys("*}r*").remove(0);
    let value: Vec<u8> = server.ask(redis::cmd("GET").arg(&key));
    let first = u32::from_be_bytes(value[SECOND].try_into().unwrap());
    let set = |second: u32, times: usize| {
        let mut value = value.clone();
        value[SECOND].copy_from_slice(&second.to_be_bytes());
        let others = [vec![9; CLAIM.len() - 4], first.to_be_bytes().to_vec()].concat().repeat(times);
        server.ask::<()>(redis::cmd("SET").arg(&key).arg([value, others].concat()));
    };
    let claims = || server.ask::<Vec<u8>>(redis::cmd("GET").arg(&key)).split_off(CLAIM.start).len() / CLAIM.len();

    set(first - DAY_S + 60, 0);
    assert_eq!(node.admit(&saying_the_same(2, 1), true).await, Admission::New { repeat: true });
    assert_eq!(claims(), 1, "a repeat begins no day anew");
    set(first - DAY_S, 0);
    assert_eq!(node.admit(&saying_the_same(3, 1), true).await, Admission::New { repeat: false });
    assert_eq!(claims(), 1, "the one of the day before is gone");

    set(first, CLAIMS_MAX - 1);
    assert_eq!(node.admit(&probe(4), true).await, Admission::New { repeat: false });
    assert_eq!(claims(), CLAIMS_MAX);
    assert_eq!(
        node.admit(&saying_the_same(5, 1), true).await,
        Admission::New { repeat: false },
        "the oldest made room"
    );
    assert_eq!(node.admit(&saying_the_same(6, 4), true).await, Admission::New { repeat: true });
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
    let key_of = |number: u8| server.keys("*}s*").iter().any(|key| key.ends_with(&probe(number).id.as_bytes()[4..]));
    wait_until("the next one is written", Duration::from_secs(5), async || key_of(2)).await;
    assert_eq!(metrics.redis_marks_dropped.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_takes_no_more_than_330_bytes_of_redis() {
    const REPORTS: u32 = 100_000;
    const AT_ONCE: usize = 1_000;
    const BYTES_MAX: u64 = 330;
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
            assert_eq!(node.admit(&probe, true).await, Admission::New { repeat: false });
            node.mark_stored(&probe);
        });
        if asked.len() >= AT_ONCE {
            asked.join_next().await.unwrap().unwrap();
        }
    }
    asked.join_all().await;
    let are_all_there = async || server.ask::<u32>(&redis::cmd("DBSIZE")) >= 2 * REPORTS;
    wait_until("all are marked", Duration::from_secs(30), are_all_there).await;
    // Some seconds later the server has given back what it used for the connection.
    let each = || (used_bytes() - before) / u64::from(REPORTS);
    wait_until("they take no more", Duration::from_secs(10), async || each() <= BYTES_MAX).await;
}
