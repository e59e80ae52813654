//! Streaming replicas: a commit waits for a synchronous one, and when one takes over, the gateway follows it by itself and
//! never believes the old primary again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::pg::PgConnection;
use spamgate::store::connection::Connection;
use uuid::Uuid;

use crate::support::{
    Database, Engine, Load, PostgresServer, REFUSED_WITHIN, TestApp, report, reporter, stored_ids, wait_until,
    without_limits,
};

const CLIENTS: usize = 12;
const REPORTS: usize = 200;
/// How long the gateway may take to follow another primary.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(5);
/// How long after a hanging replica went on reports may still be refused.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// A primary whose commits wait for its replica, and a gateway that knows both.
struct Pair {
    // Ends before the servers do.
    app: TestApp,
    primary: Arc<PostgresServer>,
    replica: PostgresServer,
}

impl Pair {
    async fn start(engine: Engine) -> Self {
        let primary = Arc::new(PostgresServer::start());
        let database = primary.create_database();
        let replica = primary.start_replica("a");
        primary.wait_for_replica("a");
        let url = both(&primary, &replica, &database);
        let app = TestApp::spawn_on_engine(engine, database, |config| {
            without_limits(config);
            config.store.url = url;
        })
        .await;
        Self { app, primary, replica }
    }

    fn on_new(&self) -> PgConnection {
        self.replica.connect(self.app.database().name()).unwrap()
    }

    fn reports_on_old(&self) -> usize {
        ids_of(self.primary.connect(self.app.database().name()).unwrap()).len()
    }

    /// The old primary waits for no replica any more.
    fn let_the_old_one_take_all(&self) {
        self.primary.execute("ALTER SYSTEM SET synchronous_standby_names = ''");
        self.primary.execute("SELECT pg_reload_conf()");
    }

    /// Goes on under load for a while: nothing more comes to the old primary, and nothing is lost or doubled on the new
    /// one. How many reports the old one holds.
    async fn check_that_the_new_one_is_followed(&self, load: Load, followed: Duration) -> usize {
        let on_old = self.reports_on_old();
        load.wait_for(REPORTS).await;
        let tally = load.stop().await;
        assert_eq!(self.reports_on_old(), on_old, "the old primary is written no more");
        let twins = tally.check(self.on_new()).await;
        println!(
            "{} reports, {twins} twins, {} refusals, the slowest after {:?}; followed after {followed:?}",
            tally.acknowledged.len(),
            tally.answered(503),
            tally.slowest_refusal,
        );
        assert!(followed < FOLLOWS_WITHIN);
        on_old
    }

    fn load(&self) -> Load {
        Load::start(&[self.app.door()], &self.app.in_seconds(-3_600), CLIENTS)
    }
}

/// The old one first, as libpq would try them.
fn both(primary: &PostgresServer, replica: &PostgresServer, database: &Database) -> String {
    format!("postgresql://postgres@127.0.0.1:{},127.0.0.1:{}/{}", primary.port(), replica.port(), database.name())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_waits_for_a_hanging_replica_is_no_yes() {
    let Pair { replica, app, .. } = &Pair::start(Engine::PostgresqlMemory).await;
    app.post(&report("before").with("reporter", reporter(90))).await.expect_status(201);
    replica.hang();
    let posts = [0, 1, 2].map(|index| report(&format!("r-{index}")).with("reporter", reporter(index)));
    let sent = Instant::now();
    let (first, second, third) = tokio::join!(app.post(&posts[0]), app.post(&posts[1]), app.post(&posts[2]));
    for answer in [first, second, third] {
        answer.expect_problem(503, "outcome_unknown", "");
    }
    // A retry, while it still hangs, fares no better.
    app.post(&posts[0]).await.expect_problem(503, "outcome_unknown", "");
    println!("refused after {:?} each", sent.elapsed() / 2);
    assert!(sent.elapsed() / 2 < REFUSED_WITHIN);
    assert!(!app.is_in_doubt(), "the primary is there");
    replica.go_on();
    let back = Instant::now();
    for body in &posts {
        wait_until("a retry is taken", BACK_WITHIN, async || matches!(app.post(body).await.status, 200 | 201)).await;
    }
    println!("all retries are taken {:?} after the replica went on", back.elapsed());
    let case = app.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (4, 0, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_hangs_under_load_costs_no_report() {
    let Pair { replica, app, .. } = &Pair::start(Engine::PostgresqlMemory).await;
    let load = Load::start(&[app.door()], &app.in_seconds(-3_600), CLIENTS);
    load.wait_for(REPORTS).await;
    replica.hang();
    // What was on its way to the callers arrives.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = load.tally().answered(201);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(load.tally().answered(201), before, "a yes while the replica hangs");
    replica.go_on();
    let returned = load.first_after(Instant::now()).await;
    load.wait_for(REPORTS).await;
    let tally = load.stop().await;
    let twins = tally.check(app.database().connect()).await;
    println!("{} reports, {twins} twins; taken again after {returned:?}", tally.acknowledged.len());
    assert!(returned < BACK_WITHIN);
}

/// The ids of all rows of a server's journal.
fn ids_of(database: PgConnection) -> Vec<Uuid> {
    stored_ids(&mut Connection::Postgresql(database))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_is_followed_though_the_old_primary_still_answers() {
    let pair = Pair::start(Engine::PostgresqlMemory).await;
    let load = pair.load();
    load.wait_for(REPORTS).await;
    pair.replica.promote();
    let promoted = Instant::now();
    let followed = load.first_after(promoted).await;
    load.wait_for(REPORTS).await;
    // From now on the old one may be asked anything: it waits for nobody any more, and would take every report.
    pair.let_the_old_one_take_all();
    tokio::time::sleep(Duration::from_millis(300)).await;
    pair.check_that_the_new_one_is_followed(load, followed).await;
    pair.app.get_operators("/readyz").await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_from_a_hanging_primary_is_followed_and_the_old_one_is_not_believed_again() {
    let pair = Pair::start(Engine::PostgresqlRedis).await;
    let load = pair.load();
    load.wait_for(REPORTS).await;
    pair.primary.hang();
    tokio::time::sleep(Duration::from_millis(300)).await;
    pair.replica.promote();
    let promoted = Instant::now();
    let followed = load.first_after(promoted).await;
    load.wait_for(REPORTS).await;
    pair.primary.go_on();
    pair.let_the_old_one_take_all();
    // What hung in it is carried out now, and nobody was told.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let on_old = pair.check_that_the_new_one_is_followed(load, followed).await;
    // The new primary goes away: the old one, which takes writes, is no substitute.
    pair.replica.kill();
    wait_until("the loss is noticed", FOLLOWS_WITHIN, async || pair.app.is_in_doubt()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let body = report("after").with("reporter", reporter(91));
    pair.app.post(&body).await.expect_problem(503, "store_unavailable", "");
    assert_eq!(pair.reports_on_old(), on_old);
    pair.replica.start_again();
    wait_until("reports are taken", FOLLOWS_WITHIN, async || pair.app.post(&body).await.status == 201).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_that_a_replica_did_not_get_are_stored_again_when_they_are_retried() {
    // Not synchronous: what was acknowledged last is lost with the primary.
    let primary = Arc::new(PostgresServer::start());
    let database = primary.create_database();
    let replica = primary.start_replica("a");
    let url = both(&primary, &replica, &database);
    let app = TestApp::spawn_on_engine(Engine::PostgresqlRedis, database, |config| config.store.url = url).await;
    let kept = report("kept").with("reporter", reporter(1));
    let lost = report("lost").with("reporter", reporter(2));
    app.post(&kept).await.expect_status(201);
    let name = app.database().name().to_owned();
    wait_until("the replica has it", FOLLOWS_WITHIN, async || {
        replica.connect(&name).is_ok_and(|session| ids_of(session).len() == 1)
    })
    .await;
    replica.kill();
    app.post(&lost).await.expect_status(201);
    app.post(&lost).await.expect_status(200);
    app.wait_until_marked().await;
    primary.kill();
    replica.start_again();
    replica.promote();
    wait_until("the replica is followed", FOLLOWS_WITHIN, async || !app.is_in_doubt()).await;
    app.post(&lost).await.expect_status(201);
    app.post(&lost).await.expect_status(200);
    app.post(&kept).await.expect_status(201);
    let new = ids_of(replica.connect(&name).unwrap());
    assert_eq!(new.len(), 3, "the one that was lost, and the other twice, for its marker is believed no more");
    let case = app.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (2, 0, 2));
}
