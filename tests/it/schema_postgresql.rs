//! The same for PostgreSQL: migrations go up, down and up again, and `schema.rs` is what they make there too.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_migrations::MigrationHarness;
use spamgate::store::connection::StoreLocation;
use spamgate::store::postgresql::MIGRATIONS;
use spamgate::store::upkeep::keep_partitions;

use crate::schema::{Table, VIEWS, declared};
use crate::support::{Database, PostgresServer};

#[derive(QueryableByName, PartialEq, Eq, Debug)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// All that migrations make, a line each.
fn dump(connection: &mut PgConnection) -> Vec<String> {
    diesel::sql_query(
        "SELECT concat_ws(' ', 'column', table_schema, table_name, column_name, ordinal_position, data_type, is_nullable, \
             column_default) AS line \
         FROM information_schema.columns WHERE table_schema IN ('public', 'journal') \
         UNION ALL SELECT concat_ws(' ', 'index', schemaname, indexdef) FROM pg_indexes \
             WHERE schemaname IN ('public', 'journal') \
         UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) \
             FROM pg_constraint WHERE connamespace IN ('public'::regnamespace, to_regnamespace('journal')) \
         UNION ALL SELECT concat_ws(' ', 'function', pg_get_functiondef(oid), proacl::text) \
             FROM pg_proc WHERE pronamespace IN ('public'::regnamespace, to_regnamespace('journal')) \
         UNION ALL SELECT concat_ws(' ', 'sequence', schemaname, sequencename, min_value, max_value, cycle, cache_size) \
             FROM pg_sequences WHERE schemaname IN ('public', 'journal') \
         ORDER BY 1",
    )
    .load::<Line>(connection)
    .unwrap()
    .into_iter()
    .map(|line| line.line)
    .filter(|line| !line.contains("__diesel_schema_migrations"))
    .collect()
}

fn prepare(database: &Database) {
    StoreLocation::new(&database.url(), std::path::Path::new("/nowhere")).unwrap().prepare().unwrap();
}

#[test]
fn migrations_up_down_and_up_again_make_the_same_tables() {
    let database = PostgresServer::shared().create_empty_database();
    prepare(&database);
    let mut connection = database.connect();
    let first = dump(&mut connection);
    assert!(first.len() > 100, "{first:#?}");
    connection.revert_all_migrations(MIGRATIONS).unwrap();
    assert_eq!(dump(&mut connection), Vec::<String>::new(), "left after going down");
    prepare(&database);
    assert_eq!(dump(&mut connection), first);
}

#[test]
fn many_nodes_that_start_at_once_migrate_once() {
    let database = PostgresServer::shared().create_empty_database();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| prepare(&database));
        }
    });
    #[derive(QueryableByName)]
    struct Counted {
        #[diesel(sql_type = BigInt)]
        migrations: i64,
    }
    let counted = diesel::sql_query("SELECT count(*) AS migrations FROM __diesel_schema_migrations")
        .get_result::<Counted>(&mut database.connect())
        .unwrap();
    assert_eq!(usize::try_from(counted.migrations).unwrap(), migrations_of("postgresql").len());
}

// Fails when a dump, which reads the journal for hours, has the upgrade wait and every report wait behind the upgrade.
#[test]
fn an_upgrade_beside_a_dump_gives_up_soon_and_can_be_tried_again() {
    let database = PostgresServer::shared().create_empty_database();
    prepare(&database);
    let mut connection = database.connect();
    while connection.revert_last_migration(MIGRATIONS).unwrap().to_string() != "20261124130000" {}
    let mut dumping = database.connect();
    dumping.batch_execute("BEGIN; LOCK TABLE journal.reports IN ACCESS SHARE MODE").unwrap();
    let begun = Instant::now();
    let location = StoreLocation::new(&database.url(), std::path::Path::new("/nowhere")).unwrap();
    let refused = location.prepare().unwrap_err().to_string();
    assert!(refused.contains("lock timeout"), "{refused}");
    // The session's own patience is 30 s.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    dumping.batch_execute("ROLLBACK").unwrap();
    prepare(&database);
}

fn migrations_of(engine: &str) -> Vec<std::ffi::OsString> {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    let mut names: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn both_engines_have_migrations_of_the_same_names() {
    assert_eq!(migrations_of("sqlite"), migrations_of("postgresql"));
    // Of two with one version, the second would never run.
    let versions =
        migrations_of("sqlite").into_iter().map(|name| name.to_str().unwrap().split('_').next().unwrap().to_owned());
    assert_eq!(versions.collect::<std::collections::BTreeSet<_>>().len(), migrations_of("sqlite").len());
}

#[derive(QueryableByName)]
struct MadeColumn {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
    #[diesel(sql_type = BigInt)]
    place_in_key: i64,
}

/// The tables that the migrations made, in the words of `schema.rs`; without what PostgreSQL alone has.
fn made(connection: &mut PgConnection) -> BTreeMap<String, Table> {
    let columns = diesel::sql_query(
        "SELECT CASE c.table_schema WHEN 'public' THEN 'main' ELSE c.table_schema END || '.' || c.table_name AS \"table\", \
             c.column_name::text AS name, c.data_type::text AS kind, c.is_nullable = 'YES' AS nullable, \
             coalesce(k.ordinal_position, 0)::bigint AS place_in_key \
         FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) \
         LEFT JOIN information_schema.table_constraints p ON p.table_schema = c.table_schema \
             AND p.table_name = c.table_name AND p.constraint_type = 'PRIMARY KEY' \
         LEFT JOIN information_schema.key_column_usage k ON k.constraint_name = p.constraint_name \
             AND k.table_schema = c.table_schema AND k.table_name = c.table_name AND k.column_name = c.column_name \
         WHERE c.table_schema IN ('public', 'journal') AND t.table_type = 'BASE TABLE' \
             AND c.table_name NOT LIKE 'reports\\_%' AND c.table_name NOT IN ('__diesel_schema_migrations', 'numbering') \
             AND NOT (c.table_name = 'reports' AND c.column_name = 'day') \
         ORDER BY c.table_schema, c.table_name, c.ordinal_position",
    )
    .load::<MadeColumn>(connection)
    .unwrap();
    let mut tables = BTreeMap::new();
    let mut keys: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for column in columns {
        let table =
            tables.entry(column.table.clone()).or_insert(Table { primary_key: Vec::new(), columns: Vec::new() });
        let kind = match column.kind.as_str() {
            "text" => "Text",
            "bytea" => "Binary",
            "bigint" => "BigInt",
            "integer" => "Integer",
            "boolean" => "Bool",
            other => panic!("the schema has no word for {other}"),
        };
        table.columns.push((column.name.clone(), kind.to_owned(), column.nullable));
        if column.place_in_key > 0 {
            keys.entry(column.table).or_default().push((column.place_in_key, column.name));
        }
    }
    for (table, mut key) in keys {
        key.sort();
        tables.get_mut(&table).unwrap().primary_key = key.into_iter().map(|(_, name)| name).collect();
    }
    tables
}

#[test]
fn the_schema_declares_the_tables_that_the_migrations_make() {
    let database = PostgresServer::shared().create_database();
    let (mut declared, made) = (declared(), made(&mut database.connect()));
    VIEWS.iter().for_each(|view| assert!(declared.remove(*view).is_some(), "{view} is declared"));
    let names = |tables: &BTreeMap<String, Table>| tables.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&declared), names(&made));
    for (name, table) in &declared {
        assert_eq!(table, &made[name], "{name}");
    }
}

/// How docs/OPERATIONS.md tells an operator to empty the default partition.
const EMPTY_THE_DEFAULT_PARTITION: &str = "\
    BEGIN; \
    ALTER TABLE journal.reports DETACH PARTITION journal.reports_default; \
    SELECT journal.make_partitions(3); \
    INSERT INTO journal.reports SELECT * FROM journal.reports_default; \
    TRUNCATE journal.reports_default; \
    ALTER TABLE journal.reports ATTACH PARTITION journal.reports_default DEFAULT; \
    COMMIT";

#[test]
fn a_month_that_had_no_partition_stops_nobody_and_can_be_mended() {
    let database = PostgresServer::shared().create_database();
    let mut connection = database.connect();
    let partitions = diesel::sql_query(
        "SELECT relid::regclass::text AS line FROM pg_partition_tree('journal.reports') \
         WHERE isleaf AND relid <> 'journal.reports_default'::regclass ORDER BY 1",
    );
    let made = partitions.clone().load::<Line>(&mut connection).unwrap();
    for partition in &made {
        connection.batch_execute(&format!("DROP TABLE {}", partition.line)).unwrap();
    }
    connection
        .batch_execute(
            "INSERT INTO journal.reports (report_id, event_kind, source, owner, reporter_tag, proof, sender_kind, \
                 channel, category, occurred_at, received_at, fingerprint, track_tag, tag_key_id, data_key_id, envelope) \
             SELECT id, 'report', 'web', id, id, 'none', 'hidden', 'sms', 'spam', 1, 1, id, id, 1, 1, id \
             FROM uuid_send(gen_random_uuid()) AS id",
        )
        .unwrap();
    let mut store = spamgate::store::connection::Connection::Postgresql(database.connect());
    assert!(keep_partitions(&mut store).unwrap(), "the default partition is used");
    assert_eq!(partitions.clone().load::<Line>(&mut connection).unwrap(), made[1..], "the other months have theirs");
    connection.batch_execute(EMPTY_THE_DEFAULT_PARTITION).unwrap();
    assert!(!keep_partitions(&mut store).unwrap(), "it is empty again");
    assert_eq!(partitions.load::<Line>(&mut connection).unwrap(), made);
}
