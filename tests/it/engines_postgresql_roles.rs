//! Nodes with a part each, and database users that may do no more than their part.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use spamgate::config::{Config, Role};
use tempfile::TempDir;

use spamgate::domain::msisdn::Msisdn;
use spamgate::domain::report::ReportId;
use spamgate::store::reports::{TrackLookUp, find_tracked};

use crate::support::{
    Carrier, Database, PostgresServer, Ran, SmsGateway, TestApp, Visitor, report, reporter, spamgate, wait_until,
};

/// What an operator runs once, in the database.
const ROLES_SQL: &str = include_str!("../../deploy/postgresql/roles.sql");
/// Users are the whole server's: two tests must not make them at once.
static ROLES: Mutex<()> = Mutex::new(());

/// A database with the users of `roles.sql`. They are the same on every database of the server.
fn database_with_roles() -> Arc<Database> {
    let database = PostgresServer::shared().create_database();
    let _alone = ROLES.lock().unwrap();
    // Twice, as after an update.
    for _ in 0..2 {
        database.connect().batch_execute(ROLES_SQL).unwrap();
    }
    Arc::new(database)
}

fn url_of(database: &Database, user: &str) -> String {
    database.url().replace("postgresql://postgres@", &format!("postgresql://spamgate_{user}@"))
}

fn session_of(database: &Database, user: &str) -> PgConnection {
    PgConnection::establish(&url_of(database, user)).unwrap()
}

/// A data directory and a configuration file for the real program.
struct Node {
    place: TempDir,
}

impl Node {
    fn new(role: &str, database: &Database, user: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let config = format!(
            "[server]\nrole = \"{role}\"\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\n\
             [store]\nurl = \"{}\"\nbuilder_url = \"{}\"\n",
            url_of(database, user),
            url_of(database, "builder"),
        );
        fs::write(place.path().join("spamgate.toml"), config).unwrap();
        Self { place }
    }

    fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let (config, data) = (self.place.path().join("spamgate.toml"), self.data());
        let mut all = vec!["--config", config.to_str().unwrap(), "--data", data.to_str().unwrap()];
        all.extend(arguments);
        spamgate(&all).await
    }
}

/// Copies a node's keys; without the one that opens envelopes when `is_intake`.
fn copy_keys(from: &Path, to: &Path, is_intake: bool) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if !(is_intake && entry.file_name() == "authority.key") {
            // With its permissions.
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// A review node that was started first, its carrier, and a directory with the keys of an intake node.
async fn review_node(database: &Arc<Database>) -> (TestApp, Carrier, TempDir) {
    let review_url = url_of(database, "review");
    let builder_url = url_of(database, "builder");
    let nobody = Carrier { name: String::new(), api_key: String::new() };
    let review = TestApp::spawn_for(nobody, Arc::clone(database), |config| {
        config.server.role = Role::Review;
        config.store.url = review_url;
        config.store.builder_url = builder_url;
    })
    .await;
    let command = Node::new("review", database, "review");
    let added = command.run(&["carrier", "add", "vina", "--json"]).await.expect_json();
    let carrier =
        Carrier { name: "vina".to_owned(), api_key: added["api_key"].as_str().expect("a key is printed").to_owned() };
    let keys = tempfile::tempdir().unwrap();
    copy_keys(&review.keys(), keys.path(), true);
    (review, carrier, keys)
}

async fn intake_node(database: &Arc<Database>, carrier: &Carrier, keys: &TempDir) -> TestApp {
    intake_node_with(database, carrier, keys, |_| {}).await
}

async fn intake_node_with(
    database: &Arc<Database>,
    carrier: &Carrier,
    keys: &TempDir,
    change: impl FnOnce(&mut Config),
) -> TestApp {
    let url = url_of(database, "intake");
    TestApp::spawn_for(carrier.clone(), Arc::clone(database), |config| {
        config.server.role = Role::Intake;
        config.store.url = url;
        config.keys.directory = keys.path().display().to_string();
        change(config);
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_intake_node_takes_a_review_node_makes_a_case_of() {
    let database = database_with_roles();
    let (review, carrier, keys) = review_node(&database).await;
    let intake = intake_node(&database, &carrier, &keys).await;
    let mut ids = Vec::new();
    for index in 0..5 {
        let body = report(&format!("r-{index}")).with("reporter", reporter(index));
        ids.push(intake.post(&body).await.expect_status(201).id().to_owned());
        intake.post(&body).await.expect_status(200);
    }
    let case = review.only_case().await;
    assert_eq!((case.reports, case.voices), (5, 5));
    for id in &ids {
        let found = intake.get(id).await.expect_status(200);
        assert_eq!((found.string("status"), found.case()), ("counted", case.reference.as_str()));
    }
    for node in [&intake, &review] {
        let ready = node.get_operators("/readyz").await.expect_status(200);
        assert_eq!(ready.json["degraded"].to_string(), "[]");
        assert_eq!(ready.json["builder_lag_rows"], 0);
    }
    let listed = Node::new("review", &database, "review").run(&["cases", "list", "--json"]).await.expect_json();
    assert_eq!(listed[0]["reference"].as_str(), Some(case.reference.as_str()));
}

/// What a user may not do, with what it says.
#[track_caller]
fn expect_denied(session: &mut PgConnection, sql: &str) {
    let denied = session.batch_execute(sql).expect_err(sql).to_string();
    assert!(denied.contains("permission denied"), "{sql}: {denied}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intake_node_cannot_read_back_what_it_has_taken() {
    let database = database_with_roles();
    let (_review, carrier, keys) = review_node(&database).await;
    let intake = intake_node(&database, &carrier, &keys).await;
    intake.post(&report("r-1")).await.expect_status(201);
    let mut session = session_of(&database, "intake");
    for column in ["reporter_tag", "sender_tag", "fingerprint", "text_tag", "envelope", "similarity", "track_tag", "*"]
    {
        expect_denied(&mut session, &format!("SELECT {column} FROM journal.reports"));
    }
    let tables = [
        "report_index",
        "voices",
        "cases",
        "case_totals",
        "counted_fingerprints",
        "caseless_figures",
        "amended_reports",
        "further_rows",
        "voice_parts",
        "withdrawn_rows",
        "kept_repeats",
        "decisions",
        "journal.data_keys",
        "journal.reports_default",
    ];
    for table in tables {
        expect_denied(&mut session, &format!("SELECT FROM {table}"));
        expect_denied(&mut session, &format!("DELETE FROM {table}"));
    }
    // What carriers are told is for reading alone.
    for change in [
        "UPDATE feed_items SET body = ''",
        "DELETE FROM feed_items",
        "UPDATE feed_terms SET own_prefixes = '+'",
        "UPDATE request_answers SET outcome = 'done'",
        "DELETE FROM request_answers",
        "SELECT note FROM request_answers",
        "SELECT FROM webhooks",
        "SELECT FROM webhook_deliveries",
        "SELECT requested_by FROM carrier_requests",
        "INSERT INTO carrier_requests (body) VALUES ('')",
    ] {
        expect_denied(&mut session, change);
    }
    session.batch_execute("SELECT * FROM feed_items").unwrap();
    // What it has to read.
    session.batch_execute("SELECT seq, report_id, owner, received_at FROM journal.arrivals").unwrap();
    session.batch_execute("SELECT report_id, conflict, reference FROM report_status").unwrap();
    // Partitions are no back door: the month's own table is as closed.
    let partitions = diesel::sql_query("SELECT relname::text AS name FROM pg_class WHERE relispartition AND relkind = 'r' AND relname <> 'reports_default'")
        .load::<Name>(&mut session)
        .unwrap();
    assert!(!partitions.is_empty());
    for Name { name } in partitions {
        expect_denied(&mut session, &format!("SELECT FROM journal.{name}"));
        expect_denied(&mut session, &format!("INSERT INTO journal.{name} (seq) VALUES (1)"));
    }
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[test]
fn an_intake_node_can_neither_choose_a_rows_place_nor_change_or_take_one_away() {
    let database = database_with_roles();
    let mut session = session_of(&database, "intake");
    let columns = "report_id, event_kind, source, owner, reporter_tag, proof, sender_kind, channel, category, \
                   occurred_at, received_at, fingerprint, track_tag, tag_key_id, data_key_id, envelope";
    let id = "uuid_send(gen_random_uuid())";
    let values = format!("{id}, 'report', 'web', {id}, '', 'none', 'hidden', 'sms', 'spam', 1, 1, '', '', 1, 1, ''");
    expect_denied(&mut session, &format!("INSERT INTO journal.reports (seq, {columns}) VALUES (1, {values})"));
    let day = "'2020-01-01'";
    expect_denied(&mut session, &format!("INSERT INTO journal.reports (day, {columns}) VALUES ({day}, {values})"));
    session.batch_execute(&format!("INSERT INTO journal.reports ({columns}) VALUES ({values})")).unwrap();
    for change in [
        "UPDATE journal.reports SET owner = ''",
        "DELETE FROM journal.reports",
        "TRUNCATE journal.reports",
        "SELECT setval('journal.row_numbers', 1)",
        "UPDATE builder_cursor SET seq = 0",
        "UPDATE journal.meta SET value = ''",
        "UPDATE journal.numbering SET xid_base = 0",
        "INSERT INTO key_checks (name, value) VALUES ('x', '')",
        "INSERT INTO carriers (id, name, attests, created_at) VALUES ('', '', '', 1)",
        "UPDATE carriers SET scopes = 'feed_all', addresses = 'any'",
        "INSERT INTO api_keys (key_hash, carrier_id, created_at) VALUES ('', '', 1)",
        "UPDATE api_keys SET revoked_at = NULL",
        "UPDATE signing_keys SET revoked_at = NULL",
        "DELETE FROM carrier_usage",
        "SELECT journal.make_partitions(1)",
        "SELECT journal.blank_withdrawn(1)",
        "CREATE TABLE public.mine (id INTEGER)",
    ] {
        expect_denied(&mut session, change);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_withdrawn_at_an_intake_node_a_review_node_blanks_and_nothing_else() {
    let database = database_with_roles();
    let (review, carrier, keys) = review_node(&database).await;
    let intake = intake_node(&database, &carrier, &keys).await;
    let mut ids = Vec::new();
    for index in 0..2 {
        let body = report(&format!("r-{index}")).with("reporter", reporter(index));
        ids.push(ReportId::parse(intake.post(&body).await.expect_status(201).id()).unwrap());
    }
    review.only_case().await;
    let keys = Arc::clone(&intake.app().intake.keys);
    let found = |id: ReportId, last_four: &[u8; 4]| {
        let mut connection = intake.connection();
        let tag_of = |id| keys.track_tag_of(id, last_four);
        matches!(find_tracked(&mut connection, &id.receipt(), tag_of).unwrap(), TrackLookUp::Found(_))
    };
    assert!(found(ids[0], b"0000") && !found(ids[0], b"0001"));
    let length = |id: ReportId| {
        let sql = format!(
            "SELECT (length(envelope) + length(reporter_tag))::text AS name FROM journal.reports \
             WHERE event_kind = 'report' AND report_id = uuid_send('{id}')"
        );
        let row = diesel::sql_query(sql).get_result::<Name>(&mut database.connect()).unwrap();
        row.name.parse::<i32>().unwrap()
    };
    // Who may write what is due to be blanked has no row blanked that nobody withdrew.
    let mut builder = session_of(&database, "builder");
    builder
        .batch_execute(
            "INSERT INTO withdrawn_rows (seq, report_id, withdrawn_seq, is_counted, is_blank) \
             SELECT seq, report_id, seq, TRUE, FALSE FROM journal.reports; \
             SELECT journal.blank_withdrawn(64); DELETE FROM withdrawn_rows",
        )
        .unwrap();
    assert!(length(ids[0]) > 0 && length(ids[1]) > 0);
    let number = Msisdn::from_e164("+84912300000").unwrap();
    intake.app().intake.withdraw(ids[0], number).await.unwrap();
    wait_until("the row is blank", Duration::from_secs(30), async || length(ids[0]) == 0).await;
    assert!(length(ids[1]) > 0);
    assert_eq!(review.only_case().await.voices, 1);
    assert!(!found(ids[0], b"0000") && found(ids[1], b"0001"));
}

#[test]
fn a_builder_cannot_read_what_is_sealed_nor_write_the_journal() {
    let database = database_with_roles();
    let mut session = session_of(&database, "builder");
    for sql in [
        "SELECT envelope FROM journal.reports",
        "SELECT * FROM journal.reports",
        "SELECT sealed FROM journal.data_keys",
        "SELECT key_hash FROM api_keys",
        "SELECT material FROM signing_keys",
        "UPDATE journal.reports SET owner = ''",
        "DELETE FROM journal.reports",
        "DELETE FROM cases",
        "INSERT INTO decisions (case_id, verdict, reason, decided_by, decided_at, at_seq) VALUES (1, 'upheld', '', '', 1, 1)",
        "UPDATE journal.meta SET value = ''",
    ] {
        expect_denied(&mut session, sql);
    }
    session.batch_execute("SELECT seq, reporter_tag FROM journal.reports").unwrap();
}

#[test]
fn a_review_node_cannot_change_the_journal() {
    let database = database_with_roles();
    let mut session = session_of(&database, "review");
    for sql in [
        "UPDATE journal.reports SET owner = ''",
        "DELETE FROM journal.reports",
        "INSERT INTO journal.reports (report_id) VALUES ('')",
        "DELETE FROM decisions",
        "UPDATE decisions SET reason = ''",
        "DELETE FROM cases",
        "DELETE FROM key_checks",
        "UPDATE key_checks SET value = ''",
        "UPDATE journal.numbering SET xid_base = 0",
        "DELETE FROM carriers",
        "DELETE FROM api_keys",
    ] {
        expect_denied(&mut session, sql);
    }
    session.batch_execute("SELECT envelope FROM journal.reports").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intake_node_with_the_private_key_or_before_any_keys_does_not_start() {
    let database = database_with_roles();
    let early = Node::new("intake", &database, "intake").run(&["serve"]).await.expect_refused();
    assert!(early.contains("this store names no keys yet"), "{early}");

    let (review, _, _) = review_node(&database).await;
    let entitled = Node::new("intake", &database, "intake");
    copy_keys(&review.keys(), &entitled.data().join("keys"), false);
    let refused = entitled.run(&["serve"]).await.expect_refused();
    assert!(refused.contains("opens envelopes"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_other_keys_or_none_does_not_start() {
    let database = database_with_roles();
    let (_review, _, _) = review_node(&database).await;
    for (role, user) in [("review", "review"), ("all", "review"), ("intake", "intake")] {
        let without = Node::new(role, &database, user).run(&["serve"]).await.expect_refused();
        assert!(without.contains("is missing"), "{role}: {without}");
    }
    let elsewhere = TestApp::spawn(crate::support::Engine::Memory).await;
    for (role, user) in [("review", "review"), ("intake", "intake")] {
        let node = Node::new(role, &database, user);
        copy_keys(&elsewhere.keys(), &node.data().join("keys"), role == "intake");
        let other = node.run(&["serve"]).await.expect_refused();
        assert!(other.contains("is not the one this database was written with"), "{role}: {other}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intake_node_has_every_page_and_reads_no_more_for_it() {
    let database = database_with_roles();
    let (review, carrier, keys) = review_node(&database).await;
    let sms = SmsGateway::start().await;
    let intake = intake_node_with(&database, &carrier, &keys, |config| sms.use_as_kannel(config)).await;
    let visitor = Visitor::of(&intake);
    let page = visitor.report(&sms, &[]).await;
    let sent = visitor.post_files(&page.files_go_to(), &[], &[b"%PDF-1"]).await;
    visitor.follow(sent).await.expect(200);
    review.wait_until_built().await;

    // Found by receipt and digits, and taken back.
    let receipt = page.receipt();
    let found = visitor.post("/track", &[("lang", "en"), ("receipt", &receipt), ("digits", "5678")]).await;
    let status = visitor.follow(found).await.expect(200);
    assert!(status.html.contains("In a case"), "{}", status.html);

    // The other side.
    let asked = visitor.post("/respond", &[("lang", "en"), ("number", "0985931054")]).await.expect(200);
    let code = sms.code_for("+84985931054");
    let fields = [("lang", "en"), ("sealed", &*asked.field("sealed")), ("code", &*code)];
    let proven = visitor.post("/respond", &fields).await;
    let reported = visitor.follow(proven).await.expect(200);
    let (sealed, case) = (reported.field("s"), reported.field("case"));
    let stored = visitor.post("/response", &[("s", &sealed), ("case", &case), ("response", "It was not me")]).await;
    assert!(visitor.follow(stored).await.expect(200).html.contains("role=\"status\""));

    let fields = [("lang", "en"), ("s", &*status.field("s")), ("number", "0912345678")];
    let asked = visitor.post("/withdraw", &fields).await.expect(200);
    let code = sms.code_for("+84912345678");
    visitor.post("/withdraw", &[("sealed", &asked.field("sealed")), ("code", &code)]).await.expect(303);
    review.wait_until_built().await;
    assert!(review.cases().await.is_empty());

    let mut user = PgConnection::establish(&url_of(&database, "intake")).unwrap();
    for query in [
        "SELECT body FROM evidence",
        "SELECT body FROM responses",
        "SELECT group_key FROM cases",
        "SELECT track_tag FROM journal.reports",
        "DELETE FROM evidence",
    ] {
        let refused = user.batch_execute(query).unwrap_err().to_string();
        assert!(refused.contains("permission denied"), "{query}: {refused}");
    }
}
