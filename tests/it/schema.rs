//! Migrations go up, down and up again to the same tables, and `schema.rs` is what they make.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_migrations::MigrationHarness;
use spamgate::store::connection::{Connection, StoreLocation};
use spamgate::store::sqlite::MIGRATIONS;

/// The file that declares the tables to the program.
const SCHEMA: &str = include_str!("../../src/store/schema.rs");
/// What `schema.rs` declares and is a view.
pub const VIEWS: &[&str] = &["journal.arrivals", "main.report_status"];
/// The migrations' own table.
const MIGRATIONS_TABLE: &str = "__diesel_schema_migrations";

#[derive(QueryableByName, PartialEq, Eq, Debug)]
struct Object {
    #[diesel(sql_type = Text)]
    file: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<Text>)]
    sql: Option<String>,
}

/// All tables and indexes of both files.
fn dump(connection: &mut SqliteConnection) -> Vec<Object> {
    diesel::sql_query(
        "SELECT 'main' AS file, name, sql FROM main.sqlite_master \
         UNION ALL SELECT 'journal', name, sql FROM journal.sqlite_master ORDER BY 1, 2",
    )
    .load(connection)
    .unwrap()
}

fn fresh() -> (tempfile::TempDir, SqliteConnection) {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::new("sqlite:", directory.path()).unwrap();
    location.prepare().unwrap();
    let connection = open(&location);
    (directory, connection)
}

fn open(location: &StoreLocation) -> SqliteConnection {
    match location.open_for_migration().unwrap() {
        Connection::Sqlite(file) => file,
        Connection::Postgresql(_) => unreachable!("the location is SQLite's"),
    }
}

#[test]
fn migrations_up_down_and_up_again_make_the_same_tables() {
    let (_directory, mut connection) = fresh();
    let first = dump(&mut connection);
    assert!(first.len() > 10);
    connection.revert_all_migrations(MIGRATIONS).unwrap();
    let names: Vec<String> = dump(&mut connection).into_iter().map(|object| object.name).collect();
    let ours = |name: &&String| !name.starts_with("sqlite_") && !name.contains(MIGRATIONS_TABLE);
    assert_eq!(names.iter().filter(ours).collect::<Vec<_>>(), Vec::<&String>::new(), "left after going down");
    connection.run_pending_migrations(MIGRATIONS).unwrap();
    assert_eq!(dump(&mut connection), first);
}

#[test]
fn preparing_a_store_twice_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::new("sqlite:", directory.path()).unwrap();
    location.prepare().unwrap();
    let first = dump(&mut open(&location));
    location.prepare().unwrap();
    assert_eq!(dump(&mut open(&location)), first);
}

/// The migration that adds a column to the journal's reports.
const ADDS_TO_THE_JOURNAL: &str = "20261124130000";

#[test]
fn an_upgrade_killed_between_the_two_files_is_brought_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::new("sqlite:", directory.path()).unwrap();
    location.prepare().unwrap();
    let whole = dump(&mut open(&location));
    // One file says that the column was added, and the other has not got it.
    open(&location).batch_execute("ALTER TABLE journal.reports DROP COLUMN is_legit").unwrap();
    location.prepare().unwrap();
    assert_eq!(dump(&mut open(&location)), whole);
}

#[test]
fn a_store_of_the_version_before_is_brought_to_this_one() {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::new("sqlite:", directory.path()).unwrap();
    location.prepare().unwrap();
    let mut connection = open(&location);
    let whole = dump(&mut connection);
    while connection.revert_last_migration(MIGRATIONS).unwrap().to_string() != ADDS_TO_THE_JOURNAL {}
    assert_ne!(dump(&mut connection), whole);
    drop(connection);
    location.prepare().unwrap();
    assert_eq!(dump(&mut open(&location)), whole);
}

/// A column: name, type, whether it may be null.
pub type Column = (String, String, bool);

/// A table: the columns of its primary key, and all columns in order.
#[derive(PartialEq, Eq, Debug)]
pub struct Table {
    pub primary_key: Vec<String>,
    pub columns: Vec<Column>,
}

/// The tables that `schema.rs` declares, by `file.name`.
pub fn declared() -> BTreeMap<String, Table> {
    let mut tables = BTreeMap::new();
    for block in SCHEMA.split("diesel::table! {").skip(1) {
        let (head, rest) = block.split_once('{').unwrap();
        let (columns, _) = rest.split_once('}').unwrap();
        let (name, key) = head.trim().split_once(" (").unwrap();
        let name = if name.contains('.') { name.to_owned() } else { format!("main.{name}") };
        let primary_key = key.trim_end_matches(')').split(", ").map(str::to_owned).collect();
        let columns =
            columns.split(',').map(str::trim).filter(|column| !column.is_empty()).map(declared_column).collect();
        tables.insert(name, Table { primary_key, columns });
    }
    tables
}

fn declared_column(text: &str) -> Column {
    let (name, kind) = text.split_once(" -> ").unwrap();
    let inner = kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>'));
    (name.to_owned(), inner.unwrap_or(kind).to_owned(), inner.is_some())
}

#[derive(QueryableByName)]
struct PragmaColumn {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    not_null: i64,
    #[diesel(sql_type = BigInt)]
    place_in_key: i64,
}

/// The tables that the migrations made, in the words of `schema.rs`.
fn made(connection: &mut SqliteConnection) -> BTreeMap<String, Table> {
    let is_table = |object: &Object| object.sql.as_ref().is_some_and(|sql| sql.starts_with("CREATE TABLE"));
    let ours = |object: &Object| !object.name.starts_with("sqlite_") && object.name != MIGRATIONS_TABLE;
    let objects: Vec<Object> = dump(connection).into_iter().filter(is_table).filter(ours).collect();
    let table = |object: Object| {
        let columns: Vec<PragmaColumn> = diesel::sql_query(
            "SELECT name, type AS kind, \"notnull\" AS not_null, pk AS place_in_key FROM pragma_table_info(?, ?)",
        )
        .bind::<Text, _>(&object.name)
        .bind::<Text, _>(&object.file)
        .load(connection)
        .unwrap();
        let mut key: Vec<&PragmaColumn> = columns.iter().filter(|column| column.place_in_key > 0).collect();
        key.sort_by_key(|column| column.place_in_key);
        let primary_key = key.iter().map(|column| column.name.clone()).collect();
        // SQLite counts rows in 64 bits: its `INTEGER PRIMARY KEY` is a BIGINT wherever ids are.
        let is_row_id = |column: &PragmaColumn| column.kind == "INTEGER" && key.len() == 1 && column.place_in_key == 1;
        let columns = columns
            .iter()
            .map(|column| {
                let kind = if is_row_id(column) { "BIGINT" } else { column.kind.as_str() };
                (column.name.clone(), in_words_of_the_schema(kind).to_owned(), column.not_null == 0)
            })
            .collect();
        (format!("{}.{}", object.file, object.name), Table { primary_key, columns })
    };
    objects.into_iter().map(table).collect()
}

fn in_words_of_the_schema(kind: &str) -> &'static str {
    match kind {
        "TEXT" => "Text",
        "BLOB" => "Binary",
        "BIGINT" => "BigInt",
        "INTEGER" => "Integer",
        "BOOLEAN" => "Bool",
        other => panic!("the schema has no word for {other}"),
    }
}

#[test]
fn the_schema_declares_the_tables_that_the_migrations_make() {
    let (_directory, mut connection) = fresh();
    let (mut declared, made) = (declared(), made(&mut connection));
    VIEWS.iter().for_each(|view| assert!(declared.remove(*view).is_some(), "{view} is declared"));
    // Its only row has the id 1, so it is declared as small as it is.
    let cursor = declared.get_mut("main.builder_cursor").expect("it is declared");
    assert_eq!(cursor.columns[0].1, "Integer");
    cursor.columns[0].1 = "BigInt".to_owned();
    let names = |tables: &BTreeMap<String, Table>| tables.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&declared), names(&made));
    for (name, table) in &declared {
        assert_eq!(table, &made[name], "{name}");
    }
}
