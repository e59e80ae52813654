//! Many clients at once that try each report until they know it is stored, and what the gateways must have come to
//! afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use diesel::pg::PgConnection;
use diesel::prelude::*;
use spamgate::config::Config;
use spamgate::domain::clock::{Clock, Moment};
use spamgate::store::building::find_cursor_seq;
use spamgate::store::cases::list_cases;
use spamgate::store::connection::Connection;
use spamgate::store::journal::find_last_seq;
use spamgate::store::schema::arrivals;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{Answer, report, reporter, wait_until};

/// The longest a client may wait for a 503.
pub const REFUSED_WITHIN: Duration = Duration::from_secs(3);
/// How long a client tries one report.
const TRIED_FOR: Duration = Duration::from_secs(60);
/// How long a client waits after a refusal. Less than `Retry-After` says, to see the first moment that all is well.
const NEXT_TRY_AFTER: Duration = Duration::from_millis(25);
/// How long the builder may take for all that a test sends.
const BUILD_WAIT: Duration = Duration::from_secs(30);
const REPORTERS: usize = 60;
const SENDERS: usize = 9;
/// One in so many sends is a retry of a report that was acknowledged before.
const RETRY_EVERY: usize = 8;
/// What a gateway without its database may say.
const CODES: [&str; 3] = ["store_unavailable", "outcome_unknown", "overloaded"];

/// Settings for many reports at once: no limit is in the way.
pub fn without_limits(config: &mut Config) {
    let many = 1_000_000.try_into().unwrap();
    config.limits.reporter_per_day = many;
    config.limits.carrier_per_second = many;
    config.limits.carrier_burst = many;
}

/// An hour ago by the clock of the machine, for gateways that are processes.
pub fn an_hour_ago() -> String {
    Moment(Clock::System.now().0 - 3_600_000_000).to_rfc3339()
}

/// Where a gateway takes reports, and as whom to send them.
#[derive(Clone)]
pub struct Door {
    pub url: String,
    pub api_key: String,
}

/// A report that was acknowledged.
pub struct Acknowledged {
    pub id: Uuid,
    reporter: usize,
    sender: usize,
    /// When the answer came.
    pub at: Instant,
}

/// What the clients saw.
#[derive(Default)]
pub struct Tally {
    pub acknowledged: Vec<Acknowledged>,
    /// Answers by status and code.
    pub answers: BTreeMap<(u16, String), usize>,
    /// Sends that ended without an answer, because the gateway's process was gone.
    pub unanswered: usize,
    /// The longest that a 503 took.
    pub slowest_refusal: Duration,
}

/// Clients that send.
pub struct Load {
    tally: Arc<Mutex<Tally>>,
    stopping: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts this many clients. They send to these doors in turn.
    pub fn start(doors: &[Door], occurred_at: &str, clients: usize) -> Self {
        Self::start_named("load", doors, occurred_at, clients)
    }

    /// The same with reports of their own, beside those of another load.
    pub fn start_named(name: &str, doors: &[Door], occurred_at: &str, clients: usize) -> Self {
        let tally = Arc::<Mutex<Tally>>::default();
        let stopping = Arc::<AtomicBool>::default();
        let start = |number: usize| {
            let client = Client {
                name: format!("{name}-{number}"),
                number,
                doors: doors.to_vec(),
                occurred_at: occurred_at.to_owned(),
                // A connection for each request: none is left when a gateway stops.
                http: reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap(),
                tally: Arc::clone(&tally),
                turn: number,
            };
            tokio::spawn(client.run(Arc::clone(&stopping)))
        };
        let clients = (0..clients).map(start).collect();
        Self { tally, stopping, clients }
    }

    /// What the clients have seen so far.
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap()
    }

    /// Waits until this many more reports are acknowledged.
    pub async fn wait_for(&self, more: usize) {
        let goal = self.tally().acknowledged.len() + more;
        wait_until("more reports are acknowledged", TRIED_FOR, async || self.tally().acknowledged.len() >= goal).await;
    }

    /// When the first report was acknowledged after `moment`. Waits for it.
    pub async fn first_after(&self, moment: Instant) -> Duration {
        let first = || {
            let tally = self.tally();
            tally.acknowledged.iter().map(|acknowledged| acknowledged.at).filter(|at| *at > moment).min()
        };
        wait_until("a report is acknowledged again", TRIED_FOR, async || first().is_some()).await;
        first().unwrap() - moment
    }

    /// Lets every client carry its report to the end; what they saw.
    pub async fn stop(mut self) -> Tally {
        self.stopping.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.await.expect("a client saw what it should not");
        }
        std::mem::take(&mut *self.tally())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.clients.iter().for_each(JoinHandle::abort);
    }
}

struct Client {
    name: String,
    number: usize,
    doors: Vec<Door>,
    occurred_at: String,
    http: reqwest::Client,
    tally: Arc<Mutex<Tally>>,
    turn: usize,
}

impl Client {
    async fn run(mut self, stopping: Arc<AtomicBool>) {
        let mut known: Vec<(Uuid, String)> = Vec::new();
        for index in 0.. {
            if stopping.load(Ordering::Relaxed) {
                return;
            }
            if index % RETRY_EVERY == RETRY_EVERY - 1 {
                let (id, body) = &known[index * 31 % known.len()];
                let (id, body) = (*id, body.clone());
                assert_eq!(self.carry(&body).await.0, id, "a retry has the same id");
                continue;
            }
            // Spread without a pattern that the two numbers share.
            let drawn = self.number * 7_919 + index * 104_729;
            let (from, about) = (drawn % REPORTERS, drawn / REPORTERS % SENDERS);
            let body = report(&format!("{}-{index}", self.name))
                .with("reporter", reporter(from))
                .with("sender", format!("09859310{about:02}"))
                .with("occurred_at", self.occurred_at.clone())
                .to_string();
            let (id, at) = self.carry(&body).await;
            known.push((id, body));
            let acknowledged = Acknowledged { id, reporter: from, sender: about, at };
            self.tally.lock().unwrap().acknowledged.push(acknowledged);
        }
    }

    /// Sends a report until it is known to be stored.
    async fn carry(&mut self, body: &str) -> (Uuid, Instant) {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < TRIED_FOR, "a report is not taken");
            self.turn += 1;
            let door = &self.doors[self.turn % self.doors.len()];
            let sent = Instant::now();
            let request = self.http.post(&door.url).bearer_auth(&door.api_key);
            let request = request.header("content-type", "application/json").body(body.to_owned());
            let answer = match request.send().await {
                Ok(response) => Answer::read(response, body).await,
                Err(_) => {
                    self.tally.lock().unwrap().unanswered += 1;
                    tokio::time::sleep(NEXT_TRY_AFTER).await;
                    continue;
                }
            };
            let code = answer.json["code"].as_str().unwrap_or_default().to_owned();
            *self.tally.lock().unwrap().answers.entry((answer.status, code.clone())).or_default() += 1;
            if matches!(answer.status, 200 | 201) {
                return (answer.id().parse().unwrap(), Instant::now());
            }
            assert!(answer.status == 503 && CODES.contains(&code.as_str()), "{} {code}", answer.status);
            let took = sent.elapsed();
            self.note_refusal(took);
            assert!(took < REFUSED_WITHIN, "a refusal took {took:?}");
            tokio::time::sleep(NEXT_TRY_AFTER).await;
        }
    }

    fn note_refusal(&self, took: Duration) {
        let mut tally = self.tally.lock().unwrap();
        tally.slowest_refusal = tally.slowest_refusal.max(took);
    }
}

impl Tally {
    /// Adds what the clients of another load saw, on the same database.
    pub fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        for (answer, count) in other.answers {
            *self.answers.entry(answer).or_default() += count;
        }
        self.unanswered += other.unanswered;
        self.slowest_refusal = self.slowest_refusal.max(other.slowest_refusal);
    }

    /// How many answers had this status.
    pub fn answered(&self, status: u16) -> usize {
        self.answers.iter().filter(|((answered, _), _)| *answered == status).map(|(_, count)| count).sum()
    }

    /// Reports, repeats and voices of each case, as the rules of counting have it. All was said on one day, in whatever
    /// order: the first that a reporter says of a sender is counted, the others are repeats.
    fn expected_cases(&self) -> Vec<(i64, i64, i64)> {
        let mut cases: BTreeMap<usize, (BTreeSet<Uuid>, BTreeSet<usize>)> = BTreeMap::new();
        for acknowledged in &self.acknowledged {
            let (ids, reporters) = cases.entry(acknowledged.sender).or_default();
            ids.insert(acknowledged.id);
            reporters.insert(acknowledged.reporter);
        }
        let whole = |number: usize| i64::try_from(number).unwrap();
        let totals = |(ids, reporters): (BTreeSet<Uuid>, BTreeSet<usize>)| {
            (whole(ids.len()), whole(ids.len() - reporters.len()), whole(reporters.len()))
        };
        let mut cases: Vec<_> = cases.into_values().map(totals).collect();
        cases.sort_unstable();
        cases
    }

    /// Checks that the journal holds every report that was acknowledged and none else, and that the cases say what the
    /// rules of counting say. How many rows were twins.
    pub async fn check(&self, database: PgConnection) -> usize {
        let mut connection = Connection::Postgresql(database);
        let stored = stored_ids(&mut connection);
        let stored_once: BTreeSet<Uuid> = stored.iter().copied().collect();
        let acknowledged: BTreeSet<Uuid> = self.acknowledged.iter().map(|acknowledged| acknowledged.id).collect();
        let lost = acknowledged.difference(&stored_once).count();
        assert_eq!(lost, 0, "reports were acknowledged and are not in the journal");
        assert_eq!(stored_once, acknowledged, "the journal holds what nobody was told of in the end");
        wait_until("every report is built in", BUILD_WAIT, async || {
            find_cursor_seq(&mut connection).unwrap() >= find_last_seq(&mut connection).unwrap()
        })
        .await;
        let cases = list_cases(&mut connection, i64::MAX).unwrap();
        let mut cases: Vec<_> = cases.iter().map(|case| (case.reports, case.repeats, case.voices)).collect();
        cases.sort_unstable();
        assert_eq!(cases, self.expected_cases());
        stored.len() - stored_once.len()
    }
}

/// The ids of all rows of the journal, twins too.
pub fn stored_ids(connection: &mut Connection) -> Vec<Uuid> {
    let ids: Vec<Vec<u8>> = arrivals::table.select(arrivals::report_id).load(connection).unwrap();
    ids.iter().map(|id| Uuid::from_slice(id).unwrap()).collect()
}
