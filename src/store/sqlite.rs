//! SQLite: which file is which, and the settings that make a commit durable.
//!
//! It is two files, because one file has one writer: `journal.db`, written by the journal writer alone, and
//! `spamgate.db`, everything else. Readers open the second and attach the first read-only.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use diesel::connection::{Connection as _, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::StoreError;

/// All migrations of SQLite, in the binary.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
/// How long a statement waits for a lock, milliseconds.
const BUSY_TIMEOUT_MS: u32 = 5_000;
/// How long the journal writer waits for a lock, milliseconds. Nobody but a careless backup should hold one, and callers
/// are to hear a clear no within 3 s.
const WRITER_BUSY_TIMEOUT_MS: u32 = 1_000;
/// Pages of 4 KiB that may gather in the journal's write-ahead log before they are copied into the file: 16 MiB.
const JOURNAL_CHECKPOINT_PAGES: u32 = 4_000;
/// The same for `spamgate.db`, of which the builder writes the same pages again and again: 64 MiB.
const BUILDER_CHECKPOINT_PAGES: u32 = 16_000;
/// How much of a write-ahead log is kept on disk once it was copied, bytes.
const WAL_KEPT_BYTES: u32 = 64 << 20;
/// Page cache of a connection, KiB.
const CACHE_KIB: u32 = 8 * 1024;
/// Page cache of the builder, KiB: its indexes are random.
const BUILDER_CACHE_KIB: u32 = 64 * 1024;
/// Migrations that add one column to the journal's reports and do nothing else: version, column, and what adds it.
const JOURNAL_COLUMNS: [(&str, &str, &str); 1] = [(
    "20261124130000",
    "is_legit",
    include_str!("../../migrations/sqlite/2026-11-24-130000_counter_reports_journal/up.sql"),
)];
/// Name of the file written by the journal writer.
const JOURNAL_FILE: &str = "journal.db";
/// Name of the file for all else.
const MAIN_FILE: &str = "spamgate.db";

/// The two files of a data directory.
#[derive(Clone, Debug)]
pub struct SqliteFiles {
    /// Where they are.
    pub directory: PathBuf,
}

impl SqliteFiles {
    fn main_path(&self) -> String {
        self.directory.join(MAIN_FILE).to_string_lossy().into_owned()
    }

    /// The journal as a URI, for ATTACH.
    fn journal_uri(&self, mode: &str) -> String {
        let path = self.directory.join(JOURNAL_FILE).to_string_lossy().into_owned();
        let escaped = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23").replace('\'', "%27");
        format!("file:{escaped}?mode={mode}")
    }

    /// Makes the directory (0700) and brings both files to this version's tables. Safe beside other processes.
    ///
    /// # Errors
    /// When the directory or a file cannot be written.
    pub fn prepare(&self) -> Result<(), StoreError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(|source| StoreError::Directory { path: self.directory.clone(), source })?;
        let mut connection = self.open_both_for_migration()?;
        complete_journal(&mut connection).map_err(|error| StoreError::Migrate(error.to_string()))?;
        // Locks are taken only when there is something to do: every command comes by here, also beside a busy gateway.
        let is_pending = connection.has_pending_migration(MIGRATIONS);
        if !is_pending.map_err(|error| StoreError::Migrate(error.to_string()))? {
            return Ok(());
        }
        connection
            .immediate_transaction(|connection| {
                skip_what_the_journal_has(connection)?;
                connection.run_pending_migrations(MIGRATIONS).map(|_| ()).map_err(MigrateError::Migrate)
            })
            .map_err(|error| StoreError::Migrate(error.to_string()))
    }

    /// A connection that may write both files; for migrations only.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn open_both_for_migration(&self) -> Result<SqliteConnection, StoreError> {
        let mut connection = SqliteConnection::establish(&self.main_path())?;
        set_up(&mut connection, &self.journal_uri("rwc"), CACHE_KIB)?;
        connection.batch_execute("PRAGMA journal.journal_mode = WAL; PRAGMA journal.synchronous = FULL;")?;
        Ok(connection)
    }

    /// The journal writer's connection: the journal alone, so that its lock and its sync are its own. The main database
    /// is in memory and stays empty; thus `journal.reports` has one name everywhere.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open_journal_writer(&self) -> Result<SqliteConnection, StoreError> {
        let mut connection = SqliteConnection::establish(":memory:")?;
        connection.batch_execute(&format!(
            "PRAGMA busy_timeout = {WRITER_BUSY_TIMEOUT_MS}; ATTACH DATABASE '{}' AS journal; \
             PRAGMA journal.journal_mode = WAL; PRAGMA journal.synchronous = FULL; PRAGMA secure_delete = ON; \
             PRAGMA trusted_schema = OFF; PRAGMA wal_autocheckpoint = {JOURNAL_CHECKPOINT_PAGES}; \
             PRAGMA journal.journal_size_limit = {WAL_KEPT_BYTES};",
            self.journal_uri("rw"),
        ))?;
        Ok(connection)
    }

    /// A connection that reads both files and may write `spamgate.db`.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn open(&self) -> Result<SqliteConnection, StoreError> {
        self.open_with_cache(CACHE_KIB)
    }

    /// The same, with the builder's larger cache.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn open_builder(&self) -> Result<SqliteConnection, StoreError> {
        let mut connection = self.open_with_cache(BUILDER_CACHE_KIB)?;
        connection.batch_execute(&format!("PRAGMA wal_autocheckpoint = {BUILDER_CHECKPOINT_PAGES}"))?;
        Ok(connection)
    }

    fn open_with_cache(&self, cache_kib: u32) -> Result<SqliteConnection, StoreError> {
        let mut connection = SqliteConnection::establish(&self.main_path())?;
        // Read-only, because BEGIN IMMEDIATE takes the write lock of every attached file that is not: the builder and
        // the journal writer would stand in each other's way.
        set_up(&mut connection, &self.journal_uri("ro"), cache_kib)?;
        Ok(connection)
    }
}

/// `busy_timeout` comes first, so that setting the others can wait. FULL: with NORMAL a power cut takes acknowledged
/// commits, and `kill -9` does not show it.
fn set_up(connection: &mut SqliteConnection, journal_uri: &str, cache_kib: u32) -> QueryResult<()> {
    connection.batch_execute(&format!(
        "PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}; PRAGMA main.journal_mode = WAL; PRAGMA main.synchronous = FULL; \
         PRAGMA main.cache_size = -{cache_kib}; ATTACH DATABASE '{journal_uri}' AS journal; \
         PRAGMA main.journal_size_limit = {WAL_KEPT_BYTES}; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;",
    ))
}

/// How many columns the journal's reports have, and how many of a name.
#[derive(QueryableByName)]
struct JournalColumns {
    #[diesel(sql_type = BigInt)]
    all: i64,
    #[diesel(sql_type = BigInt)]
    named: i64,
}

impl JournalColumns {
    fn count(connection: &mut SqliteConnection, name: &str) -> QueryResult<Self> {
        diesel::sql_query(
            "SELECT count(*) AS \"all\", coalesce(sum(name = ?), 0) AS named FROM pragma_table_info('reports', 'journal')",
        )
        .bind::<Text, _>(name)
        .get_result(connection)
    }

    /// The table is there and was made before the column was thought of.
    const fn is_incomplete(&self) -> bool {
        self.all > 0 && self.named == 0
    }
}

/// Adds the columns that the journal's reports lack, in transactions of the journal alone, before they are noted as added.
/// A transaction over both files ends in `spamgate.db` first: killed between the two, it would leave a note of something
/// that the journal never got.
fn complete_journal(connection: &mut SqliteConnection) -> QueryResult<()> {
    for (_, column, sql) in JOURNAL_COLUMNS {
        if !JournalColumns::count(connection, column)?.is_incomplete() {
            continue;
        }
        connection.immediate_transaction(|connection| {
            // Another process may have been quicker.
            if JournalColumns::count(connection, column)?.is_incomplete() {
                connection.batch_execute(sql)?;
            }
            QueryResult::Ok(())
        })?;
    }
    Ok(())
}

/// Notes migrations of the journal alone as run when the journal has them already. What was run is noted in the other
/// file, and when that one was lost and is made anew, the journal is as it was. SQLite cannot add a column if it is missing.
fn skip_what_the_journal_has(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    for (migration, column, _) in JOURNAL_COLUMNS {
        let columns = JournalColumns::count(connection, column)?;
        let pending = connection.pending_migrations(MIGRATIONS).map_err(MigrateError::Migrate)?;
        let version = pending
            .iter()
            .map(|migration| migration.name().version())
            .find(|version| version.to_string() == *migration);
        if let Some(version) = version.filter(|_| columns.named > 0) {
            // The spine's tables come first, as always; those of the journal are made only if they are missing.
            diesel::sql_query("INSERT INTO __diesel_schema_migrations (version) VALUES (?)")
                .bind::<Text, _>(version.to_string())
                .execute(connection)?;
        }
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum MigrateError {
    #[error(transparent)]
    Transaction(#[from] diesel::result::Error),
    #[error("{0}")]
    Migrate(Box<dyn std::error::Error + Send + Sync>),
}
