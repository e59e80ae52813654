//! Many hostile connections at once: others are served all the time, and memory stays bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::{GatewayProcess, Raw, report, spamgate};

/// Resident memory, at most.
const MEMORY_MAX_KIB: u64 = 256 * 1024;
/// A good client's answer, on a machine that is busy with the flood.
const SERVED_WITHIN: Duration = Duration::from_secs(3);
/// How many of each kind.
const SLOW_HEADS: usize = 1_500;
const SLOW_BODIES: usize = 800;
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

async fn is_served(url: &str, key: &str, number: usize) -> Duration {
    let began = Instant::now();
    let body = report(&format!("good-{number}"))
        .with("occurred_at", crate::support::an_hour_ago())
        .with("reporter", crate::support::reporter(number));
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let sent = client
        .post(format!("{url}/v1/reports"))
        .bearer_auth(key)
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .expect("a good client is served");
    assert_eq!(sent.status(), 201);
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_served_and_memory_is_bounded() {
    // All come from one address here; in the wild they do not.
    let mut gateway = GatewayProcess::spawn(&[("SPAMGATE__SERVER__TRUSTED_PROXIES", "127.0.0.1")]);
    let url = gateway.url().await;
    let key = gateway.api_key();
    // Who is good has a key of its own: bodies that do not come are counted by carrier.
    let data = gateway.keys().parent().unwrap().display().to_string();
    let added = spamgate(&["--data", &data, "carrier", "add", "good", "--json"]).await.expect_json();
    let good_key = added["api_key"].as_str().unwrap().to_owned();
    // A new key is known within half a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let address: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();

    let over = Arc::new(AtomicBool::new(false));
    let good = tokio::spawn({
        let (url, key, over) = (url.clone(), good_key, Arc::clone(&over));
        async move {
            let mut slowest = Duration::ZERO;
            for number in 0.. {
                slowest = slowest.max(is_served(&url, &key, number).await);
                if over.load(Ordering::Relaxed) {
                    return (number, slowest);
                }
            }
            unreachable!("numbers do not end")
        }
    });
    let mut slow = Vec::new();
    let half_a_head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(15_000));
    for _ in 0..SLOW_HEADS {
        slow.push(Raw::send_to(address, &half_a_head).await);
    }
    let half_a_body = format!(
        "POST /v1/reports HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Content-Length: 65536\r\n\r\n{}",
        " ".repeat(60_000)
    );
    for _ in 0..SLOW_BODIES {
        slow.push(Raw::send_to(address, &half_a_body).await);
    }
    let all_open = Instant::now();
    // Those that announce ten gigabytes, and those that send garbage, are gone at once.
    for _ in 0..500 {
        let huge = half_a_body.replace("65536", "10737418240");
        for (request, status) in [(huge.as_str(), 413), ("\x16\x03\x01garbage\r\n\r\n", 400)] {
            let mut raw = Raw::send_to(address, &request.as_bytes()[..request.len().min(400)]).await;
            assert_eq!(raw.answer().await.expect("an answer").status, status);
        }
    }
    let memory_kib = gateway.memory_max_kib();
    assert!(memory_kib <= MEMORY_MAX_KIB, "{memory_kib} KiB");
    for mut raw in slow {
        raw.end((all_open + CLOSED_WITHIN).saturating_duration_since(Instant::now()).max(Duration::from_millis(1)))
            .await;
    }
    over.store(true, Ordering::Relaxed);
    let (served, slowest) = good.await.unwrap();
    assert!(served > 5 && slowest <= SERVED_WITHIN, "{served} served, the slowest in {slowest:?}");
    println!("{served} served, the slowest in {slowest:?}; at most {memory_kib} KiB resident");
}
