//! A gateway and its Redis: what operators see, and whether duplicates are seen.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{Answer, ReportBody, TestApp, report, reporter, wait_until};

/// The longest a report may take, whatever Redis does.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);
/// How long Redis may take to be whole again for the gateway, failover included.
const WHOLE_WAIT: Duration = Duration::from_secs(15);
/// How long markers may take to be written.
const MARK_WAIT: Duration = Duration::from_secs(5);
/// Reports, each of a reporter of its own, to see whether duplicates are seen.
const SAMPLE: usize = 8;

impl TestApp {
    /// The sentences of `readyz` about what is lost.
    pub async fn degraded(&self) -> String {
        self.get_operators("/readyz").await.expect_status(200).json["degraded"].to_string()
    }

    /// Waits until `readyz` has nothing to say. No report is sent meanwhile.
    pub async fn wait_until_whole(&self) {
        wait_until("nothing is degraded", WHOLE_WAIT, async || self.degraded().await == "[]").await;
    }

    /// Waits until `readyz` says this.
    pub async fn wait_until_degraded(&self, words: &str) {
        wait_until(words, WHOLE_WAIT, async || self.degraded().await.contains(words)).await;
    }

    /// The value of a metric, such as `spamgate_redis_marks_dropped_total`; 0 when it is not there.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get_operators("/metrics").await.expect_status(200).text;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Sends a report, which must be answered soon, and with this status.
    pub async fn post_soon(&self, body: &ReportBody, status: u16) -> Answer {
        let sent = Instant::now();
        let answer = self.post(body).await.expect_status(status);
        assert!(sent.elapsed() < TAKEN_WITHIN, "the report took {:?}", sent.elapsed());
        answer
    }

    /// Sends reports of different reporters, and sees that Redis alone is enough to know them again. The reports are
    /// `name-0` and so on; how many there were.
    pub async fn assert_duplicates_are_seen(&self, name: &str, first_reporter: usize) -> i64 {
        let bodies: Vec<ReportBody> = (0..SAMPLE)
            .map(|index| report(&format!("{name}-{index}")).with("reporter", reporter(first_reporter + index)))
            .collect();
        let mut ids: Vec<Uuid> = Vec::new();
        for body in &bodies {
            ids.push(self.post_soon(body, 201).await.id().parse().unwrap());
        }
        for id in &ids {
            wait_until("the marker is in Redis", MARK_WAIT, async || self.is_marked(*id)).await;
        }
        self.forget_own_memory();
        for (body, id) in bodies.iter().zip(&ids) {
            let again = self.post_soon(body, 200).await;
            assert_eq!(again.id(), id.to_string());
        }
        i64::try_from(SAMPLE).unwrap()
    }
}
